/* smtp_path - see smtp_path.h. Liberal where no reader errs: dots may stand anywhere in a local part (old Japanese
 * providers), the domain may be missing (users of the own site), and hold underscores. Source routes are taken and
 * passed on (RFC 5321 4.1.2: they must be accepted).
 */
#include "protocols/smtp_path.h"

static bool is_plain(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       (unsigned char)c >= 0x80;
}

static bool is_domain_octet(char c)
{
	return is_plain(c) || c == '.' || c == '-' || c == '_';
}

static bool is_atom_octet(char c)
{
	return is_plain(c) || (c != '\0' && strchr(".!#$%&'*+-/=?^_`{|}~", c));
}

static size_t run_length(struct span text, size_t at, bool (*belongs)(char))
{
	size_t end = at;

	while (end < text.len && belongs(text.data[end]))
		end++;
	return end - at;
}

/* Octets of the quoted string at `at`, with its marks; 0: it has no end. */
static size_t quoted_length(struct span text, size_t at)
{
	for (size_t i = at + 1; i < text.len; i++) {
		if (text.data[i] == '\\')
			i++;
		else if (text.data[i] == '"')
			return i + 1 - at;
	}
	return 0;
}

static size_t local_length(struct span text, size_t at)
{
	if (at < text.len && text.data[at] == '"')
		return quoted_length(text, at);
	return run_length(text, at, is_atom_octet);
}

/* "[" ... "]" without blanks, brackets or marks in it. */
static size_t literal_length(struct span text, size_t at)
{
	size_t length = 1;

	while (at + length < text.len && text.data[at + length] > ' ' &&
	       !strchr("[]\\<>\"", text.data[at + length]))
		length++;
	if (length == 1 || at + length >= text.len || text.data[at + length] != ']')
		return 0;
	return length + 1;
}

static size_t domain_length(struct span text, size_t at)
{
	if (at < text.len && text.data[at] == '[')
		return literal_length(text, at);
	return run_length(text, at, is_domain_octet);
}

/* Octets of "@one,@two:" at `at`, or 0 when it is no such thing. */
static size_t route_length(struct span text, size_t at)
{
	size_t end = at;

	for (;;) {
		size_t length;

		if (end >= text.len || text.data[end] != '@')
			return 0;
		length = domain_length(text, end + 1);
		if (length == 0)
			return 0;
		end += 1 + length;
		if (end >= text.len)
			return 0;
		if (text.data[end] == ':')
			return end + 1 - at;
		if (text.data[end++] != ',')
			return 0;
	}
}

size_t smtp_path_length(struct span text)
{
	size_t at = 1, length;

	if (text.len < 2 || text.data[0] != '<')
		return 0;
	if (text.data[1] == '>')
		return 2;
	at += route_length(text, at);
	length = local_length(text, at);
	if (length == 0)
		return 0;
	at += length;
	if (at < text.len && text.data[at] == '@') {
		length = domain_length(text, at + 1);
		if (length == 0)
			return 0;
		at += 1 + length;
	}
	return at < text.len && text.data[at] == '>' ? at + 1 : 0;
}
