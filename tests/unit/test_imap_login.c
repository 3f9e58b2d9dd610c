/* test_imap_login - logging in to IMAP backends: honest, old, and lying ones. */
#include "protocols/imap_login.h"
#include "tests/unit/login_play.h"

#define ALICE      SPAN("alice"), SPAN("secret")
#define COUNT(of)  (sizeof(of) / sizeof((of)[0]))
#define GREETING   "* OK [CAPABILITY IMAP4rev1 LITERAL+] ready\r\n"
#define LOGIN      "L1 LOGIN \"alice\" \"secret\"\r\n"
#define ASK        "C1 CAPABILITY\r\n"
#define ASK_AGAIN  "C2 CAPABILITY\r\n"
#define ENDS(with) .result = (with)

static const struct login_play accepted[] = {
	{ "list in the greeting and in the answer", ALICE,
	  .turns = { { GREETING, LOGIN }, { "L1 OK [CAPABILITY IMAP4rev1 IDLE] in\r\n", NULL } },
	  ENDS(LOGIN_ACCEPTED), .capabilities = "IMAP4rev1 IDLE" },
	{ "no list anywhere", ALICE,
	  .turns = { { "* OK ready\r\n", ASK },
		     { "* CAPABILITY IMAP4\r\nC1 OK\r\n", LOGIN },
		     { "L1 OK\r\n", ASK_AGAIN },
		     { "* CAPABILITY IMAP4 X\r\nC2 OK done\r\n", NULL } },
	  ENDS(LOGIN_ACCEPTED), .capabilities = "IMAP4 X" },
	{ "an untagged list before the answer", ALICE,
	  .turns = { { GREETING, LOGIN },
		     { "* OK hold on\r\n* CAPABILITY IMAP4rev1 UIDPLUS\r\nl1 ok in\r\n", NULL } },
	  ENDS(LOGIN_ACCEPTED), .capabilities = "IMAP4rev1 UIDPLUS" },
	{ "what speaks of login is not shown", ALICE,
	  .turns = { { GREETING, LOGIN },
		     { "L1 OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED AUTH=PLAIN auth=x "
		       "SASL-IR IDLE] in\r\n",
		       NULL } },
	  ENDS(LOGIN_ACCEPTED), .capabilities = "IMAP4rev1 IDLE" },
	{ "bytes behind the answer are the relay's", ALICE, .whole_only = true,
	  .turns = { { GREETING, LOGIN },
		     { "L1 OK [CAPABILITY IMAP4rev1] in\r\n* 3 EXISTS\r\n", NULL } },
	  ENDS(LOGIN_ACCEPTED), .left = "* 3 EXISTS\r\n" },
	{ "STARTTLS first, and the list anew", ALICE, .starttls = true,
	  .turns = { { "* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED UNAUTHENTICATE] "
		       "ready\r\n",
		       "S1 STARTTLS\r\n" },
		     { "S1 OK go\r\n", NULL },
		     { NULL, ASK },
		     { "* CAPABILITY IMAP4rev1\r\nC1 OK\r\n", LOGIN },
		     { "L1 OK [CAPABILITY A] in\r\n", NULL } },
	  ENDS(LOGIN_ACCEPTED), .capabilities = "A" },
	{ "LOGINDISABLED: AUTHENTICATE with an initial response", ALICE,
	  .turns = { { "* OK [CAPABILITY LOGINDISABLED AUTH=PLAIN SASL-IR] ready\r\n",
		       "L1 AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==\r\n" },
		     { "L1 OK [CAPABILITY A] in\r\n", NULL } },
	  ENDS(LOGIN_ACCEPTED) },
	{ "LOGINDISABLED: AUTHENTICATE by continuation", ALICE,
	  .turns = { { "* OK [CAPABILITY LOGINDISABLED AUTH=PLAIN] ready\r\n",
		       "L1 AUTHENTICATE PLAIN\r\n" },
		     { "+ \r\n", "AGFsaWNlAHNlY3JldA==\r\n" },
		     { "L1 OK [CAPABILITY A] in\r\n", NULL } },
	  ENDS(LOGIN_ACCEPTED) },
};

/* No credential can become a second command. */
static const struct login_play quoting[] = {
	{ "quotes and backslashes", SPAN("a\"b"), SPAN("c\\\"d"),
	  .turns = { { GREETING, "L1 LOGIN \"a\\\"b\" \"c\\\\\\\"d\"\r\n" },
		     { "L1 OK [CAPABILITY A] in\r\n", NULL } },
	  ENDS(LOGIN_ACCEPTED) },
	{ "what looks like a literal", SPAN("{5}"), SPAN("x {3+}"),
	  .turns = { { GREETING, "L1 LOGIN \"{5}\" \"x {3+}\"\r\n" },
		     { "L1 OK [CAPABILITY A] in\r\n", NULL } },
	  ENDS(LOGIN_ACCEPTED) },
	{ "line ends go as a literal", SPAN("alice"), SPAN("x\r\nL1 DELETE INBOX"),
	  .turns = { { GREETING, "L1 LOGIN \"alice\" {18+}\r\nx\r\nL1 DELETE INBOX\r\n" },
		     { "L1 OK [CAPABILITY A] in\r\n", NULL } },
	  ENDS(LOGIN_ACCEPTED) },
	{ "LITERAL- is enough for a short one", SPAN("j\xc3\xbc"), SPAN("p"),
	  .turns = { { "* OK [CAPABILITY LITERAL-] ready\r\n",
		       "L1 LOGIN {3+}\r\nj\xc3\xbc \"p\"\r\n" },
		     { "L1 OK [CAPABILITY A] in\r\n", NULL } },
	  ENDS(LOGIN_ACCEPTED) },
	{ "without LITERAL+ each literal waits", SPAN("j\xc3\xbc"), SPAN("\tp"),
	  .turns = { { "* OK [CAPABILITY IMAP4rev1] ready\r\n", "L1 LOGIN {3}\r\n" },
		     { "+ go\r\n", "j\xc3\xbc {2}\r\n" },
		     { "+\r\n", "\tp\r\n" },
		     { "L1 OK [CAPABILITY A] in\r\n", NULL } },
	  ENDS(LOGIN_ACCEPTED) },
	{ "NUL cannot be expressed", SPAN("alice"), SPAN("a\0b"), .turns = { { GREETING, NULL } },
	  ENDS(LOGIN_TEMPORARY) },
};

#define ANSWER(name, answer, with)                                                                 \
	{                                                                                          \
		name, ALICE, .turns = { { GREETING, LOGIN }, { answer, NULL } }, ENDS(with)        \
	}

static const struct login_play verdicts[] = {
	ANSWER("NO", "L1 NO wrong\r\n", LOGIN_REFUSED),
	ANSWER("NO alone", "L1 NO\r\n", LOGIN_REFUSED),
	ANSWER("AUTHENTICATIONFAILED", "L1 NO [AUTHENTICATIONFAILED] wrong\r\n", LOGIN_REFUSED),
	ANSWER("AUTHORIZATIONFAILED", "L1 NO [authorizationfailed] wrong\r\n", LOGIN_REFUSED),
	ANSWER("EXPIRED", "L1 NO [EXPIRED] wrong\r\n", LOGIN_REFUSED),
	ANSWER("UNAVAILABLE", "L1 NO [UNAVAILABLE] later\r\n", LOGIN_TEMPORARY),
	ANSWER("PRIVACYREQUIRED", "L1 NO [PRIVACYREQUIRED] tls\r\n", LOGIN_TEMPORARY),
	ANSWER("an unknown code", "L1 NO [XYZ 1] later\r\n", LOGIN_TEMPORARY),
	ANSWER("an open code", "L1 NO [AUTHENTICATIONFAILED wrong\r\n", LOGIN_TEMPORARY),
	ANSWER("BAD", "L1 BAD what\r\n", LOGIN_TEMPORARY),
	ANSWER("BYE", "* BYE going\r\n", LOGIN_TEMPORARY),
	ANSWER("BYE before NO", "* BYE going\r\nL1 NO wrong\r\n", LOGIN_TEMPORARY),
	ANSWER("PREAUTH", "* PREAUTH hello\r\n", LOGIN_TEMPORARY),
	ANSWER("another tag", "L2 OK in\r\n", LOGIN_TEMPORARY),
	ANSWER("an untagged NO is no verdict", "* NO wrong\r\nL1 BAD x\r\n", LOGIN_TEMPORARY),
	ANSWER("a continuation request", "+ go on\r\n", LOGIN_TEMPORARY),
	ANSWER("a literal", "* OK {3}\r\n", LOGIN_TEMPORARY),
	ANSWER("no reply at all", "hello\r\n", LOGIN_TEMPORARY),
	ANSWER("an empty line", "\r\n", LOGIN_TEMPORARY),
	ANSWER("a bare LF", "L1 OK in\n", LOGIN_TEMPORARY),
	ANSWER("UNAUTHENTICATE behind the login", "L1 OK [CAPABILITY A UNAUTHENTICATE] in\r\n",
	       LOGIN_TEMPORARY),
	ANSWER("UNAUTHENTICATE in an untagged list",
	       "* CAPABILITY A unauthenticate\r\nL1 OK in\r\n", LOGIN_TEMPORARY),
};

#define V4      .client = &login_play_v4
#define WITH_ID "* OK [CAPABILITY IMAP4rev1 ID LITERAL+] ready\r\n"
#define ID_V4                                                                                      \
	"I1 ID (\"x-session-id\" \"00a1\" \"x-originating-ip\" \"192.0.2.7\" "                     \
	"\"x-originating-port\" \"4711\" \"x-connected-ip\" \"198.51.100.1\" "                     \
	"\"x-connected-port\" \"993\" \"x-proxy-ttl\" \"4\")\r\n"
#define ID_V6                                                                                      \
	"I1 ID (\"x-session-id\" \"00a1\" \"x-originating-ip\" \"2001:db8::7\" "                   \
	"\"x-originating-port\" \"4711\" \"x-connected-ip\" \"2001:db8::1\" "                      \
	"\"x-connected-port\" \"993\" \"x-proxy-ttl\" \"4\")\r\n"
#define IN "L1 OK [CAPABILITY A] in\r\n"

static const struct login_play introduced[] = {
	{ "ID before LOGIN", ALICE, V4,
	  .turns = { { WITH_ID, ID_V4 },
		     { "* ID (\"name\" \"Store\")\r\nI1 OK done\r\n", LOGIN },
		     { IN, NULL } },
	  ENDS(LOGIN_ACCEPTED), .capabilities = "A" },
	{ "an IPv6 client", ALICE, .client = &login_play_v6,
	  .turns = { { WITH_ID, ID_V6 }, { "* ID NIL\r\nI1 OK done\r\n", LOGIN }, { IN, NULL } },
	  ENDS(LOGIN_ACCEPTED) },
	{ "a client without an address is not spoken of", ALICE, .client = &login_play_local,
	  .turns = { { WITH_ID, LOGIN }, { IN, NULL } }, ENDS(LOGIN_ACCEPTED) },
	{ "not listed", ALICE, V4,
	  .turns = { { "* OK [CAPABILITY IMAP4rev1 XID ID=1] ready\r\n", LOGIN }, { IN, NULL } },
	  ENDS(LOGIN_ACCEPTED) },
	{ "listed before TLS alone", ALICE, V4, .starttls = true,
	  .turns = { { "* OK [CAPABILITY IMAP4rev1 STARTTLS ID] ready\r\n", "S1 STARTTLS\r\n" },
		     { "S1 OK go\r\n", NULL },
		     { NULL, ASK },
		     { "* CAPABILITY IMAP4rev1\r\nC1 OK\r\n", LOGIN },
		     { IN, NULL } },
	  ENDS(LOGIN_ACCEPTED) },
	{ "inside TLS where TLS is required", ALICE, V4, .starttls = true,
	  .turns = { { "* OK [CAPABILITY IMAP4rev1 STARTTLS ID] ready\r\n", "S1 STARTTLS\r\n" },
		     { "S1 OK go\r\n", NULL },
		     { NULL, ASK },
		     { "* CAPABILITY IMAP4rev1 ID LITERAL+\r\nC1 OK\r\n", ID_V4 },
		     { "I1 OK\r\n", LOGIN },
		     { IN, NULL } },
	  ENDS(LOGIN_ACCEPTED) },
	{ "NO is no reason to fail", ALICE, V4,
	  .turns = { { WITH_ID, ID_V4 },
		     { "I1 NO [AUTHENTICATIONFAILED] x\r\n", LOGIN },
		     { IN, NULL } },
	  ENDS(LOGIN_ACCEPTED) },
	{ "nor is BAD", ALICE, V4,
	  .turns = { { WITH_ID, ID_V4 }, { "I1 BAD what\r\n", LOGIN }, { IN, NULL } },
	  ENDS(LOGIN_ACCEPTED) },
	{ "a list told with ID is not the one behind the login", ALICE, V4,
	  .turns = { { WITH_ID, ID_V4 },
		     { "* CAPABILITY B\r\nI1 OK [CAPABILITY C]\r\n", LOGIN },
		     { "L1 OK in\r\n", ASK_AGAIN },
		     { "* CAPABILITY A\r\nC2 OK done\r\n", NULL } },
	  ENDS(LOGIN_ACCEPTED), .capabilities = "A" },
	{ "another tag", ALICE, V4, .turns = { { WITH_ID, ID_V4 }, { "L1 OK in\r\n", NULL } },
	  ENDS(LOGIN_TEMPORARY) },
	{ "a continuation request", ALICE, V4, .turns = { { WITH_ID, ID_V4 }, { "+ \r\n", NULL } },
	  ENDS(LOGIN_TEMPORARY) },
	{ "BYE", ALICE, V4, .turns = { { WITH_ID, ID_V4 }, { "* BYE\r\n", NULL } },
	  ENDS(LOGIN_TEMPORARY) },
	{ "UNAUTHENTICATE: not even ID", ALICE, V4,
	  .turns = { { "* OK [CAPABILITY IMAP4rev1 ID UNAUTHENTICATE] ready\r\n", NULL } },
	  ENDS(LOGIN_TEMPORARY) },
};

#define MASTER       .mode = LOGIN_MODE_MASTER
#define MASTER_PLAIN "YWxpY2UAcm9vdABrZXk=\r\n" /* alice NUL root NUL key */
#define WITH_PLAIN   "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready\r\n"
#define BY_MASTER    "L1 AUTHENTICATE PLAIN " MASTER_PLAIN

static const struct login_play masters[] = {
	{ "AUTHENTICATE PLAIN for the user", SPAN("alice"), SPAN(""), MASTER,
	  .turns = { { WITH_PLAIN, BY_MASTER }, { IN, NULL } }, ENDS(LOGIN_ACCEPTED) },
	{ "by continuation", SPAN("alice"), SPAN(""), MASTER,
	  .turns = { { "* OK [CAPABILITY AUTH=PLAIN] ready\r\n", "L1 AUTHENTICATE PLAIN\r\n" },
		     { "+ \r\n", MASTER_PLAIN },
		     { IN, NULL } },
	  ENDS(LOGIN_ACCEPTED) },
	{ "ID first", SPAN("alice"), SPAN(""), MASTER, V4,
	  .turns = { { "* OK [CAPABILITY AUTH=PLAIN SASL-IR ID] ready\r\n", ID_V4 },
		     { "I1 OK\r\n", BY_MASTER },
		     { IN, NULL } },
	  ENDS(LOGIN_ACCEPTED) },
	{ "the user's password stays here", ALICE, MASTER,
	  .turns = { { WITH_PLAIN, BY_MASTER }, { "L1 NO\r\n", NULL } }, ENDS(LOGIN_DENIED) },
	{ "AUTHENTICATIONFAILED", ALICE, MASTER,
	  .turns = { { WITH_PLAIN, BY_MASTER }, { "L1 NO [AUTHENTICATIONFAILED] x\r\n", NULL } },
	  ENDS(LOGIN_DENIED) },
	{ "AUTHORIZATIONFAILED", ALICE, MASTER,
	  .turns = { { WITH_PLAIN, BY_MASTER }, { "L1 NO [AUTHORIZATIONFAILED] x\r\n", NULL } },
	  ENDS(LOGIN_DENIED) },
	{ "UNAVAILABLE", ALICE, MASTER,
	  .turns = { { WITH_PLAIN, BY_MASTER }, { "L1 NO [UNAVAILABLE] x\r\n", NULL } },
	  ENDS(LOGIN_TEMPORARY) },
	{ "no AUTH=PLAIN, and LOGIN cannot say it", ALICE, MASTER, .turns = { { GREETING, NULL } },
	  ENDS(LOGIN_TEMPORARY) },
	{ "a NUL in the name", SPAN("al\0ice"), SPAN(""), MASTER, .turns = { { WITH_PLAIN, NULL } },
	  ENDS(LOGIN_TEMPORARY) },
};

static void the_client_is_made_known_by_id_before_login(void **state)
{
	login_play_all(introduced, COUNT(introduced), &imap_login_script);
}

static void a_master_login_names_the_user_and_refusal_is_not_the_users(void **state)
{
	login_play_all(masters, COUNT(masters), &imap_login_script);
}

static const struct login_play lies[] = {
	{ "PREAUTH greeting", ALICE, .turns = { { "* PREAUTH welcome\r\n", NULL } },
	  ENDS(LOGIN_TEMPORARY) },
	{ "BYE greeting", ALICE, .turns = { { "* BYE full\r\n", NULL } }, ENDS(LOGIN_TEMPORARY) },
	{ "no greeting of IMAP", ALICE, .turns = { { "+OK POP3 ready\r\n", NULL } },
	  ENDS(LOGIN_TEMPORARY) },
	{ "a tagged greeting", ALICE, .turns = { { "L1 OK in\r\n", NULL } },
	  ENDS(LOGIN_TEMPORARY) },
	{ "STARTTLS not offered", ALICE, .starttls = true, .turns = { { GREETING, NULL } },
	  ENDS(LOGIN_TEMPORARY) },
	{ "STARTTLS refused", ALICE, .starttls = true,
	  .turns = { { "* OK [CAPABILITY STARTTLS] ready\r\n", "S1 STARTTLS\r\n" },
		     { "S1 NO not now\r\n", NULL } },
	  ENDS(LOGIN_TEMPORARY) },
	{ "bytes behind the STARTTLS reply", ALICE, .starttls = true, .whole_only = true,
	  .turns = { { "* OK [CAPABILITY STARTTLS] ready\r\n", "S1 STARTTLS\r\n" },
		     { "S1 OK go\r\n* CAPABILITY AUTH=PLAIN\r\n", NULL } },
	  ENDS(LOGIN_TEMPORARY) },
	{ "half a line behind the STARTTLS reply", ALICE, .starttls = true, .whole_only = true,
	  .turns = { { "* OK [CAPABILITY STARTTLS] ready\r\n", "S1 STARTTLS\r\n" },
		     { "S1 OK go\r\n*", NULL } },
	  ENDS(LOGIN_TEMPORARY) },
	{ "UNAUTHENTICATE before the login", ALICE,
	  .turns = { { "* OK [CAPABILITY IMAP4rev1 UNAUTHENTICATE] ready\r\n", NULL } },
	  ENDS(LOGIN_TEMPORARY) },
	{ "LOGINDISABLED and no PLAIN", ALICE,
	  .turns = { { "* OK [CAPABILITY LOGINDISABLED AUTH=CRAM-MD5] ready\r\n", NULL } },
	  ENDS(LOGIN_TEMPORARY) },
	{ "CAPABILITY refused", ALICE,
	  .turns = { { "* OK ready\r\n", ASK }, { "C1 BAD what\r\n", NULL } },
	  ENDS(LOGIN_TEMPORARY) },
	{ "CAPABILITY answered with nothing", ALICE,
	  .turns = { { "* OK ready\r\n", ASK }, { "C1 OK\r\n", NULL } }, ENDS(LOGIN_TEMPORARY) },
	{ "no list after STARTTLS: that from before is forgotten", ALICE, .starttls = true,
	  .turns = { { "* OK [CAPABILITY STARTTLS LITERAL+] ready\r\n", "S1 STARTTLS\r\n" },
		     { "S1 OK go\r\n", NULL },
		     { NULL, ASK },
		     { "C1 OK\r\n", NULL } },
	  ENDS(LOGIN_TEMPORARY) },
	{ "no list after login", ALICE,
	  .turns = { { GREETING, LOGIN }, { "L1 OK in\r\n", ASK_AGAIN }, { "C2 OK\r\n", NULL } },
	  ENDS(LOGIN_TEMPORARY) },
	{ "the answer comes before the question", ALICE, .whole_only = true,
	  .turns = { { GREETING "L1 OK [CAPABILITY A] in\r\n", LOGIN } }, ENDS(LOGIN_TEMPORARY) },
	{ "OK in place of the invitation of a literal", SPAN("j\xc3\xbc"), SPAN("p"),
	  .turns = { { "* OK [CAPABILITY A] ready\r\n", "L1 LOGIN {3}\r\n" },
		     { "L1 OK [CAPABILITY A] in\r\n", NULL } },
	  ENDS(LOGIN_TEMPORARY) },
	{ "NO in place of the invitation says nothing of the password", SPAN("j\xc3\xbc"),
	  SPAN("p"),
	  .turns = { { "* OK [CAPABILITY A] ready\r\n", "L1 LOGIN {3}\r\n" },
		     { "L1 NO\r\n", NULL } },
	  ENDS(LOGIN_TEMPORARY) },
	{ "OK to AUTHENTICATE before the response", ALICE,
	  .turns = { { "* OK [CAPABILITY LOGINDISABLED AUTH=PLAIN] ready\r\n",
		       "L1 AUTHENTICATE PLAIN\r\n" },
		     { "L1 OK [CAPABILITY A] in\r\n", NULL } },
	  ENDS(LOGIN_TEMPORARY) },
	{ "a second invitation to AUTHENTICATE", ALICE,
	  .turns = { { "* OK [CAPABILITY LOGINDISABLED AUTH=PLAIN] ready\r\n",
		       "L1 AUTHENTICATE PLAIN\r\n" },
		     { "+ \r\n", "AGFsaWNlAHNlY3JldA==\r\n" },
		     { "+ \r\n", NULL } },
	  ENDS(LOGIN_TEMPORARY) },
};

static void a_backend_that_accepts_lets_the_user_in(void **state)
{
	login_play_all(accepted, COUNT(accepted), &imap_login_script);
}

static void a_credential_is_one_argument_each_whatever_it_holds(void **state)
{
	login_play_all(quoting, COUNT(quoting), &imap_login_script);
}

static void the_answer_to_the_credential_is_judged_by_its_code(void **state)
{
	login_play_all(verdicts, COUNT(verdicts), &imap_login_script);
}

static void a_lying_or_lacking_backend_is_a_temporary_failure(void **state)
{
	login_play_all(lies, COUNT(lies), &imap_login_script);
}

/* Feeds text to a fresh login behind its LOGIN command; the result. */
static enum login_result answer(struct login *login, const char *text, size_t len)
{
	static const struct login_settings settings = { "mail.example.test", false,
							.mode = LOGIN_MODE_PASSWORD };
	static const struct login_client nobody;
	struct credential *credential = credential_new(ALICE);
	char storage[OUTPUT_MAX];
	struct output output;
	size_t used;

	output_init(&output, storage, sizeof(storage));
	login_init(login, &imap_login_script, &settings, credential, &nobody);
	assert_int_equal(login_input(login, GREETING, strlen(GREETING), &used, &output),
			 LOGIN_MORE);
	enum login_result result = login_input(login, text, len, &used, &output);

	credential_free(credential);
	return result;
}

static void a_line_over_the_bound_is_a_failure(void **state)
{
	static char text[LOGIN_LINE_MAX + 1];
	struct login login;

	memset(text, 'x', sizeof(text));
	memcpy(text, "L1 OK [CAPABILITY A] ", 21);
	memcpy(text + LOGIN_LINE_MAX - 2, "\r\n", 2);
	assert_int_equal(answer(&login, text, LOGIN_LINE_MAX), LOGIN_ACCEPTED);
	memset(text + LOGIN_LINE_MAX - 2, 'x', 3);
	assert_int_equal(answer(&login, text, LOGIN_LINE_MAX), LOGIN_TEMPORARY);
	assert_int_equal(answer(&login, text, LOGIN_LINE_MAX - 1), LOGIN_MORE);
}

static void a_backend_that_never_comes_to_the_point_is_a_failure(void **state)
{
	static char text[2000 * 7 + 1];
	struct login login;

	for (int i = 0; i < 2000; i++)
		memcpy(text + i * 7, "* OK \r\n", 7);
	assert_int_equal(answer(&login, text, 900 * 7), LOGIN_MORE);
	assert_int_equal(answer(&login, text, 2000 * 7), LOGIN_TEMPORARY);
}

static void capabilities_over_the_room_are_left_out_whole(void **state)
{
	static char text[4096] = "L1 OK [CAPABILITY";
	struct login login;

	for (int i = 0; i < 300; i++)
		strcat(text, " ABCDEFG");
	strcat(text, "] in\r\n");
	assert_int_equal(answer(&login, text, strlen(text)), LOGIN_ACCEPTED);
	assert_true(strlen(login.capabilities) < sizeof(login.capabilities));
	assert_int_equal((strlen(login.capabilities) + 1) % 8, 0);
}

/* The longest credential, in every spelling, fits our output. */
static void the_longest_credential_fits(void **state)
{
	static const char *const greetings[] = {
		GREETING,
		"* OK [CAPABILITY A] ready\r\n",
		"* OK [CAPABILITY LITERAL-] ready\r\n",
		"* OK [CAPABILITY LOGINDISABLED AUTH=PLAIN SASL-IR] ready\r\n",
	};
	static const struct login_settings settings = { "mail.example.test", false,
							.mode = LOGIN_MODE_PASSWORD };
	static const struct login_client nobody;
	static char user[CREDENTIAL_USER_MAX], password[CREDENTIAL_PASSWORD_MAX];
	static const char fill[] = { '"', 'x', '\n' };

	for (size_t i = 0; i < COUNT(greetings) * sizeof(fill); i++) {
		char storage[OUTPUT_MAX];
		struct output output;
		struct login login;
		size_t used;

		memset(user, fill[i % sizeof(fill)], sizeof(user));
		memset(password, fill[i % sizeof(fill)], sizeof(password));
		struct credential *credential =
			credential_new((struct span) { user, sizeof(user) },
				       (struct span) { password, sizeof(password) });
		const char *greeting = greetings[i / sizeof(fill)];

		output_init(&output, storage, sizeof(storage));
		login_init(&login, &imap_login_script, &settings, credential, &nobody);
		assert_int_equal(login_input(&login, greeting, strlen(greeting), &used, &output),
				 LOGIN_MORE);
		assert_false(output.overflow);
		credential_free(credential);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_client_is_made_known_by_id_before_login),
		cmocka_unit_test(a_master_login_names_the_user_and_refusal_is_not_the_users),
		cmocka_unit_test(a_backend_that_accepts_lets_the_user_in),
		cmocka_unit_test(a_credential_is_one_argument_each_whatever_it_holds),
		cmocka_unit_test(the_answer_to_the_credential_is_judged_by_its_code),
		cmocka_unit_test(a_lying_or_lacking_backend_is_a_temporary_failure),
		cmocka_unit_test(a_line_over_the_bound_is_a_failure),
		cmocka_unit_test(a_backend_that_never_comes_to_the_point_is_a_failure),
		cmocka_unit_test(capabilities_over_the_room_are_left_out_whole),
		cmocka_unit_test(the_longest_credential_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
