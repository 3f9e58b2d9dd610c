/* keeper_rules - see keeper_rules.h.
 * A PSS block's hash cannot be checked, since the message is not known; its padding can, and random bytes (a ciphertext, blinded or
 * not) hardly ever pass it: its zeros are 30 octets and more for every modulus from 1024 bits.
 */
#include "frontend/keeper_rules.h"
#include <string.h>

#define DIGEST_MAX       64
#define MD5_AND_SHA1_LEN 36

/* DigestInfo up to the digest: RFC 8017 9.2, note 1; its last octet is the digest's length. */
#define PREFIX_LEN 19
static const uint8_t prefixes[3][PREFIX_LEN] = {
	{ 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
	  0x05, 0x00, 0x04, 32 },
	{ 0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02,
	  0x05, 0x00, 0x04, 48 },
	{ 0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03,
	  0x05, 0x00, 0x04, 64 },
};

/* 0, 1, 0xff as often as there is room, 0; then `tail` octets. */
static bool is_pkcs1_before(const uint8_t *block, size_t len, size_t tail)
{
	size_t zero;

	if (len < tail + 11)
		return false;
	zero = len - tail - 1;
	if (block[0] != 0 || block[1] != 1 || block[zero] != 0)
		return false;
	for (size_t i = 2; i < zero; i++)
		if (block[i] != 0xff)
			return false;
	return true;
}

static bool is_pkcs1(const uint8_t *block, size_t len, bool old_tls)
{
	for (size_t i = 0; i < 3; i++) {
		size_t tail = (size_t)PREFIX_LEN + prefixes[i][PREFIX_LEN - 1];

		if (is_pkcs1_before(block, len, tail) &&
		    memcmp(block + len - tail, prefixes[i], PREFIX_LEN) == 0)
			return true;
	}
	return old_tls && is_pkcs1_before(block, len, MD5_AND_SHA1_LEN);
}

/* MGF1 (RFC 8017 B.2.1), a digest's length at a time. */
struct mask {
	keeper_digest *digest;
	size_t digest_len;
	uint8_t seed[DIGEST_MAX + 4]; /* the hash, then a counter */
	uint8_t part[DIGEST_MAX];
};

static bool mask_part(struct mask *mask, size_t number)
{
	uint8_t *counter = mask->seed + mask->digest_len;

	counter[0] = counter[1] = 0;
	counter[2] = (uint8_t)(number >> 8);
	counter[3] = (uint8_t)number;
	return mask->digest(mask->digest_len, mask->seed, mask->digest_len + 4, mask->part);
}

/* DB = zeros, 1, salt as long as the digest (RFC 8446 4.2.3). unused: its top bits, which are zero whatever the mask says. */
static bool is_padded(struct mask *mask, const uint8_t *db, size_t len, unsigned unused)
{
	size_t one = len - mask->digest_len - 1;

	for (size_t i = 0; i <= one; i++) {
		uint8_t octet;

		if (i % mask->digest_len == 0 && !mask_part(mask, i / mask->digest_len))
			return false;
		octet = db[i] ^ mask->part[i % mask->digest_len];
		if (i == 0)
			octet &= (uint8_t)(0xff >> unused);
		if (octet != (i == one ? 1 : 0))
			return false;
	}
	return true;
}

static bool is_pss_of(size_t digest_len, const uint8_t *block, size_t len, unsigned unused,
		      keeper_digest *digest)
{
	struct mask mask = { .digest = digest, .digest_len = digest_len };
	size_t db_len;

	if (len < 2 * digest_len + 2)
		return false;
	db_len = len - digest_len - 1;
	memcpy(mask.seed, block + db_len, digest_len);
	return is_padded(&mask, block, db_len, unused);
}

static bool is_pss(const uint8_t *block, size_t len, unsigned bits, keeper_digest *digest)
{
	/* the encoded message has one bit less than the modulus, so it may be an octet shorter */
	size_t encoded = ((size_t)bits - 1 + 7) / 8;
	unsigned unused = (unsigned)(8 * encoded - (bits - 1));

	if (encoded < len && *block++ != 0)
		return false;
	if (block[encoded - 1] != 0xbc || block[0] >> (8 - unused) != 0)
		return false;
	return is_pss_of(32, block, encoded, unused, digest) ||
	       is_pss_of(48, block, encoded, unused, digest) ||
	       is_pss_of(64, block, encoded, unused, digest);
}

static bool is_certificate_verify(const uint8_t *in, size_t len)
{
	static const char context[] =
		"TLS 1.3, server CertificateVerify"; /* its NUL belongs to it */
	const size_t spaces = 64, before = spaces + sizeof(context);

	if (len != before + 32 && len != before + 48)
		return false;
	for (size_t i = 0; i < spaces; i++)
		if (in[i] != ' ')
			return false;
	return memcmp(in + spaces, context, sizeof(context)) == 0;
}

bool keeper_may_sign(const struct keeper_subject *subject, enum key_algorithm algorithm,
		     const uint8_t *in, size_t len, keeper_digest *digest)
{
	switch (algorithm) {
	case KEY_SIGN_RSA:
		return subject->type == KEY_RSA && subject->bits >= 1024 &&
		       subject->bits <= KEY_RSA_BITS_MAX && len == (subject->bits + 7) / 8 &&
		       (is_pkcs1(in, len, subject->old_tls) ||
			is_pss(in, len, subject->bits, digest));
	case KEY_SIGN_ECDSA:
		return subject->type == KEY_EC &&
		       (len == 32 || len == 48 || len == 64 || (len == 20 && subject->old_tls));
	case KEY_SIGN_ED25519:
		return subject->type == KEY_ED25519 && is_certificate_verify(in, len);
	}
	return false;
}
