/* smtp_relay_replies - the backend's replies, each handed to the command that is owed one.
 * Invariants: a reply to nothing, or one that makes no sense as an answer, is a backend that has lost its way, and ends the
 * session; of a reply to EHLO, HELO or QUIT no word reaches the client.
 * RFC 5321 4.2; RFC 2920 3; RFC 3030 2.
 */
#include "protocols/smtp_relay_parts.h"

static bool is_refusal(unsigned code)
{
	return code >= 400;
}

/* Passes a line on. At the end of the reply what was owed is settled and the client is read again in `mode`. */
static bool pass_reply(struct smtp_relay *relay, const struct smtp_reply *reply, bool last,
		       enum smtp_relay_mode mode, struct output *client)
{
	if (!smtp_relay_try_write(client, reply->line))
		return false;
	if (!last)
		return true;
	if (reply->code == 421) {
		relay->reason = "backend_closed";
		relay->mode = MODE_CLOSED;
		return true;
	}
	if (relay->mode != MODE_LAST_WORDS)
		relay->mode = mode;
	smtp_queue_pop(&relay->owed);
	smtp_relay_flush_own(relay, client);
	return true;
}

static bool deliver_greeting(struct smtp_relay *relay, enum smtp_owed_type type,
			     const struct smtp_reply *reply, bool last, struct output *client)
{
	const struct smtp_relay_settings *settings = &relay->settings;
	bool written;

	if (reply->lines == 1) {
		relay->ehlo = (struct smtp_ehlo) { .offered = 0 };
		relay->heard = (struct smtp_extensions) { .offered = 0 };
	} else if (type == SMTP_OWED_EHLO) {
		smtp_ehlo_note(&relay->ehlo, settings->capabilities, reply->text);
		smtp_extension_note(&relay->heard, reply->text);
	}
	if (!last)
		return true;
	if (type == SMTP_OWED_EHLO) {
		written = smtp_ehlo_write(&relay->ehlo, settings->hostname, settings->capabilities,
					  client);
	} else {
		struct output trial = *client;

		output_text(&trial, "250 ");
		output_text(&trial, settings->hostname);
		output_text(&trial, "\r\n");
		written = !trial.overflow;
		if (written)
			*client = trial;
	}
	if (!written)
		return false;
	relay->met = relay->heard;
	relay->shown = smtp_ehlo_shown(&relay->ehlo, settings->capabilities);
	relay->mode = MODE_COMMANDS;
	smtp_queue_pop(&relay->owed);
	return true;
}

/* True when a reply of that code makes sense as the answer to what is at the head. */
static bool is_answer(enum smtp_owed_type type, unsigned code)
{
	switch (type) {
	case SMTP_OWED_DATA:
	case SMTP_OWED_CONVERT:
		return code == 354 || is_refusal(code);
	case SMTP_OWED_EHLO:
	case SMTP_OWED_HELO:
		return code == 250 || is_refusal(code);
	case SMTP_OWED_REPLY:
	case SMTP_OWED_BINARY:
	case SMTP_OWED_MESSAGE:
	case SMTP_OWED_CHUNK:
		return code < 300 || is_refusal(code);
	case SMTP_OWED_QUIT:
	case SMTP_OWED_OWN:
		break;
	}
	return true;
}

/* The answer to the DATA that stands for the first BDAT. */
static bool deliver_to_converted(struct smtp_relay *relay, const struct smtp_reply *reply,
				 bool last, struct output *client)
{
	if (reply->code != 354) {
		if (!pass_reply(relay, reply, last, relay->mode, client))
			return false;
		if (last && relay->mode == MODE_ANSWER_FIRST)
			smtp_relay_conversion_refused(relay, client);
		return true;
	}
	if (last) {
		smtp_queue_pop(&relay->owed);
		smtp_relay_conversion_begins(relay);
	}
	return true;
}

/* False when the line must wait for room. */
static bool deliver(struct smtp_relay *relay, const struct smtp_reply *reply, bool last,
		    struct output *client)
{
	const struct smtp_owed *head = smtp_queue_head(&relay->owed);

	if (!head && reply->code == 421 && !relay->in_message)
		return pass_reply(relay, reply, last, MODE_CLOSED, client);
	if (!head || !is_answer(head->type, reply->code)) {
		smtp_relay_give_up(relay, SMTP_REPLY_GONE, "backend_failed", client);
		return true;
	}
	switch (head->type) {
	case SMTP_OWED_QUIT:
		if (last)
			smtp_relay_give_up(relay, SMTP_REPLY_BYE, "client_quit", client);
		return true;
	case SMTP_OWED_EHLO:
	case SMTP_OWED_HELO:
		if (reply->code == 250)
			return deliver_greeting(relay, head->type, reply, last, client);
		break;
	case SMTP_OWED_DATA:
		if (reply->code != 354)
			break;
		if (!pass_reply(relay, reply, last, MODE_MESSAGE, client))
			return false;
		relay->data = (struct smtp_data) { false };
		relay->octets = 0;
		relay->in_message = last;
		return true;
	case SMTP_OWED_BINARY:
		/* Refused, as a MAIL inside a transaction is, it must not open another message's octets to any byte. */
		if (!pass_reply(relay, reply, last, MODE_COMMANDS, client))
			return false;
		relay->binary = last && !is_refusal(reply->code);
		return true;
	case SMTP_OWED_CONVERT:
		return deliver_to_converted(relay, reply, last, client);
	case SMTP_OWED_CHUNK:
		if (last && is_refusal(reply->code))
			smtp_relay_chunk_refused(relay, head->series);
		return pass_reply(relay, reply, last, relay->mode, client);
	case SMTP_OWED_REPLY:
	case SMTP_OWED_MESSAGE:
		/* The client may be in the middle of something else by now. */
		return pass_reply(relay, reply, last, relay->mode, client);
	case SMTP_OWED_OWN:
		return false;
	}
	return pass_reply(relay, reply, last, MODE_COMMANDS, client);
}

size_t smtp_relay_read_backend(struct smtp_relay *relay, const char *data, size_t len,
			       struct output *client)
{
	const struct smtp_owed *head = smtp_queue_head(&relay->owed);
	struct smtp_reply reply = relay->reply;
	enum smtp_reply_result result;

	if (head && head->type == SMTP_OWED_OWN)
		return 0;
	result = smtp_reply_next(&reply, data, len);
	if (result == SMTP_REPLY_MORE) {
		relay->reply.scanned = reply.scanned;
		return 0;
	}
	if (result == SMTP_REPLY_BAD) {
		smtp_relay_give_up(relay, SMTP_REPLY_GONE, "backend_failed", client);
		return len;
	}
	if (!deliver(relay, &reply, result == SMTP_REPLY_LAST, client))
		return 0;
	relay->reply = (struct smtp_reply) { 0 };
	if (result == SMTP_REPLY_LINE) {
		relay->reply.code = reply.code;
		relay->reply.lines = reply.lines;
	}
	return reply.line.len;
}
