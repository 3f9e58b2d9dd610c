/* listener - see listener.h. */
#include "frontend/listener.h"
#include "frontend/limit.h"
#include "frontend/session.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define ACCEPT_BURST 64 /* then the sessions that are there get their turn */
#define LAST_BURSTS  64 /* before a socket goes: more than may wait there */

static bool admitted(const struct listener_set *set, const struct address *peer)
{
	const struct config_limits *limits = &set->generation->config->limits;

	return limit_enter(set->worker->shared, set->worker->start->index, &peer->u.any,
			   (unsigned)limits->max_sessions,
			   (unsigned)limits->max_sessions_per_address,
			   config_networks_contain(&limits->exempt, &peer->u.any)) ==
	       LIMIT_ADMITTED;
}

static void take(struct listener *l, int fd, const struct address *peer)
{
	struct listener_set *set = l->set;
	struct worker *w = set->worker;
	bool counted = admitted(set, peer);
	struct session *s = session_new(w, set->generation, l->index, fd, peer);

	if (s == NULL) {
		if (counted)
			limit_leave(w->shared, w->start->index, &peer->u.any);
		return;
	}
	s->counted = counted;
	if (counted)
		session_start(s);
	else
		session_refuse(s, "limit");
}

/* Whether more may wait, and could be taken. */
static bool accept_some(struct listener *l)
{
	struct worker *w = l->set->worker;

	for (int i = 0; i < ACCEPT_BURST; i++) {
		struct address peer = { .len = sizeof(peer.u) };
		int fd;

		if (w->sessions.total >= w->session_cap) {
			worker_pause_accepting(w);
			return false;
		}
		fd = accept4(l->fd, &peer.u.any, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			take(l, fd, &peer);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			worker_pause_accepting(w);
		if (errno != EINTR && errno != ECONNABORTED)
			return false;
	}
	return true;
}

static void accept_ready(struct ev_loop *loop, ev_io *io, int events)
{
	accept_some(io->data);
}

struct listener_set *listener_set_new(struct worker *w, struct generation *generation)
{
	size_t count = generation->config->listeners.count;
	struct listener_set *set = calloc(1, sizeof(*set) + count * sizeof(set->items[0]));

	if (set == NULL) {
		generation_drop(generation);
		return NULL;
	}
	*set = (struct listener_set) { .worker = w, .generation = generation, .count = count };
	for (size_t i = 0; i < count; i++) {
		struct listener *l = &set->items[i];

		*l = (struct listener) { .set = set, .fd = -1, .index = i };
		ev_init(&l->io, accept_ready);
		l->io.data = l;
	}
	return set;
}

void listener_set_open(struct listener_set *set, size_t index, int fd)
{
	struct listener *l = index < set->count ? &set->items[index] : NULL;

	if (l == NULL || l->fd != -1) {
		close(fd);
		return;
	}
	l->fd = fd;
	ev_io_set(&l->io, fd, EV_READ);
}

void listener_set_start(struct listener_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		if (set->items[i].fd != -1)
			ev_io_start(set->worker->loop, &set->items[i].io);
	}
}

void listener_set_stop(struct listener_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		ev_io_stop(set->worker->loop, &set->items[i].io);
}

void listener_set_close(struct listener_set *set)
{
	listener_set_stop(set);
	for (size_t i = 0; i < set->count; i++) {
		if (set->items[i].fd != -1)
			close(set->items[i].fd);
		set->items[i].fd = -1;
	}
}

void listener_set_free(struct listener_set *set)
{
	if (set == NULL)
		return;
	listener_set_close(set);
	generation_drop(set->generation);
	free(set);
}

void listener_set_accept(struct listener_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		struct listener *l = &set->items[i];

		for (int left = LAST_BURSTS; l->fd != -1 && left > 0 && accept_some(l);)
			left--;
	}
}
