/* session - states, timers, the turn of a session, its end and its log line. See session.h for the invariants. */
#include "frontend/session.h"
#include "frontend/attempt.h"
#include "frontend/backend_login.h"
#include "frontend/client_tls.h"
#include "frontend/metrics.h"
#include "frontend/preauth.h"
#include "frontend/relay.h"
#include "frontend/session_log.h"
#include "frontend/submission.h"
#include "protocols/smtp_relay.h"
#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#define TURN_STEPS    8    /* then others get their turn */
#define FLUSH_SECONDS 30.0 /* for a slow client to take the last bytes */
#define LINGER_SECONDS                                                                             \
	2.0 /* for its end of file: closing with bytes unread would reset what we sent last */
#define LINGER_BYTES 65536

static struct session *checked(struct session *s)
{
	assert(s->magic == SESSION_MAGIC);
	return s;
}

/* ---- states --------------------------------------------------------------------------------------------------------- */

#define TO(state) (1u << (SESSION_##state))
#define AWAY      (TO(CLOSING) | TO(CLOSED))

static const unsigned allowed[SESSION_STATES] = {
	[SESSION_ACCEPTED] = TO(HANDSHAKE) | TO(DIALOGUE) | AWAY,
	[SESSION_HANDSHAKE] = TO(DIALOGUE) | AWAY,
	[SESSION_DIALOGUE] = TO(ACCEPTED) | TO(AUTH) | AWAY,
	[SESSION_AUTH] = TO(DIALOGUE) | TO(CONNECT) | TO(DELAY) | AWAY,
	[SESSION_CONNECT] = TO(LOGIN) | TO(DIALOGUE) | AWAY,
	[SESSION_LOGIN] = TO(CONNECT) | TO(DIALOGUE) | TO(DELAY) | TO(RELAY) | AWAY,
	[SESSION_DELAY] = TO(DIALOGUE) | TO(CONNECT) | AWAY,
	[SESSION_RELAY] = AWAY,
	[SESSION_CLOSING] = TO(CLOSED),
};

static double state_seconds(const struct session *s)
{
	const struct config_limits *limits = &s->generation->config->limits;

	switch (s->state) {
	case SESSION_ACCEPTED:
	case SESSION_HANDSHAKE:
		return limits->handshake_timeout;
	case SESSION_CONNECT:
	case SESSION_LOGIN:
		return backend_login_seconds(s);
	case SESSION_RELAY:
		return limits->idle_timeout;
	case SESSION_CLOSING:
		return FLUSH_SECONDS;
	default: /* the pre-auth deadline, the auth step's own, or the length of the delay */
		return 0;
	}
}

void session_restart_timer(struct session *s, double seconds)
{
	ev_timer_stop(s->worker->loop, &s->timer);
	if (seconds <= 0)
		return;
	ev_timer_set(&s->timer, seconds, 0);
	ev_timer_start(s->worker->loop, &s->timer);
}

void session_enter(struct session *s, enum session_state to)
{
	enum session_state from = s->state;

	assert(allowed[from] & (1u << to));
	s->state = to;
	session_table_move(&s->worker->sessions, s, from, to);
	session_restart_timer(s, state_seconds(s));
}

bool session_may_relay(const struct session *s)
{
	bool sasl = s->generation->config->auth.source == AUTH_SOURCE_SASL;
	bool password = s->pool->login.mode == LOGIN_MODE_PASSWORD;

	/* In the other modes the backend does not get to see the user's password: its word alone is worth nothing then. */
	return s->verified == sasl && password != sasl && s->backend_accepted &&
	       s->client.tls != NULL;
}

/* ---- birth ---------------------------------------------------------------------------------------------------------- */

static void client_ready(struct ev_loop *loop, ev_io *io, int events)
{
	session_run(checked((struct session *)io->data));
}

static void backend_ready(struct ev_loop *loop, ev_io *io, int events)
{
	session_run(checked((struct session *)io->data));
}

static void idle_passed(struct session *s)
{
	double left =
		s->active + s->generation->config->limits.idle_timeout - ev_now(s->worker->loop);

	if (left > 0)
		session_restart_timer(s, left);
	else if (s->relay != NULL)
		submission_farewell(s, "4.4.2", "Idle for too long", "idle_timeout");
	else
		session_end(s, "idle_timeout");
}

static void timer_passed(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct session *s = checked(timer->data);

	switch (s->state) {
	case SESSION_CONNECT:
	case SESSION_LOGIN:
		backend_login_timeout(s);
		break;
	case SESSION_DELAY:
		preauth_delay_over(s);
		break;
	case SESSION_RELAY:
		idle_passed(s);
		break;
	case SESSION_CLOSING:
		session_close(s, "client_slow");
		break;
	default:
		session_close(s, "handshake_timeout");
		break;
	}
	session_run(s);
}

static void deadline_passed(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct session *s = checked(timer->data);

	session_farewell(s, FAREWELL_DEADLINE, "preauth_timeout");
	session_run(s);
}

static uint64_t next_id(struct worker *w)
{
	w->last_session++;
	return (uint64_t)(w->start->index & 0xffff) << 48 |
	       (uint64_t)(w->start->incarnation & 0xffff) << 32 | w->last_session;
}

static void session_init(struct session *s, struct worker *w, struct generation *generation,
			 size_t listener, const struct address *peer)
{
	const struct config_limits *limits = &generation->config->limits;

	s->magic = SESSION_MAGIC;
	s->state = SESSION_ACCEPTED;
	s->id = next_id(w);
	s->worker = w;
	s->generation = generation_keep(generation);
	s->listener = &generation->listeners[listener];
	s->peer = *peer;
	s->began = s->active = ev_now(w->loop);
	transport_init(&s->client, w->loop, client_ready);
	transport_init(&s->backend, w->loop, backend_ready);
	s->client.io.data = s->backend.io.data = s;
	buffer_init(&s->client_in, SESSION_INPUT_MAX);
	buffer_init(&s->backend_in, 2 * TRANSPORT_RECORD);
	ev_timer_init(&s->timer, timer_passed, 0, 0);
	ev_timer_init(&s->deadline, deadline_passed, limits->preauth_timeout, 0);
	s->timer.data = s->deadline.data = s;
}

struct session *session_new(struct worker *w, struct generation *generation, size_t listener,
			    int fd, const struct address *peer)
{
	struct session *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		close(fd);
		return NULL;
	}
	session_init(s, w, generation, listener, peer);
	transport_open(&s->client, fd);
	s->local.len = sizeof(s->local.u);
	if (getsockname(fd, &s->local.u.any, &s->local.len) == -1)
		s->local.len = 0;
	session_table_add(&w->sessions, s);
	metrics_add(w->shared, w->start->index,
		    METRIC_SESSIONS_TOTAL + (unsigned)s->listener->config->protocol, 1);
	ev_timer_start(w->loop, &s->deadline);
	session_restart_timer(s, state_seconds(s));
	return s;
}

static bool make_dialogue(struct session *s)
{
	s->dialogue = calloc(1, sizeof(*s->dialogue));
	if (s->dialogue == NULL)
		return false;
	dialogue_init(s->dialogue, s->listener->protocol, &s->listener->dialogue, PHASE_PLAIN);
	return true;
}

void session_start(struct session *s)
{
	char text[OUTPUT_MAX];
	struct output greeting;

	if (s->listener->config->tls == LISTENER_IMPLICIT) {
		session_run(s);
		return;
	}
	if (!make_dialogue(s)) {
		session_close(s, "no_memory");
		return;
	}
	session_enter(s, SESSION_DIALOGUE);
	output_init(&greeting, text, sizeof(text));
	s->listener->protocol->greet(s->dialogue, &greeting);
	session_send(s, greeting.data, greeting.len);
	session_run(s);
}

void session_refuse(struct session *s, const char *reason)
{
	session_log_refused(s, reason);
	if (s->listener->config->tls == LISTENER_IMPLICIT || !make_dialogue(s)) {
		session_close(s, reason);
		return;
	}
	session_enter(s, SESSION_DIALOGUE);
	session_farewell(s, FAREWELL_TOO_MANY, reason);
	session_run(s);
}

/* ---- a turn --------------------------------------------------------------------------------------------------------- */

static bool linger(struct session *s)
{
	size_t count;

	if (!s->lingering) {
		if (transport_flush(&s->client) != TRANSPORT_DONE)
			return false;
		s->lingering = true;
		session_restart_timer(s, LINGER_SECONDS);
	}
	switch (transport_discard(&s->client, &count)) {
	case TRANSPORT_DONE:
		s->lingered += count;
		if (s->lingered <= LINGER_BYTES)
			return true;
		break;
	case TRANSPORT_AGAIN:
		return false;
	default:
		break;
	}
	session_close(s, NULL);
	return false;
}

static bool session_step(struct session *s)
{
	switch (s->state) {
	case SESSION_ACCEPTED:
	case SESSION_HANDSHAKE:
	case SESSION_DIALOGUE:
		return preauth_step(s);
	case SESSION_AUTH:
	case SESSION_DELAY:
		preauth_listen(s);
		return false;
	case SESSION_CONNECT:
	case SESSION_LOGIN:
		preauth_listen(s);
		return (s->state == SESSION_CONNECT || s->state == SESSION_LOGIN) &&
		       backend_login_step(s);
	case SESSION_RELAY:
		return s->relay != NULL ? submission_step(s) : relay_step(s);
	case SESSION_CLOSING:
		return linger(s);
	default:
		return false;
	}
}

/* Each state waits for just what its step would read: asking for more would spin, for less would hang. */
static bool wants_client(const struct session *s)
{
	switch (s->state) {
	case SESSION_ACCEPTED:
	case SESSION_HANDSHAKE:
		return client_tls_wants_client(s);
	case SESSION_DIALOGUE:
		return transport_writable(&s->client);
	case SESSION_RELAY:
		return s->relay != NULL ? submission_wants_client(s) : relay_wants_client(s);
	case SESSION_CLOSING:
		return s->lingering;
	default:
		return preauth_wants_more(s);
	}
}

static bool wants_backend(const struct session *s)
{
	switch (s->state) {
	case SESSION_CONNECT:
		return s->backend.tls != NULL;
	case SESSION_LOGIN:
		return true;
	case SESSION_RELAY:
		return s->relay != NULL ? submission_wants_backend(s) : relay_wants_backend(s);
	default:
		return false;
	}
}

static void session_wait(struct session *s)
{
	bool connecting = s->state == SESSION_CONNECT && s->backend.tls == NULL;

	transport_wait(&s->client, wants_client(s), false);
	transport_wait(&s->backend, wants_backend(s), connecting);
}

/* A full queue that could be sent: what waited for it goes on now, since no event would tell. */
static bool unblock(struct transport *t)
{
	if (!transport_is_open(t) || transport_writable(t))
		return false;
	transport_flush(t);
	return transport_writable(t);
}

void session_run(struct session *s)
{
	bool again = true;

	for (int steps = 0; again && steps < TURN_STEPS; steps++) {
		again = session_step(s);
		again |= unblock(&s->client);
		again |= unblock(&s->backend);
	}
	if (s->state == SESSION_CLOSED)
		return;
	transport_flush(&s->backend); /* its failure shows when it is read */
	if (transport_flush(&s->client) == TRANSPORT_FAILED) {
		session_close(s, "client_reset");
		return;
	}
	if (s->state == SESSION_CLOSING && linger(s))
		again = true;
	if (s->state == SESSION_CLOSED)
		return;
	if (again)
		worker_resume(s->worker, s);
	session_wait(s);
}

void session_send(struct session *s, const char *data, size_t len)
{
	while (len > 0) {
		size_t taken = transport_write(&s->client, data, len);

		if (taken == 0) {
			session_close(s, "client_slow");
			return;
		}
		data += taken;
		len -= taken;
	}
}

/* ---- the end -------------------------------------------------------------------------------------------------------- */

static void forget_login(struct session *s)
{
	/* Also one whose challenge is open; a finished one is unknown there. */
	if (s->exchange.serial > 0)
		auth_client_cancel(s->worker->auth, s->exchange);
	backend_login_abandon(s);
	attempt_over(s);
	free(s->challenge);
	s->challenge = NULL;
	if (s->dialogue != NULL)
		dialogue_wipe(s->dialogue);
	free(s->dialogue);
	s->dialogue = NULL;
	smtp_relay_free(s->relay);
	s->relay = NULL;
	free(s->shown);
	s->shown = NULL;
}

void session_close(struct session *s, const char *reason)
{
	struct worker *w = s->worker;

	if (s->state == SESSION_CLOSED)
		return;
	if (s->reason == NULL)
		s->reason = reason;
	forget_login(s);
	transport_flush(&s->client); /* an alert may wait */
	transport_close(&s->client);
	buffer_cleanup(&s->client_in);
	buffer_cleanup(&s->backend_in);
	ev_timer_stop(w->loop, &s->deadline);
	if (s->counted) /* else `refused` said it all */
		session_log_end(s);
	session_enter(s, SESSION_CLOSED);
	worker_session_ended(w, s);
}

void session_end(struct session *s, const char *reason)
{
	if (s->state == SESSION_CLOSED || s->state == SESSION_CLOSING)
		return;
	s->reason = reason;
	if (s->client.failed || s->client.write_failed) {
		session_close(s, reason);
		return;
	}
	forget_login(s);
	buffer_clear(&s->client_in);
	buffer_clear(&s->backend_in);
	ev_timer_stop(s->worker->loop, &s->deadline);
	transport_end_writing(&s->client);
	session_enter(s, SESSION_CLOSING);
}

void session_farewell(struct session *s, enum farewell why, const char *reason)
{
	char text[OUTPUT_MAX];
	struct output output;

	if (s->state == SESSION_CLOSED || s->state == SESSION_CLOSING)
		return;
	if (s->dialogue == NULL || s->state == SESSION_ACCEPTED || s->state == SESSION_HANDSHAKE) {
		session_close(s, reason);
		return;
	}
	output_init(&output, text, sizeof(text));
	s->listener->protocol->farewell(s->dialogue, why, &output);
	session_send(s, output.data, output.len);
	session_end(s, reason);
}

void session_drain(struct session *s, bool deadline)
{
	if (s->state == SESSION_RELAY && s->relay != NULL &&
	    (deadline || smtp_relay_idle(s->relay)))
		submission_farewell(s, "4.3.2", "The server is shutting down", "shutdown");
	else if (s->state == SESSION_RELAY && deadline)
		session_end(s, "shutdown");
	else if (s->state != SESSION_RELAY)
		session_farewell(s, FAREWELL_SHUTDOWN, "shutdown");
	session_run(s);
}

static void session_free(struct session *s)
{
	session_table_remove(&s->worker->sessions, s);
	generation_drop(s->generation);
	free(s->user);
	free(s->sni);
	client_certificate_free(s->certificate);
	explicit_bzero(s, sizeof(*s));
	free(s);
}

void session_free_closed(struct worker *w)
{
	struct session *s = LIST_FIRST(&w->sessions.by_state[SESSION_CLOSED]), *next;

	for (; s != NULL; s = next) {
		next = LIST_NEXT(s, of_state);
		session_free(checked(s));
	}
}
