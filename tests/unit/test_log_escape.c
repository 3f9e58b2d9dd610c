/* test_log_escape - whatever a value holds and wherever it is cut, what is shown is text, and leads back to it. RFC 3629, RFC 8259 7. */
#include "frontend/log_escape.h"
#include "tests/support/guard.h"
#include "tests/support/log_text.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define WAYS 3

/* Letters of one to four octets, pieces of some, controls, what the forms give a meaning of its own. */
static const char mixed[] =
	"a\"\\\xc3\xbc\xe2\x82\xac\xf0\x9f\x93\xac\n\xff\xc3\xe2\x82\xf0\x9f\x93"
	"\xc2\x85\xe2\x80\xae\xed\xa0\x80\\x41\\\\\"\x7f\x1bz";

static const char empty[LOG_TEXT_MAX];

/* What is shown, read back to the bytes that it stands for. */
static void read_back(const char *shown, size_t len, enum log_escaping how, struct log_text *out)
{
	char line[LOG_TEXT_MAX];
	int head = snprintf(line, sizeof(line), how == LOG_ESCAPE_JSON ? "{\"k\":\"" : "k=\"");

	out->len = 0;
	if (how == LOG_ESCAPE_JOURNAL) {
		memcpy(out->data, shown, len);
		out->len = len;
	} else {
		memcpy(line + head, shown, len);
		memcpy(line + (size_t)head + len, "\"}", 2);
		assert_true(
			how == LOG_ESCAPE_JSON
				? log_text_json((struct span) { line, (size_t)head + len + 2 }, "k",
						out)
				: log_text_logfmt((struct span) { line, (size_t)head + len + 1 },
						  "k", out));
	}
	for (size_t i = 0; i < len; i++)
		assert_true((unsigned char)shown[i] >= 0x20 && shown[i] != 0x7f);
	assert_true(log_text_unescape(out));
}

static void check(struct span value, size_t max, size_t room, enum log_escaping how, size_t least)
{
	char *copy = guard_copy(value.data, value.len), *out = guard_copy(empty, room);
	size_t len = log_escape((struct span) { copy, value.len }, max, how, out, room);
	struct log_text back;

	assert_true(len <= room);
	read_back(out, len, how, &back);
	assert_true(back.len <= max && back.len <= value.len && back.len >= least);
	assert_memory_equal(back.data, value.data, back.len);
	guard_free(copy, value.len);
	guard_free(out, room);
}

static void every_byte_and_pair_of_bytes_comes_back(void **state)
{
	for (int how = 0; how < WAYS; how++)
		for (unsigned first = 0; first < 256; first++)
			for (unsigned second = 0; second < 256; second++) {
				char value[] = { (char)first, (char)second }, out[16];
				size_t len = log_escape((struct span) { value, 2 }, 2,
							(enum log_escaping)how, out, sizeof(out));
				struct log_text back;

				read_back(out, len, (enum log_escaping)how, &back);
				assert_int_equal(back.len, 2);
				assert_memory_equal(back.data, value, 2);
			}
}

static void a_value_is_cut_between_letters_at_every_length(void **state)
{
	const struct span all = SPAN(mixed);

	for (int how = 0; how < WAYS; how++)
		for (size_t max = 0; max <= all.len; max++) {
			size_t least = max > 3 ? max - 3 : 0;

			check(all, max, sizeof(mixed), (enum log_escaping)how, 0);
			check((struct span) { all.data, max }, all.len, LOG_ESCAPE_WORST * all.len,
			      (enum log_escaping)how, max);
			check(all, max, LOG_ESCAPE_WORST * all.len, (enum log_escaping)how, least);
		}
}

static void what_does_not_fit_is_left_out_at_every_room(void **state)
{
	const struct span all = SPAN(mixed);

	for (int how = 0; how < WAYS; how++)
		for (size_t room = 0; room < sizeof(mixed); room++)
			check(all, all.len, room, (enum log_escaping)how, room / 8);
}

static void only_what_means_the_same_without_quotation_marks_is_bare(void **state)
{
	static const char *const quoted[] = { "", "a b", "a\"", "\\", "a\n", "\x7f", "gr\xc3\xbc" };

	assert_true(log_is_bare("TLSv1.3"));
	assert_true(log_is_bare("old-imap/[::1]:143"));
	assert_true(log_is_bare("a=b"));
	for (size_t i = 0; i < sizeof(quoted) / sizeof(quoted[0]); i++)
		assert_false(log_is_bare(quoted[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_and_pair_of_bytes_comes_back),
		cmocka_unit_test(a_value_is_cut_between_letters_at_every_length),
		cmocka_unit_test(what_does_not_fit_is_left_out_at_every_room),
		cmocka_unit_test(only_what_means_the_same_without_quotation_marks_is_bare),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
