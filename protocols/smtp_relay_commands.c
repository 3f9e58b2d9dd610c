/* smtp_relay_commands - the client's side: commands, messages by DATA, and what is to be swallowed.
 * Invariants: the backend gets nothing but what take_command() and pass_message() write here, and the chunks of
 * smtp_relay_chunks.c; a backend without PIPELINING gets a command when it has answered the one before, and until then the
 * client's next ones stay with the caller, unread.
 * RFC 5321 4.1.1, 4.5.2; RFC 1870 6; RFC 2920 3.
 */
#include "protocols/line.h"
#include "protocols/smtp_relay_parts.h"

#define REPLY_SYNTAX "500 5.5.2 Syntax error\r\n"

/* ---- commands ---- */

static struct smtp_params_rules rules_now(const struct smtp_relay *relay)
{
	const unsigned both = SMTP_CHUNKING | SMTP_BINARYMIME;

	return (struct smtp_params_rules) {
		.met = relay->met.offered,
		.size_max = relay->shown.size,
		.binary = (relay->shown.offered & relay->met.offered & both) == both,
	};
}

/* What the backend will make of the transaction, so far as BDAT and DATA depend on it. */
static void note_transaction(struct smtp_relay *relay, const struct smtp_allowed *allowed)
{
	struct span verb = span_of(allowed->verb);

	if (span_is(verb, "RSET") || span_is(verb, "MAIL") || allowed->owed == SMTP_OWED_EHLO ||
	    allowed->owed == SMTP_OWED_HELO)
		smtp_relay_forget_series(relay);
}

/* RFC 3030 2, 3: DATA and BDAT do not mix, and binary octets have no place in DATA. */
static const char *refuse_data(const struct smtp_relay *relay)
{
	if (relay->binary)
		return "503 5.5.1 A binary message needs BDAT\r\n";
	return relay->series == SERIES_FAILED ? "503 5.5.1 BDAT has begun\r\n" : NULL;
}

/* False when the command must wait for room. */
static bool take_command(struct smtp_relay *relay, struct span line, struct output *backend,
			 struct output *client)
{
	struct smtp_params_rules rules = rules_now(relay);
	struct smtp_allowed allowed;
	const char *refusal = smtp_allow(line, &rules, &allowed);

	if (!refusal && allowed.owed == SMTP_OWED_CHUNK)
		return smtp_relay_take_chunk(relay, allowed.args, backend, client);
	if (!refusal && relay->series == SERIES_OPEN &&
	    smtp_relay_between_chunks(relay, allowed.verb, client))
		return true;
	if (!refusal && allowed.owed == SMTP_OWED_DATA)
		refusal = refuse_data(relay);
	if (refusal) {
		smtp_relay_say(relay, refusal, client);
		return true;
	}
	if (!smtp_allowed_write(&allowed, backend))
		return false;
	note_transaction(relay, &allowed);
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
		smtp_relay_say_last(relay, SMTP_REPLY_BYE, "client_quit", client);
	else
		smtp_relay_say_last(relay, SMTP_REPLY_AGAIN, relay->cut_reason, client);
}

void smtp_relay_doom(struct smtp_relay *relay, const char *reason)
{
	relay->doomed = true;
	relay->cut_reason = reason;
}

/* ---- what is swallowed ---- */

bool smtp_relay_swallow(struct smtp_relay *relay, size_t octets, struct output *client)
{
	relay->swallowed += octets;
	if (relay->swallowed <= relay->settings.swallow_max)
		return true;
	smtp_relay_say_last(relay, SMTP_REPLY_TOO_MUCH, "refused_command", client);
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
	if (smtp_relay_swallow(relay, used, client) && end)
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
	if (smtp_relay_swallow(relay, used, client) && result == SMTP_DATA_END) {
		relay->in_message = false;
		relay->mode = MODE_COMMANDS;
		smtp_relay_say(relay, SMTP_REPLY_SPOILT, client);
	}
	return used;
}

/* ---- the client ---- */

/* RFC 1870 6: the size that was declared is a guess, and the backend judges the true one; this is the end of patience. */
bool smtp_relay_count(struct smtp_relay *relay, size_t octets, struct output *client)
{
	uint64_t shown = relay->shown.size, met = relay->met.size, max = shown > met ? shown : met;

	relay->octets += octets;
	if (max == 0 || relay->octets <= max || relay->octets - max <= relay->settings.swallow_max)
		return true;
	smtp_relay_give_up(relay, "552 5.3.4 Message too big\r\n", "too_big", client);
	return false;
}

static size_t pass_message(struct smtp_relay *relay, const char *data, size_t len,
			   struct output *backend, struct output *client)
{
	size_t room = output_room(backend), used;
	enum smtp_data_result result =
		smtp_data_scan(&relay->data, data, len < room ? len : room, &used);

	if (result == SMTP_DATA_BAD) {
		smtp_relay_doom(relay, "bad_message");
		relay->mode = MODE_SPOILT;
		relay->swallowed = 0;
		return used; /* the bad byte is met again there; what is clean before it is lost */
	}
	if (!smtp_relay_count(relay, used, client))
		return used;
	output_span(backend, (struct span) { data, used });
	if (result == SMTP_DATA_END) {
		relay->in_message = false;
		relay->mode = MODE_COMMANDS;
		smtp_queue_push(&relay->owed, (struct smtp_owed) { .type = SMTP_OWED_MESSAGE });
	}
	return used;
}

/* Not before what is owed has come: a full queue, or a backend that takes one command at a time. */
static bool must_wait(const struct smtp_relay *relay)
{
	return relay->owed.count >= SMTP_RELAY_QUEUE ||
	       (relay->owed.count > 0 && !(relay->met.offered & SMTP_PIPELINING));
}

static size_t read_command(struct smtp_relay *relay, const char *data, size_t len,
			   struct output *backend, struct output *client)
{
	struct span line;
	enum line_result result;

	if (must_wait(relay))
		return 0;
	result = line_cut(data, len, relay->settings.line_max, &relay->scanned, &line);
	if (result == LINE_MORE)
		return 0;
	if (relay->doomed) {
		take_command_after_cut(relay, line, client);
		return result == LINE_WHOLE ? line.len + LINE_END_SIZE : len;
	}
	if (result == LINE_LONG) {
		relay->mode = MODE_LINE;
		relay->swallowed = 0;
		smtp_relay_say(relay, "500 5.5.2 Line too long\r\n", client);
		return swallow_line(relay, data, len, client);
	}
	if (result == LINE_BARE_LF) {
		/* Where this line ends is a matter of opinion, and so is what follows it. */
		smtp_relay_say_last(relay, "500 5.5.2 Lines end with CR LF\r\n", "bare_lf", client);
		return len;
	}
	if (result == LINE_BAD)
		smtp_relay_say(relay, REPLY_SYNTAX, client);
	else if (!take_command(relay, line, backend, client))
		return 0;
	return line.len + LINE_END_SIZE;
}

size_t smtp_relay_read_client(struct smtp_relay *relay, const char *data, size_t len,
			      struct output *backend, struct output *client)
{
	switch (relay->mode) {
	case MODE_COMMANDS:
		return read_command(relay, data, len, backend, client);
	case MODE_MESSAGE:
		return pass_message(relay, data, len, backend, client);
	case MODE_CHUNK:
		return smtp_relay_pass_chunk(relay, data, len, backend, client);
	case MODE_SPOILT:
		return swallow_message(relay, data, len, client);
	case MODE_LINE:
		return swallow_line(relay, data, len, client);
	case MODE_LOST_CHUNK:
		return smtp_relay_lose_chunk(relay, len);
	case MODE_ANSWER_FIRST:
	case MODE_LAST_WORDS:
	case MODE_CLOSED:
		break;
	}
	return 0;
}
