/* auth_memory - what the SASL library frees is wiped first.
 * Invariants: the whole usable block is wiped, also the old one when a block moves; a block never grows in place.
 */
#include "auth/auth_memory.h"
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

void auth_memory_free(void *block)
{
	if (block)
		explicit_bzero(block, malloc_usable_size(block));
	free(block);
}

void *auth_memory_realloc(void *block, size_t size)
{
	size_t old = block ? malloc_usable_size(block) : 0;
	void *fresh = malloc(size);

	if (!fresh)
		return NULL;
	if (block)
		memcpy(fresh, block, old < size ? old : size);
	auth_memory_free(block);
	return fresh;
}
