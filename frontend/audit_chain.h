/* audit_chain - a certificate chain link by link, as an auditor reads it. */
#ifndef FRONTEND_AUDIT_CHAIN_H
#define FRONTEND_AUDIT_CHAIN_H

#include "protocols/span.h"
#include <stdint.h>

#define AUDIT_CHAIN_MAX 10
#define AUDIT_TEXT_LEN  256

struct audit_link {
	char subject[AUDIT_TEXT_LEN],
		issuer[AUDIT_TEXT_LEN]; /* RFC 4514, printable ASCII; cut when longer */
	int64_t not_after;              /* seconds since 1970 */
	unsigned bits;                  /* of its key */
	bool rsa;                       /* what kind of key that is */
	bool old_hash;                  /* signed with SHA-1 or MD5, and not by itself */
	bool self_signed;
	bool alt_names; /* has subjectAltName */
};

/* The certificates of a PEM text, at most `max`; how many. */
size_t audit_chain(struct span pem, struct audit_link *out, size_t max);

#endif
