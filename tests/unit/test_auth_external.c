/* auth_sasl with EXTERNAL, against the real library: who is verified is who TLS has verified, and nobody else; what a store knows or
 * whether it is there does not matter. RFC 4422 appendix A. */
#include "auth/auth_sasl.h"
#include "protocols/credential.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static const struct auth_peer worker = { 0, 1 };
static const char *const both[] = { "PLAIN", "EXTERNAL", NULL };
static const char *const alone[] = { "EXTERNAL", NULL };
static char folder[] = "/tmp/postern-external-XXXXXX", database[64], nowhere[64];
static struct auth_option stores[] = { { "auxprop_plugin", "sasldb" },
				       { "sasldb_path", database } };
static struct auth_option missing[] = { { "auxprop_plugin", "sasldb" },
					{ "sasldb_path", nowhere } };
static struct auth_option daemon_away[] = { { "pwcheck_method", "saslauthd" },
					    { "saslauthd_path", nowhere } };
static struct auth_sasl *sasl;
static struct auth_answer answer;
static uint32_t serial;

static const struct setting {
	const char *const *mechanisms;
	const struct auth_option *options;
	size_t count;
} settings_of[] = {
	{ both, stores, 2 },
	{ both, missing, 2 },
	{ both, daemon_away, 2 },
	{ alone, NULL, 0 },
};

static int make_store(void **state)
{
	char command[256];

	if (!mkdtemp(folder))
		return -1;
	snprintf(database, sizeof(database), "%s/sasldb2", folder);
	snprintf(nowhere, sizeof(nowhere), "%s/nowhere", folder);
	snprintf(command, sizeof(command), "printf secret | saslpasswd2 -p -c -u %s -f %s alice",
		 "mail.example.test", database);
	return system(command);
}

static int remove_store(void **state)
{
	unlink(database);
	return rmdir(folder);
}

static void start(const struct setting *setting, bool decides)
{
	const struct auth_sasl_settings settings = {
		.hostname = "mail.example.test",
		.mechanisms = setting->mechanisms,
		.decides = decides,
		.options = setting->options,
		.option_count = setting->count,
	};
	const char *why = "";

	sasl = auth_sasl_new(&settings, &why);
	if (sasl == NULL)
		fail_msg("%s", why);
}

static int stop(void **state)
{
	auth_sasl_free(sasl);
	sasl = NULL;
	return 0;
}

/* response: base64; NULL: no initial one */
static struct auth_request begin(const char *external, const char *response)
{
	return (struct auth_request) {
		.type = AUTH_BEGIN,
		.exchange = { 7, ++serial },
		.service = SPAN("imap"),
		.mechanism = SPAN("EXTERNAL"),
		.external = span_of(external),
		.response = span_of(response ? response : ""),
		.has_response = response != NULL,
		.tls_bits = 256,
		.decides = true,
	};
}

static enum auth_answer_type ask(struct auth_request request)
{
	memset(&answer, 0, sizeof(answer));
	assert_true(auth_sasl_request(sasl, worker, 1000., &request, &answer));
	return answer.type;
}

static enum auth_answer_type respond(const char *response)
{
	return ask((struct auth_request) {
		.type = AUTH_CONTINUE,
		.exchange = { 7, serial },
		.has_response = true,
		.response = span_of(response),
	});
}

static void assert_verified(const char *user)
{
	assert_int_equal(answer.type, AUTH_VERIFIED);
	assert_true(answer.authcid.len == strlen(user) &&
		    memcmp(answer.authcid.data, user, strlen(user)) == 0);
	assert_true(answer.authzid.len == strlen(user) &&
		    memcmp(answer.authzid.data, user, strlen(user)) == 0);
	assert_int_equal(answer.password.len, 0);
}

static void assert_refused(enum auth_refusal why)
{
	assert_int_equal(answer.type, AUTH_REFUSED);
	assert_int_equal(answer.refusal, why);
}

/* "YWxpY2U=" is "alice", "dW5rbm93bg==" is "unknown", "Ym9i" is "bob" */
static void who_tls_has_verified_is_verified_whatever_the_stores_know(void **state)
{
	for (size_t i = 0; i < sizeof(settings_of) / sizeof(settings_of[0]); i++) {
		start(&settings_of[i], true);
		ask(begin("alice", ""));
		assert_verified("alice");
		ask(begin("alice", "YWxpY2U="));
		assert_verified("alice");
		ask(begin("unknown", ""));
		assert_verified("unknown");
		ask(begin("unknown", "dW5rbm93bg=="));
		assert_verified("unknown");
		assert_int_equal(ask(begin("carol@example.test", NULL)), AUTH_CHALLENGE);
		assert_int_equal(answer.challenge.len, 0);
		respond("");
		assert_verified("carol@example.test");
		assert_int_equal(ask(begin("alice", NULL)), AUTH_CHALLENGE);
		respond("YWxpY2U=");
		assert_verified("alice");
		assert_int_equal(auth_sasl_open_exchanges(sasl), 0);
		stop(NULL);
	}
}

static void another_identity_is_refused(void **state)
{
	start(&settings_of[0], true);
	ask(begin("alice", "Ym9i"));
	assert_refused(AUTH_REFUSED_AUTHORIZATION);
	ask(begin("bob", "YWxpY2U="));
	assert_refused(AUTH_REFUSED_AUTHORIZATION);
	assert_int_equal(ask(begin("alice", NULL)), AUTH_CHALLENGE);
	respond("Ym9i");
	assert_refused(AUTH_REFUSED_AUTHORIZATION);
	ask(begin("alice", "QUxJQ0U=")); /* ALICE */
	assert_refused(AUTH_REFUSED_AUTHORIZATION);
	ask(begin("alice", "YWxpY2UA")); /* with a NUL behind */
	assert_int_equal(answer.type, AUTH_REFUSED);
	ask(begin("alice", "%%%%"));
	assert_refused(AUTH_REFUSED_ENCODING);
}

static void without_a_verified_name_there_is_no_such_mechanism(void **state)
{
	struct auth_request request;

	start(&settings_of[0], true);
	ask(begin("", ""));
	assert_refused(AUTH_REFUSED_MECHANISM);
	ask(begin("", "YWxpY2U="));
	assert_refused(AUTH_REFUSED_MECHANISM);
	ask(begin("al\nice", ""));
	assert_refused(AUTH_REFUSED_MECHANISM);
	request = begin("alice", "");
	request.tls_bits = 0;
	ask(request);
	assert_refused(AUTH_REFUSED_MECHANISM);
}

/* The name is for EXTERNAL alone: whoever gives a password is who the password says. */
static void a_password_beside_a_certificate_is_still_looked_at(void **state)
{
	struct auth_request request = begin("bob", "AGFsaWNlAHNlY3JldA=="); /* alice, secret */

	start(&settings_of[0], true);
	request.mechanism = SPAN("PLAIN");
	ask(request);
	assert_verified("alice");
	request.exchange.serial = ++serial;
	request.response = SPAN("AGJvYgB3cm9uZw=="); /* bob, wrong */
	ask(request);
	assert_refused(AUTH_REFUSED_CREDENTIAL);
}

static void where_the_server_decides_nobody_is_verified_by_it(void **state)
{
	struct auth_request request = begin("alice", "");

	start(&settings_of[0], false);
	request.decides = false;
	ask(request);
	assert_refused(AUTH_REFUSED_MECHANISM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(who_tls_has_verified_is_verified_whatever_the_stores_know,
					  stop),
		cmocka_unit_test_teardown(another_identity_is_refused, stop),
		cmocka_unit_test_teardown(without_a_verified_name_there_is_no_such_mechanism, stop),
		cmocka_unit_test_teardown(a_password_beside_a_certificate_is_still_looked_at, stop),
		cmocka_unit_test_teardown(where_the_server_decides_nobody_is_verified_by_it, stop),
	};

	return cmocka_run_group_tests(tests, make_store, remove_store);
}
