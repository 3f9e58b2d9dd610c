/* book_made - see book_made.h. */
#include "tests/support/book_made.h"
#include <stdlib.h>
#include <unistd.h>

struct book *book_made(struct book_writer *writer)
{
	int fd = book_writer_finish(writer);
	struct book *book = fd >= 0 ? book_map(fd) : NULL;

	if (book == NULL)
		abort();
	close(fd);
	book_writer_free(writer);
	return book;
}

struct book *book_made_of(const struct book_entry *entries, size_t count)
{
	struct book_writer *writer = book_writer_new();

	for (size_t i = 0; i < count; i++) {
		if (!book_writer_add(writer, &entries[i], false))
			abort();
	}
	return book_made(writer);
}
