/* transport - one leg of a session: a socket, plain or under TLS, with its own queues.
 * Invariants: never blocks; `out` is bounded: a write takes nothing once OUT_HIGH bytes wait, and the caller keeps the rest
 * (back-pressure); `in` holds what the TLS library has not taken yet, so the first bytes of a client can be looked at
 * before it sees them; queues hold no storage while empty. Callers compute what they want to wait for once, at the end
 * of a turn (transport_wait).
 */
#ifndef FRONTEND_TRANSPORT_H
#define FRONTEND_TRANSPORT_H

#include "frontend/buffer.h"
#include "frontend/config.h"
#include "frontend/tls.h"
#include <ev.h>

#define TRANSPORT_RECORD   16384 /* plaintext of one TLS record: the unit of reading and writing */
#define TRANSPORT_OUT_HIGH (2 * TRANSPORT_RECORD)
/* No writing fills `out` so far; answers of the TLS library may. */
#define TRANSPORT_OUT_FULL (3 * TRANSPORT_RECORD + 1024)
#define TRANSPORT_OUT_MAX  (6 * TRANSPORT_RECORD)
#define TRANSPORT_IN_MAX   (2 * TRANSPORT_RECORD)

enum transport_result {
	TRANSPORT_DONE,
	TRANSPORT_AGAIN,  /* nothing now: wait */
	TRANSPORT_CLOSED, /* the peer ended it properly: close_notify, or end of file without TLS */
	TRANSPORT_TRUNCATED, /* TLS ended without close_notify */
	TRANSPORT_PENDING,   /* of the handshake: waits for a signature, not for the peer */
	TRANSPORT_FAILED,
};

struct transport {
	struct ev_loop *loop;
	ev_io io;
	int fd; /* -1: closed */
	struct tls *tls;
	struct buffer in, out;
	bool end_of_file, failed; /* of reading */
	bool write_failed;        /* what the peer sent before may still be read */
	bool tls_failed;          /* only an alert may still go out */
	bool write_closed, shut;  /* no more from us: queued; told to the peer */
	uint64_t received, sent;  /* payload */
};

void transport_init(struct transport *, struct ev_loop *,
		    void (*ready)(struct ev_loop *, ev_io *, int));
/* Takes a connected or connecting non-blocking socket. */
void transport_open(struct transport *, int fd);
/* At once; queues and TLS state are wiped and freed. May be called twice. */
void transport_close(struct transport *);
bool transport_is_open(const struct transport *);

/* Starts a non-blocking connection; 0, or -1 with errno. transport_connected() then says how it went. */
int transport_connect(struct transport *, const struct address *);
enum transport_result transport_connected(struct transport *, int *error);

/* Takes ciphertext from the socket without showing it to the library: the bytes stand in `in`. */
enum transport_result transport_fill(struct transport *);
/* Takes tls; everything from here on is under it. Plaintext still queued in `out` goes first. */
void transport_start_tls(struct transport *, struct tls *);
enum transport_result transport_handshake(struct transport *);

/* Reads at most one record's worth into the buffer, if it has the room. */
enum transport_result transport_read(struct transport *, struct buffer *);
/* How many bytes were taken: 0 when too many wait already. Nothing is sent before transport_flush(). */
size_t transport_write(struct transport *, const void *, size_t len);
bool transport_writable(const struct transport *);
/* DONE: all sent; AGAIN: some wait; FAILED. */
enum transport_result transport_flush(struct transport *);
/* No more writing: close_notify behind all that is queued; transport_flush() shuts the socket behind that. */
void transport_end_writing(struct transport *);

/* Throws away what the peer sends: DONE and *count, or AGAIN, CLOSED, FAILED. */
enum transport_result transport_discard(struct transport *, size_t *count);

/* Waits for the socket as wanted, and for room to send when bytes are queued. */
void transport_wait(struct transport *, bool read, bool connecting);

#endif
