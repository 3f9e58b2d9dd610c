/* output - bounded text that a protocol wants sent: replies to a client, commands to a backend.
 * Invariants: never writes beyond max; what does not fit is left out whole and sets `overflow`, which
 * the session treats as a bug of ours. The storage belongs to the caller, who wipes it when it held a secret.
 */
#ifndef PROTOCOLS_OUTPUT_H
#define PROTOCOLS_OUTPUT_H

#include "protocols/span.h"

struct output {
	char *data;
	size_t len, max;
	bool overflow;
};

/* Enough for any reply or command of ours: the longest is a backend login with 12 KiB of password in base64. */
#define OUTPUT_MAX 20480

void output_init(struct output *, char *storage, size_t max);
size_t output_room(const struct output *);
void output_span(struct output *, struct span);
void output_text(struct output *, const char *text);
/* For our own words only: bytes of a peer go through output_span() or a quoting function. */
__attribute__((format(printf, 2, 3))) void output_format(struct output *, const char *format, ...);

#endif
