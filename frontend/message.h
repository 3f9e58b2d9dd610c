/* message - the one codec for everything that processes tell each other: fields in a bounded, versioned frame.
 * Invariants: a writer that does not fit fails as a whole; a reader never reads past the end, and a message with bytes left
 * over is malformed. Numbers are in host order: both ends are the same binary. Pure: no descriptor, no loop.
 * Frame: u32 length (all of it), u8 version, u8 descriptors that travel along, u16 type, fields.
 */
#ifndef FRONTEND_MESSAGE_H
#define FRONTEND_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MESSAGE_VERSION 2
#define MESSAGE_HEADER  8

struct message_header {
	uint32_t length;
	uint16_t type;
	uint8_t descriptors;
};

/* Writes into storage that grows up to max; message_writer_cleanup() wipes and frees it. */
struct message_writer {
	uint8_t *data;
	size_t len, size, max;
	bool failed;
};

void message_begin(struct message_writer *, size_t max, uint16_t type);
void message_put_u8(struct message_writer *, uint8_t);
void message_put_u32(struct message_writer *, uint32_t);
void message_put_u64(struct message_writer *, uint64_t);
void message_put_bytes(struct message_writer *, const void *,
		       size_t);                                 /* u32 length, then the bytes */
void message_put_string(struct message_writer *, const char *); /* NULL and "" stay apart */
/* Completes the frame; false when anything did not fit. */
bool message_end(struct message_writer *, uint8_t descriptors);
void message_writer_cleanup(struct message_writer *);

struct message_reader {
	const uint8_t *data; /* behind the header */
	size_t len, pos;
	bool failed;
};

/* 1: a whole frame stands at data; 0: more bytes are needed; -1: malformed (version, length below the header or over max). */
int message_peek(const uint8_t *data, size_t len, size_t max, struct message_header *);
void message_read(struct message_reader *, const uint8_t *frame, const struct message_header *);
uint8_t message_get_u8(struct message_reader *); /* zero when failed, as all of these */
uint32_t message_get_u32(struct message_reader *);
uint64_t message_get_u64(struct message_reader *);
const void *message_get_bytes(struct message_reader *, size_t *len); /* into the frame */
/* Into the frame, NUL-terminated there; NULL when it was NULL or holds a NUL inside (then failed is set). */
const char *message_get_string(struct message_reader *);
bool message_done(const struct message_reader *); /* all read, nothing left, nothing failed */

#endif
