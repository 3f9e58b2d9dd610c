/* test_smtp_path - where a path ends, and what is none; every prefix before an unreadable page. */
#include "protocols/smtp_path.h"
#include "tests/support/guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct {
	const char *text;
	size_t length; /* 0: no path */
} cases[] = {
	{ "<>", 2 },
	{ "<a@b>", 5 },
	{ "<a@b> SIZE=1 <c@d>", 5 },
	{ "<postmaster>", 12 },
	{ "<a.b+c=d/e!f%g#h@my_host.example->", 34 },
	{ "<.a..b.@docomo.example>", 23 },
	{ "<\"a b>c\\\"d\"@e>", 14 },
	{ "<\"\"@e>", 6 },
	{ "<a@[192.0.2.1]>", 15 },
	{ "<a@[IPv6:2001:db8::1]>", 22 },
	{ "<@one.example,@[192.0.2.1]:a@b>", 31 },
	{ "<\xc3\xbc@\xc3\xb6.example>", 15 },
	/* A quotation mark or a bracket out of its place: two readers would see two ends. */
	{ "<a\"> SIZE=1 \"b>", 0 },
	{ "<\"a\"b@c>", 0 },
	{ "<a\"b\"@c>", 0 },
	{ "<a@\"> X=1 \">", 0 },
	{ "<a@b\\> X=1>", 0 },
	{ "<a\\>b@c>", 0 },
	{ "<a<b@c>", 0 },
	{ "<a b@c>", 0 },
	{ "<a@b c>", 0 },
	{ "< a@b>", 0 },
	{ "<a@b >", 0 },
	{ "<a@@b>", 0 },
	{ "<a@b@c>", 0 },
	{ "<@b>", 0 },
	{ "<a@>", 0 },
	{ "<a,b@c>", 0 },
	{ "<a:b@c>", 0 },
	{ "<a(x)@c>", 0 },
	{ "<@one:>", 0 },
	{ "<@one,two:a@b>", 0 },
	{ "<@one a@b>", 0 },
	{ "<a@[1]2>", 0 },
	{ "<a@[>]>", 0 },
	{ "<a@[]>", 0 },
	{ "<a@b", 0 },
	{ "<\"a@b>", 0 },
	{ "a@b", 0 },
	{ "", 0 },
};

static void a_path_has_one_end(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = strlen(cases[i].text), end = cases[i].length;

		for (size_t cut = 0; cut <= len; cut++) {
			char *text = guard_copy(cases[i].text, cut);
			size_t length = smtp_path_length((struct span) { text, cut });

			if (length != (end > 0 && cut >= end ? end : 0))
				fail_msg("%.*s: %zu", (int)cut, cases[i].text, length);
			guard_free(text, cut);
		}
	}
}

static void no_control_character_is_part_of_a_path(void **state)
{
	for (int byte = 0; byte < ' '; byte++) {
		char local[] = { '<', 'a', (char)byte, '@', 'b', '>' };
		char domain[] = { '<', 'a', '@', 'b', (char)byte, '>' };
		char literal[] = { '<', 'a', '@', '[', (char)byte, ']', '>' };

		assert_int_equal(smtp_path_length((struct span) { local, 6 }), 0);
		assert_int_equal(smtp_path_length((struct span) { domain, 6 }), 0);
		assert_int_equal(smtp_path_length((struct span) { literal, 7 }), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_has_one_end),
		cmocka_unit_test(no_control_character_is_part_of_a_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
