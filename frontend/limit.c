/* limit - sessions counted over all workers in one shared mapping; see limit.h.
 * Invariants: a slot is one 64-bit word (tag of the address, count), so a reader never sees half of it; only the column's own
 * worker stores to it, and the supervisor once that worker is dead. The file is sealed: nobody can cut it short under
 * the others. What is read is clamped. Rows are chosen by a keyed hash (SipHash-2-4 with a random key), so a client
 * cannot aim at the row of another.
 *
 *   slot:  [ tag 44 bits | count 20 bits ]   count 0: free
 */
#include "frontend/limit.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROWS       4096 /* a power of two */
#define SLOTS      8
#define COUNT_BITS 20
#define COUNT_MAX  ((1u << COUNT_BITS) - 1)
#define WORKER_MAX 1024

struct limit_column {
	_Atomic uint32_t sessions;
	_Atomic uint64_t slots[ROWS][SLOTS];
};

struct limit_shared {
	uint64_t key[2];
	struct limit_column columns[];
};

struct limit_map {
	struct limit_shared *shared;
	size_t size;
	unsigned workers;
	uint64_t key[2]; /* copied when mapped: nobody changes it under us */
};

/* Where an address stands: its row, and what tells it from the others there. */
struct place {
	size_t row;
	uint64_t tag;
};

static uint64_t rotate(uint64_t value, unsigned bits)
{
	return value << bits | value >> (64 - bits);
}

static void sip_rounds(uint64_t v[4], unsigned rounds)
{
	while (rounds-- > 0) {
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

/* SipHash-2-4 of 8 bytes and a family: two words are all that is ever hashed here. */
static uint64_t hash_words(const uint64_t key[2], uint64_t first, uint64_t second)
{
	const uint64_t words[] = { first, second };
	uint64_t v[4] = {
		key[0] ^ 0x736f6d6570736575,
		key[1] ^ 0x646f72616e646f6d,
		key[0] ^ 0x6c7967656e657261,
		key[1] ^ 0x7465646279746573,
	};

	for (size_t i = 0; i < 2; i++) {
		v[3] ^= words[i];
		sip_rounds(v, 2);
		v[0] ^= words[i];
	}
	v[2] ^= 0xff;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static struct place place_of(const struct limit_map *map, const struct sockaddr *address)
{
	uint64_t family = address->sa_family, number = 0;

	if (family == AF_INET) {
		const struct sockaddr_in *v4 = (const void *)address;

		number = v4->sin_addr.s_addr;
	} else if (family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const void *)address;

		if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
			family = AF_INET;
			memcpy(&number, v6->sin6_addr.s6_addr + 12, 4);
		} else {
			memcpy(&number, v6->sin6_addr.s6_addr, 8);
		}
	}

	uint64_t hash = hash_words(map->key, number, family);

	return (struct place) { .row = hash & (ROWS - 1), .tag = hash >> COUNT_BITS };
}

static size_t size_for(unsigned workers)
{
	return sizeof(struct limit_shared) + workers * sizeof(struct limit_column);
}

int limit_create(unsigned workers)
{
	uint64_t key[2];
	int fd;

	if (workers == 0 || workers > WORKER_MAX) {
		errno = EINVAL;
		return -1;
	}
	fd = memfd_create("postern-limits", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -1;
	if (getrandom(key, sizeof(key), 0) != sizeof(key) ||
	    ftruncate(fd, (off_t)size_for(workers)) < 0 ||
	    pwrite(fd, key, sizeof(key), offsetof(struct limit_shared, key)) != sizeof(key) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

struct limit_map *limit_map(int fd, unsigned workers)
{
	struct stat status;
	struct limit_map *map;

	if (fstat(fd, &status) < 0)
		return NULL;
	if (workers == 0 || workers > WORKER_MAX || (size_t)status.st_size != size_for(workers)) {
		errno = EINVAL;
		return NULL;
	}
	map = calloc(1, sizeof(*map));
	if (!map)
		return NULL;
	map->workers = workers;
	map->size = size_for(workers);
	map->shared = mmap(NULL, map->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map->shared == MAP_FAILED) {
		free(map);
		return NULL;
	}
	memcpy(map->key, map->shared->key, sizeof(map->key));
	return map;
}

void limit_unmap(struct limit_map *map)
{
	if (!map)
		return;
	munmap(map->shared, map->size);
	free(map);
}

static uint64_t slot_load(_Atomic uint64_t *slot)
{
	return atomic_load_explicit(slot, memory_order_relaxed);
}

static void slot_store(_Atomic uint64_t *slot, uint64_t tag, uint64_t count)
{
	atomic_store_explicit(slot, count ? tag << COUNT_BITS | count : 0, memory_order_relaxed);
}

void limit_clear(struct limit_map *map, unsigned worker)
{
	if (worker >= map->workers)
		return;

	struct limit_column *column = &map->shared->columns[worker];

	atomic_store_explicit(&column->sessions, 0, memory_order_relaxed);
	for (size_t row = 0; row < ROWS; row++)
		for (size_t i = 0; i < SLOTS; i++)
			if (slot_load(&column->slots[row][i]) != 0)
				slot_store(&column->slots[row][i], 0, 0);
}

/* The slot that holds the address, or NULL. */
static _Atomic uint64_t *slot_find(struct limit_column *column, struct place place)
{
	for (size_t i = 0; i < SLOTS; i++) {
		_Atomic uint64_t *slot = &column->slots[place.row][i];
		uint64_t word = slot_load(slot);

		if ((word & COUNT_MAX) != 0 && word >> COUNT_BITS == place.tag)
			return slot;
	}
	return NULL;
}

/* A free slot of the row, or the one with the least count, which gives way. */
static _Atomic uint64_t *slot_least(struct limit_column *column, struct place place)
{
	_Atomic uint64_t *least = &column->slots[place.row][0];

	for (size_t i = 1; i < SLOTS; i++) {
		_Atomic uint64_t *slot = &column->slots[place.row][i];

		if ((slot_load(slot) & COUNT_MAX) < (slot_load(least) & COUNT_MAX))
			least = slot;
	}
	return least;
}

unsigned limit_sessions(const struct limit_map *map)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < map->workers; i++) {
		unsigned value = atomic_load_explicit(&map->shared->columns[i].sessions,
						      memory_order_relaxed);

		sum += value < COUNT_MAX ? value : COUNT_MAX;
	}
	return sum;
}

unsigned limit_sessions_of(const struct limit_map *map, const struct sockaddr *address)
{
	struct place place = place_of(map, address);
	unsigned sum = 0;

	for (unsigned i = 0; i < map->workers; i++) {
		_Atomic uint64_t *slot = slot_find(&map->shared->columns[i], place);

		if (slot)
			sum += (unsigned)(slot_load(slot) & COUNT_MAX);
	}
	return sum;
}

enum limit_verdict limit_enter(struct limit_map *map, unsigned worker,
			       const struct sockaddr *address, unsigned max_sessions,
			       unsigned max_per_address, bool exempt)
{
	struct limit_column *column = &map->shared->columns[worker];
	struct place place = place_of(map, address);

	if (!exempt && max_sessions > 0 && limit_sessions(map) >= max_sessions)
		return LIMIT_SESSIONS;
	if (!exempt && max_per_address > 0 && limit_sessions_of(map, address) >= max_per_address)
		return LIMIT_ADDRESS;

	_Atomic uint64_t *slot = slot_find(column, place);
	uint64_t count = slot ? slot_load(slot) & COUNT_MAX : 0;

	slot_store(slot ? slot : slot_least(column, place), place.tag,
		   count < COUNT_MAX ? count + 1 : count);

	uint32_t sessions = atomic_load_explicit(&column->sessions, memory_order_relaxed);

	if (sessions < COUNT_MAX)
		atomic_store_explicit(&column->sessions, sessions + 1, memory_order_relaxed);
	return LIMIT_ADMITTED;
}

void limit_leave(struct limit_map *map, unsigned worker, const struct sockaddr *address)
{
	struct limit_column *column = &map->shared->columns[worker];
	struct place place = place_of(map, address);
	_Atomic uint64_t *slot = slot_find(column, place);

	/* gone when it gave way to another */
	if (slot) {
		uint64_t count = slot_load(slot) & COUNT_MAX;

		slot_store(slot, place.tag, count > 0 ? count - 1 : 0);
	}

	uint32_t sessions = atomic_load_explicit(&column->sessions, memory_order_relaxed);

	if (sessions > 0)
		atomic_store_explicit(&column->sessions, sessions - 1, memory_order_relaxed);
}
