/* message - the codec of everything that our processes tell each other; see message.h.
 * Invariants: a writer's bytes are wiped wherever they are given up, since a message may hold a password; a reader that
 * failed stays failed and yields zeros, so callers check once, at the end. A string travels with its NUL, so that the
 * reader can hand out a pointer into the frame; length 0 stands for NULL.
 */
#include "frontend/message.h"
#include <stdlib.h>
#include <string.h>

#define WRITER_FIRST_SIZE 256

/* Offsets in the header. */
enum { AT_LENGTH = 0, AT_VERSION = 4, AT_DESCRIPTORS = 5, AT_TYPE = 6 };

static void writer_fail(struct message_writer *writer)
{
	message_writer_cleanup(writer);
	writer->failed = true;
}

/* Moves by hand and not by realloc(), which would leave a copy of the bytes behind. */
static bool writer_grow(struct message_writer *writer, size_t needed)
{
	size_t size = writer->size ? writer->size : WRITER_FIRST_SIZE;

	while (size < needed)
		size *= 2;
	if (size > writer->max)
		size = writer->max;

	uint8_t *data = malloc(size);

	if (!data)
		return false;
	if (writer->data) {
		memcpy(data, writer->data, writer->len);
		explicit_bzero(writer->data, writer->len);
		free(writer->data);
	}
	writer->data = data;
	writer->size = size;
	return true;
}

/* Room for len more bytes, already counted, or NULL. */
static uint8_t *writer_room(struct message_writer *writer, size_t len)
{
	if (writer->failed)
		return NULL;
	if (len > writer->max - writer->len) {
		writer_fail(writer);
		return NULL;
	}
	if (len > writer->size - writer->len && !writer_grow(writer, writer->len + len)) {
		writer_fail(writer);
		return NULL;
	}
	writer->len += len;
	return writer->data + writer->len - len;
}

static void put_raw(struct message_writer *writer, const void *data, size_t len)
{
	uint8_t *room = writer_room(writer, len);

	if (room && len > 0)
		memcpy(room, data, len);
}

void message_begin(struct message_writer *writer, size_t max, uint16_t type)
{
	*writer = (struct message_writer) { .max = max };

	uint8_t *header = writer_room(writer, MESSAGE_HEADER);

	if (!header)
		return;
	memset(header, 0, MESSAGE_HEADER);
	header[AT_VERSION] = MESSAGE_VERSION;
	memcpy(header + AT_TYPE, &type, sizeof(type));
}

void message_put_u8(struct message_writer *writer, uint8_t value)
{
	put_raw(writer, &value, sizeof(value));
}

void message_put_u32(struct message_writer *writer, uint32_t value)
{
	put_raw(writer, &value, sizeof(value));
}

void message_put_u64(struct message_writer *writer, uint64_t value)
{
	put_raw(writer, &value, sizeof(value));
}

void message_put_bytes(struct message_writer *writer, const void *data, size_t len)
{
	if (len > UINT32_MAX) {
		writer_fail(writer);
		return;
	}
	message_put_u32(writer, (uint32_t)len);
	put_raw(writer, data, len);
}

void message_put_string(struct message_writer *writer, const char *text)
{
	message_put_bytes(writer, text, text ? strlen(text) + 1 : 0);
}

bool message_end(struct message_writer *writer, uint8_t descriptors)
{
	if (writer->failed)
		return false;
	if (writer->len > UINT32_MAX) {
		writer_fail(writer);
		return false;
	}

	uint32_t length = (uint32_t)writer->len;

	memcpy(writer->data + AT_LENGTH, &length, sizeof(length));
	writer->data[AT_DESCRIPTORS] = descriptors;
	return true;
}

void message_writer_cleanup(struct message_writer *writer)
{
	if (writer->data) {
		explicit_bzero(writer->data, writer->len);
		free(writer->data);
	}
	writer->data = NULL;
	writer->len = writer->size = 0;
}

int message_peek(const uint8_t *data, size_t len, size_t max, struct message_header *header)
{
	if (len < MESSAGE_HEADER)
		return 0;
	memcpy(&header->length, data + AT_LENGTH, sizeof(header->length));
	memcpy(&header->type, data + AT_TYPE, sizeof(header->type));
	header->descriptors = data[AT_DESCRIPTORS];
	if (data[AT_VERSION] != MESSAGE_VERSION || header->length < MESSAGE_HEADER ||
	    header->length > max)
		return -1;
	return header->length <= len ? 1 : 0;
}

void message_read(struct message_reader *reader, const uint8_t *frame,
		  const struct message_header *header)
{
	*reader = (struct message_reader) {
		.data = frame + MESSAGE_HEADER,
		.len = header->length - MESSAGE_HEADER,
	};
}

/* The next len bytes, or NULL. */
static const uint8_t *reader_take(struct message_reader *reader, size_t len)
{
	if (reader->failed || len > reader->len - reader->pos) {
		reader->failed = true;
		return NULL;
	}
	reader->pos += len;
	return reader->data + reader->pos - len;
}

static void get_raw(struct message_reader *reader, void *out, size_t len)
{
	const uint8_t *bytes = reader_take(reader, len);

	if (bytes)
		memcpy(out, bytes, len);
}

uint8_t message_get_u8(struct message_reader *reader)
{
	uint8_t value = 0;

	get_raw(reader, &value, sizeof(value));
	return value;
}

uint32_t message_get_u32(struct message_reader *reader)
{
	uint32_t value = 0;

	get_raw(reader, &value, sizeof(value));
	return value;
}

uint64_t message_get_u64(struct message_reader *reader)
{
	uint64_t value = 0;

	get_raw(reader, &value, sizeof(value));
	return value;
}

const void *message_get_bytes(struct message_reader *reader, size_t *len)
{
	uint32_t length = message_get_u32(reader);
	const uint8_t *bytes = reader_take(reader, length);

	*len = bytes ? length : 0;
	return bytes;
}

const char *message_get_string(struct message_reader *reader)
{
	size_t len;
	const char *text = message_get_bytes(reader, &len);

	if (len == 0)
		return NULL;
	if (memchr(text, '\0', len) != text + len - 1) {
		reader->failed = true;
		return NULL;
	}
	return text;
}

bool message_done(const struct message_reader *reader)
{
	return !reader->failed && reader->pos == reader->len;
}
