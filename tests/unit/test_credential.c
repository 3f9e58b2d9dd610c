/* test_credential - bounds and copies of credentials, and which names may go on. */
#include "protocols/credential.h"
#include "tests/support/guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static char long_text[CREDENTIAL_PASSWORD_MAX + 1];

static void a_credential_is_a_copy_of_both_parts(void **state)
{
	char user[] = "alice", password[] = "pass\0word";
	struct credential *credential =
		credential_new((struct span) { user, 5 }, (struct span) { password, 9 });

	assert_non_null(credential);
	memset(user, 'x', sizeof(user));
	memset(password, 'x', sizeof(password));
	assert_int_equal(credential->user.len, 5);
	assert_memory_equal(credential->user.data, "alice", 5);
	assert_int_equal(credential->password.len, 9);
	assert_memory_equal(credential->password.data, "pass\0word", 9);
	assert_true(credential->user.data >= (char *)credential &&
		    credential->password.data + 9 <= (char *)credential + credential->size);
	credential_free(credential);
	credential_free(NULL);
}

static void bounds_are_kept(void **state)
{
	static const struct {
		size_t user, password;
		bool fine;
	} cases[] = {
		{ 1, 1, true },
		{ 0, 1, false },
		{ 1, 0, true }, /* somebody else has verified him */
		{ CREDENTIAL_USER_MAX, CREDENTIAL_PASSWORD_MAX, true },
		{ CREDENTIAL_USER_MAX + 1, 1, false },
		{ 1, CREDENTIAL_PASSWORD_MAX + 1, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct credential *credential =
			credential_new((struct span) { long_text, cases[i].user },
				       (struct span) { long_text, cases[i].password });

		assert_int_equal(credential != NULL, cases[i].fine);
		credential_free(credential);
	}
}

static void names_must_be_utf8_without_controls(void **state)
{
	static const struct {
		const char *name;
		bool fine;
	} cases[] = {
		{ "alice", true },
		{ "alice@example.org", true },
		{ "a b", true },
		{ "j\xc3\xbcrgen", true },
		{ "\xe6\x97\xa5", true },
		{ "\xf0\x9f\x98\x80", true },
		{ "", false },
		{ "a\nb", false },
		{ "a\tb", false },
		{ "a\x7f", false },
		{ "\xc2\x85", false },         /* C1 control */
		{ "\xc3", false },             /* cut off */
		{ "\x80", false },             /* continuation alone */
		{ "\xc0\xaf", false },         /* overlong */
		{ "\xe0\x80\xaf", false },     /* overlong */
		{ "\xed\xa0\x80", false },     /* surrogate */
		{ "\xf4\x90\x80\x80", false }, /* over U+10FFFF */
		{ "\xff", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = strlen(cases[i].name);
		char *name = guard_copy(cases[i].name, len);

		assert_int_equal(identity_acceptable((struct span) { name, len }), cases[i].fine);
		guard_free(name, len);
	}
	assert_false(identity_acceptable(SPAN("a\0b")));
}

static void names_have_a_length(void **state)
{
	memset(long_text, 'a', sizeof(long_text));
	assert_true(identity_acceptable((struct span) { long_text, 255 }));
	assert_false(identity_acceptable((struct span) { long_text, 256 }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_credential_is_a_copy_of_both_parts),
		cmocka_unit_test(bounds_are_kept),
		cmocka_unit_test(names_must_be_utf8_without_controls),
		cmocka_unit_test(names_have_a_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
