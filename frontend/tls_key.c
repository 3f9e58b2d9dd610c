/* tls_key - the library's private-key device: it asks here, the key signs elsewhere.
 * Invariants: the library never holds a private key, only the number of one; it is never given a decryption.
 */
#include "frontend/tls_internal.h"
#include <wolfssl/wolfcrypt/cryptocb.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/rsa.h>

#include <string.h>

static const struct key *key_of_id(const byte *id, int len)
{
	unsigned number;

	if (len != (int)sizeof(number))
		return NULL;
	memcpy(&number, id, sizeof(number));
	return key_by_id(number);
}

static int device_result(int done, const uint8_t *result, size_t len, byte *out, word32 *out_len)
{
	if (done != 0 || len > *out_len)
		return WC_HW_E;
	memcpy(out, result, len);
	*out_len = (word32)len;
	return 0;
}

static int device_ecdsa(wc_CryptoInfo *info)
{
	const struct key *key = key_of_id(info->pk.eccsign.key->id, info->pk.eccsign.key->idLen);
	uint8_t result[KEY_SIGNATURE_MAX];
	size_t len;
	int done;

	if (key == NULL)
		return CRYPTOCB_UNAVAILABLE;
	done = key_sign(key, KEY_SIGN_ECDSA, info->pk.eccsign.in, info->pk.eccsign.inlen, result,
			&len);
	return device_result(done, result, len, info->pk.eccsign.out, info->pk.eccsign.outlen);
}

static int device_rsa(wc_CryptoInfo *info)
{
	const struct key *key = key_of_id(info->pk.rsa.key->id, info->pk.rsa.key->idLen);
	uint8_t result[KEY_SIGNATURE_MAX];
	size_t len;
	int done;

	if (key == NULL)
		return CRYPTOCB_UNAVAILABLE;
	switch (info->pk.rsa.type) {
	case RSA_PRIVATE_ENCRYPT:
		done = key_sign(key, KEY_SIGN_RSA, info->pk.rsa.in, info->pk.rsa.inLen, result,
				&len);
		break;
	case RSA_PUBLIC_DECRYPT:
	case RSA_PUBLIC_ENCRYPT:
		done = key_rsa_public(key, info->pk.rsa.in, info->pk.rsa.inLen, result, &len);
		break;
	default: /* no suite of ours decrypts with the key */
		return WC_HW_E;
	}
	return device_result(done, result, len, info->pk.rsa.out, info->pk.rsa.outLen);
}

static int device_callback(int id, wc_CryptoInfo *info, void *unused)
{
	if (info->algo_type != WC_ALGO_TYPE_PK)
		return CRYPTOCB_UNAVAILABLE;
	if (info->pk.type == WC_PK_TYPE_ECDSA_SIGN)
		return device_ecdsa(info);
	if (info->pk.type == WC_PK_TYPE_RSA)
		return device_rsa(info);
	return CRYPTOCB_UNAVAILABLE;
}

int tls_key_device_start(void)
{
	return wc_CryptoCb_RegisterDevice(TLS_KEY_DEVICE, device_callback, NULL) == 0 ? 0 : -1;
}

void tls_key_device_stop(void)
{
	wc_CryptoCb_UnRegisterDevice(TLS_KEY_DEVICE);
}

bool tls_key_device_use(WOLFSSL_CTX *ctx, const struct key *key)
{
	unsigned id = key_id(key);

	return wolfSSL_CTX_use_PrivateKey_Id(ctx, (const unsigned char *)&id, sizeof(id),
					     TLS_KEY_DEVICE) == WOLFSSL_SUCCESS;
}
