/* log_escape - see log_escape.h. RFC 3629 4 (what is UTF-8), RFC 8259 7 (JSON strings). */
#include "frontend/log_escape.h"
#include <stdint.h>

#define LETTER_MAX (4 * LOG_ESCAPE_WORST) /* of the longest sequence, each byte escaped */

/* Length of the UTF-8 sequence that stands at data, 0 when there is none; its code point in *out. */
static size_t utf8_sequence(const unsigned char *data, size_t len, uint32_t *out)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t need = data[0] < 0x80   ? 1
		      : data[0] < 0xc2 ? 0
		      : data[0] < 0xe0 ? 2
		      : data[0] < 0xf0 ? 3
		      : data[0] < 0xf5 ? 4
				       : 0;

	if (need == 0 || need > len)
		return 0;

	uint32_t point = need == 1 ? data[0] : data[0] & (0x7fu >> need);

	for (size_t i = 1; i < need; i++) {
		if ((data[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (data[i] & 0x3fu);
	}
	if (point < least[need] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
		return 0;
	*out = point;
	return need;
}

/* Controls, and what a viewer may take for a new line or for a change of direction. */
static bool point_is_control(uint32_t point)
{
	return point < 0x20 || (point >= 0x7f && point <= 0x9f) || point == 0x200e ||
	       point == 0x200f || (point >= 0x2028 && point <= 0x202e) ||
	       (point >= 0x2066 && point <= 0x2069) || point == 0xfeff;
}

static size_t put_text(char *out, const char *text)
{
	size_t len = 0;

	for (; text[len] != '\0'; len++)
		out[len] = text[len];
	return len;
}

/* One letter, or the bytes of what is none, escaped. Returns the octets written to out, which has LETTER_MAX. */
static size_t escape_letter(const unsigned char *data, size_t bytes, bool shown,
			    enum log_escaping how, char *out)
{
	static const char hex[] = "0123456789abcdef";
	static const struct {
		const char *byte, *backslash, *quote;
	} forms[] = {
		[LOG_ESCAPE_LOGFMT] = { "\\x", "\\\\", "\\\"" },
		[LOG_ESCAPE_JSON] = { "\\\\x", "\\\\\\\\", "\\\"" },
		[LOG_ESCAPE_JOURNAL] = { "\\x", "\\\\", "\"" },
	};
	size_t len = 0;

	if (shown && *data == '\\')
		return put_text(out, forms[how].backslash);
	if (shown && *data == '"')
		return put_text(out, forms[how].quote);
	if (shown) {
		memcpy(out, data, bytes);
		return bytes;
	}
	for (size_t i = 0; i < bytes; i++) {
		len += put_text(out + len, forms[how].byte);
		out[len++] = hex[data[i] >> 4];
		out[len++] = hex[data[i] & 15];
	}
	return len;
}

size_t log_escape(struct span value, size_t max, enum log_escaping how, char *out, size_t room)
{
	const unsigned char *data = (const unsigned char *)value.data;
	size_t used = 0, len = 0;

	while (used < value.len) {
		char letter[LETTER_MAX];
		uint32_t point = 0;
		size_t sequence = utf8_sequence(data + used, value.len - used, &point);
		size_t bytes = sequence ? sequence : 1;
		bool shown = sequence != 0 && !point_is_control(point);
		size_t more = escape_letter(data + used, bytes, shown, how, letter);

		if (bytes > max - used || more > room - len)
			break;
		memcpy(out + len, letter, more);
		used += bytes;
		len += more;
	}
	return len;
}

bool log_is_bare(const char *text)
{
	const char *end = text;

	while (*end > 0x20 && *end < 0x7f && *end != '"' && *end != '\\')
		end++;
	return *end == '\0' && end != text;
}
