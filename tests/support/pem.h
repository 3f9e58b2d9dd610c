/* pem - throw-away keys and certificates as PEM text, made in the process for unit tests. */
#ifndef TESTS_SUPPORT_PEM_H
#define TESTS_SUPPORT_PEM_H

#include <stdbool.h>
#include <stddef.h>

struct pem_pair {
	char *chain; /* certificate, NUL-terminated PEM */
	char *key;
};

/* An authority (CA) of its own; then certificates that it issues for one DNS name or address. kind: "P-256", "P-384", "RSA-2048"
 * (or another size), "Ed25519". Ends the program when libcrypto fails. */
struct pem_pair pem_authority(const char *kind);
struct pem_pair pem_issue(const struct pem_pair *authority, const char *kind, const char *name);
/* The same for a client: its extensions are given as libcrypto's configuration writes them, NULL at the end of either. `days`
 * from now on; negative: it has ended. */
struct pem_extension {
	const char *name, *value; /* "subjectAltName", "email:alice@example.test" */
};
struct pem_pair pem_issue_client(const struct pem_pair *authority, const char *kind,
				 const char *name, const struct pem_extension *extensions,
				 int days);
/* A revocation list of that authority, NUL-terminated PEM, with that certificate on it (NULL: none). The caller frees it. */
char *pem_revocation_list(const struct pem_pair *authority, const struct pem_pair *revoked);
void pem_free(struct pem_pair *);

/* The first certificate of the chain in DER; its length. Ends the program when it does not fit. */
size_t pem_der(const struct pem_pair *, unsigned char *out, size_t size);

/* An OCSP response of the authority's own, in DER, which says that the certificate is good from `begins` to `ends` (seconds from now); with the
 * authority's certificate in it, or without. The caller frees it. */
unsigned char *pem_staple(const struct pem_pair *authority, const struct pem_pair *of, long begins,
			  long ends, bool with_issuer, size_t *len);

#endif
