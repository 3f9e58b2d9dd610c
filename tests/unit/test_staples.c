/* Fetched OCSP responses in the supervisor's hands: kept by certificate, given away once, as files that nobody can change. */
#include "frontend/book_write.h"
#include "frontend/staples.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static void id_of(unsigned number, uint8_t out[BOOK_ID_LEN])
{
	memset(out, 0, BOOK_ID_LEN);
	out[0] = (uint8_t)(number * 37);
	out[BOOK_ID_LEN - 1] = (uint8_t)number;
}

static void must_hold(struct staples *staples, unsigned number, const char *text)
{
	uint8_t id[BOOK_ID_LEN];
	char got[64] = "";
	int fd;

	id_of(number, id);
	fd = staples_give(staples, id);
	if (text == NULL) {
		assert_int_equal(fd, -1);
		return;
	}
	assert_true(fd >= 0);
	assert_int_equal(read(fd, got, sizeof(got)), strlen(text));
	assert_string_equal(got, text);
	assert_int_equal(write(fd, "x", 1), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	close(fd);
}

static void put(struct staples *staples, unsigned number, const char *text)
{
	uint8_t id[BOOK_ID_LEN];

	id_of(number, id);
	assert_true(staples_put(staples, id, text, strlen(text)));
}

static void each_is_found_and_the_last_one_counts(void **state)
{
	struct staples *staples = staples_new();
	char text[16];

	for (unsigned i = 0; i < 200; i++) {
		snprintf(text, sizeof(text), "first %u", i);
		put(staples, i, text);
	}
	put(staples, 7, "second");
	must_hold(staples, 7, "second");
	for (unsigned i = 8; i < 200; i++) {
		snprintf(text, sizeof(text), "first %u", i);
		must_hold(staples, i, text);
	}
	must_hold(staples, 200, NULL);
	staples_free(staples);
}

static void what_is_too_long_or_empty_is_not_taken(void **state)
{
	struct staples *staples = staples_new();
	uint8_t id[BOOK_ID_LEN];
	char *data = calloc(1, STAPLE_MAX + 1);

	id_of(1, id);
	assert_false(staples_put(staples, id, data, STAPLE_MAX + 1));
	assert_false(staples_put(staples, id, data, 0));
	must_hold(staples, 1, NULL);
	assert_true(staples_put(staples, id, data, STAPLE_MAX));
	free(data);
	staples_free(staples);
}

static struct book *book_of(unsigned first, unsigned end)
{
	struct book_writer *writer = book_writer_new();
	uint8_t id[BOOK_ID_LEN];
	struct book *book;
	int fd;

	for (unsigned i = first; i < end; i++) {
		id_of(i, id);
		assert_true(book_writer_add(writer,
					    &(struct book_entry) { .names = SPAN("a.test\0"),
								   .spki = id,
								   .fingerprint = id },
					    false));
	}
	fd = book_writer_finish(writer);
	book = book_map(fd);
	assert_non_null(book);
	close(fd);
	book_writer_free(writer);
	return book;
}

/* Several files may hold one certificate. */
static void what_was_given_is_there_until_the_next_sweep(void **state)
{
	struct staples *staples = staples_new();
	struct book *book = book_of(1, 4);

	put(staples, 1, "response");
	put(staples, 2, "another");
	put(staples, 3, "third");
	must_hold(staples, 1, "response");
	must_hold(staples, 1, "response");
	must_hold(staples, 2, "another");
	put(staples, 2, "newer");
	staples_sweep(staples, book);
	must_hold(staples, 1, NULL);
	must_hold(staples, 2, "newer");
	must_hold(staples, 3, "third");
	staples_sweep(staples, book);
	must_hold(staples, 2, NULL);
	book_drop(book);
	staples_free(staples);
}

static void what_the_book_does_not_have_is_dropped(void **state)
{
	struct staples *staples = staples_new();
	struct book *book = book_of(2, 4);
	uint8_t id[BOOK_ID_LEN];

	for (unsigned i = 0; i < 5; i++)
		put(staples, i, "response");
	staples_sweep(staples, book);
	for (unsigned i = 0; i < 5; i++) {
		id_of(i, id);
		assert_true(staples_has(staples, id) == (i == 2 || i == 3));
	}
	book_drop(book);
	staples_free(staples);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_found_and_the_last_one_counts),
		cmocka_unit_test(what_is_too_long_or_empty_is_not_taken),
		cmocka_unit_test(what_was_given_is_there_until_the_next_sweep),
		cmocka_unit_test(what_the_book_does_not_have_is_dropped),
	};

	return cmocka_run_group_tests_name("staples", tests, NULL, NULL);
}
