/* buffer - bounded byte queue; storage exists only while it holds bytes.
 *
 *   storage:  [ consumed | data ........ | room ]
 *             0          start           end    size <= max
 *
 * Invariants: 0 <= start <= end <= size <= max; storage is NULL when empty and released; what is consumed or given
 * back is wiped first (it may be a password).
 */
#ifndef FRONTEND_BUFFER_H
#define FRONTEND_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
	char *storage;
	size_t start, end, size, max;
};

void buffer_init(struct buffer *, size_t max);
void buffer_cleanup(struct buffer *); /* wipes and frees; usable again */
size_t buffer_len(const struct buffer *);
size_t buffer_room(const struct buffer *); /* up to max */
char *buffer_data(struct buffer *);        /* first byte of the data */
/* Room for at least len bytes at the end, or NULL (over max, no memory); buffer_filled() says how many were written. */
char *buffer_reserve(struct buffer *, size_t len);
void buffer_filled(struct buffer *, size_t len);
bool buffer_append(struct buffer *, const void *, size_t len); /* all or nothing */
void buffer_consume(struct buffer *, size_t len);
void buffer_clear(struct buffer *); /* consume all */

#endif
