/* smtp_login - see smtp_login.h and login.h: greeting, EHLO, STARTTLS where it is required, XCLIENT where it is offered, AUTH.
 * Invariants: one command at a time, and a byte behind its reply is a backend that answers before it is asked: a
 * failure, so that no 235 can be taken that was not said to the password. Only 235 to the line that carried the
 * password is acceptance; only 535 once the user was named is refusal; all else is temporary. The password travels in
 * base64 alone. XCLIENT makes a new session of it: EHLO again, in the client's name, and what was offered before is
 * forgotten. XCLIENT with LOGIN and AUTH never happen in the same session; with LOGIN, acceptance is 220 to it and 250 to
 * that EHLO.
 * RFC 5321 4.2, 4.3.2; RFC 3207 4; RFC 4954 4; RFC 4616 2.
 */
#include "protocols/smtp_login.h"
#include "protocols/base64.h"
#include "protocols/smtp_reply.h"
#include "protocols/smtp_xclient.h"

/* RFC 4954 4: an initial response that would make the line longer waits for a challenge. */
#define AUTH_LINE_MAX 512

/* A state is what we wait for. */
enum state {
	STATE_GREETING,
	STATE_EHLO,
	STATE_STARTTLS,
	STATE_XCLIENT,
	STATE_PLAIN_CHALLENGE,
	STATE_LOGIN_USER,
	STATE_LOGIN_PASSWORD,
	STATE_VERDICT,
};

enum offer {
	OFFER_STARTTLS = 1,
	OFFER_PLAIN = 2,
	OFFER_LOGIN = 4,
	OFFER_XCLIENT = 8, /* from here on SMTP_XCLIENT_BITS bits: its attributes */
};

static enum login_result temporary(struct login *login, const char *reason)
{
	login->reason = reason;
	return LOGIN_TEMPORARY;
}

static enum login_result wait_for(struct login *login, enum state state)
{
	login->state = (int)state;
	return LOGIN_MORE;
}

static void send_ehlo(struct login *login, struct output *output)
{
	bool introduced = login->introduced > 0 && login->client.name[0] != '\0';

	login->state = STATE_EHLO;
	login->flags = 0;
	login->extensions = (struct smtp_extensions) { .offered = 0 };
	output_text(output, "EHLO ");
	output_text(output, introduced ? login->client.name : login->settings->hostname);
	output_text(output, "\r\n");
}

/* A line of the EHLO reply behind the first. "AUTH=PLAIN" is how servers spoke before RFC 2554. */
static void note_offer(struct login *login, struct span text)
{
	struct span rest = text, word = span_word(&rest);

	if (span_is(word, "STARTTLS"))
		login->flags |= OFFER_STARTTLS;
	else if (span_is(word, "XCLIENT"))
		login->flags |= OFFER_XCLIENT * smtp_xclient_offer(rest);
	if (span_begins(word, "AUTH="))
		word = span_from(word, strlen("AUTH="));
	else if (span_is(word, "AUTH"))
		word = span_word(&rest);
	else
		return;
	for (; word.len > 0; word = span_word(&rest)) {
		if (span_is(word, "PLAIN"))
			login->flags |= OFFER_PLAIN;
		else if (span_is(word, "LOGIN"))
			login->flags |= OFFER_LOGIN;
	}
}

static enum login_result begin_plain(struct login *login, struct output *output)
{
	size_t line = strlen("AUTH PLAIN \r\n") + login_plain_size(login);

	if (!login_plain_fits(login))
		return temporary(login, "the credential cannot be sent by AUTH PLAIN");
	if (line > AUTH_LINE_MAX) {
		output_text(output, "AUTH PLAIN\r\n");
		return wait_for(login, STATE_PLAIN_CHALLENGE);
	}
	login->credential_sent = true;
	output_text(output, "AUTH PLAIN ");
	login_plain(login, output);
	output_text(output, "\r\n");
	return wait_for(login, STATE_VERDICT);
}

static enum login_result authenticate(struct login *login, struct output *output)
{
	if (login->flags & OFFER_PLAIN)
		return begin_plain(login, output);
	if (login->settings->mode == LOGIN_MODE_MASTER)
		return temporary(login, "the backend does not offer AUTH PLAIN");
	if (login->flags & OFFER_LOGIN) {
		output_text(output, "AUTH LOGIN\r\n");
		return wait_for(login, STATE_LOGIN_USER);
	}
	return temporary(login, "no usable AUTH offered by the backend");
}

static enum smtp_xclient_result write_xclient(struct login *login, struct output *output)
{
	const struct smtp_xclient xclient = {
		.offered = login->flags / OFFER_XCLIENT,
		.client = &login->client,
		.login = login->settings->mode == LOGIN_MODE_XCLIENT ? login->credential->user
								     : SPAN(""),
	};

	return smtp_xclient_write(&xclient, &login->introduced, output);
}

/* The first or next line of XCLIENT; EHLO once all is told, or AUTH at once when there is nothing to tell. */
static enum login_result introduce(struct login *login, struct output *output)
{
	bool begun = login->introduced > 0;

	switch (write_xclient(login, output)) {
	case SMTP_XCLIENT_WRITTEN:
		return wait_for(login, STATE_XCLIENT);
	case SMTP_XCLIENT_LONG:
		return temporary(login, "the user's name is too long for XCLIENT");
	case SMTP_XCLIENT_OVER:
		break;
	}
	if (!begun)
		return authenticate(login, output);
	send_ehlo(login, output);
	return LOGIN_MORE;
}

static enum login_result after_ehlo(struct login *login, unsigned code, struct output *output)
{
	if (code != 250)
		return temporary(login, "the backend refused EHLO");
	if (login->settings->starttls && !login->tls) {
		if (!(login->flags & OFFER_STARTTLS))
			return temporary(login, "the backend does not offer STARTTLS");
		output_text(output, "STARTTLS\r\n");
		return wait_for(login, STATE_STARTTLS);
	}
	if (login->introduced > 0)
		return login->settings->mode == LOGIN_MODE_XCLIENT ? LOGIN_ACCEPTED
								   : authenticate(login, output);
	if (login->settings->mode == LOGIN_MODE_XCLIENT &&
	    !smtp_xclient_offers_login(login->flags / OFFER_XCLIENT))
		return temporary(login, "the backend does not offer XCLIENT with LOGIN");
	return introduce(login, output);
}

static enum login_result after_challenge(struct login *login, struct output *output)
{
	const struct credential *credential = login->credential;
	enum state next = STATE_VERDICT;

	login->credential_sent = true;
	if (login->state == STATE_PLAIN_CHALLENGE) {
		login_plain(login, output);
	} else if (login->state == STATE_LOGIN_USER) {
		base64_encode(credential->user, output);
		next = STATE_LOGIN_PASSWORD;
	} else {
		base64_encode(credential->password, output);
	}
	output_text(output, "\r\n");
	return wait_for(login, next);
}

static enum login_result after_auth(struct login *login, unsigned code, struct output *output)
{
	bool named = login->state == STATE_LOGIN_PASSWORD || login->state == STATE_VERDICT;

	if (login->state == STATE_VERDICT && code == 235)
		return LOGIN_ACCEPTED;
	if (login->state != STATE_VERDICT && code == 334)
		return after_challenge(login, output);
	if (named && code == 535) {
		login->reason = "the backend refused the credential";
		return LOGIN_REFUSED;
	}
	if (code == 235)
		return temporary(login, "the backend accepted before it had the password");
	if (code >= 400 && code < 500)
		return temporary(login, "the backend cannot authenticate now");
	return temporary(login, "the backend does not carry out AUTH");
}

static enum login_result after_reply(struct login *login, unsigned code, struct output *output)
{
	switch ((enum state)login->state) {
	case STATE_GREETING:
		if (code != 220)
			return temporary(login, "the backend does not greet with 220");
		send_ehlo(login, output);
		return LOGIN_MORE;
	case STATE_EHLO:
		return after_ehlo(login, code, output);
	case STATE_STARTTLS:
		return code == 220 ? LOGIN_START_TLS
				   : temporary(login, "the backend refused STARTTLS");
	case STATE_XCLIENT:
		return code == 220 ? introduce(login, output)
				   : temporary(login, "the backend refused XCLIENT");
	case STATE_PLAIN_CHALLENGE:
	case STATE_LOGIN_USER:
	case STATE_LOGIN_PASSWORD:
	case STATE_VERDICT:
		break;
	}
	return after_auth(login, code, output);
}

/* Looks for one whole reply; its lines stay with the caller until then, so that nothing is kept between calls. */
static enum smtp_reply_result read_reply(struct login *login, const char *data, size_t len,
					 size_t *size, unsigned *code)
{
	struct smtp_reply reply = { 0 };
	enum smtp_reply_result result;

	*size = 0;
	do {
		result = smtp_reply_next(&reply, data + *size, len - *size);
		if (result == SMTP_REPLY_MORE || result == SMTP_REPLY_BAD)
			break;
		*size += reply.line.len;
		*code = reply.code;
		if (login->state == STATE_EHLO && reply.lines > 1) {
			note_offer(login, reply.text);
			smtp_extension_note(&login->extensions, reply.text);
		}
	} while (result == SMTP_REPLY_LINE);
	if (result == SMTP_REPLY_MORE && len >= LOGIN_LINE_MAX)
		return SMTP_REPLY_BAD;
	return result;
}

static enum login_result smtp_login_input(struct login *login, const char *data, size_t len,
					  size_t *used, struct output *output)
{
	enum login_result result;
	unsigned code = 0;
	size_t size;

	if (len == 0)
		return LOGIN_MORE;
	switch (read_reply(login, data, len, &size, &code)) {
	case SMTP_REPLY_MORE:
		return LOGIN_MORE;
	case SMTP_REPLY_LINE:
	case SMTP_REPLY_BAD:
		return temporary(login, "the backend sent what is no SMTP reply");
	case SMTP_REPLY_LAST:
		break;
	}
	*used = size;
	if (size < len && login->state != STATE_VERDICT)
		return temporary(login, "the backend spoke before it was asked");
	result = after_reply(login, code, output);
	if (output->overflow)
		return temporary(login, "the credential is too long for the backend");
	return result;
}

static void smtp_login_tls_started(struct login *login, struct output *output)
{
	send_ehlo(login, output);
}

const struct login_script smtp_login_script = {
	.input = smtp_login_input,
	.tls_started = smtp_login_tls_started,
};
