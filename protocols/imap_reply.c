/* imap_reply - see imap_reply.h. */
#include "protocols/imap_reply.h"

static enum imap_condition read_condition(struct span word)
{
	static const char *const names[] = {
		[IMAP_CONDITION_OK] = "OK",           [IMAP_CONDITION_NO] = "NO",
		[IMAP_CONDITION_BAD] = "BAD",         [IMAP_CONDITION_BYE] = "BYE",
		[IMAP_CONDITION_PREAUTH] = "PREAUTH",
	};

	for (size_t i = IMAP_CONDITION_OK; i < sizeof(names) / sizeof(names[0]); i++)
		if (span_is(word, names[i]))
			return (enum imap_condition)i;
	return IMAP_CONDITION_NONE;
}

/* Behind a condition: `[code value] text`. */
static bool read_code(struct span text, struct imap_reply *out)
{
	while (span_begins(text, " "))
		text = span_from(text, 1);
	if (!span_begins(text, "["))
		return true;
	const char *end = memchr(text.data, ']', text.len);

	if (!end)
		return false;
	out->code_value = (struct span) { text.data + 1, (size_t)(end - text.data) - 1 };
	out->code = span_word(&out->code_value);
	return true;
}

static bool ends_with_literal(struct span line)
{
	const char *brace = line.len > 0 ? memrchr(line.data, '{', line.len) : NULL;
	const char *end = line.data + line.len - 1;

	if (!brace || *end != '}')
		return false;
	for (const char *c = brace + 1; c < end; c++)
		if ((*c < '0' || *c > '9') && *c != '+')
			return false;
	return end > brace + 1;
}

bool imap_reply_parse(struct span line, struct imap_reply *out)
{
	struct span rest = line, word;

	*out = (struct imap_reply) { .type = IMAP_REPLY_TAGGED };
	if (line.len == 0 || line.data[0] == ' ')
		return false;
	out->has_literal = ends_with_literal(line);
	out->tag = span_word(&rest);
	if (span_is(out->tag, "+")) {
		out->type = IMAP_REPLY_CONTINUATION;
		return true;
	}
	if (span_is(out->tag, "*"))
		out->type = IMAP_REPLY_UNTAGGED;
	word = span_word(&rest);
	out->condition = read_condition(word);
	if (out->condition != IMAP_CONDITION_NONE)
		return read_code(rest, out);
	out->name = word;
	out->value = rest;
	return out->type == IMAP_REPLY_UNTAGGED && word.len > 0;
}
