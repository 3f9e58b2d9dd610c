/* Which user a certificate stands for: addresses, the file of users, and what is nobody's. */
#include "frontend/client_users.h"
#include "tests/support/guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define DIGEST "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff"
#define COLONS                                                                                     \
	"00:01:02:03:04:05:06:07:08:09:0A:0b:0c:0d:0e:0f:10:11:12:13:14:15:16:17:18:19:1a:1b:1c:"  \
	"1d:1e:ff"
#define FILL_62 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static struct client_identity identity_of(const char *subject, const char *one, const char *two)
{
	struct client_identity identity = { .ambiguous = false };

	for (unsigned i = 0; i < CLIENT_DIGEST_SIZE; i++)
		identity.digest[i] = (uint8_t)i;
	identity.digest[CLIENT_DIGEST_SIZE - 1] = 0xff;
	snprintf(identity.subject, sizeof(identity.subject), "%s", subject);
	for (const char *address = one; address != NULL; address = address == two ? NULL : two)
		snprintf(identity.addresses[identity.address_count++], CLIENT_ADDRESS_MAX + 1, "%s",
			 address);
	return identity;
}

static void assert_user(const char *text, struct client_identity identity, const char *expected)
{
	char *copy = guard_copy(text, strlen(text));
	const char *why = NULL;
	unsigned line;
	struct client_users *users =
		client_users_new((struct span) { copy, strlen(text) }, &line, &why);
	struct span user;

	if (users == NULL)
		fail_msg("%s: line %u: %s", text, line, why);
	user = client_users_find(users, &identity);
	if (user.len != strlen(expected) || memcmp(user.data, expected, user.len) != 0)
		fail_msg("%s: %.*s", text, (int)user.len, user.data);
	client_users_free(users);
	guard_free(copy, strlen(text));
}

static void an_address_is_taken_when_it_could_be_somebodys(void **state)
{
	static const struct {
		const char *text, *taken; /* NULL: refused */
	} cases[] = {
		{ "alice@example.test", "alice@example.test" },
		{ "Alice.B+c=d/e@Example.TEST", "Alice.B+c=d/e@example.test" },
		{ "a@b", "a@b" },
		{ "@example.test", NULL },
		{ "alice@", NULL },
		{ "alice", NULL },
		{ "", NULL },
		{ "alice@bob@example.test", NULL },
		{ "alice@exam ple.test", NULL },
		{ "al ice@example.test", NULL },
		{ "\"alice\"@example.test", NULL },
		{ "alice@[127.0.0.1]", NULL },
		{ "alice@ex\xc3\xa4mple.test", NULL },
		{ "\xc3\xa4lice@example.test", NULL },
		{ "alice@example.test\n", NULL },
		{ "al\x7fice@example.test", NULL },
		{ "<alice@example.test>", NULL },
	};
	char out[CLIENT_ADDRESS_MAX + 1], *copy;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = strlen(cases[i].text);
		bool taken;

		copy = guard_copy(cases[i].text, len);
		taken = client_address_take((struct span) { copy, len }, out);
		if (taken != (cases[i].taken != NULL) ||
		    (taken && strcmp(out, cases[i].taken) != 0))
			fail_msg("%s", cases[i].text);
		guard_free(copy, len);
	}
	assert_false(
		client_address_take((struct span) { "alice@example.test\0.evil.test", 29 }, out));
	assert_false(client_address_take((struct span) { "al\0ice@example.test", 19 }, out));
}

static void an_address_has_a_bound(void **state)
{
	char text[300], out[CLIENT_ADDRESS_MAX + 1];

	memset(text, 'a', sizeof(text));
	text[1] = '@';
	assert_true(client_address_take((struct span) { text, CLIENT_ADDRESS_MAX }, out));
	assert_false(client_address_take((struct span) { text, CLIENT_ADDRESS_MAX + 1 }, out));
}

static void a_line_is_found_by_digest_address_or_subject(void **state)
{
	struct client_identity identity =
		identity_of("CN=Alice Example,O=A Firm", "alice@example.test", NULL);

	assert_user(DIGEST " bob\n", identity, "bob");
	assert_user(COLONS "\t \tbob", identity, "bob");
	assert_user("Alice@example.test bob\n", identity, "");
	assert_user("alice@EXAMPLE.test bob\n", identity, "bob");
	assert_user("CN=Alice Example,O=A Firm bob\r\n", identity, "bob");
	assert_user("CN=alice example,O=A Firm bob\n", identity, "");
	assert_user("CN=Alice Example bob\n", identity, "");
	assert_user("# a comment\n\n  \t\n  alice@example.test   gr\xc3\xbc\xc3\x9f"
		    "e  \n",
		    identity,
		    "gr\xc3\xbc\xc3\x9f"
		    "e");
	assert_user("", identity, "");
}

static void the_digest_says_more_than_the_address_and_that_more_than_the_subject(void **state)
{
	struct client_identity identity = identity_of("CN=A", "alice@example.test", NULL);

	assert_user("CN=A one\nalice@example.test two\n" DIGEST " three\n", identity, "three");
	assert_user("CN=A one\nalice@example.test two\n", identity, "two");
	identity.digest[0] = 1;
	assert_user("CN=A one\n" DIGEST " three\n", identity, "one");
}

static void two_users_of_one_certificate_are_nobody(void **state)
{
	struct client_identity identity = identity_of("", "one@example.test", "two@example.test");

	assert_user("one@example.test alice\ntwo@example.test alice\n", identity, "alice");
	assert_user("two@example.test alice\n", identity, "alice");
	assert_user("one@example.test alice\ntwo@example.test bob\n", identity, "");
	identity = identity_of("CN=A", "one@example.test", "two@example.test");
	assert_user("one@example.test alice\ntwo@example.test bob\nCN=A carol\n", identity, "");
	while (identity.address_count < CLIENT_ADDRESSES_MAX)
		memcpy(identity.addresses[identity.address_count++], "c@d", 4);
	assert_user("one@example.test alice\nCN=A carol\n", identity, "alice");
	identity.ambiguous = true; /* there may have been more, and they somebody else's */
	assert_user("one@example.test alice\nCN=A carol\n", identity, "");
}

static void without_a_file_one_address_alone_is_the_user(void **state)
{
	struct client_identity identity = identity_of("CN=A", "alice@example.test", NULL);
	struct span user = client_users_find(NULL, &identity);

	assert_true(span_is(user, "alice@example.test"));
	identity.ambiguous = true;
	assert_int_equal(client_users_find(NULL, &identity).len, 0);
	identity = identity_of("CN=A", "one@example.test", "two@example.test");
	assert_int_equal(client_users_find(NULL, &identity).len, 0);
	identity = identity_of("CN=A", NULL, NULL);
	assert_int_equal(client_users_find(NULL, &identity).len, 0);
}

static void a_file_with_a_fault_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *text, *why;
		unsigned line;
	} cases[] = {
		{ "alice@example.test\n", "blanks, and a user", 1 },
		{ "# x\nalice bob\n", "known by the SHA-256", 2 },
		{ "\n\n" DIGEST "0 bob\n", "known by the SHA-256", 3 },
		{ FILL_62 " bob\n", "known by the SHA-256", 1 },
		{ "00-01:02:03:04:05:06:07:08:09:0A:0b:0c:0d:0e:0f:10:11:12:13:14:15:16:17:18:19:"
		  "1a:1b:1c:1d:1e:ff b\n",
		  "known by the SHA-256", 1 },
		{ "alice@example.test al\x01ice\n", "no name for a user", 1 },
		{ "alice@example.test \xff\n", "no name for a user", 1 },
		{ "alice@example.test a\nbob@example.test b\nalice@Example.test c\n",
		  "the same certificate", 3 },
		{ DIGEST " a\n" COLONS " a\n", "the same certificate", 2 },
		{ "CN=A B a\nCN=A B  b", "the same certificate", 2 },
	};
	unsigned line;
	const char *why;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_null(client_users_new(span_of(cases[i].text), &line, &why));
		if (strstr(why, cases[i].why) == NULL || line != cases[i].line)
			fail_msg("%s: line %u: %s", cases[i].text, line, why);
	}
	assert_null(client_users_new((struct span) { "a@b c\0d\n", 8 }, &line, &why));
	assert_int_equal(line, 1);
}

static void a_file_has_bounds(void **state)
{
	enum { LINE = 32 };
	char *text = malloc((CLIENT_USERS_MAX + 1) * LINE + CLIENT_USERS_LINE_MAX + 10);
	size_t len = 0;
	struct client_users *users;
	unsigned line;
	const char *why;

	for (int i = 0; i < CLIENT_USERS_MAX; i++)
		len += (size_t)sprintf(text + len, "u%d@example.test user\n", i);
	users = client_users_new((struct span) { text, len }, &line, &why);
	assert_non_null(users);
	client_users_free(users);
	len += (size_t)sprintf(text + len, "last@example.test user\n");
	assert_null(client_users_new((struct span) { text, len }, &line, &why));
	assert_int_equal(line, CLIENT_USERS_MAX + 1);
	memset(text, 'a', CLIENT_USERS_LINE_MAX + 1);
	memcpy(text, "CN=", 3);
	memcpy(text + CLIENT_USERS_LINE_MAX - 4, " bob", 4);
	users = client_users_new((struct span) { text, CLIENT_USERS_LINE_MAX }, &line, &why);
	assert_non_null(users);
	client_users_free(users);
	assert_null(
		client_users_new((struct span) { text, CLIENT_USERS_LINE_MAX + 1 }, &line, &why));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_is_taken_when_it_could_be_somebodys),
		cmocka_unit_test(an_address_has_a_bound),
		cmocka_unit_test(a_line_is_found_by_digest_address_or_subject),
		cmocka_unit_test(
			the_digest_says_more_than_the_address_and_that_more_than_the_subject),
		cmocka_unit_test(two_users_of_one_certificate_are_nobody),
		cmocka_unit_test(without_a_file_one_address_alone_is_the_user),
		cmocka_unit_test(a_file_with_a_fault_is_refused_with_its_line),
		cmocka_unit_test(a_file_has_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
