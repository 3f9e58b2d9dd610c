/* signer - TLS contexts for unit tests, whose keys are in the test itself. */
#ifndef TESTS_SUPPORT_SIGNER_H
#define TESTS_SUPPORT_SIGNER_H

#include "frontend/tls.h"
#include "tests/support/pem.h"

/* A server's context of that profile; its key signs from now on, beside those of earlier calls. Ends the program when it cannot be made. */
struct tls_context *signer_context(const struct pem_pair *, const struct profile *);
void signer_forget(void); /* every key: nothing is signed any more */

#endif
