/* certificates - the supervisor's list of all certificates: where their files are, and what those files were when it was made.
 * Explicit ones stand first, in the order of the configuration, then those of folders, by path; an item's index is that of its entry in
 * the book that the checker makes of them.
 * Invariants: no byte of a file is read here; a list is not changed once it is made, but for `same` and for what the checker has said of
 * it. Layouts of a folder: NAME/fullchain.pem with NAME/privkey.pem, or NAME.pem or NAME.crt with NAME.key; names that begin with a dot
 * and everything else are passed over.
 */
#ifndef FRONTEND_CERTIFICATES_H
#define FRONTEND_CERTIFICATES_H

#include "frontend/book.h"
#include "frontend/certificate_message.h"
#include "frontend/config.h"
#include "frontend/staples.h"

#define CERTIFICATES_MAX 100000

/* What tells that a file is still the one it was; all zero: it was not there. */
struct certificate_stamp {
	uint64_t device, inode, size;
	int64_t modified, changed; /* nanoseconds since 1970 */
};

struct certificates {
	struct arena *arena;
	struct certificate_list list;
	struct certificate_stamp (*stamps)[CERTIFICATE_PARTS]; /* of each item's files */
	uint32_t *
		fetched; /* of each item: the entry of the old book for which there is a staple; CERTIFICATE_READ: none */
	const struct book *fetched_for; /* that book; borrowed while the checker asks */
	struct staples *staples;
	bool *refused; /* the checker took none of these files; the book has what was before, or nothing */
	struct config_strings folders; /* looked into, besides those that the files lie in */
	struct book *book;             /* made of it, NULL before; book_fd: to give away */
	int book_fd;
};

/* Every certificate of a configuration as its files are now. NULL when a folder cannot be read, there are too many, or a listener is left
 * without any: the faults say it. Warnings may be there either way. */
struct certificates *certificates_find(const struct config *, struct config_faults *);
void certificates_free(struct certificates *); /* NULL is fine */

enum certificates_change {
	CERTIFICATES_SAME,
	CERTIFICATES_REFUSED, /* nothing new, but for the files that the checker has refused */
	CERTIFICATES_CHANGED,
};

/* What has been fetched for a certificate whose files are the same stands in for its file with a staple, if the checker asks for it
 * (certificates_open); NULL: nothing has been. It must outlive the list.
 * Sets `same` of each item whose files are those that the entry of `old` was made of, and tells what else there is. */
enum certificates_change certificates_compare(struct certificates *, const struct certificates *old,
					      struct staples *);
/* Whether the files that were to be read are still what they were when the list was made. */
bool certificates_steady(const struct certificates *);
/* For each item the index of the one of `old` with the same set and names of files, or -1. */
void certificates_match(const struct certificates *, const struct certificates *old, long *out);

/* Opens an item's files for who has asked for them: of the keeper the key alone. What cannot be opened, or is not a regular file, is told in
 * `why`; a key that everybody may read is a warning. The caller closes (certificate_files_close). */
void certificates_open(const struct certificates *, uint32_t index, enum child_kind for_whom,
		       struct certificate_files *out, struct config_faults *);

/* Maps the checker's book, which must have an entry for each item. False: it is none; the descriptor stays the caller's then. */
bool certificates_take_book(struct certificates *, int fd);
/* When both books say the same: moves the old list's to this one, in place of its own. */
bool certificates_keep_book(struct certificates *, struct certificates *old);

#endif
