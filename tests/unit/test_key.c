/* Private keys: what is taken, what is refused and why, and that signatures are the key's. */
#include "frontend/key.h"
#include "tests/support/pem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct pem_pair authority, ec, rsa, other;

static struct key *make(const char *key_pem, const char *chain_pem, char why[256])
{
	return key_new((const uint8_t *)key_pem, strlen(key_pem), (const uint8_t *)chain_pem,
		       strlen(chain_pem), why);
}

static void takes_a_pair_that_fits(void **state)
{
	char why[256];
	struct key *a = make(ec.key, ec.chain, why), *b = make(rsa.key, rsa.chain, why);

	assert_non_null(a);
	assert_non_null(b);
	assert_int_equal(key_type(a), KEY_EC);
	assert_int_equal(key_type(b), KEY_RSA);
	assert_ptr_equal(key_by_id(key_id(a)), a);
	assert_ptr_equal(key_by_id(key_id(b)), b);
	key_free(a);
	assert_ptr_equal(key_by_id(key_id(b)), b);
	key_free(b);
}

static void a_freed_key_is_not_found(void **state)
{
	char why[256];
	struct key *a = make(ec.key, ec.chain, why);
	unsigned id = key_id(a);

	key_free(a);
	assert_null(key_by_id(id));
}

static void refuses_a_pair_that_does_not_fit(void **state)
{
	char why[256] = "";

	assert_null(make(ec.key, other.chain, why));
	assert_non_null(strstr(why, "does not belong"));
	assert_null(make(ec.key, rsa.chain, why));
	assert_non_null(strstr(why, "does not belong"));
}

static void refuses_what_is_no_key_or_no_chain(void **state)
{
	char why[256] = "";

	assert_null(make("", ec.chain, why));
	assert_non_null(strstr(why, "cannot be read"));
	assert_null(make("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", ec.chain,
			 why));
	assert_non_null(strstr(why, "cannot be read"));
	assert_null(make(ec.key, "no certificate", why));
	assert_non_null(strstr(why, "no certificate"));
}

static void refuses_a_key_that_is_too_small(void **state)
{
	struct pem_pair small = pem_issue(&authority, "RSA-1024", "mail.example.test");
	char why[256] = "";

	assert_null(make(small.key, small.chain, why));
	assert_non_null(strstr(why, "2048"));
	pem_free(&small);
}

static void checks_that_the_chain_is_in_order(void **state)
{
	char right[8192], wrong[8192], why[256] = "";
	struct key *key;

	snprintf(right, sizeof(right), "%s%s", ec.chain, authority.chain);
	key = make(ec.key, right, why);
	assert_non_null(key);
	key_free(key);
	snprintf(wrong, sizeof(wrong), "%s%s", ec.chain, other.chain);
	assert_null(make(ec.key, wrong, why));
	assert_non_null(strstr(why, "not issued by"));
}

static void an_rsa_signature_opens_with_the_public_key(void **state)
{
	uint8_t block[256], signature[KEY_SIGNATURE_MAX], opened[KEY_SIGNATURE_MAX];
	size_t len, opened_len;
	char why[256];
	struct key *key = make(rsa.key, rsa.chain, why);

	memset(block, 0x5a, sizeof(block));
	block[0] = 0;
	assert_int_equal(key_sign(key, KEY_SIGN_RSA, block, sizeof(block), signature, &len), 0);
	assert_int_equal(len, 256);
	assert_int_equal(key_rsa_public(key, signature, len, opened, &opened_len), 0);
	assert_int_equal(opened_len, sizeof(block));
	assert_memory_equal(opened, block, sizeof(block));
	assert_int_equal(key_sign(key, KEY_SIGN_RSA, block, 100, signature, &len), -1);
	assert_int_equal(key_sign(key, KEY_SIGN_ECDSA, block, 32, signature, &len), -1);
	key_free(key);
}

static void an_ec_key_signs_digests_only_as_ecdsa(void **state)
{
	uint8_t digest[32] = { 1 }, signature[KEY_SIGNATURE_MAX];
	size_t len;
	char why[256];
	struct key *key = make(ec.key, ec.chain, why);

	assert_int_equal(key_sign(key, KEY_SIGN_ECDSA, digest, sizeof(digest), signature, &len), 0);
	assert_in_range(len, 60, 72);
	assert_int_equal(signature[0], 0x30);
	assert_int_equal(key_sign(key, KEY_SIGN_RSA, digest, sizeof(digest), signature, &len), -1);
	assert_int_equal(key_rsa_public(key, digest, sizeof(digest), signature, &len), -1);
	key_free(key);
}

static int make_pairs(void **state)
{
	authority = pem_authority("P-256");
	ec = pem_issue(&authority, "P-256", "mail.example.test");
	rsa = pem_issue(&authority, "RSA-2048", "mail.example.test");
	other = pem_issue(&authority, "P-256", "other.example.test");
	return 0;
}

static int free_pairs(void **state)
{
	pem_free(&authority);
	pem_free(&ec);
	pem_free(&rsa);
	pem_free(&other);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_a_pair_that_fits),
		cmocka_unit_test(a_freed_key_is_not_found),
		cmocka_unit_test(refuses_a_pair_that_does_not_fit),
		cmocka_unit_test(refuses_what_is_no_key_or_no_chain),
		cmocka_unit_test(refuses_a_key_that_is_too_small),
		cmocka_unit_test(checks_that_the_chain_is_in_order),
		cmocka_unit_test(an_rsa_signature_opens_with_the_public_key),
		cmocka_unit_test(an_ec_key_signs_digests_only_as_ecdsa),
	};

	return cmocka_run_group_tests_name("key", tests, make_pairs, free_pairs);
}
