/* backend_login - see backend_login.h. RFC 4954, 3501, 1939 by way of the protocol's login script. */
#include "frontend/backend_login.h"
#include "frontend/attempt.h"
#include "frontend/preauth.h"
#include "frontend/session_log.h"
#include "frontend/submission.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

const char *backend_login_name(const struct session *s, char out[256])
{
	char text[ADDRESS_TEXT_MAX] = "unresolved";

	if (s->server.len > 0)
		address_text(&s->server.u.any, text);
	snprintf(out, 256, "%s/%s", s->pool->config->name, text);
	return out;
}

/* ---- which server ---------------------------------------------------------------------------------------------------- */

static void log_health(const struct session *s, bool down, const char *reason)
{
	struct log_line line;
	char name[256];

	log_begin(&line, down ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
		  down ? "backend_down" : "backend_up", 0);
	log_word(&line, "backend", backend_login_name(s, name));
	log_number(&line, "worker", s->worker->start->index);
	if (down)
		log_value(&line, "reason", span_of(reason));
	log_end(&line);
}

/* The monitor looks at once, and speaks for the house. Only where none does, the worker says what it saw. */
static bool tell_monitor(struct session *s)
{
	struct published_suspect suspect = {
		.generation = s->generation->number,
		.pool = (uint32_t)(s->pool - s->generation->pools),
		.address = s->server,
	};

	return s->generation->config->monitor.interval > 0 &&
	       monitor_link_suspect(&s->worker->monitor, &suspect);
}

static void server_failed(struct session *s, const char *reason)
{
	double until = ev_now(s->worker->loop) + s->generation->config->monitor.retry;

	if (backends_failed(&s->pool->backends, &s->server, until) && !tell_monitor(s))
		log_health(s, true, reason);
}

/* A number for the user: nobody can choose one that is another's. */
static uint64_t user_number(const struct session *s)
{
	const struct span user = s->credential->user;

	return hash_bytes(shared_key(s->worker->shared), user.data, user.len) | 1;
}

/* What fails behind the credential may be this user's own trouble (his mailbox, his quota), so one user alone moves nobody else. */
static void login_failed(struct session *s, const char *reason)
{
	if (!s->login->credential_sent ||
	    backends_doubted(&s->pool->backends, &s->server, user_number(s)))
		server_failed(s, reason);
}

static void server_worked(struct session *s)
{
	if (backends_worked(&s->pool->backends, &s->server) &&
	    s->generation->config->monitor.interval == 0)
		log_health(s, false, NULL);
}

static bool another_is_left(const struct session *s)
{
	return s->plan != NULL && s->tried + 1 < s->plan->count &&
	       !(s->login != NULL && s->login->credential_sent);
}

double backend_login_seconds(const struct session *s)
{
	double end = s->login_deadline, left;

	if (another_is_left(s) && s->try_deadline < end)
		end = s->try_deadline;
	left = end - ev_now(s->worker->loop);
	return left > 0.001 ? left : 0.001; /* 0 would be no limit */
}

void backend_login_abandon(struct session *s)
{
	credential_free(s->credential);
	s->credential = NULL;
	if (s->login != NULL)
		explicit_bzero(s->login, sizeof(*s->login));
	free(s->login);
	s->login = NULL;
	free(s->plan);
	s->plan = NULL;
	transport_close(&s->backend);
	buffer_clear(&s->backend_in);
}

static void fail(struct session *s, const char *why)
{
	char code[sizeof(s->login->code)] = "";

	if (s->login != NULL)
		snprintf(code, sizeof(code), "%s", s->login->code);
	backend_login_abandon(s);
	preauth_temporary(s, code, why);
}

/* ---- connect -------------------------------------------------------------------------------------------------------- */

_Static_assert(LOGIN_ADDRESS_MAX >= INET6_ADDRSTRLEN, "an address fits");

/* What the server may get to know. POP3 keeps something else in the dialogue's name. */
static void describe_client(const struct session *s, struct login_client *out)
{
	memset(out, 0, sizeof(*out));
	out->peer.port = address_split(&s->peer, out->peer.address);
	out->local.port = address_split(&s->local, out->local.address);
	if (s->listener->config->protocol == PROTOCOL_SUBMISSION)
		snprintf(out->name, sizeof(out->name), "%s", s->dialogue->name);
	snprintf(out->session, sizeof(out->session), "%016llx", (unsigned long long)s->id);
}

static void login_begin(struct session *s)
{
	struct login_client client;

	explicit_bzero(s->login, sizeof(*s->login));
	describe_client(s, &client);
	login_init(s->login, s->listener->protocol->login, &s->pool->login, s->credential, &client);
}

/* From plan entry s->tried on; false when none is left. */
static bool connect_next(struct session *s)
{
	for (; s->tried < s->plan->count; s->tried++) {
		s->server = s->plan->choices[s->tried].address;
		if (transport_connect(&s->backend, &s->server) == 0) {
			s->try_deadline = ev_now(s->worker->loop) +
					  s->generation->config->limits.connect_timeout;
			return true;
		}
		server_failed(s, strerror(errno));
	}
	return false;
}

/* The server that is being tried has failed for a cause of its own. True when another one is being tried. */
static bool try_next(struct session *s, const char *why)
{
	bool left = another_is_left(s);

	login_failed(s, why);
	if (!left)
		return false;
	transport_close(&s->backend);
	buffer_clear(&s->backend_in);
	login_begin(s);
	s->tried++;
	if (!connect_next(s))
		return false;
	if (s->state == SESSION_CONNECT)
		session_restart_timer(s, backend_login_seconds(s));
	else
		session_enter(s, SESSION_CONNECT);
	return true;
}

/* A code that the backend gave to the credential is about this user, not about its health. */
static void fail_backend(struct session *s, const char *why)
{
	bool about_user = s->login->credential_sent && s->login->code[0] != '\0';

	if (about_user || !try_next(s, why))
		fail(s, why);
}

void backend_login_begin(struct session *s)
{
	const struct config *config = s->generation->config;

	s->pool =
		generation_route(s->generation, s->listener->config->protocol, s->credential->user);
	s->tried = 0;
	s->server.len = 0;
	s->login_deadline = ev_now(s->worker->loop) + config->limits.backend_timeout;
	session_enter(s, SESSION_CONNECT);
	if (s->pool == NULL) {
		fail(s, "no route");
		return;
	}
	s->login = calloc(1, sizeof(*s->login));
	s->plan = backends_plan(&s->pool->backends, ev_now(s->worker->loop), config->monitor.retry);
	if (s->login == NULL || s->plan == NULL) {
		fail(s, "out of memory");
		return;
	}
	login_begin(s);
	if (connect_next(s))
		session_restart_timer(s, backend_login_seconds(s));
	else
		fail(s, "no server of the pool can be reached");
}

static bool begin_tls(struct session *s)
{
	struct tls *tls = tls_connect_new(s->pool->tls, s->plan->choices[s->tried].name);

	if (tls == NULL) {
		fail(s, "no TLS for the backend's leg");
		return false;
	}
	transport_start_tls(&s->backend, tls);
	return true;
}

static bool step_tcp(struct session *s)
{
	int error;

	switch (transport_connected(&s->backend, &error)) {
	case TRANSPORT_AGAIN:
		return false;
	case TRANSPORT_DONE:
		if (s->pool->config->tls == BACKEND_TLS_IMPLICIT)
			return begin_tls(s);
		session_enter(s, SESSION_LOGIN);
		return true;
	default:
		if (!try_next(s, strerror(error)))
			fail(s, "no server of the pool can be reached");
		return false;
	}
}

static void login_send(struct session *s, struct output *output)
{
	size_t sent = 0;

	while (sent < output->len) {
		size_t taken =
			transport_write(&s->backend, output->data + sent, output->len - sent);

		if (taken == 0)
			break; /* the failure shows when it is read */
		sent += taken;
	}
	explicit_bzero(output->data, output->len);
	output->len = 0;
}

static bool step_tls(struct session *s)
{
	char text[OUTPUT_MAX], why[96];
	struct output output;

	switch (transport_handshake(&s->backend)) {
	case TRANSPORT_AGAIN:
		return false;
	case TRANSPORT_DONE:
		session_enter(s, SESSION_LOGIN);
		if (s->pool->config->tls == BACKEND_TLS_STARTTLS) {
			output_init(&output, text, sizeof(text));
			login_tls_started(s->login, &output);
			login_send(s, &output);
		}
		return true;
	default:
		snprintf(why, sizeof(why), "TLS with the backend failed: %s",
			 tls_failure(s->backend.tls));
		fail_backend(s, why);
		return false;
	}
}

/* ---- login ---------------------------------------------------------------------------------------------------------- */

/* `met`: what a submission server offered. */
static void open_relay(struct session *s, const struct smtp_extensions *met)
{
	session_log_login(s);
	dialogue_wipe(s->dialogue);
	free(s->dialogue);
	s->dialogue = NULL;
	ev_timer_stop(s->worker->loop, &s->deadline);
	s->active = ev_now(s->worker->loop);
	session_enter(s, SESSION_RELAY);
	if (s->listener->config->protocol == PROTOCOL_SUBMISSION && !submission_begin(s, met))
		session_close(s, "no_memory");
}

static void accepted(struct session *s)
{
	const struct smtp_extensions met = s->login->extensions;

	server_worked(s);
	s->backend_accepted = true;
	attempt_accepted(s);
	preauth_verdict(s, VERDICT_ACCEPTED, span_of(s->login->capabilities));
	if (s->state != SESSION_LOGIN)
		return; /* the client did not take it, and all is gone */
	credential_free(s->credential);
	s->credential = NULL;
	explicit_bzero(s->login, sizeof(*s->login));
	free(s->login);
	s->login = NULL;
	free(s->plan);
	s->plan = NULL;
	if (session_may_relay(s))
		open_relay(s, &met);
	else
		session_close(s, "bug");
}

static bool starttls(struct session *s)
{
	if (buffer_len(&s->backend_in) > 0) {
		fail_backend(s, "the backend sent bytes behind its STARTTLS reply");
		return false;
	}
	session_enter(s, SESSION_CONNECT);
	return begin_tls(s);
}

/* The server works, but not as it was set up to: the operator has to look at it, and the user has done nothing wrong. */
static void denied(struct session *s)
{
	struct log_line line;
	char name[256];

	server_worked(s);
	session_log(s, &line, LOG_LEVEL_ERROR, "login_denied");
	log_value(&line, "user", span_of(s->user));
	log_word(&line, "backend", backend_login_name(s, name));
	log_value(&line, "reason", span_of(s->login->reason));
	log_end(&line);
	fail(s, s->login->reason);
}

static bool carry_out(struct session *s, enum login_result result)
{
	switch (result) {
	case LOGIN_MORE:
		return false;
	case LOGIN_START_TLS:
		return starttls(s);
	case LOGIN_ACCEPTED:
		accepted(s);
		return true;
	case LOGIN_REFUSED:
		server_worked(s);
		backend_login_abandon(s);
		preauth_refused(s, VERDICT_REFUSED, "the backend refused the credential");
		return true;
	case LOGIN_DENIED:
		denied(s);
		return true;
	default:
		fail_backend(s, s->login->reason ? s->login->reason : "unexpected answer");
		return true;
	}
}

static bool step_login(struct session *s)
{
	enum transport_result read = transport_read(&s->backend, &s->backend_in);
	bool sent_before = s->login->credential_sent;
	enum login_result result;
	char text[OUTPUT_MAX];
	struct output output;
	size_t used = 0;

	if (read == TRANSPORT_AGAIN && buffer_len(&s->backend_in) == 0)
		return false;
	output_init(&output, text, sizeof(text));
	result = buffer_len(&s->backend_in) > 0
			 ? login_input(s->login, buffer_data(&s->backend_in),
				       buffer_len(&s->backend_in), &used, &output)
			 : LOGIN_MORE;
	buffer_consume(&s->backend_in, used);
	login_send(s, &output);
	if (s->login->credential_sent &&
	    !sent_before) /* this server has all the time that is left */
		session_restart_timer(s, backend_login_seconds(s));
	if (result != LOGIN_MORE)
		return carry_out(s, result);
	if (read == TRANSPORT_DONE)
		return true;
	if (read != TRANSPORT_AGAIN)
		fail_backend(s, "the backend closed the connection");
	return false;
}

bool backend_login_step(struct session *s)
{
	if (s->state == SESSION_LOGIN)
		return step_login(s);
	return s->backend.tls != NULL ? step_tls(s) : step_tcp(s);
}

void backend_login_timeout(struct session *s)
{
	fail_backend(s, "the backend did not answer in time");
}
