/* test_line - where a line ends, and where it does not. */
#include "protocols/line.h"
#include "tests/support/guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

struct line_case {
	const char *data;
	size_t len, max;
	enum line_result result;
	size_t line; /* its length, for WHOLE and BAD */
};

#define BYTES(text) (text), sizeof(text) - 1

static const struct line_case cases[] = {
	{ BYTES("NOOP\r\n"), 512, LINE_WHOLE, 4 },
	{ BYTES("\r\n"), 512, LINE_WHOLE, 0 },
	{ BYTES("one\r\ntwo\r\n"), 512, LINE_WHOLE, 3 },
	{ BYTES("NOOP\r\n"), 6, LINE_WHOLE, 4 },
	{ BYTES("NOOPS\r\n"), 6, LINE_LONG, 0 },
	{ BYTES("NOOPNO"), 6, LINE_LONG, 0 },
	{ BYTES("NOOPN"), 6, LINE_MORE, 0 },
	{ BYTES("NOOP\r"), 6, LINE_MORE, 0 },
	{ BYTES(""), 512, LINE_MORE, 0 },
	{ BYTES("NO\0OP\r\n"), 512, LINE_BAD, 5 },
	{ BYTES("NO\rOP\r\n"), 512, LINE_BAD, 5 },
	{ BYTES("NOOP\r\r\n"), 512, LINE_BAD, 5 },
	{ BYTES("NOOP\nRSET\r\n"), 512, LINE_BARE_LF, 0 },
	{ BYTES("\n"), 512, LINE_BARE_LF, 0 },
	{ BYTES("NO\0OP\n"), 512, LINE_BARE_LF, 0 },
};

static void check(const struct line_case *test, enum line_result result, struct span line,
		  size_t scanned)
{
	assert_int_equal(result, test->result);
	if (result == LINE_WHOLE || result == LINE_BAD)
		assert_int_equal(line.len, test->line);
	assert_int_equal(scanned, result == LINE_MORE ? test->len : 0);
}

static void a_line_ends_at_crlf_and_nowhere_else(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *data = guard_copy(cases[i].data, cases[i].len);
		size_t scanned = 0;
		struct span line;
		enum line_result result =
			line_cut(data, cases[i].len, cases[i].max, &scanned, &line);

		check(&cases[i], result, line, scanned);
		guard_free(data, cases[i].len);
	}
}

/* Each prefix, freshly and resumed: never another verdict than that of the whole, only an earlier "more". */
static void every_prefix_agrees_with_the_whole(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct line_case *test = &cases[i];
		enum line_result resumed = LINE_MORE;
		size_t scanned = 0;

		for (size_t len = 0; len <= test->len; len++) {
			char *data = guard_copy(test->data, len);
			size_t fresh = 0;
			struct span line;
			enum line_result result = line_cut(data, len, test->max, &fresh, &line);

			if (resumed == LINE_MORE)
				resumed = line_cut(data, len, test->max, &scanned, &line);
			assert_true(result == LINE_MORE || result == test->result);
			assert_int_equal(result, resumed);
			guard_free(data, len);
		}
	}
}

static void resuming_does_not_look_again_at_what_was_searched(void **state)
{
	char *data = guard_copy("abcdef\r\n", 8);
	size_t scanned = 0;
	struct span line;

	assert_int_equal(line_cut(data, 6, 64, &scanned, &line), LINE_MORE);
	assert_int_equal(scanned, 6);
	data[2] = '\n'; /* a second look would find it */
	assert_int_equal(line_cut(data, 8, 64, &scanned, &line), LINE_WHOLE);
	assert_int_equal(line.len, 6);
	guard_free(data, 8);
}

static void nothing_before_the_data_is_looked_at(void **state)
{
	char data[] = "\r\n";
	size_t scanned = 0;
	struct span line;

	assert_int_equal(line_cut(data + 1, 1, 64, &scanned, &line), LINE_BARE_LF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_ends_at_crlf_and_nowhere_else),
		cmocka_unit_test(every_prefix_agrees_with_the_whole),
		cmocka_unit_test(nothing_before_the_data_is_looked_at),
		cmocka_unit_test(resuming_does_not_look_again_at_what_was_searched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
