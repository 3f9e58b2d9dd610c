/* credential - the name and password of one login attempt, from capture to the backend's verdict. Where the backend is not
 * shown the user's password, there is none in it.
 * Invariants: one owner; credential_free() wipes before it frees and is called on every path. Never logged.
 */
#ifndef PROTOCOLS_CREDENTIAL_H
#define PROTOCOLS_CREDENTIAL_H

#include "protocols/span.h"

#define CREDENTIAL_USER_MAX     255
#define CREDENTIAL_PASSWORD_MAX 12288

struct credential {
	struct span user, password; /* point into the same block; the password may be empty */
	size_t size;
};

/* A copy of both in one block; NULL when a bound is passed, the name is empty or memory is out. */
struct credential *credential_new(struct span user, struct span password);
void credential_free(struct credential *); /* NULL is fine */

/* True when a name may go on: 1 to 255 octets of valid UTF-8 without control characters. */
bool identity_acceptable(struct span name);

#endif
