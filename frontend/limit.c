/* limit - sessions counted over all workers in a section of the shared mapping; see limit.h.
 * Invariants: a slot is one 64-bit word (tag of the address, count), so a reader never sees half of it; only the column's own
 * worker stores to it, and the supervisor once that worker is dead. What is read is clamped. Rows are chosen by a keyed
 * hash, so a client cannot aim at the row of another.
 *
 *   slot:  [ tag 44 bits | count 20 bits ]   count 0: free
 */
#include "frontend/limit.h"
#include "frontend/address.h"
#include <stdatomic.h>

#define ROWS       4096 /* a power of two */
#define SLOTS      8
#define COUNT_BITS 20
#define COUNT_MAX  ((1u << COUNT_BITS) - 1)

struct limit_column {
	_Atomic uint32_t sessions;
	_Atomic uint64_t slots[ROWS][SLOTS];
};

/* Where an address stands: its row, and what tells it from the others there. */
struct place {
	size_t row;
	uint64_t tag;
};

static struct place place_of(const struct shared *shared, const struct sockaddr *address)
{
	const struct address_key key = address_key(address);
	const uint64_t words[] = { key.number, key.family };
	uint64_t hash = hash_words(shared_key(shared), words, 2);

	return (struct place) { .row = hash & (ROWS - 1), .tag = hash >> COUNT_BITS };
}

static struct limit_column *columns_of(const struct shared *shared)
{
	return shared_section(shared, SHARED_LIMITS);
}

size_t limit_size(unsigned workers)
{
	return workers * sizeof(struct limit_column);
}

static uint64_t slot_load(_Atomic uint64_t *slot)
{
	return atomic_load_explicit(slot, memory_order_relaxed);
}

static void slot_store(_Atomic uint64_t *slot, uint64_t tag, uint64_t count)
{
	atomic_store_explicit(slot, count ? tag << COUNT_BITS | count : 0, memory_order_relaxed);
}

void limit_clear(struct shared *shared, unsigned worker)
{
	struct limit_column *column = &columns_of(shared)[worker];

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

unsigned limit_sessions(const struct shared *shared)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < shared_workers(shared); i++) {
		unsigned value =
			atomic_load_explicit(&columns_of(shared)[i].sessions, memory_order_relaxed);

		sum += value < COUNT_MAX ? value : COUNT_MAX;
	}
	return sum;
}

unsigned limit_sessions_of(const struct shared *shared, const struct sockaddr *address)
{
	struct place place = place_of(shared, address);
	unsigned sum = 0;

	for (unsigned i = 0; i < shared_workers(shared); i++) {
		_Atomic uint64_t *slot = slot_find(&columns_of(shared)[i], place);

		if (slot)
			sum += (unsigned)(slot_load(slot) & COUNT_MAX);
	}
	return sum;
}

enum limit_verdict limit_enter(struct shared *shared, unsigned worker,
			       const struct sockaddr *address, unsigned max_sessions,
			       unsigned max_per_address, bool exempt)
{
	struct limit_column *column = &columns_of(shared)[worker];
	struct place place = place_of(shared, address);

	if (!exempt && max_sessions > 0 && limit_sessions(shared) >= max_sessions)
		return LIMIT_SESSIONS;
	if (!exempt && max_per_address > 0 && limit_sessions_of(shared, address) >= max_per_address)
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

void limit_leave(struct shared *shared, unsigned worker, const struct sockaddr *address)
{
	struct limit_column *column = &columns_of(shared)[worker];
	struct place place = place_of(shared, address);
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
