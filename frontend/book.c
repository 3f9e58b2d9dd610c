/* book - see book.h. The checks at the beginning are all there are: every later look relies on them. */
#include "frontend/book_layout.h"
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

struct book {
	const char *base;
	size_t size, heap;
	const struct book_header *header;
	const struct book_record *entries;
	const struct book_set *sets;
	const struct book_name *names;
	const struct book_key_record *keys;
	atomic_uint references;
};

/* ---- the checks ---- */

static bool piece_sane(const struct book *book, struct book_piece piece)
{
	return piece.at >= book->heap && piece.at <= book->size &&
	       piece.len <= book->size - piece.at;
}

static bool text_sane(const struct book *book, struct book_piece piece)
{
	return piece_sane(book, piece) && piece.at + (uint64_t)piece.len < book->size &&
	       memchr(book->base + piece.at, '\0', (size_t)piece.len + 1) ==
		       book->base + piece.at + piece.len;
}

/* Its last octet ends the last of them, and none is empty or too long. */
static bool names_sane(const struct book *book, struct book_piece piece)
{
	const char *at, *end;

	if (!piece_sane(book, piece))
		return false;
	at = book->base + piece.at;
	end = at + piece.len;
	if (at < end && end[-1] != '\0')
		return false;
	for (; at < end; at += strlen(at) + 1)
		if (*at == '\0' || strlen(at) > BOOK_NAME_MAX)
			return false;
	return true;
}

static bool entry_sane(const struct book *book, const struct book_record *entry)
{
	const struct book_piece pieces[] = { entry->chain, entry->issuer, entry->leaf,
					     entry->staple };
	const struct book_piece texts[] = { entry->ocsp, entry->file, entry->path,
					    entry->key_source };
	bool bad = (entry->flags & BOOK_BAD) != 0;

	for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++)
		if (!piece_sane(book, pieces[i]))
			return false;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (!text_sane(book, texts[i]))
			return false;
	return names_sane(book, entry->names) && (!bad || entry->names.len == 0) &&
	       entry->kind < BOOK_KINDS && (entry->flags & ~(uint32_t)BOOK_FLAGS) == 0 &&
	       (bad ? entry->key == BOOK_NONE : entry->key < book->header->keys);
}

static bool sets_sane(const struct book *book)
{
	for (uint32_t i = 0; i < book->header->sets; i++) {
		const struct book_set *set = &book->sets[i];

		if (set->entry >= book->header->entries || (i > 0 && set[-1].set >= set->set) ||
		    book->entries[set->entry].set != set->set ||
		    (book->entries[set->entry].flags & BOOK_BAD) != 0)
			return false;
	}
	return true;
}

static int names_compare(const struct book *book, const struct book_name *a,
			 const struct book_name *b)
{
	int order;

	if (a->set != b->set)
		return a->set < b->set ? -1 : 1;
	order = strcmp(book->base + a->at, book->base + b->at);
	if (order != 0)
		return order;
	return a->entry < b->entry ? -1 : a->entry > b->entry;
}

/* Each stands in its entry, at the beginning of a name there. */
static bool index_sane(const struct book *book)
{
	for (uint32_t i = 0; i < book->header->names; i++) {
		const struct book_name *name = &book->names[i];
		const struct book_record *entry;

		if (name->entry >= book->header->entries)
			return false;
		entry = &book->entries[name->entry];
		if (entry->set != name->set || name->at < entry->names.at ||
		    name->at - entry->names.at >= entry->names.len ||
		    (name->at > entry->names.at && book->base[name->at - 1] != '\0'))
			return false;
		if (i > 0 && names_compare(book, name - 1, name) >= 0)
			return false;
	}
	return true;
}

static bool keys_sane(const struct book *book)
{
	for (uint32_t i = 0; i < book->header->keys; i++) {
		const struct book_key_record *key = &book->keys[i];

		if (key->entry >= book->header->entries || book->entries[key->entry].key != i ||
		    (i > 0 && memcmp(key[-1].id, key->id, BOOK_ID_LEN) >= 0))
			return false;
	}
	return true;
}

/* The tables follow from the counts. */
static bool layout(struct book *book)
{
	const struct book_header *header = book->header = (const void *)book->base;
	uint64_t at = sizeof(*header);

	if (book->size < at || header->magic != BOOK_MAGIC || header->size != book->size ||
	    header->entries > BOOK_ENTRIES_MAX)
		return false;
	book->entries = (const void *)(header + 1);
	at += header->entries * (uint64_t)sizeof(*book->entries);
	at += header->sets * (uint64_t)sizeof(*book->sets);
	at += header->names * (uint64_t)sizeof(*book->names);
	at += header->keys * (uint64_t)sizeof(*book->keys);
	if (at > book->size)
		return false;
	book->heap = (size_t)at;
	book->sets = (const void *)(book->entries + header->entries);
	book->names = (const void *)(book->sets + header->sets);
	book->keys = (const void *)(book->names + header->names);
	return true;
}

static bool book_sane(struct book *book)
{
	if (!layout(book))
		return false;
	for (uint32_t i = 0; i < book->header->entries; i++)
		if (!entry_sane(book, &book->entries[i]))
			return false;
	return sets_sane(book) && index_sane(book) && keys_sane(book);
}

/* ---- the mapping ---- */

struct book *book_map(int fd)
{
	struct stat status;
	struct book *book;
	void *base;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || fstat(fd, &status) < 0)
		return NULL;
	if ((seals & BOOK_SEALS) != BOOK_SEALS || status.st_size <= 0 ||
	    status.st_size > (off_t)BOOK_SIZE_MAX) {
		errno = EINVAL;
		return NULL;
	}
	book = calloc(1, sizeof(*book));
	if (book == NULL)
		return NULL;
	book->size = (size_t)status.st_size;
	base = mmap(NULL, book->size, PROT_READ, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED) {
		free(book);
		return NULL;
	}
	book->base = base;
	atomic_init(&book->references, 1);
	if (book_sane(book))
		return book;
	book_drop(book);
	errno = EINVAL;
	return NULL;
}

struct book *book_keep(struct book *book)
{
	atomic_fetch_add(&book->references, 1);
	return book;
}

void book_drop(struct book *book)
{
	if (book == NULL || atomic_fetch_sub(&book->references, 1) > 1)
		return;
	munmap((void *)(uintptr_t)book->base, book->size);
	free(book);
}

size_t book_size(const struct book *book)
{
	return book->size;
}

/* ---- entries ---- */

uint32_t book_count(const struct book *book)
{
	return book->header->entries;
}

static struct span span_at(const struct book *book, struct book_piece piece)
{
	return (struct span) { book->base + piece.at, piece.len };
}

void book_entry(const struct book *book, uint32_t index, struct book_entry *out)
{
	static const uint8_t none[BOOK_ID_LEN];
	const struct book_record *entry = &book->entries[index];

	*out = (struct book_entry) {
		.set = entry->set,
		.kind = (enum book_kind)entry->kind,
		.bits = entry->bits,
		.flags = entry->flags,
		.not_before = entry->not_before,
		.not_after = entry->not_after,
		.key = entry->key,
		.spki = entry->key == BOOK_NONE ? none : book->keys[entry->key].id,
		.fingerprint = entry->fingerprint,
		.chain = span_at(book, entry->chain),
		.issuer = span_at(book, entry->issuer),
		.leaf = span_at(book, entry->leaf),
		.staple = span_at(book, entry->staple),
		.this_update = entry->this_update,
		.next_update = entry->next_update,
		.names = span_at(book, entry->names),
		.name = entry->names.len > 0 ? book->base + entry->names.at : "",
		.ocsp = book->base + entry->ocsp.at,
		.file = book->base + entry->file.at,
		.line = entry->line,
		.path = book->base + entry->path.at,
		.key_source = book->base + entry->key_source.at,
	};
}

const char *book_next_name(const struct book_entry *entry, const char *last)
{
	const char *next;

	if (entry->names.len == 0)
		return NULL;
	next = last == NULL ? entry->names.data : last + strlen(last) + 1;
	return next < entry->names.data + entry->names.len ? next : NULL;
}

/* ---- looking up ---- */

/* The first place in the index whose set and name are not below these. */
static uint32_t lower_bound(const struct book *book, uint32_t set, const char *name)
{
	uint32_t low = 0, high = book->header->names;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct book_name *at = &book->names[middle];

		if (at->set < set || (at->set == set && strcmp(book->base + at->at, name) < 0))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* All but that one entry. */
static size_t find_exact(const struct book *book, uint32_t set, const char *name, uint32_t but,
			 uint32_t *out, size_t max)
{
	size_t found = 0;

	for (uint32_t i = lower_bound(book, set, name);
	     found < max && i < book->header->names && book->names[i].set == set &&
	     strcmp(book->base + book->names[i].at, name) == 0;
	     i++)
		if (book->names[i].entry != but)
			out[found++] = book->names[i].entry;
	return found;
}

size_t book_find(const struct book *book, uint32_t set, const char *name, uint32_t *out, size_t max)
{
	char wildcard[BOOK_NAME_MAX + 2] = "*";
	const char *rest = strchr(name, '.');
	size_t found;

	if (name[0] == '*' || strlen(name) > BOOK_NAME_MAX)
		return 0;
	found = find_exact(book, set, name, BOOK_NONE, out, max);
	if (found > 0 || rest == NULL || rest == name)
		return found;
	memcpy(wildcard + 1, rest, strlen(rest) + 1);
	return find_exact(book, set, wildcard, BOOK_NONE, out, max);
}

static const struct book_set *find_set(const struct book *book, uint32_t set)
{
	uint32_t low = 0, high = book->header->sets;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (book->sets[middle].set < set)
			low = middle + 1;
		else
			high = middle;
	}
	return low < book->header->sets && book->sets[low].set == set ? &book->sets[low] : NULL;
}

size_t book_default(const struct book *book, uint32_t set, uint32_t *out, size_t max)
{
	const struct book_set *found = find_set(book, set);
	struct book_entry first;

	if (found == NULL || max == 0)
		return 0;
	out[0] = found->entry;
	book_entry(book, found->entry, &first);
	return 1 + find_exact(book, set, first.name, found->entry, out + 1, max - 1);
}

/* ---- keys ---- */

uint32_t book_key_count(const struct book *book)
{
	return book->header->keys;
}

const uint8_t *book_key(const struct book *book, uint32_t key)
{
	return book->keys[key].id;
}

uint32_t book_key_entry(const struct book *book, uint32_t key)
{
	return book->keys[key].entry;
}

bool book_key_in_token(const struct book *book, uint32_t key)
{
	return (book->entries[book->keys[key].entry].flags & BOOK_TOKEN) != 0;
}

static int compare_id(const void *id, const void *record)
{
	return memcmp(id, ((const struct book_key_record *)record)->id, BOOK_ID_LEN);
}

bool book_key_find(const struct book *book, const uint8_t id[BOOK_ID_LEN], uint32_t *out)
{
	const struct book_key_record *found =
		bsearch(id, book->keys, book->header->keys, sizeof(*book->keys), compare_id);

	if (found != NULL)
		*out = (uint32_t)(found - book->keys);
	return found != NULL;
}
