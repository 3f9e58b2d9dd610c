/* shared - the one mapping in which the workers' counters lie, by sections: who may do how much, who guesses.
 * Invariants: one memfd, made by the supervisor and mapped by it and by the workers, at a size that follows from the number of
 * workers alone, checked when it is mapped and sealed. No locks: in each section a worker writes its own column and
 * readers add up. What is read was written by another process: it is range-checked and opens nothing.
 */
#ifndef FRONTEND_SHARED_H
#define FRONTEND_SHARED_H

#include "frontend/hash.h"
#include <stdbool.h>

#define SHARED_WORKER_MAX 1024

/* To add one: a value here, its size and what a death means in a row of shared.c. */
enum shared_section { SHARED_LIMITS, SHARED_GUESSES, SHARED_METRICS, SHARED_SECTIONS };

struct shared;

/* Supervisor: a descriptor of the right size for that many workers, with a fresh random key; -1 with errno. */
int shared_create(unsigned workers);
/* Maps it; the descriptor may be closed then. NULL with errno when it does not fit. Not writable: only to read and add up. */
struct shared *shared_map(int fd, unsigned workers, bool writable);
void shared_unmap(struct shared *);

/* Where the section begins: zero at first, aligned to a page. */
void *shared_section(const struct shared *, enum shared_section);
unsigned shared_workers(const struct shared *);
/* Drawn at each start, copied when mapped: nobody changes it under us. */
const struct hash_key *shared_key(const struct shared *);
/* That worker has died: each section does what it must with the column. */
void shared_worker_died(struct shared *, unsigned worker);

#endif
