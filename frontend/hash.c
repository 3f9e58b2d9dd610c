/* hash - SipHash-2-4 (Aumasson, Bernstein: "SipHash: a fast short-input PRF"); see hash.h.
 * Invariants: keeps nothing; its words of state are wiped, since what is hashed may be a password.
 */
#include "frontend/hash.h"
#include <endian.h>
#include <string.h>

static uint64_t rotate(uint64_t value, unsigned bits)
{
	return value << bits | value >> (64 - bits);
}

static void rounds(uint64_t v[4], unsigned count)
{
	while (count-- > 0) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] = rotate(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] = rotate(v[2], 32);
	}
}

static void absorb(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	rounds(v, 2);
	v[0] ^= word;
}

uint64_t hash_bytes(const struct hash_key *key, const void *data, size_t len)
{
	const unsigned char *bytes = data;
	uint64_t v[4] = {
		key->words[0] ^ 0x736f6d6570736575,
		key->words[1] ^ 0x646f72616e646f6d,
		key->words[0] ^ 0x6c7967656e657261,
		key->words[1] ^ 0x7465646279746573,
	};
	uint64_t word, last = (uint64_t)len << 56;

	for (; len >= sizeof(word); bytes += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		absorb(v, le64toh(word));
	}
	for (size_t i = 0; i < len; i++)
		last |= (uint64_t)bytes[i] << 8 * i;
	absorb(v, last);
	v[2] ^= 0xff;
	rounds(v, 4);

	uint64_t hash = v[0] ^ v[1] ^ v[2] ^ v[3];

	explicit_bzero(v, sizeof(v));
	explicit_bzero(&word, sizeof(word));
	explicit_bzero(&last, sizeof(last));
	return hash;
}

uint64_t hash_words(const struct hash_key *key, const uint64_t *words, size_t count)
{
	return hash_bytes(key, words, count * sizeof(*words));
}
