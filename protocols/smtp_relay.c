/* smtp_relay - see smtp_relay.h.
 * How it works: the client's bytes are read in one of a few modes (commands, message, what is to be swallowed); each
 * command leaves an entry in the queue of replies owed, and each reply of the backend is handed to the entry at its
 * head. Whatever is written is first tried on a copy of the output: what does not fit is not written and the bytes
 * that caused it are not used, so they come again.
 * Invariants: the backend gets nothing but what take_command() and pass_message() write; in a message the queue is
 * empty, so a reply there is a reply to nothing; `cut` is never taken back.
 * RFC 5321 4.2, 4.5.2; RFC 2920 3; RFC 3030 2.
 */
#include "protocols/smtp_relay.h"
#include "protocols/line.h"
#include "protocols/smtp_allow.h"
#include "protocols/smtp_ehlo.h"
#include "protocols/smtp_queue.h"
#include "protocols/smtp_reply.h"
#include <stdlib.h>

/* One entry is kept free for the last words of a session whose queue is full. */
_Static_assert(SMTP_RELAY_QUEUE < SMTP_QUEUE_MAX, "no room for last words");

#define REPLY_BACKEND_GONE "421 4.3.2 Mail service has gone\r\n"
#define REPLY_BYE          "221 2.0.0 Bye\r\n"
#define REPLY_SYNTAX       "500 5.5.2 Syntax error\r\n"
#define REPLY_TOO_MUCH     "421 4.7.0 Too much to ignore\r\n"

enum mode {
	MODE_COMMANDS,
	MODE_ANSWER_FIRST, /* the last command must be answered before anything is read */
	MODE_MESSAGE,
	MODE_SPOILT,     /* a message with a bad byte: swallowed to its end */
	MODE_LINE,       /* a line too long: swallowed to its end */
	MODE_CHUNK,      /* octets of a refused BDAT */
	MODE_LAST_WORDS, /* nothing more is read; the session ends with an entry of the queue */
	MODE_CLOSED,
};

struct smtp_relay {
	struct smtp_relay_settings settings;
	enum mode mode;
	const char *reason; /* why it closes; a literal */
	bool cut;           /* the backend is no more, by our own wish */
	bool in_message;    /* begun, and its end not forwarded */
	struct smtp_queue owed;
	size_t scanned; /* of the client's current line */
	struct smtp_data data;
	uint64_t swallowed;  /* octets of the line or message being swallowed */
	uint64_t chunk_left; /* octets of the chunk still to come */
	struct smtp_reply reply;
	struct smtp_ehlo ehlo;
};

struct smtp_relay *smtp_relay_new(const struct smtp_relay_settings *settings)
{
	struct smtp_relay *relay = calloc(1, sizeof(*relay));

	if (relay)
		relay->settings = *settings;
	return relay;
}

void smtp_relay_free(struct smtp_relay *relay)
{
	free(relay);
}

/* ---- our own replies ---- */

static bool try_write(struct output *out, struct span text)
{
	if (text.len > output_room(out))
		return false;
	output_span(out, text);
	return true;
}

/* Writes our own replies that nothing stands before any more. */
static void flush_own(struct smtp_relay *relay, struct output *client)
{
	const struct smtp_owed *head = smtp_queue_head(&relay->owed);

	while (head && head->type == SMTP_OWED_OWN && relay->mode != MODE_CLOSED &&
	       try_write(client, span_of(head->text))) {
		if (head->last)
			relay->mode = MODE_CLOSED;
		smtp_queue_pop(&relay->owed);
		head = smtp_queue_head(&relay->owed);
	}
}

static void say(struct smtp_relay *relay, const char *text, struct output *client)
{
	smtp_queue_push(&relay->owed, (struct smtp_owed) { SMTP_OWED_OWN, text, false });
	flush_own(relay, client);
}

static void say_last(struct smtp_relay *relay, const char *text, const char *reason,
		     struct output *client)
{
	relay->reason = reason;
	smtp_queue_push(&relay->owed, (struct smtp_owed) { SMTP_OWED_OWN, text, true });
	relay->mode = MODE_LAST_WORDS;
	flush_own(relay, client);
}

/* Nobody will answer any more: all that was owed shrinks to one reply. */
static void give_up(struct smtp_relay *relay, const char *text, const char *reason,
		    struct output *client)
{
	relay->owed = (struct smtp_queue) { .count = 0 };
	say_last(relay, text, reason, client);
}

/* ---- the client's commands ---- */

/* BDAT is not offered. Its octets follow all the same and must not be read as commands (RFC 3030 2). */
static void refuse_chunk(struct smtp_relay *relay, struct span args, struct output *client)
{
	uint64_t size;

	if (!smtp_chunk_parse(args, &size)) {
		say_last(relay, "501 5.5.4 Syntax: BDAT size [LAST]\r\n", "refused_command",
			 client);
		return;
	}
	if (size > relay->settings.swallow_max) {
		say_last(relay, REPLY_TOO_MUCH, "refused_command", client);
		return;
	}
	relay->chunk_left = size;
	relay->mode = size > 0 ? MODE_CHUNK : MODE_COMMANDS;
	say(relay, "502 5.5.1 BDAT is not available\r\n", client);
}

/* False when the command must wait for room. */
static bool take_command(struct smtp_relay *relay, struct span line, struct output *backend,
			 struct output *client)
{
	struct smtp_allowed allowed;
	const char *refusal = smtp_allow(line, &allowed);

	if (refusal) {
		say(relay, refusal, client);
		return true;
	}
	if (allowed.owed == SMTP_OWED_OWN) {
		refuse_chunk(relay, allowed.args, client);
		return true;
	}
	if (!smtp_allowed_write(&allowed, backend))
		return false;
	smtp_queue_push(&relay->owed, (struct smtp_owed) { .type = allowed.owed });
	if (allowed.owed != SMTP_OWED_REPLY)
		relay->mode = MODE_ANSWER_FIRST;
	return true;
}

/* After a cut there is no backend to serve anything. */
static void take_command_after_cut(struct smtp_relay *relay, struct span line,
				   struct output *client)
{
	struct smtp_command command;

	if (smtp_command_parse(line, &command) && span_is(command.verb, "QUIT"))
		say_last(relay, REPLY_BYE, "client_quit", client);
	else
		say_last(relay, "421 4.7.0 Connect again to send another message\r\n",
			 "bad_message", client);
}

/* ---- what is swallowed ---- */

static bool swallow(struct smtp_relay *relay, size_t octets, struct output *client)
{
	relay->swallowed += octets;
	if (relay->swallowed <= relay->settings.swallow_max)
		return true;
	say_last(relay, REPLY_TOO_MUCH, "refused_command", client);
	return false;
}

/* Up to the next true CRLF. A CR at the end stays, because its LF may follow. */
static size_t swallow_line(struct smtp_relay *relay, const char *data, size_t len,
			   struct output *client)
{
	const char *end = len > 0 ? memmem(data, len, "\r\n", LINE_END_SIZE) : NULL;
	size_t used = len;

	if (end)
		used = (size_t)(end - data) + LINE_END_SIZE;
	else if (len > 0 && data[len - 1] == '\r')
		used = len - 1;
	if (swallow(relay, used, client) && end)
		relay->mode = MODE_COMMANDS;
	return used;
}

static size_t swallow_chunk(struct smtp_relay *relay, size_t len)
{
	size_t used = len < relay->chunk_left ? len : (size_t)relay->chunk_left;

	relay->chunk_left -= used;
	if (relay->chunk_left == 0)
		relay->mode = MODE_COMMANDS;
	return used;
}

static size_t swallow_message(struct smtp_relay *relay, const char *data, size_t len,
			      struct output *client)
{
	size_t used;
	enum smtp_data_result result = smtp_data_scan(&relay->data, data, len, &used);

	if (result == SMTP_DATA_BAD) {
		relay->data.inside_line = true; /* a bad byte ends no line */
		used++;
	}
	if (swallow(relay, used, client) && result == SMTP_DATA_END) {
		relay->in_message = false;
		relay->mode = MODE_COMMANDS;
		say(relay, "550 5.6.11 Bare CR, bare LF or NUL in the message\r\n", client);
	}
	return used;
}

/* ---- the client ---- */

static size_t pass_message(struct smtp_relay *relay, const char *data, size_t len,
			   struct output *backend, enum smtp_relay_event *event)
{
	size_t room = output_room(backend), used;

	switch (smtp_data_scan(&relay->data, data, len < room ? len : room, &used)) {
	case SMTP_DATA_MORE:
		break;
	case SMTP_DATA_END:
		relay->in_message = false;
		relay->mode = MODE_COMMANDS;
		smtp_queue_push(&relay->owed, (struct smtp_owed) { .type = SMTP_OWED_MESSAGE });
		break;
	case SMTP_DATA_BAD:
		relay->cut = true;
		relay->mode = MODE_SPOILT;
		relay->swallowed = 0;
		*event = SMTP_RELAY_CUT;
		return used; /* the bad byte is met again there; what is clean before it is lost */
	}
	output_span(backend, (struct span) { data, used });
	return used;
}

static size_t read_command(struct smtp_relay *relay, const char *data, size_t len,
			   struct output *backend, struct output *client)
{
	struct span line;
	enum line_result result;

	if (relay->owed.count >= SMTP_RELAY_QUEUE)
		return 0;
	result = line_cut(data, len, relay->settings.line_max, &relay->scanned, &line);
	if (result == LINE_MORE)
		return 0;
	if (relay->cut) {
		take_command_after_cut(relay, line, client);
		return result == LINE_WHOLE ? line.len + LINE_END_SIZE : len;
	}
	if (result == LINE_LONG) {
		relay->mode = MODE_LINE;
		relay->swallowed = 0;
		say(relay, "500 5.5.2 Line too long\r\n", client);
		return swallow_line(relay, data, len, client);
	}
	if (result == LINE_BARE_LF) {
		/* Where this line ends is a matter of opinion, and so is what follows it. */
		say_last(relay, "500 5.5.2 Lines end with CR LF\r\n", "bare_lf", client);
		return len;
	}
	if (result == LINE_BAD)
		say(relay, REPLY_SYNTAX, client);
	else if (!take_command(relay, line, backend, client))
		return 0;
	return line.len + LINE_END_SIZE;
}

static size_t read_client(struct smtp_relay *relay, const char *data, size_t len,
			  struct output *backend, struct output *client,
			  enum smtp_relay_event *event)
{
	switch (relay->mode) {
	case MODE_COMMANDS:
		return read_command(relay, data, len, backend, client);
	case MODE_MESSAGE:
		return pass_message(relay, data, len, backend, event);
	case MODE_SPOILT:
		return swallow_message(relay, data, len, client);
	case MODE_LINE:
		return swallow_line(relay, data, len, client);
	case MODE_CHUNK:
		return swallow_chunk(relay, len);
	case MODE_ANSWER_FIRST:
	case MODE_LAST_WORDS:
	case MODE_CLOSED:
		break;
	}
	return 0;
}

size_t smtp_relay_client(struct smtp_relay *relay, const char *data, size_t len,
			 struct output *backend, struct output *client,
			 enum smtp_relay_event *event)
{
	size_t used = 0, step;
	enum mode before;

	*event = SMTP_RELAY_GO_ON;
	flush_own(relay, client);
	do {
		before = relay->mode;
		step = read_client(relay, data + used, len - used, backend, client, event);
		used += step;
	} while (used < len && (step > 0 || relay->mode != before));
	if (relay->mode == MODE_CLOSED)
		*event = SMTP_RELAY_CLOSE;
	return used;
}

/* ---- the backend's replies ---- */

static bool is_refusal(unsigned code)
{
	return code >= 400;
}

/* Passes a line on. At the end of the reply what was owed is settled and the client is read again in `mode`. */
static bool pass_reply(struct smtp_relay *relay, const struct smtp_reply *reply, bool last,
		       enum mode mode, struct output *client)
{
	if (!try_write(client, reply->line))
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
	flush_own(relay, client);
	return true;
}

static bool deliver_greeting(struct smtp_relay *relay, enum smtp_owed_type type,
			     const struct smtp_reply *reply, bool last, struct output *client)
{
	const struct smtp_relay_settings *settings = &relay->settings;
	bool written;

	if (type == SMTP_OWED_EHLO && reply->lines == 1)
		relay->ehlo = (struct smtp_ehlo) { .offered = 0 };
	else if (type == SMTP_OWED_EHLO)
		smtp_ehlo_note(&relay->ehlo, settings->capabilities, reply->text);
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
	relay->mode = MODE_COMMANDS;
	smtp_queue_pop(&relay->owed);
	return true;
}

/* True when a reply of that code makes sense as the answer to what is at the head. */
static bool is_answer(enum smtp_owed_type type, unsigned code)
{
	switch (type) {
	case SMTP_OWED_DATA:
		return code == 354 || is_refusal(code);
	case SMTP_OWED_EHLO:
	case SMTP_OWED_HELO:
		return code == 250 || is_refusal(code);
	case SMTP_OWED_REPLY:
	case SMTP_OWED_MESSAGE:
		return code < 300 || is_refusal(code);
	case SMTP_OWED_QUIT:
	case SMTP_OWED_OWN:
		break;
	}
	return true;
}

/* False when the line must wait for room. */
static bool deliver(struct smtp_relay *relay, const struct smtp_reply *reply, bool last,
		    struct output *client)
{
	const struct smtp_owed *head = smtp_queue_head(&relay->owed);

	if (!head && reply->code == 421 && relay->mode != MODE_MESSAGE)
		return pass_reply(relay, reply, last, MODE_CLOSED, client);
	if (!head || !is_answer(head->type, reply->code)) {
		give_up(relay, REPLY_BACKEND_GONE, "backend_failed", client);
		return true;
	}
	switch (head->type) {
	case SMTP_OWED_QUIT:
		if (last)
			give_up(relay, REPLY_BYE, "client_quit", client);
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
		relay->in_message = last;
		return true;
	case SMTP_OWED_REPLY:
	case SMTP_OWED_MESSAGE:
		/* The client may be in the middle of something else by now. */
		return pass_reply(relay, reply, last, relay->mode, client);
	case SMTP_OWED_OWN:
		return false;
	}
	return pass_reply(relay, reply, last, MODE_COMMANDS, client);
}

static size_t read_backend(struct smtp_relay *relay, const char *data, size_t len,
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
		give_up(relay, REPLY_BACKEND_GONE, "backend_failed", client);
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

size_t smtp_relay_backend(struct smtp_relay *relay, const char *data, size_t len,
			  struct output *client, enum smtp_relay_event *event)
{
	size_t used = 0, step;

	*event = SMTP_RELAY_GO_ON;
	flush_own(relay, client);
	if (relay->cut)
		used = len; /* nobody waits for what it still had to say */
	while (used < len && relay->mode != MODE_CLOSED) {
		step = read_backend(relay, data + used, len - used, client);
		if (step == 0)
			break;
		used += step;
	}
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
		give_up(relay, quitting ? REPLY_BYE : REPLY_BACKEND_GONE,
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

bool smtp_relay_in_message(const struct smtp_relay *relay)
{
	return relay->in_message;
}

const char *smtp_relay_reason(const struct smtp_relay *relay)
{
	return relay->reason ? relay->reason : "closed";
}
