/* smtp_reply - see smtp_reply.h. The code alone, without a blank behind it, is a last line too (RFC 5321 4.2: clients
 * should take it). In texts HT is let through because the RFC's textstring has it, and every octet over 127: UTF-8 is allowed
 * (RFC 6531 3.7.4), and what old stores say in Latin-1 must not turn their 535 or 550 into a failure of the store.
 */
#include "protocols/smtp_reply.h"
#include "protocols/line.h"

#define CODE_DIGITS 3

/* The code at the head of a line, or 0. There is no first digit but 2 to 5 in SMTP. */
static unsigned read_code(struct span line)
{
	unsigned code = 0;

	if (line.len < CODE_DIGITS || line.data[0] < '2' || line.data[0] > '5')
		return 0;
	for (size_t i = 0; i < CODE_DIGITS; i++) {
		if (line.data[i] < '0' || line.data[i] > '9')
			return 0;
		code = code * 10 + (unsigned)(line.data[i] - '0');
	}
	return code;
}

static bool has_control(struct span line)
{
	for (size_t i = 0; i < line.len; i++) {
		unsigned char byte = (unsigned char)line.data[i];

		if ((byte < ' ' && byte != '\t') || byte == 0x7F)
			return true;
	}
	return false;
}

static enum smtp_reply_result read_line(struct smtp_reply *reply, struct span line)
{
	unsigned code = read_code(line);
	char separator = line.len > CODE_DIGITS ? line.data[CODE_DIGITS] : ' ';

	if (code == 0 || (separator != ' ' && separator != '-'))
		return SMTP_REPLY_BAD;
	if (reply->lines > 0 && code != reply->code)
		return SMTP_REPLY_BAD;
	if (has_control(line))
		return SMTP_REPLY_BAD;
	reply->code = code;
	reply->text = span_from(line, CODE_DIGITS + 1);
	if (++reply->lines >= SMTP_REPLY_LINES_MAX && separator == '-')
		return SMTP_REPLY_BAD;
	return separator == '-' ? SMTP_REPLY_LINE : SMTP_REPLY_LAST;
}

enum smtp_reply_result smtp_reply_next(struct smtp_reply *reply, const char *data, size_t len)
{
	struct span line;

	switch (line_cut(data, len, SMTP_REPLY_LINE_MAX, &reply->scanned, &line)) {
	case LINE_MORE:
		return SMTP_REPLY_MORE;
	case LINE_WHOLE:
		reply->line = (struct span) { data, line.len + LINE_END_SIZE };
		return read_line(reply, line);
	case LINE_BAD:
	case LINE_BARE_LF:
	case LINE_LONG:
		break;
	}
	return SMTP_REPLY_BAD;
}
