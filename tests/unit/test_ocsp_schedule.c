/* When which OCSP response is fetched: at once, at half time, again after growing pauses; and what a new book changes. Also the question. */
#include "frontend/ocsp_request.h"
#include "frontend/ocsp_schedule.h"
#include "tests/support/book_made.h"
#include "tests/support/pem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define NOW 2000000000ll

static struct book_entry entry_of(unsigned number)
{
	static uint8_t ids[64][BOOK_ID_LEN];

	ids[number][3] = (uint8_t)(number + 1);
	return (struct book_entry) {
		.names = SPAN("a.test\0"),
		.spki = ids[number],
		.fingerprint = ids[number],
		.issuer = SPAN("issuer"),
		.ocsp = "http://ocsp.test/",
	};
}

static struct book_entry with_staple(struct book_entry entry, int64_t from, int64_t until)
{
	entry.staple = span_of("response");
	entry.this_update = from;
	entry.next_update = until;
	return entry;
}

static void give(struct ocsp_schedule *schedule, const struct book_entry *entries, size_t count,
		 int64_t now)
{
	struct book *book = book_made_of(entries, count);

	assert_true(ocsp_schedule_book(schedule, book, now));
	book_drop(book);
}

/* The entry to be asked about, or -1; *next as ocsp_schedule_next() tells it. */
static long asked(struct ocsp_schedule *schedule, int64_t now, uint64_t *id, int64_t *next)
{
	uint32_t entry;

	return ocsp_schedule_next(schedule, now, id, &entry, next) ? (long)entry : -1;
}

static void without_a_response_it_is_asked_at_once_and_once(void **state)
{
	struct ocsp_schedule *schedule = ocsp_schedule_new();
	const struct book_entry entries[] = { entry_of(0), entry_of(1), entry_of(0) };
	int64_t next;
	uint64_t ids[2];

	give(schedule, entries, 3, NOW);
	assert_int_equal(asked(schedule, NOW, &ids[0], &next), 0);
	assert_int_equal(asked(schedule, NOW, &ids[1], &next), 1);
	assert_int_equal(asked(schedule, NOW + 1000000, &ids[1], &next), -1);
	assert_true(next == INT64_MAX);
	ocsp_schedule_free(schedule);
}

static void who_cannot_be_asked_about_is_not(void **state)
{
	struct ocsp_schedule *schedule = ocsp_schedule_new();
	struct book_entry entries[4];
	int64_t next;
	uint64_t id;

	for (unsigned i = 0; i < 4; i++)
		entries[i] = entry_of(i);
	entries[0].ocsp = "";
	entries[1].ocsp = "https://ocsp.test/";
	entries[2].issuer.len = 0;
	entries[3].flags = BOOK_BAD;
	give(schedule, entries, 4, NOW);
	assert_int_equal(asked(schedule, NOW, &id, &next), -1);
	assert_true(ocsp_schedule_book(schedule, NULL, NOW));
	assert_int_equal(asked(schedule, NOW, &id, &next), -1);
	ocsp_schedule_free(schedule);
}

static void a_response_is_renewed_at_half_time(void **state)
{
	struct ocsp_schedule *schedule = ocsp_schedule_new();
	struct book_entry entry = with_staple(entry_of(0), NOW - 100, NOW + 300);
	int64_t next;
	uint64_t id;

	give(schedule, &entry, 1, NOW);
	assert_int_equal(asked(schedule, NOW + 99, &id, &next), -1);
	assert_int_equal(next, NOW + 100);
	assert_int_equal(asked(schedule, NOW + 100, &id, &next), 0);
	ocsp_schedule_free(schedule);
}

static void pauses_grow_until_a_newer_response_is_in_the_book(void **state)
{
	static const int64_t pauses[] = { 60, 120, 240, 480, 960, 1920, 3600, 3600 };
	struct ocsp_schedule *schedule = ocsp_schedule_new();
	struct book_entry entry = with_staple(entry_of(5), NOW - 200, NOW + 100);
	int64_t now = NOW, next;
	uint64_t id;
	uint32_t at;

	give(schedule, &entry, 1, now);
	for (size_t i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
		assert_int_equal(asked(schedule, now, &id, &next), 0);
		assert_true(ocsp_schedule_over(schedule, id, now, &at));
		if (i == 3) /* one that is no newer changes nothing */
			give(schedule, &entry, 1, now);
		assert_int_equal(asked(schedule, now + pauses[i] - 1, &id, &next), -1);
		assert_int_equal(next, now + pauses[i]);
		now = next;
	}
	entry = with_staple(entry, now - 10, now + 20010);
	give(schedule, &entry, 1, now);
	assert_int_equal(asked(schedule, now + 9999, &id, &next), -1);
	assert_int_equal(next, now + 10000);
	assert_int_equal(asked(schedule, next, &id, &next), 0);
	assert_true(ocsp_schedule_over(schedule, id, now, &at));
	assert_int_equal(asked(schedule, now, &id, &next), -1);
	assert_int_equal(next, now + OCSP_PAUSE_FIRST);
	ocsp_schedule_free(schedule);
}

/* Signed with a beginning long ago, each newer than the one before: no reason to ask without a pause. */
static void a_newer_one_that_is_past_its_half_already_waits_as_well(void **state)
{
	struct ocsp_schedule *schedule = ocsp_schedule_new();
	struct book_entry entry = entry_of(9);
	int64_t next;
	uint64_t id;
	uint32_t at;

	give(schedule, &entry, 1, NOW);
	assert_int_equal(asked(schedule, NOW, &id, &next), 0);
	assert_true(ocsp_schedule_over(schedule, id, NOW, &at));
	entry = with_staple(entry, NOW - 1000, NOW + 600);
	give(schedule, &entry, 1, NOW);
	assert_int_equal(asked(schedule, NOW, &id, &next), -1);
	assert_int_equal(next, NOW + 300);
	assert_int_equal(asked(schedule, NOW + 300, &id, &next), 0);
	assert_true(ocsp_schedule_over(schedule, id, NOW + 300, &at));
	entry = with_staple(entry, NOW - 1000, NOW + 601);
	give(schedule, &entry, 1, NOW + 590);
	assert_int_equal(asked(schedule, NOW + 590, &id, &next), -1);
	assert_int_equal(next, NOW + 590 + OCSP_PAUSE_FIRST);
	ocsp_schedule_free(schedule);
}

static void an_answer_finds_its_certificate_in_a_later_book(void **state)
{
	struct ocsp_schedule *schedule = ocsp_schedule_new();
	struct book_entry entries[] = { entry_of(7), entry_of(3) };
	int64_t next;
	uint64_t first, second;
	uint32_t at;

	give(schedule, entries, 2, NOW);
	assert_int_equal(asked(schedule, NOW, &first, &next), 1);
	assert_int_equal(asked(schedule, NOW, &second, &next), 0);
	entries[0] = entry_of(3);
	entries[1] = entry_of(4);
	give(schedule, entries, 2, NOW);
	assert_true(ocsp_schedule_over(schedule, first, NOW, &at));
	assert_int_equal(at, 0);
	assert_false(ocsp_schedule_over(schedule, second, NOW, &at));
	assert_int_equal(asked(schedule, NOW, &first, &next), 1);
	ocsp_schedule_free(schedule);
}

static void not_too_many_are_asked_at_once(void **state)
{
	struct ocsp_schedule *schedule = ocsp_schedule_new();
	struct book_entry entries[OCSP_BUSY_MAX + 2];
	int64_t next;
	uint64_t id = 0;
	uint32_t at;

	for (unsigned i = 0; i < OCSP_BUSY_MAX + 2; i++)
		entries[i] = entry_of(i);
	give(schedule, entries, OCSP_BUSY_MAX + 2, NOW);
	for (int i = 0; i < OCSP_BUSY_MAX; i++)
		assert_true(asked(schedule, NOW, &id, &next) >= 0);
	assert_int_equal(asked(schedule, NOW, &id, &next), -1);
	give(schedule, entries, OCSP_BUSY_MAX + 2, NOW);
	assert_int_equal(asked(schedule, NOW, &id, &next), -1);
	assert_true(ocsp_schedule_over(schedule, id, NOW, &at));
	assert_true(asked(schedule, NOW, &id, &next) >= 0);
	ocsp_schedule_free(schedule);
}

/* OCSPRequest ::= SEQUENCE { SEQUENCE { SEQUENCE OF SEQUENCE { CertID } } }, with the serial number at its end. */
static void the_question_names_the_certificate(void **state)
{
	struct pem_pair authority = pem_authority("P-256"),
			leaf = pem_issue(&authority, "P-256", "a.test");
	unsigned char der[4096];
	uint8_t out[OCSP_REQUEST_MAX];
	struct span leaf_der = { (const char *)der, pem_der(&leaf, der, sizeof(der)) };
	size_t len = ocsp_request(leaf_der, span_of(authority.chain), out);

	assert_true(len > 60);
	assert_int_equal(out[0], 0x30);
	assert_int_equal(out[1], len - 2);
	assert_int_equal(out[len - 3], 0x02);
	assert_int_equal(ocsp_request(leaf_der, span_of("no issuer"), out), 0);
	assert_int_equal(ocsp_request(span_of("no leaf"), span_of(authority.chain), out), 0);
	pem_free(&authority);
	pem_free(&leaf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_response_it_is_asked_at_once_and_once),
		cmocka_unit_test(who_cannot_be_asked_about_is_not),
		cmocka_unit_test(a_response_is_renewed_at_half_time),
		cmocka_unit_test(pauses_grow_until_a_newer_response_is_in_the_book),
		cmocka_unit_test(a_newer_one_that_is_past_its_half_already_waits_as_well),
		cmocka_unit_test(an_answer_finds_its_certificate_in_a_later_book),
		cmocka_unit_test(not_too_many_are_asked_at_once),
		cmocka_unit_test(the_question_names_the_certificate),
	};

	return cmocka_run_group_tests_name("ocsp_schedule", tests, NULL, NULL);
}
