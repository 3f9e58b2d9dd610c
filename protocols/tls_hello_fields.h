/* tls_hello_fields - the part of tls_hello.c that reads a whole message; nobody else includes this. */
#ifndef PROTOCOLS_TLS_HELLO_FIELDS_H
#define PROTOCOLS_TLS_HELLO_FIELDS_H

#include "protocols/tls_hello.h"

static inline uint16_t tls_u16(const uint8_t *data)
{
	return (uint16_t)(data[0] << 8 | data[1]);
}

/* What out->message says. False: it is broken; out->alert is then the answer, as the caller has set it where the encoding is
 * at fault. */
bool tls_hello_read_message(struct tls_hello *out);

#endif
