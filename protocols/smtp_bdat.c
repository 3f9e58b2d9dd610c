/* smtp_bdat - see smtp_bdat.h. Clean bytes are copied in runs; where a dot begins a line the run ends behind it and the
 * next one begins with it, so that it is written twice.
 */
#include "protocols/smtp_bdat.h"

bool smtp_bdat_begin(struct smtp_bdat *bdat, uint64_t size, bool last)
{
	bdat->left = size;
	bdat->last = last;
	return bdat->binary || !last || size > 0 || !bdat->after_cr;
}

/* `final`: it is the last octet of the message. */
static bool may_pass(const struct smtp_bdat *bdat, char byte, bool final)
{
	if (bdat->binary)
		return true;
	if (byte == '\0' || (byte == '\n') != bdat->after_cr)
		return false;
	return byte != '\r' || !final;
}

bool smtp_bdat_pass(struct smtp_bdat *bdat, const char *data, size_t len, struct output *out,
		    size_t *used)
{
	size_t room = output_room(out), begin = 0, at = 0;
	bool good = true;

	if (len > bdat->left)
		len = (size_t)bdat->left;
	while (at < len && room > (bdat->convert ? 1 : 0)) { /* a stuffed dot needs two */
		bool final = bdat->last && at + 1 == bdat->left;

		good = may_pass(bdat, data[at], final);
		if (!good)
			break;
		if (bdat->convert && data[at] == '.' && !bdat->inside_line) {
			output_span(out, (struct span) { data + begin, at + 1 - begin });
			begin = at;
			room--;
		}
		bdat->after_cr = data[at] == '\r';
		bdat->inside_line = data[at] != '\n';
		at++;
		room--;
	}
	output_span(out, (struct span) { data + begin, at - begin });
	bdat->left -= at;
	*used = at;
	return good;
}

bool smtp_bdat_end(const struct smtp_bdat *bdat, struct output *out)
{
	const char *end = bdat->inside_line ? "\r\n.\r\n" : ".\r\n";

	if (strlen(end) > output_room(out))
		return false;
	output_text(out, end);
	return true;
}
