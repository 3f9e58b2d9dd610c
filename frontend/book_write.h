/* book_write - makes a book (book.h): entries in their order, then the sealed memory file. */
#ifndef FRONTEND_BOOK_WRITE_H
#define FRONTEND_BOOK_WRITE_H

#include "frontend/book.h"

struct book_writer;

struct book_writer *book_writer_new(void); /* NULL without memory */
void book_writer_free(struct book_writer *);
/* Copies the entry, whose index is the number of those before; it may come from another book. The default of a set is the first that is
 * said to be, else its first; a bad entry is passed over, and only its set, file, line and path are taken. Names stand in lower case.
 * NULL texts count as "", NULL ids as zeros. False: no memory, or over the bounds. */
bool book_writer_add(struct book_writer *, const struct book_entry *, bool is_default);
/* The descriptor of the sealed book, close-on-exec, or -1 with errno. Once. */
int book_writer_finish(struct book_writer *);

#endif
