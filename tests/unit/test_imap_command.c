/* test_imap_command - framing of commands with literals, and the grammar of their arguments. */
#include "protocols/imap_command.h"
#include "tests/support/guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

static const char *const no_words[] = { NULL };
static const struct dialogue_settings settings = {
	.hostname = "mail.example.test",
	.mechanisms = no_words,
	.line_max = 60,
	.literals_max = 20,
};

struct frame_case {
	const char *data;
	size_t len;
	unsigned invited;
	enum imap_frame frame;
	const char *tag, *name, *args; /* args NULL: none */
	size_t behind;                 /* bytes of data that are not part of the command */
};

#define BYTES(text) (text), sizeof(text) - 1

static const struct frame_case cases[] = {
	{ BYTES("a NOOP\r\n"), 0, IMAP_FRAME_WHOLE, "a", "NOOP", NULL, 0 },
	{ BYTES("a NOOP\r\nb NOOP\r\n"), 0, IMAP_FRAME_WHOLE, "a", "NOOP", NULL, 8 },
	{ BYTES("a NOOP \r\n"), 0, IMAP_FRAME_WHOLE, "a", "NOOP", "", 0 },
	{ BYTES("a LOGIN b c\r\n"), 0, IMAP_FRAME_WHOLE, "a", "LOGIN", "b c", 0 },
	{ BYTES("a NO-OP\r\n"), 0, IMAP_FRAME_WHOLE, "a", "", NULL, 0 },
	{ BYTES("a\r\n"), 0, IMAP_FRAME_WHOLE, "", "", NULL, 0 },
	{ BYTES("\r\n"), 0, IMAP_FRAME_WHOLE, "", "", NULL, 0 },
	{ BYTES("a* NOOP\r\n"), 0, IMAP_FRAME_WHOLE, "", "", NULL, 0 },
	{ BYTES("a\xc3\xa4 NOOP\r\n"), 0, IMAP_FRAME_WHOLE, "", "", NULL, 0 },
	{ BYTES("a NO\0OP\r\n"), 0, IMAP_FRAME_BAD, NULL, NULL, NULL, 0 },
	{ BYTES("a NO\rOP\r\n"), 0, IMAP_FRAME_BAD, NULL, NULL, NULL, 0 },
	{ BYTES("a NOOP\n"), 0, IMAP_FRAME_BROKEN, NULL, NULL, NULL, 0 },
	/* RFC 9051 4.3, RFC 7888 */
	{ BYTES("a LOGIN {3}\r\n"), 0, IMAP_FRAME_SYNC, "a", "LOGIN", "{3}", 0 },
	{ BYTES("a LOGIN {3}\r\nbob x\r\n"), 1, IMAP_FRAME_WHOLE, "a", "LOGIN", "{3}\r\nbob x", 0 },
	{ BYTES("a LOGIN {3}\r\nbob {1}\r\n"), 1, IMAP_FRAME_SYNC, "a", "LOGIN", "{3}\r\nbob {1}",
	  0 },
	{ BYTES("a LOGIN {3+}\r\nbob {1+}\r\nx\r\n"), 0, IMAP_FRAME_WHOLE, "a", "LOGIN",
	  "{3+}\r\nbob {1+}\r\nx", 0 },
	{ BYTES("a LOGIN {0+}\r\n x\r\n"), 0, IMAP_FRAME_WHOLE, "a", "LOGIN", "{0+}\r\n x", 0 },
	/* octets of a literal are no line and no header: the "{1" is data, and "0}" behind it is not "{10}" */
	{ BYTES("a LOGIN {2+}\r\n{10}\r\n"), 0, IMAP_FRAME_WHOLE, "a", "LOGIN", "{2+}\r\n{10}", 0 },
	{ BYTES("a LOGIN {7+}\r\na\r\nb\r\nc x\r\n"), 0, IMAP_FRAME_WHOLE, "a", "LOGIN",
	  "{7+}\r\na\r\nb\r\nc x", 0 },
	{ BYTES("a LOGIN {2+}\r\na\0 x\r\n"), 0, IMAP_FRAME_BAD, NULL, NULL, NULL, 0 },
	{ BYTES("a LOGIN \"x{3}\" y\r\n"), 0, IMAP_FRAME_WHOLE, "a", "LOGIN", "\"x{3}\" y", 0 },
	{ BYTES("a LOGIN x y}\r\n"), 0, IMAP_FRAME_WHOLE, "a", "LOGIN", "x y}", 0 },
	{ BYTES("a LOGIN {}\r\n"), 0, IMAP_FRAME_BROKEN, NULL, NULL, NULL, 0 },
	{ BYTES("a LOGIN {-1}\r\n"), 0, IMAP_FRAME_BROKEN, NULL, NULL, NULL, 0 },
	{ BYTES("a LOGIN {3++}\r\n"), 0, IMAP_FRAME_BROKEN, NULL, NULL, NULL, 0 },
	{ BYTES("a LOGIN {3x}\r\n"), 0, IMAP_FRAME_BROKEN, NULL, NULL, NULL, 0 },
	{ BYTES("a LOGIN {21+}\r\n"), 0, IMAP_FRAME_TOO_BIG, NULL, NULL, NULL, 0 },
	{ BYTES("a LOGIN {21}\r\n"), 0, IMAP_FRAME_TOO_BIG, NULL, NULL, NULL, 0 },
	{ BYTES("a LOGIN {18446744073709551617}\r\n"), 0, IMAP_FRAME_TOO_BIG, NULL, NULL, NULL, 0 },
	{ BYTES("a LOGIN {11+}\r\n12345678901 {10+}\r\n"), 0, IMAP_FRAME_TOO_BIG, NULL, NULL, NULL,
	  0 },
	/* 60 octets of lines, then 61 */
	{ BYTES("a LOGIN {2+}\r\nxx yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n"), 0,
	  IMAP_FRAME_WHOLE, "a", "LOGIN", "{2+}\r\nxx yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy",
	  0 },
	{ BYTES("a LOGIN {2+}\r\nxx yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n"), 0,
	  IMAP_FRAME_BROKEN, NULL, NULL, NULL, 0 },
};

static void assert_span(struct span span, const char *text)
{
	assert_int_equal(span.len, strlen(text));
	assert_memory_equal(span.data, text, span.len);
}

static void check(const struct frame_case *test, enum imap_frame frame,
		  const struct imap_command *command)
{
	assert_int_equal(frame, test->frame);
	if (frame == IMAP_FRAME_WHOLE || frame == IMAP_FRAME_BAD || frame == IMAP_FRAME_SYNC)
		assert_int_equal(command->used, test->len - test->behind);
	if (!test->tag)
		return;
	assert_span(command->tag, test->tag);
	assert_span(command->name, test->name);
	assert_int_equal(command->args.data != NULL, test->args != NULL);
	if (test->args)
		assert_span(command->args, test->args);
}

static void commands_are_framed(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *data = guard_copy(cases[i].data, cases[i].len);
		struct imap_command command;
		size_t scanned = 0;
		enum imap_frame frame = imap_command_read(data, cases[i].len, &settings,
							  cases[i].invited, &scanned, &command);

		check(&cases[i], frame, &command);
		guard_free(data, cases[i].len);
	}
}

/* Byte by byte with the resumed search, and each prefix freshly: "more" until the verdict of the whole. */
static void every_prefix_agrees_with_the_whole(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct frame_case *test = &cases[i];
		enum imap_frame resumed = IMAP_FRAME_MORE;
		struct imap_command command;
		size_t scanned = 0;

		for (size_t len = 0; len <= test->len; len++) {
			char *data = guard_copy(test->data, len);
			size_t fresh = 0;
			enum imap_frame frame = imap_command_read(data, len, &settings,
								  test->invited, &fresh, &command);

			assert_true(frame == IMAP_FRAME_MORE || frame == test->frame);
			if (resumed == IMAP_FRAME_MORE)
				resumed = imap_command_read(data, len, &settings, test->invited,
							    &scanned, &command);
			assert_int_equal(frame, resumed);
			guard_free(data, len);
		}
		assert_int_equal(resumed, test->frame);
	}
}

static void the_number_of_literals_is_bounded(void **state)
{
	struct dialogue_settings wide = settings;
	char data[8192] = "a ID";
	struct imap_command command;
	size_t scanned = 0;

	wide.line_max = sizeof(data);
	for (int i = 0; i < IMAP_COMMAND_LITERALS_MAX; i++)
		strcat(data, " {0+}\r\n");
	strcat(data, "\r\n");
	assert_int_equal(imap_command_read(data, strlen(data), &wide, 0, &scanned, &command),
			 IMAP_FRAME_WHOLE);
	strcpy(data + strlen(data) - 2, " {0+}\r\n\r\n");
	assert_int_equal(imap_command_read(data, strlen(data), &wide, 0, &scanned, &command),
			 IMAP_FRAME_TOO_BIG);
}

struct string_case {
	const char *args;
	const char *string; /* NULL: refused */
	const char *rest;
};

static void strings_are_read_and_unescaped(void **state)
{
	static const struct string_case strings[] = {
		{ "alice x", "alice", " x" },
		{ "a]b+c}", "a]b+c}", "" },
		{ "j\xc3\xbc", "j\xc3\xbc", "" },
		{ "\"\" x", "", " x" },
		{ "\"a b\"x", "a b", "x" },
		{ "\"a\\\"b\\\\\"", "a\"b\\", "" },
		{ "{2}\r\nabc", "ab", "c" },
		{ "{2+}\r\nab", "ab", "" },
		{ "{0}\r\n", "", "" },
		{ "", NULL, NULL },
		{ " a", NULL, NULL },
		{ "(a", NULL, NULL },
		{ "\"a", NULL, NULL },
		{ "\"", NULL, NULL },
		{ "\"a\\", NULL, NULL },
		{ "\"a\\\"", NULL, NULL },
		{ "\"a\\b\"", NULL, NULL },
		{ "\"a\rb\"", NULL, NULL },
		{ "\"a{3+}\r\nxyz\"", NULL, NULL },
		{ "{2}\r\na", NULL, NULL },
		{ "{2}ab", NULL, NULL },
		{ "{}\r\n", NULL, NULL },
		{ "{", NULL, NULL },
	};

	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
		size_t len = strlen(strings[i].args);
		char *data = guard_copy(strings[i].args, len);
		struct span args = { data, len }, out;
		bool fine = imap_command_astring(&args, &out);

		assert_int_equal(fine, strings[i].string != NULL);
		if (fine) {
			assert_span(out, strings[i].string);
			assert_span(args, strings[i].rest);
		}
		guard_free(data, len);
	}
}

static bool id_with_pairs(int pairs)
{
	char args[1024] = "(";

	for (int i = 0; i < pairs; i++)
		strcat(args, i ? " \"k\" NIL" : "\"k\" NIL");
	strcat(args, ")");

	size_t len = strlen(args);
	char *data = guard_copy(args, len);
	bool valid = imap_command_id_is_valid((struct span) { data, len });

	guard_free(data, len);
	return valid;
}

/* RFC 2971 3.3. */
static void an_id_has_at_most_thirty_pairs(void **state)
{
	assert_true(id_with_pairs(1));
	assert_true(id_with_pairs(30));
	assert_false(id_with_pairs(31));
	assert_false(imap_command_id_is_valid((struct span) { NULL, 0 }));
	assert_true(imap_command_id_is_valid(SPAN("nil")));
	assert_false(imap_command_id_is_valid(SPAN("(")));
	assert_false(imap_command_id_is_valid(SPAN("(a b)")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_are_framed),
		cmocka_unit_test(every_prefix_agrees_with_the_whole),
		cmocka_unit_test(the_number_of_literals_is_bounded),
		cmocka_unit_test(strings_are_read_and_unescaped),
		cmocka_unit_test(an_id_has_at_most_thirty_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
