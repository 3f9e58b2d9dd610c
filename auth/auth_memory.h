/* auth_memory - what the SASL library frees is wiped first: it copies passwords, and not all of its copies are its plugins' to
 * erase. For memory of malloc() and calloc(). Pure.
 */
#ifndef AUTH_AUTH_MEMORY_H
#define AUTH_AUTH_MEMORY_H

#include <stddef.h>

void auth_memory_free(void *); /* NULL is fine */
void *auth_memory_realloc(void *, size_t);

#endif
