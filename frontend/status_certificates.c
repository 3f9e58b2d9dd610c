/* status_certificates - see status_certificates.h. A folder may hold thousands of certificates: only those that need somebody's attention
 * have a line of their own.
 */
#include "frontend/status_certificates.h"
#include <stdlib.h>
#include <string.h>

struct ending {
	uint32_t index;
	int64_t not_after;
};

struct sums {
	unsigned usable, unusable, fresh, stale, missing;
	int64_t soonest;
};

void status_label(FILE *out, const char *name, const char *value)
{
	fprintf(out, "%s=\"", name);
	for (; *value != '\0'; value++) {
		if (*value == '\n')
			fputs("\\n", out);
		else
			fprintf(out, *value == '"' || *value == '\\' ? "\\%c" : "%c", *value);
	}
	fputc('"', out);
}

static int by_end(const void *left, const void *right)
{
	const struct ending *a = left, *b = right;

	if (a->not_after != b->not_after)
		return a->not_after < b->not_after ? -1 : 1;
	return a->index < b->index ? -1 : 1;
}

static void add(struct sums *sums, const struct book_entry *entry, int64_t now)
{
	if (entry->flags & BOOK_BAD) {
		sums->unusable++;
		return;
	}
	if (sums->usable++ == 0 || entry->not_after < sums->soonest)
		sums->soonest = entry->not_after;
	if (entry->staple.len > 0)
		*(entry->next_update > now ? &sums->fresh : &sums->stale) += 1;
	else
		sums->missing += entry->ocsp[0] != '\0' || (entry->flags & BOOK_MUST_STAPLE);
}

/* The same file may serve several listeners: one line. They stand beside each other, or far apart; there are few. */
static bool shown_before(const struct book *book, const struct ending *endings, size_t at)
{
	struct book_entry entry, other;

	book_entry(book, endings[at].index, &entry);
	for (size_t i = 0; i < at; i++) {
		book_entry(book, endings[i].index, &other);
		if (strcmp(entry.path, other.path) == 0)
			return true;
	}
	return false;
}

static void print_endings(const struct book *book, const struct ending *endings, size_t count,
			  FILE *out)
{
	fputs("# HELP postern_certificate_not_after_seconds When a certificate ends that has less "
	      "than 21 days left, in seconds since 1970.\n"
	      "# TYPE postern_certificate_not_after_seconds gauge\n",
	      out);
	for (size_t i = 0; i < count && i < STATUS_CERTIFICATES_MAX; i++) {
		struct book_entry entry;

		if (shown_before(book, endings, i))
			continue;
		book_entry(book, endings[i].index, &entry);
		fputs("postern_certificate_not_after_seconds{", out);
		status_label(out, "certificate", entry.name);
		fputc(',', out);
		status_label(out, "path", entry.path);
		fprintf(out, "} %lld\n", (long long)(entry.not_after > 0 ? entry.not_after : 0));
	}
}

static void print_sums(const struct sums *sums, FILE *out)
{
	fprintf(out,
		"# HELP postern_certificates Certificates of all listeners.\n"
		"# TYPE postern_certificates gauge\n"
		"postern_certificates{state=\"usable\"} %u\n"
		"postern_certificates{state=\"unusable\"} %u\n"
		"# HELP postern_certificates_soonest_not_after_seconds When the first of them "
		"ends, in "
		"seconds since 1970.\n"
		"# TYPE postern_certificates_soonest_not_after_seconds gauge\n"
		"postern_certificates_soonest_not_after_seconds %lld\n"
		"# HELP postern_staples OCSP responses to staple; missing: of certificates that "
		"name a "
		"responder or demand one.\n"
		"# TYPE postern_staples gauge\n"
		"postern_staples{state=\"fresh\"} %u\n"
		"postern_staples{state=\"stale\"} %u\n"
		"postern_staples{state=\"missing\"} %u\n",
		sums->usable, sums->unusable, (long long)(sums->soonest > 0 ? sums->soonest : 0),
		sums->fresh, sums->stale, sums->missing);
}

void status_certificates(const struct book *book, int64_t now, FILE *out)
{
	struct ending *endings = calloc((size_t)book_count(book) + 1, sizeof(*endings));
	struct sums sums = { 0 };
	size_t count = 0;

	if (endings == NULL)
		return;
	for (uint32_t i = 0; i < book_count(book); i++) {
		struct book_entry entry;

		book_entry(book, i, &entry);
		add(&sums, &entry, now);
		if (!(entry.flags & BOOK_BAD) && entry.not_after < now + STATUS_EXPIRY_SECONDS)
			endings[count++] = (struct ending) { i, entry.not_after };
	}
	qsort(endings, count, sizeof(*endings), by_end);
	print_sums(&sums, out);
	print_endings(book, endings, count, out);
	free(endings);
}
