/* smtp_data - see smtp_data.h. One pass, no copy: the caller forwards the bytes that were found clean.
 * A dot at the start of a line is held back until what follows shows whether it ends the message, and a CR until its
 * LF is seen, so that neither half of an ending ever goes out before it has been judged.
 * RFC 5321 2.3.8, 4.1.1.4, 4.5.2.
 */
#include "protocols/smtp_data.h"

static const char ending[] = { '.', '\r', '\n' };

static bool is_ending(const char *data, size_t left)
{
	return left >= sizeof(ending) && memcmp(data, ending, sizeof(ending)) == 0;
}

static bool may_become_ending(const char *data, size_t left)
{
	return left < sizeof(ending) && memcmp(data, ending, left) == 0;
}

/* Index of the first byte from `at` on that needs thought: CR, LF, NUL or the end. */
static size_t skip_plain(const char *data, size_t len, size_t at)
{
	while (at < len && data[at] != '\r' && data[at] != '\n' && data[at] != '\0')
		at++;
	return at;
}

enum smtp_data_result smtp_data_scan(struct smtp_data *state, const char *data, size_t len,
				     size_t *used)
{
	size_t at = 0;

	for (;; at += 2) { /* behind a CRLF, but for the first turn */
		if (at < len && !state->inside_line) {
			if (is_ending(data + at, len - at)) {
				*used = at + sizeof(ending);
				return SMTP_DATA_END;
			}
			if (may_become_ending(data + at, len - at))
				break;
		}
		size_t stop = skip_plain(data, len, at);

		state->inside_line = state->inside_line || stop > at;
		at = stop;
		if (at == len || (data[at] == '\r' && at + 1 == len))
			break;
		if (data[at] != '\r' || data[at + 1] != '\n') {
			*used = at;
			return SMTP_DATA_BAD;
		}
		state->inside_line = false;
	}
	*used = at;
	return SMTP_DATA_MORE;
}
