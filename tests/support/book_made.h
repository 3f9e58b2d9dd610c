/* book_made - books of entries that a test makes up, in place of the checker's. Ends the program when one cannot be made. */
#ifndef TESTS_SUPPORT_BOOK_MADE_H
#define TESTS_SUPPORT_BOOK_MADE_H

#include "frontend/book.h"
#include "frontend/book_write.h"
#include <stddef.h>

/* What was written, mapped; the writer is freed. The caller drops the book. */
struct book *book_made(struct book_writer *);
/* The same of these entries, none of them a default. */
struct book *book_made_of(const struct book_entry *, size_t count);

#endif
