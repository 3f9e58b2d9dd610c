/* smtp_extension - see smtp_extension.h. */
#include "protocols/smtp_extension.h"

static const struct {
	const char *keyword;
	enum smtp_extension extension;
} known[] = {
	{ "PIPELINING", SMTP_PIPELINING }, { "SIZE", SMTP_SIZE }, { "8BITMIME", SMTP_8BITMIME },
	{ "SMTPUTF8", SMTP_SMTPUTF8 },     { "DSN", SMTP_DSN },   { "CHUNKING", SMTP_CHUNKING },
	{ "BINARYMIME", SMTP_BINARYMIME }, { "AUTH", SMTP_AUTH },
};

bool smtp_size_parse(struct span digits, uint64_t *size)
{
	uint64_t value = 0;

	if (digits.len == 0 || digits.len > SMTP_SIZE_DIGITS)
		return false;
	for (size_t i = 0; i < digits.len; i++) {
		unsigned digit = (unsigned)(unsigned char)digits.data[i] - '0';

		if (digit > 9)
			return false;
		value = value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : value * 10 + digit;
	}
	*size = value;
	return true;
}

void smtp_extension_note(struct smtp_extensions *extensions, struct span line)
{
	struct span rest = line, keyword = span_word(&rest);
	uint64_t size;

	/* "AUTH=PLAIN" is how servers spoke before RFC 2554. */
	if (span_begins(keyword, "AUTH="))
		extensions->offered |= SMTP_AUTH;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (span_is(keyword, known[i].keyword))
			extensions->offered |= known[i].extension;
	if (span_is(keyword, "SIZE") && smtp_size_parse(span_word(&rest), &size))
		extensions->size = size;
}
