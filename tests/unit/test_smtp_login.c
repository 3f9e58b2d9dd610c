/* test_smtp_login - logging in to submission backends, good, old and lying.
 * A play is a list of what the backend says and what we must answer; the last line names the result. Each is played
 * whole, byte by byte and before an unreadable page.
 */
#include "protocols/smtp_login.h"
#include "tests/support/guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define STEPS_MAX 9

struct step {
	const char *backend; /* NULL: the handshake after LOGIN_START_TLS */
	const char *answer;  /* what we send; "" for nothing */
};

#define OFFER_NONE                                                                                 \
	{                                                                                          \
		"250-old\r\n250 AUTH PLAIN\r\n", ""                                                \
	}

struct play {
	const char *name;
	bool starttls;
	struct step steps[STEPS_MAX];
	enum login_result result;
};

#define GREETING                                                                                   \
	{                                                                                          \
		"220 old ESMTP\r\n", "EHLO front.example\r\n"                                      \
	}
#define PLAIN_LINE "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n"
#define OFFER_PLAIN                                                                                \
	{                                                                                          \
		"250-old\r\n250-SIZE 1000\r\n250 AUTH LOGIN PLAIN\r\n", PLAIN_LINE                 \
	}
#define OFFER_LOGIN                                                                                \
	{                                                                                          \
		"250-old\r\n250 AUTH LOGIN\r\n", "AUTH LOGIN\r\n"                                  \
	}
#define ASK_USER                                                                                   \
	{                                                                                          \
		"334 VXNlcm5hbWU6\r\n", "YWxpY2U=\r\n"                                             \
	}
#define ASK_PASSWORD                                                                               \
	{                                                                                          \
		"334 UGFzc3dvcmQ6\r\n", "c2VjcmV0\r\n"                                             \
	}
#define OFFER_TLS                                                                                  \
	{                                                                                          \
		"250-old\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n", "STARTTLS\r\n"                    \
	}

static const struct play plays[] = {
	/* Good. */
	{ "plain", false, { GREETING, OFFER_PLAIN, { "235 2.7.0 ok\r\n", "" } }, LOGIN_ACCEPTED },
	{ "login",
	  false,
	  { GREETING, OFFER_LOGIN, ASK_USER, ASK_PASSWORD, { "235 ok\r\n", "" } },
	  LOGIN_ACCEPTED },
	{ "greeting of many lines",
	  false,
	  { { "220-hello\r\n220-there\r\n220 old\r\n", "EHLO front.example\r\n" },
	    OFFER_PLAIN,
	    { "235-a\r\n235 b\r\n", "" } },
	  LOGIN_ACCEPTED },
	{ "the old form AUTH=",
	  false,
	  { GREETING, { "250-old\r\n250 AUTH=PLAIN LOGIN\r\n", PLAIN_LINE }, { "235 ok\r\n", "" } },
	  LOGIN_ACCEPTED },
	{ "lower case",
	  false,
	  { GREETING, { "250-old\r\n250 auth plain\r\n", PLAIN_LINE }, { "235 ok\r\n", "" } },
	  LOGIN_ACCEPTED },
	{ "starttls",
	  true,
	  { GREETING,
	    OFFER_TLS,
	    { "220 go\r\n", "" },
	    { NULL, "EHLO front.example\r\n" },
	    OFFER_PLAIN,
	    { "235 ok\r\n", "" } },
	  LOGIN_ACCEPTED },
	/* Refused: 535 once the user was named. */
	{ "535 in Latin-1",
	  false,
	  { GREETING, OFFER_PLAIN, { "535 Falsches Pa\xdfwort\r\n", "" } },
	  LOGIN_REFUSED },
	{ "535 to plain", false, { GREETING, OFFER_PLAIN, { "535 no\r\n", "" } }, LOGIN_REFUSED },
	{ "535 to the password",
	  false,
	  { GREETING, OFFER_LOGIN, ASK_USER, ASK_PASSWORD, { "535 no\r\n", "" } },
	  LOGIN_REFUSED },
	{ "535 to the user",
	  false,
	  { GREETING, OFFER_LOGIN, ASK_USER, { "535 no\r\n", "" } },
	  LOGIN_REFUSED },
	/* Temporary. */
	{ "554 greeting", false, { { "554 no\r\n", "" } }, LOGIN_TEMPORARY },
	{ "421 greeting", false, { { "421 busy\r\n", "" } }, LOGIN_TEMPORARY },
	{ "235 greeting", false, { { "235 in\r\n", "" } }, LOGIN_TEMPORARY },
	{ "250 greeting", false, { { "250 in\r\n", "" } }, LOGIN_TEMPORARY },
	{ "an IMAP greeting", false, { { "* PREAUTH hi\r\n", "" } }, LOGIN_TEMPORARY },
	{ "502 to EHLO", false, { GREETING, { "502 what\r\n", "" } }, LOGIN_TEMPORARY },
	{ "421 to EHLO", false, { GREETING, { "421 bye\r\n", "" } }, LOGIN_TEMPORARY },
	{ "235 to EHLO", false, { GREETING, { "235 in\r\n", "" } }, LOGIN_TEMPORARY },
	{ "535 to EHLO", false, { GREETING, { "535 no\r\n", "" } }, LOGIN_TEMPORARY },
	{ "no AUTH", false, { GREETING, { "250-old\r\n250 SIZE\r\n", "" } }, LOGIN_TEMPORARY },
	{ "no usable AUTH",
	  false,
	  { GREETING, { "250-old\r\n250 AUTH CRAM-MD5\r\n", "" } },
	  LOGIN_TEMPORARY },
	{ "AUTH in the first line is a host name",
	  false,
	  { GREETING, { "250 AUTH PLAIN\r\n", "" } },
	  LOGIN_TEMPORARY },
	{ "235 to AUTH LOGIN",
	  false,
	  { GREETING, OFFER_LOGIN, { "235 in\r\n", "" } },
	  LOGIN_TEMPORARY },
	{ "235 to the user",
	  false,
	  { GREETING, OFFER_LOGIN, ASK_USER, { "235 in\r\n", "" } },
	  LOGIN_TEMPORARY },
	{ "535 to AUTH LOGIN",
	  false,
	  { GREETING, OFFER_LOGIN, { "535 no\r\n", "" } },
	  LOGIN_TEMPORARY },
	{ "334 after all was said",
	  false,
	  { GREETING, OFFER_PLAIN, { "334 \r\n", "" } },
	  LOGIN_TEMPORARY },
	{ "250 to AUTH", false, { GREETING, OFFER_PLAIN, { "250 ok\r\n", "" } }, LOGIN_TEMPORARY },
	{ "454 to AUTH", false, { GREETING, OFFER_PLAIN, { "454 db\r\n", "" } }, LOGIN_TEMPORARY },
	{ "421 to AUTH", false, { GREETING, OFFER_PLAIN, { "421 db\r\n", "" } }, LOGIN_TEMPORARY },
	{ "504 to AUTH", false, { GREETING, OFFER_PLAIN, { "504 no\r\n", "" } }, LOGIN_TEMPORARY },
	{ "530 to AUTH", false, { GREETING, OFFER_PLAIN, { "530 no\r\n", "" } }, LOGIN_TEMPORARY },
	{ "534 to AUTH", false, { GREETING, OFFER_PLAIN, { "534 no\r\n", "" } }, LOGIN_TEMPORARY },
	{ "538 to AUTH", false, { GREETING, OFFER_PLAIN, { "538 no\r\n", "" } }, LOGIN_TEMPORARY },
	{ "501 to AUTH", false, { GREETING, OFFER_PLAIN, { "501 no\r\n", "" } }, LOGIN_TEMPORARY },
	{ "mixed codes",
	  false,
	  { GREETING, OFFER_PLAIN, { "535-no\r\n235 yes\r\n", "" } },
	  LOGIN_TEMPORARY },
	{ "no reply at all",
	  false,
	  { GREETING, OFFER_PLAIN, { "hello\r\n", "" } },
	  LOGIN_TEMPORARY },
	/* STARTTLS is required: nothing of the user leaves before it. */
	{ "STARTTLS not offered",
	  true,
	  { GREETING, { "250-old\r\n250 AUTH PLAIN\r\n", "" } },
	  LOGIN_TEMPORARY },
	{ "STARTTLS refused",
	  true,
	  { GREETING, OFFER_TLS, { "454 no\r\n", "" } },
	  LOGIN_TEMPORARY },
	{ "STARTTLS 250", true, { GREETING, OFFER_TLS, { "250 ok\r\n", "" } }, LOGIN_TEMPORARY },
	{ "STARTTLS withdraws AUTH",
	  true,
	  { GREETING,
	    OFFER_TLS,
	    { "220 go\r\n", "" },
	    { NULL, "EHLO front.example\r\n" },
	    { "250 old\r\n", "" } },
	  LOGIN_TEMPORARY },
};

struct introduction {
	const char *name;
	bool starttls, unknown; /* unknown: nothing is known of the client */
	enum login_mode mode;
	struct step steps[STEPS_MAX];
	enum login_result result;
};

#define OFFER_XCLIENT                                                                              \
	"250-old\r\n250-XCLIENT NAME ADDR PROTO HELO PORT LOGIN DESTADDR\r\n250 AUTH PLAIN\r\n"
#define TELL                                                                                       \
	"XCLIENT PROTO=ESMTP HELO=laptop.example DESTADDR=IPV6:2001:db8::1 "                       \
	"NAME=[UNAVAILABLE] PORT=4711 ADDR=IPV6:2001:db8::7\r\n"
#define TELL_LOGIN                                                                                 \
	"XCLIENT PROTO=ESMTP HELO=laptop.example DESTADDR=IPV6:2001:db8::1 "                       \
	"NAME=[UNAVAILABLE] PORT=4711 LOGIN=alice ADDR=IPV6:2001:db8::7\r\n"
#define EHLO_CLIENT "EHLO laptop.example\r\n"
#define MASTER_LINE "AUTH PLAIN YWxpY2UAcm9vdABrZXk=\r\n" /* alice NUL root NUL key */
#define MASTER      LOGIN_MODE_MASTER
#define XCLIENT     LOGIN_MODE_XCLIENT
#define PASSWORD    LOGIN_MODE_PASSWORD

static const struct login_client laptop = {
	{ "2001:db8::7", 4711 }, { "2001:db8::1", 587 }, "laptop.example", "00a1"
};

static const struct introduction introductions[] = {
	{ "XCLIENT, EHLO in the client's name, AUTH",
	  false,
	  false,
	  PASSWORD,
	  { GREETING,
	    { OFFER_XCLIENT, TELL },
	    { "220 old ESMTP\r\n", EHLO_CLIENT },
	    OFFER_PLAIN,
	    { "235 ok\r\n", "" } },
	  LOGIN_ACCEPTED },
	{ "offered again, it is not sent again",
	  false,
	  false,
	  PASSWORD,
	  { GREETING,
	    { OFFER_XCLIENT, TELL },
	    { "220 old\r\n", EHLO_CLIENT },
	    { OFFER_XCLIENT, PLAIN_LINE },
	    { "535 no\r\n", "" } },
	  LOGIN_REFUSED },
	{ "what was offered before is forgotten",
	  false,
	  false,
	  PASSWORD,
	  { GREETING,
	    { OFFER_XCLIENT, TELL },
	    { "220 old\r\n", EHLO_CLIENT },
	    { "250 old\r\n", "" } },
	  LOGIN_TEMPORARY },
	{ "not offered: our own name",
	  false,
	  false,
	  PASSWORD,
	  { GREETING, OFFER_PLAIN, { "235 ok\r\n", "" } },
	  LOGIN_ACCEPTED },
	{ "without an attribute that we know",
	  false,
	  false,
	  PASSWORD,
	  { GREETING,
	    { "250-old\r\n250-XCLIENT SHOESIZE\r\n250 AUTH PLAIN\r\n", PLAIN_LINE },
	    { "235 ok\r\n", "" } },
	  LOGIN_ACCEPTED },
	{ "nothing known of the client",
	  false,
	  true,
	  PASSWORD,
	  { GREETING,
	    { "250-old\r\n250-XCLIENT ADDR HELO\r\n250 AUTH PLAIN\r\n",
	      "XCLIENT ADDR=[UNAVAILABLE]\r\n" },
	    { "220 old\r\n", "EHLO front.example\r\n" },
	    OFFER_PLAIN,
	    { "235 ok\r\n", "" } },
	  LOGIN_ACCEPTED },
	{ "offered before TLS, not inside",
	  true,
	  false,
	  PASSWORD,
	  { GREETING,
	    { "250-old\r\n250-XCLIENT ADDR\r\n250 STARTTLS\r\n", "STARTTLS\r\n" },
	    { "220 go\r\n", "" },
	    { NULL, "EHLO front.example\r\n" },
	    OFFER_PLAIN,
	    { "235 ok\r\n", "" } },
	  LOGIN_ACCEPTED },
	{ "offered inside TLS",
	  true,
	  false,
	  PASSWORD,
	  { GREETING,
	    OFFER_TLS,
	    { "220 go\r\n", "" },
	    { NULL, "EHLO front.example\r\n" },
	    { OFFER_XCLIENT, TELL },
	    { "220 old\r\n", EHLO_CLIENT },
	    OFFER_PLAIN,
	    { "235 ok\r\n", "" } },
	  LOGIN_ACCEPTED },
	{ "550 to XCLIENT",
	  false,
	  false,
	  PASSWORD,
	  { GREETING, { OFFER_XCLIENT, TELL }, { "550 5.7.0 no\r\n", "" } },
	  LOGIN_TEMPORARY },
	{ "535 to XCLIENT is no refusal",
	  false,
	  false,
	  PASSWORD,
	  { GREETING, { OFFER_XCLIENT, TELL }, { "535 no\r\n", "" } },
	  LOGIN_TEMPORARY },
	{ "250 to XCLIENT",
	  false,
	  false,
	  PASSWORD,
	  { GREETING, { OFFER_XCLIENT, TELL }, { "250 ok\r\n", "" } },
	  LOGIN_TEMPORARY },
	{ "421 to XCLIENT",
	  false,
	  false,
	  PASSWORD,
	  { GREETING, { OFFER_XCLIENT, TELL }, { "421 bye\r\n", "" } },
	  LOGIN_TEMPORARY },
	{ "EHLO refused behind XCLIENT",
	  false,
	  false,
	  PASSWORD,
	  { GREETING,
	    { OFFER_XCLIENT, TELL },
	    { "220 old\r\n", EHLO_CLIENT },
	    { "550 no\r\n", "" } },
	  LOGIN_TEMPORARY },
	/* Our word in place of a password. */
	{ "XCLIENT with LOGIN is the login",
	  false,
	  false,
	  XCLIENT,
	  { GREETING,
	    { OFFER_XCLIENT, TELL_LOGIN },
	    { "220 old\r\n", EHLO_CLIENT },
	    { OFFER_XCLIENT, "" } },
	  LOGIN_ACCEPTED },
	{ "LOGIN not offered",
	  false,
	  false,
	  XCLIENT,
	  { GREETING, { "250-old\r\n250-XCLIENT ADDR\r\n250 AUTH PLAIN\r\n", "" } },
	  LOGIN_TEMPORARY },
	{ "XCLIENT not offered", false, false, XCLIENT, { GREETING, OFFER_NONE }, LOGIN_TEMPORARY },
	{ "LOGIN offered before TLS alone",
	  true,
	  false,
	  XCLIENT,
	  { GREETING,
	    { "250-old\r\n250-XCLIENT LOGIN\r\n250 STARTTLS\r\n", "STARTTLS\r\n" },
	    { "220 go\r\n", "" },
	    { NULL, "EHLO front.example\r\n" },
	    OFFER_NONE },
	  LOGIN_TEMPORARY },
	{ "XCLIENT with LOGIN refused",
	  false,
	  false,
	  XCLIENT,
	  { GREETING, { OFFER_XCLIENT, TELL_LOGIN }, { "535 no\r\n", "" } },
	  LOGIN_TEMPORARY },
	{ "EHLO refused behind XCLIENT with LOGIN",
	  false,
	  false,
	  XCLIENT,
	  { GREETING,
	    { OFFER_XCLIENT, TELL_LOGIN },
	    { "220 old\r\n", EHLO_CLIENT },
	    { "535 no\r\n", "" } },
	  LOGIN_TEMPORARY },
	/* The master user on behalf of alice. */
	{ "master",
	  false,
	  false,
	  MASTER,
	  { GREETING,
	    { "250-old\r\n250 AUTH PLAIN LOGIN\r\n", MASTER_LINE },
	    { "235 ok\r\n", "" } },
	  LOGIN_ACCEPTED },
	{ "master behind XCLIENT",
	  false,
	  false,
	  MASTER,
	  { GREETING,
	    { OFFER_XCLIENT, TELL },
	    { "220 old\r\n", EHLO_CLIENT },
	    { "250-old\r\n250 AUTH PLAIN\r\n", MASTER_LINE },
	    { "235 ok\r\n", "" } },
	  LOGIN_ACCEPTED },
	{ "535 to the master says nothing of the user",
	  false,
	  false,
	  MASTER,
	  { GREETING, { "250-old\r\n250 AUTH PLAIN\r\n", MASTER_LINE }, { "535 no\r\n", "" } },
	  LOGIN_DENIED },
	{ "454 to the master",
	  false,
	  false,
	  MASTER,
	  { GREETING, { "250-old\r\n250 AUTH PLAIN\r\n", MASTER_LINE }, { "454 no\r\n", "" } },
	  LOGIN_TEMPORARY },
	{ "AUTH LOGIN cannot name two",
	  false,
	  false,
	  MASTER,
	  { GREETING, { "250-old\r\n250 AUTH LOGIN\r\n", "" } },
	  LOGIN_TEMPORARY },
};

static const struct login_settings settings_plain = { "front.example", false,
						      .mode = LOGIN_MODE_PASSWORD };
static const struct login_settings settings_tls = { "front.example", true,
						    .mode = LOGIN_MODE_PASSWORD };
static const struct login_client nobody;

static struct credential *alice(void)
{
	return credential_new(SPAN("alice"), SPAN("secret"));
}

/* One call; checks that nothing but the expected answer is written. */
static enum login_result say(struct login *login, const char *bytes, size_t len, size_t *used,
			     const char *answer)
{
	char storage[OUTPUT_MAX], *data = guard_copy(bytes, len);
	struct output output;
	enum login_result result;

	output_init(&output, storage, sizeof(storage));
	result = login_input(login, data, len, used, &output);
	assert_true(*used <= len);
	assert_false(output.overflow);
	assert_int_equal(output.len, strlen(answer));
	assert_memory_equal(output.data, answer, output.len);
	guard_free(data, len);
	return result;
}

static enum login_result hear(struct login *login, const struct step *step, bool by_byte)
{
	size_t len = strlen(step->backend), used = 0;
	enum login_result result = LOGIN_MORE;

	for (size_t shown = by_byte ? 1 : len; shown < len; shown++) {
		result = say(login, step->backend, shown, &used, "");
		if (result != LOGIN_MORE)
			return result; /* a line that cannot be the beginning of a reply */
		assert_int_equal(used, 0);
	}
	result = say(login, step->backend, len, &used, step->answer);
	if (result != LOGIN_TEMPORARY)
		assert_int_equal(used, len);
	return result;
}

static enum login_result run_steps(struct login *login, const struct step *steps, bool by_byte)
{
	enum login_result result = LOGIN_MORE;

	for (const struct step *step = steps; step < steps + STEPS_MAX && step->answer; step++) {
		if (!step->backend) {
			char storage[OUTPUT_MAX];
			struct output output;

			assert_int_equal(result, LOGIN_START_TLS);
			output_init(&output, storage, sizeof(storage));
			login_tls_started(login, &output);
			assert_int_equal(output.len, strlen(step->answer));
			assert_memory_equal(output.data, step->answer, output.len);
			result = LOGIN_MORE;
			continue;
		}
		assert_int_equal(result, LOGIN_MORE);
		result = hear(login, step, by_byte);
	}
	assert_int_equal(login->reason == NULL, result == LOGIN_ACCEPTED);
	return result;
}

static void run(const struct play *play, bool by_byte)
{
	struct credential *credential = alice();
	enum login_result result;
	struct login login;

	login_init(&login, &smtp_login_script, play->starttls ? &settings_tls : &settings_plain,
		   credential, &nobody);
	result = run_steps(&login, play->steps, by_byte);
	if (result != play->result)
		fail_msg("%s: result %d", play->name, result);
	credential_free(credential);
}

static void run_introduction(const struct introduction *play, bool by_byte)
{
	bool own = play->mode == LOGIN_MODE_PASSWORD;
	struct credential *credential = own ? alice() : credential_new(SPAN("alice"), SPAN(""));
	const struct login_settings settings = { "front.example", play->starttls, play->mode,
						 SPAN("root"), SPAN("key") };
	enum login_result result;
	struct login login;

	login_init(&login, &smtp_login_script, &settings, credential,
		   play->unknown ? &nobody : &laptop);
	result = run_steps(&login, play->steps, by_byte);
	if (result != play->result)
		fail_msg("%s: result %d", play->name, result);
	credential_free(credential);
}

static void the_client_is_made_known_and_ours_is_the_login_where_the_mode_says_so(void **state)
{
	for (size_t i = 0; i < sizeof(introductions) / sizeof(introductions[0]); i++) {
		run_introduction(&introductions[i], false);
		run_introduction(&introductions[i], true);
	}
}

/* A name that makes it too long for one line: each line waits for its 220, the address comes last. */
static void a_long_introduction_takes_several_lines(void **state)
{
	static const char offer[] = "250-old\r\n250 XCLIENT LOGIN HELO ADDR\r\n";
	const struct login_settings settings = { "front.example", false, LOGIN_MODE_XCLIENT,
						 SPAN(""), SPAN("") };
	static const struct step greeting = GREETING;
	struct login_client client = laptop;
	char user[121], line[600], ehlo[300];
	struct credential *credential;
	struct login login;
	size_t used;

	memset(client.name, 'x', 255);
	memset(user, '=', 120);
	user[120] = '\0';
	credential = credential_new(span_of(user), SPAN(""));
	login_init(&login, &smtp_login_script, &settings, credential, &client);
	assert_int_equal(hear(&login, &greeting, false), LOGIN_MORE);
	snprintf(line, sizeof(line), "XCLIENT HELO=%s\r\n", client.name);
	assert_int_equal(say(&login, offer, strlen(offer), &used, line), LOGIN_MORE);
	strcpy(line, "XCLIENT LOGIN=");
	for (size_t i = 0; i < 120; i++)
		strcat(line, "+3D");
	strcat(line, " ADDR=IPV6:2001:db8::7\r\n");
	assert_int_equal(say(&login, "220 go\r\n", 8, &used, line), LOGIN_MORE);
	snprintf(ehlo, sizeof(ehlo), "EHLO %s\r\n", client.name);
	assert_int_equal(say(&login, "220 go\r\n", 8, &used, ehlo), LOGIN_MORE);
	assert_int_equal(say(&login, offer, strlen(offer), &used, ""), LOGIN_ACCEPTED);
	credential_free(credential);
}

static void a_name_too_long_for_xclient_is_a_failure(void **state)
{
	static const struct step steps[] = { GREETING, { "250-old\r\n250 XCLIENT LOGIN\r\n", "" } };
	const struct login_settings settings = { "front.example", false, LOGIN_MODE_XCLIENT,
						 SPAN(""), SPAN("") };
	char user[CREDENTIAL_USER_MAX];
	struct credential *credential;
	struct login login;

	memset(user, '=', sizeof(user));
	credential = credential_new((struct span) { user, sizeof(user) }, SPAN(""));
	login_init(&login, &smtp_login_script, &settings, credential, &laptop);
	assert_int_equal(hear(&login, &steps[0], false), LOGIN_MORE);
	assert_int_equal(hear(&login, &steps[1], false), LOGIN_TEMPORARY);
	credential_free(credential);
}

static void a_byte_behind_the_answer_to_xclient_is_a_failure(void **state)
{
	static const struct step steps[] = { GREETING, { OFFER_XCLIENT, TELL } };
	struct credential *credential = alice();
	struct login login;
	size_t used;

	login_init(&login, &smtp_login_script, &settings_plain, credential, &laptop);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(hear(&login, &steps[i], false), LOGIN_MORE);
	assert_int_equal(say(&login, "220 old\r\n250 x\r\n", 16, &used, ""), LOGIN_TEMPORARY);
	credential_free(credential);
}

static void each_backend_gets_the_verdict_it_deserves(void **state)
{
	for (size_t i = 0; i < sizeof(plays) / sizeof(plays[0]); i++) {
		run(&plays[i], false);
		run(&plays[i], true);
	}
}

/* All that a lying backend says in one packet: the 235 answers nothing. */
static void a_reply_before_its_question_is_a_failure(void **state)
{
	static const char *const lies[] = {
		"220 old\r\n250-old\r\n250 AUTH PLAIN\r\n235 in\r\n",
		"220 old\r\n2",
	};
	struct credential *credential = alice();

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct login login;
		size_t used;

		login_init(&login, &smtp_login_script, &settings_plain, credential, &nobody);
		assert_int_equal(say(&login, lies[i], strlen(lies[i]), &used, ""), LOGIN_TEMPORARY);
	}
	credential_free(credential);
}

static void a_235_behind_a_challenge_is_a_failure(void **state)
{
	static const struct step steps[] = { GREETING, OFFER_LOGIN };
	struct credential *credential = alice();
	struct login login;
	size_t used;

	login_init(&login, &smtp_login_script, &settings_plain, credential, &nobody);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(hear(&login, &steps[i], false), LOGIN_MORE);
	assert_int_equal(say(&login, "334 a\r\n235 in\r\n", 15, &used, ""), LOGIN_TEMPORARY);
	credential_free(credential);
}

static void a_byte_behind_the_starttls_reply_is_a_failure(void **state)
{
	static const struct step steps[] = { GREETING, OFFER_TLS };
	struct credential *credential = alice();
	struct login login;
	size_t used;

	login_init(&login, &smtp_login_script, &settings_tls, credential, &nobody);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(hear(&login, &steps[i], false), LOGIN_MORE);
	assert_int_equal(say(&login, "220 go\r\n2", 9, &used, ""), LOGIN_TEMPORARY);
	credential_free(credential);
}

static void bytes_behind_the_acceptance_belong_to_the_relay(void **state)
{
	static const struct step steps[] = { GREETING, OFFER_PLAIN };
	struct credential *credential = alice();
	struct login login;
	size_t used;

	login_init(&login, &smtp_login_script, &settings_plain, credential, &nobody);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(hear(&login, &steps[i], false), LOGIN_MORE);
	assert_int_equal(say(&login, "235 in\r\n421 x\r\n", 15, &used, ""), LOGIN_ACCEPTED);
	assert_int_equal(used, 8);
	credential_free(credential);
}

/* An initial response may not make the line longer than 512 octets. */
static void a_long_password_waits_for_the_challenge(void **state)
{
	static const struct step greeting = GREETING, accepted = { "235 ok\r\n", "" };
	char password[CREDENTIAL_PASSWORD_MAX], storage[OUTPUT_MAX];
	static const char offer[] = "250-old\r\n250 AUTH PLAIN\r\n";

	memset(password, 'p', sizeof(password));
	for (size_t len = 360; len <= sizeof(password); len = len < 380 ? len + 1 : len * 2) {
		struct credential *credential =
			credential_new(SPAN("alice"), (struct span) { password, len });
		size_t whole = 13 + (2 + 5 + len + 2) / 3 * 4, used;
		struct output output;
		struct login login;

		login_init(&login, &smtp_login_script, &settings_plain, credential, &nobody);
		assert_int_equal(hear(&login, &greeting, false), LOGIN_MORE);
		output_init(&output, storage, sizeof(storage));
		assert_int_equal(login_input(&login, offer, strlen(offer), &used, &output),
				 LOGIN_MORE);
		if (whole <= 512) {
			assert_int_equal(output.len, whole);
		} else {
			assert_int_equal(output.len, 12);
			assert_memory_equal(output.data, "AUTH PLAIN\r\n", 12);
			output_init(&output, storage, sizeof(storage));
			login_input(&login, "334 \r\n", 6, &used, &output);
			assert_int_equal(output.len, whole - 11);
		}
		assert_false(output.overflow);
		assert_null(memmem(output.data, output.len, "ppp", 3));
		assert_int_equal(hear(&login, &accepted, false), LOGIN_ACCEPTED);
		credential_free(credential);
	}
}

/* NUL separates the fields of PLAIN: such a password would be read as another user's. */
static void a_password_with_nul_is_never_put_into_plain(void **state)
{
	static const struct step greeting = GREETING;
	static const char offer[] = "250-old\r\n250 AUTH PLAIN\r\n";
	struct credential *credential = credential_new(SPAN("alice"), (struct span) { "a\0b", 3 });
	struct login login;
	size_t used;

	if (!credential)
		return; /* refused even earlier */
	login_init(&login, &smtp_login_script, &settings_plain, credential, &nobody);
	assert_int_equal(hear(&login, &greeting, false), LOGIN_MORE);
	assert_int_equal(say(&login, offer, strlen(offer), &used, ""), LOGIN_TEMPORARY);
	credential_free(credential);
}

static void an_endless_reply_is_a_failure(void **state)
{
	static const struct step greeting = GREETING;
	struct credential *credential = alice();
	char data[LOGIN_LINE_MAX + 100];
	struct login login;
	size_t used, len = 0;

	while (len + 100 < LOGIN_LINE_MAX)
		len += (size_t)sprintf(data + len, "250-%090d\r\n", 0);
	login_init(&login, &smtp_login_script, &settings_plain, credential, &nobody);
	assert_int_equal(hear(&login, &greeting, false), LOGIN_MORE);
	assert_int_equal(say(&login, data, len, &used, ""), LOGIN_MORE);
	memset(data + len, '2', LOGIN_LINE_MAX - len);
	assert_int_equal(say(&login, data, LOGIN_LINE_MAX, &used, ""), LOGIN_TEMPORARY);
	credential_free(credential);
}

/* What an EHLO reply from before TLS offered is forgotten. */
static void extensions_of_the_last_ehlo_are_noted(void **state)
{
	static const struct login_settings settings = { .hostname = "front", .starttls = true };
	static const char *const turns[] = {
		"220 hi\r\n",
		"250-old\r\n250-CHUNKING\r\n250 STARTTLS\r\n",
		"220 go\r\n",
		"250-old\r\n250-SIZE 77\r\n250-AUTH PLAIN\r\n250 PIPELINING\r\n",
	};
	const struct credential credential = { .user = SPAN("al"), .password = SPAN("pw") };
	char storage[OUTPUT_MAX];
	struct output output;
	struct login login;
	size_t used;

	login_init(&login, &smtp_login_script, &settings, &credential,
		   &(const struct login_client) { .name = "" });
	output_init(&output, storage, sizeof(storage));
	for (size_t i = 0; i < sizeof(turns) / sizeof(turns[0]); i++) {
		enum login_result result =
			login_input(&login, turns[i], strlen(turns[i]), &used, &output);

		assert_int_equal(result, i == 2 ? LOGIN_START_TLS : LOGIN_MORE);
		if (result == LOGIN_START_TLS)
			login_tls_started(&login, &output);
	}
	assert_int_equal(login.extensions.offered, SMTP_SIZE | SMTP_AUTH | SMTP_PIPELINING);
	assert_int_equal(login.extensions.size, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(extensions_of_the_last_ehlo_are_noted),
		cmocka_unit_test(each_backend_gets_the_verdict_it_deserves),
		cmocka_unit_test(
			the_client_is_made_known_and_ours_is_the_login_where_the_mode_says_so),
		cmocka_unit_test(a_long_introduction_takes_several_lines),
		cmocka_unit_test(a_name_too_long_for_xclient_is_a_failure),
		cmocka_unit_test(a_byte_behind_the_answer_to_xclient_is_a_failure),
		cmocka_unit_test(a_reply_before_its_question_is_a_failure),
		cmocka_unit_test(a_235_behind_a_challenge_is_a_failure),
		cmocka_unit_test(a_byte_behind_the_starttls_reply_is_a_failure),
		cmocka_unit_test(bytes_behind_the_acceptance_belong_to_the_relay),
		cmocka_unit_test(a_long_password_waits_for_the_challenge),
		cmocka_unit_test(a_password_with_nul_is_never_put_into_plain),
		cmocka_unit_test(an_endless_reply_is_a_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
