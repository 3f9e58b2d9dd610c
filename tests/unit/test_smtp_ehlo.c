/* test_smtp_ehlo - what of a backend's EHLO reply a client may see. */
#include "protocols/smtp_ehlo.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static char storage[4096];

/* The reply for lines given in one text, each ended by "|". */
static const char *rewrite(const char *const *known, const char *lines)
{
	struct smtp_ehlo ehlo = { 0 };
	struct output output;

	for (const char *end; (end = strchr(lines, '|')); lines = end + 1)
		smtp_ehlo_note(&ehlo, known, (struct span) { lines, (size_t)(end - lines) });
	output_init(&output, storage, sizeof(storage) - 1);
	assert_true(smtp_ehlo_write(&ehlo, "front", known, &output));
	storage[output.len] = '\0';
	return storage;
}

static void an_extension_is_shown_when_both_sides_know_it(void **state)
{
	static const char *const known[] = { "SIZE 1000", "8BITMIME", "DSN", NULL };

	assert_string_equal(rewrite(known, "DSN|XYZ|size 77|"),
			    "250-front\r\n250-PIPELINING\r\n250-SIZE 77\r\n250 DSN\r\n");
	assert_string_equal(rewrite(known, "8BITMIMEX|DS||"), "250-front\r\n250 PIPELINING\r\n");
	assert_string_equal(rewrite(NULL, "DSN|"), "250-front\r\n250 PIPELINING\r\n");
}

static void words_of_the_backend_do_not_pass(void **state)
{
	static const char *const known[] = { "DSN", "SIZE", NULL };

	assert_string_equal(rewrite(known, "DSN surprise|SIZE 123456789012345678901|"),
			    "250-front\r\n250-PIPELINING\r\n250-DSN\r\n250 SIZE\r\n");
}

/* Even when the settings name it. */
static void trust_login_and_tls_are_never_shown(void **state)
{
	static const char *const known[] = { "AUTH PLAIN", "AUTH=PLAIN", "STARTTLS", "XCLIENT",
					     "XFORWARD",   "BURL",       "ETRN",     "PIPELINING",
					     "",           NULL };

	assert_string_equal(rewrite(known, "AUTH LOGIN|AUTH=PLAIN|STARTTLS|XCLIENT NAME|XFORWARD|"
					   "BURL|ETRN|PIPELINING||"),
			    "250-front\r\n250 PIPELINING\r\n");
}

static void binary_needs_chunks(void **state)
{
	static const char *const known[] = { "BINARYMIME", "CHUNKING", NULL };

	assert_string_equal(rewrite(known, "BINARYMIME|"), "250-front\r\n250 PIPELINING\r\n");
	assert_string_equal(rewrite(known, "CHUNKING|"),
			    "250-front\r\n250-PIPELINING\r\n250 CHUNKING\r\n");
	assert_string_equal(rewrite(known, "CHUNKING|binarymime|"),
			    "250-front\r\n250-PIPELINING\r\n250-BINARYMIME\r\n250 CHUNKING\r\n");
}

static void what_is_shown_is_known_as_extensions(void **state)
{
	static const char *const known[] = { "BINARYMIME", "SIZE 5", "DSN", NULL };
	struct smtp_ehlo ehlo = { 0 };
	struct smtp_extensions shown;

	smtp_ehlo_note(&ehlo, known, SPAN("BINARYMIME"));
	smtp_ehlo_note(&ehlo, known, SPAN("SIZE 77"));
	smtp_ehlo_note(&ehlo, known, SPAN("SMTPUTF8"));
	shown = smtp_ehlo_shown(&ehlo, known);
	assert_int_equal(shown.offered, SMTP_PIPELINING | SMTP_SIZE);
	assert_int_equal(shown.size, 77);
	shown = smtp_ehlo_shown(&(struct smtp_ehlo) { 0 }, NULL);
	assert_int_equal(shown.offered, SMTP_PIPELINING);
	assert_int_equal(shown.size, 0);
}

static void an_extension_is_noted_by_its_keyword(void **state)
{
	static const struct {
		const char *line;
		unsigned offered;
		uint64_t size;
	} cases[] = {
		{ "PIPELINING", SMTP_PIPELINING, 0 },
		{ "size 1000", SMTP_SIZE, 1000 },
		{ "SIZE", SMTP_SIZE, 0 },
		{ "SIZE 1k", SMTP_SIZE, 0 },
		{ "8BITMIME", SMTP_8BITMIME, 0 },
		{ "SMTPUTF8", SMTP_SMTPUTF8, 0 },
		{ "DSN x", SMTP_DSN, 0 },
		{ "CHUNKING", SMTP_CHUNKING, 0 },
		{ "BINARYMIME", SMTP_BINARYMIME, 0 },
		{ "AUTH PLAIN LOGIN", SMTP_AUTH, 0 },
		{ "AUTH=LOGIN", SMTP_AUTH, 0 },
		{ "CHUNKINGS", 0, 0 },
		{ "XCLIENT", 0, 0 },
		{ "", 0, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct smtp_extensions extensions = { 0 };

		smtp_extension_note(&extensions, span_of(cases[i].line));
		assert_int_equal(extensions.offered, cases[i].offered);
		assert_int_equal(extensions.size, cases[i].size);
	}
}

static void a_size_has_one_to_twenty_digits(void **state)
{
	static const struct {
		const char *text;
		bool good;
		uint64_t size;
	} cases[] = {
		{ "0", true, 0 },
		{ "00000000000000000012", true, 12 },
		{ "18446744073709551615", true, UINT64_MAX },
		{ "18446744073709551616", true, UINT64_MAX },
		{ "99999999999999999999", true, UINT64_MAX },
		{ "000000000000000000012", false, 0 },
		{ "", false, 0 },
		{ "-1", false, 0 },
		{ "1x", false, 0 },
		{ "1 ", false, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t size = 0;

		assert_int_equal(smtp_size_parse(span_of(cases[i].text), &size), cases[i].good);
		assert_true(size == cases[i].size);
	}
}

static void without_room_nothing_is_written(void **state)
{
	static const char *const known[] = { "DSN", NULL };
	struct smtp_ehlo ehlo = { 0 };
	struct output output;

	smtp_ehlo_note(&ehlo, known, SPAN("DSN"));
	for (size_t room = 0; room < 36; room++) {
		output_init(&output, storage, room);
		assert_false(smtp_ehlo_write(&ehlo, "front", known, &output));
		assert_int_equal(output.len, 0);
		assert_false(output.overflow);
	}
	output_init(&output, storage, 36);
	assert_true(smtp_ehlo_write(&ehlo, "front", known, &output));
	assert_int_equal(output.len, 36);
}

static void more_extensions_than_bits_are_left_out(void **state)
{
	static char names[80][16];
	const char *known[81] = { NULL };
	struct smtp_ehlo ehlo = { 0 };

	for (int i = 0; i < 80; i++) {
		snprintf(names[i], sizeof(names[i]), "X%d", i);
		known[i] = names[i];
	}
	smtp_ehlo_note(&ehlo, known, SPAN("X79"));
	assert_true(ehlo.offered == 0);
	smtp_ehlo_note(&ehlo, known, SPAN("X63"));
	assert_true(ehlo.offered == UINT64_C(1) << 63);
	assert_string_equal(rewrite(known, "X63|X79|"),
			    "250-front\r\n250-PIPELINING\r\n250 X63\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_extension_is_shown_when_both_sides_know_it),
		cmocka_unit_test(words_of_the_backend_do_not_pass),
		cmocka_unit_test(trust_login_and_tls_are_never_shown),
		cmocka_unit_test(binary_needs_chunks),
		cmocka_unit_test(what_is_shown_is_known_as_extensions),
		cmocka_unit_test(an_extension_is_noted_by_its_keyword),
		cmocka_unit_test(a_size_has_one_to_twenty_digits),
		cmocka_unit_test(without_room_nothing_is_written),
		cmocka_unit_test(more_extensions_than_bits_are_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
