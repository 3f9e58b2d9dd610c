/* children - see children.h.
 * A child's life: ABSENT -> PREPARING -> PREPARED -> RUNNING -> LEAVING -> ABSENT, from any of them to LEAVING. A running child stays
 * RUNNING while it prepares a further generation.
 * A role that dies five times within ten seconds is started again only after a pause, which doubles from 1 to 30 s
 * until the role has been quiet for a minute.
 */
#include "frontend/children.h"
#include "frontend/children_talk.h"
#include "frontend/log.h"
#include "frontend/metrics.h"
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PREPARE_SECONDS 30.0 /* for a new child to become ready */
#define LEAVE_SECONDS   10.0 /* for a process to end after its channel has */
#define RETIRE_SECONDS  60.0 /* for one that is not needed to end what it has begun */
#define DEATHS_WINDOW   10.0
#define PAUSE_FIRST     1.0
#define PAUSE_MAX       30.0
#define QUIET_SECONDS   60.0

static int child_start(struct child *);

/* ---- state ---- */

static void set_timer(struct child *child, ev_tstamp seconds)
{
	ev_timer_stop(child->all->loop, &child->timer);
	if (seconds > 0) {
		ev_timer_set(&child->timer, seconds, 0);
		ev_timer_start(child->all->loop, &child->timer);
	}
}

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
	set_timer(child, seconds);
}

bool child_is_wired(const struct child *child)
{
	return child->state == CHILD_PREPARED || child->state == CHILD_RUNNING;
}

struct child *child_find(struct children *all, unsigned kind, unsigned index)
{
	for (unsigned i = 0; i < all->count; i++)
		if (all->items[i].kind == kind && all->items[i].index == index)
			return &all->items[i];
	return NULL;
}

void child_log(enum log_level level, const char *event, const struct child *child, pid_t pid,
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
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		log_word(&line, "reason", "seccomp");
	if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		log_number(&line, "status", (uint64_t)WEXITSTATUS(status));
	log_end(&line);
}

/* Whoever asks for one file after another is not stuck, however many there are. */
void child_goes_on(struct child *child)
{
	if (child->state == CHILD_PREPARING)
		set_timer(child, PREPARE_SECONDS);
	if (child->kind == CHILD_KEEPER)
		child->all->handlers->busy(child->all);
}

void child_kill(const struct child *child)
{
	if (child->pid > 0)
		kill(child->pid, SIGKILL);
}

/* ---- generations ---- */

/* Nobody who lives and is to stay is still to answer. */
static bool all_ready(const struct children *all)
{
	for (unsigned i = 0; i < all->count; i++) {
		const struct child *child = &all->items[i];

		if (child->state != CHILD_ABSENT && child->state != CHILD_LEAVING &&
		    child->wanted && !child->ready)
			return false;
	}
	return true;
}

static void consider_prepared(struct children *all)
{
	if (all->next.number != 0 && all_ready(all))
		all->handlers->prepared(all);
}

/* Everyone who lives has said to serve what is in force. */
static void consider_settled(struct children *all)
{
	if (all->settled || all->next.number != 0)
		return;
	for (unsigned i = 0; i < all->count; i++) {
		const struct child *child = &all->items[i];

		if (child->state != CHILD_ABSENT && child->state != CHILD_LEAVING &&
		    child->wanted && child->serving != all->now.number)
			return;
	}
	all->settled = true;
	all->handlers->serving(all);
}

void child_serves(struct child *child, uint32_t number)
{
	if (child->state == CHILD_RUNNING && number == child->given)
		child->serving = number;
	consider_settled(child->all);
}

static void commit_child(struct child *child)
{
	child_tell_generation(child, CONTROL_COMMIT, child->given);
	if (child->state == CHILD_PREPARED)
		child_enter(child, CHILD_RUNNING, 0);
}

void child_answered(struct child *child)
{
	struct children *all = child->all;

	if (child->state == CHILD_PREPARING) {
		if (!child_wire(child)) {
			child_kill(child);
			return;
		}
		child_enter(child, CHILD_PREPARED, 0);
		if (all->next.number == 0) {
			commit_child(child);
			child_log(LOG_LEVEL_INFO, "child_started", child, child->pid, 0);
		}
	}
	consider_prepared(all);
}

/* How many authentication processes are to be there. */
static unsigned count_wanted(const struct children *all, enum child_kind kind)
{
	unsigned wanted = 0;

	for (unsigned i = 0; i < all->count; i++)
		wanted += all->items[i].kind == kind && all->items[i].wanted;
	return wanted;
}

static void dismiss(struct child *child)
{
	child->wanted = false;
	if (child->state == CHILD_RUNNING) {
		child_retire(child);
		set_timer(child, RETIRE_SECONDS);
	} else if (child->state == CHILD_ABSENT) {
		set_timer(child, 0);
	} else {
		child_kill(child);
	}
}

/* There is always one of these. */
static struct child *one_of(struct children *all, enum child_kind kind)
{
	struct child *child = child_find(all, kind, 0);

	assert(child != NULL);
	return child;
}

static struct child *keeper_of(struct children *all)
{
	return one_of(all, CHILD_KEEPER);
}

static struct child *token_of(struct children *all)
{
	return one_of(all, CHILD_TOKEN);
}

/* Only where there are tokens. */
static void raise_token(struct children *all, const struct config *config)
{
	if (config->tls.pkcs11.module != NULL)
		token_of(all)->wanted = true;
}

static void lower_token(struct children *all, const struct config *config)
{
	struct child *token = token_of(all);

	if (config->tls.pkcs11.module == NULL && token->wanted)
		dismiss(token);
}

/* To the least number that the configuration wants. */
static void raise_auth(struct children *all, const struct config *config)
{
	unsigned wanted = count_wanted(all, CHILD_AUTH);

	for (unsigned i = 0; i < all->count && wanted < (unsigned)config->auth.processes_min; i++)
		if (all->items[i].kind == CHILD_AUTH && !all->items[i].wanted &&
		    all->items[i].state == CHILD_ABSENT) {
			all->items[i].wanted = true;
			wanted++;
		}
}

/* To the greatest number that it allows. */
static void lower_auth(struct children *all, const struct config *config)
{
	unsigned wanted = count_wanted(all, CHILD_AUTH);

	for (unsigned i = all->count; i-- > 0 && wanted > (unsigned)config->auth.processes_max;)
		if (all->items[i].kind == CHILD_AUTH && all->items[i].wanted) {
			dismiss(&all->items[i]);
			wanted--;
		}
}

int children_prepare(struct children *all, const struct children_setup *setup)
{
	bool first = all->now.number == 0;

	all->next = *setup;
	all->next.number = ++all->last_number;
	raise_auth(all, setup->config);
	raise_token(all, setup->config);
	for (unsigned i = 0; i < all->count; i++) {
		struct child *child = &all->items[i];

		if (child->state == CHILD_ABSENT && child->wanted && !ev_is_active(&child->timer)) {
			if (child_start(child) < 0 && first)
				return -1;
			if (child->state == CHILD_ABSENT)
				child_enter(child, CHILD_ABSENT, PAUSE_FIRST);
		} else if (child->state == CHILD_PREPARING || child_is_wired(child)) {
			child_give(child, &all->next);
		}
	}
	return 0;
}

void children_kill_silent(struct children *all)
{
	for (unsigned i = 0; i < all->count; i++) {
		const struct child *child = &all->items[i];
		bool answered =
			all->next.number != 0 ? child->ready : child->serving == all->now.number;

		if (child_is_wired(child) && !answered)
			child_kill(child);
	}
}

void children_commit(struct children *all)
{
	bool first = all->now.number == 0;

	assert(all->next.number != 0);
	all->now = all->next;
	all->next = (struct children_setup) { 0 };
	all->restarting = true;
	all->settled = false;
	for (unsigned i = 0; i < all->count; i++) {
		struct child *child = &all->items[i];
		bool new = child->state == CHILD_PREPARED;

		if (!child_is_wired(child) || !child->ready)
			continue;
		commit_child(child);
		if (new && !first)
			child_log(LOG_LEVEL_INFO, "child_started", child, child->pid, 0);
	}
	lower_auth(all, all->now.config);
	lower_token(all, all->now.config);
}

void children_abort(struct children *all)
{
	uint32_t number = all->next.number;

	all->next = (struct children_setup) { 0 };
	for (unsigned i = 0; i < all->count; i++) {
		struct child *child = &all->items[i];

		if (child->given != number)
			continue;
		if (child->state == CHILD_RUNNING) {
			child_tell_generation(child, CONTROL_ABORT, number);
			child->given = all->now.number;
			child->ready = true;
		} else {
			child_kill(child);
		}
	}
	lower_auth(all, all->now.config);
	lower_token(all, all->now.config);
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

void child_leave(struct child *child)
{
	if (child->state != CHILD_LEAVING) {
		bool wired = child_is_wired(child);

		child_enter(child, CHILD_LEAVING, LEAVE_SECONDS);
		if (wired)
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
		shared_worker_died(all->counters, child->index);
	all->handlers->over(all, child, status);
	if (child->kind == CHILD_TOKEN)
		child_kept(all); /* it may be all that was waited for */
	if (all->restarting && child->wanted)
		child_restart(child);
	consider_prepared(all);
	consider_settled(all);
}

void child_gone(struct child *child)
{
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

	bool asked = WIFEXITED(status) && WEXITSTATUS(status) == 0 &&
		     (!all->restarting || !child->wanted);

	if (child->kind != CHILD_CHECKER || WIFSIGNALED(status))
		child_log(asked ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR,
			  asked ? "child_ended" : "child_died", child, child->pid, status);
	if (!asked && child->kind != CHILD_CHECKER)
		metrics_add(all->counters, all->workers, METRIC_DEATHS + child->kind, 1);
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
	else if (child->all->restarting && child->wanted && child_start(child) < 0)
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

static void give_first(struct child *child)
{
	struct children *all = child->all;

	if (child->kind == CHILD_TOKEN && all->next.number == 0)
		child_tell(child, CONTROL_AGAIN, NULL, 0);
	if (child->kind == CHILD_CHECKER)
		child_give_check(child, &all->checking);
	else
		child_give(child, all->next.number != 0 ? &all->next : &all->now);
}

static int child_start(struct child *child)
{
	struct children *all = child->all;
	bool counts = child->kind == CHILD_WORKER || child->kind == CHILD_MONITOR;
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
		.shared = counts ? all->shared : -1,
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
	child->serving = 0;
	child->books = 0;
	child_enter(child, CHILD_PREPARING, PREPARE_SECONDS);
	/* without memory: as if the channel had ended at once; the process sees the end and goes */
	if (channel_init(&child->channel, all->loop, fds[0], CONTROL_MESSAGE_MAX, CONTROL_QUEUE_MAX,
			 &children_talk_handlers, child) < 0) {
		child_leave(child);
		return 0;
	}
	give_first(child);
	return 0;
}

/* One at a time: while one is on its way more would not help. */
void child_busy(struct children *all, enum child_kind kind)
{
	struct child *free = NULL;

	if (!all->restarting ||
	    count_wanted(all, kind) >= (unsigned)all->now.config->auth.processes_max)
		return;
	for (unsigned i = 0; i < all->count; i++) {
		struct child *child = &all->items[i];

		if (child->kind != kind)
			continue;
		if (child->wanted && child->state != CHILD_RUNNING)
			return;
		if (!child->wanted && child->state == CHILD_ABSENT && !free)
			free = child;
	}
	if (free && child_start(free) == 0)
		free->wanted = true;
}

void child_idle(struct child *child)
{
	const struct children *all = child->all;

	if (child->kind == CHILD_AUTH && child->state == CHILD_RUNNING && child->wanted &&
	    all->next.number == 0 &&
	    count_wanted(all, CHILD_AUTH) > (unsigned)all->now.config->auth.processes_min)
		dismiss(child);
}

static void child_init(struct child *child, struct children *all, enum child_kind kind,
		       unsigned index)
{
	child->all = all;
	child->kind = kind;
	child->index = index;
	child->wanted = kind != CHILD_AUTH && kind != CHILD_CHECKER && kind != CHILD_TOKEN;
	child->channel.fd = -1;
	ev_timer_init(&child->timer, on_timer, 0, 0);
	child->timer.data = child;
}

int children_init(struct children *all, unsigned workers)
{
	struct child *item;

	child_init(&all->checker, all, CHILD_CHECKER, 0);
	if (spawn_init(&all->spawner) < 0)
		return -1;
	all->count = workers + CONFIG_AUTH_PROCESSES_MAX + 3;
	item = all->items = calloc(all->count, sizeof(*all->items));
	if (!all->items) {
		spawn_cleanup(&all->spawner);
		return -1;
	}
	all->workers = workers;
	for (unsigned i = 0; i < workers; i++)
		child_init(item++, all, CHILD_WORKER, i);
	for (unsigned i = 0; i < CONFIG_AUTH_PROCESSES_MAX; i++)
		child_init(item++, all, CHILD_AUTH, i);
	child_init(item++, all, CHILD_KEEPER, 0);
	child_init(item++, all, CHILD_MONITOR, 0);
	child_init(item, all, CHILD_TOKEN, 0);
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

int children_check(struct children *all, const struct children_checking *checking)
{
	all->checking = *checking;
	return child_start(&all->checker);
}

void children_check_no_more(struct children *all)
{
	all->checking = (struct children_checking) { 0 };
}

/* ---- new certificates for the generation in force ---- */

/* One that is only starting has another book before it, and answers for both. */
static void give_book_to_keepers(struct children *all)
{
	struct child *const keepers[] = { keeper_of(all), token_of(all) };

	for (size_t i = 0; i < sizeof(keepers) / sizeof(keepers[0]); i++) {
		struct child *keeper = keepers[i];

		if (keeper->state == CHILD_PREPARING || child_is_wired(keeper)) {
			keeper->books++;
			child_give_book(keeper, child_certificates(keeper));
		}
	}
}

void children_renew(struct children *all, const struct certificates *certificates)
{
	assert(all->renewed == NULL && all->next.number == 0);
	all->renewed = certificates;
	give_book_to_keepers(all);
}

/* A token that is away is not waited for: the certificates of other keys are renewed without it. */
static bool token_is_waited_for(struct children *all)
{
	const struct child *token = token_of(all);

	return child_is_wired(token) && (!token->ready || token->books > 0);
}

static bool keeper_is_waited_for(struct children *all)
{
	const struct child *keeper = keeper_of(all);

	return !child_is_wired(keeper) || !keeper->ready || keeper->books > 0;
}

void children_kill_keeper(struct children *all)
{
	if (token_is_waited_for(all))
		child_kill(token_of(all));
	if (keeper_is_waited_for(all))
		child_kill(keeper_of(all));
}

void children_give_tickets(struct children *all, const char *path)
{
	child_give_tickets(keeper_of(all), path);
}

void child_kept(struct children *all)
{
	if (all->renewed != NULL && !keeper_is_waited_for(all) && !token_is_waited_for(all))
		all->handlers->kept(all);
}

void children_renew_commit(struct children *all)
{
	all->now.certificates = all->renewed;
	all->renewed = NULL;
	for (unsigned i = 0; i < all->count; i++) {
		struct child *child = &all->items[i];

		if ((child->kind == CHILD_WORKER || child->kind == CHILD_MONITOR) &&
		    (child->state == CHILD_PREPARING || child_is_wired(child)))
			child_give_book(child, all->now.certificates);
	}
}

void children_renew_abort(struct children *all)
{
	if (all->renewed == NULL)
		return;
	all->renewed = NULL;
	give_book_to_keepers(all);
}

void children_move_certificates(struct children *all, const struct certificates *certificates)
{
	all->now.certificates = certificates;
}

/* ---- all of them ---- */

unsigned children_alive_of(const struct children *all, enum child_kind kind)
{
	unsigned alive = 0;

	for (unsigned i = 0; i < all->count; i++)
		alive += all->items[i].kind == kind && all->items[i].state != CHILD_ABSENT;
	return alive;
}

unsigned children_alive(const struct children *all)
{
	unsigned alive = all->checker.state != CHILD_ABSENT;

	for (unsigned i = 0; i < all->count; i++)
		alive += all->items[i].state != CHILD_ABSENT;
	return alive;
}

void children_tell(struct children *all, enum child_kind kind, enum control_type type)
{
	for (unsigned i = 0; i < all->count; i++)
		if (kind == CHILD_KINDS || all->items[i].kind == kind)
			child_tell(&all->items[i], type, NULL, 0);
	if (kind == CHILD_KINDS || kind == CHILD_CHECKER)
		child_tell(&all->checker, type, NULL, 0);
}

void children_give_log(struct children *all, const struct log_output *log)
{
	all->log = *log;
	for (unsigned i = 0; i < all->count; i++)
		child_give_log(&all->items[i], log);
}

void children_kill(struct children *all)
{
	for (unsigned i = 0; i < all->count; i++)
		child_kill(&all->items[i]);
	child_kill(&all->checker);
}
