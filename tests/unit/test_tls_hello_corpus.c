/* test_tls_hello_corpus - the first messages of real clients, as tests/support/collect_hellos.py has heard them. */
#include "protocols/output.h"
#include "protocols/tls_hello.h"
#include "tests/support/guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* What each client was asked for, or is known to do. */
static const struct {
	const char *name, *summary;
} hellos[] = {
	{ "curl_https",
	  "TLS 1.0 1.1 1.2 1.3, mail.example.test, h2 http/1.1; "
	  "31 suites, 10 groups, shares 1d; ecdsa-p256 rsa-pss rsa ems renegotiation" },
	{ "curl_imaps",
	  "TLS 1.0 1.1 1.2 1.3, mail.example.test,; "
	  "31 suites, 10 groups, shares 1d; ecdsa-p256 rsa-pss rsa ems renegotiation" },
	{ "curl_tls12", "TLS 1.0 1.1 1.2, mail.example.test,; "
			"28 suites, 5 groups, shares; ecdsa-p256 rsa-pss rsa ems renegotiation" },
	{ "gnutls_both", "TLS 1.0 1.1 1.2 1.3, mail.example.test, imap; "
			 "29 suites, 10 groups, shares 17 1d; ecdsa-p256 rsa-pss rsa status ticket "
			 "ems renegotiation" },
	{ "gnutls_no_sni", "TLS 1.0 1.1 1.2 1.3, no name,; "
			   "29 suites, 10 groups, shares 17 1d; ecdsa-p256 rsa-pss rsa status "
			   "ticket ems renegotiation" },
	{ "gnutls_tls12",
	  "TLS 1.0 1.1 1.2, mail.example.test,; "
	  "25 suites, 10 groups, shares; ecdsa-p256 rsa-pss rsa status ticket ems renegotiation" },
	{ "gnutls_tls13", "TLS 1.3, mail.example.test, pop3; "
			  "4 suites, 10 groups, shares 17 1d; ecdsa-p256 rsa-pss rsa status ticket "
			  "ems renegotiation" },
	{ "hand_postquantum_in_one_record", "TLS 1.2 1.3, mail.example.test, imap; "
					    "6 suites, 4 groups, shares 8a8a 11ec 1d; ecdsa-p256 "
					    "rsa-pss rsa status ticket ems renegotiation" },
	{ "hand_postquantum_in_two_records", "TLS 1.2 1.3, mail.example.test, imap; "
					     "6 suites, 4 groups, shares 8a8a 11ec 1d; ecdsa-p256 "
					     "rsa-pss rsa status ticket ems renegotiation" },
	{ "hand_tls10_without_extensions", "TLS 1.0, no name,; "
					   "4 suites, 0 groups, shares; renegotiation" },
	{ "java_both", "TLS 1.2 1.3, mail.example.test, imap; "
		       "37 suites, 10 groups, shares 1d 17; ecdsa-p256 rsa-pss rsa sigalgs-cert "
		       "status ticket ems renegotiation" },
	{ "java_tls12", "TLS 1.2, mail.example.test,; "
			"34 suites, 10 groups, shares; ecdsa-p256 rsa-pss rsa sigalgs-cert status "
			"ticket ems renegotiation" },
	{ "java_tls13_no_sni",
	  "TLS 1.3, no name,; "
	  "3 suites, 10 groups, shares 1d 17; ecdsa-p256 rsa-pss rsa sigalgs-cert status" },
	{ "node_both",
	  "TLS 1.2 1.3, mail.example.test, imap; "
	  "59 suites, 10 groups, shares 1d; ecdsa-p256 rsa-pss rsa ticket ems renegotiation" },
	{ "node_tls12",
	  "TLS 1.0 1.1 1.2, mail.example.test,; "
	  "56 suites, 5 groups, shares; ecdsa-p256 rsa-pss rsa ticket ems renegotiation" },
	{ "node_tls13_no_sni",
	  "TLS 1.3, no name,; "
	  "4 suites, 10 groups, shares 1d; ecdsa-p256 rsa-pss rsa ticket ems renegotiation" },
	{ "nss_both", "TLS 1.2 1.3, mail.example.test,; "
		      "35 suites, 9 groups, shares 1d; ecdsa-p256 rsa-pss rsa status ticket ems "
		      "renegotiation" },
	{ "nss_encrypted_hello_grease",
	  "TLS 1.3, mail.example.test,; "
	  "3 suites, 9 groups, shares 1d; ecdsa-p256 rsa-pss rsa ems renegotiation" },
	{ "nss_tls12", "TLS 1.0 1.1 1.2, mail.example.test,; "
		       "32 suites, 4 groups, shares; ecdsa-p256 rsa-pss rsa ems renegotiation" },
	{ "nss_tls13", "TLS 1.3, mail.example.test,; "
		       "3 suites, 9 groups, shares 1d; ecdsa-p256 rsa-pss rsa ems renegotiation" },
	{ "openssl_both",
	  "TLS 1.0 1.1 1.2 1.3, no name,; "
	  "31 suites, 10 groups, shares 1d; ecdsa-p256 rsa-pss rsa ticket ems renegotiation" },
	{ "openssl_ecdsa_only",
	  "TLS 1.0 1.1 1.2 1.3, mail.example.test,; "
	  "11 suites, 2 groups, shares 17; ecdsa-p256 ticket ems renegotiation" },
	{ "openssl_tls12",
	  "TLS 1.0 1.1 1.2, mail.example.test,; "
	  "28 suites, 5 groups, shares; ecdsa-p256 rsa-pss rsa ticket ems renegotiation" },
	{ "openssl_tls12_no_ticket",
	  "TLS 1.0 1.1 1.2, no name, pop3 imap; "
	  "28 suites, 5 groups, shares; ecdsa-p256 rsa-pss rsa ems renegotiation" },
	{ "openssl_tls13", "TLS 1.3, mail.example.test, imap; "
			   "4 suites, 10 groups, shares 1d; ecdsa-p256 rsa-pss rsa status ticket "
			   "ems renegotiation" },
	{ "python_both",
	  "TLS 1.0 1.1 1.2 1.3, mail.example.test,; "
	  "31 suites, 10 groups, shares 1d; ecdsa-p256 rsa-pss rsa ticket ems renegotiation" },
	{ "python_no_sni",
	  "TLS 1.0 1.1 1.2 1.3, no name,; "
	  "31 suites, 10 groups, shares 1d; ecdsa-p256 rsa-pss rsa ticket ems renegotiation" },
	{ "python_tls12",
	  "TLS 1.0 1.1 1.2, mail.example.test, imap; "
	  "28 suites, 5 groups, shares; ecdsa-p256 rsa-pss rsa ticket ems renegotiation" },
	{ "wolfssl_both", "TLS 1.1 1.2 1.3, mail.example.test,; "
			  "60 suites, 13 groups, shares 17; ecdsa-p256 rsa-pss rsa ems" },
	{ "wolfssl_tls12_no_sni", "TLS 1.0 1.1 1.2, no name,; "
				  "53 suites, 13 groups, shares; ecdsa-p256 rsa-pss rsa ems" },
	{ "wolfssl_tls13", "TLS 1.3, mail.example.test, imap; "
			   "60 suites, 13 groups, shares 17; ecdsa-p256 rsa-pss rsa" },
};

static struct tls_hello hello;

static void add_flag(struct output *to, bool flag, const char *name)
{
	if (flag)
		output_format(to, " %s", name);
}

static void add_lists(struct output *to)
{
	struct span name;
	uint16_t group;
	size_t at = 0;

	while (tls_hello_alpn_next(&hello, &at, &name))
		output_format(to, " %.*s", (int)name.len, name.data);
	output_format(to, "; %zu suites, %zu groups, shares", hello.suites.count,
		      hello.groups.count);
	for (at = 0; tls_hello_share_next(&hello, &at, &group);)
		output_format(to, " %x", (unsigned)group);
}

/* "TLS 1.2 1.3, mail.example.test, imap; 9 suites, 5 groups, shares 1d; ecdsa-p256 rsa-pss rsa status ticket ems" */
static const char *summary(void)
{
	static char text[512];
	struct output output;

	output_init(&output, text, sizeof(text) - 1);
	output_text(&output, "TLS");
	for (unsigned version = 0; version < 4; version++)
		if (tls_hello_offers(&hello, (uint16_t)(0x0301 + version)))
			output_format(&output, " 1.%u", version);
	output_format(&output, ", %s,", hello.sni_present ? hello.sni : "no name");
	add_lists(&output);
	output_text(&output, ";");
	add_flag(&output, tls_hello_has(hello.sigalgs, 0x0403), "ecdsa-p256");
	add_flag(&output, tls_hello_has(hello.sigalgs, 0x0804), "rsa-pss");
	add_flag(&output, tls_hello_has(hello.sigalgs, 0x0401), "rsa");
	add_flag(&output, hello.sigalgs_cert_present, "sigalgs-cert");
	add_flag(&output, hello.status_request, "status");
	add_flag(&output, hello.ticket, "ticket");
	add_flag(&output, hello.ems, "ems");
	add_flag(&output, hello.renegotiation_info, "renegotiation");
	assert_false(output.overflow);
	text[output.len] = '\0';
	return text;
}

static size_t read_hello(const char *name, uint8_t *out, size_t size)
{
	char path[256];
	FILE *file;
	size_t len;

	snprintf(path, sizeof(path), "tests/fuzz/corpus/tls_hello/%s.bin", name);
	file = fopen(path, "rb");
	if (file == NULL)
		fail_msg("%s is not there", path);
	len = fread(out, 1, size, file);
	(void)fclose(file);
	return len;
}

static void each_says_what_it_was_asked_for(void **state)
{
	static uint8_t bytes[TLS_HELLO_MAX];

	for (size_t i = 0; i < COUNT(hellos); i++) {
		size_t len = read_hello(hellos[i].name, bytes, sizeof(bytes));
		char *data = guard_copy(bytes, len);

		assert_int_equal(tls_hello_parse((uint8_t *)data, len, &hello), TLS_HELLO_DONE);
		assert_int_equal(hello.used, len);
		assert_string_equal(summary(), hellos[i].summary);
		guard_free(data, len);
	}
}

static void no_prefix_is_taken_for_the_whole(void **state)
{
	static uint8_t bytes[TLS_HELLO_MAX];

	for (size_t i = 0; i < COUNT(hellos); i++) {
		size_t whole = read_hello(hellos[i].name, bytes, sizeof(bytes));

		for (size_t len = 0; len < whole; len++) {
			char *data = guard_copy(bytes, len);

			assert_int_equal(tls_hello_parse((uint8_t *)data, len, &hello),
					 TLS_HELLO_MORE);
			guard_free(data, len);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_says_what_it_was_asked_for),
		cmocka_unit_test(no_prefix_is_taken_for_the_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
