/* pop3_reply - see pop3_reply.h. */
#include "protocols/pop3_reply.h"

static struct span read_code(struct span text)
{
	const char *end;

	while (span_begins(text, " "))
		text = span_from(text, 1);
	if (!span_begins(text, "[") || !(end = memchr(text.data, ']', text.len)))
		return (struct span) { text.data, 0 };
	return (struct span) { text.data + 1, (size_t)(end - text.data) - 1 };
}

bool pop3_reply_parse(struct span line, struct pop3_reply *out)
{
	struct span rest = line, word = span_word(&rest);

	*out = (struct pop3_reply) { .status = POP3_STATUS_OK };
	if (line.len == 0 || line.data[0] == ' ')
		return false;
	if (span_is(word, "+")) {
		out->status = POP3_STATUS_CONTINUATION;
		return true;
	}
	out->code = read_code(rest);
	if (span_is(word, "+OK"))
		return true;
	out->status = POP3_STATUS_ERROR;
	return span_is(word, "-ERR");
}
