/* tls_hello - see tls_hello.h.
 * In three steps: what the first octets are; where the message ends, over its records; what it says (tls_hello_fields.c). The
 * first two are repeated with each call, and cost one look at each record header; the third is done once, when all is there.
 */
#include "protocols/tls_hello_fields.h"
#include <ctype.h>

#define RECORD_ALERT     21
#define RECORD_HANDSHAKE 22
#define RECORD_HEADER    5
#define RECORD_MAX       16384 /* of its content, RFC 8446 5.1 */
#define MESSAGE_HELLO    1
#define MESSAGE_HEADER   4

/* What is left of some bytes. */
struct reader {
	const uint8_t *data;
	size_t len;
};

/* ---- the first octets ------------------------------------------------------------------------------------------------ */

static bool is_text(uint8_t octet)
{
	return isprint(octet) || isspace(octet);
}

static enum tls_hello_result judge_text(const uint8_t *data, size_t len, struct tls_hello *out)
{
	static const char *const methods[] = { "GET ",    "HEAD ",    "POST ",    "PUT ",
					       "DELETE ", "CONNECT ", "OPTIONS ", "TRACE ",
					       "PATCH ",  "PRI " };

	out->instead = TLS_INSTEAD_TEXT;
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		size_t whole = strlen(methods[i]);

		if (memcmp(data, methods[i], len < whole ? len : whole) != 0)
			continue;
		if (len < whole)
			return TLS_HELLO_MORE;
		out->instead = TLS_INSTEAD_HTTP;
	}
	return TLS_HELLO_NOT_TLS;
}

/* RFC 8446 appendix D.5 forbids to accept it; RFC 5246 appendix E.2 has its form. */
static enum tls_hello_result judge_ssl2(const uint8_t *data, size_t len, struct tls_hello *out)
{
	if (len < 3)
		return TLS_HELLO_MORE;
	out->instead = data[2] == MESSAGE_HELLO ? TLS_INSTEAD_SSL2 : TLS_INSTEAD_OTHER;
	return TLS_HELLO_NOT_TLS;
}

/* DONE: these may be handshake records. */
static enum tls_hello_result judge_start(const uint8_t *data, size_t len, struct tls_hello *out)
{
	if (len == 0)
		return TLS_HELLO_MORE;
	if (is_text(data[0]))
		return judge_text(data, len, out);
	if (data[0] & 0x80)
		return judge_ssl2(data, len, out);
	out->instead = TLS_INSTEAD_OTHER;
	if (data[0] != RECORD_HANDSHAKE && data[0] != RECORD_ALERT)
		return TLS_HELLO_NOT_TLS;
	if (len == 1)
		return TLS_HELLO_MORE;
	if (data[0] == RECORD_ALERT && data[1] == 3)
		out->instead = TLS_INSTEAD_ALERT;
	return data[0] == RECORD_HANDSHAKE && data[1] == 3 ? TLS_HELLO_DONE : TLS_HELLO_NOT_TLS;
}

/* ---- records -------------------------------------------------------------------------------------------------------- */

static enum tls_hello_result broken(struct tls_hello *out, enum tls_alert alert)
{
	out->alert = alert;
	return TLS_HELLO_BROKEN;
}

static enum tls_hello_result too_long(struct tls_hello *out)
{
	out->alert = TLS_ALERT_ILLEGAL_PARAMETER;
	return TLS_HELLO_TOO_LONG;
}

/* DONE: the header is there and good. RFC 8446 5.1: its version says nothing; no fragment of a handshake is empty. */
static enum tls_hello_result check_header(struct reader record, struct tls_hello *out)
{
	if (record.len > 0 && record.data[0] != RECORD_HANDSHAKE)
		return broken(out, TLS_ALERT_UNEXPECTED_MESSAGE);
	if (record.len > 1 && record.data[1] != 3)
		return broken(out, TLS_ALERT_PROTOCOL_VERSION);
	if (record.len < RECORD_HEADER)
		return TLS_HELLO_MORE;
	if (tls_u16(record.data + 3) == 0)
		return broken(out, TLS_ALERT_UNEXPECTED_MESSAGE);
	if (tls_u16(record.data + 3) > RECORD_MAX)
		return broken(out, TLS_ALERT_RECORD_OVERFLOW);
	return TLS_HELLO_DONE;
}

/* The message over all its records: how far it has come. */
struct message {
	size_t at, have,
		need; /* octets on the wire; of the message so far; of all of it, 0: not known yet */
	uint8_t header[MESSAGE_HEADER];
};

/* Those octets of the message's own header that this record brings. */
static enum tls_hello_result read_message_header(struct message *message, struct reader content,
						 struct tls_hello *out)
{
	size_t have = message->have;

	while (have < MESSAGE_HEADER && content.len > 0) {
		message->header[have++] = *content.data++;
		content.len--;
	}
	if (have > 0 && message->header[0] != MESSAGE_HELLO)
		return broken(out, TLS_ALERT_UNEXPECTED_MESSAGE);
	if (have < MESSAGE_HEADER)
		return TLS_HELLO_MORE;
	message->need =
		MESSAGE_HEADER + ((size_t)message->header[1] << 16) + tls_u16(message->header + 2);
	return message->need + RECORD_HEADER > TLS_HELLO_MAX ? too_long(out) : TLS_HELLO_DONE;
}

/* One record further. MORE: it is not whole; DONE: it is, which may be the end or not. */
static enum tls_hello_result pass_record(struct message *message, struct reader bytes,
					 struct tls_hello *out)
{
	struct reader record = { bytes.data + message->at, bytes.len - message->at };
	enum tls_hello_result result = check_header(record, out);
	size_t size, shown;

	if (result != TLS_HELLO_DONE)
		return result;
	size = tls_u16(record.data + 3);
	if (message->at + RECORD_HEADER + size > TLS_HELLO_MAX)
		return too_long(out);
	shown = record.len - RECORD_HEADER < size ? record.len - RECORD_HEADER : size;
	if (message->need == 0) {
		struct reader content = { record.data + RECORD_HEADER, shown };

		result = read_message_header(message, content, out);
		if (result == TLS_HELLO_BROKEN || result == TLS_HELLO_TOO_LONG)
			return result;
	}
	message->have += size;
	message->at += RECORD_HEADER + size;
	/* RFC 8446 5.1: a hello ends with its record, since what comes next may have another key. */
	if (message->need != 0 && message->have > message->need)
		return broken(out, TLS_ALERT_UNEXPECTED_MESSAGE);
	return shown < size ? TLS_HELLO_MORE : TLS_HELLO_DONE;
}

/* The contents of all records up to `used`, one behind the other. */
static struct reader join(const uint8_t *data, size_t used, struct tls_hello *out)
{
	size_t len = 0;

	if (RECORD_HEADER + (size_t)tls_u16(data + 3) == used)
		return (struct reader) { data + RECORD_HEADER, used - RECORD_HEADER };
	for (size_t at = 0; at < used; at += RECORD_HEADER + (size_t)tls_u16(data + at + 3)) {
		memcpy(out->joined + len, data + at + RECORD_HEADER, tls_u16(data + at + 3));
		len += tls_u16(data + at + 3);
	}
	return (struct reader) { out->joined, len };
}

/* ---- all of it ------------------------------------------------------------------------------------------------------ */

enum tls_hello_result tls_hello_parse(const uint8_t *data, size_t len, struct tls_hello *out)
{
	struct message message = { 0 };
	struct reader whole;
	enum tls_hello_result result;

	memset(out, 0, offsetof(struct tls_hello, joined));
	result = judge_start(data, len, out);
	while (result == TLS_HELLO_DONE && (message.need == 0 || message.have < message.need))
		result = pass_record(&message, (struct reader) { data, len }, out);
	if (result == TLS_HELLO_NOT_TLS)
		return result;
	out->instead = TLS_INSTEAD_NOTHING;
	if (result != TLS_HELLO_DONE)
		return result;
	out->used = message.at;
	out->alert = TLS_ALERT_DECODE_ERROR;
	whole = join(data, message.at, out);
	out->message = (struct span) { (const char *)whole.data, whole.len };
	return tls_hello_read_message(out) ? TLS_HELLO_DONE : TLS_HELLO_BROKEN;
}

size_t tls_hello_join(uint8_t *data, const struct tls_hello *hello)
{
	size_t front = hello->used - RECORD_HEADER - hello->message.len;
	uint8_t *record = data + front;

	if (front == 0)
		return 0;
	/* At least one more header lies before it, so these three do not overlap. */
	memcpy(record, data, 3);
	record[3] = (uint8_t)(hello->message.len >> 8);
	record[4] = (uint8_t)hello->message.len;
	memcpy(record + RECORD_HEADER, hello->message.data, hello->message.len);
	return front;
}

void tls_alert_record(uint8_t out[TLS_ALERT_RECORD_LEN], enum tls_alert_level level,
		      enum tls_alert alert)
{
	out[0] = RECORD_ALERT;
	out[1] = out[2] = 3;
	out[3] = 0;
	out[4] = 2;
	out[5] = (uint8_t)level;
	out[6] = (uint8_t)alert;
}
