/* book_write - see book_write.h.
 * Invariants: places in the heap count from its beginning until finish() knows where that is; what finish() makes passes book_map().
 */
#include "frontend/book_write.h"
#include "frontend/book_layout.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PIECES 9 /* of a record */

/* Grows by doubling. */
struct table {
	char *data;
	size_t count, room, width;
};

struct written_set {
	struct book_set set;
	bool explicit;
};

struct book_writer {
	struct table entries, sets, names, keys, heap;
	bool failed;
};

static void table_add(struct book_writer *writer, struct table *table, const void *rows,
		      size_t count)
{
	if (count > BOOK_SIZE_MAX)
		writer->failed = true;
	if (writer->failed || count == 0)
		return;
	if (count > table->room - table->count) {
		size_t room = (table->count + count) * 2;
		char *data = reallocarray(table->data, room, table->width);

		if (data == NULL) {
			writer->failed = true;
			return;
		}
		table->data = data;
		table->room = room;
	}
	memcpy(table->data + table->count * table->width, rows, count * table->width);
	table->count += count;
}

struct book_writer *book_writer_new(void)
{
	struct book_writer *writer = calloc(1, sizeof(*writer));

	if (writer == NULL)
		return NULL;
	writer->entries.width = sizeof(struct book_record);
	writer->sets.width = sizeof(struct written_set);
	writer->names.width = sizeof(struct book_name);
	writer->keys.width = sizeof(struct book_key_record);
	writer->heap.width = 1;
	return writer;
}

void book_writer_free(struct book_writer *writer)
{
	if (writer == NULL)
		return;
	free(writer->entries.data);
	free(writer->sets.data);
	free(writer->names.data);
	free(writer->keys.data);
	free(writer->heap.data);
	free(writer);
}

/* ---- an entry ---- */

static struct book_piece put(struct book_writer *writer, struct span bytes)
{
	struct book_piece piece = { (uint32_t)writer->heap.count, (uint32_t)bytes.len };

	if (bytes.len > BOOK_SIZE_MAX - writer->heap.count) {
		writer->failed = true;
		return piece;
	}
	table_add(writer, &writer->heap, bytes.data, bytes.len);
	return piece;
}

static struct book_piece put_text(struct book_writer *writer, const char *text)
{
	struct book_piece piece = put(writer, span_of(text != NULL ? text : ""));

	put(writer, (struct span) { "", 1 });
	return piece;
}

/* The issuer is a piece of the chain, mostly, and then not written again. */
static struct book_piece put_issuer(struct book_writer *writer, const struct book_entry *entry,
				    struct book_piece chain)
{
	uintptr_t from = (uintptr_t)entry->chain.data, at = (uintptr_t)entry->issuer.data;

	if (entry->issuer.len > entry->chain.len || at < from ||
	    at - from > entry->chain.len - entry->issuer.len)
		return put(writer, entry->issuer);
	return (struct book_piece) { chain.at + (uint32_t)(at - from),
				     (uint32_t)entry->issuer.len };
}

static void add_names(struct book_writer *writer, const struct book_entry *entry,
		      struct book_piece names)
{
	for (const char *name = book_next_name(entry, NULL); name != NULL;
	     name = book_next_name(entry, name)) {
		const struct book_name row = {
			.set = entry->set,
			.at = names.at + (uint32_t)(name - entry->names.data),
			.entry = (uint32_t)writer->entries.count,
		};

		table_add(writer, &writer->names, &row, 1);
	}
}

static void add_default(struct book_writer *writer, uint32_t set, bool explicit)
{
	const struct written_set row = { { set, (uint32_t)writer->entries.count }, explicit };
	struct written_set *sets = (struct written_set *)(void *)writer->sets.data;

	for (size_t i = 0; i < writer->sets.count; i++) {
		if (sets[i].set.set != set)
			continue;
		if (explicit && !sets[i].explicit)
			sets[i] = row;
		return;
	}
	table_add(writer, &writer->sets, &row, 1);
}

static void add_good(struct book_writer *writer, const struct book_entry *entry, bool is_default,
		     struct book_record *record)
{
	struct book_key_record key = { .entry = (uint32_t)writer->entries.count };

	record->kind = entry->kind;
	record->bits = entry->bits;
	record->not_before = entry->not_before;
	record->not_after = entry->not_after;
	record->this_update = entry->this_update;
	record->next_update = entry->next_update;
	if (entry->fingerprint != NULL)
		memcpy(record->fingerprint, entry->fingerprint, BOOK_ID_LEN);
	record->chain = put(writer, entry->chain);
	record->issuer = put_issuer(writer, entry, record->chain);
	record->leaf = put(writer, entry->leaf);
	record->staple = put(writer, entry->staple);
	record->names = put(writer, entry->names);
	if (entry->spki != NULL)
		memcpy(key.id, entry->spki, BOOK_ID_LEN);
	table_add(writer, &writer->keys, &key, 1);
	add_names(writer, entry, record->names);
	add_default(writer, entry->set, is_default);
}

bool book_writer_add(struct book_writer *writer, const struct book_entry *entry, bool is_default)
{
	struct book_record record = {
		.set = entry->set,
		.flags = entry->flags,
		.line = entry->line,
		.key = BOOK_NONE,
	};
	bool bad = (entry->flags & BOOK_BAD) != 0;

	if (writer->entries.count >= BOOK_ENTRIES_MAX)
		writer->failed = true;
	if (!bad)
		add_good(writer, entry, is_default, &record);
	record.ocsp = put_text(writer, bad ? "" : entry->ocsp);
	record.file = put_text(writer, entry->file);
	record.path = put_text(writer, entry->path);
	record.key_source = put_text(writer, bad ? "" : entry->key_source);
	table_add(writer, &writer->entries, &record, 1);
	return !writer->failed;
}

/* ---- the whole ---- */

static int compare_sets(const void *a, const void *b)
{
	const struct written_set *x = a, *y = b;

	return x->set.set < y->set.set ? -1 : x->set.set > y->set.set;
}

static int compare_keys(const void *a, const void *b)
{
	const struct book_key_record *x = a, *y = b;
	int order = memcmp(x->id, y->id, BOOK_ID_LEN);

	return order != 0 ? order : x->entry < y->entry ? -1 : x->entry > y->entry;
}

static int compare_names(const void *a, const void *b, void *heap)
{
	const struct book_name *x = a, *y = b;
	int order;

	if (x->set != y->set)
		return x->set < y->set ? -1 : 1;
	order = strcmp((const char *)heap + x->at, (const char *)heap + y->at);
	return order != 0 ? order : x->entry < y->entry ? -1 : x->entry > y->entry;
}

/* A certificate may say a name twice. */
static void sort_names(struct book_writer *writer)
{
	struct book_name *names = (struct book_name *)(void *)writer->names.data;
	size_t kept = 0;

	if (writer->names.count == 0)
		return;
	qsort_r(names, writer->names.count, sizeof(*names), compare_names, writer->heap.data);
	for (size_t i = 1; i < writer->names.count; i++)
		if (compare_names(&names[kept], &names[i], writer->heap.data) != 0)
			names[++kept] = names[i];
	writer->names.count = kept + 1;
}

/* Each key once, and every entry told where its own is. */
static void sort_keys(struct book_writer *writer)
{
	struct book_key_record *keys = (struct book_key_record *)(void *)writer->keys.data;
	struct book_record *entries = (struct book_record *)(void *)writer->entries.data;
	size_t kept = 0;

	if (writer->keys.count == 0)
		return;
	qsort(keys, writer->keys.count, sizeof(*keys), compare_keys);
	for (size_t i = 0; i < writer->keys.count; i++) {
		uint32_t entry = keys[i].entry;

		if (i > 0 && memcmp(keys[kept].id, keys[i].id, BOOK_ID_LEN) != 0)
			kept++;
		/* one of a file stands for the key, if there is one: see book_key_in_token() */
		if (i == 0 || memcmp(keys[kept].id, keys[i].id, BOOK_ID_LEN) != 0 ||
		    ((entries[keys[kept].entry].flags & BOOK_TOKEN) &&
		     !(entries[entry].flags & BOOK_TOKEN)))
			keys[kept] = keys[i];
		entries[entry].key = (uint32_t)kept;
	}
	writer->keys.count = kept + 1;
}

/* Places now count from the beginning of the book. */
static void shift(struct book_writer *writer, uint32_t heap)
{
	struct book_record *entries = (struct book_record *)(void *)writer->entries.data;
	struct book_name *names = (struct book_name *)(void *)writer->names.data;

	for (size_t i = 0; i < writer->entries.count; i++) {
		struct book_piece *const pieces[PIECES] = {
			&entries[i].chain,  &entries[i].issuer, &entries[i].leaf,
			&entries[i].staple, &entries[i].names,  &entries[i].ocsp,
			&entries[i].file,   &entries[i].path,   &entries[i].key_source,
		};

		for (size_t j = 0; j < PIECES; j++)
			pieces[j]->at += heap;
	}
	for (size_t i = 0; i < writer->names.count; i++)
		names[i].at += heap;
}

static bool write_all(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

static bool write_sets(int fd, const struct table *table)
{
	const struct written_set *sets = (const struct written_set *)(const void *)table->data;

	for (size_t i = 0; i < table->count; i++)
		if (!write_all(fd, &sets[i].set, sizeof(sets[i].set)))
			return false;
	return true;
}

static bool write_table(int fd, const struct table *table)
{
	return write_all(fd, table->data, table->count * table->width);
}

int book_writer_finish(struct book_writer *writer)
{
	struct book_header header = { .magic = BOOK_MAGIC };
	int fd;

	if (writer->sets.count > 0)
		qsort(writer->sets.data, writer->sets.count, writer->sets.width, compare_sets);
	sort_names(writer);
	sort_keys(writer);
	header.entries = (uint32_t)writer->entries.count;
	header.sets = (uint32_t)writer->sets.count;
	header.names = (uint32_t)writer->names.count;
	header.keys = (uint32_t)writer->keys.count;
	header.size = sizeof(header) + writer->entries.count * writer->entries.width +
		      writer->sets.count * sizeof(struct book_set) +
		      writer->names.count * writer->names.width +
		      writer->keys.count * writer->keys.width;
	shift(writer, (uint32_t)header.size);
	header.size += writer->heap.count;
	if (writer->failed || header.size > BOOK_SIZE_MAX) {
		errno = writer->failed ? ENOMEM : EFBIG;
		return -1;
	}
	fd = memfd_create("postern-book", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -1;
	if (write_all(fd, &header, sizeof(header)) && write_table(fd, &writer->entries) &&
	    write_sets(fd, &writer->sets) && write_table(fd, &writer->names) &&
	    write_table(fd, &writer->keys) && write_table(fd, &writer->heap) &&
	    fcntl(fd, F_ADD_SEALS, BOOK_SEALS) == 0)
		return fd;
	close(fd);
	return -1;
}
