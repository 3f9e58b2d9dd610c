/* log_text - see log_text.h. */
#include "tests/support/log_text.h"

struct reader {
	const char *at, *end;
};

static bool take(struct reader *r, char wanted)
{
	if (r->at == r->end || *r->at != wanted)
		return false;
	r->at++;
	return true;
}

static void put(struct log_text *out, char byte)
{
	if (out->len < sizeof(out->data))
		out->data[out->len++] = byte;
}

/* RFC 3629 4, table of the well-formed sequences: how many bytes stand at `at`, 0 when none do. */
static size_t sequence(const struct reader *r)
{
	const unsigned char *at = (const unsigned char *)r->at;
	size_t left = (size_t)(r->end - r->at), need;
	unsigned low = 0x80, high = 0xbf;

	if (at[0] < 0x80)
		return 1;
	if (at[0] >= 0xc2 && at[0] <= 0xdf)
		need = 2;
	else if (at[0] >= 0xe0 && at[0] <= 0xef)
		need = 3;
	else if (at[0] >= 0xf0 && at[0] <= 0xf4)
		need = 4;
	else
		return 0;
	if (at[0] == 0xe0)
		low = 0xa0;
	else if (at[0] == 0xed)
		high = 0x9f;
	else if (at[0] == 0xf0)
		low = 0x90;
	else if (at[0] == 0xf4)
		high = 0x8f;
	if (left < need || at[1] < low || at[1] > high)
		return 0;
	for (size_t i = 2; i < need; i++)
		if (at[i] < 0x80 || at[i] > 0xbf)
			return 0;
	return need;
}

/* The log writes no escape of JSON but these two. */
static bool string(struct reader *r, struct log_text *out)
{
	out->len = 0;
	if (!take(r, '"'))
		return false;
	while (r->at < r->end && *r->at != '"') {
		size_t len = sequence(r);

		if (len == 0 || (unsigned char)*r->at < 0x20)
			return false;
		if (take(r, '\\')) {
			if (r->at == r->end || (*r->at != '"' && *r->at != '\\'))
				return false;
			len = 1;
		}
		while (len-- > 0)
			put(out, *r->at++);
	}
	return take(r, '"');
}

static size_t digits(struct reader *r, struct log_text *out)
{
	size_t count = 0;

	for (; r->at < r->end && *r->at >= '0' && *r->at <= '9'; count++)
		put(out, *r->at++);
	return count;
}

static bool number(struct reader *r, struct log_text *out)
{
	bool zero = r->at < r->end && *r->at == '0';

	out->len = 0;

	size_t count = digits(r, out);

	if (count == 0 || (zero && count > 1))
		return false;
	if (!take(r, '.'))
		return true;
	put(out, '.');
	return digits(r, out) > 0;
}

bool log_text_json(struct span text, const char *key, struct log_text *out)
{
	struct reader r = { text.data, text.data + text.len };
	struct log_text name, value;
	bool found = key == NULL;

	if (!take(&r, '{'))
		return false;
	do {
		if (!string(&r, &name) || !take(&r, ':') || r.at == r.end)
			return false;
		if (!(*r.at == '"' ? string(&r, &value) : number(&r, &value)))
			return false;
		if (key && name.len == strlen(key) && memcmp(name.data, key, name.len) == 0) {
			found = true;
			*out = value;
		}
	} while (take(&r, ','));
	return take(&r, '}') && r.at == r.end && found;
}

/* A value: up to a blank, or between quotation marks. */
static bool logfmt_value(struct reader *r, struct log_text *out)
{
	bool quoted = take(r, '"');

	out->len = 0;
	while (r->at < r->end && *r->at != (quoted ? '"' : ' ')) {
		size_t len = sequence(r);

		if (len == 0 || (unsigned char)*r->at < 0x20)
			return false;
		if (*r->at == '\\' && r->end - r->at >= 2 && r->at[1] == '"') {
			r->at++;
		} else if (*r->at == '\\' && r->end - r->at >= 2) {
			put(out, *r->at++);
			len = 1;
		}
		while (len-- > 0)
			put(out, *r->at++);
	}
	return !quoted || take(r, '"');
}

bool log_text_logfmt(struct span text, const char *key, struct log_text *out)
{
	struct reader r = { text.data, text.data + text.len };
	struct log_text value;
	bool found = false;

	do {
		const char *name = r.at;

		while (r.at < r.end && *r.at >= 'a' && *r.at <= 'z')
			r.at++;

		size_t len = (size_t)(r.at - name);

		if (len == 0 || !take(&r, '=') || !logfmt_value(&r, &value))
			return false;
		if (len == strlen(key) && memcmp(name, key, len) == 0) {
			found = true;
			*out = value;
		}
	} while (take(&r, ' '));
	return r.at == r.end && found;
}

/* The byte that two hexadecimal digits stand for, -1 when they are none. */
static int hex_byte(const char *digits)
{
	static const char all[16] = "0123456789abcdef";
	const char *high = memchr(all, digits[0], sizeof(all)),
		   *low = memchr(all, digits[1], sizeof(all));

	return high && low ? (int)(high - all) * 16 + (int)(low - all) : -1;
}

bool log_text_unescape(struct log_text *text)
{
	size_t len = 0;

	for (size_t i = 0; i < text->len; i++) {
		size_t left = text->len - i;
		const char *at = text->data + i;
		int byte = left >= 4 && at[0] == '\\' && at[1] == 'x' ? hex_byte(at + 2) : -1;

		if (at[0] == '\\' && left >= 2 && at[1] == '\\')
			i++;
		else if (at[0] == '\\' && byte >= 0)
			i += 3;
		else if (at[0] == '\\')
			return false;
		text->data[len++] = byte >= 0 ? (char)byte : *at;
	}
	text->len = len;
	return true;
}
