/* test_token_uri - URIs of keys in tokens, and what is none. */
#include "frontend/token_uri.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/support/guard.h"

static struct token_uri uri;
static char why[256];

static void assert_value(enum token_uri_attribute attribute, const char *value)
{
	assert_true(uri.values[attribute].set);
	assert_int_equal(uri.values[attribute].len, strlen(value));
	assert_memory_equal(uri.values[attribute].data, value, strlen(value));
}

static void its_attributes(void **state)
{
	assert_true(token_uri_parse("pkcs11:token=My%20token;manufacturer=m;model=o;serial=12;"
				    "object=mail%3b%25;id=%00%a1%FF;type=private",
				    &uri, why));
	assert_value(TOKEN_URI_TOKEN, "My token");
	assert_value(TOKEN_URI_MANUFACTURER, "m");
	assert_value(TOKEN_URI_MODEL, "o");
	assert_value(TOKEN_URI_SERIAL, "12");
	assert_value(TOKEN_URI_OBJECT, "mail;%");
	assert_int_equal(uri.values[TOKEN_URI_ID].len, 3);
	assert_memory_equal(uri.values[TOKEN_URI_ID].data, "\0\xa1\xff", 3);
	assert_true(token_uri_parse("pkcs11:id=a;", &uri, why));
	assert_false(uri.values[TOKEN_URI_TOKEN].set);
}

static void what_is_none(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "", "does not begin" },
		{ "pkcs12:object=a", "does not begin" },
		{ "pkcs11:", "neither" },
		{ "pkcs11:token=a", "neither" },
		{ "pkcs11:object=a;object=b", "twice" },
		{ "pkcs11:objec=a", "no attribute of a token's key: \"objec=a\"" },
		{ "pkcs11:object", "no attribute" },
		{ "pkcs11:;object=a", "no attribute" },
		{ "pkcs11:slot-id=1;object=a", "no attribute" },
		{ "pkcs11:object=%4", "% without two digits" },
		{ "pkcs11:object=%", "% without two digits" },
		{ "pkcs11:object=%g0", "% without two digits" },
		{ "pkcs11:object=a;type=cert", "\"type\" must be" },
		{ "pkcs11:object=a?pin-value=1234", "nothing may follow" },
		{ "pkcs11:object=a?", "nothing may follow" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_false(token_uri_parse(cases[i].text, &uri, why));
		if (strstr(why, cases[i].why) == NULL)
			fail_msg("%s: %s", cases[i].text, why);
	}
}

static void the_longest_value(void **state)
{
	char text[300];

	for (size_t len = 254; len < 258; len++) {
		int head = snprintf(text, sizeof(text), "pkcs11:object=");

		memset(text + head, 'x', len);
		text[(size_t)head + len] = '\0';
		assert_int_equal(token_uri_parse(text, &uri, why), len <= TOKEN_URI_VALUE_MAX);
	}
}

static void every_beginning_ends_within_its_memory(void **state)
{
	static const char text[] = "pkcs11:token=a%20b;id=%a1;type=private";

	for (size_t len = 0; len < sizeof(text); len++) {
		char part[sizeof(text)] = { 0 };
		char *copy;

		memcpy(part, text, len);
		copy = guard_copy(part, len + 1);
		token_uri_parse(copy, &uri, why);
		guard_free(copy, len + 1);
	}
}

static void fields_are_padded_with_blanks(void **state)
{
	static const uint8_t field[8] = { 'm', 'y', ' ', 't', ' ', ' ', ' ', ' ' };

	assert_true(token_uri_parse("pkcs11:token=my%20t;object=a", &uri, why));
	assert_true(token_uri_fits(&uri, TOKEN_URI_TOKEN, field, sizeof(field)));
	assert_true(token_uri_fits(&uri, TOKEN_URI_SERIAL, field, sizeof(field)));
	assert_false(token_uri_fits(&uri, TOKEN_URI_TOKEN, field, 3));
	assert_false(token_uri_fits(&uri, TOKEN_URI_OBJECT, field, sizeof(field)));
	assert_false(token_uri_fits(&uri, TOKEN_URI_TOKEN, (const uint8_t *)"        ", 8));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_attributes),
		cmocka_unit_test(what_is_none),
		cmocka_unit_test(the_longest_value),
		cmocka_unit_test(every_beginning_ends_within_its_memory),
		cmocka_unit_test(fields_are_padded_with_blanks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
