/* smtp_path - the grammar of a path: what stands in angle brackets behind MAIL FROM: and RCPT TO:.
 * Invariants: a path has one end, wherever a reader looks for it: quotation marks and brackets stand only where the grammar
 * has them, so no part of an address can be taken for a parameter, nor the reverse.
 * RFC 5321 4.1.2, 4.1.3; RFC 6531 3.3.
 */
#ifndef PROTOCOLS_SMTP_PATH_H
#define PROTOCOLS_SMTP_PATH_H

#include "protocols/span.h"

/* Octets of the path at the beginning of text, with its brackets; 0: there is none. */
size_t smtp_path_length(struct span text);

#endif
