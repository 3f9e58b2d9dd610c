/* signer - TLS contexts for unit tests, whose keys are in the test itself. */
#ifndef TESTS_SUPPORT_SIGNER_H
#define TESTS_SUPPORT_SIGNER_H

#include "frontend/tls.h"
#include "tests/support/pem.h"

/* A server's context of that profile; its key signs from now on, beside those of earlier calls. Ends the program when it cannot be made. */
struct tls_context *signer_context(const struct pem_pair *, const struct profile *);
/* The same, as if the key were in a token: the session waits, and whoever asks it for the request has signer_sign() answer it. */
struct tls_context *signer_token_context(const struct pem_pair *, const struct profile *);
bool signer_sign(const struct tls_request *, uint8_t out[KEY_SIGNATURE_MAX], size_t *len);
void signer_forget(void); /* every key: nothing is signed any more */

#endif
