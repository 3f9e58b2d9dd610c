/* hash - a keyed hash for tables whose rows a stranger must not be able to choose (SipHash-2-4). */
#ifndef FRONTEND_HASH_H
#define FRONTEND_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash_key {
	uint64_t words[2];
};

uint64_t hash_bytes(const struct hash_key *, const void *data, size_t len);
/* Of numbers, as they lie in memory: for what never leaves this machine. */
uint64_t hash_words(const struct hash_key *, const uint64_t *words, size_t count);

#endif
