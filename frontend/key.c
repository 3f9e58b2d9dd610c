/* key - private keys, by libcrypto: its RSA signs 6 times as fast as Debian's wolfCrypt.
 * OpenSSL's headers stand in no file that includes wolfSSL's, which define the same names.
 */
#include "frontend/key_parts.h"
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/decoder.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct key {
	EVP_PKEY *pkey;
	enum key_type type;
	unsigned bits;
	uint8_t name[KEY_ID_LEN];
};

int key_library_init(void)
{
	return OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS |
					   OPENSSL_INIT_ADD_ALL_CIPHERS |
					   OPENSSL_INIT_ADD_ALL_DIGESTS,
				   NULL) == 1
		       ? 0
		       : -1;
}

int key_parts_no_pass_phrase(char *buf, int size, int rwflag, void *u)
{
	return -1;
}

BIO *key_parts_bio(const uint8_t *data, size_t len)
{
	return len <= INT32_MAX ? BIO_new_mem_buf(data, (int)len) : NULL;
}

/* With its type named: a decoder that tries every type there is takes three times as long. */
static EVP_PKEY *decode(const unsigned char *der, size_t len, const char *type,
			const char *structure)
{
	EVP_PKEY *pkey = NULL;
	OSSL_DECODER_CTX *decoder = OSSL_DECODER_CTX_new_for_pkey(&pkey, "DER", structure, type,
								  EVP_PKEY_KEYPAIR, NULL, NULL);

	if (decoder != NULL)
		OSSL_DECODER_from_data(decoder, &der, &len);
	OSSL_DECODER_CTX_free(decoder);
	return pkey;
}

/* NULL: none of ours, so any will do. */
static const char *pkcs8_type(const unsigned char *der, size_t len)
{
	PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &der, (long)len);
	const ASN1_OBJECT *algorithm = NULL;
	int nid = NID_undef;

	if (info != NULL && PKCS8_pkey_get0(&algorithm, NULL, NULL, NULL, info) == 1)
		nid = OBJ_obj2nid(algorithm);
	PKCS8_PRIV_KEY_INFO_free(info); /* wipes it */
	return nid == NID_rsaEncryption          ? "RSA"
	       : nid == NID_X9_62_id_ecPublicKey ? "EC"
	       : nid == NID_ED25519              ? "ED25519"
						 : NULL;
}

static EVP_PKEY *read_named(const char *name, const unsigned char *der, size_t len)
{
	if (strcmp(name, PEM_STRING_PKCS8INF) == 0)
		return decode(der, len, pkcs8_type(der, len), "PrivateKeyInfo");
	if (strcmp(name, PEM_STRING_RSA) == 0)
		return decode(der, len, "RSA", "type-specific");
	if (strcmp(name, PEM_STRING_ECPRIVATEKEY) == 0)
		return decode(der, len, "EC", "type-specific");
	return NULL;
}

static EVP_PKEY *key_read(const uint8_t *pem, size_t len, char why[256])
{
	BIO *bio = key_parts_bio(pem, len);
	unsigned char *der = NULL;
	char *name = NULL;
	long der_len = 0;
	EVP_PKEY *pkey = NULL;

	if (bio != NULL && PEM_bytes_read_bio_secmem(&der, &der_len, &name, PEM_STRING_EVP_PKEY,
						     bio, key_parts_no_pass_phrase, NULL) == 1)
		pkey = read_named(name, der, (size_t)der_len);
	OPENSSL_secure_clear_free(der, (size_t)der_len);
	OPENSSL_free(name);
	BIO_free(bio);
	if (pkey == NULL)
		snprintf(why, 256, "the key cannot be read (PEM without pass phrase is expected)");
	return pkey;
}

/* RFC 5480 2.1.1: a curve that is described, not named, is one that no client takes. */
static bool is_curve_named(EVP_PKEY *pkey)
{
	char encoding[16] = "";

	return EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_EC_ENCODING, encoding,
					      sizeof(encoding), NULL) == 1 &&
	       strcmp(encoding, OSSL_PKEY_EC_ENCODING_GROUP) == 0;
}

bool key_parts_kind(EVP_PKEY *pkey, enum key_type *type, unsigned *bits)
{
	char group[32] = "";

	*bits = (unsigned)EVP_PKEY_get_bits(pkey);
	if (EVP_PKEY_is_a(pkey, "RSA") && *bits <= KEY_RSA_BITS_MAX) {
		*type = KEY_RSA;
		return true;
	}
	if (EVP_PKEY_is_a(pkey, "EC") && is_curve_named(pkey) &&
	    EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) == 1 &&
	    (strcmp(group, "prime256v1") == 0 || strcmp(group, "secp384r1") == 0)) {
		*type = KEY_EC;
		return true;
	}
	*type = KEY_ED25519;
	*bits = 256;
	return EVP_PKEY_is_a(pkey, "ED25519");
}

bool key_parts_spki_hash(EVP_PKEY *pkey, uint8_t id[KEY_ID_LEN])
{
	uint8_t *spki = NULL;
	int len = i2d_PUBKEY(pkey, &spki);
	bool done = len > 0 && key_digest(KEY_ID_LEN, spki, (size_t)len, id);

	OPENSSL_free(spki);
	return done;
}

bool key_digest(size_t digest_len, const void *in, size_t len, uint8_t *out)
{
	const EVP_MD *digest = digest_len == 32   ? EVP_sha256()
			       : digest_len == 48 ? EVP_sha384()
			       : digest_len == 64 ? EVP_sha512()
						  : NULL;

	return digest != NULL && EVP_Digest(in, len, out, NULL, digest, NULL) == 1;
}

struct key *key_from_pem(const uint8_t *pem, size_t len, char why[256])
{
	struct key *key = calloc(1, sizeof(*key));

	snprintf(why, 256, "out of memory");
	if (key == NULL)
		return NULL;
	key->pkey = key_read(pem, len, why);
	if (key->pkey == NULL)
		goto fail;
	snprintf(why, 256,
		 "the key is neither RSA of up to %d bits, ECDSA P-256 or P-384 with the curve's "
		 "name, nor Ed25519",
		 KEY_RSA_BITS_MAX);
	if (!key_parts_kind(key->pkey, &key->type, &key->bits) ||
	    !key_parts_spki_hash(key->pkey, key->name))
		goto fail;
	return key;
fail:
	ERR_clear_error();
	key_free(key);
	return NULL;
}

unsigned key_bits(const struct key *key)
{
	return key->bits;
}

void key_spki_hash(const struct key *key, uint8_t id[KEY_ID_LEN])
{
	memcpy(id, key->name, KEY_ID_LEN);
}

void key_free(struct key *key)
{
	if (key == NULL)
		return;
	EVP_PKEY_free(key->pkey);
	free(key);
}

enum key_type key_type(const struct key *key)
{
	return key->type;
}

static bool sign_digest(const struct key *key, const uint8_t *in, size_t len, uint8_t *out,
			size_t *out_len)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key->pkey, NULL);
	bool done =
		ctx != NULL && EVP_PKEY_sign_init(ctx) == 1 &&
		(key->type != KEY_RSA || EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) == 1) &&
		EVP_PKEY_sign(ctx, out, out_len, in, len) == 1;

	EVP_PKEY_CTX_free(ctx);
	return done;
}

static bool sign_message(const struct key *key, const uint8_t *in, size_t len, uint8_t *out,
			 size_t *out_len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool done = ctx != NULL && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key->pkey) == 1 &&
		    EVP_DigestSign(ctx, out, out_len, in, len) == 1;

	EVP_MD_CTX_free(ctx);
	return done;
}

int key_sign(const struct key *key, enum key_algorithm algorithm, const uint8_t *in, size_t len,
	     uint8_t *out, size_t *out_len)
{
	static const enum key_type wanted[] = { [KEY_SIGN_ECDSA] = KEY_EC,
						[KEY_SIGN_RSA] = KEY_RSA,
						[KEY_SIGN_ED25519] = KEY_ED25519 };
	bool done;

	if (key->type != wanted[algorithm])
		return -1;
	*out_len = KEY_SIGNATURE_MAX;
	done = key->type == KEY_ED25519 ? sign_message(key, in, len, out, out_len)
					: sign_digest(key, in, len, out, out_len);
	ERR_clear_error();
	return done ? 0 : -1;
}
