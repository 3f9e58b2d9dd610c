/* What the keeper signs and what it does not. The blocks are libcrypto's own: signed by it and opened with the public key. */
#include "frontend/keeper_rules.h"
#include "frontend/public_key.h"
#include "tests/support/guard.h"
#include "tests/support/pem.h"
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#define SIZES 4

static const char *const kinds[SIZES] = { "RSA-1024", "RSA-2048", "RSA-2049", "RSA-2054" };
static struct pem_pair authority, pairs[SIZES];
static EVP_PKEY *keys[SIZES];
static struct public_key *publics[SIZES];

struct block {
	uint8_t octets[KEY_SIGNATURE_MAX];
	size_t len;
};

static struct keeper_subject rsa_subject(size_t number, bool old_tls)
{
	return (struct keeper_subject) { KEY_RSA, public_key_bits(publics[number]), old_tls };
}

/* digest NULL: 36 octets as they are. salt: 0, no PSS. */
static struct block block_of(size_t number, const EVP_MD *digest, int padding, int salt)
{
	uint8_t input[64] = { 1, 2, 3 }, signature[KEY_SIGNATURE_MAX];
	size_t len = sizeof(signature), input_len = digest ? (size_t)EVP_MD_get_size(digest) : 36;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(keys[number], NULL);
	struct block block;

	assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, padding), 1);
	if (digest)
		assert_int_equal(EVP_PKEY_CTX_set_signature_md(ctx, digest), 1);
	if (padding == RSA_PKCS1_PSS_PADDING)
		assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, salt), 1);
	assert_int_equal(EVP_PKEY_sign(ctx, signature, &len, input, input_len), 1);
	EVP_PKEY_CTX_free(ctx);
	assert_int_equal(public_key_rsa(publics[number], signature, len, block.octets, &block.len),
			 0);
	return block;
}

static bool may(const struct keeper_subject *subject, enum key_algorithm algorithm, const void *in,
		size_t len)
{
	char *copy = guard_copy(in, len);
	bool allowed = keeper_may_sign(subject, algorithm, (const uint8_t *)copy, len, key_digest);

	guard_free(copy, len);
	return allowed;
}

static bool may_rsa(size_t number, const struct block *block)
{
	const struct keeper_subject subject = rsa_subject(number, false);

	return may(&subject, KEY_SIGN_RSA, block->octets, block->len);
}

/* RFC 8017 9.2 and 9.1, of the digests that TLS 1.2 and 1.3 use */
static void padded_digests_are_signed(void **state)
{
	const EVP_MD *digests[] = { EVP_sha256(), EVP_sha384(), EVP_sha512() };

	for (size_t number = 0; number < SIZES; number++) {
		for (size_t i = 0; i < 3; i++) {
			struct block block = block_of(number, digests[i], RSA_PKCS1_PADDING, 0);

			assert_true(may_rsa(number, &block));
			if (number == 0 && i == 2)
				continue; /* RSA-1024 has no room for two of SHA-512 */
			for (unsigned times = 0; times < 4; times++) {
				block = block_of(number, digests[i], RSA_PKCS1_PSS_PADDING,
						 RSA_PSS_SALTLEN_DIGEST);
				assert_true(may_rsa(number, &block));
			}
		}
	}
}

/* RFC 4346 7.4.3: MD5 and SHA-1 side by side, without a DigestInfo */
static void the_two_digests_of_tls_1_1_only_where_it_is_spoken(void **state)
{
	const struct keeper_subject old = rsa_subject(1, true);
	struct block both = block_of(1, NULL, RSA_PKCS1_PADDING, 0);
	struct block pss = block_of(1, EVP_sha1(), RSA_PKCS1_PSS_PADDING, RSA_PSS_SALTLEN_DIGEST);

	assert_false(may_rsa(1, &both));
	assert_true(may(&old, KEY_SIGN_RSA, both.octets, both.len));
	assert_false(may(&old, KEY_SIGN_RSA, pss.octets, pss.len));
}

static void other_digests_are_not_signed(void **state)
{
	const struct keeper_subject old = rsa_subject(1, true);
	const EVP_MD *digests[] = { EVP_md5(), EVP_sha1(), EVP_sha224(), EVP_sha512_256(),
				    EVP_sha3_256() };

	for (size_t i = 0; i < 5; i++) {
		struct block block = block_of(1, digests[i], RSA_PKCS1_PADDING, 0);

		assert_false(may_rsa(1, &block));
		assert_false(may(&old, KEY_SIGN_RSA, block.octets, block.len));
	}
}

static void a_salt_of_another_length_is_refused(void **state)
{
	const int salts[] = { 0, 20, 31, 33, 48, RSA_PSS_SALTLEN_MAX };

	for (size_t i = 0; i < sizeof(salts) / sizeof(salts[0]); i++) {
		struct block block = block_of(1, EVP_sha256(), RSA_PKCS1_PSS_PADDING, salts[i]);

		assert_false(may_rsa(1, &block));
	}
}

/* Each octet of the padding counts: of PKCS#1 all, of PSS all but hash and salt, which only the signer knows. */
static void a_changed_octet_is_refused(void **state)
{
	for (size_t number = 1; number < 3; number++) {
		struct block pkcs1 = block_of(number, EVP_sha256(), RSA_PKCS1_PADDING, 0);
		struct block pss = block_of(number, EVP_sha256(), RSA_PKCS1_PSS_PADDING,
					    RSA_PSS_SALTLEN_DIGEST);

		for (size_t i = 0; i < pkcs1.len; i++) {
			bool free = i >= pkcs1.len - 32;

			pkcs1.octets[i] ^= 1;
			assert_int_equal(may_rsa(number, &pkcs1), free);
			pkcs1.octets[i] ^= 1;
		}
		for (size_t i = 0; i < pss.len; i++) {
			bool free = i >= pss.len - 65 && i < pss.len - 33;

			pss.octets[i] ^= 1;
			assert_int_equal(may_rsa(number, &pss), free);
			pss.octets[i] ^= 1;
		}
		pss.octets[0] ^= 0x80;
		assert_false(may_rsa(number, &pss));
	}
}

static void a_block_of_another_size_is_refused(void **state)
{
	struct block block = block_of(1, EVP_sha256(), RSA_PKCS1_PADDING, 0);
	const struct keeper_subject subject = rsa_subject(1, false), larger = rsa_subject(2, false);

	for (size_t len = 0; len < block.len; len++) {
		assert_false(may(&subject, KEY_SIGN_RSA, block.octets, len));
		assert_false(may(&subject, KEY_SIGN_RSA, block.octets + block.len - len, len));
	}
	assert_false(may(&larger, KEY_SIGN_RSA, block.octets, block.len));
	assert_false(may(&(struct keeper_subject) { KEY_RSA, 0, true }, KEY_SIGN_RSA, "", 0));
	assert_false(
		may(&(struct keeper_subject) { KEY_RSA, UINT32_MAX, true }, KEY_SIGN_RSA, "", 0));
}

/* Also as a TLS client would have encrypted a premaster secret: type 2, and OAEP. */
static void a_ciphertext_is_not_decrypted(void **state)
{
	const int paddings[] = { RSA_PKCS1_PADDING, RSA_PKCS1_OAEP_PADDING };
	uint8_t secret[48] = { 3, 3 };

	for (size_t i = 0; i < 2; i++) {
		EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(keys[1], NULL);
		struct block block = { .len = sizeof(block.octets) };

		assert_int_equal(EVP_PKEY_encrypt_init(ctx), 1);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, paddings[i]), 1);
		assert_int_equal(EVP_PKEY_encrypt(ctx, block.octets, &block.len, secret, 48), 1);
		EVP_PKEY_CTX_free(ctx);
		assert_false(may_rsa(1, &block));
		assert_int_equal(public_key_rsa(publics[1], block.octets, block.len, block.octets,
						&block.len),
				 0);
		assert_false(may_rsa(1, &block));
	}
}

static void ecdsa_signs_digests(void **state)
{
	const struct keeper_subject subject = { KEY_EC, 256, false }, old = { KEY_EC, 256, true };
	uint8_t digest[70] = { 0 };

	for (size_t len = 0; len <= sizeof(digest); len++) {
		bool ours = len == 32 || len == 48 || len == 64;

		assert_int_equal(may(&subject, KEY_SIGN_ECDSA, digest, len), ours);
		assert_int_equal(may(&old, KEY_SIGN_ECDSA, digest, len), ours || len == 20);
	}
}

/* RFC 8446 4.4.3 */
static void ed25519_signs_certificate_verify_of_a_server(void **state)
{
	const struct keeper_subject subject = { KEY_ED25519, 256, true };
	char message[64 + 34 + 64];

	memset(message, 0x77, sizeof(message));
	memset(message, ' ', 64);
	memcpy(message + 64, "TLS 1.3, server CertificateVerify", 34);
	for (size_t len = 0; len <= sizeof(message); len++)
		assert_int_equal(may(&subject, KEY_SIGN_ED25519, message, len),
				 len == 98 + 32 || len == 98 + 48);
	for (size_t i = 0; i < 98; i++) {
		message[i] ^= 1;
		assert_false(may(&subject, KEY_SIGN_ED25519, message, 130));
		message[i] ^= 1;
	}
	memcpy(message + 64, "TLS 1.3, client CertificateVerify", 34);
	assert_false(may(&subject, KEY_SIGN_ED25519, message, 130));
}

static void an_algorithm_that_is_not_the_keys_is_refused(void **state)
{
	struct block block = block_of(1, EVP_sha256(), RSA_PKCS1_PADDING, 0);
	const struct keeper_subject rsa = rsa_subject(1, true), ec = { KEY_EC, 2048, true };

	assert_false(may(&rsa, KEY_SIGN_ECDSA, block.octets, 32));
	assert_false(may(&ec, KEY_SIGN_RSA, block.octets, block.len));
	assert_false(may(&rsa, (enum key_algorithm)99, block.octets, block.len));
}

static int make_keys(void **state)
{
	char why[256];

	authority = pem_authority("P-256");
	for (size_t i = 0; i < SIZES; i++) {
		BIO *bio;

		pairs[i] = pem_issue(&authority, kinds[i], "mail.example.test");
		bio = BIO_new_mem_buf(pairs[i].key, -1);
		keys[i] = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
		BIO_free(bio);
		publics[i] = public_key_from_pem((const uint8_t *)pairs[i].chain,
						 strlen(pairs[i].chain), why);
		if (keys[i] == NULL || publics[i] == NULL)
			return -1;
	}
	return 0;
}

static int free_keys(void **state)
{
	for (size_t i = 0; i < SIZES; i++) {
		EVP_PKEY_free(keys[i]);
		public_key_free(publics[i]);
		pem_free(&pairs[i]);
	}
	pem_free(&authority);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(padded_digests_are_signed),
		cmocka_unit_test(the_two_digests_of_tls_1_1_only_where_it_is_spoken),
		cmocka_unit_test(other_digests_are_not_signed),
		cmocka_unit_test(a_salt_of_another_length_is_refused),
		cmocka_unit_test(a_changed_octet_is_refused),
		cmocka_unit_test(a_block_of_another_size_is_refused),
		cmocka_unit_test(a_ciphertext_is_not_decrypted),
		cmocka_unit_test(ecdsa_signs_digests),
		cmocka_unit_test(ed25519_signs_certificate_verify_of_a_server),
		cmocka_unit_test(an_algorithm_that_is_not_the_keys_is_refused),
	};

	return cmocka_run_group_tests_name("keeper_rules", tests, make_keys, free_keys);
}
