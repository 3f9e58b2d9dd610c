/* test_smtp_command - the client's grammar, byte for byte, each case before an unreadable page. */
#include "protocols/smtp_command.h"
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

static void assert_span(struct span span, const char *expected)
{
	assert_int_equal(span.len, strlen(expected));
	assert_memory_equal(span.data, expected, span.len);
}

struct command_case {
	const char *line;
	size_t len;
	const char *verb, *args; /* NULL: no command */
};

static const struct command_case commands[] = {
	{ BYTES("NOOP"), "NOOP", "" },
	{ BYTES("noop"), "noop", "" },
	{ BYTES("X"), "X", "" },
	{ BYTES("QUIT  "), "QUIT", "" },
	{ BYTES("MAIL FROM:<a@b>"), "MAIL", "FROM:<a@b>" },
	{ BYTES("MAIL   FROM:<a@b>  SIZE=1  "), "MAIL", "FROM:<a@b>  SIZE=1" },
	{ BYTES("VRFY J\xc3\xbcrgen"), "VRFY", "J\xc3\xbcrgen" },
	{ BYTES("NOOP \xf4\x8f\xbf\xbf"), "NOOP", "\xf4\x8f\xbf\xbf" },
	{ BYTES(""), NULL, NULL },
	{ BYTES(" NOOP"), NULL, NULL },
	{ BYTES("\tNOOP"), NULL, NULL },
	{ BYTES("1NOOP"), NULL, NULL },
	{ BYTES("NOOP1"), NULL, NULL },
	{ BYTES("MAIL:x"), NULL, NULL },
	{ BYTES("NOOP\tx"), NULL, NULL },
	{ BYTES("NOOP \tx"), NULL, NULL },
	{ BYTES("NOOP \0"), NULL, NULL },
	{ BYTES("NOOP a\0b"), NULL, NULL },
	{ BYTES("NOOP \r"), NULL, NULL },
	{ BYTES("NOOP \n"), NULL, NULL },
	{ BYTES("NOOP \x1b[2J"), NULL, NULL },
	{ BYTES("NOOP \x7f"), NULL, NULL },
	{ BYTES("NOOP \x80"), NULL, NULL },
	{ BYTES("NOOP \xc1\x81"), NULL, NULL },     /* overlong */
	{ BYTES("NOOP \xe0\x80\x8d"), NULL, NULL }, /* overlong CR */
	{ BYTES("NOOP \xed\xa0\x80"), NULL, NULL }, /* surrogate */
	{ BYTES("NOOP \xf0\x80\x80\x8a"), NULL, NULL },
	{ BYTES("NOOP \xf4\x90\x80\x80"), NULL, NULL },
	{ BYTES("NOOP \xf5\x80\x80\x80"), NULL, NULL },
	{ BYTES("NOOP \xe2\x82"), NULL, NULL }, /* cut at the end of the line */
	{ BYTES("NOOP \xe2\x82x"), NULL, NULL },
};

static void a_command_is_a_verb_at_column_0_and_printable_arguments(void **state)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const struct command_case *c = &commands[i];
		char *line = guard_copy(c->line, c->len);
		struct smtp_command out;
		bool good = smtp_command_parse((struct span) { line, c->len }, &out);

		assert_case(i, good, c->verb != NULL);
		if (good) {
			assert_span(out.verb, c->verb);
			assert_span(out.args, c->args);
		}
		guard_free(line, c->len);
	}
}

static void every_prefix_of_a_command_stays_inside_its_bytes(void **state)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		for (size_t len = 0; len <= commands[i].len; len++) {
			char *line = guard_copy(commands[i].line, len);
			struct smtp_command out;

			if (smtp_command_parse((struct span) { line, len }, &out)) {
				assert_ptr_equal(out.verb.data, line);
				assert_true(out.args.data + out.args.len <= line + len);
			}
			guard_free(line, len);
		}
	}
}

static void every_control_character_is_refused_in_arguments(void **state)
{
	for (int byte = 0; byte < 256; byte++) {
		char text[] = { 'a', (char)byte, 'b' };
		bool printable = byte >= ' ' && byte < 0x7f;

		assert_int_equal(smtp_text_acceptable((struct span) { text, 3 }), printable);
	}
}

static const struct {
	const char *args, *keyword, *path, *parameters;
} envelopes[] = {
	{ "FROM:<>", "FROM:", "<>", "" },
	{ "from:<a@b>", "FROM:", "<a@b>", "" },
	{ "FROM: <a@b>", "FROM:", "<a@b>", "" },
	{ "FROM:<a@b> SIZE=10 BODY=8BITMIME", "FROM:", "<a@b>", "SIZE=10 BODY=8BITMIME" },
	{ "TO:<a@b>   NOTIFY=NEVER", "TO:", "<a@b>", "NOTIFY=NEVER" },
	{ "TO:<\"a>b\"@c>", "TO:", "<\"a>b\"@c>", "" },
	{ "TO:<\"a\\\">b\"@c> X=1", "TO:", "<\"a\\\">b\"@c>", "X=1" },
	{ "TO:<@x,@y:a@b>", "TO:", "<@x,@y:a@b>", "" },
	{ "FROM:a@b", "FROM:", NULL, NULL },
	{ "FROM <a@b>", "FROM:", NULL, NULL },
	{ "FROM :<a@b>", "FROM:", NULL, NULL },
	{ "TO:<a@b>", "FROM:", NULL, NULL },
	{ "FROM:<a@b", "FROM:", NULL, NULL },
	{ "FROM:<a@b>SIZE=1", "FROM:", NULL, NULL },
	{ "FROM:<a@b>>", "FROM:", NULL, NULL },
	{ "FROM:<a<b@c>", "FROM:", NULL, NULL },
	{ "FROM:<\"a@b>", "FROM:", NULL, NULL },
	{ "FROM:<\"a\\", "FROM:", NULL, NULL },
	{ "FROM:", "FROM:", NULL, NULL },
	{ "FROM", "FROM:", NULL, NULL },
	{ "", "FROM:", NULL, NULL },
};

static void an_envelope_is_a_path_in_brackets_and_parameters(void **state)
{
	for (size_t i = 0; i < sizeof(envelopes) / sizeof(envelopes[0]); i++) {
		size_t len = strlen(envelopes[i].args);

		for (size_t cut = 0; cut <= len; cut++) {
			char *args = guard_copy(envelopes[i].args, cut);
			struct smtp_envelope out;
			bool good = smtp_envelope_parse((struct span) { args, cut },
							envelopes[i].keyword, &out);

			if (cut == len) {
				assert_case(i, good, envelopes[i].path != NULL);
			}
			if (good)
				assert_true(out.path.data[out.path.len - 1] == '>');
			if (good && cut == len) {
				assert_span(out.path, envelopes[i].path);
				assert_span(out.parameters, envelopes[i].parameters);
			}
			guard_free(args, cut);
		}
	}
}

static const struct {
	const char *args;
	bool good;
	uint64_t size;
	bool last;
} chunks[] = {
	{ "0", true, 0, false },
	{ "0 LAST", true, 0, true },
	{ "5 last", true, 5, true },
	{ "0000000000000000007", true, 7, false },
	{ "9999999999999999999", true, UINT64_C(9999999999999999999), false },
	{ "10000000000000000000", false, 0, false },
	{ "18446744073709551617", false, 0, false },
	{ "", false, 0, false },
	{ "LAST", false, 0, false },
	{ "-1", false, 0, false },
	{ "+1", false, 0, false },
	{ "0x10", false, 0, false },
	{ "1.5", false, 0, false },
	{ "5 FIRST", false, 0, false },
	{ "5 LAST LAST", false, 0, false },
};

static void a_chunk_has_one_to_nineteen_digits(void **state)
{
	for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
		size_t len = strlen(chunks[i].args);
		char *args = guard_copy(chunks[i].args, len);
		uint64_t size = 1;
		bool last = false;
		bool good = smtp_chunk_parse((struct span) { args, len }, &size, &last);

		assert_case(i, good, chunks[i].good);
		if (good)
			assert_true(size == chunks[i].size && last == chunks[i].last);
		guard_free(args, len);
	}
}

static void a_name_is_a_host_name_or_an_address_literal(void **state)
{
	static const char *const good[] = {
		"a",          "localhost",     "my_host.example",
		"a.b.c.",     "1.2.3.4",       "[1.2.3.4]",
		"[IPv6:::1]", "[fe80::1%en0]", "xn--bcher-kva.example"
	};
	static const char *const bad[] = { "",    " ",   "a b",  ".",   ".a", "a..b",  "-a",
					   "[",   "]",   "[]",   "[a",  "a]", "[a b]", "[a]b",
					   "a\n", "a\r", "a\tb", "a<b", "a\"" };
	char longest[256];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(smtp_name_acceptable(span_of(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(smtp_name_acceptable(span_of(bad[i])));
	assert_false(smtp_name_acceptable((struct span) { "a\0b", 3 }));
	memset(longest, 'a', sizeof(longest));
	assert_true(smtp_name_acceptable((struct span) { longest, 255 }));
	assert_false(smtp_name_acceptable((struct span) { longest, 256 }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_command_is_a_verb_at_column_0_and_printable_arguments),
		cmocka_unit_test(every_prefix_of_a_command_stays_inside_its_bytes),
		cmocka_unit_test(every_control_character_is_refused_in_arguments),
		cmocka_unit_test(an_envelope_is_a_path_in_brackets_and_parameters),
		cmocka_unit_test(a_chunk_has_one_to_nineteen_digits),
		cmocka_unit_test(a_name_is_a_host_name_or_an_address_literal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
