/* The stand-in for an RSA key: what libcrypto reads in it. */
#include "frontend/rsa_stand_in.h"
#include "tests/support/pem.h"
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static struct pem_pair authority;

static struct public_key *make(const char *kind)
{
	struct pem_pair pair = pem_issue(&authority, kind, "mail.example.test");
	char why[256];
	struct public_key *key =
		public_key_from_pem((const uint8_t *)pair.chain, strlen(pair.chain), why);

	pem_free(&pair);
	assert_non_null(key);
	return key;
}

static void expect_number(EVP_PKEY *pkey, const char *name, const uint8_t *data, size_t len)
{
	BIGNUM *expected = BN_bin2bn(data, (int)len, NULL), *found = NULL;

	assert_int_equal(EVP_PKEY_get_bn_param(pkey, name, &found), 1);
	assert_int_equal(BN_cmp(expected, found), 0);
	BN_free(expected);
	BN_free(found);
}

static void it_has_the_public_numbers_and_a_name_for_a_secret(void **state)
{
	static const char *const kinds[] = { "RSA-1024", "RSA-2048", "RSA-2049", "RSA-3072" };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct public_key *key = make(kinds[i]);
		uint8_t der[RSA_STAND_IN_MAX];
		size_t len = rsa_stand_in(key, der);
		const uint8_t *at = der;
		EVP_PKEY *pkey = d2i_PrivateKey(EVP_PKEY_RSA, NULL, &at, (long)len);
		struct public_key_number modulus, exponent;

		assert_non_null(pkey);
		assert_ptr_equal(at, der + len);
		assert_true(public_key_numbers(key, &modulus, &exponent));
		assert_int_equal(modulus.len, (public_key_bits(key) + 7) / 8);
		expect_number(pkey, OSSL_PKEY_PARAM_RSA_N, modulus.data, modulus.len);
		expect_number(pkey, OSSL_PKEY_PARAM_RSA_E, exponent.data, exponent.len);
		expect_number(pkey, OSSL_PKEY_PARAM_RSA_D, public_key_id(key), KEY_ID_LEN);
		EVP_PKEY_free(pkey);
		public_key_free(key);
	}
}

static void keys_of_other_types_have_none(void **state)
{
	static const char *const kinds[] = { "P-256", "Ed25519" };

	for (size_t i = 0; i < 2; i++) {
		struct public_key *key = make(kinds[i]);
		uint8_t der[RSA_STAND_IN_MAX];

		assert_int_equal(rsa_stand_in(key, der), 0);
		public_key_free(key);
	}
}

static int make_authority(void **state)
{
	authority = pem_authority("P-256");
	return 0;
}

static int free_authority(void **state)
{
	pem_free(&authority);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_has_the_public_numbers_and_a_name_for_a_secret),
		cmocka_unit_test(keys_of_other_types_have_none),
	};

	return cmocka_run_group_tests_name("rsa_stand_in", tests, make_authority, free_authority);
}
