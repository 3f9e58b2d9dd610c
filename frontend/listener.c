/* listener - see listener.h. */
#include "frontend/listener.h"
#include "frontend/session.h"
#include <errno.h>
#include <unistd.h>

#define ACCEPT_BURST 64 /* then the sessions that are there get their turn */

static bool admitted(struct worker *w, const struct address *peer)
{
	const struct config_limits *limits = &w->generation->config->limits;

	return limit_enter(w->limits, w->start->index, &peer->u.any, (unsigned)limits->max_sessions,
			   (unsigned)limits->max_sessions_per_address,
			   config_networks_contain(&limits->exempt, &peer->u.any)) ==
	       LIMIT_ADMITTED;
}

static void take(struct listener *l, int fd, const struct address *peer)
{
	struct worker *w = l->worker;
	bool counted = admitted(w, peer);
	struct session *s = session_new(w, &w->generation->listeners[l->index], fd, peer);

	if (s == NULL) {
		if (counted)
			limit_leave(w->limits, w->start->index, &peer->u.any);
		return;
	}
	s->counted = counted;
	if (counted)
		session_start(s);
	else
		session_refuse(s, "limit");
}

static void accept_ready(struct ev_loop *loop, ev_io *io, int events)
{
	struct listener *l = io->data;

	for (int i = 0; i < ACCEPT_BURST; i++) {
		struct address peer = { .len = sizeof(peer.u) };
		int fd;

		if (l->worker->sessions.total >= l->worker->session_cap) {
			worker_pause_accepting(l->worker);
			return;
		}
		fd = accept4(l->fd, &peer.u.any, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			take(l, fd, &peer);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			worker_pause_accepting(l->worker);
		if (errno != EINTR && errno != ECONNABORTED)
			return;
	}
}

void listener_init(struct listener *l, struct worker *w, size_t index)
{
	*l = (struct listener) { .worker = w, .fd = -1, .index = index };
	ev_init(&l->io, accept_ready);
	l->io.data = l;
}

void listener_open(struct listener *l, int fd)
{
	listener_close(l);
	l->fd = fd;
	ev_io_set(&l->io, fd, EV_READ);
}

void listener_start(struct listener *l)
{
	if (l->fd != -1)
		ev_io_start(l->worker->loop, &l->io);
}

void listener_stop(struct listener *l)
{
	ev_io_stop(l->worker->loop, &l->io);
}

void listener_close(struct listener *l)
{
	if (l->fd == -1)
		return;
	listener_stop(l);
	close(l->fd);
	l->fd = -1;
}
