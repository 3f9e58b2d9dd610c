/* smtp_params - the parameters of MAIL and RCPT: parsed, judged, and repaired for the server that was met.
 * Invariants: what is kept is a parameter that Postern knows, once, well formed, and whose extension the server offers; a
 * parameter that only asks for care (BODY, SIZE) is left out where the server does not know it; one that promises
 * something to somebody (SMTPUTF8, DSN) is refused there.
 * RFC 5321 4.1.2; RFC 1870 3, 6 (SIZE); RFC 6152 2, 3030 3 (BODY); RFC 6531 3.4; RFC 3461 4; RFC 4954 5 (AUTH).
 */
#ifndef PROTOCOLS_SMTP_PARAMS_H
#define PROTOCOLS_SMTP_PARAMS_H

#include "protocols/smtp_extension.h"

#define SMTP_PARAMS_MAX 6 /* those of MAIL */

struct smtp_params {
	struct span kept[SMTP_PARAMS_MAX]; /* into the line, or literals */
	size_t count;
	bool binary; /* BODY=BINARYMIME */
};

struct smtp_params_rules {
	unsigned met;      /* extensions that the server offers */
	uint64_t size_max; /* what the client was shown; 0: no maximum */
	bool binary; /* the client was shown CHUNKING and BINARYMIME, and the server has both */
};

/* `text`: what stands behind the path. NULL when the command may pass with what is kept; else the reply that refuses it. */
const char *smtp_params_mail(struct span text, const struct smtp_params_rules *,
			     struct smtp_params *);
const char *smtp_params_rcpt(struct span text, const struct smtp_params_rules *,
			     struct smtp_params *);

#endif
