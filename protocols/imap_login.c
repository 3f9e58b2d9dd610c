/* imap_login - logs a user in to an IMAP backend and judges its answer.
 * Invariants: see login.h. Only the tagged OK to the command that carried the whole credential is an acceptance, and
 * only when the backend offers no way back from it (UNAUTHENTICATE, RFC 8437). Literals of a backend before
 * login are a failure: nothing that it has to say then needs one. The client is made known by ID, with the fields that
 * Dovecot takes from those whom it trusts; what the backend answers to that changes nothing.
 * RFC 9051 6.2 and 7, RFC 2595 3.1, RFC 2971 3.1, RFC 4959, RFC 7888, RFC 5530.
 */
#include "protocols/imap_login.h"
#include "protocols/imap_reply.h"
#include "protocols/line.h"
#include <stdio.h>

enum state {
	STATE_GREETING,
	STATE_CAPABILITY, /* asked, before login */
	STATE_STARTTLS,
	STATE_HANDSHAKE, /* until login_tls_started() */
	STATE_ID,
	STATE_USER_LITERAL,     /* "+" awaited, for the name of LOGIN */
	STATE_PASSWORD_LITERAL, /* the same for its password */
	STATE_RESPONSE,         /* the same for AUTHENTICATE without SASL-IR */
	STATE_VERDICT,          /* the credential has been sent whole */
	STATE_LOGGED_IN,        /* accepted; capabilities asked for the client's sake */
};

/* Our own tags: an answer to one question is never taken for that to another. */
static const char *const tags[] = {
	[STATE_GREETING] = "",           [STATE_CAPABILITY] = "C1", [STATE_STARTTLS] = "S1",
	[STATE_HANDSHAKE] = "",          [STATE_ID] = "I1",         [STATE_USER_LITERAL] = "L1",
	[STATE_PASSWORD_LITERAL] = "L1", [STATE_RESPONSE] = "L1",   [STATE_VERDICT] = "L1",
	[STATE_LOGGED_IN] = "C2",
};

enum offer {
	OFFER_KNOWN = 1 << 0, /* a list of capabilities has been seen */
	OFFER_STARTTLS = 1 << 1,
	OFFER_LOGINDISABLED = 1 << 2,
	OFFER_PLAIN = 1 << 3,
	OFFER_SASL_IR = 1 << 4,
	OFFER_LITERAL_PLUS = 1 << 5,
	OFFER_LITERAL_MINUS = 1 << 6,
	OFFER_UNAUTHENTICATE = 1 << 7,
	OFFER_ID = 1 << 8,
	OFFER_LINE = 1 << 16, /* the bits from here on count untagged lines */
};

enum {
	UNTAGGED_MAX = 1000,
	QUOTED_MAX =
		4096, /* longer ones go as literals, for the backend's line limit and our output */
	LITERAL_MINUS_MAX = 4096, /* RFC 7888 5 */
};

static enum login_result fail(struct login *login, const char *reason)
{
	login->reason = reason;
	return LOGIN_TEMPORARY;
}

/* ---- capabilities ----------------------------------------------------------------------------------------------- */

static unsigned offer_of(struct span word)
{
	static const struct {
		const char *name;
		unsigned offer;
	} known[] = {
		{ "STARTTLS", OFFER_STARTTLS },
		{ "LOGINDISABLED", OFFER_LOGINDISABLED },
		{ "AUTH=PLAIN", OFFER_PLAIN },
		{ "SASL-IR", OFFER_SASL_IR },
		{ "LITERAL+", OFFER_LITERAL_PLUS },
		{ "LITERAL-", OFFER_LITERAL_MINUS },
		{ "UNAUTHENTICATE", OFFER_UNAUTHENTICATE },
		{ "ID", OFFER_ID },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (span_is(word, known[i].name))
			return known[i].offer;
	return 0;
}

static bool may_show(struct span word)
{
	for (size_t i = 0; i < word.len; i++)
		if (word.data[i] <= 0x20 || word.data[i] > 0x7e || word.data[i] == ']')
			return false;
	return !span_begins(word, "AUTH=") &&
	       !(offer_of(word) &
		 (OFFER_STARTTLS | OFFER_LOGINDISABLED | OFFER_SASL_IR | OFFER_UNAUTHENTICATE));
}

/* Forgets the earlier list; keeps what the client may see of this one, as far as there is room. */
static void learn_capabilities(struct login *login, struct span list)
{
	size_t len = 0;

	login->flags = (login->flags & ~(unsigned)(OFFER_LINE - 1)) | OFFER_KNOWN;
	for (struct span word = span_word(&list); word.len > 0; word = span_word(&list)) {
		login->flags |= offer_of(word);
		if (!may_show(word) || len + 1 + word.len >= sizeof(login->capabilities))
			continue;
		if (len > 0)
			login->capabilities[len++] = ' ';
		memcpy(login->capabilities + len, word.data, word.len);
		len += word.len;
	}
	login->capabilities[len] = '\0';
}

/* ---- commands --------------------------------------------------------------------------------------------------- */

static enum login_result wait_in(struct login *login, enum state state, const struct output *output)
{
	login->state = state;
	return output->overflow ? fail(login, "a command does not fit") : LOGIN_MORE;
}

static enum login_result ask(struct login *login, enum state state, const char *command,
			     struct output *output)
{
	output_text(output, tags[state]);
	output_text(output, command);
	return wait_in(login, state, output);
}

/* Octets between the quotes, or 0 when the string must go as a literal. */
static size_t quoted_size(struct span text)
{
	size_t size = text.len;

	for (size_t i = 0; i < text.len; i++) {
		unsigned char byte = (unsigned char)text.data[i];

		if (byte < 0x20 || byte > 0x7e)
			return 0;
		if (byte == '"' || byte == '\\')
			size++;
	}
	return size <= QUOTED_MAX ? size : 0;
}

static void write_quoted(struct span text, struct output *output)
{
	output_text(output, "\"");
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == '"' || text.data[i] == '\\')
			output_text(output, "\\");
		output_span(output, (struct span) { text.data + i, 1 });
	}
	output_text(output, "\"");
}

/* Writes one argument of LOGIN. True when the backend must invite the octets of a literal first. */
static bool write_string(const struct login *login, struct span text, struct output *output)
{
	bool at_once = (login->flags & OFFER_LITERAL_PLUS) ||
		       ((login->flags & OFFER_LITERAL_MINUS) && text.len <= LITERAL_MINUS_MAX);

	if (quoted_size(text) > 0) {
		write_quoted(text, output);
		return false;
	}
	output_format(output, at_once ? "{%zu+}\r\n" : "{%zu}\r\n", text.len);
	if (at_once)
		output_span(output, text);
	return !at_once;
}

static enum login_result write_password(struct login *login, struct output *output)
{
	output_text(output, " ");
	if (write_string(login, login->credential->password, output))
		return wait_in(login, STATE_PASSWORD_LITERAL, output);
	output_text(output, "\r\n");
	return wait_in(login, STATE_VERDICT, output);
}

static enum login_result write_login(struct login *login, struct output *output)
{
	login->credential_sent = true;
	output_text(output, tags[STATE_VERDICT]);
	output_text(output, " LOGIN ");
	if (write_string(login, login->credential->user, output))
		return wait_in(login, STATE_USER_LITERAL, output);
	return write_password(login, output);
}

static enum login_result write_response(struct login *login, struct output *output)
{
	login->credential_sent = true;
	login_plain(login, output);
	output_text(output, "\r\n");
	return wait_in(login, STATE_VERDICT, output);
}

static enum login_result write_authenticate(struct login *login, struct output *output)
{
	if (!(login->flags & OFFER_SASL_IR))
		return ask(login, STATE_RESPONSE, " AUTHENTICATE PLAIN\r\n", output);
	output_text(output, tags[STATE_VERDICT]);
	output_text(output, " AUTHENTICATE PLAIN ");
	return write_response(login, output);
}

static void write_field(const char *name, const char *value, struct output *output)
{
	if (value[0] == '\0')
		return;
	write_quoted(span_of(name), output);
	output_text(output, " ");
	write_quoted(span_of(value), output);
	output_text(output, " ");
}

static void write_endpoint(const struct login_endpoint *endpoint, const char *address,
			   const char *port, struct output *output)
{
	char number[16];

	snprintf(number, sizeof(number), "%u", endpoint->port);
	write_field(address, endpoint->address, output);
	write_field(port, endpoint->port > 0 ? number : "", output);
}

/* Six fields, short ones: within RFC 2971 3.3. */
static enum login_result introduce(struct login *login, struct output *output)
{
	const struct login_client *client = &login->client;

	login->introduced = 1;
	output_text(output, tags[STATE_ID]);
	output_text(output, " ID (");
	write_field("x-session-id", client->session, output);
	write_endpoint(&client->peer, "x-originating-ip", "x-originating-port", output);
	write_endpoint(&client->local, "x-connected-ip", "x-connected-port", output);
	output_format(output, "\"x-proxy-ttl\" \"%u\")\r\n", LOGIN_PROXY_TTL);
	return wait_in(login, STATE_ID, output);
}

/* Neither a literal nor PLAIN can carry NUL (RFC 9051 9, RFC 4616 2). */
static enum login_result log_in(struct login *login, struct output *output)
{
	bool password = login->settings->mode == LOGIN_MODE_PASSWORD;

	if (!login_plain_fits(login))
		return fail(login, "credential cannot be expressed to this backend");
	/* The client is to see the list from behind the login. */
	login->flags &= ~(unsigned)OFFER_KNOWN;
	login->capabilities[0] = '\0';
	if (password && !(login->flags & OFFER_LOGINDISABLED))
		return write_login(login, output);
	if (!(login->flags & OFFER_PLAIN))
		return fail(login, password ? "backend offers neither LOGIN nor AUTH=PLAIN"
					    : "backend does not offer AUTH=PLAIN");
	return write_authenticate(login, output);
}

/* What the backend offers is known: the next command is STARTTLS, ID or the login. */
static enum login_result go_on(struct login *login, struct output *output)
{
	if (login->settings->starttls && !login->tls) {
		if (!(login->flags & OFFER_STARTTLS))
			return fail(login, "backend does not offer STARTTLS");
		return ask(login, STATE_STARTTLS, " STARTTLS\r\n", output);
	}
	if (login->flags & OFFER_UNAUTHENTICATE)
		return fail(login, "backend offers UNAUTHENTICATE");
	if ((login->flags & OFFER_ID) && !login->introduced &&
	    login->client.peer.address[0] != '\0')
		return introduce(login, output);
	return log_in(login, output);
}

/* ---- replies ---------------------------------------------------------------------------------------------------- */

static enum login_result handle_greeting(struct login *login, const struct imap_reply *reply,
					 struct output *output)
{
	if (reply->type != IMAP_REPLY_UNTAGGED)
		return fail(login, "backend sent no greeting");
	if (reply->condition == IMAP_CONDITION_PREAUTH)
		return fail(login, "backend sent PREAUTH");
	if (reply->condition != IMAP_CONDITION_OK)
		return fail(login, "backend refused the connection");
	if (!span_is(reply->code, "CAPABILITY"))
		return ask(login, STATE_CAPABILITY, " CAPABILITY\r\n", output);
	learn_capabilities(login, reply->code_value);
	return go_on(login, output);
}

static enum login_result handle_untagged(struct login *login, const struct imap_reply *reply)
{
	bool listening = login->state == STATE_CAPABILITY || login->state == STATE_VERDICT ||
			 login->state == STATE_LOGGED_IN;

	login->flags += OFFER_LINE;
	if (login->flags / OFFER_LINE > UNTAGGED_MAX)
		return fail(login, "backend talks without end");
	if (reply->condition == IMAP_CONDITION_BYE)
		return fail(login, "backend sent BYE");
	if (reply->condition == IMAP_CONDITION_PREAUTH)
		return fail(login, "backend sent PREAUTH");
	if (listening && span_is(reply->name, "CAPABILITY"))
		learn_capabilities(login, reply->value);
	return LOGIN_MORE;
}

static enum login_result handle_continuation(struct login *login, struct output *output)
{
	switch ((enum state)login->state) {
	case STATE_USER_LITERAL:
		output_span(output, login->credential->user);
		return write_password(login, output);
	case STATE_PASSWORD_LITERAL:
		output_span(output, login->credential->password);
		output_text(output, "\r\n");
		return wait_in(login, STATE_VERDICT, output);
	case STATE_RESPONSE:
		return write_response(login, output);
	default:
		return fail(login, "backend sent an unexpected continuation request");
	}
}

static enum login_result accept_login(struct login *login)
{
	if (login->flags & OFFER_UNAUTHENTICATE)
		return fail(login, "backend offers UNAUTHENTICATE");
	return LOGIN_ACCEPTED;
}

/* The answer to the whole credential; the table of what is refused and what is temporary. */
static enum login_result judge(struct login *login, const struct imap_reply *reply,
			       struct output *output)
{
	static const char *const refusals[] = { "AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED",
						"EXPIRED" };

	if (reply->condition == IMAP_CONDITION_OK) {
		if (span_is(reply->code, "CAPABILITY"))
			learn_capabilities(login, reply->code_value);
		if (login->flags & OFFER_KNOWN)
			return accept_login(login);
		return ask(login, STATE_LOGGED_IN, " CAPABILITY\r\n", output);
	}
	if (reply->condition != IMAP_CONDITION_NO)
		return fail(login, "backend found fault with the login command");
	login->reason = "backend refused the credential";
	if (reply->code.len == 0)
		return LOGIN_REFUSED;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (span_is(reply->code, refusals[i]))
			return LOGIN_REFUSED;
	return fail(login, "backend cannot log the user in now");
}

static enum login_result handle_tagged(struct login *login, const struct imap_reply *reply,
				       struct output *output)
{
	bool ok = reply->condition == IMAP_CONDITION_OK;
	bool known = login->flags & OFFER_KNOWN;

	if (!span_is(reply->tag, tags[login->state]))
		return fail(login, "backend sent a reply to no command of ours");
	switch ((enum state)login->state) {
	case STATE_CAPABILITY:
		return ok && known ? go_on(login, output)
				   : fail(login, "backend does not tell its capabilities");
	case STATE_STARTTLS:
		if (!ok)
			return fail(login, "backend refused STARTTLS");
		login->state = STATE_HANDSHAKE;
		return LOGIN_START_TLS;
	case STATE_ID:
		return log_in(login, output);
	case STATE_VERDICT:
		return judge(login, reply, output);
	case STATE_LOGGED_IN:
		return ok && known ? accept_login(login)
				   : fail(login, "backend does not tell its capabilities");
	default: /* before the credential was sent whole, so this says nothing about it */
		return fail(login, "backend ended the login command early");
	}
}

/* `spoken`: a command has just been written, so that no answer to it can have come yet. */
static enum login_result handle_line(struct login *login, struct span line, bool spoken,
				     struct output *output)
{
	struct imap_reply reply;

	if (!imap_reply_parse(line, &reply))
		return fail(login, "backend sent a line that is no IMAP reply");
	if (reply.has_literal)
		return fail(login, "backend sent a literal before login");
	if (login->state == STATE_GREETING)
		return handle_greeting(login, &reply, output);
	if (reply.type == IMAP_REPLY_UNTAGGED)
		return handle_untagged(login, &reply);
	if (spoken)
		return fail(login, "backend answered before it was asked");
	if (reply.type == IMAP_REPLY_CONTINUATION)
		return handle_continuation(login, output);
	return handle_tagged(login, &reply, output);
}

static enum login_result imap_login_input(struct login *login, const char *data, size_t len,
					  size_t *used, struct output *output)
{
	enum login_result result = LOGIN_MORE;
	size_t begun = output->len;
	struct span line;

	while (result == LOGIN_MORE) {
		enum line_result cut =
			line_cut(data + *used, len - *used, LOGIN_LINE_MAX, &login->scanned, &line);

		if (cut == LINE_MORE)
			return LOGIN_MORE;
		if (cut != LINE_WHOLE)
			return fail(login, "backend sent a malformed or overlong line");
		if (login->state == STATE_HANDSHAKE)
			return fail(login, "backend spoke in clear after STARTTLS");
		*used += line.len + LINE_END_SIZE;
		result = handle_line(login, line, output->len > begun, output);
	}
	if (result == LOGIN_START_TLS && *used < len)
		return fail(login, "backend sent bytes behind its STARTTLS reply");
	return result;
}

static void imap_login_tls_started(struct login *login, struct output *output)
{
	ask(login, STATE_CAPABILITY, " CAPABILITY\r\n", output);
}

const struct login_script imap_login_script = {
	.input = imap_login_input,
	.tls_started = imap_login_tls_started,
};
