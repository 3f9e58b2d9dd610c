/* test_smtp_relay_replies - submission after login: what the backend says (relay_play.h). */
#include "tests/unit/relay_play.h"

/* ---- replies ---- */

static void bad_replies_are_a_backend_failure(void **state)
{
#define FAILS(name, reply)                                                                         \
	{                                                                                          \
		name, { C("NOOP\r\n"), B(reply), C("NOOP\r\n") }, "NOOP\r\n",                      \
			"421 4.3.2 Mail service has gone\r\n", CLOSED                              \
	}
	static const struct play plays[] = {
		FAILS("no code", "hello\r\n"),
		FAILS("bare LF", "250 ok\n"),
		FAILS("bare CR", "250 a\rb\r\n"),
		FAILS("NUL", "250 a\0b\r\n"),
		FAILS("escape", "250 \x1b[2J\r\n"),
		FAILS("1yz", "150 wait\r\n"),
		FAILS("a 354 that nobody asked for", "354 go\r\n"),
		FAILS("a challenge", "334 \r\n"),
		{ "mixed codes",
		  { C("HELP\r\n"), B("214-a\r\n250 b\r\n") },
		  "HELP\r\n",
		  "214-a\r\n421 4.3.2 Mail service has gone\r\n",
		  CLOSED },
		{ "one reply too many",
		  { C("NOOP\r\n"), B("250 ok\r\n250 ok\r\n") },
		  "NOOP\r\n",
		  "250 ok\r\n421 4.3.2 Mail service has gone\r\n",
		  CLOSED },
		{ "a reply to nothing",
		  { B("250 ok\r\n") },
		  "",
		  "421 4.3.2 Mail service has gone\r\n",
		  CLOSED },
		{ "250 to DATA would leave both sides with other ideas",
		  { C("DATA\r\n"), B("250 ok\r\n") },
		  "DATA\r\n",
		  "421 4.3.2 Mail service has gone\r\n",
		  CLOSED },
		{ "220 to EHLO",
		  { C("EHLO me\r\n"), B("220 hi\r\n") },
		  "EHLO me\r\n",
		  "421 4.3.2 Mail service has gone\r\n",
		  CLOSED },
	};

	RUN(plays);
}

static void a_421_passes_and_ends_the_session(void **state)
{
	static const struct play plays[] = {
		{ "as an answer",
		  { C("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"), B("421-so\r\n421 long\r\n") },
		  "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n",
		  "421-so\r\n421 long\r\n",
		  CLOSED },
		{ "unasked", { B("421 4.3.2 going\r\n") }, "", "421 4.3.2 going\r\n", CLOSED },
		{ "to DATA",
		  { C("DATA\r\nhello\r\n"), B("421 going\r\n") },
		  "DATA\r\n",
		  "421 going\r\n",
		  CLOSED },
		{ "to EHLO",
		  { C("EHLO me\r\n"), B("421 going\r\n") },
		  "EHLO me\r\n",
		  "421 going\r\n",
		  CLOSED },
		{ "to the message",
		  { C("DATA\r\n"), B("354 go\r\n"), C("x\r\n.\r\n"), B("421 going\r\n") },
		  "DATA\r\nx\r\n.\r\n",
		  "354 go\r\n421 going\r\n",
		  CLOSED },
	};

	RUN(plays);
}

static void a_backend_that_goes_is_421_in_every_state(void **state)
{
	static const struct play plays[] = {
		{ "idle", { GONE }, "", "421 4.3.2 Mail service has gone\r\n", CLOSED },
		{ "awaited",
		  { C("NOOP\r\nBLAH\r\n"), GONE },
		  "NOOP\r\n",
		  "421 4.3.2 Mail service has gone\r\n",
		  CLOSED },
		{ "before 354",
		  { C("DATA\r\n"), GONE },
		  "DATA\r\n",
		  "421 4.3.2 Mail service has gone\r\n",
		  CLOSED },
		{ "in a message",
		  { C("DATA\r\n"), B("354 go\r\n"), C("x\r\n"), GONE },
		  "DATA\r\nx\r\n",
		  "354 go\r\n421 4.3.2 Mail service has gone\r\n",
		  CLOSED },
		{ "after a message",
		  { C("DATA\r\n"), B("354 go\r\n"), C("x\r\n.\r\n"), GONE },
		  "DATA\r\nx\r\n.\r\n",
		  "354 go\r\n421 4.3.2 Mail service has gone\r\n",
		  CLOSED },
		{ "before the answers that come before QUIT's",
		  { C("NOOP\r\nQUIT\r\n"), GONE },
		  "NOOP\r\nQUIT\r\n",
		  "421 4.3.2 Mail service has gone\r\n",
		  CLOSED },
	};

	RUN(plays);
}

static void ehlo_is_rewritten(void **state)
{
	static const struct play plays[] = {
		{ "only what we know and the backend offers",
		  { C("EHLO me\r\nNOOP\r\n"),
		    B("250-old.secret.example hello me\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n"
		      "250-AUTH PLAIN LOGIN\r\n250-AUTH=PLAIN\r\n250-STARTTLS\r\n250-XCLIENT "
		      "NAME\r\n"
		      "250-CHUNKING\r\n250-XFORWARD X\r\n250-SMTPUTF8\r\n250 8bitmime\r\n"),
		    B("250 ok\r\n") },
		  "EHLO me\r\nNOOP\r\n",
		  "250-front.example\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250 8BITMIME\r\n"
		  "250 ok\r\n",
		  OPEN },
		{ "nothing offered",
		  { C("EHLO me\r\n"), B("250 DSN\r\n") },
		  "EHLO me\r\n",
		  "250-front.example\r\n250 PIPELINING\r\n",
		  OPEN },
		{ "SIZE without a number, or with nonsense",
		  { C("EHLO me\r\n"), B("250-x\r\n250 SIZE\r\n"), C("EHLO me\r\n"),
		    B("250-x\r\n250 SIZE 1k\r\n") },
		  "EHLO me\r\nEHLO me\r\n",
		  "250-front.example\r\n250-PIPELINING\r\n250 SIZE\r\n"
		  "250-front.example\r\n250-PIPELINING\r\n250 SIZE\r\n",
		  OPEN },
		{ "the second EHLO forgets the first",
		  { C("EHLO me\r\n"), B("250-x\r\n250 DSN\r\n"), C("EHLO me\r\n"),
		    B("250-x\r\n250 8BITMIME\r\n") },
		  "EHLO me\r\nEHLO me\r\n",
		  "250-front.example\r\n250-PIPELINING\r\n250 DSN\r\n"
		  "250-front.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
		  OPEN },
		{ "refused",
		  { C("EHLO me\r\n"), B("550-no\r\n550 no\r\n"), C("NOOP\r\n") },
		  "EHLO me\r\nNOOP\r\n",
		  "550-no\r\n550 no\r\n",
		  OPEN },
	};

	RUN(plays);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_replies_are_a_backend_failure),
		cmocka_unit_test(a_421_passes_and_ends_the_session),
		cmocka_unit_test(a_backend_that_goes_is_421_in_every_state),
		cmocka_unit_test(ehlo_is_rewritten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
