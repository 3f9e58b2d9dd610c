/* book_layout - how a book lies in memory; private to book.c and book_write.c.
 *
 *   [ header | entries | sets | names | keys | heap ]
 *
 * Numbers are in host order: writer and readers are the same binary on the same machine. Places in the heap count from the book's first
 * octet. Texts end with a NUL that their length does not count.
 */
#ifndef FRONTEND_BOOK_LAYOUT_H
#define FRONTEND_BOOK_LAYOUT_H

#include "frontend/book.h"

#define BOOK_MAGIC 0x314b4f4f42545350ull /* "PSTBOOK1" */
#define BOOK_NONE  UINT32_MAX
#define BOOK_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

struct book_header {
	uint64_t magic, size;
	uint32_t entries, sets, names, keys;
};

struct book_piece {
	uint32_t at, len;
};

struct book_record {
	int64_t not_before, not_after, this_update, next_update;
	uint8_t fingerprint[BOOK_ID_LEN];
	uint32_t set, kind, bits, flags, line, key; /* key: BOOK_NONE when it is bad */
	struct book_piece chain, issuer, leaf, staple, names;
	struct book_piece ocsp, file, path, key_source; /* texts */
};

/* In ascending order of the set, each once. */
struct book_set {
	uint32_t set, entry;
};

/* In ascending order of set, name, entry. */
struct book_name {
	uint32_t set, at, entry;
};

/* In ascending order of the id, each once. */
struct book_key_record {
	uint8_t id[BOOK_ID_LEN];
	uint32_t entry;
};

#endif
