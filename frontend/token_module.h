/* token_module - a PKCS#11 library and the tokens behind it: finding a private key by its URI, and signing with it.
 * Invariants: only token_module.c knows PKCS#11; a key is only given out when it has made a signature that the certificate's public key
 * verifies; a PIN that was refused is not tried again, and none where a further mistake would lock the token. The library stays loaded.
 * Opening and finding are for one thread, signing is for any, each with a session of its own.
 * PKCS #11 2.40.
 */
#ifndef FRONTEND_TOKEN_MODULE_H
#define FRONTEND_TOKEN_MODULE_H

#include "frontend/public_key.h"
#include "frontend/token_uri.h"
#include "protocols/span.h"

struct token_module;

/* NULL and why. */
struct token_module *token_module_open(const char *path, char why[256]);
void token_module_close(struct token_module *); /* when nobody signs any more; NULL is fine */
const char *token_module_path(const struct token_module *);
/* Another PIN has come: one may be tried again. */
void token_module_retry(struct token_module *);

struct token_key {
	struct token_module *module;
	unsigned long slot, object;
	enum key_type type;
};

/* pin.data NULL: nobody logs in. False and why. */
bool token_key_find(struct token_module *, const struct token_uri *, struct span pin,
		    const struct public_key *, struct token_key *out, char why[256]);

/* In the same token as a key that was found. False: it does not take another session. */
bool token_session_open(struct token_module *, unsigned long slot, unsigned long *session);
void token_session_close(struct token_module *, unsigned long session);

enum token_result {
	TOKEN_SIGNED,
	TOKEN_FAILED,
	TOKEN_LOST, /* token, session or login have gone */
};

/* As key_sign(). */
enum token_result token_sign(const struct token_key *, unsigned long session, const uint8_t *in,
			     size_t len, uint8_t out[KEY_SIGNATURE_MAX], size_t *out_len);

#endif
