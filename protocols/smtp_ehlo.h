/* smtp_ehlo - what the client may see of a backend's EHLO reply.
 * Invariants: an extension is shown only when the settings know it and the backend offers it now; whatever changes who
 * is trusted or what is encrypted is never shown, even if both name it; BINARYMIME never without CHUNKING.
 * RFC 5321 4.1.1.1; RFC 1870 3; RFC 3030 3.
 */
#ifndef PROTOCOLS_SMTP_EHLO_H
#define PROTOCOLS_SMTP_EHLO_H

#include "protocols/output.h"
#include "protocols/smtp_extension.h"

/* Zero it before each EHLO. */
struct smtp_ehlo {
	uint64_t offered; /* bit n: entry n of the known extensions */
	char size[SMTP_SIZE_DIGITS + 1];
};

/* `line` is the text of one line of the reply, any but the first. `known` ends with NULL. */
void smtp_ehlo_note(struct smtp_ehlo *, const char *const *known, struct span line);

/* The whole reply to the client; false, and nothing written, when there is no room. */
bool smtp_ehlo_write(const struct smtp_ehlo *, const char *hostname, const char *const *known,
		     struct output *);
/* The same as extensions, with our own PIPELINING. */
struct smtp_extensions smtp_ehlo_shown(const struct smtp_ehlo *, const char *const *known);

#endif
