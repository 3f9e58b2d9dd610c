/* arena - memory for things that live and die together.
 * Invariants: everything is zeroed when given out and wiped when the arena is freed, since it may hold private keys;
 * there is no giving back of single pieces. Used at start and reload only: without memory the process ends.
 */
#ifndef FRONTEND_ARENA_H
#define FRONTEND_ARENA_H

#include <stddef.h>

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *); /* wipes all of it; NULL is fine */
/* Zeroed, aligned for anything, never NULL. */
void *arena_alloc(struct arena *, size_t len);
void *arena_array(struct arena *, size_t count, size_t size);
/* A copy with a NUL behind it. */
char *arena_copy(struct arena *, const void *data, size_t len);
char *arena_string(struct arena *, const char *); /* NULL stays NULL */
__attribute__((format(printf, 2, 3))) char *arena_format(struct arena *, const char *format, ...);

#endif
