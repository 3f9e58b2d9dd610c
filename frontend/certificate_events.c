/* certificate_events - see certificate_events.h. */
#include "frontend/certificate_events.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DAY      86400
#define SOON     (21 * DAY)
#define TEXT_MAX 1024

/* As many of its names as there is room for. */
static void log_names(struct log_line *line, const struct book_entry *entry)
{
	char text[TEXT_MAX] = "";
	size_t len = 0;

	for (const char *name = book_next_name(entry, NULL); name != NULL;
	     name = book_next_name(entry, name)) {
		size_t more = strlen(name) + 1;

		if (len + more + 4 >= sizeof(text)) {
			memcpy(text + len, " ...", 5);
			break;
		}
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", len > 0 ? " " : "",
					name);
	}
	log_text(line, "names", text);
}

static void log_time(struct log_line *line, const char *key, int64_t when)
{
	char text[40] = "";
	time_t seconds = (time_t)when;
	struct tm parts;

	if (gmtime_r(&seconds, &parts) != NULL)
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
	log_word(line, key, text);
}

static void log_entry(enum log_level level, const char *event, const struct book_entry *entry,
		      const char *file, const int64_t *days)
{
	struct log_line line;

	log_begin(&line, level, event, 0);
	log_value(&line, "file", span_of(file));
	log_names(&line, entry);
	log_time(&line, "not_after", entry->not_after);
	if (days != NULL && *days < 0)
		log_word(&line, "expired", "yes");
	else if (days != NULL)
		log_number(&line, "days", (uint64_t)*days);
	log_end(&line);
}

static bool same_certificate(const struct book_entry *a, const struct book_entry *b)
{
	return memcmp(a->fingerprint, b->fingerprint, BOOK_ID_LEN) == 0;
}

static void log_new(const struct certificates *now, uint32_t index, const struct certificates *old,
		    long match)
{
	struct book_entry entry, before;

	book_entry(now->book, index, &entry);
	if (entry.flags & BOOK_BAD)
		return;
	if (match >= 0) {
		book_entry(old->book, (uint32_t)match, &before);
		if (!(before.flags & BOOK_BAD) && same_certificate(&entry, &before))
			return;
	}
	log_entry(LOG_LEVEL_INFO, "certificate_renewed", &entry, now->list.items[index].chain,
		  NULL);
}

static void log_gone(const struct certificates *old, uint32_t index)
{
	struct book_entry entry;

	book_entry(old->book, index, &entry);
	if (!(entry.flags & BOOK_BAD))
		log_entry(LOG_LEVEL_INFO, "certificate_removed", &entry,
			  old->list.items[index].chain, NULL);
}

void certificate_log_changes(const struct certificates *now, const struct certificates *old)
{
	uint32_t most = now->list.count > old->list.count ? now->list.count : old->list.count;
	long *matches = calloc((size_t)most + 1, sizeof(*matches));

	if (matches == NULL)
		abort();
	certificates_match(now, old, matches);
	for (uint32_t i = 0; i < now->list.count; i++)
		if (now->list.items[i].same == CERTIFICATE_READ)
			log_new(now, i, old, matches[i]);
	certificates_match(old, now, matches);
	for (uint32_t i = 0; i < old->list.count; i++)
		if (matches[i] < 0)
			log_gone(old, i);
	free(matches);
}

void certificate_log_refused(const char *file, const char *why)
{
	struct log_line line;

	log_begin(&line, LOG_LEVEL_ERROR, "certificate_refused", 0);
	log_value(&line, "file", span_of(file));
	log_text(&line, "why", why);
	log_end(&line);
}

void certificate_log_warnings(const struct config_faults *faults)
{
	for (size_t i = 0; i < faults->count; i++) {
		const struct config_fault *fault = &faults->items[i];
		struct log_line line;

		log_begin(&line, LOG_LEVEL_WARNING, "certificate_warning", 0);
		log_value(&line, "file", span_of(fault->file));
		log_number(&line, "line", (uint64_t)fault->line);
		log_text(&line, "warning", fault->text);
		log_end(&line);
	}
}

void certificate_log_expiring(const struct certificates *all, int64_t now)
{
	for (uint32_t i = 0; i < book_count(all->book); i++) {
		struct book_entry entry;
		int64_t days;

		book_entry(all->book, i, &entry);
		if ((entry.flags & BOOK_BAD) || entry.not_after - now >= SOON)
			continue;
		days = entry.not_after < now ? -1 : (entry.not_after - now) / DAY;
		log_entry(LOG_LEVEL_WARNING, "certificate_expires", &entry,
			  all->list.items[i].chain, &days);
	}
}
