/* test_gate_corpus - what becomes of the first messages of real clients (tests/support/collect_hellos.py), by each profile. */
#include "frontend/gate.h"
#include "tests/support/book_made.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { DUAL_RSA, DUAL_P256, RSA };

/* The best version of each, and what it names of application protocols. */
static const struct {
	const char *name;
	uint16_t version;
	const char *alpn; /* NULL: nothing */
} hellos[] = {
	{ "curl_https", 0x0304, "h2" },
	{ "curl_imaps", 0x0304, NULL },
	{ "curl_tls12", 0x0303, NULL },
	{ "gnutls_both", 0x0304, "imap" },
	{ "gnutls_no_sni", 0x0304, NULL },
	{ "gnutls_tls12", 0x0303, NULL },
	{ "gnutls_tls13", 0x0304, "pop3" },
	{ "hand_postquantum_in_one_record", 0x0304, "imap" },
	{ "hand_postquantum_in_two_records", 0x0304, "imap" },
	{ "hand_tls10_without_extensions", 0x0301, NULL },
	{ "java_both", 0x0304, "imap" },
	{ "java_tls12", 0x0303, NULL },
	{ "java_tls13_no_sni", 0x0304, NULL },
	{ "node_both", 0x0304, "imap" },
	{ "node_tls12", 0x0303, NULL },
	{ "node_tls13_no_sni", 0x0304, NULL },
	{ "nss_both", 0x0304, NULL },
	{ "nss_encrypted_hello_grease", 0x0304, NULL },
	{ "nss_tls12", 0x0303, NULL },
	{ "nss_tls13", 0x0304, NULL },
	{ "openssl_both", 0x0304, NULL },
	{ "openssl_ecdsa_only", 0x0304, NULL },
	{ "openssl_tls12", 0x0303, NULL },
	{ "openssl_tls12_no_ticket", 0x0303, "pop3 imap" },
	{ "openssl_tls13", 0x0304, "imap" },
	{ "python_both", 0x0304, NULL },
	{ "python_no_sni", 0x0304, NULL },
	{ "python_tls12", 0x0303, "imap" },
	{ "wolfssl_both", 0x0304, NULL },
	{ "wolfssl_tls12_no_sni", 0x0303, NULL },
	{ "wolfssl_tls13", 0x0304, "imap" },
};

static struct book *book;

/* Set 0: RSA and ECDSA side by side; set 1: RSA alone. */
static int make_book(void **state)
{
	struct book_writer *writer = book_writer_new();

	for (uint8_t i = DUAL_RSA; i <= RSA; i++) {
		uint8_t id[BOOK_ID_LEN] = { (uint8_t)(i + 1) };
		struct book_entry entry = {
			.set = i == RSA,
			.kind = i == DUAL_P256 ? BOOK_P256 : BOOK_RSA,
			.bits = i == DUAL_P256 ? 256 : 3072,
			.spki = id,
			.chain = SPAN("chain"),
			.names = { "mail.example.test", sizeof("mail.example.test") },
			.file = "postern.conf",
			.path = "chain.pem",
		};

		assert_true(book_writer_add(writer, &entry, false));
	}
	book = book_made(writer);
	return 0;
}

static int drop_book(void **state)
{
	book_drop(book);
	return 0;
}

static bool decide(const char *name, const struct gate_rules *rules, struct gate_verdict *out)
{
	static struct tls_hello hello;
	static uint8_t data[TLS_HELLO_MAX];
	char path[256];
	size_t len;
	FILE *file;

	snprintf(path, sizeof(path), "tests/fuzz/corpus/tls_hello/%s.bin", name);
	file = fopen(path, "rb");
	if (file == NULL)
		fail_msg("%s is missing", path);
	len = fread(data, 1, sizeof(data), file);
	fclose(file);
	assert_int_equal(tls_hello_parse(data, len, &hello), TLS_HELLO_DONE);
	return gate_decide(rules, book, &hello, out);
}

static void check(size_t i, int profile, const char *protocol)
{
	const struct gate_rules rules = {
		.profile = profile_find(profile),
		.refuse_unknown = true,
		.alpn_id = protocol,
	};
	bool ours = hellos[i].alpn != NULL && strstr(hellos[i].alpn, protocol) != NULL;
	struct gate_verdict verdict;
	bool accepted = decide(hellos[i].name, &rules, &verdict);

	if (hellos[i].version < rules.profile->min) {
		assert_false(accepted);
		assert_string_equal(verdict.reason, "tls_version");
	} else if (hellos[i].alpn != NULL && !ours) {
		assert_false(accepted);
		assert_string_equal(verdict.reason, "alpn");
	} else {
		if (!accepted)
			fail_msg("%s is refused for %s", hellos[i].name, verdict.reason);
		assert_int_equal(verdict.version, hellos[i].version);
		assert_int_equal(verdict.entry, DUAL_P256);
		assert_int_equal(verdict.alpn != NULL, ours);
	}
}

static void every_client_by_every_profile(void **state)
{
	for (size_t i = 0; i < COUNT(hellos); i++)
		for (int profile = 0; profile_find(profile)->listener; profile++) {
			check(i, profile, "imap");
			check(i, profile, "pop3");
		}
}

static void a_set_of_rsa_alone(void **state)
{
	const struct gate_rules rules = { .profile = profile_find(PROFILE_TES), .set = 1 };
	struct gate_verdict verdict;

	for (size_t i = 0; i < COUNT(hellos); i++) {
		if (hellos[i].alpn != NULL || hellos[i].version < 0x0302)
			continue;
		if (strcmp(hellos[i].name, "openssl_ecdsa_only") == 0) {
			assert_false(decide(hellos[i].name, &rules, &verdict));
			assert_string_equal(verdict.reason, "no_common_certificate");
			continue;
		}
		assert_true(decide(hellos[i].name, &rules, &verdict));
		assert_int_equal(verdict.entry, RSA);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_client_by_every_profile),
		cmocka_unit_test(a_set_of_rsa_alone),
	};

	return cmocka_run_group_tests(tests, make_book, drop_book);
}
