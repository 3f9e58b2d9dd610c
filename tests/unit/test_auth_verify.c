/* auth_sasl where SASL decides, against the real library and a real sasldb: who is verified, by which mechanism, what is refused, that
 * nobody can tell an unknown user from a wrong password, and that a store that fails is never a wrong password. RFC 5802. */
#include "auth/auth_sasl.h"
#include "protocols/credential.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include <sasl/sasl.h>
#include <sasl/saslutil.h>

#define HOST "mail.example.test"

static const struct auth_peer worker = { 0, 1 };
static const char *const all[] = { "PLAIN",         "LOGIN",         "SCRAM-SHA-1",
				   "SCRAM-SHA-256", "SCRAM-SHA-512", NULL };
static char folder[] = "/tmp/postern-verify-XXXXXX", database[64], nowhere[64];
static struct auth_sasl *sasl;
static struct auth_answer answer;
static uint32_t serial;
static char encoded[AUTH_RESPONSE_MAX];

/* ---- the store and the settings ---- */

static void add_user(const char *user)
{
	char command[256];

	snprintf(command, sizeof(command), "printf secret | saslpasswd2 -p -c -u " HOST " -f %s %s",
		 database, user);
	assert_int_equal(system(command), 0);
}

static int make_store(void **state)
{
	if (!mkdtemp(folder))
		return -1;
	snprintf(database, sizeof(database), "%s/sasldb2", folder);
	snprintf(nowhere, sizeof(nowhere), "%s/nowhere", folder);
	add_user("alice");
	add_user("bob");
	return 0;
}

static int remove_store(void **state)
{
	unlink(database);
	return rmdir(folder);
}

static struct auth_sasl_settings settings_of(const struct auth_option *options)
{
	struct auth_sasl_settings settings = {
		.hostname = HOST,
		.mechanisms = all,
		.decides = true,
		.options = options,
	};

	while (options[settings.option_count].name)
		settings.option_count++;
	return settings;
}

static struct auth_sasl_settings usual(void)
{
	static struct auth_option options[] = {
		{ "auxprop_plugin", "sasldb" },
		{ "sasldb_path", database },
		{ NULL, NULL },
	};

	return settings_of(options);
}

static int start_with(const struct auth_sasl_settings *settings)
{
	const char *why = NULL;

	sasl = auth_sasl_new(settings, &why);
	return sasl ? 0 : -1;
}

static int start(void **state)
{
	const struct auth_sasl_settings settings = usual();

	return start_with(&settings);
}

static int stop(void **state)
{
	auth_sasl_free(sasl);
	sasl = NULL;
	return 0;
}

static void configure(const struct auth_sasl_settings *settings)
{
	const char *why = NULL;

	assert_true(auth_sasl_configure(sasl, settings, &why));
}

/* ---- requests ---- */

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
	if (type != AUTH_CONTINUE)
		serial++;
	return (struct auth_request) {
		.type = type,
		.exchange = { 7, serial },
		.service = SPAN("imap"),
		.tls_bits = 256,
		.decides = true,
	};
}

static enum auth_answer_type ask(const struct auth_request *request)
{
	memset(&answer, 0, sizeof(answer));
	assert_true(auth_sasl_request(sasl, worker, 1000., request, &answer));
	return answer.type;
}

static enum auth_answer_type begin(const char *mechanism, struct span response)
{
	struct auth_request request = request_of(AUTH_BEGIN);

	request.mechanism = span_of(mechanism);
	request.has_response = response.data != NULL;
	if (response.data)
		request.response = base64(response);
	return ask(&request);
}

static enum auth_answer_type respond(struct span response)
{
	struct auth_request request = request_of(AUTH_CONTINUE);

	request.has_response = true;
	request.response = base64(response);
	return ask(&request);
}

static enum auth_answer_type check(const char *user, const char *password)
{
	struct auth_request request = request_of(AUTH_CHECK);

	request.user = span_of(user);
	request.password = span_of(password);
	return ask(&request);
}

static enum auth_answer_type plain(const char *authzid, const char *user, const char *password)
{
	char text[256];
	int len = snprintf(text, sizeof(text), "%s%c%s%c%s", authzid, 0, user, 0, password);

	return begin("PLAIN", (struct span) { text, (size_t)len });
}

static enum auth_answer_type login(const char *user, const char *password)
{
	if (begin("LOGIN", (struct span) { NULL, 0 }) != AUTH_CHALLENGE ||
	    respond(span_of(user)) != AUTH_CHALLENGE)
		return answer.type;
	return respond(span_of(password));
}

static void assert_name(struct span name, const char *expected)
{
	assert_int_equal(name.len, strlen(expected));
	assert_memory_equal(name.data, expected, name.len);
}

static void assert_verified(const char *user)
{
	assert_int_equal(answer.type, AUTH_VERIFIED);
	assert_name(answer.authcid, user);
	assert_name(answer.authzid, user);
	assert_int_equal(answer.password.len, 0);
	assert_int_equal(auth_sasl_open_exchanges(sasl), 0);
}

static void assert_refused(enum auth_refusal why)
{
	assert_int_equal(answer.type, AUTH_REFUSED);
	assert_int_equal(answer.refusal, why);
	assert_int_equal(auth_sasl_open_exchanges(sasl), 0);
}

/* ---- a client of SCRAM, the library's own ---- */

struct identity {
	const char *authzid, *user;
	sasl_secret_t *secret;
};

typedef int (*callback)(void);

static int give_name(void *context, int id, const char **result, unsigned *len)
{
	const struct identity *identity = context;

	*result = id == SASL_CB_USER ? identity->authzid : identity->user;
	if (len)
		*len = (unsigned)strlen(*result);
	return SASL_OK;
}

static int give_password(sasl_conn_t *conn, void *context, int id, sasl_secret_t **secret)
{
	*secret = ((struct identity *)context)->secret;
	return SASL_OK;
}

/* Up to and with the server's last challenge; AUTH_CHALLENGE then means that the client has seen the server's proof. */
static enum auth_answer_type scram(const char *mechanism, const char *authzid, const char *user,
				   const char *password)
{
	struct identity identity = { authzid, user, calloc(1, sizeof(sasl_secret_t) + 64) };
	const sasl_callback_t callbacks[] = {
		{ SASL_CB_USER, (callback)(void (*)(void))give_name, &identity },
		{ SASL_CB_AUTHNAME, (callback)(void (*)(void))give_name, &identity },
		{ SASL_CB_PASS, (callback)(void (*)(void))give_password, &identity },
		{ SASL_CB_LIST_END, NULL, NULL },
	};
	enum auth_answer_type type;
	sasl_conn_t *conn;
	const char *out;
	char decoded[1024];
	unsigned len;
	int result;

	assert_int_equal(sasl_client_init(NULL), SASL_OK); /* late: it loads every plugin */
	identity.secret->len = strlen(password);
	memcpy(identity.secret->data, password, identity.secret->len);
	assert_int_equal(sasl_client_new("imap", HOST, NULL, NULL, callbacks, 0, &conn), SASL_OK);
	assert_int_equal(sasl_client_start(conn, mechanism, NULL, &out, &len, NULL), SASL_CONTINUE);
	type = begin(mechanism, (struct span) { out, len });
	for (int steps = 0; type == AUTH_CHALLENGE; steps++) {
		assert_int_equal(sasl_decode64(answer.challenge.data,
					       (unsigned)answer.challenge.len, decoded,
					       sizeof(decoded), &len),
				 SASL_OK);
		result = sasl_client_step(conn, decoded, len, NULL, &out, &len);
		if (steps == 1) {
			assert_int_equal(result, SASL_OK);
			break;
		}
		assert_int_equal(result, SASL_CONTINUE);
		type = respond((struct span) { out, len });
	}
	sasl_dispose(&conn);
	sasl_client_done();
	free(identity.secret);
	return type;
}

/* ---- verified ---- */

static void a_right_password_verifies_by_every_way(void **state)
{
	plain("", "alice", "secret");
	assert_verified("alice");
	plain("alice", "alice", "secret");
	assert_verified("alice");
	login("alice", "secret");
	assert_verified("alice");
	check("alice", "secret");
	assert_verified("alice");
	check(" bob ", "secret");
	assert_verified("bob");
	check("bob@" HOST, "secret"); /* the same record, another identity */
	assert_verified("bob@" HOST);
}

static void scram_verifies_after_its_last_challenge(void **state)
{
	for (size_t i = 2; all[i]; i++) {
		assert_int_equal(scram(all[i], "", "alice", "secret"), AUTH_CHALLENGE);
		/* whoever must not learn that it was right is known by then */
		assert_name(answer.authcid, "alice");
		assert_int_equal(auth_sasl_open_exchanges(sasl), 1);
		respond(SPAN(""));
		assert_verified("alice");
	}
}

static void the_response_to_the_last_challenge_must_be_empty(void **state)
{
	assert_int_equal(scram("SCRAM-SHA-256", "", "alice", "secret"), AUTH_CHALLENGE);
	respond(SPAN("x"));
	assert_refused(AUTH_REFUSED_ENCODING);
	respond(SPAN(""));
	assert_int_equal(answer.type, AUTH_TEMPORARY);
}

/* ---- refused ---- */

static void a_wrong_password_is_refused_and_names_the_user(void **state)
{
	plain("", "alice", "wrong");
	assert_refused(AUTH_REFUSED_CREDENTIAL);
	assert_name(answer.authcid, "alice");
	login("alice", "wrong");
	assert_refused(AUTH_REFUSED_CREDENTIAL);
	check("alice", "wrong");
	assert_refused(AUTH_REFUSED_CREDENTIAL);
	assert_name(answer.authcid, "alice");
	check("alice", "secretsecret");
	assert_refused(AUTH_REFUSED_CREDENTIAL);
	check("alice", "");
	assert_refused(AUTH_REFUSED_CREDENTIAL);
	scram("SCRAM-SHA-256", "", "alice", "wrong");
	assert_refused(AUTH_REFUSED_CREDENTIAL);
	assert_name(answer.authcid, "alice");
}

static void an_unknown_user_looks_like_a_wrong_password(void **state)
{
	plain("", "nobody", "secret");
	assert_refused(AUTH_REFUSED_CREDENTIAL);
	assert_name(answer.authcid, "nobody");
	login("nobody", "secret");
	assert_refused(AUTH_REFUSED_CREDENTIAL);
	check("nobody", "secret");
	assert_refused(AUTH_REFUSED_CREDENTIAL);
	check("alice@elsewhere.test", "secret");
	assert_refused(AUTH_REFUSED_CREDENTIAL);
}

/* Its server-first-message: the nonce is random, salt and rounds stay. */
static void challenge_of(const char *user, char out[256])
{
	char first[64], decoded[512], *salt;
	unsigned len;

	snprintf(first, sizeof(first), "n,,n=%s,r=fyko+d2lbbFgONRv9qkxdawL", user);
	assert_int_equal(begin("SCRAM-SHA-256", span_of(first)), AUTH_CHALLENGE);
	assert_int_equal(sasl_decode64(answer.challenge.data, (unsigned)answer.challenge.len,
				       decoded, sizeof(decoded) - 1, &len),
			 SASL_OK);
	decoded[len] = '\0';
	salt = strstr(decoded, ",s=");
	assert_non_null(salt);
	snprintf(out, 256, "%zu%.200s", (size_t)(salt - decoded), salt);
}

static void an_unknown_user_gets_a_challenge_like_anybody_else(void **state)
{
	char known[256], unknown[256], again[256];

	challenge_of("alice", known);
	challenge_of("nobody", unknown);
	challenge_of("nobody", again);
	assert_int_equal(strlen(known), strlen(unknown));
	assert_string_equal(unknown, again); /* as a known one's would */
	assert_string_not_equal(known, unknown);
	assert_string_equal(strstr(known, ",i="), strstr(unknown, ",i="));
	auth_sasl_peer_gone(sasl, worker);
	scram("SCRAM-SHA-256", "", "nobody", "secret");
	assert_refused(AUTH_REFUSED_CREDENTIAL);
	assert_name(answer.authcid, "nobody");
}

static void another_authorization_identity_is_refused(void **state)
{
	plain("bob", "alice", "secret");
	assert_refused(AUTH_REFUSED_AUTHORIZATION);
	assert_name(answer.authcid, "alice");
	plain("bob", "alice", "wrong"); /* not before the password is right */
	assert_refused(AUTH_REFUSED_CREDENTIAL);
	scram("SCRAM-SHA-256", "bob", "alice", "secret");
	assert_refused(AUTH_REFUSED_AUTHORIZATION);
}

static void unacceptable_names_never_reach_the_store(void **state)
{
	static const char *const names[] = { "", " ", "al\nice", "alice\x7f", "j\xf6rg" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		plain("", names[i], "secret");
		assert_refused(AUTH_REFUSED_CREDENTIAL);
		assert_int_equal(answer.authcid.len, 0);
		check(names[i], "secret");
		assert_refused(AUTH_REFUSED_CREDENTIAL);
	}
	assert_int_equal(begin("SCRAM-SHA-256", SPAN("n,,n=al\nice,r=fyko+d2lbbFgONRv9qkx")),
			 AUTH_REFUSED);
	assert_refused(AUTH_REFUSED_CREDENTIAL);
}

static void malformed_scram_is_refused(void **state)
{
	static const char *const messages[] = { "",
						"n,,",
						"p=tls-exporter,,n=alice,r=abcdefghijk",
						"n,,n=alice",
						"x,,n=alice,r=abcdefghijk",
						"n,,m=x,n=alice,r=abcdefghijk" };

	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		enum auth_answer_type type = begin("SCRAM-SHA-256", span_of(messages[i]));

		if (type == AUTH_CHALLENGE)
			type = respond(SPAN("c=biws,r=abcdefghijk,p=AAAA"));
		assert_int_equal(type, AUTH_REFUSED);
	}
	assert_int_equal(begin("SCRAM-SHA-256", SPAN("n,,n=alice,r=abcdefghijklm")),
			 AUTH_CHALLENGE);
	assert_int_equal(respond(SPAN("c=biws,r=abcdefghijklm,p=AAAA")), AUTH_REFUSED);
	assert_int_equal(auth_sasl_open_exchanges(sasl), 0);
}

static void without_tls_nothing_is_taken(void **state)
{
	struct auth_request request;

	for (size_t i = 0; all[i]; i++) {
		request = request_of(AUTH_BEGIN);
		request.mechanism = span_of(all[i]);
		request.tls_bits = 0;
		ask(&request);
		assert_refused(AUTH_REFUSED_MECHANISM);
	}
	request = request_of(AUTH_CHECK);
	request.user = SPAN("alice");
	request.password = SPAN("secret");
	request.tls_bits = 0;
	ask(&request);
	assert_refused(AUTH_REFUSED_MECHANISM);
}

static void only_listed_mechanisms_are_taken(void **state)
{
	static const char *const one[] = { "SCRAM-SHA-256", NULL };
	static const char *const others[] = {
		"PLAIN",    "LOGIN",       "DIGEST-MD5",         "CRAM-MD5", "ANONYMOUS",
		"EXTERNAL", "SCRAM-SHA-1", "SCRAM-SHA-256-PLUS", ""
	};
	struct auth_sasl_settings settings = usual();

	settings.mechanisms = one;
	configure(&settings);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		begin(others[i], SPAN(""));
		assert_refused(AUTH_REFUSED_MECHANISM);
	}
	check("alice", "secret"); /* a bare password is what PLAIN carries */
	assert_refused(AUTH_REFUSED_MECHANISM);
	assert_int_equal(scram("SCRAM-SHA-256", "", "alice", "secret"), AUTH_CHALLENGE);
}

static void who_expects_another_judge_gets_the_temporary_answer(void **state)
{
	struct auth_request request = request_of(AUTH_CHECK);

	request.user = SPAN("alice");
	request.password = SPAN("secret");
	request.decides = false;
	assert_int_equal(ask(&request), AUTH_TEMPORARY);
	assert_int_equal(answer.password.len, 0);
}

/* ---- stores that fail ---- */

static void assert_temporary_everywhere(void)
{
	assert_int_equal(plain("", "alice", "secret"), AUTH_TEMPORARY);
	assert_int_equal(plain("", "alice", "wrong"), AUTH_TEMPORARY);
	assert_int_equal(login("alice", "secret"), AUTH_TEMPORARY);
	assert_int_equal(check("alice", "secret"), AUTH_TEMPORARY);
	assert_int_equal(check("nobody", "secret"), AUTH_TEMPORARY);
	assert_int_equal(auth_sasl_open_exchanges(sasl), 0);
}

static void a_database_that_is_not_there_is_temporary(void **state)
{
	const struct auth_option options[] = { { "auxprop_plugin", "sasldb" },
					       { "sasldb_path", nowhere },
					       { NULL, NULL } };
	const struct auth_sasl_settings settings = settings_of(options);

	configure(&settings);
	assert_temporary_everywhere();
	assert_int_equal(begin("SCRAM-SHA-256", SPAN("n,,n=alice,r=fyko+d2lbbFgONRv9qkx")),
			 AUTH_TEMPORARY);
}

static void a_database_that_is_none_is_temporary(void **state)
{
	const struct auth_option options[] = { { "auxprop_plugin", "sasldb" },
					       { "sasldb_path", nowhere },
					       { NULL, NULL } };
	const struct auth_sasl_settings settings = settings_of(options);

	FILE *file = fopen(nowhere, "w");

	assert_non_null(file);
	fputs("this is no database", file);
	fclose(file);
	configure(&settings);
	assert_temporary_everywhere();
	assert_int_equal(begin("SCRAM-SHA-256", SPAN("n,,n=alice,r=fyko+d2lbbFgONRv9qkx")),
			 AUTH_TEMPORARY);
	unlink(nowhere);
}

static void a_daemon_that_is_away_is_temporary(void **state)
{
	const struct auth_option options[] = { { "pwcheck_method", "saslauthd" },
					       { "saslauthd_path", nowhere },
					       { NULL, NULL } };
	const struct auth_sasl_settings settings = settings_of(options);

	configure(&settings);
	assert_temporary_everywhere();
	assert_name(answer.authcid, "nobody");
}

/* The library would go on to the stores it knows. */
static void no_store_but_the_named_one_is_asked(void **state)
{
	const struct auth_option options[] = { { "auxprop_plugin", "no-such-store" },
					       { "sasldb_path", database },
					       { NULL, NULL } };
	const struct auth_sasl_settings settings = settings_of(options);

	configure(&settings);
	check("alice", "secret");
	assert_int_not_equal(answer.type, AUTH_VERIFIED);
	plain("", "alice", "secret");
	assert_int_not_equal(answer.type, AUTH_VERIFIED);
}

/* ---- configured anew ---- */

static void open_exchanges_keep_what_they_began_with(void **state)
{
	const struct auth_option options[] = { { "auxprop_plugin", "sasldb" },
					       { "sasldb_path", nowhere },
					       { NULL, NULL } };
	static const char *const one[] = { "SCRAM-SHA-256", NULL };
	struct auth_sasl_settings settings = settings_of(options);

	settings.mechanisms = one;
	assert_int_equal(begin("LOGIN", SPAN("alice")), AUTH_CHALLENGE);
	configure(&settings);
	respond(SPAN("secret"));
	assert_verified("alice");
	begin("LOGIN", SPAN("alice"));
	assert_refused(AUTH_REFUSED_MECHANISM);
}

static void another_judge_ends_open_exchanges(void **state)
{
	struct auth_sasl_settings settings = { .hostname = HOST, .mechanisms = all };
	struct auth_request request;

	assert_int_equal(begin("LOGIN", SPAN("alice")), AUTH_CHALLENGE);
	configure(&settings);
	assert_int_equal(respond(SPAN("secret")), AUTH_TEMPORARY);
	request = request_of(AUTH_CHECK);
	request.user = SPAN("alice");
	request.password = SPAN("wrong");
	request.decides = false;
	assert_int_equal(ask(&request), AUTH_CAPTURED);
	settings = usual();
	configure(&settings);
	check("alice", "secret");
	assert_verified("alice");
	check("alice", "wrong");
	assert_refused(AUTH_REFUSED_CREDENTIAL);
}

static void new_users_are_known_at_once(void **state)
{
	check("carol", "secret");
	assert_refused(AUTH_REFUSED_CREDENTIAL);
	add_user("carol");
	check("carol", "secret");
	assert_verified("carol");
}

static void obsolete_mechanisms_are_not_even_loaded(void **state)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		assert_null(strstr(line, "/libdigestmd5."));
		assert_null(strstr(line, "/libntlm."));
		assert_null(strstr(line, "/libcrammd5."));
	}
	fclose(maps);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(obsolete_mechanisms_are_not_even_loaded),
		TEST(a_right_password_verifies_by_every_way),
		TEST(scram_verifies_after_its_last_challenge),
		TEST(the_response_to_the_last_challenge_must_be_empty),
		TEST(a_wrong_password_is_refused_and_names_the_user),
		TEST(an_unknown_user_looks_like_a_wrong_password),
		TEST(an_unknown_user_gets_a_challenge_like_anybody_else),
		TEST(another_authorization_identity_is_refused),
		TEST(unacceptable_names_never_reach_the_store),
		TEST(malformed_scram_is_refused),
		TEST(without_tls_nothing_is_taken),
		TEST(only_listed_mechanisms_are_taken),
		TEST(who_expects_another_judge_gets_the_temporary_answer),
		TEST(a_database_that_is_not_there_is_temporary),
		TEST(a_database_that_is_none_is_temporary),
		TEST(a_daemon_that_is_away_is_temporary),
		TEST(no_store_but_the_named_one_is_asked),
		TEST(open_exchanges_keep_what_they_began_with),
		TEST(another_judge_ends_open_exchanges),
		TEST(new_users_are_known_at_once),
	};

	return cmocka_run_group_tests(tests, make_store, remove_store);
}
