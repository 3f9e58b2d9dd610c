/* ocsp_fetch - see ocsp_fetch.h. */
#include "frontend/ocsp_fetch.h"
#include "frontend/log.h"
#include "frontend/ocsp_http.h"
#include "frontend/ocsp_request.h"
#include "frontend/ocsp_schedule.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SLEEP_MAX 3600.0 /* seconds: the clock may be set meanwhile */

struct ocsp_fetch {
	struct ev_loop *loop;
	ocsp_fetched *fetched;
	void *owner;
	struct ocsp_http *http;
	struct ocsp_schedule *schedule;
	struct book *book;
	ev_timer timer;
};

static void log_failure(const struct book_entry *entry, const char *reason)
{
	struct log_line line;

	log_begin(&line, LOG_LEVEL_WARNING, "ocsp_failed", 0);
	log_value(&line, "certificate", span_of(entry->path));
	log_value(&line, "responder", span_of(entry->ocsp));
	log_value(&line, "reason", span_of(reason));
	log_end(&line);
}

static void hand_on(struct ocsp_fetch *fetch, uint32_t index, const struct book_entry *entry,
		    const struct ocsp_http_answer *answer)
{
	struct log_line line;

	log_begin(&line, LOG_LEVEL_INFO, "ocsp_fetched", 0);
	log_value(&line, "certificate", span_of(entry->path));
	log_value(&line, "responder", span_of(entry->ocsp));
	log_number(&line, "octets", answer->len);
	log_end(&line);
	fetch->fetched(fetch->owner, index, entry->fingerprint, answer->data, answer->len);
}

static void ask(struct ocsp_fetch *fetch, uint64_t id, uint32_t index)
{
	uint8_t question[OCSP_REQUEST_MAX];
	struct book_entry entry;
	size_t len;

	book_entry(fetch->book, index, &entry);
	len = ocsp_request(entry.leaf, entry.issuer, question);
	if (len > 0 && ocsp_http_ask(fetch->http, id, entry.ocsp, question, len))
		return;
	log_failure(&entry, "the question cannot be put");
	ocsp_schedule_over(fetch->schedule, id, (int64_t)time(NULL), &index);
}

static void sleep_until(struct ocsp_fetch *fetch, int64_t next, int64_t now)
{
	double seconds = next - now < (int64_t)SLEEP_MAX ? (double)(next - now) : SLEEP_MAX;

	ev_timer_stop(fetch->loop, &fetch->timer);
	if (next == INT64_MAX)
		return;
	ev_timer_set(&fetch->timer, seconds, 0);
	ev_timer_start(fetch->loop, &fetch->timer);
}

static void step(struct ocsp_fetch *fetch)
{
	int64_t now = (int64_t)time(NULL), next;
	uint32_t entry;
	uint64_t id;

	while (ocsp_schedule_next(fetch->schedule, now, &id, &entry, &next))
		ask(fetch, id, entry);
	sleep_until(fetch, next, now);
}

static void timer_passed(struct ev_loop *loop, ev_timer *timer, int events)
{
	step(timer->data);
}

static void answered(void *owner, uint64_t id, const struct ocsp_http_answer *answer)
{
	struct ocsp_fetch *fetch = owner;
	struct book_entry entry;
	uint32_t index;

	if (ocsp_schedule_over(fetch->schedule, id, (int64_t)time(NULL), &index)) {
		book_entry(fetch->book, index, &entry);
		if (answer->error != NULL)
			log_failure(&entry, answer->error);
		else if (answer->len == 0)
			log_failure(&entry, "the answer is empty");
		else if (answer->len != entry.staple.len ||
			 memcmp(answer->data, entry.staple.data, answer->len) != 0)
			hand_on(fetch, index, &entry, answer);
	}
	step(fetch);
}

void ocsp_fetch_book(struct ocsp_fetch *fetch, struct book *book)
{
	if (!ocsp_schedule_book(fetch->schedule, book, (int64_t)time(NULL))) {
		log_event(LOG_LEVEL_ERROR, "bug", "no memory for the OCSP responses to fetch");
		return;
	}
	book_drop(fetch->book);
	fetch->book = book_keep(book);
	step(fetch);
}

struct ocsp_fetch *ocsp_fetch_new(struct ev_loop *loop, ocsp_fetched *fetched, void *owner,
				  char why[256])
{
	struct ocsp_fetch *fetch = calloc(1, sizeof(*fetch));

	if (fetch == NULL)
		return NULL;
	*fetch = (struct ocsp_fetch) { .loop = loop, .fetched = fetched, .owner = owner };
	ev_init(&fetch->timer, timer_passed);
	fetch->timer.data = fetch;
	fetch->schedule = ocsp_schedule_new();
	fetch->http = ocsp_http_new(loop, answered, fetch, why);
	if (fetch->http != NULL && fetch->schedule != NULL)
		return fetch;
	ocsp_fetch_free(fetch);
	return NULL;
}

void ocsp_fetch_free(struct ocsp_fetch *fetch)
{
	if (fetch == NULL)
		return;
	ev_timer_stop(fetch->loop, &fetch->timer);
	ocsp_http_free(fetch->http);
	ocsp_schedule_free(fetch->schedule);
	book_drop(fetch->book);
	free(fetch);
}
