/* tls_key - the library's device: it asks here for signatures, which the key makes elsewhere, and before each exchange of keys, whether
 * the peer's is good.
 * Invariants: the library never holds a private key, only the name of one; it is never asked for a decryption.
 */
#include "frontend/rsa_stand_in.h"
#include "frontend/tls_internal.h"
#include <wolfssl/wolfcrypt/cryptocb.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/rsa.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* What a session waits for. The library has not kept that it waits: at the next call it asks anew, for ECDSA the same and for PSS with
 * another salt, and any good signature of the same transcript is an answer. */
struct tls_signing {
	enum { SIGNING_ASKED, SIGNING_WAITS, SIGNING_DONE, SIGNING_FAILED } state;
	uint8_t id[KEY_ID_LEN];
	enum key_algorithm algorithm;
	size_t in_len, out_len;
	uint8_t in[KEY_SIGNATURE_MAX], out[KEY_SIGNATURE_MAX];
};

#define WAITS 1 /* beside 0 and -1: there will be a signature */

static struct tls *current; /* whose call is under way */

static LIST_HEAD(, tls_context) keys = LIST_HEAD_INITIALIZER(keys);
static struct tls_signer signer;

void tls_sign_by(const struct tls_signer *by)
{
	signer = by ? *by : (struct tls_signer) { 0 };
}

static int ask(struct tls *tls, const byte *id, enum key_algorithm algorithm, const byte *in,
	       word32 len)
{
	struct tls_signing *signing = calloc(1, sizeof(*signing));

	if (signing == NULL || len > sizeof(signing->in)) {
		free(signing);
		return -1;
	}
	memcpy(signing->id, id, KEY_ID_LEN);
	memcpy(signing->in, in, len);
	signing->in_len = len;
	signing->algorithm = algorithm;
	tls->signing = signing;
	return WAITS;
}

static int sign_later(struct tls *tls, const byte *id, enum key_algorithm algorithm, const byte *in,
		      word32 len, uint8_t *out, size_t *out_len)
{
	const struct tls_signing *signing = tls->signing;

	if (signing == NULL)
		return ask(tls, id, algorithm, in, len);
	if (signing->state == SIGNING_ASKED || signing->state == SIGNING_WAITS)
		return WAITS;
	if (signing->state == SIGNING_FAILED || memcmp(signing->id, id, KEY_ID_LEN) != 0 ||
	    signing->algorithm != algorithm || signing->in_len != len)
		return -1;
	memcpy(out, signing->out, signing->out_len);
	*out_len = signing->out_len;
	return 0;
}

static int sign(const byte *id, enum key_algorithm algorithm, const byte *in, word32 len,
		uint8_t *out, size_t *out_len)
{
	if (current != NULL && current->context->token)
		return sign_later(current, id, algorithm, in, len, out, out_len);
	if (signer.sign == NULL)
		return -1;
	return signer.sign(signer.owner, id, algorithm, in, len, out, out_len);
}

/* The library verifies each RSA signature that was made for it. */
static const struct public_key *public_half(const byte *id)
{
	const struct tls_context *context;

	LIST_FOREACH (context, &keys, of_keys)
		if (memcmp(public_key_id(context->key), id, KEY_ID_LEN) == 0)
			return context->key;
	return NULL;
}

static int device_result(int done, const uint8_t *result, size_t len, byte *out, word32 *out_len)
{
	if (done == WAITS)
		return WC_PENDING_E;
	if (done != 0 || len > *out_len)
		return WC_HW_E;
	memcpy(out, result, len);
	*out_len = (word32)len;
	return 0;
}

static int device_ecdsa(wc_CryptoInfo *info)
{
	const struct ecc_key *key = info->pk.eccsign.key;
	uint8_t result[KEY_SIGNATURE_MAX];
	size_t len = 0;
	int done;

	if (key->idLen != KEY_ID_LEN)
		return CRYPTOCB_UNAVAILABLE;
	done = sign(key->id, KEY_SIGN_ECDSA, info->pk.eccsign.in, info->pk.eccsign.inlen, result,
		    &len);
	return device_result(done, result, len, info->pk.eccsign.out, info->pk.eccsign.outlen);
}

/* A peer's key has no private exponent; ours has its name in that place (rsa_stand_in.h). */
static const struct public_key *name_of_rsa(RsaKey *key, byte id[KEY_ID_LEN])
{
	int len = mp_unsigned_bin_size(&key->d);

	if (len == 0 || len > KEY_ID_LEN || mp_to_unsigned_bin_len(&key->d, id, KEY_ID_LEN) != 0)
		return NULL;
	return public_half(id);
}

static int device_rsa(wc_CryptoInfo *info)
{
	byte id[KEY_ID_LEN];
	const struct public_key *half = name_of_rsa(info->pk.rsa.key, id);
	uint8_t result[KEY_SIGNATURE_MAX];
	size_t len = 0;
	int done;

	if (half == NULL)
		return CRYPTOCB_UNAVAILABLE;
	switch (info->pk.rsa.type) {
	case RSA_PRIVATE_ENCRYPT:
		done = sign(id, KEY_SIGN_RSA, info->pk.rsa.in, info->pk.rsa.inLen, result, &len);
		break;
	case RSA_PUBLIC_DECRYPT:
	case RSA_PUBLIC_ENCRYPT:
		done = public_key_rsa(half, info->pk.rsa.in, info->pk.rsa.inLen, result, &len);
		break;
	default: /* no suite of ours decrypts with the key */
		return WC_HW_E;
	}
	return device_result(done, result, len, info->pk.rsa.out, info->pk.rsa.outLen);
}

/* The library itself computes with whatever point the peer sends (RFC 8446 4.2.8.2, RFC 8422 5.11: it must be one of the
 * curve). These curves have a prime order, so any point of them is good. */
static int device_ecdh(wc_CryptoInfo *info)
{
	ecc_key *peer = info->pk.ecdh.public_key;

	return wc_ecc_point_is_on_curve(&peer->pubkey, peer->idx) == 0 ? CRYPTOCB_UNAVAILABLE
								       : IS_POINT_E;
}

static int device_callback(int id, wc_CryptoInfo *info, void *unused)
{
	if (info->algo_type != WC_ALGO_TYPE_PK)
		return CRYPTOCB_UNAVAILABLE;
	if (info->pk.type == WC_PK_TYPE_ECDH)
		return device_ecdh(info);
	if (info->pk.type == WC_PK_TYPE_ECDSA_SIGN)
		return device_ecdsa(info);
	if (info->pk.type == WC_PK_TYPE_RSA)
		return device_rsa(info);
	return CRYPTOCB_UNAVAILABLE;
}

/* The library has no device for Ed25519 keys of others, but it asks here when a context has a certificate and no key. `in` is the message:
 * of TLS 1.3 the text of a CertificateVerify; of TLS 1.2, where the gate does not choose such a certificate, what the keeper refuses. */
static int sign_ed25519(WOLFSSL *ssl, const unsigned char *in, unsigned len, unsigned char *out,
			unsigned *out_len, const unsigned char *unused_key, unsigned unused_len,
			void *unused)
{
	const WOLFSSL_CTX *ctx = wolfSSL_get_SSL_CTX(ssl);
	const struct tls_context *context;
	uint8_t result[KEY_SIGNATURE_MAX];
	size_t result_len;
	int done = -1;

	LIST_FOREACH (context, &keys, of_keys)
		if (context->ctx == ctx)
			break;
	if (context != NULL)
		done = sign(public_key_id(context->key), KEY_SIGN_ED25519, in, len, result,
			    &result_len);
	return done == 0 ? device_result(done, result, result_len, out, out_len) : WC_HW_E;
}

int tls_key_device_start(void)
{
	return wc_CryptoCb_RegisterDevice(TLS_KEY_DEVICE, device_callback, NULL) == 0 ? 0 : -1;
}

void tls_key_device_stop(void)
{
	wc_CryptoCb_UnRegisterDevice(TLS_KEY_DEVICE);
}

static bool name_key(struct tls_context *context)
{
	uint8_t stand_in[RSA_STAND_IN_MAX];
	size_t len = rsa_stand_in(context->key, stand_in);

	if (public_key_type(context->key) == KEY_ED25519) {
		wolfSSL_CTX_SetEd25519SignCb(context->ctx, sign_ed25519);
		return true;
	}
	if (len > 0)
		return wolfSSL_CTX_use_PrivateKey_buffer(context->ctx, stand_in, (long)len,
							 WOLFSSL_FILETYPE_ASN1) == WOLFSSL_SUCCESS;
	return wolfSSL_CTX_use_PrivateKey_Id(context->ctx, public_key_id(context->key), KEY_ID_LEN,
					     TLS_KEY_DEVICE) == WOLFSSL_SUCCESS;
}

bool tls_key_device_use(struct tls_context *context)
{
	if (!name_key(context))
		return false;
	LIST_INSERT_HEAD(&keys, context, of_keys);
	context->listed = true;
	return true;
}

void tls_key_device_forget(struct tls_context *context)
{
	if (context->listed)
		LIST_REMOVE(context, of_keys);
	context->listed = false;
}

/* ---- of sessions that wait ------------------------------------------------------------------------------------------ */

void tls_key_enter(struct tls *tls)
{
	assert(current == NULL);
	current = tls;
}

void tls_key_leave(void)
{
	current = NULL;
}

bool tls_take_request(struct tls *tls, struct tls_request *out)
{
	struct tls_signing *signing = tls->signing;

	if (signing == NULL || signing->state != SIGNING_ASKED)
		return false;
	signing->state = SIGNING_WAITS;
	*out = (struct tls_request) { signing->id, signing->algorithm, signing->in,
				      signing->in_len };
	return true;
}

bool tls_waits(const struct tls *tls)
{
	return tls->signing != NULL && tls->signing->state == SIGNING_WAITS;
}

void tls_signed(struct tls *tls, const uint8_t *signature, size_t len)
{
	struct tls_signing *signing = tls->signing;

	if (!tls_waits(tls))
		return;
	if (signature == NULL || len > sizeof(signing->out)) {
		signing->state = SIGNING_FAILED;
		return;
	}
	memcpy(signing->out, signature, len);
	signing->out_len = len;
	signing->state = SIGNING_DONE;
}

bool tls_key_failed(const struct tls *tls)
{
	return tls->signing != NULL && tls->signing->state == SIGNING_FAILED;
}

void tls_key_end(struct tls *tls)
{
	if (tls->signing == NULL)
		return;
	explicit_bzero(tls->signing, sizeof(*tls->signing));
	free(tls->signing);
	tls->signing = NULL;
}
