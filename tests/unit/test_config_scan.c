/* test_config_scan - what libconfig would take without a word is found in the text first. */
#include "frontend/config_load.h"
#include "tests/support/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

struct scan_case {
	const char *text;
	int line;    /* of the fault; 0: none */
	bool usable; /* may be parsed all the same */
};

static const struct scan_case cases[] = {
	/* integers: 32 bits without a suffix, 64 with one */
	{ "a = 2147483647;", 0, true },
	{ "a = -2147483648;", 0, true },
	{ "a = +7;", 0, true },
	{ "a = 0x7fffffff;", 0, true },
	{ "a = 5000000000L;", 0, true },
	{ "a = 5000000000LL;", 0, true },
	{ "\na = 2147483648;", 2, true },
	{ "a = -2147483649;", 1, true },
	{ "a = 5000000000;", 1, true },
	{ "a = 0xffffffff;", 1, true },
	{ "a = 0X1FFFFFFFF;", 1, true },
	{ "a = 0xffffffffffffffffL;", 1, true },
	{ "a = 9223372036854775808L;", 1, true },
	{ "a = 99999999999999999999999999999999999999999999999999999999999999999999999;", 1, true },
	{ "a = ( 1,\n5000000000 );", 2, true },
	/* digits elsewhere are none of ours */
	{ "a5000000000 = 1; b-5000000000 = 2; *5000000000 = 3;", 0, true },
	{ "a = \"5000000000\";", 0, true },
	{ "# 5000000000\n// 5000000000\n/* 5000000000 */", 0, true },
	{ "a = 5000000000.0; b = 5000000000e3; c = .5000000000;", 0, true },
	/* strings and comments that do not end: the line where they begin */
	{ "a = 1;\nb = \"x;\nc = 2;\n", 2, false },
	{ "a = \"\\\"", 1, false },
	{ "a = \"\\\\\";", 0, true },
	{ "a = \"x\ny\";\nb = 5000000000;", 3, true },
	{ "a = \"x\n", 1, false },
	{ "\n\n/* x\n\n", 3, false },
	{ "/*/", 1, false },
	{ "/**/a = 1;", 0, true },
	{ "a = \"/*\"; # \"\nb = '1';", 0, true },
	{ "a = \"# \\\" /* //\"; b = 1;", 0, true },
	/* what could open files, or end a string early */
	{ "@include \"x\"", 1, false },
	{ "a = 1;\n \t@include\t\"x\"", 2, false },
	{ "a = \"@include\"; # @include \"x\"\n/*\n@include \"x\"\n*/", 0, true },
	{ "a = \"x\n@include \\\"y\\\"\";", 0, true },
	{ "a = \"\n\\x00\";", 2, false },
	{ "a = \"\\x41\\\\x00\";", 0, true },
	{ "\xef\xbb\xbf"
	  "a = 1;",
	  1, false },
	{ "a = 1;\xef\xbb\xbf", 0, true },
	{ "", 0, true },
	{ "-", 0, true },
	{ "0x", 0, true },
};

/* Scans a copy that ends at an unreadable page. */
static bool scan(const char *text, size_t len, struct config_faults *faults)
{
	char *copy = guard_copy(text, len);
	bool usable = config_scan(faults, "x.conf", copy, len);

	guard_free(copy, len);
	return usable;
}

static void each_case_gives_its_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct config_faults faults = { NULL, 0, 0 };
		bool usable = scan(cases[i].text, strlen(cases[i].text), &faults);
		int line = faults.count > 0 ? faults.items[0].line : 0;

		if (usable != cases[i].usable || line != cases[i].line ||
		    faults.count != (cases[i].line != 0))
			fail_msg("case %zu: line %d, %zu faults: %s", i, line, faults.count,
				 cases[i].text);
		config_faults_cleanup(&faults);
	}
}

static void a_text_cut_anywhere_is_never_read_beyond_its_end(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		for (size_t len = 0; len < strlen(cases[i].text); len++) {
			struct config_faults faults = { NULL, 0, 0 };
			bool usable = scan(cases[i].text, len, &faults);

			assert_true(usable || faults.errors > 0);
			config_faults_cleanup(&faults);
		}
}

static void a_nul_is_refused_with_its_line(void **state)
{
	struct config_faults faults = { NULL, 0, 0 };

	(void)state;
	assert_false(scan("a = 1;\nb\0 = 2;", 14, &faults));
	assert_int_equal(faults.count, 1);
	assert_int_equal(faults.items[0].line, 2);
	config_faults_cleanup(&faults);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_case_gives_its_line),
		cmocka_unit_test(a_text_cut_anywhere_is_never_read_beyond_its_end),
		cmocka_unit_test(a_nul_is_refused_with_its_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
