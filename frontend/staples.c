/* staples - see staples.h. */
#include "frontend/staples.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct staple {
	uint8_t fingerprint[BOOK_ID_LEN];
	size_t len;
	bool given; /* to the checker, perhaps not yet for every file that holds the certificate */
	uint8_t response[];
};

/* In ascending order of the fingerprint. */
struct staples {
	struct staple **items;
	size_t count, room;
};

struct staples *staples_new(void)
{
	return calloc(1, sizeof(struct staples));
}

void staples_free(struct staples *staples)
{
	if (staples == NULL)
		return;
	for (size_t i = 0; i < staples->count; i++)
		free(staples->items[i]);
	free(staples->items);
	free(staples);
}

/* Where it stands, or would. */
static size_t place(const struct staples *staples, const uint8_t *fingerprint, bool *found)
{
	size_t low = 0, high = staples->count;

	*found = false;
	while (low < high && !*found) {
		size_t middle = low + (high - low) / 2;
		int order = memcmp(staples->items[middle]->fingerprint, fingerprint, BOOK_ID_LEN);

		if (order < 0)
			low = middle + 1;
		else
			high = middle;
		if (order == 0) {
			*found = true;
			low = middle;
		}
	}
	return low;
}

static bool make_room(struct staples *staples)
{
	size_t room = staples->room > 0 ? staples->room * 2 : 16;
	struct staple **items;

	if (staples->count < staples->room)
		return true;
	if (staples->count >= STAPLES_MAX)
		return false;
	items = reallocarray(staples->items, room, sizeof(struct staple *));
	if (items == NULL)
		return false;
	staples->items = items;
	staples->room = room;
	return true;
}

bool staples_put(struct staples *staples, const uint8_t fingerprint[BOOK_ID_LEN],
		 const void *response, size_t len)
{
	bool found;
	size_t at = place(staples, fingerprint, &found);
	struct staple *staple;

	if (len == 0 || len > STAPLE_MAX || (!found && !make_room(staples)))
		return false;
	staple = malloc(sizeof(*staple) + len);
	if (staple == NULL)
		return false;
	memcpy(staple->fingerprint, fingerprint, BOOK_ID_LEN);
	memcpy(staple->response, response, len);
	staple->len = len;
	staple->given = false;
	if (found) {
		free(staples->items[at]);
	} else {
		memmove(&staples->items[at + 1], &staples->items[at],
			(staples->count - at) * sizeof(struct staple *));
		staples->count++;
	}
	staples->items[at] = staple;
	return true;
}

bool staples_has(const struct staples *staples, const uint8_t fingerprint[BOOK_ID_LEN])
{
	bool found;

	place(staples, fingerprint, &found);
	return found;
}

static int file_of(const struct staple *staple)
{
	int fd = memfd_create("postern-staple", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -1;
	if (pwrite(fd, staple->response, staple->len, 0) == (ssize_t)staple->len &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0)
		return fd;
	close(fd);
	return -1;
}

int staples_give(struct staples *staples, const uint8_t fingerprint[BOOK_ID_LEN])
{
	bool found;
	size_t at = place(staples, fingerprint, &found);

	if (!found)
		return -1;
	staples->items[at]->given = true;
	return file_of(staples->items[at]);
}

void staples_sweep(struct staples *staples, const struct book *book)
{
	bool *used = calloc(staples->count + 1, sizeof(*used));
	size_t kept = 0;

	if (used == NULL)
		return; /* the next one will do it */
	for (uint32_t i = 0; i < book_count(book); i++) {
		struct book_entry entry;
		bool found;
		size_t at;

		book_entry(book, i, &entry);
		at = place(staples, entry.fingerprint, &found);
		used[at] = used[at] || found;
	}
	for (size_t i = 0; i < staples->count; i++) {
		if (used[i] && !staples->items[i]->given)
			staples->items[kept++] = staples->items[i];
		else
			free(staples->items[i]);
	}
	staples->count = kept;
	free(used);
}
