/* reload - see reload.h. */
#include "frontend/reload.h"
#include "frontend/log.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ANSWER_SECONDS  5.0  /* for every child to prepare */
#define REPLACE_SECONDS 15.0 /* then for those who took the place of the ones that did not */

/* ---- what the operator is told ---- */

void reload_log_faults(const struct config_faults *faults)
{
	for (size_t i = 0; i < faults->count; i++) {
		const struct config_fault *fault = &faults->items[i];
		struct log_line line;

		log_begin(&line, fault->warning ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, "reload", 0);
		log_value(&line, "file", span_of(fault->file));
		log_number(&line, "line", (uint64_t)fault->line);
		log_value(&line, fault->warning ? "warning" : "error", span_of(fault->text));
		log_end(&line);
	}
}

static void log_done(const struct reload *reload)
{
	struct log_line line;

	log_begin(&line, reload->kept[0] == '\0' ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "reload", 0);
	log_word(&line, "result", "done");
	log_number(&line, "generation", reload->children->now.number);
	log_number(&line, "listeners", reload->listening->count);
	if (reload->kept[0] != '\0')
		log_value(&line, "needs_restart", span_of(reload->kept));
	log_end(&line);
}

/* ---- end ---- */

static void enter(struct reload *reload, enum reload_step step, double seconds)
{
	reload->step = step;
	ev_timer_stop(reload->children->loop, &reload->deadline);
	if (seconds > 0) {
		ev_timer_set(&reload->deadline, seconds, 0);
		ev_timer_start(reload->children->loop, &reload->deadline);
	}
}

static void drop_next(struct reload *reload)
{
	if (reload->step == RELOAD_CHECKING)
		children_check_no_more(reload->children);
	certificates_free(reload->next_certificates);
	reload->next_certificates = NULL;
	listening_close(&reload->next_listening);
	config_free(reload->next);
	reload->next = NULL;
}

static void finish(struct reload *reload, bool done)
{
	enter(reload, RELOAD_NONE, 0);
	reload->ended(reload, done);
	if (reload->again)
		reload_begin(reload);
}

static void give_up(struct reload *reload)
{
	if (reload->step == RELOAD_PREPARING)
		children_abort(reload->children);
	drop_next(reload);
	log_event(LOG_LEVEL_ERROR, "reload", "failed; generation %u stays in force",
		  (unsigned)reload->children->now.number);
	finish(reload, false);
}

/* ---- the steps ---- */

/* The checker ends by itself once it is told; it may do so while the children prepare. */
void reload_checked(struct reload *reload, const struct children_checked *checked)
{
	struct config_faults faults = { 0 };
	struct children *children = reload->children;
	int status;

	if (!certificates_take_book(reload->next_certificates, *checked->book)) {
		log_event(LOG_LEVEL_ERROR, "reload", "the checking process made no book");
		give_up(reload);
		return;
	}
	*checked->book = -1;
	children_check_no_more(children);
	status = listening_open(&reload->next_listening, reload->next, children->workers,
				reload->listening, &faults);
	reload_log_faults(&faults);
	config_faults_cleanup(&faults);
	if (status != 0) {
		give_up(reload);
		return;
	}
	reload->replacing = false;
	enter(reload, RELOAD_PREPARING, ANSWER_SECONDS);

	const struct children_setup setup = {
		.config = reload->next,
		.listening = &reload->next_listening,
		.certificates = reload->next_certificates,
	};

	children_prepare(children, &setup);
}

void reload_busy(struct reload *reload)
{
	if (reload->step == RELOAD_PREPARING)
		enter(reload, RELOAD_PREPARING,
		      reload->replacing ? REPLACE_SECONDS : ANSWER_SECONDS);
}

void reload_prepared(struct reload *reload)
{
	struct config *before = *reload->config;
	struct listening old = *reload->listening;
	struct certificates *certificates = *reload->certificates;

	*reload->config = reload->next;
	*reload->listening = reload->next_listening;
	*reload->certificates = reload->next_certificates;
	reload->next = NULL;
	reload->next_certificates = NULL;
	reload->next_listening = (struct listening) { 0 };
	/* the children's view must name what outlives this function */
	reload->children->next.listening = reload->listening;
	enter(reload, RELOAD_COMMITTED, ANSWER_SECONDS);
	children_commit(reload->children);
	reload->applied(reload, before);
	listening_close(&old);
	certificates_free(certificates);
	config_free(before);
}

void reload_serving(struct reload *reload)
{
	if (reload->step != RELOAD_COMMITTED)
		return;
	log_done(reload);
	finish(reload, true);
}

void reload_failed(struct reload *reload, const struct child *child,
		   const struct config_faults *faults)
{
	reload_log_faults(faults);
	if (child->kind != CHILD_CHECKER)
		log_event(LOG_LEVEL_ERROR, "reload", "%s %u cannot use it",
			  child_kind_names[child->kind], child->index);
	give_up(reload);
}

void reload_checker_over(struct reload *reload)
{
	if (reload->step == RELOAD_NONE && reload->again)
		reload_begin(reload);
	if (reload->step != RELOAD_CHECKING || reload->children->checker.state != CHILD_ABSENT)
		return;
	log_event(LOG_LEVEL_ERROR, "reload", "the checking process ended without an answer");
	give_up(reload);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct reload *reload = timer->data;

	if (reload->step == RELOAD_PREPARING && reload->replacing) {
		log_event(LOG_LEVEL_ERROR, "reload", "a process does not become ready");
		give_up(reload);
		return;
	}
	reload->replacing = true;
	enter(reload, reload->step, REPLACE_SECONDS);
	children_kill_silent(reload->children);
}

/* What its certificates are now; only those that have changed are read again. */
static bool find_certificates(struct reload *reload)
{
	struct config_faults faults = { 0 };
	struct certificates *next = certificates_find(reload->next, &faults);

	reload_log_faults(&faults);
	config_faults_cleanup(&faults);
	reload->next_certificates = next;
	if (next == NULL)
		return false;
	next->list.mode = CERTIFICATE_RELOAD;
	if (reload->next->tls.ocsp == (*reload->config)->tls.ocsp) /* or staples come and go */
		certificates_compare(next, *reload->certificates, NULL);
	return true;
}

static int begin_check(struct reload *reload)
{
	const struct children_checking checking = {
		.config = reload->next,
		.certificates = reload->next_certificates,
		.old = *reload->certificates,
	};

	return children_check(reload->children, &checking);
}

void reload_begin(struct reload *reload)
{
	struct config_faults faults = { 0 };

	if (reload->step != RELOAD_NONE || reload->children->checker.state != CHILD_ABSENT) {
		reload->again = true;
		return;
	}
	reload->again = false;
	reload->next = config_load(reload->path, &faults);
	reload_log_faults(&faults);
	config_faults_cleanup(&faults);
	if (!reload->next || !find_certificates(reload)) {
		give_up(reload);
		return;
	}
	reload->kept = config_keep_running(reload->next, *reload->config);
	enter(reload, RELOAD_CHECKING, 0);
	if (begin_check(reload) < 0) {
		log_event(LOG_LEVEL_ERROR, "reload", "cannot start a process: %s", strerror(errno));
		give_up(reload);
	}
}

/* Nobody keeps a socket of what will never be served: it would let clients connect, and keep the next Postern out. */
void reload_cancel(struct reload *reload)
{
	if (reload->step == RELOAD_PREPARING)
		children_abort(reload->children);
	drop_next(reload);
	enter(reload, RELOAD_NONE, 0);
	reload->again = false;
}

/* While the checker works, others may fail at what is in force; once it is committed, whoever fails is started again. */
bool reload_concerns(const struct reload *reload, const struct child *child)
{
	return child->kind == CHILD_CHECKER ? reload->step == RELOAD_CHECKING
					    : reload->step == RELOAD_PREPARING;
}

bool reload_active(const struct reload *reload)
{
	return reload->step != RELOAD_NONE;
}

void reload_init(struct reload *reload)
{
	ev_init(&reload->deadline, on_deadline);
	reload->deadline.data = reload;
	reload->kept = "";
}
