/* keeper - the only process that has the private keys: what the supervisor tells it. Threads of it sign (keeper_peers.h).
 * Invariants: obeys its supervisor channel alone, and ends when that closes, or, when it drains, with the last worker's. From its
 * first configuration on it makes only the system calls that it needs for that: it opens no file and no connection, and keys come as
 * open descriptors. Malformed messages end it: the supervisor starts another.
 */
#include "frontend/channel.h"
#include "frontend/child.h"
#include "frontend/keeper_fetch.h"
#include "frontend/keeper_peers.h"
#include "frontend/log.h"
#include "frontend/log_target.h"
#include "frontend/prepared.h"
#include "frontend/syscalls.h"
#include <errno.h>
#include <string.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>

#define RETRY_INTERVAL 2. /* seconds */

struct keeper {
	struct ev_loop *loop;
	struct channel supervisor;
	struct keeper_keys *keys;
	struct keeper_tickets *tickets;
	struct keeper_peers *peers;
	struct keeper_fetch *fetch;
	struct keeper_task given;    /* a book whose PREPARE has not come yet */
	struct keeper_task prepared; /* with config NULL: nothing is */
	struct keeper_task force;    /* likewise: never committed */
	ev_timer expiry;             /* of keys that leave */
	ev_timer retry;              /* of keys that are missing */
	bool confined, draining, ended;
	int status;
};

static void keeper_end(struct keeper *keeper, int status)
{
	if (!keeper->ended)
		keeper->status = status;
	keeper->ended = true;
	ev_break(keeper->loop, EVBREAK_ALL);
}

static void keeper_fail(struct keeper *keeper, const char *what)
{
	log_event(LOG_LEVEL_ERROR, "child_failed", "%s", what);
	keeper_end(keeper, EX_SOFTWARE);
}

/* ---- which keys stay ---- */

/* Seconds of a clock that nobody sets. */
static double steady_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void expire(struct keeper *keeper)
{
	double now = steady_now(), next = keeper_keys_expire(keeper->keys, now);

	ev_timer_stop(keeper->loop, &keeper->expiry);
	if (next == 0)
		return;
	ev_timer_set(&keeper->expiry, next - now, 0.);
	ev_timer_start(keeper->loop, &keeper->expiry);
}

static void on_expiry(struct ev_loop *loop, ev_timer *timer, int events)
{
	expire(timer->data);
}

static bool is_complete(struct keeper *keeper)
{
	const struct book *book = keeper->force.book;

	for (uint32_t i = 0; book && i < book_key_count(book); i++)
		if (!book_key_in_token(book, i) &&
		    !keeper_keys_has(keeper->keys, book_key(book, i)))
			return false;
	return true;
}

static void follow(struct keeper *keeper)
{
	if (keeper->force.book == NULL)
		return;
	if (!keeper_keys_follow(keeper->keys, keeper->force.book, steady_now()))
		keeper_fail(keeper, "out of memory");
	expire(keeper);
	if (!is_complete(keeper))
		ev_timer_again(keeper->loop, &keeper->retry);
}

/* A file that could not be read a moment ago may be the same as ever now, so no renewal tells of it. */
static void on_retry(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct keeper *keeper = timer->data;
	struct keeper_task task = { .generation = keeper->force.generation, .again = true };

	if (is_complete(keeper)) {
		ev_timer_stop(loop, timer);
		return;
	}
	if (!keeper_fetch_is_idle(keeper->fetch))
		return;
	task.book = book_keep(keeper->force.book);
	if (!keeper_fetch_add(keeper->fetch, &task))
		keeper_fail(keeper, "out of memory");
}

/* ---- configurations and books ---- */

/* Once, before the first key is here. */
static void confine(struct keeper *keeper, const struct config *config,
		    struct config_faults *faults)
{
	if (keeper->confined || !config->seccomp)
		return;
	keeper->confined = syscalls_confine(SYSCALLS_KEEPER) == 0;
	if (!keeper->confined)
		config_fault(faults, false, "", 0,
			     "the kernel does not take the keeper's filter of system calls: %s; "
			     "seccomp = false goes without",
			     strerror(errno));
}

static void answer(struct keeper *keeper, uint32_t generation, const struct config_faults *faults)
{
	if (!prepared_answer(&keeper->supervisor, generation, faults, NULL))
		keeper_fail(keeper, "the supervisor does not take its answers");
}

static void move_task(struct keeper_task *to, struct keeper_task *from)
{
	keeper_task_cleanup(to);
	*to = *from;
	*from = (struct keeper_task) { 0 };
}

static void replace_book(struct keeper_task *task, struct keeper_task *with)
{
	book_drop(task->book);
	task->book = with->book;
	with->book = NULL;
}

static void fetched(void *owner, struct keeper_task *task)
{
	struct keeper *keeper = owner;
	const struct config_faults none = { 0 };
	uint32_t generation = task->generation;

	if (task->again) {
		follow(keeper);
		return;
	}
	if (task->config != NULL) {
		move_task(&keeper->prepared, task);
	} else if (keeper->prepared.config && keeper->prepared.generation == generation) {
		replace_book(&keeper->prepared, task);
	} else if (keeper->force.config && keeper->force.generation == generation) {
		replace_book(&keeper->force, task);
		follow(keeper);
	}
	answer(keeper, generation, &none);
}

/* Alone, for a configuration that is known; or ahead of the PREPARE that it belongs to. */
static bool take_book(struct keeper *keeper, struct message_reader *message, int *fds, size_t nfds)
{
	struct keeper_task task = { .generation = message_get_u32(message) };
	bool known = (keeper->force.config && keeper->force.generation == task.generation) ||
		     (keeper->prepared.config && keeper->prepared.generation == task.generation) ||
		     keeper_fetch_prepares(keeper->fetch, task.generation);

	if (!message_done(message) || nfds != 1)
		return false;
	task.book = book_map(fds[0]);
	if (task.book == NULL)
		return false;
	if (known)
		return keeper_fetch_add(keeper->fetch, &task);
	move_task(&keeper->given, &task);
	return true;
}

static bool prepare(struct keeper *keeper, struct message_reader *message)
{
	struct config_faults faults = { 0 };
	struct keeper_task task = { .generation = message_get_u32(message) };

	keeper_task_cleanup(&keeper->prepared);
	task.config = config_decode(message, CHILD_KEEPER);
	if (task.config == NULL || !message_done(message))
		config_fault(&faults, false, "", 0, "the keeper cannot use its configuration");
	else {
		confine(keeper, task.config, &faults);
		/* The checker has judged it; if it is bad by now, what matters more works without. */
		keeper_tickets_check(keeper->tickets, task.config, &faults, true);
	}
	if (keeper->given.generation == task.generation)
		replace_book(&task, &keeper->given);
	keeper_task_cleanup(&keeper->given);
	if (faults.errors == 0) {
		config_faults_cleanup(&faults);
		return keeper_fetch_add(keeper->fetch, &task);
	}
	answer(keeper, task.generation, &faults);
	keeper_task_cleanup(&task);
	config_faults_cleanup(&faults);
	return true;
}

static bool commit(struct keeper *keeper, struct message_reader *message)
{
	uint32_t generation = message_get_u32(message);

	if (!message_done(message) || keeper->prepared.config == NULL ||
	    keeper->prepared.generation != generation)
		return false;
	move_task(&keeper->force, &keeper->prepared);
	log_set_level((enum log_level)keeper->force.config->log.level);
	keeper_tickets_commit(keeper->tickets, keeper->force.config);
	follow(keeper);
	return prepared_serving(&keeper->supervisor, generation);
}

static bool abort_prepared(struct keeper *keeper, struct message_reader *message)
{
	uint32_t generation = message_get_u32(message);

	if (!message_done(message))
		return false;
	keeper_fetch_abort(keeper->fetch, generation);
	if (keeper->prepared.generation == generation)
		keeper_task_cleanup(&keeper->prepared);
	if (keeper->given.generation == generation)
		keeper_task_cleanup(&keeper->given);
	follow(keeper);
	return true;
}

/* ---- the supervisor ---- */

static bool peer(struct keeper *keeper, unsigned type, struct message_reader *message, int *fds,
		 size_t nfds)
{
	bool up = type == CONTROL_PEER_UP;
	unsigned kind = message_get_u8(message);
	uint32_t index = message_get_u32(message), incarnation = message_get_u32(message);
	int fd;

	if (!message_done(message) || kind != CHILD_WORKER || nfds != (up ? 1 : 0))
		return false;
	if (!up) {
		keeper_peers_down(keeper->peers, index, incarnation);
		return true;
	}
	fd = fds[0];
	fds[0] = -1;
	return keeper_peers_up(keeper->peers, index, incarnation, fd);
}

static void drain(struct keeper *keeper)
{
	keeper->draining = true;
	if (keeper_peers_empty(keeper->peers))
		keeper_end(keeper, EX_OK);
}

/* Its last worker has gone. */
static void emptied(void *owner)
{
	struct keeper *keeper = owner;

	if (keeper->draining)
		keeper_end(keeper, EX_OK);
}

static bool obey(struct keeper *keeper, unsigned type, struct message_reader *message, int *fds,
		 size_t nfds)
{
	switch (type) {
	case CONTROL_BOOK:
		return take_book(keeper, message, fds, nfds);
	case CONTROL_PREPARE:
		return prepare(keeper, message);
	case CONTROL_COMMIT:
		return commit(keeper, message);
	case CONTROL_ABORT:
		return abort_prepared(keeper, message);
	case CONTROL_FILES:
		return keeper_fetch_files(keeper->fetch, message, fds, nfds);
	case CONTROL_TICKETS:
		keeper_tickets_message(keeper->tickets, message, nfds == 1 ? fds[0] : -1);
		return !message->failed;
	case CONTROL_PEER_UP:
	case CONTROL_PEER_DOWN:
		return peer(keeper, type, message, fds, nfds);
	case CONTROL_LOG:
		return log_target_take(message, fds, nfds);
	case CONTROL_DRAIN:
		drain(keeper);
		return true;
	case CONTROL_STOP:
		keeper_end(keeper, EX_OK);
		return true;
	default:
		return false;
	}
}

static void on_message(struct channel *channel, unsigned type, struct message_reader *message,
		       int *fds, size_t nfds)
{
	struct keeper *keeper = channel->owner;

	if (!keeper->ended && !obey(keeper, type, message, fds, nfds))
		keeper_fail(keeper, "malformed message from the supervisor, or out of memory");
}

static void on_closed(struct channel *channel, const char *why)
{
	keeper_end(channel->owner, EX_OK);
}

/* ---- the process ---- */

static bool start_up(struct keeper *keeper, const struct child_start *start)
{
	static const struct channel_handlers handlers = { on_message, on_closed };

	if (key_library_init() != 0 || keeper->loop == NULL ||
	    (keeper->keys = keeper_keys_new()) == NULL ||
	    (keeper->tickets = keeper_tickets_new()) == NULL)
		return false;
	keeper->peers =
		keeper_peers_new(keeper->loop, keeper->keys, keeper->tickets, emptied, keeper);
	keeper->fetch = keeper_fetch_new(&keeper->supervisor, keeper->keys, fetched, keeper);
	ev_init(&keeper->expiry, on_expiry);
	ev_init(&keeper->retry, on_retry);
	keeper->retry.repeat = RETRY_INTERVAL;
	keeper->expiry.data = keeper->retry.data = keeper;
	return keeper->peers && keeper->fetch &&
	       channel_init(&keeper->supervisor, keeper->loop, start->channel, CONTROL_MESSAGE_MAX,
			    CONTROL_QUEUE_MAX, &handlers, keeper) == 0;
}

static void clean_up(struct keeper *keeper)
{
	keeper_peers_free(keeper->peers);
	keeper_fetch_free(keeper->fetch);
	keeper_keys_free(keeper->keys);
	keeper_tickets_free(keeper->tickets);
	channel_cleanup(&keeper->supervisor);
	keeper_task_cleanup(&keeper->given);
	keeper_task_cleanup(&keeper->prepared);
	keeper_task_cleanup(&keeper->force);
	if (keeper->loop == NULL)
		return;
	ev_timer_stop(keeper->loop, &keeper->expiry);
	ev_timer_stop(keeper->loop, &keeper->retry);
	ev_loop_destroy(keeper->loop);
}

int keeper_run(const struct child_start *start)
{
	struct keeper keeper = { .loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV),
				 .supervisor.fd = -1,
				 .status = EX_SOFTWARE };

	if (start_up(&keeper, start))
		ev_run(keeper.loop, 0);
	clean_up(&keeper);
	return keeper.status;
}
