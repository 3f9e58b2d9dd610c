/* pem - throw-away keys and certificates as PEM text, made in the process for unit tests. */
#ifndef TESTS_SUPPORT_PEM_H
#define TESTS_SUPPORT_PEM_H

#include <stdbool.h>

struct pem_pair {
	char *chain; /* certificate, NUL-terminated PEM */
	char *key;
};

/* An authority (CA) of its own; then certificates that it issues for one DNS name or address. kind: "P-256", "P-384", "RSA-2048"
 * (or another size), "Ed25519". Ends the program when libcrypto fails. */
struct pem_pair pem_authority(const char *kind);
struct pem_pair pem_issue(const struct pem_pair *authority, const char *kind, const char *name);
void pem_free(struct pem_pair *);

#endif
