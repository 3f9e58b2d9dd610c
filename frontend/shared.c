/* shared - see shared.h.
 *
 *   [ key | section | section | ... ]   each from a page on
 */
#include "frontend/shared.h"
#include "frontend/guess.h"
#include "frontend/limit.h"
#include "frontend/metrics.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define ALIGNMENT 4096u

struct section {
	size_t (*size)(unsigned workers);
	void (*worker_died)(struct shared *, unsigned worker); /* NULL: its column stays */
};

static const struct section sections[SHARED_SECTIONS] = {
	[SHARED_LIMITS] = { limit_size, limit_clear },
	[SHARED_GUESSES] = { guess_size, guess_worker_died },
	[SHARED_METRICS] = { metrics_size, metrics_worker_died },
};

struct shared {
	unsigned char *base;
	size_t size;
	void *begins[SHARED_SECTIONS];
	unsigned workers;
	struct hash_key key;
};

static size_t aligned(size_t size)
{
	return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* Where that section begins; of SHARED_SECTIONS: where all ends. */
static size_t offset_of(unsigned section, unsigned workers)
{
	size_t offset = aligned(sizeof(struct hash_key));

	for (unsigned i = 0; i < section; i++)
		offset += aligned(sections[i].size(workers));
	return offset;
}

int shared_create(unsigned workers)
{
	struct hash_key key;
	int fd;

	if (workers == 0 || workers > SHARED_WORKER_MAX) {
		errno = EINVAL;
		return -1;
	}
	fd = memfd_create("postern-shared", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -1;
	if (getrandom(&key, sizeof(key), 0) != sizeof(key) ||
	    ftruncate(fd, (off_t)offset_of(SHARED_SECTIONS, workers)) < 0 ||
	    pwrite(fd, &key, sizeof(key), 0) != sizeof(key) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

struct shared *shared_map(int fd, unsigned workers, bool writable)
{
	struct stat status;
	struct shared *shared;

	if (fstat(fd, &status) < 0)
		return NULL;
	if (workers == 0 || workers > SHARED_WORKER_MAX ||
	    (size_t)status.st_size != offset_of(SHARED_SECTIONS, workers)) {
		errno = EINVAL;
		return NULL;
	}
	shared = calloc(1, sizeof(*shared));
	if (!shared)
		return NULL;
	shared->workers = workers;
	shared->size = (size_t)status.st_size;
	shared->base = mmap(NULL, shared->size, writable ? PROT_READ | PROT_WRITE : PROT_READ,
			    MAP_SHARED, fd, 0);
	if (shared->base == MAP_FAILED) {
		free(shared);
		return NULL;
	}
	for (unsigned i = 0; i < SHARED_SECTIONS; i++)
		shared->begins[i] = shared->base + offset_of(i, workers);
	shared->key = *(const struct hash_key *)(const void *)shared->base;
	return shared;
}

void shared_unmap(struct shared *shared)
{
	if (!shared)
		return;
	munmap(shared->base, shared->size);
	free(shared);
}

void *shared_section(const struct shared *shared, enum shared_section section)
{
	return shared->begins[section];
}

unsigned shared_workers(const struct shared *shared)
{
	return shared->workers;
}

const struct hash_key *shared_key(const struct shared *shared)
{
	return &shared->key;
}

void shared_worker_died(struct shared *shared, unsigned worker)
{
	if (worker >= shared->workers)
		return;
	for (unsigned i = 0; i < SHARED_SECTIONS; i++)
		if (sections[i].worker_died)
			sections[i].worker_died(shared, worker);
}
