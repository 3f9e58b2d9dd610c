/* smtp_relay - see smtp_relay.h and smtp_relay_parts.h.
 * How it works: the client's bytes are read in one of a few modes (commands, message, chunk, what is to be swallowed); each
 * command leaves an entry in the queue of replies owed, and each reply of the backend is handed to the entry at its
 * head. Whatever is written is first tried on a copy of the output: what does not fit is not written and the bytes
 * that caused it are not used, so they come again.
 * Invariants: the backend gets nothing but canonical commands and the octets of messages; after DATA the queue is empty
 * until the message has ended, so a reply there is a reply to nothing; a cut is never taken back.
 * RFC 5321 4.2, 4.5.2; RFC 2920 3; RFC 3030 2.
 */
#include "protocols/smtp_relay_parts.h"
#include <stdlib.h>

/* One entry is kept free for the last words of a session whose queue is full. */
_Static_assert(SMTP_RELAY_QUEUE < SMTP_QUEUE_MAX, "no room for last words");

struct smtp_relay *smtp_relay_new(const struct smtp_relay_settings *settings,
				  const struct smtp_extensions *met)
{
	struct smtp_relay *relay = calloc(1, sizeof(*relay));

	if (!relay)
		return NULL;
	relay->settings = *settings;
	relay->met = *met;
	relay->shown.offered = SMTP_PIPELINING;
	for (const char *const *known = settings->capabilities; known && *known; known++)
		smtp_extension_note(&relay->shown, span_of(*known));
	return relay;
}

void smtp_relay_free(struct smtp_relay *relay)
{
	free(relay);
}

/* ---- our own replies ---- */

bool smtp_relay_try_write(struct output *out, struct span text)
{
	if (text.len > output_room(out))
		return false;
	output_span(out, text);
	return true;
}

void smtp_relay_flush_own(struct smtp_relay *relay, struct output *client)
{
	const struct smtp_owed *head = smtp_queue_head(&relay->owed);

	while (head && head->type == SMTP_OWED_OWN && relay->mode != MODE_CLOSED &&
	       smtp_relay_try_write(client, span_of(head->text))) {
		if (head->last)
			relay->mode = MODE_CLOSED;
		smtp_queue_pop(&relay->owed);
		head = smtp_queue_head(&relay->owed);
	}
}

void smtp_relay_say(struct smtp_relay *relay, const char *text, struct output *client)
{
	smtp_queue_push(&relay->owed, (struct smtp_owed) { .type = SMTP_OWED_OWN, .text = text });
	smtp_relay_flush_own(relay, client);
}

void smtp_relay_say_last(struct smtp_relay *relay, const char *text, const char *reason,
			 struct output *client)
{
	relay->reason = reason;
	smtp_queue_push(&relay->owed,
			(struct smtp_owed) { .type = SMTP_OWED_OWN, .text = text, .last = true });
	relay->mode = MODE_LAST_WORDS;
	smtp_relay_flush_own(relay, client);
}

void smtp_relay_give_up(struct smtp_relay *relay, const char *text, const char *reason,
			struct output *client)
{
	relay->owed = (struct smtp_queue) { .count = 0 };
	smtp_relay_say_last(relay, text, reason, client);
}

/* ---- one call ---- */

/* What the caller must do now. */
static enum smtp_relay_event settle(struct smtp_relay *relay)
{
	bool cut = relay->doomed && !relay->cut && !smtp_queue_awaits(&relay->owed);

	if (cut)
		relay->reply = (struct smtp_reply) { 0 }; /* its other lines never come */
	relay->cut = relay->cut || cut;
	if (relay->mode == MODE_CLOSED)
		return SMTP_RELAY_CLOSE;
	return cut ? SMTP_RELAY_CUT : SMTP_RELAY_GO_ON;
}

size_t smtp_relay_client(struct smtp_relay *relay, const char *data, size_t len,
			 struct output *backend, struct output *client,
			 enum smtp_relay_event *event)
{
	size_t used = 0, step;
	enum smtp_relay_mode before;

	smtp_relay_flush_own(relay, client);
	do {
		before = relay->mode;
		step = smtp_relay_read_client(relay, data + used, len - used, backend, client);
		used += step;
	} while (step > 0 || relay->mode != before);
	*event = settle(relay);
	return used;
}

size_t smtp_relay_backend(struct smtp_relay *relay, const char *data, size_t len,
			  struct output *client, enum smtp_relay_event *event)
{
	size_t used = 0, step;

	*event = SMTP_RELAY_GO_ON;
	smtp_relay_flush_own(relay, client);
	while (used < len && !relay->cut && relay->mode != MODE_CLOSED) {
		step = smtp_relay_read_backend(relay, data + used, len - used, client);
		if (step == 0)
			break;
		used += step;
		*event = settle(relay);
	}
	if (relay->cut)
		used = len; /* nobody waits for what it still had to say */
	if (relay->mode == MODE_CLOSED)
		*event = SMTP_RELAY_CLOSE;
	return used;
}

/* ---- ends ---- */

void smtp_relay_backend_gone(struct smtp_relay *relay, struct output *client)
{
	const struct smtp_owed *head = smtp_queue_head(&relay->owed);
	bool quitting = head && head->type == SMTP_OWED_QUIT;

	if (relay->mode != MODE_CLOSED)
		smtp_relay_give_up(relay, quitting ? SMTP_REPLY_BYE : SMTP_REPLY_GONE,
				   quitting ? "client_quit" : "backend_closed", client);
	relay->mode = MODE_CLOSED;
}

void smtp_relay_farewell(struct smtp_relay *relay, const char *code, const char *text,
			 struct output *client)
{
	struct output trial = *client;

	if (relay->mode == MODE_CLOSED)
		return;
	output_format(&trial, "421 %s %s\r\n", code, text);
	if (!trial.overflow)
		*client = trial;
	relay->mode = MODE_CLOSED;
}

/* What is swallowed outside a message was refused already: nothing hangs on its end. */
bool smtp_relay_idle(const struct smtp_relay *relay)
{
	return relay->owed.count == 0 && relay->reply.lines == 0 && !relay->in_message &&
	       relay->mode != MODE_CLOSED;
}

bool smtp_relay_awaits(const struct smtp_relay *relay)
{
	return smtp_queue_awaits(&relay->owed);
}

bool smtp_relay_in_message(const struct smtp_relay *relay)
{
	return relay->in_message;
}

const char *smtp_relay_reason(const struct smtp_relay *relay)
{
	return relay->reason ? relay->reason : "closed";
}
