/* fuzz_book - a book by a writer that has gone mad.
 * Invariants: what is mapped can be read in every way without a step outside; each name leads to its entry; a book made of its entries
 * is one, and says the same.
 */
#include "frontend/book_layout.h"
#include "frontend/book_write.h"
#include "tests/fuzz/require.h"
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FOUND_MAX 64

static volatile unsigned char sink;

static void touch(const void *data, size_t len)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < len; i++)
		sink ^= bytes[i];
}

static void touch_entry(const struct book_entry *entry)
{
	const struct span spans[] = { entry->chain, entry->issuer, entry->leaf, entry->staple };
	const char *const texts[] = { entry->ocsp, entry->file, entry->path, entry->key_source };

	for (size_t i = 0; i < 4; i++) {
		touch(spans[i].data, spans[i].len);
		touch(texts[i], strlen(texts[i]) + 1);
	}
	touch(entry->spki, BOOK_ID_LEN);
	touch(entry->fingerprint, BOOK_ID_LEN);
	REQUIRE(entry->kind < BOOK_KINDS);
	REQUIRE(!(entry->flags & BOOK_BAD) || entry->names.len == 0);
}

static void look_up(const struct book *book, const struct book_entry *entry)
{
	uint32_t found[FOUND_MAX];
	size_t count;

	for (const char *name = book_next_name(entry, NULL); name != NULL;
	     name = book_next_name(entry, name)) {
		REQUIRE(strlen(name) <= BOOK_NAME_MAX);
		count = book_find(book, entry->set, name, found, FOUND_MAX);
		for (size_t i = 0; i < count; i++)
			REQUIRE(found[i] < book_count(book));
	}
	count = book_default(book, entry->set, found, FOUND_MAX);
	for (size_t i = 0; i < count; i++) {
		struct book_entry other;

		book_entry(book, found[i], &other);
		REQUIRE(other.set == entry->set && !(other.flags & BOOK_BAD));
	}
}

static void look_up_keys(const struct book *book)
{
	for (uint32_t i = 0; i < book_key_count(book); i++) {
		struct book_entry entry;
		uint32_t key;

		REQUIRE(book_key_find(book, book_key(book, i), &key) && key == i);
		book_entry(book, book_key_entry(book, i), &entry);
		REQUIRE(memcmp(entry.spki, book_key(book, i), BOOK_ID_LEN) == 0);
	}
}

static void write_again(const struct book *book)
{
	struct book_writer *writer = book_writer_new();
	struct book *again;
	int fd;

	REQUIRE(writer);
	for (uint32_t i = 0; i < book_count(book); i++) {
		struct book_entry entry;

		book_entry(book, i, &entry);
		REQUIRE(book_writer_add(writer, &entry, false));
	}
	fd = book_writer_finish(writer);
	book_writer_free(writer);
	again = book_map(fd);
	REQUIRE(again && book_count(again) == book_count(book));
	close(fd);
	for (uint32_t i = 0; i < book_count(book); i++) {
		struct book_entry had, has;
		uint32_t found[1];

		book_entry(book, i, &had);
		book_entry(again, i, &has);
		REQUIRE(has.set == had.set && has.kind == (had.flags & BOOK_BAD ? 0 : had.kind));
		if (has.name[0] != '\0' && has.name[0] != '*')
			REQUIRE(book_find(again, has.set, has.name, found, 1) == 1);
	}
	book_drop(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct book_header header = { .magic = BOOK_MAGIC, .size = size };
	struct book *book;
	int fd;

	if (size < sizeof(header) || size > 65536)
		return 0;
	/* the two numbers that a fuzzer would never find */
	memcpy(&header.entries, data + offsetof(struct book_header, entries),
	       sizeof(header) - offsetof(struct book_header, entries));
	fd = memfd_create("fuzz-book", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	REQUIRE(fd >= 0);
	REQUIRE(pwrite(fd, data, size, 0) == (ssize_t)size);
	REQUIRE(pwrite(fd, &header, sizeof(header), 0) == sizeof(header));
	REQUIRE(fcntl(fd, F_ADD_SEALS, BOOK_SEALS) == 0);
	book = book_map(fd);
	close(fd);
	if (book == NULL)
		return 0;
	for (uint32_t i = 0; i < book_count(book); i++) {
		struct book_entry entry;

		book_entry(book, i, &entry);
		touch_entry(&entry);
		look_up(book, &entry);
	}
	look_up_keys(book);
	write_again(book);
	book_drop(book);
	return 0;
}
