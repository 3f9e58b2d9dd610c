/* smtp_ehlo - see smtp_ehlo.h. SIZE is shown with the number that the backend gives now; every other extension as the
 * settings spell it, so that no word of the backend passes.
 */
#include "protocols/smtp_ehlo.h"

#define KNOWN_MAX 64 /* bits of smtp_ehlo.offered */

static struct span keyword_of(const char *extension)
{
	struct span rest = span_of(extension);

	return span_word(&rest);
}

static bool may_be_shown(struct span keyword)
{
	static const char *const never[] = {
		"PIPELINING", /* our own line says it */
		"AUTH",       "STARTTLS", "XCLIENT", "XFORWARD", "BURL", "ETRN",
	};

	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		if (span_is(keyword, never[i]))
			return false;
	return keyword.len > 0 && !span_begins(keyword, "AUTH=");
}

static bool is_number(struct span word)
{
	for (size_t i = 0; i < word.len; i++)
		if (word.data[i] < '0' || word.data[i] > '9')
			return false;
	return word.len > 0;
}

static void note_size(struct smtp_ehlo *ehlo, struct span value)
{
	if (!is_number(value) || value.len > SMTP_SIZE_DIGITS)
		return;
	memcpy(ehlo->size, value.data, value.len);
	ehlo->size[value.len] = '\0';
}

void smtp_ehlo_note(struct smtp_ehlo *ehlo, const char *const *known, struct span line)
{
	struct span rest = line, keyword = span_word(&rest);

	if (!known || !may_be_shown(keyword))
		return;
	for (size_t i = 0; known[i] && i < KNOWN_MAX; i++) {
		struct span ours = keyword_of(known[i]);

		if (ours.len != keyword.len || strncasecmp(ours.data, keyword.data, ours.len) != 0)
			continue;
		ehlo->offered |= UINT64_C(1) << i;
		if (span_is(keyword, "SIZE"))
			note_size(ehlo, span_word(&rest));
		return;
	}
}

/* Binary messages need chunks (RFC 3030 3). */
static uint64_t shown_bits(const struct smtp_ehlo *ehlo, const char *const *known)
{
	uint64_t binary = 0, bits = ehlo->offered;
	bool chunking = false;

	for (size_t i = 0; known && known[i] && i < KNOWN_MAX; i++) {
		uint64_t bit = bits & UINT64_C(1) << i;

		if (bit && span_is(keyword_of(known[i]), "BINARYMIME"))
			binary |= bit;
		if (bit && span_is(keyword_of(known[i]), "CHUNKING"))
			chunking = true;
	}
	return chunking ? bits : bits & ~binary;
}

static void write_extension(const struct smtp_ehlo *ehlo, const char *extension, bool last,
			    struct output *out)
{
	output_text(out, last ? "250 " : "250-");
	if (span_is(keyword_of(extension), "SIZE")) {
		output_text(out, "SIZE");
		output_text(out, ehlo->size[0] ? " " : "");
		output_text(out, ehlo->size);
	} else {
		output_text(out, extension);
	}
	output_text(out, "\r\n");
}

bool smtp_ehlo_write(const struct smtp_ehlo *ehlo, const char *hostname, const char *const *known,
		     struct output *out)
{
	struct output trial = *out;
	uint64_t left = shown_bits(ehlo, known);

	output_text(&trial, "250-");
	output_text(&trial, hostname);
	output_text(&trial, left ? "\r\n250-PIPELINING\r\n" : "\r\n250 PIPELINING\r\n");
	for (size_t i = 0; left; i++) {
		uint64_t bit = UINT64_C(1) << i;

		if (!(left & bit))
			continue;
		left &= ~bit;
		write_extension(ehlo, known[i], left == 0, &trial);
	}
	if (trial.overflow)
		return false;
	*out = trial;
	return true;
}

struct smtp_extensions smtp_ehlo_shown(const struct smtp_ehlo *ehlo, const char *const *known)
{
	struct smtp_extensions shown = { .offered = SMTP_PIPELINING };
	uint64_t left = shown_bits(ehlo, known);

	for (size_t i = 0; left; i++) {
		uint64_t bit = UINT64_C(1) << i;

		if (left & bit)
			smtp_extension_note(&shown, span_of(known[i]));
		left &= ~bit;
	}
	shown.size = 0;
	smtp_size_parse(span_of(ehlo->size), &shown.size);
	return shown;
}
