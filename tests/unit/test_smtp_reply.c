/* test_smtp_reply - a backend's replies: lines, codes, bounds. */
#include "protocols/smtp_reply.h"
#include "tests/support/guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define BYTES(literal) literal, sizeof(literal) - 1

/* Says which case of an array fails. */
static void assert_case(size_t number, unsigned long long value, unsigned long long expected)
{
	if (value != expected)
		fail_msg("case %zu: %llu, expected %llu", number, value, expected);
}

/* Reads one whole reply; *used moves behind it. */
static enum smtp_reply_result read_reply(const char *data, size_t len, struct smtp_reply *reply,
					 size_t *used)
{
	enum smtp_reply_result result;

	*reply = (struct smtp_reply) { 0 };
	*used = 0;
	do {
		result = smtp_reply_next(reply, data + *used, len - *used);
		if (result == SMTP_REPLY_LINE || result == SMTP_REPLY_LAST)
			*used += reply->line.len;
	} while (result == SMTP_REPLY_LINE);
	assert_true(*used <= len);
	return result;
}

static const struct {
	const char *data;
	size_t len;
	enum smtp_reply_result result;
	unsigned code, lines;
	const char *text; /* of the last line */
} cases[] = {
	{ BYTES("220 mail.example ESMTP\r\n"), SMTP_REPLY_LAST, 220, 1, "mail.example ESMTP" },
	{ BYTES("250-a\r\n250-b\r\n250 c\r\n"), SMTP_REPLY_LAST, 250, 3, "c" },
	{ BYTES("250\r\n"), SMTP_REPLY_LAST, 250, 1, "" },
	{ BYTES("250 \r\n"), SMTP_REPLY_LAST, 250, 1, "" },
	{ BYTES("599 \xc3\xa9\tx\r\n"), SMTP_REPLY_LAST, 599, 1, "\xc3\xa9\tx" },
	{ BYTES("550 f\xfcr \x80\xff\r\n"), SMTP_REPLY_LAST, 550, 1, "f\xfcr \x80\xff" },
	{ BYTES("250-\r\n250 \r\n"), SMTP_REPLY_LAST, 250, 2, "" },
	{ BYTES("250 a\r\n250 b\r\n"), SMTP_REPLY_LAST, 250, 1, "a" },
	{ BYTES(""), SMTP_REPLY_MORE, 0, 0, NULL },
	{ BYTES("250-a\r\n"), SMTP_REPLY_MORE, 0, 0, NULL },
	{ BYTES("250 a\r"), SMTP_REPLY_MORE, 0, 0, NULL },
	{ BYTES("250-a\r\n251 b\r\n"), SMTP_REPLY_BAD, 0, 0, NULL },
	{ BYTES("250-a\r\n550 b\r\n"), SMTP_REPLY_BAD, 0, 0, NULL },
	{ BYTES("\r\n"), SMTP_REPLY_BAD, 0, 0, NULL },
	{ BYTES("25\r\n"), SMTP_REPLY_BAD, 0, 0, NULL },
	{ BYTES("2500 a\r\n"), SMTP_REPLY_BAD, 0, 0, NULL },
	{ BYTES("150 a\r\n"), SMTP_REPLY_BAD, 0, 0, NULL },
	{ BYTES("650 a\r\n"), SMTP_REPLY_BAD, 0, 0, NULL },
	{ BYTES("2x0 a\r\n"), SMTP_REPLY_BAD, 0, 0, NULL },
	{ BYTES(" 250 a\r\n"), SMTP_REPLY_BAD, 0, 0, NULL },
	{ BYTES("250\ta\r\n"), SMTP_REPLY_BAD, 0, 0, NULL },
	{ BYTES("250 a\n"), SMTP_REPLY_BAD, 0, 0, NULL },
	{ BYTES("250 a\rb\r\n"), SMTP_REPLY_BAD, 0, 0, NULL },
	{ BYTES("250 a\0b\r\n"), SMTP_REPLY_BAD, 0, 0, NULL },
	{ BYTES("250 \x1b[2J\r\n"), SMTP_REPLY_BAD, 0, 0, NULL },
	{ BYTES("250 \x7f\r\n"), SMTP_REPLY_BAD, 0, 0, NULL },
	{ BYTES("+OK hello\r\n"), SMTP_REPLY_BAD, 0, 0, NULL },
	{ BYTES("* OK IMAP4rev1\r\n"), SMTP_REPLY_BAD, 0, 0, NULL },
};

static void replies_are_read_as_the_grammar_says(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *data = guard_copy(cases[i].data, cases[i].len);
		struct smtp_reply reply;
		size_t used;

		assert_case(i, read_reply(data, cases[i].len, &reply, &used), cases[i].result);
		if (cases[i].result == SMTP_REPLY_LAST) {
			assert_int_equal(reply.code, cases[i].code);
			assert_int_equal(reply.lines, cases[i].lines);
			assert_int_equal(reply.text.len, strlen(cases[i].text));
			assert_memory_equal(reply.text.data, cases[i].text, reply.text.len);
		}
		guard_free(data, cases[i].len);
	}
}

static void a_prefix_of_a_good_reply_asks_for_more(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct smtp_reply reply;
		size_t used, whole;

		if (cases[i].result != SMTP_REPLY_LAST)
			continue;
		read_reply(cases[i].data, cases[i].len, &reply, &whole);
		for (size_t len = 0; len < whole; len++) {
			char *data = guard_copy(cases[i].data, len);

			assert_int_equal(read_reply(data, len, &reply, &used), SMTP_REPLY_MORE);
			guard_free(data, len);
		}
	}
}

static void bytes_may_come_one_by_one(void **state)
{
	static const char text[] = "250-first\r\n250-second\r\n250 third\r\n";
	struct smtp_reply reply = { 0 };
	size_t start = 0, lines = 0;

	for (size_t end = 1; end <= sizeof(text) - 1; end++) {
		char *data = guard_copy(text + start, end - start);
		enum smtp_reply_result result = smtp_reply_next(&reply, data, end - start);

		assert_int_not_equal(result, SMTP_REPLY_BAD);
		if (result != SMTP_REPLY_MORE) {
			assert_int_equal(result, ++lines == 3 ? SMTP_REPLY_LAST : SMTP_REPLY_LINE);
			guard_free(data, end - start);
			start = end;
			continue;
		}
		guard_free(data, end - start);
	}
	assert_int_equal(lines, 3);
	assert_int_equal(start, sizeof(text) - 1);
}

static void a_line_has_a_bound(void **state)
{
	char line[SMTP_REPLY_LINE_MAX + 1];
	struct smtp_reply reply = { 0 };

	memset(line, 'x', sizeof(line));
	memcpy(line, "250 ", 4);
	memcpy(line + SMTP_REPLY_LINE_MAX - 2, "\r\n", 2);
	assert_int_equal(smtp_reply_next(&reply, line, SMTP_REPLY_LINE_MAX), SMTP_REPLY_LAST);
	memset(line + SMTP_REPLY_LINE_MAX - 2, 'x', 2);
	reply = (struct smtp_reply) { 0 };
	assert_int_equal(smtp_reply_next(&reply, line, SMTP_REPLY_LINE_MAX - 1), SMTP_REPLY_MORE);
	assert_int_equal(smtp_reply_next(&reply, line, SMTP_REPLY_LINE_MAX), SMTP_REPLY_BAD);
}

static void the_number_of_lines_has_a_bound(void **state)
{
	struct smtp_reply reply = { 0 };

	for (int i = 1; i < SMTP_REPLY_LINES_MAX; i++)
		assert_int_equal(smtp_reply_next(&reply, BYTES("250-x\r\n")), SMTP_REPLY_LINE);
	struct smtp_reply other = reply;

	assert_int_equal(smtp_reply_next(&other, BYTES("250 x\r\n")), SMTP_REPLY_LAST);
	assert_int_equal(smtp_reply_next(&reply, BYTES("250-x\r\n")), SMTP_REPLY_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies_are_read_as_the_grammar_says),
		cmocka_unit_test(a_prefix_of_a_good_reply_asks_for_more),
		cmocka_unit_test(bytes_may_come_one_by_one),
		cmocka_unit_test(a_line_has_a_bound),
		cmocka_unit_test(the_number_of_lines_has_a_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
