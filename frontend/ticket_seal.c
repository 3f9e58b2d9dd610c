/* ticket_seal - see ticket_seal.h. By libcrypto, whose AES is the processor's own. */
#include "frontend/ticket_seal.h"
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <sys/random.h>

#define NONCE_LEN 12
#define TAG_LEN   16
#define CHARS     64 /* of base64, of 48 octets */

bool ticket_octets(void *out, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t got = getrandom((uint8_t *)out + done, len - done, 0);

		if (got < 0 && errno != EINTR)
			return false;
		done += got > 0 ? (size_t)got : 0;
	}
	return true;
}

/* What is authenticated and not encrypted. */
static bool feed_scope(EVP_CIPHER_CTX *ctx, const struct ticket_key *key, struct span scope)
{
	int len;

	return EVP_CipherUpdate(ctx, NULL, &len, key->name, TICKET_NAME_LEN) == 1 &&
	       EVP_CipherUpdate(ctx, NULL, &len, (const uint8_t *)scope.data, (int)scope.len) == 1;
}

/* The tag is the caller's to take or to check. */
static bool crypt(EVP_CIPHER_CTX *ctx, const struct ticket_key *key, const uint8_t *nonce, int seal,
		  struct span scope, uint8_t *data, size_t len)
{
	int done;

	return ctx != NULL && len <= INT32_MAX && scope.len <= INT32_MAX &&
	       EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->secret, nonce, seal) == 1 &&
	       feed_scope(ctx, key, scope) &&
	       EVP_CipherUpdate(ctx, data, &done, data, (int)len) == 1;
}

bool ticket_seal(const struct ticket_keys *keys, struct span scope, uint8_t *data, size_t len,
		 struct ticket_label *out)
{
	const struct ticket_key *key = ticket_keys_sealing(keys);
	EVP_CIPHER_CTX *ctx;
	int rest;
	bool done;

	*out = (struct ticket_label) { .name = { 0 } };
	if (key == NULL || !ticket_octets(out->iv, NONCE_LEN))
		return false;
	memcpy(out->name, key->name, TICKET_NAME_LEN);
	ctx = EVP_CIPHER_CTX_new();
	done = crypt(ctx, key, out->iv, 1, scope, data, len) &&
	       EVP_CipherFinal_ex(ctx, data + len, &rest) == 1 &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_LEN, out->mac) == 1;
	EVP_CIPHER_CTX_free(ctx);
	ERR_clear_error();
	return done;
}

static bool only_zeros(const uint8_t *data, size_t len)
{
	uint8_t any = 0;

	for (size_t i = 0; i < len; i++)
		any |= data[i];
	return any == 0;
}

enum ticket_opening ticket_open(const struct ticket_keys *keys, struct span scope,
				const struct ticket_label *label, uint8_t *data, size_t len)
{
	const struct ticket_key *key = ticket_keys_find(keys, label->name);
	uint8_t tag[TAG_LEN];
	EVP_CIPHER_CTX *ctx;
	int rest;
	bool opened;

	if (key == NULL)
		return TICKET_UNKNOWN;
	if (!only_zeros(label->iv + NONCE_LEN, TICKET_IV_LEN - NONCE_LEN) ||
	    !only_zeros(label->mac + TAG_LEN, TICKET_MAC_LEN - TAG_LEN))
		return TICKET_FOREIGN;
	memcpy(tag, label->mac, TAG_LEN);
	ctx = EVP_CIPHER_CTX_new();
	opened = crypt(ctx, key, label->iv, 0, scope, data, len) &&
		 EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_LEN, tag) == 1 &&
		 EVP_CipherFinal_ex(ctx, data + len, &rest) == 1;
	EVP_CIPHER_CTX_free(ctx);
	ERR_clear_error();
	if (!opened)
		explicit_bzero(data, len);
	return opened ? TICKET_OPENED : TICKET_FOREIGN;
}

bool ticket_base64(const char *text, uint8_t out[48])
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < CHARS; i++)
		if (text[i] == '\0' || strchr(alphabet, text[i]) == NULL)
			return false;
	return EVP_DecodeBlock(out, (const uint8_t *)text, CHARS) == CHARS / 4 * 3;
}
