/* The TLS gate over memory: handshakes, names, closing, and what a peer may not get. */
#include "frontend/tls.h"
#include "tests/support/signer.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define NAME "mail.example.test"

static struct pem_pair authority, foreign;

/* Two ends and the wire between them. */
struct pair {
	struct pem_pair pem;
	struct tls_context *server_context, *client_context;
	struct tls *server, *client;
	struct buffer to_server, to_client;
};

static struct config_blob blob(const char *text)
{
	return (struct config_blob) { (const uint8_t *)text, strlen(text) };
}

static void open_pair(struct pair *p, const char *kind, const char *issued_for,
		      const char *expected, const struct pem_pair *trusted)
{
	static const struct tls_accept accept = { .sni = NAME };
	struct config_pool pool = { .verify = trusted ? VERIFY_CA : VERIFY_NONE };
	char why[256];

	p->pem = pem_issue(&authority, kind, issued_for);
	if (trusted != NULL)
		pool.ca_pem = blob(trusted->chain);
	p->server_context = signer_context(&p->pem, profile_find(PROFILE_MODERN));
	p->client_context = tls_context_client(&pool, why);
	assert_non_null(p->client_context);
	p->server = tls_accept_new(p->server_context, &accept);
	p->client = tls_connect_new(p->client_context, expected);
	assert_non_null(p->server);
	assert_non_null(p->client);
	buffer_init(&p->to_server, 1 << 20);
	buffer_init(&p->to_client, 1 << 20);
}

static void close_pair(struct pair *p)
{
	tls_free(p->server);
	tls_free(p->client);
	tls_context_drop(p->server_context);
	tls_context_drop(p->client_context);
	signer_forget();
	buffer_cleanup(&p->to_server);
	buffer_cleanup(&p->to_client);
	pem_free(&p->pem);
}

/* Until both are done or one has failed; the client's result. */
static enum tls_result shake(struct pair *p, enum tls_result *server)
{
	enum tls_result client = TLS_AGAIN;

	*server = TLS_AGAIN;
	for (int i = 0; i < 10 && (client == TLS_AGAIN || *server == TLS_AGAIN); i++) {
		if (client == TLS_AGAIN)
			client = tls_handshake(p->client, &p->to_client, &p->to_server);
		if (*server == TLS_AGAIN)
			*server = tls_handshake(p->server, &p->to_server, &p->to_client);
		if (client == TLS_FAILED || *server == TLS_FAILED)
			break;
	}
	return client;
}

static void must_shake(struct pair *p)
{
	enum tls_result server;

	assert_int_equal(shake(p, &server), TLS_DONE);
	assert_int_equal(server, TLS_DONE);
}

static void each_kind_of_key_makes_a_handshake(void **state)
{
	static const char *const kinds[] = { "P-256",    "P-384",    "RSA-2048",
					     "RSA-2049", "RSA-3072", "Ed25519" };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct pair p;
		struct tls_facts facts;

		open_pair(&p, kinds[i], NAME, NAME, &authority);
		must_shake(&p);
		tls_facts(p.server, &facts);
		assert_string_equal(facts.version, "TLSv1.3");
		assert_string_equal(facts.cipher, "TLS_AES_128_GCM_SHA256");
		assert_string_equal(facts.sni, NAME);
		assert_int_equal(facts.bits, 128);
		assert_false(facts.resumed);
		close_pair(&p);
	}
}

static void bytes_arrive_unchanged_both_ways(void **state)
{
	struct pair p;
	char data[40000], got[16384];
	size_t len, total = 0;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 31 + i / 256);
	open_pair(&p, "P-256", NAME, NAME, &authority);
	must_shake(&p);
	assert_int_equal(tls_write(p.client, &p.to_client, &p.to_server, data, sizeof(data)),
			 TLS_DONE);
	while (tls_read(p.server, &p.to_server, &p.to_client, got, sizeof(got), &len) == TLS_DONE) {
		assert_memory_equal(got, data + total, len);
		total += len;
	}
	assert_int_equal(total, sizeof(data));
	assert_int_equal(tls_write(p.server, &p.to_server, &p.to_client, "answer", 6), TLS_DONE);
	assert_int_equal(tls_read(p.client, &p.to_client, &p.to_server, got, sizeof(got), &len),
			 TLS_DONE);
	assert_int_equal(len, 6);
	close_pair(&p);
}

static void nothing_but_ciphertext_is_queued(void **state)
{
	struct pair p;

	open_pair(&p, "P-256", NAME, NAME, &authority);
	must_shake(&p);
	assert_int_equal(tls_write(p.server, &p.to_server, &p.to_client, "plain words", 11),
			 TLS_DONE);
	assert_true(buffer_len(&p.to_client) > 11);
	assert_null(memmem(buffer_data(&p.to_client), buffer_len(&p.to_client), "plain words", 11));
	close_pair(&p);
}

static void a_proper_close_is_told_from_silence(void **state)
{
	struct pair p;
	char got[10];
	size_t len;

	open_pair(&p, "P-256", NAME, NAME, &authority);
	must_shake(&p);
	assert_int_equal(tls_read(p.server, &p.to_server, &p.to_client, got, sizeof(got), &len),
			 TLS_AGAIN);
	tls_shutdown(p.client, &p.to_server);
	assert_int_equal(tls_read(p.server, &p.to_server, &p.to_client, got, sizeof(got), &len),
			 TLS_CLOSED);
	close_pair(&p);
}

static void a_changed_record_is_refused(void **state)
{
	struct pair p;
	char got[10];
	size_t len;

	open_pair(&p, "P-256", NAME, NAME, &authority);
	must_shake(&p);
	assert_int_equal(tls_write(p.client, &p.to_client, &p.to_server, "hello", 5), TLS_DONE);
	buffer_data(&p.to_server)[buffer_len(&p.to_server) - 1] ^= 1;
	assert_int_equal(tls_read(p.server, &p.to_server, &p.to_client, got, sizeof(got), &len),
			 TLS_FAILED);
	close_pair(&p);
}

static void a_backend_of_another_name_is_refused(void **state)
{
	static const char *const pairs[][2] = {
		{ "other.example.test", NAME },
		{ "*.example.test", "a.mail.example.test" },
		{ "127.0.0.2", "127.0.0.1" },
		{ NAME, "127.0.0.1" },
	};

	for (size_t i = 0; i < 4; i++) {
		struct pair p;
		enum tls_result server;

		open_pair(&p, "P-256", pairs[i][0], pairs[i][1], &authority);
		assert_int_equal(shake(&p, &server), TLS_FAILED);
		assert_string_equal(tls_failure(p.client), "certificate_name");
		close_pair(&p);
	}
}

static void a_backend_of_the_right_name_or_address_is_taken(void **state)
{
	static const char *const pairs[][2] = {
		{ NAME, NAME },
		{ "*.example.test", NAME },
		{ "127.0.0.1", "127.0.0.1" },
	};

	for (size_t i = 0; i < 3; i++) {
		struct pair p;

		open_pair(&p, "P-256", pairs[i][0], pairs[i][1], &authority);
		must_shake(&p);
		close_pair(&p);
	}
}

static void a_backend_of_a_foreign_authority_is_refused_unless_nothing_is_verified(void **state)
{
	struct pair p;
	enum tls_result server;

	open_pair(&p, "P-256", NAME, NAME, &foreign);
	assert_int_equal(shake(&p, &server), TLS_FAILED);
	assert_string_equal(tls_failure(p.client), "certificate");
	close_pair(&p);
	open_pair(&p, "P-256", "other.example.test", NAME, NULL);
	must_shake(&p);
	close_pair(&p);
}

/* A ClientHello of TLS 1.1 with suites of its time. */
static const unsigned char old_hello[] = {
	0x16, 0x03, 0x01, 0x00, 0x35, 0x01, 0x00, 0x00, 0x31, 0x03, 0x02, 1,    2,    3,    4,
	5,    6,    7,    8,    9,    10,   11,   12,   13,   14,   15,   16,   17,   18,   19,
	20,   21,   22,   23,   24,   25,   26,   27,   28,   29,   30,   31,   32,   0x00, 0x00,
	0x0a, 0xc0, 0x13, 0xc0, 0x14, 0x00, 0x2f, 0x00, 0x35, 0x00, 0x0a, 0x01, 0x00,
};

static void old_versions_and_words_in_clear_are_refused_by_name(void **state)
{
	static const struct {
		const void *bytes;
		size_t len;
		const char *reason;
	} cases[] = {
		{ old_hello, sizeof(old_hello), "tls_version" },
		{ "EHLO client.example.test\r\n", 26, "not_tls" },
		{ "a1 LOGIN alice secret\r\n", 23, "not_tls" },
	};

	for (size_t i = 0; i < 3; i++) {
		struct pair p;

		open_pair(&p, "P-256", NAME, NAME, &authority);
		assert_true(buffer_append(&p.to_server, cases[i].bytes, cases[i].len));
		assert_int_equal(tls_handshake(p.server, &p.to_server, &p.to_client), TLS_FAILED);
		assert_string_equal(tls_failure(p.server), cases[i].reason);
		close_pair(&p);
	}
}

static void without_the_key_there_is_no_handshake(void **state)
{
	static const char *const kinds[] = { "P-256", "RSA-2048" };

	for (size_t i = 0; i < 2; i++) {
		struct pair p;
		enum tls_result server;

		open_pair(&p, kinds[i], NAME, NAME, &authority);
		signer_forget();
		assert_int_not_equal(shake(&p, &server), TLS_DONE);
		assert_int_equal(server, TLS_FAILED);
		close_pair(&p);
	}
}

static void a_chain_that_is_none_makes_no_context(void **state)
{
	const struct book_entry certificate = { .chain = span_of("no certificate") };
	const struct tls_server_settings settings = { .profile = profile_find(PROFILE_MODERN),
						      .certificate = &certificate };
	char why[256] = "";

	assert_null(tls_context_server(&settings, why));
	assert_non_null(strstr(why, "no certificate"));
}

static int begin(void **state)
{
	authority = pem_authority("P-256");
	foreign = pem_authority("P-256");
	return tls_init();
}

static int end(void **state)
{
	pem_free(&authority);
	pem_free(&foreign);
	tls_cleanup();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_of_key_makes_a_handshake),
		cmocka_unit_test(bytes_arrive_unchanged_both_ways),
		cmocka_unit_test(nothing_but_ciphertext_is_queued),
		cmocka_unit_test(a_proper_close_is_told_from_silence),
		cmocka_unit_test(a_changed_record_is_refused),
		cmocka_unit_test(a_backend_of_another_name_is_refused),
		cmocka_unit_test(a_backend_of_the_right_name_or_address_is_taken),
		cmocka_unit_test(
			a_backend_of_a_foreign_authority_is_refused_unless_nothing_is_verified),
		cmocka_unit_test(old_versions_and_words_in_clear_are_refused_by_name),
		cmocka_unit_test(without_the_key_there_is_no_handshake),
		cmocka_unit_test(a_chain_that_is_none_makes_no_context),
	};

	return cmocka_run_group_tests_name("tls", tests, begin, end);
}
