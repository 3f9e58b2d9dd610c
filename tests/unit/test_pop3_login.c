/* test_pop3_login - logging in to POP3 backends: honest, old, and lying ones. */
#include "protocols/pop3_login.h"
#include "tests/unit/login_play.h"

#define ALICE      SPAN("alice"), SPAN("secret")
#define COUNT(of)  (sizeof(of) / sizeof((of)[0]))
#define ENDS(with) .result = (with)
#define GREETING                                                                                   \
	{                                                                                          \
		"+OK ready\r\n", "USER alice\r\n"                                                  \
	}
#define PLAIN_LIST "+OK\r\nUSER\r\nSASL CRAM-MD5 PLAIN\r\n.\r\n"

static const char long_name[] =
	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567"
	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567"
	"0123456789012345678901234567890123456789012345678901234567890123456789012";

static const struct login_play accepted[] = {
	{ "USER and PASS", ALICE,
	  .turns = { GREETING, { "+OK\r\n", "PASS secret\r\n" }, { "+OK in\r\n", NULL } },
	  ENDS(LOGIN_ACCEPTED) },
	{ "a password with blanks and octets of all kinds", SPAN("alice"), SPAN(" a\xff\tb "),
	  .turns = { GREETING, { "+OK\r\n", "PASS  a\xff\tb \r\n" }, { "+OK\r\n", NULL } },
	  ENDS(LOGIN_ACCEPTED) },
	{ "bytes behind the answer are the relay's", ALICE, .whole_only = true,
	  .turns = { GREETING, { "+OK\r\n", "PASS secret\r\n" }, { "+OK\r\n+OK 0\r\n", NULL } },
	  ENDS(LOGIN_ACCEPTED), .left = "+OK 0\r\n" },
	{ "STLS first", ALICE, .starttls = true,
	  .turns = { { "+OK ready\r\n", "STLS\r\n" },
		     { "+OK go\r\n", NULL },
		     { NULL, "USER alice\r\n" },
		     { "+OK\r\n", "PASS secret\r\n" },
		     { "+OK\r\n", NULL } },
	  ENDS(LOGIN_ACCEPTED) },
	{ "a name with a blank goes by AUTH", SPAN("a b"), SPAN("c"),
	  .turns = { { "+OK ready\r\n", "CAPA\r\n" },
		     { PLAIN_LIST, "AUTH PLAIN\r\n" },
		     { "+ \r\n", "AGEgYgBj\r\n" },
		     { "+OK\r\n", NULL } },
	  ENDS(LOGIN_ACCEPTED) },
	{ "a line end in a password goes by AUTH", SPAN("a"), SPAN("x\r\nDELE 1"),
	  .turns = { { "+OK ready\r\n", "CAPA\r\n" },
		     { PLAIN_LIST, "AUTH PLAIN\r\n" },
		     { "+\r\n", "AGEAeA0KREVMRSAx\r\n" },
		     { "+OK\r\n", NULL } },
	  ENDS(LOGIN_ACCEPTED) },
};

#define TO_PASS(name, answer, with, kept)                                                          \
	{                                                                                          \
		name, ALICE,                                                                       \
			.turns = { GREETING, { "+OK\r\n", "PASS secret\r\n" }, { answer, NULL } }, \
			ENDS(with), .code = kept                                                   \
	}
#define TO_USER(name, answer, with, kept)                                                          \
	{                                                                                          \
		name, ALICE, .turns = { GREETING, { answer, NULL } }, ENDS(with), .code = kept     \
	}

static const struct login_play verdicts[] = {
	TO_PASS("-ERR", "-ERR wrong\r\n", LOGIN_REFUSED, NULL),
	TO_PASS("-ERR alone", "-ERR\r\n", LOGIN_REFUSED, NULL),
	TO_PASS("AUTH", "-ERR [AUTH] wrong\r\n", LOGIN_REFUSED, NULL),
	TO_PASS("IN-USE", "-ERR [IN-USE] busy\r\n", LOGIN_TEMPORARY, "IN-USE"),
	TO_PASS("LOGIN-DELAY", "-ERR [login-delay] slowly\r\n", LOGIN_TEMPORARY, "LOGIN-DELAY"),
	TO_PASS("SYS/TEMP", "-ERR [SYS/TEMP] later\r\n", LOGIN_TEMPORARY, "SYS/TEMP"),
	TO_PASS("SYS/PERM", "-ERR [SYS/PERM] never\r\n", LOGIN_TEMPORARY, "SYS/PERM"),
	TO_PASS("an unknown code is not passed on", "-ERR [XYZ] x\r\n", LOGIN_TEMPORARY, NULL),
	TO_PASS("a bracket in the text is no code", "-ERR wrong [IN-USE]\r\n", LOGIN_REFUSED, NULL),
	TO_PASS("+", "+ go on\r\n", LOGIN_TEMPORARY, NULL),
	TO_PASS("no reply", "OK\r\n", LOGIN_TEMPORARY, NULL),
	TO_PASS("+OKAY", "+OKAY\r\n", LOGIN_TEMPORARY, NULL),
	TO_PASS("a bare LF", "+OK\n", LOGIN_TEMPORARY, NULL),
	TO_USER("-ERR to USER", "-ERR who?\r\n", LOGIN_REFUSED, NULL),
	TO_USER("AUTH to USER", "-ERR [AUTH] who?\r\n", LOGIN_REFUSED, NULL),
	TO_USER("IN-USE to USER", "-ERR [IN-USE] busy\r\n", LOGIN_TEMPORARY, "IN-USE"),
};

static const struct login_play lies[] = {
	{ "-ERR greeting", ALICE, .turns = { { "-ERR [SYS/TEMP] full\r\n", NULL } },
	  ENDS(LOGIN_TEMPORARY), .code = "SYS/TEMP" },
	{ "a greeting of IMAP", ALICE, .turns = { { "* OK ready\r\n", NULL } },
	  ENDS(LOGIN_TEMPORARY) },
	{ "STLS refused", ALICE, .starttls = true,
	  .turns = { { "+OK ready\r\n", "STLS\r\n" }, { "-ERR no\r\n", NULL } },
	  ENDS(LOGIN_TEMPORARY) },
	{ "bytes behind the STLS reply", ALICE, .starttls = true, .whole_only = true,
	  .turns = { { "+OK ready\r\n", "STLS\r\n" }, { "+OK go\r\n+OK\r\n", NULL } },
	  ENDS(LOGIN_TEMPORARY) },
	{ "half a line behind the STLS reply", ALICE, .starttls = true, .whole_only = true,
	  .turns = { { "+OK ready\r\n", "STLS\r\n" }, { "+OK go\r\n+", NULL } },
	  ENDS(LOGIN_TEMPORARY) },
	{ "the answers come before the questions", ALICE, .whole_only = true,
	  .turns = { { "+OK ready\r\n+OK\r\n+OK\r\n", "USER alice\r\n" } }, ENDS(LOGIN_TEMPORARY) },
	{ "+OK to AUTH without a response", SPAN("a b"), SPAN("c"),
	  .turns = { { "+OK ready\r\n", "CAPA\r\n" },
		     { PLAIN_LIST, "AUTH PLAIN\r\n" },
		     { "+OK\r\n", NULL } },
	  ENDS(LOGIN_TEMPORARY) },
	{ "-ERR to AUTH says nothing of the password", SPAN("a b"), SPAN("c"),
	  .turns = { { "+OK ready\r\n", "CAPA\r\n" },
		     { PLAIN_LIST, "AUTH PLAIN\r\n" },
		     { "-ERR\r\n", NULL } },
	  ENDS(LOGIN_TEMPORARY) },
	{ "no CAPA", SPAN("a b"), SPAN("c"),
	  .turns = { { "+OK ready\r\n", "CAPA\r\n" }, { "-ERR\r\n", NULL } },
	  ENDS(LOGIN_TEMPORARY) },
	{ "no SASL PLAIN", SPAN("a b"), SPAN("c"),
	  .turns = { { "+OK ready\r\n", "CAPA\r\n" },
		     { "+OK\r\nTOP\r\nSASL PLAINER\r\n.\r\n", NULL } },
	  ENDS(LOGIN_TEMPORARY) },
	{ "a name too long for a line", SPAN(long_name), SPAN("c"),
	  .turns = { { "+OK ready\r\n", "CAPA\r\n" }, { "-ERR\r\n", NULL } },
	  ENDS(LOGIN_TEMPORARY) },
	{ "NUL cannot be expressed", SPAN("a"), SPAN("a\0b"),
	  .turns = { { "+OK ready\r\n", NULL } }, ENDS(LOGIN_TEMPORARY) },
};

#define INVITES    "+OK [XCLIENT] ready\r\n"
#define XCLIENT_V4 "XCLIENT ADDR=192.0.2.7 PORT=4711 SESSION=00a1 TTL=4\r\n"
#define V4         .client = &login_play_v4

static const struct login_play introduced[] = {
	{ "XCLIENT before USER", ALICE, V4,
	  .turns = { { INVITES, XCLIENT_V4 },
		     { "+OK Updated\r\n", "USER alice\r\n" },
		     { "+OK\r\n", "PASS secret\r\n" },
		     { "+OK\r\n", NULL } },
	  ENDS(LOGIN_ACCEPTED) },
	{ "an IPv6 address as it is", ALICE, .client = &login_play_v6,
	  .turns = { { INVITES, "XCLIENT ADDR=2001:db8::7 PORT=4711 SESSION=00a1 TTL=4\r\n" },
		     { "+OK\r\n", "USER alice\r\n" },
		     { "-ERR\r\n", NULL } },
	  ENDS(LOGIN_REFUSED) },
	{ "a client without an address is not spoken of", ALICE, .client = &login_play_local,
	  .turns = { { INVITES, "USER alice\r\n" }, { "-ERR\r\n", NULL } }, ENDS(LOGIN_REFUSED) },
	{ "not invited", ALICE, V4,
	  .turns = { { "+OK XCLIENT [XCLIENT] ready\r\n", "USER alice\r\n" },
		     { "-ERR\r\n", NULL } },
	  ENDS(LOGIN_REFUSED) },
	{ "an invitation behind the greeting is none", ALICE, V4,
	  .turns = { { "+OK ready\r\n", "USER alice\r\n" },
		     { "+OK [XCLIENT]\r\n", "PASS secret\r\n" },
		     { "+OK [XCLIENT]\r\n", NULL } },
	  ENDS(LOGIN_ACCEPTED) },
	{ "inside TLS where TLS is required", ALICE, V4, .starttls = true,
	  .turns = { { INVITES, "STLS\r\n" },
		     { "+OK\r\n", NULL },
		     { NULL, XCLIENT_V4 },
		     { "+OK\r\n", "USER alice\r\n" },
		     { "+OK\r\n", "PASS secret\r\n" },
		     { "+OK\r\n", NULL } },
	  ENDS(LOGIN_ACCEPTED) },
	{ "refused", ALICE, V4,
	  .turns = { { INVITES, XCLIENT_V4 }, { "-ERR [AUTH] no\r\n", NULL } },
	  ENDS(LOGIN_TEMPORARY) },
	{ "a continuation request", ALICE, V4,
	  .turns = { { INVITES, XCLIENT_V4 }, { "+ \r\n", NULL } }, ENDS(LOGIN_TEMPORARY) },
	{ "an answer before the question", ALICE, V4, .whole_only = true,
	  .turns = { { "+OK [XCLIENT]\r\n+OK\r\n", XCLIENT_V4 } }, ENDS(LOGIN_TEMPORARY) },
};

#define MASTER       .mode = LOGIN_MODE_MASTER
#define MASTER_PLAIN "YWxpY2UAcm9vdABrZXk=\r\n" /* alice NUL root NUL key */

static const struct login_play masters[] = {
	{ "AUTH PLAIN for the user", SPAN("alice"), SPAN(""), MASTER, V4,
	  .turns = { { INVITES, XCLIENT_V4 },
		     { "+OK\r\n", "CAPA\r\n" },
		     { PLAIN_LIST, "AUTH PLAIN\r\n" },
		     { "+ \r\n", MASTER_PLAIN },
		     { "+OK\r\n", NULL } },
	  ENDS(LOGIN_ACCEPTED) },
	{ "the user's password stays here", ALICE, MASTER,
	  .turns = { { "+OK\r\n", "CAPA\r\n" },
		     { PLAIN_LIST, "AUTH PLAIN\r\n" },
		     { "+ \r\n", MASTER_PLAIN },
		     { "-ERR [AUTH] no\r\n", NULL } },
	  ENDS(LOGIN_DENIED) },
	{ "-ERR without a code", ALICE, MASTER,
	  .turns = { { "+OK\r\n", "CAPA\r\n" },
		     { PLAIN_LIST, "AUTH PLAIN\r\n" },
		     { "+ \r\n", MASTER_PLAIN },
		     { "-ERR no\r\n", NULL } },
	  ENDS(LOGIN_DENIED) },
	{ "the user's mailbox is in use", ALICE, MASTER,
	  .turns = { { "+OK\r\n", "CAPA\r\n" },
		     { PLAIN_LIST, "AUTH PLAIN\r\n" },
		     { "+ \r\n", MASTER_PLAIN },
		     { "-ERR [IN-USE] no\r\n", NULL } },
	  ENDS(LOGIN_TEMPORARY), .code = "IN-USE" },
	{ "no SASL PLAIN", ALICE, MASTER,
	  .turns = { { "+OK\r\n", "CAPA\r\n" }, { "+OK\r\nUSER\r\n.\r\n", NULL } },
	  ENDS(LOGIN_TEMPORARY) },
	{ "a NUL in the name", SPAN("al\0ice"), SPAN(""), MASTER, .turns = { { "+OK\r\n", NULL } },
	  ENDS(LOGIN_TEMPORARY) },
	{ "no password to log in with", SPAN("alice"), SPAN(""), .whole_only = true,
	  .turns = { { "+OK ready\r\n", NULL } }, ENDS(LOGIN_TEMPORARY) },
};

static void the_client_is_made_known_where_the_greeting_invites_it(void **state)
{
	login_play_all(introduced, COUNT(introduced), &pop3_login_script);
}

static void a_master_login_names_the_user_and_refusal_is_not_the_users(void **state)
{
	login_play_all(masters, COUNT(masters), &pop3_login_script);
}

static void a_backend_that_accepts_lets_the_user_in(void **state)
{
	login_play_all(accepted, COUNT(accepted), &pop3_login_script);
}

static void the_answer_is_judged_by_its_code(void **state)
{
	login_play_all(verdicts, COUNT(verdicts), &pop3_login_script);
}

static void a_lying_or_lacking_backend_is_a_temporary_failure(void **state)
{
	login_play_all(lies, COUNT(lies), &pop3_login_script);
}

/* A failure in login_tls_started() shows at the next call, which the caller makes with no bytes. */
static void what_cannot_be_expressed_after_stls_fails_at_once(void **state)
{
	static const struct login_settings settings = { "mail.example.test", true,
							.mode = LOGIN_MODE_PASSWORD };
	static const struct login_client nobody;
	struct credential *credential = credential_new(SPAN("a"), SPAN("b\0c"));
	char storage[OUTPUT_MAX];
	struct output output;
	struct login login;
	size_t used;

	login_init(&login, &pop3_login_script, &settings, credential, &nobody);
	output_init(&output, storage, sizeof(storage));
	assert_int_equal(login_input(&login, "+OK\r\n", 5, &used, &output), LOGIN_MORE);
	output_init(&output, storage, sizeof(storage));
	assert_int_equal(login_input(&login, "+OK\r\n", 5, &used, &output), LOGIN_START_TLS);
	login_tls_started(&login, &output);
	assert_int_equal(output.len, 0);
	assert_int_equal(login_input(&login, "", 0, &used, &output), LOGIN_TEMPORARY);
	credential_free(credential);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_backend_that_accepts_lets_the_user_in),
		cmocka_unit_test(the_answer_is_judged_by_its_code),
		cmocka_unit_test(a_lying_or_lacking_backend_is_a_temporary_failure),
		cmocka_unit_test(the_client_is_made_known_where_the_greeting_invites_it),
		cmocka_unit_test(a_master_login_names_the_user_and_refusal_is_not_the_users),
		cmocka_unit_test(what_cannot_be_expressed_after_stls_fails_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
