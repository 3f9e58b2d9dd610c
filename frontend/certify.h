/* certify - the checker's work on certificates: of a list of them and their files makes a book.
 * It asks for files item by item and gets them in the order that it asked; what is open is read, bounded, closed and wiped at once.
 * Invariants: the book has an entry for each item, in their order. In a renewal no fault is an error: an item that cannot be used keeps
 * the entry that it had, and is told of as refused.
 */
#ifndef FRONTEND_CERTIFY_H
#define FRONTEND_CERTIFY_H

#include "frontend/book.h"
#include "frontend/certificate_message.h"
#include "frontend/config.h"

#define CERTIFY_FILE_MAX (1u << 20)

struct certify;

struct certify_refusal {
	uint32_t index;
	char *why; /* one line, beginning with the path that it is about */
};

/* Borrows all of them until it is freed; old: NULL without. NULL without memory. */
struct certify *certify_new(const struct config *, const struct certificate_list *,
			    const struct book *old, struct config_faults *);
void certify_free(struct certify *); /* NULL is fine */
/* The next item to ask for; false: none for now. A few are asked for ahead. */
bool certify_want(struct certify *, uint32_t *index);
/* Reads and closes them. False: these were not asked for next. */
bool certify_take(struct certify *, struct certificate_files *);
bool certify_done(const struct certify *); /* every item is in */
/* The descriptor of the book, or -1 and a fault. Once, when it is done. */
int certify_finish(struct certify *);
/* Of a renewal; as long as the certify lives. */
size_t certify_refusals(const struct certify *, const struct certify_refusal **out);

#endif
