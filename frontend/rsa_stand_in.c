/* rsa_stand_in - see rsa_stand_in.h. */
#include "frontend/rsa_stand_in.h"
#include <assert.h>
#include <string.h>

#define TAG_INTEGER  0x02
#define TAG_SEQUENCE 0x30
#define HEAD_MAX     4 /* tag and length */

struct der {
	uint8_t *out;
	size_t len;
};

static void put_head(struct der *der, uint8_t tag, size_t len)
{
	assert(len <= UINT16_MAX);
	der->out[der->len++] = tag;
	if (len > 0xff)
		der->out[der->len++] = 0x82;
	else if (len > 0x7f)
		der->out[der->len++] = 0x81;
	if (len > 0xff)
		der->out[der->len++] = (uint8_t)(len >> 8);
	der->out[der->len++] = (uint8_t)len;
}

/* A positive number: a top bit that is set gets a zero before it, zeros at the front go (X.690 8.3.2). */
static void put_integer(struct der *der, struct public_key_number number)
{
	bool negative;

	while (number.len > 1 && number.data[0] == 0) {
		number.data++;
		number.len--;
	}
	negative = number.data[0] & 0x80;
	put_head(der, TAG_INTEGER, number.len + negative);
	if (negative)
		der->out[der->len++] = 0;
	memcpy(der->out + der->len, number.data, number.len);
	der->len += number.len;
}

size_t rsa_stand_in(const struct public_key *key, uint8_t out[RSA_STAND_IN_MAX])
{
	static const uint8_t zero = 0, one = 1;
	uint8_t body[RSA_STAND_IN_MAX - HEAD_MAX];
	struct der inner = { body, 0 }, outer = { out, 0 };
	struct public_key_number modulus, exponent;

	if (!public_key_numbers(key, &modulus, &exponent))
		return 0;
	put_integer(&inner, (struct public_key_number) { &zero, 1 }); /* version */
	put_integer(&inner, modulus);
	put_integer(&inner, exponent);
	put_integer(&inner, (struct public_key_number) { public_key_id(key), KEY_ID_LEN });
	for (int i = 0; i < 5; i++) /* primes, their exponents, coefficient */
		put_integer(&inner, (struct public_key_number) { &one, 1 });
	put_head(&outer, TAG_SEQUENCE, inner.len);
	memcpy(out + outer.len, body, inner.len);
	return outer.len + inner.len;
}
