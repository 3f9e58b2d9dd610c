/* audit - what `postern --audit` says: what each listener will offer, each certificate with its chain, what breaks a standard, and DNS records
 * to paste. Pure: from a configuration that has passed its checks, and the book of its certificates, to text; no file, no socket.
 */
#ifndef FRONTEND_AUDIT_H
#define FRONTEND_AUDIT_H

#include "frontend/book.h"
#include "frontend/config.h"
#include <stdio.h>

#define AUDIT_TEXT_MAX       (16u << 20) /* octets; what would be more is left out, and told to be */
#define AUDIT_EXPIRY_SECONDS (21 * 86400)

struct audit_result {
	unsigned findings, notes;
};

/* `now` in seconds since 1970. */
struct audit_result audit(const struct config *, const struct book *, int64_t now, FILE *out);

#endif
