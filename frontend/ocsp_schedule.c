/* ocsp_schedule - see ocsp_schedule.h. Sorted by fingerprint, so that two books are compared in one pass. */
#include "frontend/ocsp_schedule.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct item {
	uint8_t fingerprint[BOOK_ID_LEN];
	uint64_t id;
	uint32_t entry;
	int64_t next_update; /* 0: it has no response */
	int64_t due;
	int64_t pause; /* before the next try but one */
	bool busy;
};

struct ocsp_schedule {
	struct item *items;
	size_t count;
	unsigned busy;
	uint64_t ids;
};

struct ocsp_schedule *ocsp_schedule_new(void)
{
	return calloc(1, sizeof(struct ocsp_schedule));
}

void ocsp_schedule_free(struct ocsp_schedule *schedule)
{
	if (schedule != NULL)
		free(schedule->items);
	free(schedule);
}

static int by_fingerprint(const void *left, const void *right)
{
	const struct item *a = left, *b = right;
	int order = memcmp(a->fingerprint, b->fingerprint, BOOK_ID_LEN);

	return order != 0 ? order : a->entry < b->entry ? -1 : a->entry > b->entry;
}

static bool is_wanted(const struct book_entry *entry)
{
	return !(entry->flags & BOOK_BAD) && entry->issuer.len > 0 &&
	       strncasecmp(entry->ocsp, "http://", 7) == 0;
}

static int64_t half_time(const struct book_entry *entry, int64_t now)
{
	if (entry->staple.len == 0 || entry->next_update <= entry->this_update)
		return now;
	return entry->this_update + (entry->next_update - entry->this_update) / 2;
}

/* Every certificate that is wanted, each once. */
static size_t gather(const struct book *book, int64_t now, struct item *items)
{
	size_t count = 0, kept = 0;

	for (uint32_t i = 0; book != NULL && i < book_count(book); i++) {
		struct item *item = &items[count];
		struct book_entry entry;

		book_entry(book, i, &entry);
		if (!is_wanted(&entry))
			continue;
		*item = (struct item) {
			.entry = i,
			.next_update = entry.staple.len > 0 ? entry.next_update : 0,
			.due = half_time(&entry, now),
			.pause = OCSP_PAUSE_FIRST,
		};
		memcpy(item->fingerprint, entry.fingerprint, BOOK_ID_LEN);
		count++;
	}
	qsort(items, count, sizeof(*items), by_fingerprint);
	for (size_t i = 0; i < count; i++)
		if (i == 0 ||
		    memcmp(items[i].fingerprint, items[kept - 1].fingerprint, BOOK_ID_LEN) != 0)
			items[kept++] = items[i];
	return kept;
}

/* A newer response begins anew; else it goes on as it was. One whose first half was over when it came would be asked for again and
 * again without a pause: of such a one half of what is left counts. */
static void carry_over(const struct item *from, struct item *to, int64_t now)
{
	to->id = from->id;
	to->busy = from->busy;
	if (to->next_update <= from->next_update) {
		to->due = from->due;
		to->pause = from->pause;
		return;
	}
	if (to->due <= now)
		to->due = now + (to->next_update - now) / 2;
	if (to->due < now + OCSP_PAUSE_FIRST)
		to->due = now + OCSP_PAUSE_FIRST;
}

bool ocsp_schedule_book(struct ocsp_schedule *schedule, const struct book *book, int64_t now)
{
	size_t most = (book ? book_count(book) : 0) + (size_t)1, count, old = 0;
	struct item *items = calloc(most, sizeof(*items));

	if (items == NULL)
		return false;
	count = gather(book, now, items);
	schedule->busy = 0;
	for (size_t i = 0; i < count; i++) {
		int order = 1;

		while (old < schedule->count &&
		       (order = memcmp(schedule->items[old].fingerprint, items[i].fingerprint,
				       BOOK_ID_LEN)) < 0)
			old++;
		if (old < schedule->count && order == 0)
			carry_over(&schedule->items[old], &items[i], now);
		else
			items[i].id = ++schedule->ids;
		schedule->busy += items[i].busy;
	}
	free(schedule->items);
	schedule->items = items;
	schedule->count = count;
	return true;
}

bool ocsp_schedule_next(struct ocsp_schedule *schedule, int64_t now, uint64_t *id, uint32_t *entry,
			int64_t *next)
{
	struct item *first = NULL;

	*next = INT64_MAX;
	if (schedule->busy >= OCSP_BUSY_MAX)
		return false;
	for (size_t i = 0; i < schedule->count; i++) {
		struct item *item = &schedule->items[i];

		if (!item->busy && (first == NULL || item->due < first->due))
			first = item;
	}
	if (first == NULL)
		return false;
	*next = first->due;
	if (first->due > now)
		return false;
	first->busy = true;
	schedule->busy++;
	*id = first->id;
	*entry = first->entry;
	return true;
}

bool ocsp_schedule_over(struct ocsp_schedule *schedule, uint64_t id, int64_t now, uint32_t *entry)
{
	for (size_t i = 0; i < schedule->count; i++) {
		struct item *item = &schedule->items[i];

		if (item->id != id)
			continue;
		schedule->busy -= item->busy;
		item->busy = false;
		item->due = now + item->pause;
		item->pause = item->pause * 2 < OCSP_PAUSE_MAX ? item->pause * 2 : OCSP_PAUSE_MAX;
		*entry = item->entry;
		return true;
	}
	return false;
}
