/* key - private keys, by libcrypto: its RSA signs 6 times as fast as Debian's wolfCrypt.
 * The only file that includes OpenSSL's headers: wolfSSL's define the same names and may not stand beside them.
 */
#include "frontend/key.h"
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHAIN_MAX 10 /* certificates in one file */

struct key {
	EVP_PKEY *pkey;
	enum key_type type;
	unsigned id;
	struct key *next;
};

/* All keys of this process, so that the TLS library's callback finds one by its id. */
static struct key *keys;
static unsigned last_id;

int key_library_init(void)
{
	return OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS |
					   OPENSSL_INIT_ADD_ALL_CIPHERS |
					   OPENSSL_INIT_ADD_ALL_DIGESTS,
				   NULL) == 1
		       ? 0
		       : -1;
}

/* A key with a pass phrase must fail, not ask on a terminal. */
static int no_pass_phrase(char *buf, int size, int rwflag, void *u)
{
	return -1;
}

static BIO *bio_of(const uint8_t *data, size_t len)
{
	return len <= INT32_MAX ? BIO_new_mem_buf(data, (int)len) : NULL;
}

static EVP_PKEY *key_read(const uint8_t *pem, size_t len, char why[256])
{
	BIO *bio = bio_of(pem, len);
	EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_pass_phrase, NULL) : NULL;

	BIO_free(bio);
	if (pkey == NULL)
		snprintf(why, 256, "the key cannot be read (PEM without pass phrase is expected)");
	return pkey;
}

static bool key_size_ok(EVP_PKEY *pkey, enum key_type *type, char why[256])
{
	char group[32] = "";

	if (EVP_PKEY_is_a(pkey, "RSA") && EVP_PKEY_get_bits(pkey) >= 2048 &&
	    EVP_PKEY_get_size(pkey) <= KEY_SIGNATURE_MAX) {
		*type = KEY_RSA;
		return true;
	}
	if (EVP_PKEY_is_a(pkey, "EC") &&
	    EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) == 1 &&
	    (strcmp(group, "prime256v1") == 0 || strcmp(group, "secp384r1") == 0)) {
		*type = KEY_EC;
		return true;
	}
	snprintf(why, 256, "the key is neither RSA of 2048 bits and more nor ECDSA P-256 or P-384");
	return false;
}

static size_t chain_read(const uint8_t *pem, size_t len, X509 *chain[CHAIN_MAX + 1])
{
	BIO *bio = bio_of(pem, len);
	size_t count = 0;

	while (bio && count <= CHAIN_MAX &&
	       (chain[count] = PEM_read_bio_X509(bio, NULL, no_pass_phrase, NULL)) != NULL)
		count++;
	BIO_free(bio);
	ERR_clear_error();
	return count;
}

static bool chain_fits(X509 *const *chain, size_t count, EVP_PKEY *pkey, char why[256])
{
	if (count == 0) {
		snprintf(why, 256, "the chain holds no certificate that can be read");
		return false;
	}
	if (count > CHAIN_MAX) {
		snprintf(why, 256, "the chain holds more than %d certificates", CHAIN_MAX);
		return false;
	}
	if (X509_check_private_key(chain[0], pkey) != 1) {
		snprintf(why, 256, "the key does not belong to the first certificate of the chain");
		return false;
	}
	for (size_t i = 0; i + 1 < count; i++) {
		if (X509_check_issued(chain[i + 1], chain[i]) == X509_V_OK)
			continue;
		snprintf(why, 256,
			 "certificate %zu of the chain is not issued by the one behind it", i + 1);
		return false;
	}
	return true;
}

static bool key_check(EVP_PKEY *pkey, const uint8_t *chain_pem, size_t chain_len, char why[256])
{
	X509 *chain[CHAIN_MAX + 1] = { NULL };
	size_t count = chain_read(chain_pem, chain_len, chain);
	bool fits = chain_fits(chain, count, pkey, why);

	for (size_t i = 0; i < count; i++)
		X509_free(chain[i]);
	return fits;
}

struct key *key_new(const uint8_t *key_pem, size_t key_len, const uint8_t *chain_pem,
		    size_t chain_len, char why[256])
{
	struct key *key = calloc(1, sizeof(*key));

	snprintf(why, 256, "out of memory");
	if (key == NULL)
		return NULL;
	key->pkey = key_read(key_pem, key_len, why);
	if (key->pkey == NULL || !key_size_ok(key->pkey, &key->type, why) ||
	    !key_check(key->pkey, chain_pem, chain_len, why)) {
		EVP_PKEY_free(key->pkey);
		free(key);
		ERR_clear_error();
		return NULL;
	}
	key->id = ++last_id;
	key->next = keys;
	keys = key;
	return key;
}

void key_free(struct key *key)
{
	struct key **at = &keys;

	if (key == NULL)
		return;
	while (*at != key)
		at = &(*at)->next;
	*at = key->next;
	EVP_PKEY_free(key->pkey);
	free(key);
}

enum key_type key_type(const struct key *key)
{
	return key->type;
}

unsigned key_id(const struct key *key)
{
	return key->id;
}

const struct key *key_by_id(unsigned id)
{
	const struct key *key = keys;

	while (key != NULL && key->id != id)
		key = key->next;
	return key;
}

int key_sign(const struct key *key, enum key_algorithm algorithm, const uint8_t *in, size_t len,
	     uint8_t *out, size_t *out_len)
{
	enum key_type wanted = algorithm == KEY_SIGN_RSA ? KEY_RSA : KEY_EC;
	EVP_PKEY_CTX *ctx;
	bool done;

	if (key->type != wanted)
		return -1;
	ctx = EVP_PKEY_CTX_new(key->pkey, NULL);
	*out_len = KEY_SIGNATURE_MAX;
	done = ctx != NULL && EVP_PKEY_sign_init(ctx) == 1 &&
	       (wanted != KEY_RSA || EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) == 1) &&
	       EVP_PKEY_sign(ctx, out, out_len, in, len) == 1;
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return done ? 0 : -1;
}

int key_rsa_public(const struct key *key, const uint8_t *in, size_t len, uint8_t *out,
		   size_t *out_len)
{
	EVP_PKEY_CTX *ctx;
	bool done;

	if (key->type != KEY_RSA)
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
