/* auth_sasl against the real Cyrus SASL library: what is captured, what is refused and why, and that no password store of the
 * system is ever asked. RFC 4422, 4616; LOGIN. */
#include "auth/auth_sasl.h"
#include "protocols/credential.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <sasl/sasl.h>
#include <sasl/saslplug.h>
#include <sasl/saslutil.h>

#define NONE ((struct span) { NULL, 0 })

static const struct auth_peer worker = { 0, 1 };
static const char *const both[] = { "PLAIN", "LOGIN", NULL };
static struct auth_sasl *sasl;
static struct auth_answer answer;
static uint32_t serial;
static char encoded[AUTH_RESPONSE_MAX + 64];

static int start(void **state)
{
	const struct auth_sasl_settings settings = { .hostname = "mail.example.test",
						     .mechanisms = both };
	const char *why = NULL;

	sasl = auth_sasl_new(&settings, &why);
	return sasl ? 0 : -1;
}

static int stop(void **state)
{
	auth_sasl_free(sasl);
	sasl = NULL;
	return 0;
}

static struct span base64(struct span plain)
{
	unsigned len;

	assert_int_equal(sasl_encode64(plain.data, (unsigned)plain.len, encoded, sizeof(encoded),
				       &len),
			 SASL_OK);
	return (struct span) { encoded, len };
}

static struct auth_request request_of(enum auth_request_type type)
{
	return (struct auth_request) {
		.type = type,
		.exchange = { 7, serial },
		.service = SPAN("imap"),
		.local = SPAN("192.0.2.1;143"),
		.remote = SPAN("2001:db8::1;40000"),
		.tls_bits = 256,
	};
}

static bool send_request(const struct auth_request *request)
{
	memset(&answer, 0, sizeof(answer));
	return auth_sasl_request(sasl, worker, 1000., request, &answer);
}

/* `response` is sent as it is; NONE: no initial response. */
static enum auth_answer_type begin_raw(const char *mechanism, struct span response)
{
	struct auth_request request;

	serial++;
	request = request_of(AUTH_BEGIN);
	request.mechanism = span_of(mechanism);
	request.has_response = response.data != NULL;
	request.response = response;
	assert_true(send_request(&request));
	assert_int_equal(answer.exchange.serial, serial);
	return answer.type;
}

static enum auth_answer_type begin(const char *mechanism, struct span plain)
{
	return begin_raw(mechanism, plain.data ? base64(plain) : NONE);
}

static enum auth_answer_type respond_raw(struct span response)
{
	struct auth_request request = request_of(AUTH_CONTINUE);

	request.has_response = true;
	request.response = response;
	assert_true(send_request(&request));
	return answer.type;
}

static enum auth_answer_type respond(struct span plain)
{
	return respond_raw(base64(plain));
}

static enum auth_answer_type check(struct span user, struct span password)
{
	struct auth_request request;

	serial++;
	request = request_of(AUTH_CHECK);
	request.user = user;
	request.password = password;
	assert_true(send_request(&request));
	return answer.type;
}

static enum auth_answer_type login(struct span user, struct span password)
{
	if (begin("LOGIN", NONE) != AUTH_CHALLENGE || respond(user) != AUTH_CHALLENGE)
		return answer.type;
	return respond(password);
}

static enum auth_answer_type plain(struct span authzid, struct span user, struct span password)
{
	static char text[AUTH_RESPONSE_MAX];
	size_t len = 0;

	memcpy(text, authzid.data, authzid.len);
	len += authzid.len;
	text[len++] = '\0';
	memcpy(text + len, user.data, user.len);
	len += user.len;
	text[len++] = '\0';
	memcpy(text + len, password.data, password.len);
	len += password.len;
	return begin("PLAIN", (struct span) { text, len });
}

static void assert_span(struct span actual, struct span expected)
{
	assert_int_equal(actual.len, expected.len);
	assert_memory_equal(actual.data, expected.data, expected.len);
}

static void assert_captured(struct span user, struct span password)
{
	assert_int_equal(answer.type, AUTH_CAPTURED);
	assert_span(answer.authcid, user);
	assert_span(answer.authzid, user);
	assert_span(answer.password, password);
	assert_int_equal(auth_sasl_open_exchanges(sasl), 0);
}

static void assert_refused(enum auth_refusal why)
{
	assert_int_equal(answer.type, AUTH_REFUSED);
	assert_int_equal(answer.refusal, why);
	assert_int_equal(answer.password.len, 0);
	assert_int_equal(auth_sasl_open_exchanges(sasl), 0);
}

/* ---- what is captured ---- */

static void plain_with_initial_response_is_captured(void **state)
{
	begin_raw("PLAIN", SPAN("AGFsaWNlAHNlY3JldA=="));
	assert_captured(SPAN("alice"), SPAN("secret"));
}

static void plain_without_initial_response_is_asked_with_an_empty_challenge(void **state)
{
	assert_int_equal(begin("PLAIN", NONE), AUTH_CHALLENGE);
	assert_int_equal(answer.challenge.len, 0);
	respond_raw(SPAN("AGFsaWNlAHNlY3JldA=="));
	assert_captured(SPAN("alice"), SPAN("secret"));
}

static void login_asks_for_name_and_password(void **state)
{
	assert_int_equal(begin("LOGIN", NONE), AUTH_CHALLENGE);
	assert_span(answer.challenge, SPAN("VXNlcm5hbWU6"));
	assert_int_equal(respond(SPAN("alice")), AUTH_CHALLENGE);
	assert_span(answer.challenge, SPAN("UGFzc3dvcmQ6"));
	respond(SPAN("secret"));
	assert_captured(SPAN("alice"), SPAN("secret"));
}

static void login_takes_the_initial_response_as_name(void **state)
{
	assert_int_equal(begin("LOGIN", SPAN("alice")), AUTH_CHALLENGE);
	assert_span(answer.challenge, SPAN("UGFzc3dvcmQ6"));
	respond(SPAN("secret"));
	assert_captured(SPAN("alice"), SPAN("secret"));
}

static void login_with_an_empty_initial_response_asks_for_the_name(void **state)
{
	assert_int_equal(begin_raw("LOGIN", SPAN("")), AUTH_CHALLENGE);
	assert_span(answer.challenge, SPAN("VXNlcm5hbWU6"));
	respond(SPAN("alice"));
	respond(SPAN("secret"));
	assert_captured(SPAN("alice"), SPAN("secret"));
}

static void check_is_captured(void **state)
{
	check(SPAN("alice@example.test"), SPAN("secret"));
	assert_captured(SPAN("alice@example.test"), SPAN("secret"));
}

static void passwords_survive_byte_for_byte(void **state)
{
	char bytes[255];
	struct span password = { bytes, sizeof(bytes) };

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i + 1);
	plain(SPAN(""), SPAN("alice"), password);
	assert_captured(SPAN("alice"), password);
	login(SPAN("alice"), password);
	assert_captured(SPAN("alice"), password);
	check(SPAN("alice"), password);
	assert_captured(SPAN("alice"), password);
	plain(SPAN(""), SPAN("alice"), SPAN(" \r\n "));
	assert_captured(SPAN("alice"), SPAN(" \r\n "));
}

static void the_longest_passwords_are_captured_and_longer_ones_refused(void **state)
{
	static char bytes[CREDENTIAL_PASSWORD_MAX + 1];
	struct span whole = { bytes, CREDENTIAL_PASSWORD_MAX };

	memset(bytes, 'x', sizeof(bytes));
	check(SPAN("alice"), whole);
	assert_captured(SPAN("alice"), whole);
	check(SPAN("alice"), (struct span) { bytes, CREDENTIAL_PASSWORD_MAX + 1 });
	assert_refused(AUTH_REFUSED_CREDENTIAL);

	struct span response = { bytes, AUTH_RESPONSE_MAX / 4 * 3 - strlen("alice") - 2 };

	plain(SPAN(""), SPAN("alice"), response);
	assert_captured(SPAN("alice"), response);
	login(SPAN("alice"), (struct span) { bytes, 1024 });
	assert_captured(SPAN("alice"), (struct span) { bytes, 1024 });
	login(SPAN("alice"), (struct span) { bytes, 1025 }); /* the library's own bound */
	assert_refused(AUTH_REFUSED_ENCODING);
}

static void names_may_be_any_text(void **state)
{
	static const char longest[] =
		"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn@"
		"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
		"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
		"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn";
	static const struct span names[] = {
		{ "a", 1 },
		{ "j\xc3\xb6rg", 5 },
		{ "\xf0\x9f\x93\xa7", 4 },
		{ "a b\"\\%s*()@", 11 },
		{ longest, 255 },
	};

	assert_int_equal(strlen(longest), 255);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		plain(SPAN(""), names[i], SPAN("secret"));
		assert_captured(names[i], SPAN("secret"));
		login(names[i], SPAN("secret"));
		assert_captured(names[i], SPAN("secret"));
		check(names[i], SPAN("secret"));
		assert_captured(names[i], SPAN("secret"));
	}
}

static void blanks_around_a_name_do_not_belong_to_it(void **state)
{
	static const struct {
		const char *sent, *name;
	} cases[] = {
		{ " alice ", "alice" }, { "  ab", "ab" }, { "   x", "x" }, { "a b ", "a b" }
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct span sent = span_of(cases[i].sent), name = span_of(cases[i].name);

		plain(SPAN(""), sent, SPAN("secret"));
		assert_captured(name, SPAN("secret"));
		login(sent, SPAN("secret"));
		assert_captured(name, SPAN("secret"));
		check(sent, SPAN("secret"));
		assert_captured(name, SPAN("secret"));
	}
}

/* ---- what is refused ---- */

static void unacceptable_names_are_refused_everywhere(void **state)
{
	static char long_name[256];
	static const struct span names[] = {
		{ "", 0 },          { " ", 1 },
		{ "     ", 5 },     { "al\nice", 6 },
		{ "alice\r", 6 },   { "\talice", 6 },
		{ "al\x7fice", 6 }, { "alice\xc2\x80", 7 },
		{ "j\xf6rg", 4 },   { "\xed\xa0\x80", 3 },
		{ long_name, 256 },
	};

	memset(long_name, 'n', sizeof(long_name));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		plain(SPAN(""), names[i], SPAN("secret"));
		assert_refused(AUTH_REFUSED_CREDENTIAL);
		login(names[i], SPAN("secret"));
		assert_refused(AUTH_REFUSED_CREDENTIAL);
		check(names[i], SPAN("secret"));
		assert_refused(AUTH_REFUSED_CREDENTIAL);
	}
}

static void a_nul_in_a_name_or_password_is_refused(void **state)
{
	login((struct span) { "alice\0x", 7 }, SPAN("secret"));
	assert_refused(AUTH_REFUSED_CREDENTIAL);
	check((struct span) { "alice\0x", 7 }, SPAN("secret"));
	assert_refused(AUTH_REFUSED_CREDENTIAL);
	login(SPAN("alice"), (struct span) { "sec\0ret", 7 });
	assert_refused(AUTH_REFUSED_ENCODING);
	plain(SPAN(""), SPAN("alice"), (struct span) { "sec\0ret", 7 });
	assert_refused(AUTH_REFUSED_ENCODING);
}

static void empty_passwords_are_refused(void **state)
{
	plain(SPAN(""), SPAN("alice"), SPAN(""));
	assert_refused(AUTH_REFUSED_CREDENTIAL);
	login(SPAN("alice"), SPAN(""));
	assert_refused(AUTH_REFUSED_CREDENTIAL);
	check(SPAN("alice"), SPAN(""));
	assert_refused(AUTH_REFUSED_CREDENTIAL);
}

static void another_authorization_identity_is_refused(void **state)
{
	plain(SPAN("bob"), SPAN("alice"), SPAN("secret"));
	assert_refused(AUTH_REFUSED_AUTHORIZATION);
	plain(SPAN("Alice"), SPAN("alice"), SPAN("secret"));
	assert_refused(AUTH_REFUSED_AUTHORIZATION);
	plain(SPAN("alicea"), SPAN("alice"), SPAN("secret"));
	assert_refused(AUTH_REFUSED_AUTHORIZATION);
	plain(SPAN("alice"), SPAN("alice"), SPAN("secret"));
	assert_captured(SPAN("alice"), SPAN("secret"));
}

static void broken_base64_is_refused(void **state)
{
	static const char *const broken[] = {
		"A", "AGFsaWNlAHNlY3JldA=", "AGFs*WNl", "====", "AA==AAAA", "AGFs aWNl", "\r",
		"=", "\x80\x81\x82\x83"
	};

	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		begin_raw("PLAIN", span_of(broken[i]));
		assert_refused(AUTH_REFUSED_ENCODING);
		begin_raw("LOGIN", span_of(broken[i]));
		assert_refused(AUTH_REFUSED_ENCODING);
		assert_int_equal(begin("LOGIN", SPAN("alice")), AUTH_CHALLENGE);
		respond_raw(span_of(broken[i]));
		assert_refused(AUTH_REFUSED_ENCODING);
	}
}

static void malformed_plain_messages_are_refused(void **state)
{
	static const struct span messages[] = {
		{ "", 0 },
		{ "alice", 5 },
		{ "\0alice", 6 },
		{ "\0alice\0secret\0", 14 },
	};

	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		begin("PLAIN", messages[i]);
		assert_refused(AUTH_REFUSED_ENCODING);
	}
}

static void other_mechanisms_are_refused(void **state)
{
	static const char *const names[] = { "CRAM-MD5", "SCRAM-SHA-256", "DIGEST-MD5", "ANONYMOUS",
					     "EXTERNAL", "NTLM",          "",           "PLAIN ",
					     "plain",    "PLAIN LOGIN",   "OAUTHBEARER" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		begin_raw(names[i], SPAN("AGFsaWNlAHNlY3JldA=="));
		assert_refused(AUTH_REFUSED_MECHANISM);
	}
}

static void only_configured_mechanisms_are_taken(void **state)
{
	static const char *const one[] = { "SCRAM-SHA-256", "PLAIN", "PLAIN", NULL };
	const struct auth_sasl_settings settings = { .hostname = "mail.example.test",
						     .mechanisms = one };
	const char *why = NULL;

	stop(state);
	sasl = auth_sasl_new(&settings, &why);
	assert_non_null(sasl);
	begin_raw("LOGIN", SPAN(""));
	assert_refused(AUTH_REFUSED_MECHANISM);
	begin_raw("SCRAM-SHA-256", NONE);
	assert_refused(AUTH_REFUSED_MECHANISM);
	begin_raw("PLAIN", SPAN("AGFsaWNlAHNlY3JldA=="));
	assert_captured(SPAN("alice"), SPAN("secret"));
}

static void without_tls_nothing_is_taken(void **state)
{
	struct auth_request request;

	for (size_t i = 0; i < 2; i++) {
		serial++;
		request = request_of(AUTH_BEGIN);
		request.mechanism = span_of(both[i]);
		request.tls_bits = 0;
		send_request(&request);
		assert_refused(AUTH_REFUSED_MECHANISM);
	}
	request = request_of(AUTH_CHECK);
	request.user = SPAN("alice");
	request.password = SPAN("secret");
	request.tls_bits = 0;
	send_request(&request);
	assert_refused(AUTH_REFUSED_MECHANISM);
}

/* ---- the library left alone ---- */

/* A store in which alice's password is "secret", and how the library would come to ask it. */
static unsigned store_asked;

static int store_lookup(void *context, sasl_server_params_t *params, unsigned flags,
			const char *user, unsigned len)
{
	store_asked++;
	if (!(flags & SASL_AUXPROP_AUTHZID))
		params->utils->prop_set(params->propctx, "*userPassword", "secret", 6);
	return SASL_OK;
}

static int store_init(const sasl_utils_t *utils, int max_version, int *out_version,
		      sasl_auxprop_plug_t **plugin, const char *name)
{
	static char store_name[] = "teststore";
	static sasl_auxprop_plug_t store = { .auxprop_lookup = store_lookup, .name = store_name };

	*out_version = SASL_AUXPROP_PLUG_VERSION;
	*plugin = &store;
	return SASL_OK;
}

/* As whoever forgets to set our callbacks would ask. */
static int check_without_callbacks(void)
{
	sasl_conn_t *conn;
	int result;

	assert_int_equal(sasl_auxprop_add_plugin("teststore", store_init), SASL_OK);
	assert_int_equal(sasl_server_new("imap", "mail.example.test", NULL, NULL, NULL, NULL, 0,
					 &conn),
			 SASL_OK);
	store_asked = 0;
	result = sasl_checkpass(conn, "alice", 5, "secret", 6);
	sasl_dispose(&conn);
	return result;
}

static void no_store_is_asked_even_when_our_callback_is_missing(void **state)
{
	assert_int_equal(check_without_callbacks(), SASL_NOMECH);
	assert_int_equal(store_asked, 0);
}

static int no_option(void *context, const char *plugin, const char *option, const char **result,
		     unsigned *len)
{
	return SASL_FAIL;
}

/* So the test above means something. */
static void the_library_by_itself_would_ask_a_store(void **state)
{
	const sasl_callback_t callbacks[] = {
		{ SASL_CB_GETOPT, (int (*)(void))(void (*)(void))no_option, NULL },
		{ SASL_CB_LIST_END, NULL, NULL },
	};

	assert_int_equal(sasl_server_init(callbacks, "test"), SASL_OK);
	assert_int_equal(check_without_callbacks(), SASL_OK);
	assert_true(store_asked > 0);
	sasl_server_done();
}

static void a_store_that_is_there_is_not_asked_by_an_exchange(void **state)
{
	assert_int_equal(sasl_auxprop_add_plugin("teststore", store_init), SASL_OK);
	store_asked = 0;
	plain(SPAN(""), SPAN("alice"), SPAN(""));
	assert_refused(AUTH_REFUSED_CREDENTIAL);
	plain(SPAN(""), SPAN("alice"), SPAN("secret"));
	assert_captured(SPAN("alice"), SPAN("secret"));
	check(SPAN("alice"), SPAN("wrong"));
	assert_captured(SPAN("alice"), SPAN("wrong"));
	login(SPAN("alice"), SPAN("wrong"));
	assert_captured(SPAN("alice"), SPAN("wrong"));
	plain(SPAN("bob"), SPAN("alice"), SPAN("secret"));
	assert_refused(AUTH_REFUSED_AUTHORIZATION);
	assert_int_equal(store_asked, 0);
}

static void only_the_plugins_of_plain_and_login_are_loaded(void **state)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	unsigned ours = 0, others = 0;

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		if (!strstr(line, "/sasl2/"))
			continue;
		if (strstr(line, "/libplain.") || strstr(line, "/liblogin."))
			ours++;
		else
			others++;
	}
	fclose(maps);
	assert_true(ours > 0);
	assert_int_equal(others, 0);
}

/* ---- exchanges ---- */

static void a_cancelled_exchange_is_gone_without_an_answer(void **state)
{
	struct auth_request request;

	assert_int_equal(begin("LOGIN", NONE), AUTH_CHALLENGE);
	assert_int_equal(auth_sasl_open_exchanges(sasl), 1);
	request = request_of(AUTH_CANCEL);
	assert_false(send_request(&request));
	assert_int_equal(auth_sasl_open_exchanges(sasl), 0);
	assert_int_equal(respond(SPAN("alice")), AUTH_TEMPORARY);
	assert_false(send_request(&request));
}

static void exchanges_do_not_mix(void **state)
{
	const struct auth_peer other = { 0, 2 };
	struct auth_request request = request_of(AUTH_BEGIN);

	request.mechanism = SPAN("LOGIN");
	request.has_response = true;
	request.response = SPAN("YWxpY2U=");
	assert_true(auth_sasl_request(sasl, worker, 0., &request, &answer));
	request.response = SPAN("Ym9i");
	assert_true(auth_sasl_request(sasl, other, 0., &request, &answer));
	request.exchange.serial++;
	request.response = SPAN("Y2Fyb2w=");
	assert_true(auth_sasl_request(sasl, worker, 0., &request, &answer));
	assert_int_equal(auth_sasl_open_exchanges(sasl), 3);

	request = request_of(AUTH_CONTINUE);
	request.response = SPAN("c2VjcmV0");
	assert_true(auth_sasl_request(sasl, worker, 0., &request, &answer));
	assert_span(answer.authcid, SPAN("alice"));
	assert_true(auth_sasl_request(sasl, other, 0., &request, &answer));
	assert_span(answer.authcid, SPAN("bob"));
	request.exchange.serial++;
	assert_true(auth_sasl_request(sasl, worker, 0., &request, &answer));
	assert_span(answer.authcid, SPAN("carol"));
	assert_int_equal(auth_sasl_open_exchanges(sasl), 0);
}

static void a_worker_that_goes_takes_only_its_own_exchanges(void **state)
{
	const struct auth_peer other = { 1, 1 };
	struct auth_request request = request_of(AUTH_BEGIN);

	request.mechanism = SPAN("LOGIN");
	for (unsigned i = 0; i < 3; i++) {
		request.exchange.serial++;
		assert_true(auth_sasl_request(sasl, worker, 0., &request, &answer));
		assert_true(auth_sasl_request(sasl, other, 0., &request, &answer));
	}
	auth_sasl_peer_gone(sasl, worker);
	assert_int_equal(auth_sasl_open_exchanges(sasl), 3);
	auth_sasl_peer_gone(sasl, (struct auth_peer) { 1, 2 });
	assert_int_equal(auth_sasl_open_exchanges(sasl), 3);
	auth_sasl_peer_gone(sasl, other);
	assert_int_equal(auth_sasl_open_exchanges(sasl), 0);
}

static void one_worker_cannot_open_exchanges_without_end(void **state)
{
	const struct auth_peer other = { 1, 1 };
	struct auth_request request = request_of(AUTH_BEGIN);
	const uint32_t first = request.exchange.serial + 1;

	request.mechanism = SPAN("LOGIN");
	for (unsigned i = 0; i < AUTH_SASL_EXCHANGES_MAX; i++) {
		request.exchange.serial++;
		assert_true(auth_sasl_request(sasl, worker, 0., &request, &answer));
		assert_int_equal(answer.type, AUTH_CHALLENGE);
	}
	/* One that answers is not the one that makes room, and others log in all the same. */
	request.type = AUTH_CONTINUE;
	request.exchange.serial = first;
	request.response = SPAN("YWxpY2U=");
	assert_true(auth_sasl_request(sasl, worker, 1., &request, &answer));
	assert_int_equal(answer.type, AUTH_CHALLENGE);
	request.type = AUTH_BEGIN;
	request.exchange.serial = first + AUTH_SASL_EXCHANGES_MAX;
	request.response = SPAN("");
	assert_true(auth_sasl_request(sasl, worker, 2., &request, &answer));
	assert_int_equal(answer.type, AUTH_CHALLENGE);
	assert_int_equal(auth_sasl_open_exchanges(sasl), AUTH_SASL_EXCHANGES_MAX);
	request.type = AUTH_CONTINUE;
	request.exchange.serial = first + 1;
	request.response = SPAN("YWxpY2U=");
	assert_true(auth_sasl_request(sasl, worker, 3., &request, &answer));
	assert_int_equal(answer.type, AUTH_TEMPORARY);
	request.exchange.serial = first;
	assert_true(auth_sasl_request(sasl, worker, 3., &request, &answer));
	assert_int_equal(answer.type, AUTH_CAPTURED);
	request.type = AUTH_BEGIN;
	request.response = SPAN("");
	assert_true(auth_sasl_request(sasl, other, 4., &request, &answer));
	assert_int_equal(answer.type, AUTH_CHALLENGE);
	assert_int_equal(auth_sasl_open_exchanges(sasl), AUTH_SASL_EXCHANGES_MAX);
}

static void idle_exchanges_expire(void **state)
{
	assert_int_equal(begin("LOGIN", NONE), AUTH_CHALLENGE); /* at 1000 */
	auth_sasl_expire(sasl, 1000. + AUTH_SASL_IDLE - 1.);
	assert_int_equal(auth_sasl_open_exchanges(sasl), 1);
	auth_sasl_expire(sasl, 1000. + AUTH_SASL_IDLE);
	assert_int_equal(auth_sasl_open_exchanges(sasl), 0);
	assert_int_equal(respond(SPAN("alice")), AUTH_TEMPORARY);
}

/* ---- secrets ---- */

static void an_answered_password_is_wiped(void **state)
{
	const char nothing[6] = { 0 };
	const char *where;

	check(SPAN("alice"), SPAN("secret"));
	where = answer.password.data;
	assert_memory_equal(where, "secret", 6);
	auth_sasl_answered(sasl);
	assert_memory_equal(where, nothing, 6);
	plain(SPAN("bob"), SPAN("alice"), SPAN("secret")); /* refused after the capture */
	assert_refused(AUTH_REFUSED_AUTHORIZATION);
	assert_memory_equal(where, nothing, 6);
}

/* How often it stands in the heap, where the library works. */
static int count_in_heap(const char *text, size_t len)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	int count = -1;

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		uintptr_t from, to;

		if (!strstr(line, "[heap]") || sscanf(line, "%lx-%lx", &from, &to) != 2)
			continue;
		if (count < 0)
			count = 0;
		for (const char *at = (const char *)from;
		     (at = memmem(at, to - (uintptr_t)at, text, len)) != NULL; at++)
			count++;
	}
	fclose(maps);
	return count;
}

static void the_library_keeps_no_password(void **state)
{
	static const char password[] = "a password that stands nowhere else";
	struct span secret = SPAN(password);

	plain(SPAN(""), SPAN("alice"), secret);
	assert_captured(SPAN("alice"), secret);
	if (count_in_heap(password, secret.len) < 0)
		skip(); /* the allocator has no such region (sanitizers) */
	assert_true(count_in_heap(password, secret.len) > 0);
	login(SPAN("alice"), secret);
	check(SPAN("alice"), secret);
	plain(SPAN("bob"), SPAN("alice"), secret);
	auth_sasl_answered(sasl);
	assert_int_equal(count_in_heap(password, secret.len), 0);
}

static void the_version_is_told_without_initialisation(void **state)
{
	assert_int_equal(strncmp(auth_sasl_version(), "2.", 2), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_version_is_told_without_initialisation),
		TEST(plain_with_initial_response_is_captured),
		TEST(plain_without_initial_response_is_asked_with_an_empty_challenge),
		TEST(login_asks_for_name_and_password),
		TEST(login_takes_the_initial_response_as_name),
		TEST(login_with_an_empty_initial_response_asks_for_the_name),
		TEST(check_is_captured),
		TEST(passwords_survive_byte_for_byte),
		TEST(the_longest_passwords_are_captured_and_longer_ones_refused),
		TEST(names_may_be_any_text),
		TEST(blanks_around_a_name_do_not_belong_to_it),
		TEST(unacceptable_names_are_refused_everywhere),
		TEST(a_nul_in_a_name_or_password_is_refused),
		TEST(empty_passwords_are_refused),
		TEST(another_authorization_identity_is_refused),
		TEST(broken_base64_is_refused),
		TEST(malformed_plain_messages_are_refused),
		TEST(other_mechanisms_are_refused),
		TEST(only_configured_mechanisms_are_taken),
		TEST(without_tls_nothing_is_taken),
		TEST(only_the_plugins_of_plain_and_login_are_loaded),
		TEST(no_store_is_asked_even_when_our_callback_is_missing),
		TEST(a_store_that_is_there_is_not_asked_by_an_exchange),
		cmocka_unit_test(the_library_by_itself_would_ask_a_store),
		TEST(a_cancelled_exchange_is_gone_without_an_answer),
		TEST(exchanges_do_not_mix),
		TEST(a_worker_that_goes_takes_only_its_own_exchanges),
		TEST(one_worker_cannot_open_exchanges_without_end),
		TEST(idle_exchanges_expire),
		TEST(an_answered_password_is_wiped),
		TEST(the_library_keeps_no_password),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
