/* channel - a socket pair to another of our processes: whole messages and descriptors, both ways, on the event loop.
 * Invariants: never blocks; what is queued is bounded (a send beyond that fails and nothing of it is sent); descriptors belong
 * to the message they came with, and the ones a handler does not take are closed; buffers are wiped as they are consumed.
 */
#ifndef FRONTEND_CHANNEL_H
#define FRONTEND_CHANNEL_H

#include "frontend/message.h"
#include <ev.h>

#define CHANNEL_DESCRIPTORS_MAX 16 /* of one message */

struct channel;

struct channel_handlers {
	/* A handler that keeps fds[i] sets it to -1. It may call channel_cleanup(). */
	void (*message)(struct channel *, unsigned type, struct message_reader *, int *fds,
			size_t nfds);
	/* The other end has gone, or broke the protocol; called once; the owner calls channel_cleanup(). */
	void (*closed)(struct channel *, const char *why);
};

struct channel {
	struct ev_loop *loop;
	ev_io io;
	int fd;
	size_t message_max, queue_max;
	const struct channel_handlers *handlers;
	void *owner;
	struct channel_queue *queue; /* frames not yet sent, with their descriptors */
	struct channel_inbox *inbox; /* bytes and descriptors not yet made into messages */
};

/* Takes fd (made non-blocking). queue_max bounds the bytes waiting to be sent. Returns 0, or -1 without memory. */
int channel_init(struct channel *, struct ev_loop *, int fd, size_t message_max, size_t queue_max,
		 const struct channel_handlers *, void *owner);
void channel_cleanup(struct channel *); /* closes; may be called twice */
bool channel_is_open(const struct channel *);
/* Queues a copy of an ended message; duplicates of fds are sent and the caller keeps its own. 0, or -1: over the bound. */
int channel_send(struct channel *, const struct message_writer *, const int *fds, size_t nfds);
/* Both ends, close-on-exec, SOCK_STREAM. 0 or -1 with errno. */
int channel_pair(int fds[2]);

#endif
