/* public_key - of a certificate, by libcrypto; see public_key.h. */
#include "frontend/public_key.h"
#include "frontend/key_parts.h"
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPONENT_MAX 32

struct public_key {
	EVP_PKEY *pkey;
	enum key_type type;
	unsigned bits;
	uint8_t id[KEY_ID_LEN];
	uint8_t modulus[KEY_SIGNATURE_MAX], exponent[EXPONENT_MAX]; /* of RSA */
	size_t modulus_len, exponent_len;
};

static EVP_PKEY *read_first(const uint8_t *pem, size_t len)
{
	BIO *bio = key_parts_bio(pem, len);
	X509 *leaf = bio ? PEM_read_bio_X509(bio, NULL, key_parts_no_pass_phrase, NULL) : NULL;
	EVP_PKEY *pkey = leaf ? X509_get_pubkey(leaf) : NULL;

	X509_free(leaf);
	BIO_free(bio);
	return pkey;
}

static bool read_number(EVP_PKEY *pkey, const char *name, uint8_t *out, size_t max, size_t *len)
{
	BIGNUM *number = NULL;
	bool fits = EVP_PKEY_get_bn_param(pkey, name, &number) == 1 &&
		    (size_t)BN_num_bytes(number) <= max;

	if (fits)
		*len = (size_t)BN_bn2bin(number, out);
	BN_free(number);
	return fits;
}

static bool read_numbers(struct public_key *key)
{
	return key->type != KEY_RSA || (read_number(key->pkey, OSSL_PKEY_PARAM_RSA_N, key->modulus,
						    sizeof(key->modulus), &key->modulus_len) &&
					read_number(key->pkey, OSSL_PKEY_PARAM_RSA_E, key->exponent,
						    sizeof(key->exponent), &key->exponent_len));
}

struct public_key *public_key_from_pem(const uint8_t *chain_pem, size_t len, char why[256])
{
	struct public_key *key = calloc(1, sizeof(*key));

	snprintf(why, 256, "out of memory");
	if (key == NULL)
		return NULL;
	snprintf(why, 256, "no certificate, or none with a public key, can be read");
	key->pkey = read_first(chain_pem, len);
	if (key->pkey == NULL)
		goto fail;
	snprintf(why, 256,
		 "the certificate's key is neither RSA of up to 4096 bits, ECDSA "
		 "P-256 or P-384 with the curve's name, nor Ed25519");
	if (key_parts_kind(key->pkey, &key->type, &key->bits) &&
	    key_parts_spki_hash(key->pkey, key->id) && read_numbers(key))
		return key;
fail:
	ERR_clear_error();
	public_key_free(key);
	return NULL;
}

void public_key_free(struct public_key *key)
{
	if (key == NULL)
		return;
	EVP_PKEY_free(key->pkey);
	free(key);
}

enum key_type public_key_type(const struct public_key *key)
{
	return key->type;
}

unsigned public_key_bits(const struct public_key *key)
{
	return key->bits;
}

const uint8_t *public_key_id(const struct public_key *key)
{
	return key->id;
}

bool public_key_numbers(const struct public_key *key, struct public_key_number *modulus,
			struct public_key_number *exponent)
{
	*modulus = (struct public_key_number) { key->modulus, key->modulus_len };
	*exponent = (struct public_key_number) { key->exponent, key->exponent_len };
	return key->type == KEY_RSA;
}

int public_key_rsa(const struct public_key *key, const uint8_t *in, size_t len, uint8_t *out,
		   size_t *out_len)
{
	EVP_PKEY_CTX *ctx;
	bool done;

	/* the library would take a shorter block for one with zeros before it */
	if (key->type != KEY_RSA || len != (size_t)EVP_PKEY_get_size(key->pkey))
		return -1;
	ctx = EVP_PKEY_CTX_new(key->pkey, NULL);
	*out_len = KEY_SIGNATURE_MAX;
	done = ctx != NULL && EVP_PKEY_verify_recover_init(ctx) == 1 &&
	       EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) == 1 &&
	       EVP_PKEY_verify_recover(ctx, out, out_len, in, len) == 1;
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return done ? 0 : -1;
}

static bool rsa_verifies(const struct public_key *key, const uint8_t *in, size_t len,
			 const uint8_t *signature, size_t signature_len)
{
	uint8_t block[KEY_SIGNATURE_MAX];
	size_t block_len;

	return public_key_rsa(key, signature, signature_len, block, &block_len) == 0 &&
	       block_len == len && memcmp(block, in, len) == 0;
}

bool public_key_verifies(const struct public_key *key, const uint8_t *in, size_t len,
			 const uint8_t *signature, size_t signature_len)
{
	EVP_PKEY_CTX *ctx;
	bool good;

	if (key->type == KEY_RSA)
		return rsa_verifies(key, in, len, signature, signature_len);
	if (key->type != KEY_EC)
		return false;
	ctx = EVP_PKEY_CTX_new(key->pkey, NULL);
	good = ctx != NULL && EVP_PKEY_verify_init(ctx) == 1 &&
	       EVP_PKEY_verify(ctx, signature, signature_len, in, len) == 1;
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return good;
}

bool public_key_ecdsa_der(const uint8_t *numbers, size_t len, uint8_t out[KEY_SIGNATURE_MAX],
			  size_t *out_len)
{
	ECDSA_SIG *signature = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(numbers, (int)(len / 2), NULL);
	BIGNUM *s = BN_bin2bn(numbers + len / 2, (int)(len / 2), NULL);
	int size = 0;

	if (signature != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(signature, r, s) == 1) {
		size = i2d_ECDSA_SIG(signature, NULL);
		if (len == 0 || len % 2 != 0 || size > KEY_SIGNATURE_MAX)
			size = 0;
		else
			size = i2d_ECDSA_SIG(signature, &out);
	} else {
		BN_free(r);
		BN_free(s);
	}
	ECDSA_SIG_free(signature);
	*out_len = size > 0 ? (size_t)size : 0;
	return size > 0;
}
