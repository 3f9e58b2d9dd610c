/* supervisor - start order, signals, end; see supervisor.h.
 * The order of a start: what a service manager hands over, configuration, log, users, checker child, pid file, listening
 * sockets, shared counters, children, all ready, begin. Each step that fails says why on stderr and gives its exit status;
 * what stands is taken down in reverse.
 * Phases: CHECKING -> STARTING -> RUNNING -> DRAINING -> STOPPING, and from any of them to STOPPING.
 */
#include "frontend/supervisor.h"
#include "frontend/account.h"
#include "frontend/activation.h"
#include "frontend/child.h"
#include "frontend/children.h"
#include "frontend/listening.h"
#include "frontend/log_target.h"
#include "frontend/notify.h"
#include "frontend/pid_file.h"
#include "frontend/reload.h"
#include "frontend/renewal.h"
#include "frontend/ticket_file.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#define STOP_SECONDS  2.0 /* for children to stop at once */
#define DRAIN_SECONDS 5.0 /* beyond limits.drain_timeout, which the workers keep */

enum supervisor_phase {
	SUPERVISOR_CHECKING,
	SUPERVISOR_STARTING,
	SUPERVISOR_RUNNING,
	SUPERVISOR_DRAINING,
	SUPERVISOR_STOPPING,
};

struct supervisor {
	const char *path;
	enum supervisor_phase phase;
	int status; /* to exit with */
	enum supervisor_task task;
	bool checked;
	bool audited;
	unsigned findings;    /* of the audit */
	char tls_version[64]; /* as the checker found it */
	struct config *config;
	struct certificates *certificates;
	struct ev_loop *loop;
	struct children children;
	struct listening listening;
	struct reload reload;
	struct renewal renewal;
	struct ticket_file tickets;
	struct log_target log;
	int shared, pid_file;
	ev_signal signals[4];
	ev_timer deadline; /* DRAINING, STOPPING: who is left is killed */
	ev_timer watchdog; /* of the service manager, if it has one */
};

/* ---- end ---- */

static void set_deadline(struct supervisor *supervisor, double seconds)
{
	ev_timer_stop(supervisor->loop, &supervisor->deadline);
	ev_timer_set(&supervisor->deadline, seconds, 0);
	ev_timer_start(supervisor->loop, &supervisor->deadline);
}

static void break_when_alone(struct supervisor *supervisor)
{
	if (children_alive(&supervisor->children) == 0)
		ev_break(supervisor->loop, EVBREAK_ALL);
}

/* No change of configuration or certificates goes on any more. */
static void cancel_changes(struct supervisor *supervisor)
{
	reload_cancel(&supervisor->reload);
	renewal_end(&supervisor->renewal);
	ticket_file_end(&supervisor->tickets);
}

static void stop(struct supervisor *supervisor)
{
	if (supervisor->phase == SUPERVISOR_STOPPING)
		return; /* a further signal does not put off the deadline */
	supervisor->phase = SUPERVISOR_STOPPING;
	supervisor->children.restarting = false;
	cancel_changes(supervisor);
	listening_close(&supervisor->listening);
	activation_end();
	children_check_no_more(&supervisor->children);
	children_tell(&supervisor->children, CHILD_KINDS, CONTROL_STOP);
	set_deadline(supervisor, STOP_SECONDS);
	break_when_alone(supervisor);
}

static void drain(struct supervisor *supervisor)
{
	supervisor->phase = SUPERVISOR_DRAINING;
	supervisor->children.restarting = false;
	cancel_changes(supervisor);
	listening_close(&supervisor->listening);
	activation_end();
	children_tell(&supervisor->children, CHILD_WORKER, CONTROL_DRAIN);
	set_deadline(supervisor, supervisor->config->limits.drain_timeout + DRAIN_SECONDS);
	if (children_alive_of(&supervisor->children, CHILD_WORKER) == 0)
		stop(supervisor);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct supervisor *supervisor = timer->data;

	children_kill(&supervisor->children);
}

/* ---- what the children tell ---- */

static void log_ready(const struct supervisor *supervisor)
{
	struct log_line line;
	char *addresses = listening_text(&supervisor->listening);

	log_begin(&line, LOG_LEVEL_INFO, "ready", 0);
	log_word(&line, "version", POSTERN_VERSION);
	log_number(&line, "listeners", supervisor->listening.count);
	log_number(&line, "workers", supervisor->children.workers);
	log_word(&line, "tls", supervisor->tls_version);
	if (addresses)
		log_text(&line, "addresses", addresses);
	log_end(&line);
	free(addresses);
}

/* Told at every start: what is off for debugging must not stay off unnoticed. */
static void log_seccomp_off(const struct supervisor *supervisor)
{
	if (!supervisor->config->seccomp)
		log_event(LOG_LEVEL_WARNING, "seccomp_off",
			  "seccomp = false: workers may make every system call");
}

static void tell_ready(const struct supervisor *supervisor)
{
	notify_ready(supervisor->listening.count, supervisor->children.workers);
}

static void on_prepared(struct children *children)
{
	struct supervisor *supervisor = children->owner;

	if (reload_active(&supervisor->reload)) {
		reload_prepared(&supervisor->reload);
		return;
	}
	if (supervisor->phase != SUPERVISOR_STARTING)
		return;
	supervisor->phase = SUPERVISOR_RUNNING;
	children_commit(children);
	log_ready(supervisor);
	log_seccomp_off(supervisor);
	tell_ready(supervisor);
	renewal_start(&supervisor->renewal);
	ticket_file_start(&supervisor->tickets, supervisor->loop);
	if (supervisor->reload.again)
		reload_begin(&supervisor->reload);
}

static void on_serving(struct children *children)
{
	struct supervisor *supervisor = children->owner;

	reload_serving(&supervisor->reload);
}

static void on_busy(struct children *children)
{
	struct supervisor *supervisor = children->owner;

	reload_busy(&supervisor->reload);
	renewal_busy(&supervisor->renewal);
}

/* What a child says besides READY; who was started again does so once more, and is not listened to. */
static void on_warned(struct children *children, const struct child *child,
		      const struct config_faults *faults)
{
	struct supervisor *supervisor = children->owner;

	if (supervisor->phase == SUPERVISOR_CHECKING)
		config_faults_print(faults, stderr);
	else if (reload_concerns(&supervisor->reload, child))
		reload_log_faults(faults);
	else if (child->kind == CHILD_CHECKER)
		renewal_warned(&supervisor->renewal, faults);
}

static void on_checked(struct children *children, const struct children_checked *checked)
{
	struct supervisor *supervisor = children->owner;

	children_tell(children, CHILD_CHECKER, CONTROL_STOP);
	if (supervisor->phase != SUPERVISOR_CHECKING) {
		if (reload_active(&supervisor->reload))
			reload_checked(&supervisor->reload, checked);
		else
			renewal_checked(&supervisor->renewal, checked);
		return;
	}
	children_check_no_more(children);
	if (!certificates_take_book(supervisor->certificates, *checked->book))
		return; /* as if it had not answered */
	*checked->book = -1;
	supervisor->checked = true;
	snprintf(supervisor->tls_version, sizeof(supervisor->tls_version), "%s", checked->version);
}

/* It ends here when it cannot be told. */
static void on_audited(struct children *children, const struct children_audited *audited)
{
	struct supervisor *supervisor = children->owner;

	supervisor->findings = audited->findings;
	supervisor->audited = fwrite(audited->text, 1, audited->len, stdout) == audited->len &&
			      fflush(stdout) == 0;
}

static void on_stapled(struct children *children, const struct children_staple *staple)
{
	struct supervisor *supervisor = children->owner;

	if (supervisor->phase == SUPERVISOR_RUNNING)
		renewal_staple(&supervisor->renewal, staple);
}

static void on_kept(struct children *children)
{
	struct supervisor *supervisor = children->owner;

	renewal_kept(&supervisor->renewal);
}

static void on_failed(struct children *children, const struct child *child,
		      const struct config_faults *faults)
{
	struct supervisor *supervisor = children->owner;

	if (reload_concerns(&supervisor->reload, child)) {
		reload_failed(&supervisor->reload, child, faults);
		return;
	}
	if (child->kind == CHILD_CHECKER) {
		if (supervisor->phase != SUPERVISOR_CHECKING) {
			renewal_failed(&supervisor->renewal, faults);
			return;
		}
		config_faults_print(faults, stderr);
		supervisor->status = EX_CONFIG;
		return;
	}
	if (supervisor->phase == SUPERVISOR_STARTING && child->kind == CHILD_TOKEN) {
		config_faults_print(faults, stderr);
		supervisor->status = EX_CONFIG;
		stop(supervisor);
		return;
	}
	for (size_t i = 0; i < faults->count; i++)
		log_event(LOG_LEVEL_ERROR, "child_failed", "%s:%d: %s", faults->items[i].file,
			  faults->items[i].line, faults->items[i].text);
}

static void on_over(struct children *children, const struct child *child, int status)
{
	struct supervisor *supervisor = children->owner;

	switch (supervisor->phase) {
	case SUPERVISOR_CHECKING:
		if (!supervisor->checked && supervisor->status == 0) {
			fprintf(stderr, "postern: the checking process ended without an answer\n");
			supervisor->status = EX_SOFTWARE;
		}
		ev_break(supervisor->loop, EVBREAK_ALL);
		break;
	case SUPERVISOR_STARTING:
		fprintf(stderr, "postern: a process (%s) ended before it was ready: %s %d\n",
			child_kind_names[child->kind], WIFSIGNALED(status) ? "signal" : "status",
			WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		supervisor->status = EX_SOFTWARE;
		stop(supervisor);
		break;
	case SUPERVISOR_RUNNING:
		if (child->kind == CHILD_CHECKER) {
			renewal_checker_over(&supervisor->renewal);
			reload_checker_over(&supervisor->reload);
		}
		break;
	case SUPERVISOR_DRAINING:
		if (children_alive_of(children, CHILD_WORKER) == 0)
			stop(supervisor);
		break;
	case SUPERVISOR_STOPPING:
		break_when_alone(supervisor);
		break;
	}
}

/* ---- signals ---- */

/* What cannot be opened leaves the log where it was; SIGUSR1 tries again. */
static void reopen_log(struct supervisor *supervisor)
{
	const struct config *config = supervisor->config;

	if (log_target_open(&supervisor->log, config->log.target,
			    (enum log_format)config->log.format) < 0) {
		log_event(LOG_LEVEL_ERROR, "log_reopened", "cannot open %s: %s", config->log.target,
			  strerror(errno));
		return;
	}
	children_give_log(&supervisor->children, &supervisor->log.output);
	log_event(LOG_LEVEL_INFO, "log_reopened", "%s", config->log.target);
}

static void apply(struct reload *reload, const struct config *before)
{
	struct supervisor *supervisor = reload->children->owner;
	const struct config *config = *reload->config;

	log_set_level((enum log_level)config->log.level);
	if (config->log.format != before->log.format ||
	    strcmp(config->log.target, before->log.target) != 0)
		reopen_log(supervisor);
}

static void reload_ended(struct reload *reload, bool done)
{
	struct supervisor *supervisor = reload->children->owner;

	if (!reload->again) {
		tell_ready(supervisor);
		renewal_resume(&supervisor->renewal);
		ticket_file_update(&supervisor->tickets);
	}
}

/* A renewal and a reload never go on at the same time: each waits for the other's end. */
static bool renewal_may_begin(const struct renewal *renewal)
{
	const struct supervisor *supervisor = renewal->children->owner;

	return supervisor->phase == SUPERVISOR_RUNNING && !reload_active(&supervisor->reload) &&
	       !supervisor->reload.again;
}

static void renewal_ended(struct renewal *renewal)
{
	struct supervisor *supervisor = renewal->children->owner;

	if (supervisor->phase == SUPERVISOR_RUNNING && supervisor->reload.again)
		reload_begin(&supervisor->reload);
}

static void tickets_changed(void *owner)
{
	struct supervisor *supervisor = owner;

	children_give_tickets(&supervisor->children, ticket_file_path(supervisor->config));
}

static void on_watchdog(struct ev_loop *loop, ev_timer *timer, int events)
{
	notify_alive();
}

static void on_signal(struct ev_loop *loop, ev_signal *watcher, int events)
{
	struct supervisor *supervisor = watcher->data;

	switch (watcher->signum) {
	case SIGHUP:
		if (supervisor->phase == SUPERVISOR_RUNNING) {
			notify_reloading();
			if (renewal_active(&supervisor->renewal))
				supervisor->reload.again = true;
			else
				reload_begin(&supervisor->reload);
		} else if (supervisor->phase < SUPERVISOR_RUNNING) {
			supervisor->reload.again = true;
		}
		break;
	case SIGUSR1:
		reopen_log(supervisor);
		break;
	default:
		log_event(LOG_LEVEL_INFO, "stopping", "%s", strsignal(watcher->signum));
		notify_stopping();
		if (watcher->signum == SIGTERM && supervisor->phase == SUPERVISOR_RUNNING)
			drain(supervisor);
		else
			stop(supervisor);
	}
}

static void watch_signals(struct supervisor *supervisor)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1 };

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		ev_signal_init(&supervisor->signals[i], on_signal, numbers[i]);
		supervisor->signals[i].data = supervisor;
		ev_signal_start(supervisor->loop, &supervisor->signals[i]);
	}
	ev_init(&supervisor->deadline, on_deadline);
	supervisor->deadline.data = supervisor;
	ev_timer_init(&supervisor->watchdog, on_watchdog, notify_watchdog(), notify_watchdog());
	if (notify_watchdog() > 0)
		ev_timer_start(supervisor->loop, &supervisor->watchdog);
	reload_init(&supervisor->reload);
	renewal_init(&supervisor->renewal);
}

static void unwatch_signals(struct supervisor *supervisor)
{
	sigset_t all;

	/* One that comes now is too late to change how we end. */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	for (size_t i = 0; i < sizeof(supervisor->signals) / sizeof(supervisor->signals[0]); i++)
		ev_signal_stop(supervisor->loop, &supervisor->signals[i]);
	ev_timer_stop(supervisor->loop, &supervisor->deadline);
	ev_timer_stop(supervisor->loop, &supervisor->watchdog);
}

/* ---- start, step by step: each returns 0 or the exit status ---- */

static int load(struct supervisor *supervisor)
{
	bool only_check = supervisor->task != SUPERVISOR_SERVE;
	struct config_faults faults = { 0 };
	const char *target = "stderr";
	enum log_format format = LOG_FORMAT_LOGFMT;
	int status = 0;

	supervisor->config = config_load(supervisor->path, &faults);
	config_faults_print(&faults, stderr);
	config_faults_cleanup(&faults);
	if (!supervisor->config)
		return EX_CONFIG;
	supervisor->certificates = certificates_find(supervisor->config, &faults);
	config_faults_print(&faults, stderr);
	config_faults_cleanup(&faults);
	if (!supervisor->certificates)
		return EX_CONFIG;
	if (!only_check) {
		target = supervisor->config->log.target;
		format = (enum log_format)supervisor->config->log.format;
	}
	if (log_target_open(&supervisor->log, target, format) < 0) {
		fprintf(stderr, "%s: error: cannot open the log: %s\n", target, strerror(errno));
		return EX_CANTCREAT;
	}
	log_set_level((enum log_level)supervisor->config->log.level);
	if (!account_find(supervisor->config, supervisor->path, only_check,
			  supervisor->children.accounts, &faults))
		status = EX_CONFIG;
	config_faults_print(&faults, stderr);
	config_faults_cleanup(&faults);
	return status;
}

static int check(struct supervisor *supervisor)
{
	static const struct children_handlers handlers = { on_prepared, on_serving, on_checked,
							   on_audited,  on_stapled, on_kept,
							   on_warned,   on_busy,    on_failed,
							   on_over };
	const struct children_checking checking = { .config = supervisor->config,
						    .certificates = supervisor->certificates,
						    .audit = supervisor->task == SUPERVISOR_AUDIT };
	struct children *children = &supervisor->children;

	if (checking.audit) /* that one has expired is a finding then */
		supervisor->certificates->list.mode = CERTIFICATE_RELOAD;
	children->loop = supervisor->loop;
	children->handlers = &handlers;
	children->owner = supervisor;
	children->log = supervisor->log.output;
	children->shared = -1;
	if (children_init(children, (unsigned)supervisor->config->workers) < 0 ||
	    children_check(children, &checking) < 0) {
		fprintf(stderr, "postern: cannot start a process: %s\n", strerror(errno));
		return EX_OSERR;
	}
	ev_run(supervisor->loop, 0);
	return supervisor->status;
}

static int take_pid_file(struct supervisor *supervisor)
{
	const char *path = supervisor->config->pid_file;

	if (!path)
		return 0;
	supervisor->pid_file = pid_file_open(path);
	if (supervisor->pid_file >= 0)
		return 0;
	if (errno == EWOULDBLOCK) {
		fprintf(stderr, "%s: error: another postern is running\n", path);
		return EX_TEMPFAIL;
	}
	fprintf(stderr, "%s: error: cannot write the pid file: %s\n", path, strerror(errno));
	return EX_CANTCREAT;
}

static int make_shared(struct supervisor *supervisor)
{
	unsigned workers = supervisor->children.workers;

	supervisor->shared = shared_create(workers);
	if (supervisor->shared >= 0)
		supervisor->children.counters = shared_map(supervisor->shared, workers, true);
	if (!supervisor->children.counters) {
		fprintf(stderr, "postern: cannot make the shared counters: %s\n", strerror(errno));
		return EX_OSERR;
	}
	supervisor->children.shared = supervisor->shared;
	return 0;
}

static int serve(struct supervisor *supervisor)
{
	struct config_faults faults = { 0 };
	const struct children_setup setup = { .config = supervisor->config,
					      .listening = &supervisor->listening,
					      .certificates = supervisor->certificates };
	int status = take_pid_file(supervisor);

	if (status != 0)
		return status;
	status = listening_open(&supervisor->listening, supervisor->config,
				supervisor->children.workers, NULL, &faults);
	config_faults_print(&faults, stderr);
	config_faults_cleanup(&faults);
	activation_close_unused();
	if (status != 0)
		return status;
	status = make_shared(supervisor);
	if (status != 0)
		return status;
	supervisor->phase = SUPERVISOR_STARTING;
	if (children_prepare(&supervisor->children, &setup) < 0) {
		fprintf(stderr, "postern: cannot start a process: %s\n", strerror(errno));
		supervisor->status = EX_OSERR;
		stop(supervisor);
	}
	if (children_alive(&supervisor->children) > 0)
		ev_run(supervisor->loop, 0);
	log_event(LOG_LEVEL_INFO, "stopped", "status %d", supervisor->status);
	return supervisor->status;
}

static void cleanup(struct supervisor *supervisor)
{
	if (supervisor->children.items)
		children_cleanup(&supervisor->children);
	shared_unmap(supervisor->children.counters);
	if (supervisor->shared >= 0)
		close(supervisor->shared);
	listening_close(&supervisor->listening);
	activation_end();
	if (supervisor->config)
		pid_file_close(supervisor->config->pid_file, supervisor->pid_file);
	unwatch_signals(supervisor);
	log_target_close(&supervisor->log);
	certificates_free(supervisor->certificates);
	config_free(supervisor->config);
	ev_loop_destroy(supervisor->loop);
	child_undumpable(true);
}

/* What has been checked, and is not to be served: 0 or the exit status. */
static int tell(const struct supervisor *supervisor)
{
	if (supervisor->task == SUPERVISOR_CHECK) {
		printf("configuration ok\n");
		return 0;
	}
	if (!supervisor->audited)
		return EX_IOERR;
	return supervisor->findings > 0 ? SUPERVISOR_FINDINGS : 0;
}

int supervisor_run(const char *path, enum supervisor_task task)
{
	struct supervisor supervisor = { .path = path, .task = task, .shared = -1, .pid_file = -1 };
	int status;

	activation_init();
	notify_init();
	supervisor.reload = (struct reload) { .children = &supervisor.children,
					      .listening = &supervisor.listening,
					      .config = &supervisor.config,
					      .certificates = &supervisor.certificates,
					      .path = path,
					      .applied = apply,
					      .ended = reload_ended };
	supervisor.renewal = (struct renewal) { .children = &supervisor.children,
						.config = &supervisor.config,
						.certificates = &supervisor.certificates,
						.may_begin = renewal_may_begin,
						.ended = renewal_ended };
	supervisor.tickets = (struct ticket_file) { .config = &supervisor.config,
						    .changed = tickets_changed,
						    .owner = &supervisor };
	child_undumpable(false);
	child_raise_descriptors();
	supervisor.loop = ev_default_loop(EVBACKEND_EPOLL | EVFLAG_NOENV);
	if (!supervisor.loop) {
		fprintf(stderr, "postern: no event loop\n");
		return EX_OSERR;
	}
	log_target_init(&supervisor.log, supervisor.loop);
	watch_signals(&supervisor);
	status = load(&supervisor);
	if (status == 0)
		status = check(&supervisor);
	if (status == 0 && supervisor.phase == SUPERVISOR_CHECKING) {
		status = task == SUPERVISOR_SERVE ? serve(&supervisor) : tell(&supervisor);
	} else if (status == 0 && task != SUPERVISOR_SERVE) {
		status = EX_TEMPFAIL; /* a signal came first: nothing has been found out */
	}
	cleanup(&supervisor);
	return status;
}
