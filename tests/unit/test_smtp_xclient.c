/* test_smtp_xclient - the lines of XCLIENT: which attributes, how they are written, where a line ends. */
#include "protocols/smtp_xclient.h"
#include "tests/support/guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define POSTFIX      "NAME ADDR PROTO HELO REVERSE_NAME PORT LOGIN DESTADDR DESTPORT"

static const struct login_client v4 = {
	{ "192.0.2.7", 4711 }, { "198.51.100.1", 587 }, "laptop.example", "00a1"
};
static const struct login_client v6 = {
	{ "2001:db8::7", 4711 }, { "2001:db8::1", 587 }, "[IPv6:2001:db8::7]", "00a1"
};
static const struct login_client unknown = { .name = "laptop" };

static unsigned offer(const char *text)
{
	size_t len = strlen(text);
	char *data = guard_copy(text, len);
	unsigned offered = smtp_xclient_offer((struct span) { data, len });

	guard_free(data, len);
	return offered;
}

/* All lines, one behind the other. */
static const char *lines(const struct login_client *client, const char *offered, const char *login)
{
	static char text[8192];
	struct smtp_xclient xclient = { offer(offered), client, span_of(login) };
	enum smtp_xclient_result result;
	struct output output;
	unsigned next = 0;

	output_init(&output, text, sizeof(text) - 1);
	do {
		size_t begun = output.len;

		result = smtp_xclient_write(&xclient, &next, &output);
		assert_true(next > 0);
		assert_true(output.len - begun <= SMTP_XCLIENT_LINE_MAX);
		assert_true((output.len > begun) == (result == SMTP_XCLIENT_WRITTEN));
	} while (result == SMTP_XCLIENT_WRITTEN);
	assert_false(output.overflow);
	if (result == SMTP_XCLIENT_LONG)
		output_text(&output, "TOO LONG");
	text[output.len] = '\0';
	return text;
}

static void only_what_is_offered_and_known_is_told(void **state)
{
	static const struct {
		const struct login_client *client;
		const char *offered, *login, *lines;
	} cases[] = {
		{ &v4, POSTFIX, "",
		  "XCLIENT PROTO=ESMTP HELO=laptop.example DESTADDR=198.51.100.1 DESTPORT=587 "
		  "REVERSE_NAME=[UNAVAILABLE] NAME=[UNAVAILABLE] PORT=4711 ADDR=192.0.2.7\r\n" },
		{ &v6, POSTFIX, "",
		  "XCLIENT PROTO=ESMTP HELO=[IPv6:2001:db8::7] DESTADDR=IPV6:2001:db8::1 "
		  "DESTPORT=587 REVERSE_NAME=[UNAVAILABLE] NAME=[UNAVAILABLE] PORT=4711 "
		  "ADDR=IPV6:2001:db8::7\r\n" },
		{ &unknown, POSTFIX, "",
		  "XCLIENT PROTO=ESMTP HELO=laptop REVERSE_NAME=[UNAVAILABLE] NAME=[UNAVAILABLE] "
		  "ADDR=[UNAVAILABLE]\r\n" },
		{ &v4, "ADDR", "", "XCLIENT ADDR=192.0.2.7\r\n" },
		{ &v4, "port addr", "", "XCLIENT PORT=4711 ADDR=192.0.2.7\r\n" },
		{ &v4, "ADDR ADDR", "", "XCLIENT ADDR=192.0.2.7\r\n" },
		{ &v4, "LOGIN", "", "" },
		{ &v4, "LOGIN ADDR", "alice", "XCLIENT LOGIN=alice ADDR=192.0.2.7\r\n" },
		{ &v4, "ADDR", "alice", "XCLIENT ADDR=192.0.2.7\r\n" },
		{ &v4, "ADDRESS FOO PORTS", "alice", "" },
		{ &v4, "", "alice", "" },
		{ &unknown, "DESTADDR DESTPORT PORT", "", "" },
	};

	for (size_t i = 0; i < COUNT(cases); i++)
		assert_string_equal(lines(cases[i].client, cases[i].offered, cases[i].login),
				    cases[i].lines);
}

static void values_are_xtext(void **state)
{
	static const struct {
		const char *text, *encoded;
	} cases[] = {
		{ "alice", "alice" },           { "", "" },
		{ "a+b=c", "a+2Bb+3Dc" },       { "two words", "two+20words" },
		{ "x\r\nQUIT", "x+0D+0AQUIT" }, { "j\xc3\xbcrgen", "j+C3+BCrgen" },
		{ "!~\x7f\x01", "!~+7F+01" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t len = strlen(cases[i].text);
		char storage[64], *data = guard_copy(cases[i].text, len);
		struct output output;

		output_init(&output, storage, sizeof(storage));
		smtp_xtext((struct span) { data, len }, &output);
		assert_int_equal(output.len, strlen(cases[i].encoded));
		assert_memory_equal(output.data, cases[i].encoded, output.len);
		guard_free(data, len);
	}
}

/* Postfix takes no XCLIENT from a client that it was told of, and no LOGIN but that of the last line. */
static void what_does_not_fit_goes_to_another_line_and_who_it_is_to_the_last(void **state)
{
	struct login_client client = v6;
	char user[130], expected[2048], escaped[400] = "";

	memset(client.name, 'x', 255);
	client.name[255] = '\0';
	for (size_t len = 1; len < sizeof(user); len++) {
		const char *text, *last;

		memset(user, '+', len);
		user[len] = '\0';
		text = lines(&client, POSTFIX, user);
		last = strstr(text,
			      " REVERSE_NAME=[UNAVAILABLE] NAME=[UNAVAILABLE] PORT=4711 LOGIN=+2B");
		assert_non_null(last);
		assert_ptr_equal(strchr(last, '\r'), text + strlen(text) - 2);
		assert_non_null(strstr(last, " ADDR=IPV6:2001:db8::7\r\n"));
	}
	user[100] = '\0';
	for (size_t i = 0; i < 100; i++)
		memcpy(escaped + 3 * i, "+2B", 4);
	snprintf(expected, sizeof(expected),
		 "XCLIENT PROTO=ESMTP HELO=%s DESTADDR=IPV6:2001:db8::1 DESTPORT=587\r\n"
		 "XCLIENT REVERSE_NAME=[UNAVAILABLE] NAME=[UNAVAILABLE] PORT=4711 LOGIN=%s "
		 "ADDR=IPV6:2001:db8::7\r\n",
		 client.name, escaped);
	assert_string_equal(lines(&client, POSTFIX, user), expected);
}

static void a_value_longer_than_a_line_is_never_cut(void **state)
{
	char user[256];

	memset(user, '+', sizeof(user));
	user[255] = '\0';
	assert_string_equal(lines(&v4, "LOGIN", user), "TOO LONG");
	assert_string_equal(lines(&v4, "PROTO LOGIN ADDR", user),
			    "XCLIENT PROTO=ESMTP\r\nTOO LONG");
	user[165] = '\0'; /* 495 octets, and 16 around them */
	assert_null(strstr(lines(&v4, "LOGIN", user), "TOO LONG"));
	assert_string_equal(lines(&v4, "LOGIN ADDR", user), "TOO LONG");
	user[165] = '+';
	user[166] = '\0';
	assert_string_equal(lines(&v4, "LOGIN", user), "TOO LONG");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_is_offered_and_known_is_told),
		cmocka_unit_test(values_are_xtext),
		cmocka_unit_test(what_does_not_fit_goes_to_another_line_and_who_it_is_to_the_last),
		cmocka_unit_test(a_value_longer_than_a_line_is_never_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
