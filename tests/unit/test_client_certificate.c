/* Whether a client's chain is good, and whom it speaks of; then the same behind a handshake, where the client must hold the key. */
#include "frontend/client_certificate.h"
#include "frontend/tls_peer.h"
#include "tests/support/signer.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define PURPOSE                                                                                    \
	{                                                                                          \
		"extendedKeyUsage", "clientAuth"                                                   \
	}
#define ADDRESS(text)                                                                              \
	{                                                                                          \
		"subjectAltName", text                                                             \
	}
#define END                                                                                        \
	{                                                                                          \
		NULL, NULL                                                                         \
	}

static struct pem_pair authority, foreign;
static struct client_trust *trust;

static struct config_blob blob(const char *text)
{
	return (struct config_blob) { (const uint8_t *)text, strlen(text) };
}

static int make_authorities(void **state)
{
	char why[256];

	authority = pem_authority("P-256");
	foreign = pem_authority("P-256");
	trust = client_trust_new(blob(authority.chain), (struct config_blob) { NULL, 0 }, why);
	return trust ? 0 : -1;
}

static int free_authorities(void **state)
{
	client_trust_free(trust);
	pem_free(&authority);
	pem_free(&foreign);
	return 0;
}

/* ---- the chain ---- */

/* The DER of the first certificate of a text; free() it. */
static unsigned char *der_of(const char *pem, size_t *len)
{
	unsigned char *der = malloc(strlen(pem));
	int got = wolfSSL_CertPemToDer((const unsigned char *)pem, (int)strlen(pem), der,
				       (int)strlen(pem), CERT_TYPE);

	assert_true(got > 0);
	*len = (size_t)got;
	return der;
}

static const char *judge(const struct client_trust *by, const char *const *pems, size_t count,
			 struct client_identity *identity)
{
	struct client_chain chain = { .count = count };
	unsigned char *ders[CLIENT_CHAIN_MAX];
	const char *why;

	for (size_t i = 0; i < count; i++) {
		ders[i] = der_of(pems[i], &chain.items[i].len);
		chain.items[i].data = ders[i];
	}
	why = client_trust_judge(by, &chain, identity);
	for (size_t i = 0; i < count; i++)
		free(ders[i]);
	return why;
}

static const char *judge_client(const char *kind, const struct pem_extension *extensions, int days,
				struct client_identity *identity)
{
	struct pem_pair client = pem_issue_client(&authority, kind, "Alice", extensions, days);
	const char *pem = client.chain;
	const char *why = judge(trust, &pem, 1, identity);

	pem_free(&client);
	return why;
}

static void a_good_one_says_who_it_is(void **state)
{
	static const struct pem_extension all[] = {
		PURPOSE, ADDRESS("DNS:mail.example.test,email:Alice@Example.Test,URI:https://x/"),
		END
	};
	static const struct pem_extension bare[] = { END };
	static const char *const kinds[] = { "P-256", "P-384", "RSA-2048" };
	struct client_identity identity;

	for (size_t i = 0; i < 3; i++) {
		assert_null(judge_client(kinds[i], all, 1, &identity));
		assert_string_equal(identity.subject, "CN=Alice");
		assert_int_equal(identity.address_count, 1);
		assert_string_equal(identity.addresses[0], "Alice@example.test");
		assert_false(identity.ambiguous);
	}
	assert_null(judge_client("P-256", bare, 1, &identity));
	assert_int_equal(identity.address_count, 0);
	assert_false(identity.ambiguous);
}

/* DER: a sequence of names, 0x81 is an rfc822Name. */
static void what_is_no_address_leaves_its_holder_without_one(void **state)
{
	static const struct {
		const char *name;
		unsigned count;
	} cases[] = {
		{ "DER:30:07:81:05:61:40:62:00:63", 0 },          /* a@b, NUL, c */
		{ "DER:30:06:81:04:61:0a:40:62", 0 },             /* a line end */
		{ "DER:30:06:81:04:61:40:e4:62", 0 },             /* not ASCII */
		{ "DER:30:02:81:00", 0 },                         /* nothing */
		{ "DER:30:0a:81:03:61:40:62:81:03:61:0a:62", 1 }, /* one beside it is fine */
		{ "DER:04:03:61:40:62", 0 },                      /* no sequence of names at all */
		{ "DER:30:0a:81:05:61:40", 0 },                   /* cut off */
	};
	struct client_identity identity;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct pem_extension extensions[] = { ADDRESS(cases[i].name), END };
		const char *why = judge_client("P-256", extensions, 1, &identity);

		if (why == NULL &&
		    (identity.address_count != cases[i].count || !identity.ambiguous))
			fail_msg("%s", cases[i].name);
		if (why == NULL)
			assert_int_equal(client_users_find(NULL, &identity).len, 0);
	}
}

static void several_addresses_are_all_there_up_to_a_bound(void **state)
{
	static const struct pem_extension two[] = { ADDRESS("email:a@b,email:c@d"), END };
	static const struct pem_extension nine[] = {
		ADDRESS("email:1@b,email:2@b,email:3@b,email:4@b,email:5@b,email:6@b,email:7@b,"
			"email:8@b,email:9@b"),
		END
	};
	struct client_identity identity;

	assert_null(judge_client("P-256", two, 1, &identity));
	assert_int_equal(identity.address_count, 2);
	assert_string_equal(identity.addresses[1], "c@d");
	assert_false(identity.ambiguous);
	assert_null(judge_client("P-256", nine, 1, &identity));
	assert_int_equal(identity.address_count, CLIENT_ADDRESSES_MAX);
	assert_true(identity.ambiguous);
}

static void a_bad_one_is_told_in_a_word(void **state)
{
	static const struct pem_extension bare[] = { END };
	static const struct pem_extension other[] = { { "extendedKeyUsage", "serverAuth" }, END };
	static const struct pem_extension usage[] = { { "keyUsage", "critical,keyEncipherment" },
						      END };
	static const struct pem_extension odd[] = { { "nsComment", "critical,x" }, END };
	struct client_identity identity;
	const char *pem = foreign.chain;

	assert_string_equal(judge_client("P-256", bare, -1, &identity), "expired");
	assert_string_equal(judge_client("P-256", other, 1, &identity), "purpose");
	assert_string_equal(judge_client("P-256", usage, 1, &identity), "purpose");
	assert_string_equal(judge_client("RSA-1024", bare, 1, &identity), "weak");
	assert_non_null(judge_client("P-256", odd, 1, &identity));
	assert_string_equal(judge(trust, &pem, 1, &identity), "unknown_authority");
	assert_string_equal(judge(trust, &pem, 0, &identity), "malformed");
	assert_int_equal(identity.address_count, 0);
}

/* Same name, other key. */
static void a_namesake_of_the_authority_is_not_the_authority(void **state)
{
	static const struct pem_extension bare[] = { END };
	struct pem_pair client = pem_issue_client(&foreign, "P-256", "Alice", bare, 1);
	const char *both[] = { client.chain, foreign.chain };
	struct client_identity identity;

	assert_non_null(judge(trust, both, 1, &identity));
	assert_non_null(judge(trust, both, 2, &identity));
	pem_free(&client);
}

static void what_is_no_certificate_is_malformed_at_every_length(void **state)
{
	static const struct pem_extension bare[] = { END };
	struct pem_pair client = pem_issue_client(&authority, "P-256", "Alice", bare, 1);
	struct client_identity identity;
	struct client_chain chain = { .count = 1 };
	size_t len;
	unsigned char *der = der_of(client.chain, &len), *longer = calloc(1, len + 1);

	chain.items[0].data = der;
	for (size_t i = 0; i < len; i++) {
		chain.items[0].len = i;
		assert_string_equal(client_trust_judge(trust, &chain, &identity), "malformed");
	}
	memcpy(longer, der, len);
	chain.items[0].data = longer;
	chain.items[0].len = len + 1;
	assert_string_equal(client_trust_judge(trust, &chain, &identity), "malformed");
	free(longer);
	free(der);
	pem_free(&client);
}

/* ---- revocation ---- */

static void a_list_revokes_and_without_one_of_the_issuer_nothing_is_good(void **state)
{
	static const struct pem_extension bare[] = { END };
	struct pem_pair good = pem_issue_client(&authority, "P-256", "Good", bare, 1);
	struct pem_pair bad = pem_issue_client(&authority, "P-256", "Bad", bare, 1);
	char *list = pem_revocation_list(&authority, &bad),
	     *other = pem_revocation_list(&foreign, NULL);
	const char *pems[] = { good.chain, bad.chain };
	struct client_identity identity;
	struct client_trust *strict;
	char why[256];

	strict = client_trust_new(blob(authority.chain), blob(list), why);
	assert_non_null(strict);
	assert_false(client_trust_outdated(strict));
	assert_null(judge(strict, &pems[0], 1, &identity));
	assert_string_equal(judge(strict, &pems[1], 1, &identity), "revoked");
	client_trust_free(strict);
	strict = client_trust_new(blob(authority.chain), blob(other), why); /* of a namesake */
	assert_non_null(strict);
	assert_string_equal(judge(strict, &pems[0], 1, &identity), "revocation_unknown");
	client_trust_free(strict);
	free(list);
	free(other);
	pem_free(&good);
	pem_free(&bad);
}

static void what_the_operator_gives_is_looked_at(void **state)
{
	static const struct pem_extension bare[] = { END };
	struct pem_pair client = pem_issue_client(&authority, "P-256", "Alice", bare, 1);
	char why[256], broken[200];

	assert_null(client_trust_new(blob(client.chain), (struct config_blob) { NULL, 0 }, why));
	assert_non_null(strstr(why, "none at the top"));
	assert_null(client_trust_new(blob("text"), (struct config_blob) { NULL, 0 }, why));
	snprintf(broken, sizeof(broken), "%.150s\n-----END CERTIFICATE-----\n", authority.chain);
	assert_null(client_trust_new(blob(broken), (struct config_blob) { NULL, 0 }, why));
	assert_string_equal(why, "certificate 1 of the authorities cannot be read");
	assert_null(client_trust_new(blob(authority.chain), blob(authority.chain), why));
	assert_non_null(strstr(why, "no revocation list"));
	assert_null(
		client_trust_new(blob(authority.chain),
				 blob("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"),
				 why));
	assert_string_equal(why, "revocation list 1 cannot be read");
	pem_free(&client);
}

/* ---- behind a handshake ---- */

struct ends {
	struct pem_pair server_pem;
	struct tls_context *server_context, *client_context;
	struct tls *server, *client;
	struct buffer to_server, to_client;
	struct client_rules rules;
};

static void open_ends(struct ends *e, bool required, const char *chain, const char *key, bool old)
{
	static const struct tls_accept accept = { .sni = "mail.example.test" };
	const struct config_pool pool = { .verify = VERIFY_NONE };
	char why[256];

	*e = (struct ends) { .rules = { .trust = trust, .required = required } };
	e->server_pem = pem_issue(&authority, "P-256", "mail.example.test");
	e->server_context = signer_context(&e->server_pem, profile_find(PROFILE_MODERN));
	e->client_context = tls_context_client(&pool, why);
	assert_true(tls_context_ask_client(e->server_context, &e->rules));
	assert_int_equal(wolfSSL_CTX_use_certificate_chain_buffer(e->client_context->ctx,
								  (const unsigned char *)chain,
								  (long)strlen(chain)),
			 WOLFSSL_SUCCESS);
	assert_int_equal(wolfSSL_CTX_use_PrivateKey_buffer(e->client_context->ctx,
							   (const unsigned char *)key,
							   (long)strlen(key), WOLFSSL_FILETYPE_PEM),
			 WOLFSSL_SUCCESS);
	if (old)
		assert_int_equal(wolfSSL_CTX_set_max_proto_version(e->client_context->ctx,
								   TLS1_2_VERSION),
				 WOLFSSL_SUCCESS);
	e->server = tls_accept_new(e->server_context, &accept);
	e->client = tls_connect_new(e->client_context, "mail.example.test");
	buffer_init(&e->to_server, 1 << 20);
	buffer_init(&e->to_client, 1 << 20);
}

static enum tls_result shake(struct ends *e)
{
	enum tls_result client = TLS_AGAIN, server = TLS_AGAIN;

	for (int i = 0; i < 10 && server == TLS_AGAIN && client != TLS_FAILED; i++) {
		if (client == TLS_AGAIN)
			client = tls_handshake(e->client, &e->to_client, &e->to_server);
		server = tls_handshake(e->server, &e->to_server, &e->to_client);
	}
	return server;
}

static void close_ends(struct ends *e)
{
	tls_free(e->server);
	tls_free(e->client);
	tls_context_drop(e->server_context);
	tls_context_drop(e->client_context);
	signer_forget();
	buffer_cleanup(&e->to_server);
	buffer_cleanup(&e->to_client);
	pem_free(&e->server_pem);
}

static const struct pem_extension alice[] = { PURPOSE, ADDRESS("email:alice@example.test"), END };

static void a_client_that_holds_the_key_is_verified(void **state)
{
	struct pem_pair own = pem_issue_client(&authority, "P-256", "Alice", alice, 1);

	for (int i = 0; i < 4; i++) {
		struct client_certificate *client;
		struct ends e;

		open_ends(&e, i & 1, own.chain, own.key, i & 2);
		assert_int_equal(shake(&e), TLS_DONE);
		client = tls_take_client_certificate(e.server);
		assert_int_equal(client->status, CLIENT_CERTIFICATE_VERIFIED);
		assert_string_equal(client->name, "alice@example.test");
		assert_string_equal(client->user, "alice@example.test");
		assert_null(client->fault);
		assert_null(tls_take_client_certificate(e.server));
		client_certificate_free(client);
		close_ends(&e);
	}
	pem_free(&own);
}

/* Somebody else's certificate is no secret. */
static void a_certificate_without_its_key_ends_the_handshake(void **state)
{
	struct pem_pair own = pem_issue_client(&authority, "P-256", "Alice", alice, 1);
	struct pem_pair other = pem_issue_client(&authority, "P-256", "Mallory", alice, 1);

	for (int i = 0; i < 4; i++) {
		struct ends e;

		open_ends(&e, i & 1, own.chain, other.key, i & 2);
		assert_int_equal(shake(&e), TLS_FAILED);
		close_ends(&e);
	}
	pem_free(&own);
	pem_free(&other);
}

static void a_strangers_certificate_is_ignored_or_refused(void **state)
{
	struct pem_pair own = pem_issue_client(&foreign, "P-256", "Alice", alice, 1);

	for (int i = 0; i < 4; i++) {
		struct client_certificate *client;
		struct ends e;

		open_ends(&e, i & 1, own.chain, own.key, i & 2);
		assert_int_equal(shake(&e), i & 1 ? TLS_FAILED : TLS_DONE);
		if (i & 1)
			assert_string_equal(tls_failure(e.server), "client_certificate");
		client = tls_take_client_certificate(e.server);
		assert_int_equal(client->status, CLIENT_CERTIFICATE_UNVERIFIED);
		assert_null(client->name);
		assert_null(client->user);
		assert_non_null(client->fault);
		client_certificate_free(client);
		close_ends(&e);
	}
	pem_free(&own);
}

/* What the library itself trusts (as it must, to staple a response) does not count. */
static void another_anchor_of_the_library_lets_nobody_in(void **state)
{
	static const struct tls_accept accept = { .sni = "mail.example.test" };
	struct pem_pair own = pem_issue_client(&foreign, "P-256", "Alice", alice, 1);
	struct client_certificate *client;
	struct ends e;

	open_ends(&e, false, own.chain, own.key, false);
	assert_int_equal(wolfSSL_CTX_load_verify_buffer(e.server_context->ctx,
							(const unsigned char *)foreign.chain,
							(long)strlen(foreign.chain),
							WOLFSSL_FILETYPE_PEM),
			 WOLFSSL_SUCCESS);
	tls_free(e.server);
	e.server = tls_accept_new(e.server_context, &accept);
	assert_int_equal(shake(&e), TLS_DONE);
	client = tls_take_client_certificate(e.server);
	assert_int_equal(client->status, CLIENT_CERTIFICATE_UNVERIFIED);
	client_certificate_free(client);
	close_ends(&e);
	pem_free(&own);
}

/* Nine, where eight may be sent. */
static void a_chain_has_a_bound(void **state)
{
	struct pem_pair own = pem_issue_client(&authority, "P-256", "Alice", alice, 1);
	size_t size = strlen(own.chain) + 8 * strlen(foreign.chain) + 1;
	char *chain = malloc(size);
	struct client_certificate *client;
	struct ends e;

	snprintf(chain, size, "%s", own.chain);
	for (int i = 0; i < 7; i++)
		strcat(chain, foreign.chain);
	open_ends(&e, false, chain, own.key, false);
	assert_int_equal(shake(&e), TLS_DONE);
	client = tls_take_client_certificate(e.server);
	assert_int_equal(client->status, CLIENT_CERTIFICATE_VERIFIED);
	client_certificate_free(client);
	close_ends(&e);
	strcat(chain, foreign.chain);
	open_ends(&e, true, chain, own.key, false);
	assert_int_equal(shake(&e), TLS_FAILED);
	close_ends(&e);
	free(chain);
	pem_free(&own);
}

static int start(void **state)
{
	return tls_init() == 0 ? make_authorities(state) : -1;
}

static int stop(void **state)
{
	free_authorities(state);
	tls_cleanup();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_one_says_who_it_is),
		cmocka_unit_test(what_is_no_address_leaves_its_holder_without_one),
		cmocka_unit_test(several_addresses_are_all_there_up_to_a_bound),
		cmocka_unit_test(a_bad_one_is_told_in_a_word),
		cmocka_unit_test(a_namesake_of_the_authority_is_not_the_authority),
		cmocka_unit_test(what_is_no_certificate_is_malformed_at_every_length),
		cmocka_unit_test(a_list_revokes_and_without_one_of_the_issuer_nothing_is_good),
		cmocka_unit_test(what_the_operator_gives_is_looked_at),
		cmocka_unit_test(a_client_that_holds_the_key_is_verified),
		cmocka_unit_test(a_certificate_without_its_key_ends_the_handshake),
		cmocka_unit_test(a_strangers_certificate_is_ignored_or_refused),
		cmocka_unit_test(another_anchor_of_the_library_lets_nobody_in),
		cmocka_unit_test(a_chain_has_a_bound),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
