/* Private keys and the public ones of certificates: what is taken, what is refused and why, and that signatures are the key's. */
#include "frontend/public_key.h"
#include "tests/support/pem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct pem_pair authority, ec, rsa, other, edwards;

static struct key *from_pem(const char *pem, char why[256])
{
	return key_from_pem((const uint8_t *)pem, strlen(pem), why);
}

static struct public_key *public_of(const char *pem, char why[256])
{
	return public_key_from_pem((const uint8_t *)pem, strlen(pem), why);
}

static void an_ec_key_signs_digests_only_as_ecdsa(void **state)
{
	uint8_t digest[32] = { 1 }, signature[KEY_SIGNATURE_MAX];
	size_t len;
	char why[256];
	struct key *key = from_pem(ec.key, why);

	assert_int_equal(key_sign(key, KEY_SIGN_ECDSA, digest, sizeof(digest), signature, &len), 0);
	assert_in_range(len, 60, 72);
	assert_int_equal(signature[0], 0x30);
	assert_int_equal(key_sign(key, KEY_SIGN_RSA, digest, sizeof(digest), signature, &len), -1);
	key_free(key);
}

static void a_key_and_its_certificate_have_one_name(void **state)
{
	const struct {
		const struct pem_pair *pair;
		enum key_type type;
		unsigned bits;
	} cases[] = { { &ec, KEY_EC, 256 },
		      { &rsa, KEY_RSA, 2048 },
		      { &edwards, KEY_ED25519, 256 } };
	uint8_t ids[3][KEY_ID_LEN];
	char why[256];

	for (size_t i = 0; i < 3; i++) {
		struct key *key = from_pem(cases[i].pair->key, why);
		struct public_key *public = public_of(cases[i].pair->chain, why);

		assert_non_null(key);
		assert_non_null(public);
		assert_int_equal(key_type(key), cases[i].type);
		assert_int_equal(key_bits(key), cases[i].bits);
		assert_int_equal(public_key_type(public), cases[i].type);
		assert_int_equal(public_key_bits(public), cases[i].bits);
		key_spki_hash(key, ids[i]);
		assert_memory_equal(ids[i], public_key_id(public), KEY_ID_LEN);
		key_free(key);
		public_key_free(public);
	}
	assert_memory_not_equal(ids[0], ids[1], KEY_ID_LEN);
	assert_memory_not_equal(ids[1], ids[2], KEY_ID_LEN);
}

/* Printed by: openssl pkey -pubin -outform DER | sha256sum, for the key of RFC 8410 10.3. */
static void the_name_is_the_hash_of_the_public_key_info(void **state)
{
	static const char pem[] =
		"-----BEGIN PRIVATE KEY-----\n"
		"MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
		"-----END PRIVATE KEY-----\n";
	static const uint8_t expected[KEY_ID_LEN] = { 0xa1, 0xe9, 0x15, 0x60, 0x54, 0xe0, 0x4f,
						      0xac, 0x89, 0x9a, 0xe9, 0xf2, 0x75, 0x13,
						      0x2c, 0xdc, 0x07, 0xa5, 0xdb, 0xc4, 0xea,
						      0x2c, 0x2a, 0xd3, 0xa1, 0xff, 0xc6, 0xe0,
						      0xd2, 0x53, 0x68, 0x1f };
	uint8_t id[KEY_ID_LEN];
	char why[256];
	struct key *key = from_pem(pem, why);

	assert_non_null(key);
	key_spki_hash(key, id);
	assert_memory_equal(id, expected, sizeof(id));
	key_free(key);
}

static void a_key_of_another_type_is_refused(void **state)
{
	struct pem_pair large = pem_issue(&authority, "P-521", "mail.example.test");
	char why[256] = "";

	assert_null(from_pem(large.key, why));
	assert_non_null(strstr(why, "neither RSA"));
	assert_null(public_of(large.chain, why));
	assert_non_null(strstr(why, "neither RSA"));
	assert_null(public_of(large.key, why));
	assert_non_null(strstr(why, "no certificate"));
	assert_null(from_pem(large.chain, why));
	assert_non_null(strstr(why, "cannot be read"));
	assert_null(from_pem("", why));
	assert_null(
		from_pem("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", why));
	pem_free(&large);
}

static void the_public_key_opens_what_the_private_one_signed(void **state)
{
	uint8_t block[256], signature[KEY_SIGNATURE_MAX], opened[KEY_SIGNATURE_MAX];
	size_t len, opened_len;
	char why[256];
	struct key *key = from_pem(rsa.key, why);
	struct public_key *public = public_of(rsa.chain, why), *of_ec = public_of(ec.chain, why);

	memset(block, 0x5a, sizeof(block));
	block[0] = 0;
	assert_int_equal(key_sign(key, KEY_SIGN_RSA, block, sizeof(block), signature, &len), 0);
	assert_int_equal(public_key_rsa(public, signature, len, opened, &opened_len), 0);
	assert_int_equal(opened_len, sizeof(block));
	assert_memory_equal(opened, block, sizeof(block));
	assert_int_equal(key_sign(key, KEY_SIGN_RSA, block, 100, signature, &len), -1);
	assert_int_equal(key_sign(key, KEY_SIGN_ECDSA, block, 32, signature, &len), -1);
	assert_int_equal(public_key_rsa(public, signature, 100, opened, &opened_len), -1);
	assert_int_equal(public_key_rsa(of_ec, signature, len, opened, &opened_len), -1);
	key_free(key);
	public_key_free(public);
	public_key_free(of_ec);
}

static void the_public_key_verifies(void **state)
{
	const struct pem_pair *const pairs[] = { &ec, &rsa };
	static const enum key_algorithm algorithms[] = { KEY_SIGN_ECDSA, KEY_SIGN_RSA };
	static const size_t lens[] = { 32, 256 };
	uint8_t in[256] = { 0, 1, 2 }, signature[KEY_SIGNATURE_MAX];
	char why[256];

	for (size_t i = 0; i < 2; i++) {
		struct key *key = from_pem(pairs[i]->key, why);
		struct public_key *public = public_of(pairs[i]->chain, why);
		struct public_key *stranger = public_of(other.chain, why);
		size_t len;

		assert_int_equal(key_sign(key, algorithms[i], in, lens[i], signature, &len), 0);
		assert_true(public_key_verifies(public, in, lens[i], signature, len));
		assert_false(public_key_verifies(stranger, in, lens[i], signature, len));
		assert_false(public_key_verifies(public, in, lens[i], signature, len - 1));
		in[5] ^= 1;
		assert_false(public_key_verifies(public, in, lens[i], signature, len));
		key_free(key);
		public_key_free(public);
		public_key_free(stranger);
	}
}

static void numbers_of_an_ecdsa_signature(void **state)
{
	static const uint8_t expected[] = { 0x30, 0x0b, 0x02, 0x02, 0x12, 0x34, 0x02,
					    0x05, 0x00, 0xff, 0x00, 0x00, 0x01 };
	uint8_t numbers[] = { 0, 0, 0x12, 0x34, 0xff, 0, 0, 1 }, out[KEY_SIGNATURE_MAX];
	size_t len;

	assert_true(public_key_ecdsa_der(numbers, sizeof(numbers), out, &len));
	assert_int_equal(len, sizeof(expected));
	assert_memory_equal(out, expected, sizeof(expected));
	assert_false(public_key_ecdsa_der(numbers, 7, out, &len));
	assert_false(public_key_ecdsa_der(numbers, 0, out, &len));
}

static void an_ed25519_key_signs_messages(void **state)
{
	/* RFC 8032 7.1, TEST 2 */
	static const char pem[] =
		"-----BEGIN PRIVATE KEY-----\n"
		"MC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n"
		"-----END PRIVATE KEY-----\n";
	static const uint8_t begins[] = { 0x92, 0xa0, 0x09, 0xa9, 0xf0, 0xd4, 0xca, 0xb8,
					  0x72, 0x0e, 0x82, 0x0b, 0x5f, 0x64, 0x25, 0x40 };
	const uint8_t message[1] = { 0x72 };
	uint8_t signature[KEY_SIGNATURE_MAX];
	size_t len;
	char why[256];
	struct key *key = from_pem(pem, why);

	assert_non_null(key);
	assert_int_equal(key_sign(key, KEY_SIGN_ED25519, message, 1, signature, &len), 0);
	assert_int_equal(len, 64);
	assert_memory_equal(signature, begins, sizeof(begins));
	assert_int_equal(key_sign(key, KEY_SIGN_ECDSA, message, 1, signature, &len), -1);
	key_free(key);
}

static void digests_are_chosen_by_their_length(void **state)
{
	static const uint8_t begins[3][4] = {
		{ 0xba, 0x78, 0x16, 0xbf }, { 0xcb, 0x00, 0x75, 0x3f }, { 0xdd, 0xaf, 0x35, 0xa1 }
	}; /* of "abc": FIPS 180-4 */
	const size_t lens[] = { 32, 48, 64 };
	uint8_t out[64];

	for (size_t i = 0; i < 3; i++) {
		assert_true(key_digest(lens[i], "abc", 3, out));
		assert_memory_equal(out, begins[i], 4);
	}
	assert_false(key_digest(20, "abc", 3, out));
	assert_false(key_digest(0, "abc", 3, out));
}

static int make_pairs(void **state)
{
	authority = pem_authority("P-256");
	ec = pem_issue(&authority, "P-256", "mail.example.test");
	rsa = pem_issue(&authority, "RSA-2048", "mail.example.test");
	other = pem_issue(&authority, "P-256", "other.example.test");
	edwards = pem_issue(&authority, "Ed25519", "mail.example.test");
	return 0;
}

static int free_pairs(void **state)
{
	pem_free(&authority);
	pem_free(&ec);
	pem_free(&rsa);
	pem_free(&other);
	pem_free(&edwards);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ec_key_signs_digests_only_as_ecdsa),
		cmocka_unit_test(a_key_and_its_certificate_have_one_name),
		cmocka_unit_test(the_name_is_the_hash_of_the_public_key_info),
		cmocka_unit_test(a_key_of_another_type_is_refused),
		cmocka_unit_test(the_public_key_opens_what_the_private_one_signed),
		cmocka_unit_test(the_public_key_verifies),
		cmocka_unit_test(numbers_of_an_ecdsa_signature),
		cmocka_unit_test(an_ed25519_key_signs_messages),
		cmocka_unit_test(digests_are_chosen_by_their_length),
	};

	return cmocka_run_group_tests_name("key", tests, make_pairs, free_pairs);
}
