/* children - see children.h.
 * A child's life: ABSENT -> PREPARING -> PREPARED -> RUNNING -> LEAVING -> ABSENT, from any of them to LEAVING.
 * A role that dies five times within ten seconds is started again only after a pause, which doubles from 1 to 30 s
 * until the role has been quiet for a minute.
 */
#include "frontend/children.h"
#include "frontend/log.h"
#include "frontend/prepared.h"
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define GENERATION      1    /* of the configuration */
#define PREPARE_SECONDS 30.0 /* for a child to become ready */
#define LEAVE_SECONDS   10.0 /* for a process to end after its channel has */
#define DEATHS_WINDOW   10.0
#define PAUSE_FIRST     1.0
#define PAUSE_MAX       30.0
#define QUIET_SECONDS   60.0

static int child_start(struct child *);

/* ---- state ---- */

static void child_enter(struct child *child, enum child_state state, ev_tstamp seconds)
{
	static const unsigned from[] = {
		[CHILD_ABSENT] = 1 << CHILD_ABSENT | 1 << CHILD_LEAVING,
		[CHILD_PREPARING] = 1 << CHILD_ABSENT,
		[CHILD_PREPARED] = 1 << CHILD_PREPARING,
		[CHILD_RUNNING] = 1 << CHILD_PREPARED,
		[CHILD_LEAVING] = 1 << CHILD_PREPARING | 1 << CHILD_PREPARED | 1 << CHILD_RUNNING,
	};

	assert(from[state] & 1u << child->state);
	child->state = state;
	ev_timer_stop(child->all->loop, &child->timer);
	if (seconds > 0) {
		ev_timer_set(&child->timer, seconds, 0);
		ev_timer_start(child->all->loop, &child->timer);
	}
}

static bool child_is_wired(const struct child *child)
{
	return child->state == CHILD_PREPARED || child->state == CHILD_RUNNING;
}

static struct child *find_child(struct children *all, unsigned kind, unsigned index)
{
	if (kind == CHILD_WORKER && index < all->workers)
		return &all->items[index];
	if (kind == CHILD_AUTH && index < all->count - all->workers)
		return &all->items[all->workers + index];
	return NULL;
}

static void log_child(enum log_level level, const char *event, const struct child *child, pid_t pid,
		      int status)
{
	struct log_line line;

	log_begin(&line, level, event, 0);
	log_word(&line, "kind", child_kind_names[child->kind]);
	log_number(&line, "index", child->index);
	log_number(&line, "incarnation", child->incarnation);
	log_number(&line, "pid", (uint64_t)pid);
	if (WIFSIGNALED(status))
		log_number(&line, "signal", (uint64_t)WTERMSIG(status));
	else if (status != 0)
		log_number(&line, "status", (uint64_t)WEXITSTATUS(status));
	log_end(&line);
}

/* ---- messages to children ---- */

static void child_kill(const struct child *child)
{
	if (child->pid > 0)
		kill(child->pid, SIGKILL);
}

/* Sends and cleans up. A child that takes no more is of no use. */
static void child_send(struct child *child, struct message_writer *writer, const int *fds,
		       size_t nfds)
{
	if (channel_is_open(&child->channel) &&
	    (!message_end(writer, (uint8_t)nfds) ||
	     channel_send(&child->channel, writer, fds, nfds) < 0))
		child_kill(child);
	message_writer_cleanup(writer);
}

static void child_tell(struct child *child, enum control_type type, bool with_generation,
		       const int *fds, size_t nfds)
{
	struct message_writer writer;

	message_begin(&writer, CONTROL_MESSAGE_MAX, type);
	if (with_generation)
		message_put_u32(&writer, GENERATION);
	child_send(child, &writer, fds, nfds);
}

static void child_tell_peer(struct child *child, enum control_type type, const struct child *peer,
			    const int *fds, size_t nfds)
{
	struct message_writer writer;

	message_begin(&writer, CONTROL_MESSAGE_MAX, type);
	message_put_u8(&writer, (uint8_t)peer->kind);
	message_put_u32(&writer, peer->index);
	message_put_u32(&writer, peer->incarnation);
	child_send(child, &writer, fds, nfds);
}

static void child_prepare(struct child *child)
{
	struct message_writer writer;

	message_begin(&writer, CONTROL_MESSAGE_MAX, CONTROL_PREPARE);
	message_put_u32(&writer, GENERATION);
	config_encode(&writer, child->all->config, child->kind);
	child_send(child, &writer, NULL, 0);
	if (child->kind != CHILD_WORKER)
		return;
	for (size_t i = 0; i < child->all->listening->count; i++) {
		int fd = listening_socket(child->all->listening, i, child->index);

		message_begin(&writer, CONTROL_MESSAGE_MAX, CONTROL_LISTENER);
		message_put_u32(&writer, (uint32_t)i);
		child_send(child, &writer, &fd, 1);
	}
}

/* A work channel to every peer that is there; each end is told who the other is. */
static void child_wire(struct child *child)
{
	struct children *all = child->all;

	for (unsigned i = 0; i < all->count; i++) {
		struct child *peer = &all->items[i];
		int fds[2];

		if (peer->kind == child->kind || !child_is_wired(peer))
			continue;
		if (channel_pair(fds) < 0) {
			log_event(LOG_LEVEL_ERROR, "supervisor", "cannot make a work channel: %s",
				  strerror(errno));
			child_kill(child);
			return;
		}
		child_tell_peer(peer, CONTROL_PEER_UP, child, &fds[0], 1);
		child_tell_peer(child, CONTROL_PEER_UP, peer, &fds[1], 1);
		close(fds[0]);
		close(fds[1]);
	}
}

static void child_unwire(struct child *child)
{
	struct children *all = child->all;

	for (unsigned i = 0; i < all->count; i++)
		if (all->items[i].kind != child->kind && child_is_wired(&all->items[i]))
			child_tell_peer(&all->items[i], CONTROL_PEER_DOWN, child, NULL, 0);
}

/* ---- messages from children ---- */

static void child_ready(struct child *child, struct message_reader *reader)
{
	struct children *all = child->all;
	uint32_t generation = message_get_u32(reader);

	if (child->state != CHILD_PREPARING || generation != GENERATION || reader->failed) {
		child_kill(child);
		return;
	}
	if (child->kind == CHILD_CHECKER) {
		const char *version = message_get_string(reader);

		child_enter(child, CHILD_PREPARED, LEAVE_SECONDS);
		all->handlers->checked(all, version ? version : "");
		return;
	}
	child_wire(child);
	child_enter(child, CHILD_PREPARED, 0);
	if (all->committed) {
		child_tell(child, CONTROL_COMMIT, true, NULL, 0);
		child_enter(child, CHILD_RUNNING, 0);
		log_child(LOG_LEVEL_INFO, "child_started", child, child->pid, 0);
		return;
	}
	for (unsigned i = 0; i < all->count; i++)
		if (all->items[i].state != CHILD_PREPARED)
			return;
	all->handlers->prepared(all);
}

static void child_failed(struct child *child, struct message_reader *reader)
{
	struct config_faults faults = { 0 };

	message_get_u32(reader); /* generation */
	prepared_faults(reader, &faults);
	child->all->handlers->failed(child->all, child, &faults);
	config_faults_cleanup(&faults);
	child_tell(child, CONTROL_STOP, false, NULL, 0);
}

/* Only a worker may complain, and only about the incarnation that it knew. */
static void child_complains(struct child *child, struct message_reader *reader)
{
	unsigned kind = message_get_u8(reader);
	unsigned index = message_get_u32(reader), incarnation = message_get_u32(reader);
	struct child *peer = find_child(child->all, kind, index);

	if (!message_done(reader) || child->kind != CHILD_WORKER || kind != CHILD_AUTH || !peer) {
		child_kill(child);
		return;
	}
	if (peer->incarnation != incarnation || !child_is_wired(peer))
		return;
	log_child(LOG_LEVEL_ERROR, "child_stuck", peer, peer->pid, 0);
	child_kill(peer);
}

static void on_message(struct channel *channel, unsigned type, struct message_reader *reader,
		       int *fds, size_t nfds)
{
	struct child *child = channel->owner;

	switch (type) {
	case CONTROL_READY:
		child_ready(child, reader);
		break;
	case CONTROL_FAILED:
		child_failed(child, reader);
		break;
	case CONTROL_STUCK:
		child_complains(child, reader);
		break;
	default:
		child_kill(child);
	}
}

/* ---- end and restart ---- */

static ev_tstamp role_death(struct child_role *role, ev_tstamp now)
{
	size_t kept = sizeof(role->deaths) / sizeof(role->deaths[0]);

	role->deaths[role->next] = now;
	role->next = (role->next + 1) % kept;

	/* the next to be overwritten is the oldest of the five */
	ev_tstamp oldest = role->deaths[role->next];

	if (role->pause > 0 && now - role->last > role->pause + QUIET_SECONDS)
		role->pause = 0;
	else if (role->pause > 0)
		role->pause = role->pause * 2 < PAUSE_MAX ? role->pause * 2 : PAUSE_MAX;
	else if (oldest > 0 && now - oldest <= DEATHS_WINDOW)
		role->pause = PAUSE_FIRST;
	role->last = now;
	return role->pause;
}

static void child_restart(struct child *child)
{
	struct children *all = child->all;
	ev_tstamp pause = role_death(&all->roles[child->kind], ev_now(all->loop));

	if (pause == 0 && child_start(child) < 0) {
		log_event(LOG_LEVEL_ERROR, "supervisor", "cannot start a child: %s",
			  strerror(errno));
		pause = PAUSE_FIRST;
	}
	if (pause > 0)
		child_enter(child, CHILD_ABSENT, pause);
}

static void child_leave(struct child *child)
{
	if (child->state != CHILD_LEAVING) {
		bool wired = child_is_wired(child);

		child_enter(child, CHILD_LEAVING, LEAVE_SECONDS);
		if (wired && child->kind != CHILD_CHECKER)
			child_unwire(child);
	}
}

/* The process has been reaped and the channel has ended. */
static void child_over(struct child *child, int status)
{
	struct children *all = child->all;

	channel_cleanup(&child->channel);
	child_enter(child, CHILD_ABSENT, 0);
	if (child->kind == CHILD_WORKER)
		limit_clear(all->limits, child->index);
	all->handlers->over(all, child, status);
	if (all->restarting && child->kind != CHILD_CHECKER)
		child_restart(child);
}

static void on_closed(struct channel *channel, const char *why)
{
	struct child *child = channel->owner;

	child_leave(child);
	if (child->pid == 0)
		child_over(child, child->status);
}

static struct child *find_pid(struct children *all, pid_t pid)
{
	if (all->checker.pid == pid)
		return &all->checker;
	for (unsigned i = 0; i < all->count; i++)
		if (all->items[i].pid == pid)
			return &all->items[i];
	return NULL;
}

static void on_reaped(struct ev_loop *loop, ev_child *watcher, int events)
{
	struct children *all = watcher->data;
	struct child *child = find_pid(all, watcher->rpid);
	int status = watcher->rstatus;

	if (!child || (!WIFEXITED(status) && !WIFSIGNALED(status)))
		return;

	bool wanted = !all->restarting && WIFEXITED(status) && WEXITSTATUS(status) == 0;

	if (child->kind != CHILD_CHECKER || WIFSIGNALED(status))
		log_child(wanted ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR,
			  wanted ? "child_ended" : "child_died", child, child->pid, status);
	child->pid = 0;
	child->status = status;
	child_leave(child);
	if (!channel_is_open(&child->channel))
		child_over(child, status);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct child *child = timer->data;

	if (child->state != CHILD_ABSENT)
		child_kill(child);
	else if (child->all->restarting && child_start(child) < 0)
		child_enter(child, CHILD_ABSENT, PAUSE_MAX);
}

/* ---- start ---- */

static unsigned next_incarnation(struct children *all)
{
	bool taken;

	do {
		all->last_incarnation = all->last_incarnation % 65535 + 1;
		taken = false;
		for (unsigned i = 0; i < all->count; i++)
			if (all->items[i].incarnation == all->last_incarnation)
				taken = true;
	} while (taken);
	return all->last_incarnation;
}

static int child_start(struct child *child)
{
	static const struct channel_handlers handlers = { on_message, on_closed };
	struct children *all = child->all;
	int fds[2];

	if (channel_pair(fds) < 0)
		return -1;
	child->incarnation = next_incarnation(all);

	const struct child_start start = {
		.kind = child->kind,
		.index = child->index,
		.incarnation = child->incarnation,
		.channel = fds[1],
		.log = all->log,
		.shared = child->kind == CHILD_WORKER ? all->shared : -1,
		.uid = all->accounts[child->kind].uid,
		.gid = all->accounts[child->kind].gid,
	};

	child->pid = spawn_child(&all->spawner, &start);
	close(fds[1]);
	if (child->pid < 0) {
		child->pid = 0;
		close(fds[0]);
		return -1;
	}
	child_enter(child, CHILD_PREPARING, PREPARE_SECONDS);
	/* without memory: as if the channel had ended at once; the process sees the end and goes */
	if (channel_init(&child->channel, all->loop, fds[0], CONTROL_MESSAGE_MAX, CONTROL_QUEUE_MAX,
			 &handlers, child) < 0) {
		child_leave(child);
		return 0;
	}
	child_prepare(child);
	return 0;
}

static void child_init(struct child *child, struct children *all, enum child_kind kind,
		       unsigned index)
{
	child->all = all;
	child->kind = kind;
	child->index = index;
	child->channel.fd = -1;
	ev_timer_init(&child->timer, on_timer, 0, 0);
	child->timer.data = child;
}

int children_init(struct children *all, unsigned workers)
{
	child_init(&all->checker, all, CHILD_CHECKER, 0);
	if (spawn_init(&all->spawner) < 0)
		return -1;
	all->items = calloc(workers + CHILDREN_AUTH, sizeof(*all->items));
	if (!all->items) {
		spawn_cleanup(&all->spawner);
		return -1;
	}
	all->workers = workers;
	all->count = workers + CHILDREN_AUTH;
	for (unsigned i = 0; i < all->count; i++)
		child_init(&all->items[i], all, i < workers ? CHILD_WORKER : CHILD_AUTH,
			   i < workers ? i : i - workers);
	ev_child_init(&all->reaper, on_reaped, 0, 0);
	all->reaper.data = all;
	ev_child_start(all->loop, &all->reaper);
	return 0;
}

void children_cleanup(struct children *all)
{
	assert(children_alive(all) == 0);
	ev_child_stop(all->loop, &all->reaper);
	for (unsigned i = 0; i < all->count; i++)
		ev_timer_stop(all->loop, &all->items[i].timer);
	ev_timer_stop(all->loop, &all->checker.timer);
	free(all->items);
	all->items = NULL;
	all->count = 0;
	spawn_cleanup(&all->spawner);
}

int children_check(struct children *all)
{
	return child_start(&all->checker);
}

int children_start(struct children *all)
{
	for (unsigned i = 0; i < all->count; i++)
		if (child_start(&all->items[i]) < 0)
			return -1;
	return 0;
}

void children_commit(struct children *all)
{
	all->committed = all->restarting = true;
	for (unsigned i = 0; i < all->count; i++) {
		child_tell(&all->items[i], CONTROL_COMMIT, true, NULL, 0);
		child_enter(&all->items[i], CHILD_RUNNING, 0);
	}
}

unsigned children_alive_of(const struct children *all, enum child_kind kind)
{
	unsigned alive = 0;

	for (unsigned i = 0; i < all->count; i++)
		alive += all->items[i].kind == kind && all->items[i].state != CHILD_ABSENT;
	return alive;
}

unsigned children_alive(const struct children *all)
{
	return children_alive_of(all, CHILD_WORKER) + children_alive_of(all, CHILD_AUTH) +
	       (all->checker.state != CHILD_ABSENT);
}

void children_tell(struct children *all, enum child_kind kind, enum control_type type)
{
	for (unsigned i = 0; i < all->count; i++)
		if (kind == CHILD_KINDS || all->items[i].kind == kind)
			child_tell(&all->items[i], type, false, NULL, 0);
	if (kind == CHILD_KINDS || kind == CHILD_CHECKER)
		child_tell(&all->checker, type, false, NULL, 0);
}

void children_give_log(struct children *all, int fd)
{
	all->log = fd;
	for (unsigned i = 0; i < all->count; i++)
		child_tell(&all->items[i], CONTROL_LOG, false, &fd, 1);
}

void children_kill(struct children *all)
{
	for (unsigned i = 0; i < all->count; i++)
		child_kill(&all->items[i]);
	child_kill(&all->checker);
}
