/* smtp_params - see smtp_params.h. AUTH= lets a trusted client vouch for another submitter; what our clients say there is
 * passed as "<>" (nobody is vouched for), which RFC 4954 5 asks of a server that does not trust its client.
 */
#include "protocols/smtp_params.h"

#define SYNTAX    "501 5.5.4 Syntax error in a parameter\r\n"
#define UNKNOWN   "555 5.5.4 Parameter not recognized\r\n"
#define NOT_HERE  "555 5.5.4 Parameter not supported by the mail service\r\n"
#define NO_BINARY "555 5.6.1 Binary messages are not supported by the mail service\r\n"
#define TOO_BIG   "552 5.3.4 Message too big\r\n"
#define XTEXT_MAX 500 /* RFC 3461 4.2: ORCPT is the longest */

struct rule {
	const char *keyword;
	unsigned extension; /* that brings it */
	const char *(*judge)(struct span value, const struct smtp_params_rules *,
			     struct smtp_params *);
	bool dispensable; /* left out, not refused, where the server lacks the extension */
};

/* ---- values ---- */

static const char *judge_size(struct span value, const struct smtp_params_rules *rules,
			      struct smtp_params *out)
{
	uint64_t size;

	if (!smtp_size_parse(value, &size))
		return SYNTAX;
	return rules->size_max > 0 && size > rules->size_max ? TOO_BIG : NULL;
}

static const char *judge_body(struct span value, const struct smtp_params_rules *rules,
			      struct smtp_params *out)
{
	if (span_is(value, "BINARYMIME")) {
		out->binary = true;
		return rules->binary ? NULL : NO_BINARY;
	}
	return span_is(value, "7BIT") || span_is(value, "8BITMIME") ? NULL : SYNTAX;
}

static const char *judge_none(struct span value, const struct smtp_params_rules *rules,
			      struct smtp_params *out)
{
	return value.data == NULL ? NULL : SYNTAX;
}

static const char *judge_ret(struct span value, const struct smtp_params_rules *rules,
			     struct smtp_params *out)
{
	return span_is(value, "FULL") || span_is(value, "HDRS") ? NULL : SYNTAX;
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F');
}

/* RFC 3461 4: printable ASCII, "+" only before two hexadecimal digits. */
static bool is_xtext(struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '!' || text.data[i] > '~')
			return false;
		if (text.data[i] != '+')
			continue;
		if (text.len - i < 3 || !is_hex(text.data[i + 1]) || !is_hex(text.data[i + 2]))
			return false;
		i += 2;
	}
	return text.len > 0 && text.len <= XTEXT_MAX;
}

static const char *judge_xtext(struct span value, const struct smtp_params_rules *rules,
			       struct smtp_params *out)
{
	return is_xtext(value) ? NULL : SYNTAX;
}

/* "NEVER", or a list of the others. */
static const char *judge_notify(struct span value, const struct smtp_params_rules *rules,
				struct smtp_params *out)
{
	if (span_is(value, "NEVER"))
		return NULL;
	for (;;) {
		const char *comma = value.len > 0 ? memchr(value.data, ',', value.len) : NULL;
		struct span word = { value.data, comma ? (size_t)(comma - value.data) : value.len };

		if (!span_is(word, "SUCCESS") && !span_is(word, "FAILURE") &&
		    !span_is(word, "DELAY"))
			return SYNTAX;
		if (!comma)
			return NULL;
		value = span_from(value, word.len + 1);
	}
}

/* addr-type ";" xtext; with SMTPUTF8 the address may be written in UTF-8 (RFC 6533 3), so only its type is checked. */
static const char *judge_orcpt(struct span value, const struct smtp_params_rules *rules,
			       struct smtp_params *out)
{
	const char *semicolon = value.len > 0 ? memchr(value.data, ';', value.len) : NULL;
	size_t type = semicolon ? (size_t)(semicolon - value.data) : 0;

	if (type == 0 || value.len > XTEXT_MAX || value.len == type + 1)
		return SYNTAX;
	return span_begins(value, "utf-8;") || is_xtext(span_from(value, type + 1)) ? NULL : SYNTAX;
}

static const struct rule of_mail[] = {
	{ "SIZE", SMTP_SIZE, judge_size, true },
	{ "BODY", SMTP_8BITMIME | SMTP_BINARYMIME, judge_body, true },
	{ "SMTPUTF8", SMTP_SMTPUTF8, judge_none, false },
	{ "RET", SMTP_DSN, judge_ret, false },
	{ "ENVID", SMTP_DSN, judge_xtext, false },
	{ "AUTH", SMTP_AUTH, judge_xtext, true },
	{ NULL, 0, NULL, false },
};

static const struct rule of_rcpt[] = {
	{ "NOTIFY", SMTP_DSN, judge_notify, false },
	{ "ORCPT", SMTP_DSN, judge_orcpt, false },
	{ NULL, 0, NULL, false },
};

/* ---- words ---- */

static bool is_keyword(struct span word)
{
	for (size_t i = 0; i < word.len; i++) {
		char c = word.data[i];
		bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

		if (!letter && (c < '0' || c > '9') && (c != '-' || i == 0))
			return false;
	}
	return word.len > 0;
}

/* RFC 5321 4.1.2: a value holds no "=" and is not empty. data is NULL where there is none. */
static bool split(struct span word, struct span *keyword, struct span *value)
{
	const char *equals = memchr(word.data, '=', word.len);

	*keyword = word;
	*value = (struct span) { NULL, 0 };
	if (equals) {
		keyword->len = (size_t)(equals - word.data);
		*value = span_from(word, keyword->len + 1);
		if (value->len == 0 || memchr(value->data, '=', value->len))
			return false;
	}
	return is_keyword(*keyword);
}

static const char *take_word(struct span word, const struct rule *rule, unsigned *seen,
			     const struct smtp_params_rules *rules, struct smtp_params *out)
{
	struct span keyword, value;
	const char *refusal;
	unsigned number = 0;

	if (!split(word, &keyword, &value))
		return SYNTAX;
	while (rule[number].keyword && !span_is(keyword, rule[number].keyword))
		number++;
	rule += number;
	if (!rule->keyword)
		return UNKNOWN;
	if (*seen & 1U << number)
		return SYNTAX;
	*seen |= 1U << number;
	refusal = rule->judge(value, rules, out);
	if (refusal)
		return refusal;
	if (!(rules->met & rule->extension))
		return rule->dispensable ? NULL : NOT_HERE;
	out->kept[out->count++] = rule->extension == SMTP_AUTH ? SPAN("AUTH=<>") : word;
	return NULL;
}

static const char *take_all(struct span text, const struct rule *table,
			    const struct smtp_params_rules *rules, struct smtp_params *out)
{
	unsigned seen = 0;

	*out = (struct smtp_params) { .count = 0 };
	for (struct span word = span_word(&text); word.len > 0; word = span_word(&text)) {
		const char *refusal = take_word(word, table, &seen, rules, out);

		if (refusal)
			return refusal;
	}
	return NULL;
}

const char *smtp_params_mail(struct span text, const struct smtp_params_rules *rules,
			     struct smtp_params *out)
{
	return take_all(text, of_mail, rules, out);
}

const char *smtp_params_rcpt(struct span text, const struct smtp_params_rules *rules,
			     struct smtp_params *out)
{
	return take_all(text, of_rcpt, rules, out);
}
