/* preauth - see preauth.h. Carries out what the dialogue decides.
 * Invariants: bytes behind STARTTLS/STLS end the session (RFC 3207 4.2, 2595); a credential that came before TLS is told to
 * the log by name and address only; input is wiped as it is used.
 */
#include "frontend/preauth.h"
#include "frontend/attempt.h"
#include "frontend/client_tls.h"
#include "frontend/metrics.h"
#include "frontend/session_log.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- TLS ------------------------------------------------------------------------------------------------------------ */

static void refuse(struct session *s, const char *reason)
{
	session_log_refused(s, reason);
	session_end(s, reason);
}

static void count_handshake(const struct session *s)
{
	struct shared *shared = s->worker->shared;
	unsigned column = s->worker->start->index;

	metrics_add(shared, column, metrics_handshake(s->tls.version), 1);
	if (s->tls.ticket_issued)
		metrics_add(shared, column, metrics_ticket("issued"), 1);
	if (s->tls.resumed)
		metrics_add(shared, column, metrics_ticket("resumed"), 1);
	else if (s->tls.ticket_refused != NULL)
		metrics_add(shared, column, metrics_ticket(s->tls.ticket_refused), 1);
}

/* For whom the client's certificate speaks; NULL: nobody, or it showed none that is good. */
static const char *certified_user(const struct session *s)
{
	return s->certificate != NULL && s->certificate->status == CLIENT_CERTIFICATE_VERIFIED
		       ? s->certificate->user
		       : NULL;
}

static bool tls_stands(struct session *s)
{
	bool greet = s->dialogue == NULL;
	char text[OUTPUT_MAX];
	struct output greeting;

	tls_facts(s->client.tls, &s->tls);
	s->tls.sni = NULL;
	count_handshake(s);
	s->certificate = tls_take_client_certificate(s->client.tls);
	if (greet)
		s->dialogue = calloc(1, sizeof(*s->dialogue));
	if (s->dialogue == NULL) {
		session_close(s, "no_memory");
		return false;
	}
	dialogue_init(s->dialogue, s->listener->protocol,
		      certified_user(s) != NULL ? &s->listener->dialogue_certified
						: &s->listener->dialogue,
		      PHASE_TLS);
	session_enter(s, SESSION_DIALOGUE);
	if (greet) {
		output_init(&greeting, text, sizeof(text));
		s->listener->protocol->greet(s->dialogue, &greeting);
		session_send(s, greeting.data, greeting.len);
	}
	return s->state == SESSION_DIALOGUE;
}

static bool step_tls(struct session *s)
{
	switch (client_tls_step(s)) {
	case CLIENT_TLS_STANDS:
		return tls_stands(s);
	case CLIENT_TLS_AGAIN:
		return true;
	default:
		return false;
	}
}

/* ---- SASL ----------------------------------------------------------------------------------------------------------- */

/* "192.0.2.1;143", as SASL wants it. */
static struct span sasl_address(const struct address *address, char *out, size_t size)
{
	char host[INET6_ADDRSTRLEN];
	unsigned port = address_split(address, host);

	snprintf(out, size, "%s;%u", host, port);
	return span_of(out);
}

static bool sasl_decides(const struct session *s)
{
	return s->generation->config->auth.source == AUTH_SOURCE_SASL;
}

static void ask(struct session *s, const struct decision *d)
{
	char local[64], remote[64];
	struct auth_request request = {
		.type = d->type == DECIDE_PASSWORD ? AUTH_CHECK : AUTH_BEGIN,
		.service = span_of(s->listener->protocol->sasl_service),
		.mechanism = d->mechanism,
		.response = d->response,
		.has_response = d->has_response,
		.user = d->user,
		.password = d->password,
		.local = sasl_address(&s->local, local, sizeof(local)),
		.remote = sasl_address(&s->peer, remote, sizeof(remote)),
		.tls_bits = s->tls.bits,
		.external = span_of(certified_user(s)),
		.decides = sasl_decides(s),
	};

	free(s->user); /* of an earlier attempt */
	s->user = NULL;
	s->verified = s->waited = false;
	s->exchange = (struct auth_exchange) { s->id, s->exchange.serial + 1 };
	request.exchange = s->exchange;
	if (d->type == DECIDE_PASSWORD)
		snprintf(s->mechanism, sizeof(s->mechanism), "%s",
			 s->listener->config->protocol == PROTOCOL_IMAP ? "LOGIN-COMMAND" : "USER");
	else
		snprintf(s->mechanism, sizeof(s->mechanism), "%.*s", (int)d->mechanism.len,
			 d->mechanism.data);
	session_enter(s, SESSION_AUTH);
	if (!attempt_begin(s, d))
		return;
	if (auth_client_begin(s->worker->auth, &request) != 0)
		preauth_temporary(s, "", "the exchange is over a bound");
}

void preauth_verdict(struct session *s, enum verdict verdict, struct span text)
{
	char storage[OUTPUT_MAX];
	struct output output;

	output_init(&output, storage, sizeof(storage));
	s->listener->protocol->verdict(s->dialogue, verdict, text, &output);
	session_send(s, output.data, output.len);
}

static void back_to_dialogue(struct session *s, enum verdict verdict, struct span text)
{
	session_enter(s, SESSION_DIALOGUE);
	preauth_verdict(s, verdict, text);
}

void preauth_refused(struct session *s, enum verdict verdict, const char *why)
{
	const struct config_limits *limits = &s->generation->config->limits;
	double delay = limits->failure_delay;
	unsigned owed = attempt_delay(s);

	session_log_failed(s, why, !attempt_refused(s));
	for (unsigned i = 0; i < s->auth_failures && delay < limits->failure_delay_max; i++)
		delay *= 2;
	if (delay > limits->failure_delay_max)
		delay = limits->failure_delay_max;
	s->auth_failures++;
	preauth_delay(s, verdict, owed > delay ? owed : (unsigned)delay);
}

void preauth_delay(struct session *s, enum verdict verdict, unsigned milliseconds)
{
	s->delayed = verdict;
	if (s->state != SESSION_DELAY)
		session_enter(s, SESSION_DELAY);
	if (milliseconds > 0)
		session_restart_timer(s, milliseconds / 1000.0);
	else
		preauth_delay_over(s);
}

void preauth_delay_over(struct session *s)
{
	unsigned max = (unsigned)s->generation->config->limits.max_auth_failures;

	if (s->held) {
		attempt_login(s);
		return;
	}
	back_to_dialogue(s, s->delayed, s->challenge != NULL ? span_of(s->challenge) : SPAN(""));
	free(s->challenge);
	s->challenge = NULL;
	if (s->auth_failures >= max)
		session_farewell(s, FAREWELL_REFUSALS, "auth_failures");
}

void preauth_temporary(struct session *s, const char *code, const char *why)
{
	attempt_over(s);
	session_log_auth(s, "auth_temporary", why);
	back_to_dialogue(s, VERDICT_TEMPORARY, span_of(code));
}

/* Counts what we would not do for the client; too much of it ends the session. */
static void count_refusal(struct session *s)
{
	s->refused_commands++;
	if (s->refused_commands >= (unsigned)s->generation->config->limits.max_refused_commands)
		session_farewell(s, FAREWELL_REFUSALS, "refused_commands");
}

/* Whom an answer is about; NULL where it does not say. */
static void take_user(struct session *s, const struct auth_answer *answer)
{
	free(s->user);
	s->user = answer->authcid.len == 0 ? NULL
					   : strndup(answer->authcid.data, answer->authcid.len);
}

/* Decoded, or verified, in which case there is no password in it. */
static void answer_identity(struct session *s, const struct auth_answer *answer)
{
	struct log_line line;

	if ((answer->type == AUTH_VERIFIED) != sasl_decides(s)) {
		session_log(s, &line, LOG_LEVEL_ERROR, "bug");
		log_value(&line, "message",
			  SPAN("an auth process answered as if somebody else were to decide"));
		log_end(&line);
		session_close(s, "bug");
		return;
	}
	take_user(s, answer);
	s->credential = credential_new(answer->authcid, answer->password);
	s->verified = answer->type == AUTH_VERIFIED;
	if (s->user != NULL && s->credential != NULL)
		attempt_login(s);
	else
		preauth_temporary(s, "", "out of memory");
}

/* SCRAM's last one says already that the password was right. So a challenge to somebody who is refused does not pass, and he who is to
 * be delayed waits for the first that goes to his name. */
static void answer_challenge(struct session *s, const struct auth_answer *answer)
{
	unsigned owed;

	take_user(s, answer);
	if (!attempt_answered(s)) {
		auth_client_cancel(s->worker->auth, s->exchange);
		return;
	}
	owed = s->user != NULL ? attempt_delay(s) : 0;
	if (owed == 0) {
		back_to_dialogue(s, VERDICT_CHALLENGE, answer->challenge);
		return;
	}
	s->challenge = strndup(answer->challenge.data, answer->challenge.len);
	if (s->challenge == NULL) {
		auth_client_cancel(s->worker->auth, s->exchange);
		preauth_temporary(s, "", "out of memory");
		return;
	}
	s->waited = true;
	preauth_delay(s, VERDICT_CHALLENGE, owed);
}

static void answer_refused(struct session *s, enum auth_refusal refusal)
{
	switch (refusal) {
	case AUTH_REFUSED_MECHANISM:
		back_to_dialogue(s, VERDICT_NO_MECHANISM, SPAN(""));
		count_refusal(s);
		break;
	case AUTH_REFUSED_ENCODING:
		back_to_dialogue(s, VERDICT_BAD_ENCODING, SPAN(""));
		count_refusal(s);
		break;
	case AUTH_REFUSED_AUTHORIZATION:
		if (attempt_answered(s))
			preauth_refused(s, VERDICT_UNAUTHORIZED, "another identity was asked for");
		break;
	default:
		if (attempt_answered(s))
			preauth_refused(s, VERDICT_REFUSED,
					sasl_decides(s) ? "name or password is wrong"
							: "name or password is empty or malformed");
		break;
	}
}

void preauth_answer(struct session *s, const struct auth_answer *answer)
{
	if (s->state != SESSION_AUTH || answer->exchange.serial != s->exchange.serial)
		return;
	switch (answer->type) {
	case AUTH_CHALLENGE:
		answer_challenge(s, answer);
		break;
	case AUTH_CAPTURED:
	case AUTH_VERIFIED:
		answer_identity(s, answer);
		break;
	case AUTH_REFUSED:
		take_user(s, answer);
		answer_refused(s, answer->refusal);
		break;
	case AUTH_TEMPORARY:
		take_user(s, answer);
		preauth_temporary(s, "", "no verdict from an auth process");
		break;
	}
	session_run(s);
}

/* ---- the dialogue --------------------------------------------------------------------------------------------------- */

static void tell_refusal(struct session *s, const struct decision *d)
{
	if (d->exposed)
		session_log_exposed(s, d->exposed_user);
	if (d->refusal == REFUSAL_PLAINTEXT && !s->plaintext_logged) {
		s->plaintext_logged = true;
		session_log_refused(s, "plaintext");
	}
}

static void start_tls(struct session *s)
{
	if (buffer_len(&s->client_in) > 0) {
		refuse(s, "injection");
		return;
	}
	dialogue_wipe(s->dialogue);
	session_enter(s, SESSION_ACCEPTED);
}

static void carry_out(struct session *s, const struct decision *d)
{
	switch (d->type) {
	case DECIDE_AUTH_BEGIN:
	case DECIDE_PASSWORD:
		ask(s, d);
		break;
	case DECIDE_AUTH_RESPONSE:
		session_enter(s, SESSION_AUTH);
		attempt_response(s, d->response);
		if (auth_client_continue(s->worker->auth, s->exchange, d->response) != 0)
			preauth_temporary(s, "", "the exchange is over a bound");
		break;
	case DECIDE_AUTH_CANCEL:
		auth_client_cancel(s->worker->auth, s->exchange);
		preauth_verdict(s, VERDICT_CANCELLED, SPAN(""));
		count_refusal(s);
		break;
	case DECIDE_CLOSE:
		session_end(s, d->refusal == REFUSAL_QUIT ? "client_quit" : "refused_command");
		break;
	default:
		if (d->refusal != REFUSAL_NONE)
			count_refusal(s);
		break;
	}
}

/* True when a command was used up. */
static bool take_command(struct session *s)
{
	const struct protocol *protocol = s->listener->protocol;
	struct decision d = { .type = DECIDE_MORE };
	char text[OUTPUT_MAX];
	struct output output;
	size_t used;

	output_init(&output, text, sizeof(text));
	used = protocol->input(s->dialogue, buffer_data(&s->client_in), buffer_len(&s->client_in),
			       &output, &d);
	session_send(s, output.data, output.len);
	if (s->state == SESSION_CLOSED || d.type == DECIDE_MORE)
		return false;
	tell_refusal(s, &d);
	if (d.type == DECIDE_START_TLS) {
		buffer_consume(&s->client_in, used);
		start_tls(s);
		return true;
	}
	carry_out(s, &d);
	if (s->state != SESSION_CLOSED && s->state != SESSION_CLOSING)
		buffer_consume(&s->client_in, used);
	return true;
}

static bool read_client(struct session *s)
{
	switch (transport_read(&s->client, &s->client_in)) {
	case TRANSPORT_DONE:
		return true;
	case TRANSPORT_AGAIN:
		return false;
	case TRANSPORT_CLOSED:
		s->client_ended = true;
		return true; /* what it sent before is still carried out */
	case TRANSPORT_TRUNCATED:
		session_close(s, "client_truncated");
		return false;
	default:
		if (s->client.tls_failed)
			refuse(s, "tls_record");
		else
			session_close(s, "client_reset");
		return false;
	}
}

static bool step_dialogue(struct session *s)
{
	if (!transport_writable(&s->client))
		return false;
	if (buffer_len(&s->client_in) > 0 && take_command(s))
		return true;
	if (s->state != SESSION_DIALOGUE)
		return false;
	if (s->client_ended) {
		session_end(s, "client_closed");
		return false;
	}
	return read_client(s);
}

bool preauth_step(struct session *s)
{
	switch (s->state) {
	case SESSION_ACCEPTED:
	case SESSION_HANDSHAKE:
		return step_tls(s);
	default:
		return step_dialogue(s);
	}
}

bool preauth_wants_more(const struct session *s)
{
	return !s->client_ended && buffer_len(&s->client_in) < SESSION_HELD_MAX;
}

void preauth_listen(struct session *s)
{
	if (preauth_wants_more(s))
		read_client(s);
}
