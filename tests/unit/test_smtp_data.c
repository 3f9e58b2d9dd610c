/* test_smtp_data - where a message ends and where it is cut: the smuggling matrix, whole and split at every byte. */
#include "protocols/smtp_data.h"
#include "tests/support/guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define BYTES(literal) literal, sizeof(literal) - 1

/* Says which case of an array fails. */
static void assert_case(size_t number, unsigned long long value, unsigned long long expected)
{
	if (value != expected)
		fail_msg("case %zu: %llu, expected %llu", number, value, expected);
}

struct data_case {
	const char *data;
	size_t len;
	enum smtp_data_result result;
	size_t used; /* what was passed by then */
};

static const struct data_case cases[] = {
	/* Ends. */
	{ BYTES(".\r\n"), SMTP_DATA_END, 3 },
	{ BYTES("\r\n.\r\n"), SMTP_DATA_END, 5 },
	{ BYTES("a\r\n.\r\n"), SMTP_DATA_END, 6 },
	{ BYTES("a\r\n.\r\nQUIT\r\n"), SMTP_DATA_END, 6 },
	{ BYTES("..\r\n.\r\n"), SMTP_DATA_END, 7 },
	{ BYTES("a.\r\n.\r\n"), SMTP_DATA_END, 7 },
	{ BYTES("\xff\x80\r\n.\r\n"), SMTP_DATA_END, 7 },
	{ BYTES(".a\r\n. \r\n.\r\n"), SMTP_DATA_END, 11 },
	/* Clean, and no end yet. */
	{ BYTES(""), SMTP_DATA_MORE, 0 },
	{ BYTES("a"), SMTP_DATA_MORE, 1 },
	{ BYTES("a\r"), SMTP_DATA_MORE, 1 },
	{ BYTES("a\r\n"), SMTP_DATA_MORE, 3 },
	{ BYTES("a\r\n."), SMTP_DATA_MORE, 3 },
	{ BYTES("a\r\n.\r"), SMTP_DATA_MORE, 3 },
	{ BYTES("."), SMTP_DATA_MORE, 0 },
	{ BYTES(".\r"), SMTP_DATA_MORE, 0 },
	{ BYTES(".."), SMTP_DATA_MORE, 2 },
	{ BYTES("..\r\n"), SMTP_DATA_MORE, 4 },
	{ BYTES("a.\r\n"), SMTP_DATA_MORE, 4 },
	{ BYTES("a\r\n..\r\n"), SMTP_DATA_MORE, 7 },
	/* The matrix: what another server might take for an end. */
	{ BYTES("a\n.\n"), SMTP_DATA_BAD, 1 },
	{ BYTES("a\n.\r\n"), SMTP_DATA_BAD, 1 },
	{ BYTES("a\r.\r"), SMTP_DATA_BAD, 1 },
	{ BYTES("a\r.\r\n"), SMTP_DATA_BAD, 1 },
	{ BYTES("a\r.\n"), SMTP_DATA_BAD, 1 },
	{ BYTES("a\r\n.\n"), SMTP_DATA_BAD, 4 },
	{ BYTES("a\r\n.\r.\r\n"), SMTP_DATA_BAD, 4 },
	{ BYTES("a\r\n.\r\r\n"), SMTP_DATA_BAD, 4 },
	{ BYTES("a\r\r\n.\r\n"), SMTP_DATA_BAD, 1 },
	{ BYTES("a\r\n\r.\r\n"), SMTP_DATA_BAD, 3 },
	{ BYTES("a\r\n\n.\r\n"), SMTP_DATA_BAD, 3 },
	{ BYTES("a\r\n.\0\r\n"), SMTP_DATA_BAD, 4 },
	{ BYTES("a\r\n\0.\r\n"), SMTP_DATA_BAD, 3 },
	{ BYTES("a\r\0\n.\r\n"), SMTP_DATA_BAD, 1 },
	{ BYTES("\0"), SMTP_DATA_BAD, 0 },
	{ BYTES("\n"), SMTP_DATA_BAD, 0 },
	{ BYTES("\r\r"), SMTP_DATA_BAD, 0 },
	{ BYTES(".\n"), SMTP_DATA_BAD, 1 },
	{ BYTES(".\r."), SMTP_DATA_BAD, 1 },
	{ BYTES("\n.\r\n"), SMTP_DATA_BAD, 0 },
};

/* Shows the data in two pieces, what is left of the first again before the second. */
static void play(size_t number, size_t split)
{
	const struct data_case *c = &cases[number];
	struct smtp_data state = { false };
	enum smtp_data_result result = SMTP_DATA_MORE;
	size_t passed = 0;
	const size_t ends[] = { split, c->len };

	for (int piece = 0; piece < 2 && result == SMTP_DATA_MORE; piece++) {
		size_t len = ends[piece] - passed, used = 0;
		char *data = guard_copy(c->data + passed, len);

		result = smtp_data_scan(&state, data, len, &used);
		assert_true(used <= len);
		assert_true(result != SMTP_DATA_MORE || len - used <= 4);
		assert_true(result != SMTP_DATA_BAD || used < len);
		passed += used;
		guard_free(data, len);
	}
	assert_case(number, result, c->result);
	assert_case(number, passed, c->used);
}

static void only_crlf_dot_crlf_ends_and_bad_bytes_are_found(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t split = 0; split <= cases[i].len; split++)
			play(i, split);
	}
}

static void the_result_is_the_same_byte_by_byte(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct smtp_data scan = { false };
		enum smtp_data_result result = SMTP_DATA_MORE;
		size_t passed = 0;

		for (size_t end = 1; end <= cases[i].len && result == SMTP_DATA_MORE; end++) {
			size_t used;

			result = smtp_data_scan(&scan, cases[i].data + passed, end - passed, &used);
			passed += used;
		}
		assert_case(i, result, cases[i].result);
		assert_int_equal(passed, cases[i].used);
	}
}

/* All strings of six bytes over the alphabet that matters, against a plain definition. */
static void all_short_strings_agree_with_the_definition(void **state)
{
	static const char alphabet[] = { 'a', '.', '\r', '\n', '\0' };
	enum { LENGTH = 6, COUNT = 15625 };

	for (int number = 0; number < COUNT; number++) {
		char text[2 + LENGTH] = "\r\n";
		size_t used, bad = 0, end = 0;
		struct smtp_data scan = { false };

		for (int i = 0, n = number; i < LENGTH; i++, n /= 5)
			text[2 + i] = alphabet[n % 5];
		while (bad < LENGTH) {
			char byte = text[2 + bad];

			if (byte == '\r' && bad + 1 < LENGTH && text[3 + bad] == '\n')
				bad += 2;
			else if (byte == 'a' || byte == '.' || (byte == '\r' && bad + 1 == LENGTH))
				bad++;
			else
				break;
		}
		const char *found = memmem(text, sizeof(text), "\r\n.\r\n", 5);

		end = found ? (size_t)(found - text) + 3 : SIZE_MAX;
		enum smtp_data_result result = smtp_data_scan(&scan, text + 2, LENGTH, &used);

		if (end <= bad) {
			assert_int_equal(result, SMTP_DATA_END);
			assert_int_equal(used, end);
		} else if (bad < LENGTH) {
			assert_int_equal(result, SMTP_DATA_BAD);
			assert_int_equal(used, bad);
		} else {
			assert_int_equal(result, SMTP_DATA_MORE);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_crlf_dot_crlf_ends_and_bad_bytes_are_found),
		cmocka_unit_test(the_result_is_the_same_byte_by_byte),
		cmocka_unit_test(all_short_strings_agree_with_the_definition),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
