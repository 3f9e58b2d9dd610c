/* smtp_command - see smtp_command.h. Liberal in blanks, strict in bytes: what passes here may be sent to a backend, so
 * nothing that another reader could take for the end of a line or of a command gets through.
 * RFC 5321 4.1.1, 4.1.2, 4.1.3; RFC 3030 2; RFC 3629 4.
 */
#include "protocols/smtp_command.h"
#include "protocols/smtp_path.h"

#define NAME_MAX_OCTETS  255
#define CHUNK_DIGITS_MAX 19

static bool is_letter(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Octets of the UTF-8 character at `at` (not ASCII), or 0 when it is broken, overlong or a surrogate. */
static size_t utf8_length(const unsigned char *at, size_t left)
{
	unsigned char low = 0x80, high = 0xBF;
	size_t length;

	if (at[0] >= 0xC2 && at[0] <= 0xDF)
		length = 2;
	else if ((at[0] & 0xF0) == 0xE0)
		length = 3;
	else if (at[0] >= 0xF0 && at[0] <= 0xF4)
		length = 4;
	else
		return 0;
	if (length > left)
		return 0;
	if (at[0] == 0xE0)
		low = 0xA0;
	else if (at[0] == 0xED)
		high = 0x9F;
	else if (at[0] == 0xF0)
		low = 0x90;
	else if (at[0] == 0xF4)
		high = 0x8F;
	if (at[1] < low || at[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if ((at[i] & 0xC0) != 0x80)
			return 0;
	return length;
}

bool smtp_text_acceptable(struct span text)
{
	const unsigned char *bytes = (const unsigned char *)text.data;
	size_t at = 0;

	while (at < text.len) {
		size_t length = 1;

		if (bytes[at] >= 0x80)
			length = utf8_length(bytes + at, text.len - at);
		else if (bytes[at] == 0x7F || bytes[at] < ' ')
			length = 0;
		if (length == 0)
			return false;
		at += length;
	}
	return true;
}

static struct span trim(struct span text)
{
	while (text.len > 0 && text.data[0] == ' ')
		text = span_from(text, 1);
	while (text.len > 0 && text.data[text.len - 1] == ' ')
		text.len--;
	return text;
}

bool smtp_command_parse(struct span line, struct smtp_command *out)
{
	size_t length = 0;

	while (length < line.len && is_letter(line.data[length]))
		length++;
	if (length == 0 || (length < line.len && line.data[length] != ' '))
		return false;
	if (!smtp_text_acceptable(line))
		return false;
	out->verb = (struct span) { line.data, length };
	out->args = trim(span_from(line, length));
	return true;
}

bool smtp_envelope_parse(struct span args, const char *keyword, struct smtp_envelope *out)
{
	struct span rest;
	size_t length;

	if (!span_begins(args, keyword))
		return false;
	rest = trim(span_from(args, strlen(keyword)));
	length = smtp_path_length(rest);
	if (length == 0 || (length < rest.len && rest.data[length] != ' '))
		return false;
	out->path = (struct span) { rest.data, length };
	out->parameters = trim(span_from(rest, length));
	return true;
}

bool smtp_chunk_parse(struct span args, uint64_t *size, bool *last)
{
	struct span rest = args, number = span_word(&rest), word = span_word(&rest);

	/* Nineteen digits always fit in 64 bits; a twentieth might not. */
	if (number.len == 0 || number.len > CHUNK_DIGITS_MAX)
		return false;
	*size = 0;
	for (size_t i = 0; i < number.len; i++) {
		if (!is_digit(number.data[i]))
			return false;
		*size = *size * 10 + (uint64_t)(number.data[i] - '0');
	}
	*last = span_is(word, "LAST");
	return (word.len == 0 || *last) && span_word(&rest).len == 0;
}

static bool only_name_characters(struct span text, const char *others)
{
	for (size_t i = 0; i < text.len; i++)
		if (!is_letter(text.data[i]) && !is_digit(text.data[i]) &&
		    (text.data[i] == '\0' || !strchr(others, text.data[i])))
			return false;
	return text.len > 0;
}

bool smtp_name_acceptable(struct span name)
{
	if (name.len == 0 || name.len > NAME_MAX_OCTETS)
		return false;
	/* "%" stands before the zone of a link-local address, which some clients leave in. */
	if (name.data[0] == '[')
		return name.data[name.len - 1] == ']' &&
		       only_name_characters((struct span) { name.data + 1, name.len - 2 }, ":.-_%");
	if (name.data[0] == '.' || name.data[0] == '-')
		return false;
	for (size_t i = 1; i < name.len; i++)
		if (name.data[i] == '.' && name.data[i - 1] == '.')
			return false;
	return only_name_characters(name, ".-_");
}
