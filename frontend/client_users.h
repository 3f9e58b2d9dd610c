/* client_users - which user a client's certificate stands for: the operator's file, or the address in the certificate.
 * Invariants: pure; a file is judged whole, line by line, before anything is looked up; nothing is ever guessed: what two
 * names of a certificate give two users is nobody's.
 *
 * A line: what the certificate is known by, blanks, the user's name. It is known by the SHA-256 of its DER (64 hexadecimal
 * digits, colons between pairs allowed), by an address in it (rfc822Name) or by its whole subject as RFC 4514 writes it, which
 * may hold blanks; so the user's name is the last word. '#' begins a comment line.
 */
#ifndef FRONTEND_CLIENT_USERS_H
#define FRONTEND_CLIENT_USERS_H

#include "protocols/span.h"
#include <stdint.h>

#define CLIENT_USERS_MAX      16384 /* lines that name a user */
#define CLIENT_USERS_LINE_MAX 2048
#define CLIENT_ADDRESSES_MAX  8
#define CLIENT_ADDRESS_MAX    254 /* RFC 5321 4.5.3.1.3 */
#define CLIENT_SUBJECT_MAX    1024
#define CLIENT_DIGEST_SIZE    32

/* What a verified certificate says of its holder. */
struct client_identity {
	uint8_t digest[CLIENT_DIGEST_SIZE]; /* SHA-256 of the certificate */
	char subject[CLIENT_SUBJECT_MAX];   /* RFC 4514; "" when longer */
	char addresses[CLIENT_ADDRESSES_MAX][CLIENT_ADDRESS_MAX + 1];
	unsigned address_count; /* of those that client_address_take() took */
	bool ambiguous;         /* there are more, or some that are no address */
};

/* Takes the bytes of an rfc822Name: printable ASCII without blanks and quotes, one '@', the domain in lower case. False: it
 * is no address that could stand for a user. */
bool client_address_take(struct span, char out[CLIENT_ADDRESS_MAX + 1]);

struct client_users;

/* The text must outlive it. NULL: line says where, and why what is wrong (or 0 and "out of memory"). */
struct client_users *client_users_new(struct span text, unsigned *line, const char **why);
void client_users_free(struct client_users *); /* NULL is fine */

/* The user, as a span into the text or the identity; empty: none. Without a file (NULL) the one address of the certificate. */
struct span client_users_find(const struct client_users *, const struct client_identity *);

#endif
