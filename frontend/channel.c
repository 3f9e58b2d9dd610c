/* channel - whole messages and descriptors over a socket pair; see channel.h.
 * Invariants: descriptors travel with the first byte of their frame and are handed out in the order in which they came; when
 * all whole frames are taken, the descriptors left are exactly those that the frame under way announces, anything
 * else is a breach. A handler may clean up the channel, and free what it stands in: the inbox then outlives the
 * channel until the dispatch that uses it returns, and the channel is not touched again.
 */
#include "frontend/channel.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define INBOX_FIRST_SIZE 4096
#define INBOX_KEEP_SIZE  65536 /* a larger storage is given back once it is empty */

struct channel_frame {
	struct channel_frame *next;
	size_t len, sent;
	int fds[CHANNEL_DESCRIPTORS_MAX];
	size_t nfds;
	uint8_t data[];
};

struct channel_queue {
	struct channel_frame *first, **last;
	size_t bytes;
	bool broken; /* the other end takes no more; reading will tell that it has gone */
};

struct channel_inbox {
	uint8_t *data;
	size_t start, end, size;
	/* Those of the frame under way, and those that come with one recvmsg(). */
	int fds[2 * CHANNEL_DESCRIPTORS_MAX];
	size_t nfds;
	bool dispatching, orphaned;
};

static void close_all(int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

/* ---- queue: what is to be sent ---- */

static void frame_free(struct channel_frame *frame)
{
	close_all(frame->fds, frame->nfds);
	explicit_bzero(frame->data, frame->len);
	free(frame);
}

static void queue_pop(struct channel_queue *queue)
{
	struct channel_frame *frame = queue->first;

	queue->first = frame->next;
	if (!queue->first)
		queue->last = &queue->first;
	queue->bytes -= frame->len;
	frame_free(frame);
}

static void queue_clear(struct channel_queue *queue)
{
	while (queue->first)
		queue_pop(queue);
}

/* sendmsg() of what is left of the frame; its descriptors go with the first byte. */
static ssize_t frame_send(int fd, struct channel_frame *frame)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * CHANNEL_DESCRIPTORS_MAX)];
	} control;
	struct iovec part = { frame->data + frame->sent, frame->len - frame->sent };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (frame->nfds > 0) {
		memset(&control, 0, sizeof(control));
		message.msg_control = control.space;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * frame->nfds);

		struct cmsghdr *header = CMSG_FIRSTHDR(&message);

		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int) * frame->nfds);
		memcpy(CMSG_DATA(header), frame->fds, sizeof(int) * frame->nfds);
	}
	return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void queue_flush(struct channel_queue *queue, int fd)
{
	while (queue->first) {
		struct channel_frame *frame = queue->first;
		ssize_t sent = frame_send(fd, frame);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (sent < 0) {
			/* Reading still gets what the other end said before, then the end. */
			queue->broken = true;
			queue_clear(queue);
			shutdown(fd, SHUT_RDWR);
			return;
		}
		close_all(frame->fds, frame->nfds);
		frame->nfds = 0;
		explicit_bzero(frame->data + frame->sent, (size_t)sent);
		frame->sent += (size_t)sent;
		if (frame->sent == frame->len)
			queue_pop(queue);
	}
}

static bool frame_take_descriptors(struct channel_frame *frame, const int *fds, size_t nfds)
{
	while (frame->nfds < nfds) {
		int copy = fcntl(fds[frame->nfds], F_DUPFD_CLOEXEC, 0);

		if (copy < 0)
			return false;
		frame->fds[frame->nfds++] = copy;
	}
	return true;
}

/* ---- inbox: what has come ---- */

static void inbox_free(struct channel_inbox *inbox)
{
	close_all(inbox->fds, inbox->nfds);
	if (inbox->data) {
		explicit_bzero(inbox->data, inbox->size);
		free(inbox->data);
	}
	free(inbox);
}

/* Moves what is there to the front of a storage of at least that size. */
static bool inbox_reserve(struct channel_inbox *inbox, size_t size)
{
	size_t len = inbox->end - inbox->start;

	if (size <= inbox->size) {
		if (inbox->start > 0) {
			memmove(inbox->data, inbox->data + inbox->start, len);
			explicit_bzero(inbox->data + len, inbox->end - len);
		}
	} else {
		uint8_t *data = malloc(size);

		if (!data)
			return false;
		if (inbox->data) {
			memcpy(data, inbox->data + inbox->start, len);
			explicit_bzero(inbox->data, inbox->size);
			free(inbox->data);
		}
		inbox->data = data;
		inbox->size = size;
	}
	inbox->start = 0;
	inbox->end = len;
	return true;
}

/* Room to read into: at least what the frame under way still lacks. */
static bool inbox_make_room(struct channel_inbox *inbox, size_t message_max)
{
	struct message_header header;
	size_t len = inbox->end - inbox->start, size = INBOX_FIRST_SIZE;

	if (len >= MESSAGE_HEADER &&
	    message_peek(inbox->data + inbox->start, len, message_max, &header) == 0 &&
	    header.length > size)
		size = header.length;
	return inbox_reserve(inbox, size);
}

static bool inbox_take_control(struct channel_inbox *inbox, struct msghdr *message)
{
	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
	     header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;

		size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		int fds[CHANNEL_DESCRIPTORS_MAX];

		assert(count <= CHANNEL_DESCRIPTORS_MAX); /* the control space holds no more */
		memcpy(fds, CMSG_DATA(header), count * sizeof(int));
		if (count > sizeof(inbox->fds) / sizeof(int) - inbox->nfds) {
			close_all(fds, count);
			return false;
		}
		memcpy(inbox->fds + inbox->nfds, fds, count * sizeof(int));
		inbox->nfds += count;
	}
	return !(message->msg_flags & MSG_CTRUNC);
}

/* 1: bytes have come; 0: nothing now; -1: the end, and why. */
static int inbox_receive(struct channel_inbox *inbox, int fd, const char **why)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * CHANNEL_DESCRIPTORS_MAX)];
	} control;
	struct iovec part = { inbox->data + inbox->end, inbox->size - inbox->end };
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space),
	};
	ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return 0;
	if (got <= 0) {
		*why = got == 0 ? "closed" : "reset";
		return -1;
	}
	inbox->end += (size_t)got;
	if (!inbox_take_control(inbox, &message)) {
		*why = "too many descriptors";
		return -1;
	}
	return 1;
}

/* Wipes the frame at the start and what it did not give away, and steps behind it. */
static void inbox_step(struct channel_inbox *inbox, size_t len, size_t nfds)
{
	close_all(inbox->fds, nfds);
	inbox->nfds -= nfds;
	memmove(inbox->fds, inbox->fds + nfds, inbox->nfds * sizeof(int));
	explicit_bzero(inbox->data + inbox->start, len);
	inbox->start += len;
	if (inbox->start < inbox->end)
		return;
	inbox->start = inbox->end = 0;
	if (inbox->size > INBOX_KEEP_SIZE) {
		free(inbox->data);
		inbox->data = NULL;
		inbox->size = 0;
	}
}

/* Are the descriptors left over those that the frame under way announces? `whole`: what message_peek() said of it. */
static bool inbox_descriptors_right(const struct channel_inbox *inbox, int whole,
				    const struct message_header *header)
{
	size_t len = inbox->end - inbox->start;

	if (whole == 1)
		return header->descriptors <= inbox->nfds &&
		       header->descriptors <= CHANNEL_DESCRIPTORS_MAX;
	if (len >= MESSAGE_HEADER)
		return header->descriptors == inbox->nfds;
	return len > 0 ? inbox->nfds <= CHANNEL_DESCRIPTORS_MAX : inbox->nfds == 0;
}

/* ---- channel ---- */

static void channel_watch(struct channel *channel)
{
	int events = EV_READ | (channel->queue->first ? EV_WRITE : 0);

	if (ev_is_active(&channel->io) && (channel->io.events & (EV_READ | EV_WRITE)) == events)
		return;
	ev_io_stop(channel->loop, &channel->io);
	ev_io_set(&channel->io, channel->fd, events);
	ev_io_start(channel->loop, &channel->io);
}

static void channel_close(struct channel *channel)
{
	if (channel->fd < 0)
		return;
	ev_io_stop(channel->loop, &channel->io);
	close(channel->fd);
	channel->fd = -1;
}

/* The last that is done here: the owner may free the channel. */
static void channel_end(struct channel *channel, const char *why)
{
	channel_close(channel);
	queue_clear(channel->queue);
	channel->handlers->closed(channel, why);
}

/* Hands out all whole frames. False when the channel is not to be touched any more. */
static bool channel_dispatch(struct channel *channel)
{
	struct channel_inbox *inbox = channel->inbox;
	struct message_header header = { 0 };
	int whole;

	inbox->dispatching = true;
	for (;;) {
		uint8_t *frame = inbox->data ? inbox->data + inbox->start : NULL;

		whole = frame ? message_peek(frame, inbox->end - inbox->start, channel->message_max,
					     &header)
			      : 0;
		if (whole != 1 || !inbox_descriptors_right(inbox, whole, &header))
			break;

		struct message_reader reader;

		message_read(&reader, frame, &header);
		channel->handlers->message(channel, header.type, &reader, inbox->fds,
					   header.descriptors);
		if (inbox->orphaned) {
			inbox_free(inbox);
			return false;
		}
		inbox_step(inbox, header.length, header.descriptors);
	}
	inbox->dispatching = false;
	if (whole < 0 || !inbox_descriptors_right(inbox, whole, &header)) {
		channel_end(channel, whole < 0 ? "malformed frame" : "wrong number of descriptors");
		return false;
	}
	return true;
}

static void channel_ready(struct ev_loop *loop, ev_io *io, int events)
{
	struct channel *channel = io->data;
	const char *why = "";

	if (events & EV_WRITE)
		queue_flush(channel->queue, channel->fd);
	if (events & EV_READ) {
		if (!inbox_make_room(channel->inbox, channel->message_max)) {
			channel_end(channel, "out of memory");
			return;
		}

		int got = inbox_receive(channel->inbox, channel->fd, &why);

		if (got < 0) {
			channel_end(channel, why);
			return;
		}
		if (got > 0 && !channel_dispatch(channel))
			return;
	}
	channel_watch(channel);
}

int channel_init(struct channel *channel, struct ev_loop *loop, int fd, size_t message_max,
		 size_t queue_max, const struct channel_handlers *handlers, void *owner)
{
	int flags = fcntl(fd, F_GETFL);

	*channel = (struct channel) {
		.loop = loop,
		.fd = fd,
		.message_max = message_max,
		.queue_max = queue_max,
		.handlers = handlers,
		.owner = owner,
		.queue = calloc(1, sizeof(struct channel_queue)),
		.inbox = calloc(1, sizeof(struct channel_inbox)),
	};
	ev_io_init(&channel->io, channel_ready, fd, EV_READ);
	channel->io.data = channel;
	if (!channel->queue || !channel->inbox || flags < 0 ||
	    fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		channel_cleanup(channel);
		return -1;
	}
	channel->queue->last = &channel->queue->first;
	channel_watch(channel);
	return 0;
}

void channel_cleanup(struct channel *channel)
{
	if (channel->loop)
		channel_close(channel);
	channel->fd = -1;
	if (channel->queue) {
		queue_clear(channel->queue);
		free(channel->queue);
		channel->queue = NULL;
	}
	if (channel->inbox) {
		if (channel->inbox->dispatching)
			channel->inbox->orphaned = true;
		else
			inbox_free(channel->inbox);
		channel->inbox = NULL;
	}
}

bool channel_is_open(const struct channel *channel)
{
	return channel->queue && channel->fd >= 0;
}

int channel_send(struct channel *channel, const struct message_writer *message, const int *fds,
		 size_t nfds)
{
	struct message_header header;
	struct channel_queue *queue = channel->queue;

	if (!channel_is_open(channel) || queue->broken || message->failed)
		return -1;

	int whole = message_peek(message->data, message->len, SIZE_MAX, &header);

	assert(whole == 1); /* message_end() was called */
	if (message->len > channel->message_max || nfds > CHANNEL_DESCRIPTORS_MAX ||
	    header.descriptors != nfds || message->len > channel->queue_max - queue->bytes)
		return -1;

	struct channel_frame *frame = malloc(sizeof(*frame) + message->len);

	if (!frame)
		return -1;
	frame->next = NULL;
	frame->len = message->len;
	frame->sent = frame->nfds = 0;
	memcpy(frame->data, message->data, message->len);
	if (!frame_take_descriptors(frame, fds, nfds)) {
		frame_free(frame);
		return -1;
	}
	*queue->last = frame;
	queue->last = &frame->next;
	queue->bytes += frame->len;
	queue_flush(queue, channel->fd);
	channel_watch(channel);
	return 0;
}

int channel_pair(int fds[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds);
}
