/* smtp_relay_chunks - BDAT: passed on to a backend that offers CHUNKING, or turned into one DATA for the whole message.
 * As DATA: the first BDAT becomes DATA, and its octets are read once that is answered; from then on the backend is in
 * mid-message, so what the client says between chunks is answered here, each chunk but the last too ("received" is all that
 * RFC 3030 lets it mean), and the reply to the last one is the backend's. What cannot be said in the middle of DATA (RSET)
 * costs the backend's connection.
 * Invariants: the octets that a BDAT announced are taken as octets whatever becomes of it; only the last chunk's last octet
 * completes a message; a refused one is never completed by later chunks.
 * RFC 3030 2, 3, 4.
 */
#include "protocols/smtp_relay_parts.h"

/* ---- refused chunks ---- */

static void lose(struct smtp_relay *relay, uint64_t octets, struct output *client)
{
	if (octets > relay->settings.swallow_max) {
		smtp_relay_say_last(relay, SMTP_REPLY_TOO_MUCH, "refused_command", client);
		return;
	}
	relay->lost_left = octets;
	relay->mode = octets > 0 ? MODE_LOST_CHUNK : MODE_COMMANDS;
}

static bool refuse(struct smtp_relay *relay, const char *reply, uint64_t octets,
		   struct output *client)
{
	if (octets <= relay->settings.swallow_max)
		smtp_relay_say(relay, reply, client);
	lose(relay, octets, client);
	return true;
}

size_t smtp_relay_lose_chunk(struct smtp_relay *relay, size_t len)
{
	size_t used = len < relay->lost_left ? len : (size_t)relay->lost_left;

	relay->lost_left -= used;
	if (relay->lost_left == 0)
		relay->mode = MODE_COMMANDS;
	return used;
}

/* ---- a message in chunks ---- */

void smtp_relay_forget_series(struct smtp_relay *relay)
{
	relay->series = SERIES_NONE;
	relay->series_number++;
	relay->binary = false;
	relay->in_message = false;
}

/* A bad byte. The reply is the chunk's, unless the backend has refused it already. */
static void spoil(struct smtp_relay *relay, bool answered, struct output *client)
{
	struct smtp_owed *tail = smtp_queue_tail(&relay->owed);

	smtp_relay_doom(relay, "bad_message");
	relay->in_message = false;
	relay->series = SERIES_NONE;
	if (answered && tail && tail->type == SMTP_OWED_CHUNK)
		*tail = (struct smtp_owed) { .type = SMTP_OWED_OWN, .text = SMTP_REPLY_SPOILT };
	else if (!answered)
		smtp_relay_say(relay, SMTP_REPLY_SPOILT, client);
	smtp_relay_flush_own(relay, client);
	lose(relay, relay->bdat.left, client);
}

static bool write_bdat(struct output *backend, uint64_t size, bool last)
{
	struct output trial = *backend;

	output_format(&trial, "BDAT %llu%s\r\n", (unsigned long long)size, last ? " LAST" : "");
	if (trial.overflow)
		return false;
	*backend = trial;
	return true;
}

/* The next chunk of a message. */
static bool begin_chunk(struct smtp_relay *relay, uint64_t size, bool last, struct output *backend,
			struct output *client)
{
	if (!smtp_bdat_begin(&relay->bdat, size, last)) {
		spoil(relay, false, client);
		return true;
	}
	if (!relay->bdat.convert) {
		if (!write_bdat(backend, size, last))
			return false;
		smtp_queue_push(&relay->owed,
				(struct smtp_owed) { .type = SMTP_OWED_CHUNK,
						     .series = relay->series_number });
	}
	relay->series = SERIES_OPEN;
	relay->in_message = true;
	relay->mode = MODE_CHUNK;
	return true;
}

/* The first one: on its own terms, or DATA must be accepted first. */
static bool begin_message(struct smtp_relay *relay, uint64_t size, bool last,
			  struct output *backend, struct output *client)
{
	bool convert = !(relay->met.offered & SMTP_CHUNKING);

	relay->bdat = (struct smtp_bdat) { .binary = relay->binary, .convert = convert };
	relay->octets = 0;
	if (!convert)
		return begin_chunk(relay, size, last, backend, client);
	if (!smtp_relay_try_write(backend, SPAN("DATA\r\n")))
		return false;
	smtp_bdat_begin(&relay->bdat, size, last);
	smtp_queue_push(&relay->owed, (struct smtp_owed) { .type = SMTP_OWED_CONVERT });
	relay->mode = MODE_ANSWER_FIRST;
	return true;
}

bool smtp_relay_take_chunk(struct smtp_relay *relay, struct span args, struct output *backend,
			   struct output *client)
{
	uint64_t size;
	bool last;

	if (!smtp_chunk_parse(args, &size, &last)) {
		/* How many octets follow is unknown, and so is where the next command begins. */
		smtp_relay_say_last(relay, "501 5.5.4 Syntax: BDAT size [LAST]\r\n",
				    "refused_command", client);
		return true;
	}
	if (!(relay->shown.offered & SMTP_CHUNKING))
		return refuse(relay, "502 5.5.1 BDAT is not available\r\n", size, client);
	switch (relay->series) {
	case SERIES_FAILED:
		return refuse(relay, "503 5.5.1 The message has been refused\r\n", size, client);
	case SERIES_OPEN:
		return begin_chunk(relay, size, last, backend, client);
	case SERIES_NONE:
		break;
	}
	return begin_message(relay, size, last, backend, client);
}

static void end_chunk(struct smtp_relay *relay, struct output *backend, struct output *client)
{
	const struct smtp_bdat *bdat = &relay->bdat;

	if (bdat->last && bdat->convert && !smtp_bdat_end(bdat, backend))
		return; /* called again when there is room */
	relay->mode = MODE_COMMANDS;
	if (bdat->last || relay->series == SERIES_FAILED)
		relay->in_message = false;
	if (bdat->last) {
		relay->series = SERIES_NONE;
		relay->binary = false;
	}
	if (bdat->convert && bdat->last)
		smtp_queue_push(&relay->owed, (struct smtp_owed) { .type = SMTP_OWED_MESSAGE });
	else if (bdat->convert)
		smtp_relay_say(relay, "250 2.0.0 Chunk received\r\n", client);
}

size_t smtp_relay_pass_chunk(struct smtp_relay *relay, const char *data, size_t len,
			     struct output *backend, struct output *client)
{
	const struct output before = *backend;
	size_t used;

	if (!smtp_bdat_pass(&relay->bdat, data, len, backend, &used)) {
		spoil(relay, !relay->bdat.convert, client);
		return used;
	}
	if (!smtp_relay_count(relay, used, client))
		*backend =
			before; /* it may be the last octet, and the client hears that it did not pass */
	else if (relay->bdat.left == 0)
		end_chunk(relay, backend, client);
	return used;
}

/* ---- other commands in between ---- */

static bool between_chunks_of_data(struct smtp_relay *relay, struct span verb,
				   struct output *client)
{
	if (span_is(verb, "NOOP")) {
		smtp_relay_say(relay, "250 2.0.0 OK\r\n", client);
		return true;
	}
	if (span_is(verb, "VRFY") || span_is(verb, "EXPN") || span_is(verb, "HELP")) {
		smtp_relay_say(relay, "503 5.5.1 In the middle of a message\r\n", client);
		return true;
	}
	smtp_relay_forget_series(relay);
	smtp_relay_doom(relay, "message_aborted");
	if (span_is(verb, "RSET"))
		smtp_relay_say(relay, "250 2.0.0 OK\r\n", client);
	else if (span_is(verb, "QUIT"))
		smtp_relay_say_last(relay, SMTP_REPLY_BYE, "client_quit", client);
	else
		smtp_relay_say_last(relay, SMTP_REPLY_AGAIN, relay->cut_reason, client);
	return true;
}

bool smtp_relay_between_chunks(struct smtp_relay *relay, const char *text, struct output *client)
{
	struct span verb = span_of(text);

	if (span_is(verb, "MAIL") || span_is(verb, "RCPT") || span_is(verb, "DATA")) {
		smtp_relay_say(relay, "503 5.5.1 In the middle of a message\r\n", client);
		return true;
	}
	return relay->bdat.convert && between_chunks_of_data(relay, verb, client);
}

/* ---- the backend's answers ---- */

void smtp_relay_conversion_begins(struct smtp_relay *relay)
{
	relay->series = SERIES_OPEN;
	relay->in_message = true;
	relay->mode = MODE_CHUNK;
}

void smtp_relay_conversion_refused(struct smtp_relay *relay, struct output *client)
{
	relay->series = SERIES_FAILED;
	lose(relay, relay->bdat.left, client);
}

void smtp_relay_chunk_refused(struct smtp_relay *relay, unsigned series)
{
	if (relay->series != SERIES_OPEN || relay->series_number != series)
		return;
	relay->series = SERIES_FAILED;
	if (relay->mode != MODE_CHUNK)
		relay->in_message = false;
}
