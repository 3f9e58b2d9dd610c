/* transport - see transport.h. */
#include "frontend/transport.h"
#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#define FILLS_MAX 8 /* from the socket, in one call */

void transport_init(struct transport *t, struct ev_loop *loop,
		    void (*ready)(struct ev_loop *, ev_io *, int))
{
	*t = (struct transport) { .loop = loop, .fd = -1 };
	ev_init(&t->io, ready);
	buffer_init(&t->in, TRANSPORT_IN_MAX);
	buffer_init(&t->out, TRANSPORT_OUT_MAX);
}

static void set_socket_options(int fd)
{
	int on = 1;

	/* Fails on a Unix socket, which does not need it. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

void transport_open(struct transport *t, int fd)
{
	assert(t->fd == -1);
	t->fd = fd;
	t->end_of_file = t->failed = t->tls_failed = false;
	t->write_failed = t->write_closed = t->shut = false;
	ev_io_set(&t->io, fd, 0);
	set_socket_options(fd);
}

void transport_close(struct transport *t)
{
	if (t->fd == -1)
		return;
	ev_io_stop(t->loop, &t->io);
	ev_clear_pending(t->loop, &t->io);
	close(t->fd);
	t->fd = -1;
	tls_free(t->tls);
	t->tls = NULL;
	buffer_cleanup(&t->in);
	buffer_cleanup(&t->out);
}

bool transport_is_open(const struct transport *t)
{
	return t->fd != -1;
}

int transport_connect(struct transport *t, const struct address *address)
{
	int fd = socket(address->u.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return -1;
	if (connect(fd, &address->u.any, address->len) == -1 && errno != EINPROGRESS) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	transport_open(t, fd);
	return 0;
}

enum transport_result transport_connected(struct transport *t, int *error)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(*error), peer_len = sizeof(peer);

	*error = 0;
	if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, error, &len) == -1)
		*error = errno;
	if (*error != 0)
		return TRANSPORT_FAILED;
	if (getpeername(t->fd, (struct sockaddr *)&peer, &peer_len) == -1)
		return TRANSPORT_AGAIN;
	return TRANSPORT_DONE;
}

/* recv() into the buffer's free room. */
static enum transport_result receive(struct transport *t, struct buffer *into, size_t max)
{
	char *room = buffer_reserve(into, max);
	ssize_t got;

	if (room == NULL)
		return TRANSPORT_FAILED;
	do
		got = recv(t->fd, room, max, 0);
	while (got == -1 && errno == EINTR);
	buffer_filled(into, got > 0 ? (size_t)got : 0);
	if (got > 0)
		return TRANSPORT_DONE;
	if (got == 0) {
		t->end_of_file = true;
		return TRANSPORT_CLOSED;
	}
	if (errno == EAGAIN)
		return TRANSPORT_AGAIN;
	t->failed = true;
	return TRANSPORT_FAILED;
}

enum transport_result transport_fill(struct transport *t)
{
	if (t->failed)
		return TRANSPORT_FAILED;
	if (t->end_of_file)
		return TRANSPORT_CLOSED;
	if (buffer_room(&t->in) < TRANSPORT_RECORD)
		return TRANSPORT_DONE;
	return receive(t, &t->in, TRANSPORT_RECORD);
}

void transport_start_tls(struct transport *t, struct tls *tls)
{
	assert(t->tls == NULL);
	t->tls = tls;
}

enum transport_result transport_handshake(struct transport *t)
{
	for (int fills = 0;; fills++) {
		switch (tls_handshake(t->tls, &t->in, &t->out)) {
		case TLS_DONE:
			return TRANSPORT_DONE;
		case TLS_AGAIN:
			break;
		case TLS_PENDING:
			return TRANSPORT_PENDING;
		default:
			t->tls_failed = true;
			return TRANSPORT_FAILED;
		}
		enum transport_result filled =
			fills < FILLS_MAX ? transport_fill(t) : TRANSPORT_AGAIN;

		if (filled != TRANSPORT_DONE)
			return filled;
	}
}

static enum transport_result read_record(struct transport *t, struct buffer *into)
{
	char *room = buffer_reserve(into, TRANSPORT_RECORD);
	enum tls_result result;
	size_t got = 0;

	if (room == NULL)
		return TRANSPORT_FAILED;
	result = tls_read(t->tls, &t->in, &t->out, room, TRANSPORT_RECORD, &got);
	buffer_filled(into, got);
	t->received += got;
	switch (result) {
	case TLS_DONE:
		return TRANSPORT_DONE;
	case TLS_AGAIN:
		return TRANSPORT_AGAIN;
	case TLS_CLOSED:
		return TRANSPORT_CLOSED;
	default:
		return TRANSPORT_FAILED;
	}
}

/* Reading under TLS may make the library write. Bytes of ours that wait must not stop it, or two directions could wait for
 * each other; only answers that nobody takes do. */
static bool may_answer(const struct transport *t)
{
	return t->write_failed || buffer_len(&t->out) < TRANSPORT_OUT_FULL;
}

static enum transport_result read_tls(struct transport *t, struct buffer *into)
{
	for (int fills = 0;; fills++) {
		enum transport_result result = read_record(t, into);

		if (result == TRANSPORT_FAILED)
			t->tls_failed = true;
		if (result != TRANSPORT_AGAIN)
			return result;
		/* Answers of the library (KeyUpdate) must not pile up for a peer that does not read, nor may records without
		 * data keep us here. The library has drained `in`: the socket will wake us. */
		if (!may_answer(t) || fills == FILLS_MAX)
			return TRANSPORT_AGAIN;
		result = transport_fill(t);
		if (result == TRANSPORT_CLOSED)
			return TRANSPORT_TRUNCATED;
		if (result != TRANSPORT_DONE)
			return result;
	}
}

enum transport_result transport_read(struct transport *t, struct buffer *into)
{
	enum transport_result result;
	size_t before = buffer_len(into);

	if (t->fd == -1 || t->failed || t->tls_failed)
		return TRANSPORT_FAILED;
	if (buffer_room(into) < TRANSPORT_RECORD)
		return TRANSPORT_AGAIN;
	if (t->tls != NULL)
		return read_tls(t, into);
	if (t->end_of_file)
		return TRANSPORT_CLOSED;
	result = receive(t, into, TRANSPORT_RECORD);
	t->received += buffer_len(into) - before;
	return result;
}

bool transport_writable(const struct transport *t)
{
	return t->fd != -1 && !t->failed && !t->tls_failed && !t->write_failed &&
	       !t->write_closed && buffer_len(&t->out) < TRANSPORT_OUT_HIGH;
}

size_t transport_write(struct transport *t, const void *data, size_t len)
{
	bool taken;

	if (len == 0 || !transport_writable(t))
		return 0;
	if (len > TRANSPORT_RECORD)
		len = TRANSPORT_RECORD;
	taken = t->tls ? tls_write(t->tls, &t->in, &t->out, data, len) == TLS_DONE
		       : buffer_append(&t->out, data, len);
	if (!taken) {
		t->tls_failed = true;
		return 0;
	}
	t->sent += len;
	return len;
}

enum transport_result transport_flush(struct transport *t)
{
	while (t->fd != -1 && !t->write_failed && buffer_len(&t->out) > 0) {
		ssize_t sent = send(t->fd, buffer_data(&t->out), buffer_len(&t->out), MSG_NOSIGNAL);

		if (sent >= 0)
			buffer_consume(&t->out, (size_t)sent);
		else if (errno == EAGAIN || errno == ENOTCONN)
			return TRANSPORT_AGAIN;
		else if (errno != EINTR)
			t->write_failed = true;
	}
	if (t->fd == -1 || t->write_failed)
		return TRANSPORT_FAILED;
	if (t->write_closed && !t->shut) {
		shutdown(t->fd, SHUT_WR);
		t->shut = true;
	}
	return TRANSPORT_DONE;
}

void transport_end_writing(struct transport *t)
{
	if (t->fd == -1 || t->write_closed)
		return;
	if (t->tls != NULL && !t->tls_failed)
		tls_shutdown(t->tls, &t->out);
	t->write_closed = true;
}

enum transport_result transport_discard(struct transport *t, size_t *count)
{
	char waste[4096];
	ssize_t got = recv(t->fd, waste, sizeof(waste), 0);

	explicit_bzero(waste, sizeof(waste));
	*count = got > 0 ? (size_t)got : 0;
	if (got > 0)
		return TRANSPORT_DONE;
	if (got == -1 && (errno == EAGAIN || errno == EINTR))
		return TRANSPORT_AGAIN;
	t->end_of_file = true;
	return got == 0 ? TRANSPORT_CLOSED : TRANSPORT_FAILED;
}

void transport_wait(struct transport *t, bool read, bool connecting)
{
	int events = 0;

	if (t->fd == -1)
		return;
	if (read && t->tls != NULL && !may_answer(t))
		read = false;
	if (read && !t->end_of_file && !t->failed)
		events |= EV_READ;
	if (connecting || (buffer_len(&t->out) > 0 && !t->write_failed))
		events |= EV_WRITE;
	if (ev_is_active(&t->io) && (t->io.events & (EV_READ | EV_WRITE)) == events)
		return;
	ev_io_stop(t->loop, &t->io);
	ev_io_set(&t->io, t->fd, events);
	if (events != 0)
		ev_io_start(t->loop, &t->io);
}
