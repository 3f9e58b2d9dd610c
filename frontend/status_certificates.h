/* status_certificates - what /metrics says of the certificates in force. */
#ifndef FRONTEND_STATUS_CERTIFICATES_H
#define FRONTEND_STATUS_CERTIFICATES_H

#include "frontend/book.h"
#include <stdio.h>

#define STATUS_EXPIRY_SECONDS   (21 * 86400) /* who has less left is shown by name */
#define STATUS_CERTIFICATES_MAX 100u         /* so many of them, those first that end first */

/* `now` in seconds since 1970. */
void status_certificates(const struct book *, int64_t now, FILE *out);

/* A label's text within quotes: names and paths are the operator's. */
void status_label(FILE *out, const char *name, const char *value);

#endif
