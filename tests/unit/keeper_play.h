/* keeper_play - books of throw-away certificates for tests of the keeper. */
#ifndef TESTS_UNIT_KEEPER_PLAY_H
#define TESTS_UNIT_KEEPER_PLAY_H

#include "frontend/book_write.h"
#include "frontend/public_key.h"
#include "tests/support/pem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

struct play_certificate {
	struct pem_pair pair;
	struct public_key *public;
};

static inline struct play_certificate play_issue(const struct pem_pair *authority, const char *kind)
{
	struct play_certificate made = { pem_issue(authority, kind, "mail.example.test"), NULL };
	char why[256];

	made.public =
		public_key_from_pem((const uint8_t *)made.pair.chain, strlen(made.pair.chain), why);
	assert_non_null(made.public);
	return made;
}

static inline void play_free(struct play_certificate *made)
{
	public_key_free(made->public);
	pem_free(&made->pair);
}

static inline const uint8_t *play_id(const struct play_certificate *made)
{
	return public_key_id(made->public);
}

static inline struct key *play_key(const struct play_certificate *made)
{
	char why[256];
	struct key *key =
		key_from_pem((const uint8_t *)made->pair.key, strlen(made->pair.key), why);

	assert_non_null(key);
	return key;
}

/* The descriptor of a book of these, in their order; flags for all. */
static inline int play_book(const struct play_certificate *const *certificates, size_t count,
			    uint32_t flags)
{
	struct book_writer *writer = book_writer_new();
	int fd;

	assert_non_null(writer);
	for (size_t i = 0; i < count; i++) {
		const struct public_key *public = certificates[i]->public;
		static const uint8_t fingerprint[BOOK_ID_LEN];
		static const char names[] = "mail.example.test";
		enum key_type type = public_key_type(public);
		const struct book_entry entry = {
			.kind = type == KEY_RSA       ? BOOK_RSA
				: type == KEY_ED25519 ? BOOK_ED25519
						      : BOOK_P256,
			.bits = public_key_bits(public),
			.flags = flags,
			.not_after = INT32_MAX,
			.spki = public_key_id(public),
			.fingerprint = fingerprint,
			.chain = span_of(certificates[i]->pair.chain),
			.leaf = SPAN("leaf"),
			.names = { names, sizeof(names) },
			.file = "test.conf",
			.line = (uint32_t)i + 1,
			.path = "cert.pem",
		};

		assert_true(book_writer_add(writer, &entry, i == 0));
	}
	fd = book_writer_finish(writer);
	book_writer_free(writer);
	assert_true(fd >= 0);
	return fd;
}

#endif
