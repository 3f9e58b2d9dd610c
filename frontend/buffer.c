/* buffer - see buffer.h for the picture and the invariants. */
#include "frontend/buffer.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_SMALLEST 1024

static void buffer_sane(const struct buffer *b)
{
	assert(b->start <= b->end && b->end <= b->size && b->size <= b->max);
	assert(b->storage != NULL || b->size == 0);
}

void buffer_init(struct buffer *b, size_t max)
{
	*b = (struct buffer) { .max = max };
}

void buffer_cleanup(struct buffer *b)
{
	buffer_sane(b);
	if (b->storage != NULL)
		explicit_bzero(b->storage, b->end);
	free(b->storage);
	*b = (struct buffer) { .max = b->max };
}

size_t buffer_len(const struct buffer *b)
{
	return b->end - b->start;
}

size_t buffer_room(const struct buffer *b)
{
	return b->max - buffer_len(b);
}

char *buffer_data(struct buffer *b)
{
	return b->storage + b->start;
}

static bool buffer_move(struct buffer *b, size_t size)
{
	size_t len = buffer_len(b);
	char *fresh = malloc(size);

	if (fresh == NULL)
		return false;
	if (len > 0)
		memcpy(fresh, buffer_data(b), len);
	if (b->storage != NULL)
		explicit_bzero(b->storage, b->end);
	free(b->storage);
	*b = (struct buffer) { .storage = fresh, .end = len, .size = size, .max = b->max };
	return true;
}

char *buffer_reserve(struct buffer *b, size_t len)
{
	buffer_sane(b);
	if (len > buffer_room(b))
		return NULL;
	if (len > b->size - b->end) {
		size_t wanted = buffer_len(b) + len, size = BUFFER_SMALLEST;

		while (size < wanted)
			size *= 2;
		if (size > b->max)
			size = b->max;
		if (!buffer_move(b, size))
			return NULL;
	}
	return b->storage + b->end;
}

void buffer_filled(struct buffer *b, size_t len)
{
	assert(len <= b->size - b->end);
	b->end += len;
	if (b->end == b->start)
		buffer_cleanup(b);
}

bool buffer_append(struct buffer *b, const void *data, size_t len)
{
	char *room;

	if (len == 0)
		return true;
	room = buffer_reserve(b, len);
	if (room == NULL)
		return false;
	memcpy(room, data, len);
	buffer_filled(b, len);
	return true;
}

void buffer_consume(struct buffer *b, size_t len)
{
	assert(len <= buffer_len(b));
	if (len == buffer_len(b)) {
		buffer_cleanup(b);
		return;
	}
	explicit_bzero(buffer_data(b), len);
	b->start += len;
}

void buffer_clear(struct buffer *b)
{
	buffer_cleanup(b);
}
