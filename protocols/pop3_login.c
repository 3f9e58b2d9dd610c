/* pop3_login - logs a user in to a POP3 backend and judges its answer.
 * Invariants: see login.h. Only +OK to PASS, or to the response of AUTH, is an acceptance. A credential that USER and PASS
 * cannot carry unchanged goes by AUTH PLAIN or not at all, and so does a master login. XCLIENT is Dovecot's: it says
 * [XCLIENT] in its greeting to those whom it trusts, in its list of capabilities nothing. So, unlike all else, the word of
 * the greeting holds behind STLS too; who forges it gets a login that fails, who removes it hides the client's address.
 * RFC 1939 7, RFC 2449 4 and 8, RFC 2595 4, RFC 3206, RFC 5034.
 */
#include "protocols/pop3_login.h"
#include "protocols/line.h"
#include "protocols/pop3_reply.h"
#include <stdio.h>

enum state {
	STATE_GREETING,
	STATE_STLS,
	STATE_HANDSHAKE, /* until login_tls_started() */
	STATE_XCLIENT,
	STATE_CAPA,
	STATE_CAPA_LIST,
	STATE_USER,
	STATE_PASS,
	STATE_AUTH,     /* "+" awaited */
	STATE_RESPONSE, /* the response has been sent */
};

enum {
	OFFER_PLAIN = 1 << 0,
	OFFER_LINE = 1 << 16, /* the bits from here on count lines of the list of capabilities */
	CAPABILITIES_MAX = 200,
	COMMAND_MAX = 255, /* octets of a command with its CRLF: RFC 2449 4 */
	XCLIENT_INVITED = 1,
};

static enum login_result fail(struct login *login, const char *reason)
{
	login->reason = reason;
	return LOGIN_TEMPORARY;
}

/* ---- commands --------------------------------------------------------------------------------------------------- */

static enum login_result send_command(struct login *login, enum state state, const char *verb,
				      struct span argument, struct output *output)
{
	output_text(output, verb);
	output_span(output, argument);
	output_text(output, "\r\n");
	login->state = state;
	return output->overflow ? fail(login, "a command does not fit") : LOGIN_MORE;
}

/* Whether USER and PASS carry the credential exactly. A name ends at a blank; a password goes to the end of its line. */
static bool fits_user_pass(const struct credential *credential)
{
	size_t room = COMMAND_MAX - strlen("USER \r\n");
	struct span user = credential->user, password = credential->password;

	if (user.len > room || password.len > room)
		return false;
	for (size_t i = 0; i < user.len; i++)
		if ((unsigned char)user.data[i] <= 0x20 || user.data[i] == 0x7f)
			return false;
	return !memchr(password.data, '\r', password.len) &&
	       !memchr(password.data, '\n', password.len) &&
	       !memchr(password.data, '\0', password.len);
}

static enum login_result begin_login(struct login *login, struct output *output)
{
	if (login->settings->mode == LOGIN_MODE_PASSWORD && fits_user_pass(login->credential)) {
		login->credential_sent = true;
		return send_command(login, STATE_USER, "USER ", login->credential->user, output);
	}
	if (!login_plain_fits(login))
		return fail(login, "credential cannot be expressed to this backend");
	return send_command(login, STATE_CAPA, "CAPA", SPAN(""), output);
}

/* Dovecot takes addresses of both families as they are, without "IPV6:". */
static enum login_result introduce(struct login *login, struct output *output)
{
	const struct login_client *client = &login->client;

	if (login->introduced != XCLIENT_INVITED || client->peer.address[0] == '\0')
		return begin_login(login, output);
	output_format(output, "XCLIENT ADDR=%s PORT=%u SESSION=%s TTL=%u", client->peer.address,
		      client->peer.port, client->session, LOGIN_PROXY_TTL);
	return send_command(login, STATE_XCLIENT, "", SPAN(""), output);
}

static enum login_result send_response(struct login *login, struct output *output)
{
	login->credential_sent = true;
	login_plain(login, output);
	return send_command(login, STATE_RESPONSE, "", SPAN(""), output);
}

/* ---- replies ---------------------------------------------------------------------------------------------------- */

/* -ERR to USER, PASS or AUTH. Only codes that we know go on to the client. */
static enum login_result judge_error(struct login *login, struct span code)
{
	static const char *const kept[] = { "IN-USE", "LOGIN-DELAY", "SYS/TEMP", "SYS/PERM" };

	if (code.len == 0 || span_is(code, "AUTH")) {
		login->reason = "backend refused the credential";
		return LOGIN_REFUSED;
	}
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (span_is(code, kept[i]))
			snprintf(login->code, sizeof(login->code), "%s", kept[i]);
	return fail(login, "backend cannot log the user in now");
}

static enum login_result handle_ok(struct login *login, struct span code, struct output *output)
{
	switch ((enum state)login->state) {
	case STATE_GREETING:
		login->introduced = span_is(code, "XCLIENT") ? XCLIENT_INVITED : 0;
		if (login->settings->starttls && !login->tls)
			return send_command(login, STATE_STLS, "STLS", SPAN(""), output);
		return introduce(login, output);
	case STATE_XCLIENT:
		return begin_login(login, output);
	case STATE_STLS:
		login->state = STATE_HANDSHAKE;
		return LOGIN_START_TLS;
	case STATE_CAPA:
		login->state = STATE_CAPA_LIST;
		return LOGIN_MORE;
	case STATE_USER:
		return send_command(login, STATE_PASS, "PASS ", login->credential->password,
				    output);
	case STATE_PASS:
	case STATE_RESPONSE:
		return LOGIN_ACCEPTED;
	default: /* +OK to AUTH, before any response was sent */
		return fail(login, "backend ended the login command early");
	}
}

static enum login_result handle_error(struct login *login, struct span code)
{
	switch ((enum state)login->state) {
	case STATE_GREETING:
		judge_error(login, code);
		return fail(login, "backend refused the connection");
	case STATE_STLS:
		return fail(login, "backend refused STLS");
	case STATE_XCLIENT:
		return fail(login, "backend refused XCLIENT");
	case STATE_CAPA:
		return fail(login, "credential cannot be expressed to this backend");
	case STATE_USER:
	case STATE_PASS:
	case STATE_RESPONSE:
		return judge_error(login, code);
	default: /* AUTH itself: the credential was not seen */
		judge_error(login, code);
		return fail(login, "backend ended the login command early");
	}
}

/* A line of the answer to CAPA. */
static enum login_result handle_capability(struct login *login, struct span line,
					   struct output *output)
{
	struct span word = span_word(&line);

	login->flags += OFFER_LINE;
	if (login->flags / OFFER_LINE > CAPABILITIES_MAX)
		return fail(login, "backend talks without end");
	if (span_is(word, ".")) {
		if (login->flags & OFFER_PLAIN)
			return send_command(login, STATE_AUTH, "AUTH PLAIN", SPAN(""), output);
		return fail(login, "credential cannot be expressed to this backend");
	}
	if (!span_is(word, "SASL"))
		return LOGIN_MORE;
	for (word = span_word(&line); word.len > 0; word = span_word(&line))
		if (span_is(word, "PLAIN"))
			login->flags |= OFFER_PLAIN;
	return LOGIN_MORE;
}

static enum login_result handle_line(struct login *login, struct span line, struct output *output)
{
	struct pop3_reply reply;

	if (login->state == STATE_CAPA_LIST)
		return handle_capability(login, line, output);
	if (!pop3_reply_parse(line, &reply))
		return fail(login, "backend sent a line that is no POP3 reply");
	if (reply.status == POP3_STATUS_OK)
		return handle_ok(login, reply.code, output);
	if (reply.status == POP3_STATUS_ERROR)
		return handle_error(login, reply.code);
	if (login->state != STATE_AUTH)
		return fail(login, "backend sent an unexpected continuation request");
	return send_response(login, output);
}

static enum login_result pop3_login_input(struct login *login, const char *data, size_t len,
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
			return fail(login, "backend spoke in clear after STLS");
		if (output->len > begun)
			return fail(login, "backend answered before it was asked");
		*used += line.len + LINE_END_SIZE;
		result = handle_line(login, line, output);
	}
	if (result == LOGIN_START_TLS && *used < len)
		return fail(login, "backend sent bytes behind its STLS reply");
	return result;
}

/* RFC 2595 4: the server sends no second greeting. */
static void pop3_login_tls_started(struct login *login, struct output *output)
{
	introduce(login, output);
}

const struct login_script pop3_login_script = {
	.input = pop3_login_input,
	.tls_started = pop3_login_tls_started,
};
