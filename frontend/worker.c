/* worker - the loop of one process: what the supervisor tells it, and the housekeeping between turns. See worker.h. */
#include "frontend/worker.h"
#include "frontend/client_tls.h"
#include "frontend/limit.h"
#include "frontend/listener.h"
#include "frontend/log_target.h"
#include "frontend/metrics.h"
#include "frontend/preauth.h"
#include "frontend/prepared.h"
#include "frontend/session.h"
#include "frontend/syscalls.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#define ACCEPT_PAUSE       0.2
#define DRAIN_LAST_SECONDS 2.0 /* after drain_timeout, for the last bytes */
#define DESCRIPTORS_OWN    128 /* channels, log */
#define DESCRIPTORS_MAX    2000000u
#define SESSIONS_LEAST     32

/* ---- configuration -------------------------------------------------------------------------------------------------- */

static bool map_shared(struct worker *w, const struct config *config)
{
	if (w->shared == NULL)
		w->shared = shared_map(w->start->shared, (unsigned)config->workers, true);
	return w->shared != NULL;
}

static void auth_answered(void *owner, const struct auth_answer *answer)
{
	struct worker *w = owner;
	struct session *s = session_table_find(&w->sessions, answer->exchange.session);

	if (s != NULL)
		preauth_answer(s, answer);
}

static void tell_stuck(struct worker *w, enum child_kind kind, unsigned index, unsigned incarnation)
{
	struct message_writer message;

	message_begin(&message, CONTROL_MESSAGE_MAX, CONTROL_STUCK);
	message_put_u8(&message, (uint8_t)kind);
	message_put_u32(&message, index);
	message_put_u32(&message, incarnation);
	if (message_end(&message, 0))
		channel_send(&w->supervisor, &message, NULL, 0);
	message_writer_cleanup(&message);
}

static void auth_stuck(void *owner, unsigned index, unsigned incarnation)
{
	tell_stuck(owner, CHILD_AUTH, index, incarnation);
}

static void keeper_stuck(void *owner, uint32_t incarnation)
{
	tell_stuck(owner, CHILD_KEEPER, 0, incarnation);
}

static void token_stuck(void *owner, uint32_t incarnation)
{
	tell_stuck(owner, CHILD_TOKEN, 0, incarnation);
}

static void token_answered(void *owner, uint64_t session, const uint8_t *signature, size_t len)
{
	struct worker *w = owner;
	struct session *s = session_table_find(&w->sessions, session);

	metrics_add(w->shared, w->start->index,
		    METRIC_SIGNATURES +
			    (unsigned)(signature != NULL ? METRIC_SIGNED : METRIC_UNSIGNED_FAILED),
		    1);
	if (s != NULL)
		client_tls_signed(s, signature, len);
}

static void auth_busy(void *owner)
{
	struct worker *w = owner;
	struct message_writer message;

	message_begin(&message, CONTROL_MESSAGE_MAX, CONTROL_BUSY);
	message_put_u8(&message, CHILD_AUTH);
	if (message_end(&message, 0))
		channel_send(&w->supervisor, &message, NULL, 0);
	message_writer_cleanup(&message);
}

static bool make_auth(struct worker *w, const struct config *config)
{
	static const struct auth_client_handlers handlers = { auth_answered, auth_stuck,
							      auth_busy };

	if (w->auth == NULL)
		w->auth = auth_client_new(w->loop, config->limits.auth_timeout, &handlers, w);
	return w->auth != NULL;
}

/* Once, before the configuration of others is used and long before a client's first byte. */
static bool confine(struct worker *w, const struct config *config, struct config_faults *faults)
{
	if (w->confined || !config->seccomp)
		return true;
	w->confined = syscalls_confine(SYSCALLS_WORKER) == 0;
	if (!w->confined)
		config_fault(faults, false, "", 0,
			     "the kernel does not take the filter of system calls: %s; seccomp = "
			     "false goes without",
			     strerror(errno));
	return w->confined;
}

static void prepare(struct worker *w, struct message_reader *message)
{
	struct config_faults faults = { .count = 0 };
	struct generation *generation;
	struct config *config;

	listener_set_free(w->prepared);
	w->prepared = NULL;
	w->prepared_number = message_get_u32(message);
	config = config_decode(message, CHILD_WORKER);
	if (w->offered.book == NULL || w->offered.number != w->prepared_number) {
		config_fault(&faults, false, "", 0, "the worker has no certificates");
		config_free(config);
	} else if (config == NULL || !map_shared(w, config) || !make_auth(w, config)) {
		config_fault(&faults, false, "", 0, "the worker cannot use its configuration");
		config_free(config);
	} else if (!confine(w, config, &faults)) {
		config_free(config);
	} else {
		generation = generation_new(config, w->offered.book, &faults);
		if (generation != NULL)
			w->prepared = listener_set_new(w, generation);
		if (w->prepared == NULL && faults.errors == 0)
			config_fault(&faults, false, "", 0, "out of memory");
	}
	if (w->prepared != NULL) {
		w->prepared->generation->number = w->prepared_number;
		if (w->serving != NULL)
			generation_inherit(w->prepared->generation, w->serving->generation);
	}
	prepared_answer(&w->supervisor, w->prepared_number, &faults, NULL);
	config_faults_cleanup(&faults);
}

static void offer(struct worker *w, uint32_t number, struct book *book)
{
	book_drop(w->offered.book);
	w->offered.number = number;
	w->offered.book = book;
}

/* Renewed certificates of what is served, or those of a configuration that follows. */
static void take_book(struct worker *w, uint32_t number, int fd)
{
	struct book *book = book_map(fd);

	if (book == NULL) {
		log_event(LOG_LEVEL_ERROR, "bug", "a worker cannot map the certificates: %s",
			  strerror(errno));
		return;
	}
	if (w->serving != NULL && w->serving->generation->number == number)
		generation_take_book(w->serving->generation, book);
	if (w->prepared != NULL && w->prepared->generation->number == number)
		generation_take_book(w->prepared->generation, book);
	offer(w, number, book);
}

static void name_listeners(struct listener_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		struct address bound = { .len = sizeof(bound.u) };

		if (set->items[i].fd == -1 ||
		    getsockname(set->items[i].fd, &bound.u.any, &bound.len) == -1)
			continue;
		address_text(&bound.u.any, set->generation->listeners[i].name);
	}
}

/* A session has two, a listener too while a reload goes on. One that is missing then would end the channel that brings it. */
static unsigned sessions_for(unsigned descriptors, size_t listeners)
{
	size_t own = DESCRIPTORS_OWN + 2 * listeners;

	return descriptors > own + 2 * SESSIONS_LEAST ? (unsigned)(descriptors - own) / 2
						      : SESSIONS_LEAST;
}

/* Who waits on a socket that may be going has been promised a greeting. */
static void commit(struct worker *w, uint32_t number)
{
	const struct config *config;

	if (w->prepared == NULL || number != w->prepared_number || w->draining)
		return;
	if (w->serving != NULL)
		listener_set_accept(w->serving);
	listener_set_free(w->serving);
	w->serving = w->prepared;
	w->prepared = NULL;
	config = w->serving->generation->config;
	w->session_cap = sessions_for(w->descriptors, config->listeners.count);
	log_set_level(config->log.level);
	auth_client_set_timeout(w->auth, config->limits.auth_timeout);
	worker_tickets_configure(&w->tickets, config);
	name_listeners(w->serving);
	if (!ev_is_active(&w->accept_pause))
		listener_set_start(w->serving);
	prepared_serving(&w->supervisor, number);
}

static void take_listener(struct worker *w, uint32_t index, int *fd)
{
	if (w->prepared == NULL)
		return;
	listener_set_open(w->prepared, index, *fd);
	*fd = -1;
}

/* ---- accepting, resuming, ending ------------------------------------------------------------------------------------ */

void worker_pause_accepting(struct worker *w)
{
	listener_set_stop(w->serving);
	if (ev_is_active(&w->accept_pause))
		return;
	ev_timer_set(&w->accept_pause, ACCEPT_PAUSE, 0);
	ev_timer_start(w->loop, &w->accept_pause);
}

static void accept_again(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct worker *w = timer->data;

	listener_set_start(w->serving);
}

void worker_resume(struct worker *w, struct session *s)
{
	if (s->resumed)
		return;
	s->resumed = true;
	TAILQ_INSERT_TAIL(&w->resumed, s, of_resumed);
	w->resumed_count++;
	ev_idle_start(w->loop, &w->busy);
}

static void unresume(struct worker *w, struct session *s)
{
	if (!s->resumed)
		return;
	s->resumed = false;
	TAILQ_REMOVE(&w->resumed, s, of_resumed);
	w->resumed_count--;
}

/* Each of those that wait now gets one turn; what they add waits for the next. */
static void run_resumed(struct ev_loop *loop, ev_check *check, int events)
{
	struct worker *w = check->data;

	for (size_t left = w->resumed_count; left > 0 && w->resumed_count > 0; left--) {
		struct session *s = TAILQ_FIRST(&w->resumed);

		unresume(w, s);
		session_run(s);
	}
	if (w->resumed_count == 0)
		ev_idle_stop(w->loop, &w->busy);
}

static void stay_awake(struct ev_loop *loop, ev_idle *idle, int events)
{
}

void worker_session_ended(struct worker *w, struct session *s)
{
	if (s->counted)
		limit_leave(w->shared, w->start->index, &s->peer.u.any);
	s->counted = false;
	unresume(w, s);
}

static void keep_house(struct ev_loop *loop, ev_prepare *prepare_watcher, int events)
{
	struct worker *w = prepare_watcher->data;

	session_free_closed(w);
	if (w->draining && w->sessions.total == 0)
		ev_break(loop, EVBREAK_ALL);
}

static void for_each_session(struct worker *w, void (*act)(struct session *))
{
	for (size_t i = 0; i < SESSION_BUCKETS; i++) {
		struct session *s;

		/* Nothing is freed before the turn ends. */
		LIST_FOREACH (s, &w->sessions.by_id[i], of_id) {
			if (s->state != SESSION_CLOSED)
				act(s);
		}
	}
}

static void drain_gently(struct session *s)
{
	session_drain(s, false);
}

static void drain_now(struct session *s)
{
	session_drain(s, true);
}

static void cut(struct session *s)
{
	session_close(s, "shutdown");
}

static void drain_time_over(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct worker *w = timer->data;
	bool last = w->drain_deadline_passed;

	for_each_session(w, last ? cut : drain_now);
	if (last)
		return;
	w->drain_deadline_passed = true;
	ev_timer_set(timer, DRAIN_LAST_SECONDS, 0);
	ev_timer_start(loop, timer);
}

static void drain(struct worker *w)
{
	double seconds = 0;

	if (w->draining)
		return;
	w->draining = true;
	listener_set_free(w->prepared);
	w->prepared = NULL;
	ev_timer_stop(w->loop, &w->accept_pause);
	if (w->serving != NULL) {
		listener_set_close(w->serving);
		seconds = w->serving->generation->config->limits.drain_timeout;
	}
	for_each_session(w, drain_gently);
	ev_timer_set(&w->drain_timer, seconds, 0);
	ev_timer_start(w->loop, &w->drain_timer);
	/* keep_house() ends the loop when none is left. */
}

/* ---- the supervisor ------------------------------------------------------------------------------------------------- */

static void monitor_message(struct worker *w, bool up, unsigned incarnation, int *fds, size_t nfds)
{
	if (!up) {
		monitor_link_down(&w->monitor, incarnation);
	} else if (nfds == 1) {
		monitor_link_up(&w->monitor, w, incarnation, fds[0]);
		fds[0] = -1;
	}
}

static void keeper_message(struct worker *w, bool up, unsigned incarnation, int *fds, size_t nfds)
{
	if (!up) {
		keeper_client_down(&w->keeper, incarnation);
	} else if (nfds == 1) {
		keeper_client_up(&w->keeper, incarnation, fds[0]);
		fds[0] = -1;
		worker_tickets_ask(&w->tickets);
	}
}

static void token_message(struct worker *w, unsigned type, unsigned incarnation, int *fds,
			  size_t nfds)
{
	if (type == CONTROL_PEER_DOWN) {
		token_client_down(&w->token, incarnation);
	} else if (type == CONTROL_PEER_RETIRE) {
		token_client_retire(&w->token, incarnation);
	} else if (nfds == 1) {
		token_client_up(&w->token, incarnation, fds[0]);
		fds[0] = -1;
	}
}

static void peer_message(struct worker *w, unsigned type, struct message_reader *message, int *fds,
			 size_t nfds)
{
	uint8_t kind = message_get_u8(message);
	uint32_t index = message_get_u32(message), incarnation = message_get_u32(message);

	if (message->failed)
		return;
	if (kind == CHILD_MONITOR) {
		monitor_message(w, type == CONTROL_PEER_UP, incarnation, fds, nfds);
		return;
	}
	if (kind == CHILD_KEEPER) {
		keeper_message(w, type == CONTROL_PEER_UP, incarnation, fds, nfds);
		return;
	}
	if (kind == CHILD_TOKEN) {
		token_message(w, type, incarnation, fds, nfds);
		return;
	}
	if (kind != CHILD_AUTH || w->auth == NULL)
		return;
	if (type == CONTROL_PEER_DOWN) {
		auth_client_peer_down(w->auth, index, incarnation);
	} else if (type == CONTROL_PEER_RETIRE) {
		auth_client_peer_retire(w->auth, index, incarnation);
	} else if (nfds == 1) {
		auth_client_peer_up(w->auth, index, incarnation, fds[0]);
		fds[0] = -1;
	}
}

static void supervisor_message(struct channel *channel, unsigned type,
			       struct message_reader *message, int *fds, size_t nfds)
{
	struct worker *w = channel->owner;

	switch (type) {
	case CONTROL_PREPARE:
		prepare(w, message);
		break;
	case CONTROL_COMMIT:
		commit(w, message_get_u32(message));
		break;
	case CONTROL_ABORT:
		listener_set_free(w->prepared);
		w->prepared = NULL;
		break;
	case CONTROL_BOOK:
		if (nfds == 1)
			take_book(w, message_get_u32(message), fds[0]);
		break;
	case CONTROL_LISTENER:
		if (nfds == 1)
			take_listener(w, message_get_u32(message), &fds[0]);
		break;
	case CONTROL_PEER_UP:
	case CONTROL_PEER_DOWN:
	case CONTROL_PEER_RETIRE:
		peer_message(w, type, message, fds, nfds);
		break;
	case CONTROL_LOG:
		log_target_take(message, fds, nfds);
		break;
	case CONTROL_DRAIN:
		drain(w);
		break;
	case CONTROL_STOP:
		for_each_session(w, cut);
		drain(w);
		break;
	default:
		break;
	}
}

static void supervisor_closed(struct channel *channel, const char *why)
{
	struct worker *w = channel->owner;

	channel_cleanup(channel);
	drain(w);
}

/* ---- life ----------------------------------------------------------------------------------------------------------- */

/* Asked for once: a confined worker may not. */
static unsigned descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return 0;
	return limit.rlim_cur < DESCRIPTORS_MAX ? (unsigned)limit.rlim_cur : DESCRIPTORS_MAX;
}

static int sign(void *worker, const uint8_t id[KEY_ID_LEN], enum key_algorithm algorithm,
		const uint8_t *in, size_t len, uint8_t *out, size_t *out_len)
{
	struct worker *w = worker;
	uint64_t late = w->keeper.timeouts;
	int done = keeper_sign(&w->keeper, id, algorithm, in, len, out, out_len);
	enum metric_signature result = done == 0                   ? METRIC_SIGNED
				       : w->keeper.timeouts > late ? METRIC_UNSIGNED_LATE
								   : METRIC_UNSIGNED_FAILED;

	metrics_add(w->shared, w->start->index, METRIC_SIGNATURES + (unsigned)result, 1);
	return done;
}

static void init(struct worker *w, const struct child_start *start, struct ev_loop *loop)
{
	static const struct token_client_handlers token_handlers = { token_answered, token_stuck };

	*w = (struct worker) { .start = start, .loop = loop };
	w->descriptors = descriptor_limit();
	session_table_init(&w->sessions);
	monitor_link_init(&w->monitor);
	keeper_client_init(&w->keeper, keeper_stuck, w);
	token_client_init(&w->token, loop, &token_handlers, w);
	worker_tickets_init(&w->tickets, loop, &w->keeper);
	TAILQ_INIT(&w->resumed);
	ev_timer_init(&w->drain_timer, drain_time_over, 0, 0);
	ev_timer_init(&w->accept_pause, accept_again, 0, 0);
	ev_prepare_init(&w->janitor, keep_house);
	ev_check_init(&w->resume, run_resumed);
	ev_idle_init(&w->busy, stay_awake);
	w->drain_timer.data = w->accept_pause.data = w->janitor.data = w->resume.data = w;
	ev_prepare_start(loop, &w->janitor);
	ev_check_start(loop, &w->resume);
}

static void cleanup(struct worker *w)
{
	for_each_session(w, cut);
	session_free_closed(w);
	listener_set_free(w->prepared);
	listener_set_free(w->serving);
	offer(w, 0, NULL);
	auth_client_free(w->auth);
	worker_tickets_cleanup(&w->tickets);
	keeper_client_cleanup(&w->keeper);
	token_client_cleanup(&w->token);
	monitor_link_cleanup(&w->monitor);
	channel_cleanup(&w->supervisor);
	shared_unmap(w->shared);
}

int worker_run(const struct child_start *start)
{
	static const struct channel_handlers handlers = { supervisor_message, supervisor_closed };
	struct ev_loop *loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	struct worker *w = malloc(sizeof(*w));

	if (loop == NULL || w == NULL || tls_init() != 0) {
		log_event(LOG_LEVEL_ERROR, "bug",
			  "a worker cannot set up its loop or the TLS library");
		free(w);
		return EX_OSERR;
	}
	init(w, start, loop);
	tls_sign_by(&(struct tls_signer) { sign, w });
	if (channel_init(&w->supervisor, loop, start->channel, CONTROL_MESSAGE_MAX,
			 CONTROL_QUEUE_MAX, &handlers, w) == 0)
		ev_run(loop, 0);
	cleanup(w);
	free(w);
	tls_cleanup();
	ev_loop_destroy(loop);
	return EX_OK;
}
