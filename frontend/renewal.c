/* renewal - see renewal.h. */
#include "frontend/renewal.h"
#include "frontend/certificate_events.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KEEPER_SECONDS 5.0 /* for it to fetch the keys */
#define GATHER_SECONDS 0.5
#define RETRY_FIRST    1.0
#define RETRY_MAX      60.0
#define DAY            86400.0

static void begin(struct renewal *);

/* ---- steps ---- */

static void enter(struct renewal *renewal, enum renewal_step step, double seconds)
{
	struct ev_loop *loop = renewal->children->loop;

	renewal->step = step;
	ev_timer_stop(loop, &renewal->deadline);
	if (seconds > 0) {
		ev_timer_set(&renewal->deadline, seconds, 0);
		ev_timer_start(loop, &renewal->deadline);
	}
}

static void drop_next(struct renewal *renewal)
{
	if (renewal->step == RENEWAL_CHECKING)
		children_check_no_more(renewal->children);
	if (renewal->step == RENEWAL_KEEPER)
		children_renew_abort(renewal->children);
	certificates_free(renewal->next);
	renewal->next = NULL;
}

static void finish(struct renewal *renewal)
{
	enter(renewal, RENEWAL_NONE, 0);
	renewal->ended(renewal);
	if (renewal->again)
		begin(renewal);
}

/* Longer each time, until there is nothing more to try again. */
static void retry_later(struct renewal *renewal)
{
	struct ev_loop *loop = renewal->children->loop;

	renewal->pause = renewal->pause == 0 ? RETRY_FIRST : renewal->pause * 2;
	if (renewal->pause > RETRY_MAX)
		renewal->pause = RETRY_MAX;
	ev_timer_stop(loop, &renewal->retry);
	ev_timer_set(&renewal->retry, renewal->pause, 0);
	ev_timer_start(loop, &renewal->retry);
}

static void retry_no_more(struct renewal *renewal)
{
	renewal->pause = 0;
	ev_timer_stop(renewal->children->loop, &renewal->retry);
}

static void give_up(struct renewal *renewal)
{
	drop_next(renewal);
	retry_later(renewal);
	finish(renewal);
}

/* ---- what is told once ---- */

static int by_text(const void *a, const void *b)
{
	const struct config_fault *one = a, *other = b;

	return one->warning != other->warning ? one->warning - other->warning
					      : strcmp(one->text, other->text);
}

/* A folder may be full of them. */
static bool was_told(const struct config_faults *told, const struct config_fault *fault)
{
	return told->count > 0 &&
	       bsearch(fault, told->items, told->count, sizeof(*fault), by_text) != NULL;
}

/* Takes the faults. */
static void tell_new(struct renewal *renewal, struct config_faults *faults)
{
	struct config_faults warnings = { 0 };

	for (size_t i = 0; i < faults->count; i++) {
		const struct config_fault *fault = &faults->items[i];

		if (was_told(&renewal->told, fault))
			continue;
		if (fault->warning)
			config_fault(&warnings, true, fault->file, fault->line, "%s", fault->text);
		else
			certificate_log_refused(fault->file, fault->text);
	}
	certificate_log_warnings(&warnings);
	config_faults_cleanup(&warnings);
	config_faults_cleanup(&renewal->told);
	renewal->told = *faults;
	if (faults->count > 0)
		qsort(renewal->told.items, renewal->told.count, sizeof(*faults->items), by_text);
}

/* Notes what the checker has refused, and tells what was not known before. */
static bool take_refusals(struct renewal *renewal, const struct children_checked *checked)
{
	struct certificates *next = renewal->next;

	for (uint32_t i = 0; i < checked->refused; i++) {
		uint32_t index = checked->refusals[i].index;

		if (!next->refused[index])
			certificate_log_refused(next->list.items[index].chain,
						checked->refusals[i].why);
	}
	memset(next->refused, 0, next->list.count * sizeof(*next->refused));
	for (uint32_t i = 0; i < checked->refused; i++)
		next->refused[checked->refusals[i].index] = true;
	return checked->refused > 0;
}

/* ---- forward ---- */

static void take_over(struct renewal *renewal)
{
	struct certificates *old = *renewal->certificates;

	*renewal->certificates = renewal->next;
	renewal->next = NULL;
	certificates_free(old);
	certificate_watch_update(renewal->watch, *renewal->certificates, NULL);
}

void renewal_checked(struct renewal *renewal, const struct children_checked *checked)
{
	struct certificates *next = renewal->next;

	if (renewal->step != RENEWAL_CHECKING)
		return;
	if (!certificates_take_book(next, *checked->book)) {
		give_up(renewal);
		return;
	}
	*checked->book = -1;
	staples_sweep(renewal->staples, next->book);
	children_check_no_more(renewal->children);
	if (!certificates_steady(next)) {
		give_up(renewal);
		return;
	}
	if (take_refusals(renewal, checked))
		retry_later(renewal);
	else
		retry_no_more(renewal);
	if (certificates_keep_book(next, *renewal->certificates)) {
		children_move_certificates(renewal->children, next);
		take_over(renewal);
		finish(renewal);
		return;
	}
	enter(renewal, RENEWAL_KEEPER, KEEPER_SECONDS);
	children_renew(renewal->children, next);
}

/* A key that was replaced behind the checker's back is not the one of the book. */
void renewal_kept(struct renewal *renewal)
{
	if (renewal->step != RENEWAL_KEEPER)
		return;
	if (!certificates_steady(renewal->next)) {
		give_up(renewal);
		return;
	}
	children_renew_commit(renewal->children);
	certificate_log_changes(renewal->next, *renewal->certificates);
	take_over(renewal);
	finish(renewal);
}

void renewal_busy(struct renewal *renewal)
{
	if (renewal->step == RENEWAL_KEEPER)
		enter(renewal, RENEWAL_KEEPER, KEEPER_SECONDS);
}

void renewal_warned(struct renewal *renewal, const struct config_faults *faults)
{
	if (renewal->step == RENEWAL_CHECKING)
		certificate_log_warnings(faults);
}

void renewal_failed(struct renewal *renewal, const struct config_faults *faults)
{
	if (renewal->step != RENEWAL_CHECKING)
		return;
	for (size_t i = 0; i < faults->count; i++)
		certificate_log_refused(faults->items[i].file, faults->items[i].text);
	give_up(renewal);
}

void renewal_checker_over(struct renewal *renewal)
{
	if (renewal->children->checker.state != CHILD_ABSENT)
		return;
	if (renewal->step == RENEWAL_CHECKING) {
		log_event(LOG_LEVEL_ERROR, "child_failed",
			  "the process that checks certificates ended without an answer");
		give_up(renewal);
	} else if (renewal->again) {
		begin(renewal);
	}
}

/* A keeper that does not answer is started again, with the book in force. */
static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct renewal *renewal = timer->data;

	children_kill_keeper(renewal->children);
	give_up(renewal);
}

/* ---- begin ---- */

static void start_check(struct renewal *renewal)
{
	const struct children_checking checking = {
		.config = *renewal->config,
		.certificates = renewal->next,
		.old = *renewal->certificates,
	};

	renewal->next->list.mode = CERTIFICATE_RENEWAL;
	enter(renewal, RENEWAL_CHECKING, 0);
	if (children_check(renewal->children, &checking) == 0)
		return;
	log_event(LOG_LEVEL_ERROR, "supervisor", "cannot start a child: %s", strerror(errno));
	give_up(renewal);
}

/* A renewal is only as young as its files: a change begins the pauses anew. */
static void look(struct renewal *renewal)
{
	struct config_faults faults = { 0 };
	enum certificates_change change = CERTIFICATES_SAME;
	bool anew = renewal->anew;

	renewal->again = renewal->anew = false;
	renewal->next = certificates_find(*renewal->config, &faults);
	tell_new(renewal, &faults);
	if (renewal->next == NULL) {
		retry_later(renewal);
		return;
	}
	staples_sweep(renewal->staples, (*renewal->certificates)->book);
	change = certificates_compare(renewal->next, *renewal->certificates, renewal->staples);
	if (change == CERTIFICATES_CHANGED && !anew)
		retry_no_more(renewal);
	if (change == CERTIFICATES_CHANGED || (change == CERTIFICATES_REFUSED && anew)) {
		start_check(renewal);
		return;
	}
	certificate_watch_update(renewal->watch, renewal->next, NULL);
	drop_next(renewal);
}

static void begin(struct renewal *renewal)
{
	if (renewal->step == RENEWAL_NONE && renewal->watch != NULL &&
	    renewal->children->checker.state == CHILD_ABSENT && renewal->may_begin(renewal))
		look(renewal);
	else
		renewal->again = true;
}

static void on_change(void *owner)
{
	begin(owner);
}

static void on_retry(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct renewal *renewal = timer->data;

	renewal->anew = true;
	begin(renewal);
}

/* Now, and from then on once a day. */
static void tell_expiring(struct renewal *renewal)
{
	struct ev_loop *loop = renewal->children->loop;

	certificate_log_expiring(*renewal->certificates, (int64_t)ev_now(loop));
	ev_timer_stop(loop, &renewal->daily);
	ev_timer_set(&renewal->daily, DAY, 0);
	ev_timer_start(loop, &renewal->daily);
}

static void on_day(struct ev_loop *loop, ev_timer *timer, int events)
{
	tell_expiring(timer->data);
}

static void on_gathered(struct ev_loop *loop, ev_timer *timer, int events)
{
	begin(timer->data);
}

/* What is about a certificate that has been replaced meanwhile, or is not wanted any more, is dropped. */
void renewal_staple(struct renewal *renewal, const struct children_staple *staple)
{
	const struct book *book = (*renewal->certificates)->book;
	struct ev_loop *loop = renewal->children->loop;
	struct book_entry entry;

	if ((*renewal->config)->tls.ocsp != OCSP_FETCH || staple->index >= book_count(book))
		return;
	book_entry(book, staple->index, &entry);
	if (memcmp(entry.fingerprint, staple->fingerprint, BOOK_ID_LEN) != 0 ||
	    !staples_put(renewal->staples, staple->fingerprint, staple->response, staple->len) ||
	    ev_is_active(&renewal->gather))
		return;
	ev_timer_set(&renewal->gather, GATHER_SECONDS, 0);
	ev_timer_start(loop, &renewal->gather);
}

/* ---- life ---- */

void renewal_init(struct renewal *renewal)
{
	ev_init(&renewal->deadline, on_deadline);
	ev_init(&renewal->retry, on_retry);
	ev_init(&renewal->daily, on_day);
	ev_init(&renewal->gather, on_gathered);
	renewal->gather.data = renewal;
	renewal->deadline.data = renewal->retry.data = renewal->daily.data = renewal;
}

void renewal_start(struct renewal *renewal)
{
	struct ev_loop *loop = renewal->children->loop;

	renewal->staples = staples_new();
	if (renewal->staples == NULL)
		abort();
	renewal->watch = certificate_watch_new(loop, on_change, renewal);
	certificate_watch_update(renewal->watch, *renewal->certificates, NULL);
	tell_expiring(renewal);
}

void renewal_end(struct renewal *renewal)
{
	struct ev_loop *loop = renewal->children->loop;

	drop_next(renewal);
	enter(renewal, RENEWAL_NONE, 0);
	renewal->again = false;
	ev_timer_stop(loop, &renewal->retry);
	ev_timer_stop(loop, &renewal->daily);
	ev_timer_stop(loop, &renewal->gather);
	staples_free(renewal->staples);
	renewal->staples = NULL;
	certificate_watch_free(renewal->watch);
	renewal->watch = NULL;
	config_faults_cleanup(&renewal->told);
}

void renewal_resume(struct renewal *renewal)
{
	if (renewal->watch == NULL)
		return;
	certificate_watch_update(renewal->watch, *renewal->certificates, NULL);
	tell_expiring(renewal);
	if (renewal->again)
		begin(renewal);
}

bool renewal_active(const struct renewal *renewal)
{
	return renewal->step != RENEWAL_NONE;
}
