/* audit_records - the DNS records that go with a configuration and its certificates, ready to paste. RFC 6186, 6698, 8314 4.5. */
#ifndef FRONTEND_AUDIT_RECORDS_H
#define FRONTEND_AUDIT_RECORDS_H

#include "frontend/book.h"
#include "frontend/config.h"
#include <stdio.h>

/* One for each port, name and key. Stops where the text has AUDIT_TEXT_MAX octets: false. */
bool audit_tlsa(const struct config *, const struct book *, FILE *out);
void audit_srv(const struct config *, FILE *out);

#endif
