/* What /metrics says of certificates: who is shown by name, and the sums. */
#include "frontend/status_certificates.h"
#include "tests/support/book_made.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define NOW 2000000000ll
#define DAY 86400ll

static struct book_entry entry_of(const char *name, int64_t not_after, const char *path)
{
	static const uint8_t spki[BOOK_ID_LEN] = { 1 };

	return (struct book_entry) {
		.kind = BOOK_P256,
		.spki = spki,
		.not_after = not_after,
		.names = { name, strlen(name) + 1 },
		.path = path,
	};
}

static char *text_of(const struct book_entry *entries, size_t count)
{
	struct book *book = book_made_of(entries, count);
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	status_certificates(book, NOW, out);
	book_drop(book);
	fclose(out);
	return text;
}

static unsigned lines_with(const char *text, const char *words)
{
	unsigned count = 0;

	for (const char *at = text; (at = strstr(at, words)) != NULL; at++)
		count++;
	return count;
}

static void who_ends_soon_is_shown_the_first_first(void **state)
{
	const struct book_entry entries[] = {
		entry_of("c.test", NOW + 21 * DAY, "/c.pem"),
		entry_of("b.test", NOW + 21 * DAY - 1, "/b\"\\.pem"),
		entry_of("a.test", NOW - 1, "/a.pem"),
		entry_of("a.test", NOW - 1, "/a.pem"), /* of another listener */
		entry_of("a.test", NOW - 1, "/a-rsa.pem"),
	};
	char *text = text_of(entries, 5);

	assert_int_equal(lines_with(text, "\npostern_certificate_not_after_seconds{"), 3);
	assert_non_null(strstr(
		text,
		"\npostern_certificate_not_after_seconds{certificate=\"a.test\",path=\"/a.pem\"} "
		"1999999999\n"));
	assert_non_null(
		strstr(text, "{certificate=\"b.test\",path=\"/b\\\"\\\\.pem\"} 2001814399\n"));
	assert_true(strstr(text, "a-rsa.pem") < strstr(text, "b.test"));
	assert_non_null(
		strstr(text, "\npostern_certificates_soonest_not_after_seconds 1999999999\n"));
	free(text);
}

static void no_more_than_so_many_are_shown(void **state)
{
	struct book_entry entries[STATUS_CERTIFICATES_MAX + 50];
	size_t count = sizeof(entries) / sizeof(entries[0]);
	static char names[STATUS_CERTIFICATES_MAX + 50][16];
	char *text;

	for (size_t i = 0; i < count; i++) {
		snprintf(names[i], sizeof(names[i]), "n%zu.test", i);
		entries[i] = entry_of(names[i], NOW + (int64_t)(count - i), names[i]);
	}
	text = text_of(entries, count);
	assert_int_equal(lines_with(text, "\npostern_certificate_not_after_seconds{"),
			 STATUS_CERTIFICATES_MAX);
	assert_null(strstr(text, "\"n0.test\""));
	assert_non_null(strstr(text, "\"n149.test\""));
	free(text);
}

static void staples_and_certificates_are_counted(void **state)
{
	struct book_entry entries[6];
	char *text;

	for (size_t i = 0; i < 6; i++)
		entries[i] = entry_of("a.test", NOW + 100 * DAY, "/a.pem");
	entries[0].staple = entries[1].staple = span_of("response");
	entries[0].next_update = NOW + 1;
	entries[1].next_update = NOW;
	entries[2].ocsp = "http://ocsp.test/";
	entries[3].flags = BOOK_MUST_STAPLE;
	entries[5] = (struct book_entry) { .flags = BOOK_BAD, .path = "/bad.pem" };
	text = text_of(entries, 6);
	assert_non_null(strstr(text, "\npostern_certificates{state=\"usable\"} 5\n"
				     "postern_certificates{state=\"unusable\"} 1\n"));
	assert_non_null(strstr(text, "\npostern_staples{state=\"fresh\"} 1\n"
				     "postern_staples{state=\"stale\"} 1\n"
				     "postern_staples{state=\"missing\"} 2\n"));
	assert_int_equal(lines_with(text, "\npostern_certificate_not_after_seconds{"), 0);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_ends_soon_is_shown_the_first_first),
		cmocka_unit_test(no_more_than_so_many_are_shown),
		cmocka_unit_test(staples_and_certificates_are_counted),
	};

	return cmocka_run_group_tests_name("status_certificates", tests, NULL, NULL);
}
