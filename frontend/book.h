/* book - everything public about all certificates in one sealed memory file, which every process maps and none can change.
 * Written once (book_write.h); a renewal makes another book. So thousands of names cost a process nothing but the mapping.
 * Invariants: book_map() looks at every number once, so that what a book says is safe to follow whoever wrote it; spans and texts that
 * are handed out live as long as the book. An entry's index is that of its item in the supervisor's list.
 */
#ifndef FRONTEND_BOOK_H
#define FRONTEND_BOOK_H

#include "protocols/span.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BOOK_ID_LEN                                                                                \
	32 /* SHA-256 of a SubjectPublicKeyInfo: names a key; of a certificate: its fingerprint */
#define BOOK_NAME_MAX    253
#define BOOK_ENTRIES_MAX (1u << 20)
#define BOOK_SIZE_MAX    (1u << 30)

enum book_kind { BOOK_P256, BOOK_P384, BOOK_RSA, BOOK_ED25519, BOOK_KINDS };

enum book_flag {
	BOOK_MUST_STAPLE = 1,
	BOOK_TOKEN = 2, /* the key lives in a token; key_source is its URI */
	BOOK_BAD = 4, /* could not be used and has no predecessor: nothing but its place is there */
	BOOK_ALLOW_TLS11 = 8, /* a listener that uses it speaks TLS 1.1 */
	BOOK_FLAGS = 15,
};

struct book;

struct book_entry {
	uint32_t set;
	enum book_kind kind;
	uint32_t bits;                    /* of the key */
	uint32_t flags;                   /* enum book_flag */
	int64_t not_before, not_after;    /* seconds since 1970 */
	uint32_t key;                     /* as book_key() counts; the writer makes it */
	const uint8_t *spki;              /* the id of its key, BOOK_ID_LEN */
	const uint8_t *fingerprint;       /* of the leaf, BOOK_ID_LEN */
	struct span chain;                /* PEM, the leaf first */
	struct span issuer;               /* the second of the chain, PEM; empty: it is alone */
	struct span leaf;                 /* DER */
	struct span staple;               /* DER of an OCSP response; empty: none */
	int64_t this_update, next_update; /* of the staple */
	struct span names;                /* each with its NUL, lower case, see book_next_name() */
	const char *name; /* the first of them, "" when there is none; the writer makes it */
	const char *ocsp; /* URI of its responder, or "" */
	const char *file; /* where the configuration names it, with `line` */
	uint32_t line;
	const char *path;       /* of the chain */
	const char *key_source; /* URI of a key in a token, or "" */
};

/* Maps a sealed book. NULL: it is not sealed, or not a book (errno EINVAL), or it cannot be mapped. The caller keeps fd. */
struct book *book_map(int fd);
struct book *book_keep(struct book *); /* counted; from any thread */
void book_drop(struct book *);         /* the last one unmaps; NULL is fine */
size_t book_size(const struct book *); /* of the mapping, in octets */

uint32_t book_count(const struct book *);
void book_entry(const struct book *, uint32_t index, struct book_entry *out);
/* The name behind `last` among the entry's names; NULL begins, and NULL ends. */
const char *book_next_name(const struct book_entry *, const char *last);

/* Entries of a set for a name in lower case: those that carry just that name, or else those of the wildcard that takes its first label's
 * place. Their indices in ascending order, at most max; returns how many. */
size_t book_find(const struct book *, uint32_t set, const char *name, uint32_t *out, size_t max);
/* The default of a set, then every other entry that carries its first name. 0: the set has nothing that can be used. */
size_t book_default(const struct book *, uint32_t set, uint32_t *out, size_t max);

/* The keys that entries need, each once. */
uint32_t book_key_count(const struct book *);
const uint8_t *book_key(const struct book *, uint32_t key); /* its id */
uint32_t book_key_entry(const struct book *,
			uint32_t key); /* an entry that uses it, of a file before one of a token */
bool book_key_in_token(const struct book *, uint32_t key); /* all that use it say so */
/* False: no entry uses such a key. */
bool book_key_find(const struct book *, const uint8_t id[BOOK_ID_LEN], uint32_t *out);

#endif
