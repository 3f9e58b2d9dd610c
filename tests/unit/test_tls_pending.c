/* test_tls_pending - handshakes that wait for a signature, over memory, with OpenSSL as the client. */
#include "tests/support/signer.h"
#include <setjmp.h>
#include <stdarg.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define NAME "mail.example.test"

static struct pem_pair authority;
static SSL_CTX *client_ctx;

/* One client and one server, and the wire between them. */
struct pair {
	struct tls *server;
	SSL *client;
	struct buffer to_server, to_client;
};

static void carry(struct pair *p)
{
	char data[4096];
	int len;

	while ((len = BIO_read(SSL_get_wbio(p->client), data, sizeof(data))) > 0)
		assert_true(buffer_append(&p->to_server, data, (size_t)len));
	len = (int)buffer_len(&p->to_client);
	if (len == 0)
		return;
	assert_int_equal(BIO_write(SSL_get_rbio(p->client), buffer_data(&p->to_client), len), len);
	buffer_consume(&p->to_client, (size_t)len);
}

static void open_pair(struct pair *p, struct tls_context *context, int version)
{
	const struct tls_accept accept = { .sni = NAME };

	*p = (struct pair) { .client = SSL_new(client_ctx) };
	buffer_init(&p->to_server, 1 << 20);
	buffer_init(&p->to_client, 1 << 20);
	SSL_set_bio(p->client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_connect_state(p->client);
	SSL_set_max_proto_version(p->client, version);
	SSL_set_verify(p->client, SSL_VERIFY_PEER, NULL);
	p->server = tls_accept_new(context, &accept);
	assert_non_null(p->server);
	SSL_do_handshake(p->client);
	carry(p);
}

static void close_pair(struct pair *p)
{
	tls_free(p->server);
	SSL_free(p->client);
	buffer_cleanup(&p->to_server);
	buffer_cleanup(&p->to_client);
}

static enum tls_result step(struct pair *p)
{
	enum tls_result result = tls_handshake(p->server, &p->to_server, &p->to_client);

	carry(p);
	return result;
}

/* The server's flight is half made, and the signature under way. */
static void wait_for(struct pair *p, struct tls_request *request)
{
	struct tls_request again;

	assert_int_equal(step(p), TLS_PENDING);
	assert_false(tls_waits(p->server));
	assert_true(tls_take_request(p->server, request));
	assert_false(tls_take_request(p->server, &again));
	assert_true(tls_waits(p->server));
}

static void finish(struct pair *p)
{
	enum tls_result server = TLS_AGAIN;
	char octet;

	for (int i = 0; i < 4 && server == TLS_AGAIN; i++) {
		server = step(p);
		SSL_do_handshake(p->client);
		carry(p);
	}
	assert_int_equal(server, TLS_DONE);
	assert_int_equal(SSL_is_init_finished(p->client), 1);
	assert_int_equal(tls_write(p->server, &p->to_server, &p->to_client, "x", 1), TLS_DONE);
	carry(p);
	assert_int_equal(SSL_read(p->client, &octet, 1), 1);
}

static const char *const kinds[] = { "P-256", "P-384", "RSA-2048", "RSA-3072" };

static struct tls_context *context_of(const char *kind)
{
	struct pem_pair pem = pem_issue(&authority, kind, NAME);
	struct tls_context *context = signer_token_context(&pem, profile_find(PROFILE_MODERN));

	pem_free(&pem);
	return context;
}

static void a_signature_that_comes_later(void **state)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct tls_context *context = context_of(kinds[i]);
		uint8_t signature[KEY_SIGNATURE_MAX];
		struct tls_request request;
		struct pair p;
		size_t len;

		open_pair(&p, context, TLS1_3_VERSION);
		wait_for(&p, &request);
		assert_int_equal(step(&p), TLS_PENDING); /* still nothing */
		assert_true(tls_waits(p.server));
		assert_true(signer_sign(&request, signature, &len));
		tls_signed(p.server, signature, len);
		assert_false(tls_waits(p.server));
		finish(&p);
		close_pair(&p);
		tls_context_drop(context);
	}
}

/* Of one context, answered in another order than they have asked. */
static void two_at_a_time(void **state)
{
	struct tls_context *context = context_of("RSA-2048");
	uint8_t signature[KEY_SIGNATURE_MAX];
	struct tls_request requests[2];
	struct pair p[2];
	size_t len;

	for (size_t i = 0; i < 2; i++) {
		open_pair(&p[i], context, TLS1_3_VERSION);
		wait_for(&p[i], &requests[i]);
	}
	for (size_t i = 2; i-- > 0;) {
		assert_true(signer_sign(&requests[i], signature, &len));
		tls_signed(p[i].server, signature, len);
		finish(&p[i]);
		close_pair(&p[i]);
	}
	tls_context_drop(context);
}

static void no_signature(void **state)
{
	struct tls_context *context = context_of("P-256");
	uint8_t octets[KEY_SIGNATURE_MAX + 1] = { 0 };

	for (size_t i = 0; i < 2; i++) {
		struct tls_request request;
		struct pair p;

		open_pair(&p, context, TLS1_3_VERSION);
		wait_for(&p, &request);
		tls_signed(p.server, i == 0 ? NULL : octets, i == 0 ? 0 : sizeof(octets));
		assert_int_equal(step(&p), TLS_FAILED);
		assert_string_equal(tls_failure(p.server), "token");
		close_pair(&p);
	}
	tls_context_drop(context);
}

/* The library verifies what it has got of RSA; of ECDSA the client does. */
static void a_wrong_signature(void **state)
{
	struct tls_context *context = context_of("RSA-2048");
	uint8_t signature[256] = { 1 };
	struct tls_request request;
	struct pair p;

	open_pair(&p, context, TLS1_3_VERSION);
	wait_for(&p, &request);
	tls_signed(p.server, signature, sizeof(signature));
	assert_int_equal(step(&p), TLS_FAILED);
	close_pair(&p);
	tls_context_drop(context);
}

static void lie(struct tls_context *context, const uint8_t *lie, size_t len)
{
	struct tls_request request;
	struct pair p;

	open_pair(&p, context, TLS1_3_VERSION);
	wait_for(&p, &request);
	tls_signed(p.server, lie, len);
	for (int turn = 0; turn < 4; turn++) {
		assert_int_not_equal(step(&p), TLS_DONE);
		SSL_do_handshake(p.client);
		carry(&p);
	}
	assert_false(SSL_is_init_finished(p.client));
	close_pair(&p);
}

/* Of any length, as of a process that is not what it was. */
static void lies(void **state)
{
	static const uint8_t octets[] = { 0x00, 0x30, 0xff };
	uint8_t data[KEY_SIGNATURE_MAX];

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct tls_context *context = context_of(kinds[i]);

		for (size_t j = 0; j < sizeof(octets); j++) {
			memset(data, octets[j], sizeof(data));
			for (size_t len = 0; len < 4; len++)
				lie(context, data, len);
			for (size_t len = 8; len <= sizeof(data); len += 24)
				lie(context, data, len);
		}
		tls_context_drop(context);
	}
}

static void an_answer_that_nobody_waits_for(void **state)
{
	struct tls_context *context = context_of("P-256");
	uint8_t signature[KEY_SIGNATURE_MAX];
	struct tls_request request;
	struct pair p;
	size_t len;

	open_pair(&p, context, TLS1_3_VERSION);
	tls_signed(p.server, (const uint8_t *)"early", 5);
	assert_false(tls_take_request(p.server, &request));
	wait_for(&p, &request);
	assert_true(signer_sign(&request, signature, &len));
	tls_signed(p.server, signature, len);
	tls_signed(p.server, NULL, 0);
	finish(&p);
	tls_signed(p.server, NULL, 0);
	close_pair(&p);
	tls_context_drop(context);
}

static void a_session_that_ends_while_it_waits(void **state)
{
	struct tls_context *context = context_of("P-256");
	struct tls_request request;
	struct pair p;

	open_pair(&p, context, TLS1_3_VERSION);
	wait_for(&p, &request);
	close_pair(&p);
	tls_context_drop(context);
}

static void tls_1_2_is_not_spoken_with_such_a_key(void **state)
{
	struct tls_context *context = context_of("P-256");
	struct pair p;

	open_pair(&p, context, TLS1_2_VERSION);
	assert_int_equal(step(&p), TLS_FAILED);
	assert_string_equal(tls_failure(p.server), "tls_version");
	close_pair(&p);
	tls_context_drop(context);
}

static int setup(void **state)
{
	X509 *root;
	BIO *bio;

	assert_int_equal(tls_init(), 0);
	authority = pem_authority("P-256");
	client_ctx = SSL_CTX_new(TLS_client_method());
	bio = BIO_new_mem_buf(authority.chain, -1);
	root = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	assert_int_equal(X509_STORE_add_cert(SSL_CTX_get_cert_store(client_ctx), root), 1);
	X509_free(root);
	BIO_free(bio);
	return 0;
}

static int teardown(void **state)
{
	SSL_CTX_free(client_ctx);
	pem_free(&authority);
	signer_forget();
	tls_cleanup();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_signature_that_comes_later),
		cmocka_unit_test(two_at_a_time),
		cmocka_unit_test(no_signature),
		cmocka_unit_test(a_wrong_signature),
		cmocka_unit_test(lies),
		cmocka_unit_test(an_answer_that_nobody_waits_for),
		cmocka_unit_test(a_session_that_ends_while_it_waits),
		cmocka_unit_test(tls_1_2_is_not_spoken_with_such_a_key),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
