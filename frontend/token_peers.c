/* token_peers - see token_peers.h. */
#include "frontend/token_peers.h"
#include "frontend/log.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#define REPORT_INTERVAL 1. /* so that a worker that goes mad does not fill the log */
#define REQUESTS_MAX    32 /* of one turn of the loop */

struct token_peer {
	LIST_ENTRY(token_peer) link;
	struct token_peers *all;
	uint32_t index, incarnation;
	ev_io io;
	atomic_uint users; /* the list, and requests without an answer */
	unsigned refused;
};

struct token_peers {
	struct ev_loop *loop;
	const struct token_peers_handlers *handlers;
	void *owner;
	ev_timer report;
	LIST_HEAD(, token_peer) list;
};

static void release(struct token_peer *peer)
{
	if (atomic_fetch_sub(&peer->users, 1) > 1)
		return;
	close(peer->io.fd);
	free(peer);
}

/* A worker that does not read its answers does without. */
static void send_answer(const struct token_peer *peer, const struct keeper_answer *answer)
{
	uint8_t packet[KEEPER_PACKET_MAX];
	size_t len = keeper_answer_encode(packet, answer);

	send(peer->io.fd, packet, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	explicit_bzero(packet, sizeof(packet));
}

void token_peer_answer(struct token_peer *peer, const struct keeper_answer *answer)
{
	send_answer(peer, answer);
	release(peer);
}

/* ---- in the loop ---- */

static void report_refused(struct token_peer *peer)
{
	struct log_line line;

	if (peer->refused == 0)
		return;
	log_begin(&line, LOG_LEVEL_ERROR, "signature_refused", 0);
	log_number(&line, "worker", peer->index);
	log_number(&line, "count", peer->refused);
	log_end(&line);
	peer->refused = 0;
}

static void report(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct token_peers *peers = timer->data;
	struct token_peer *peer;

	LIST_FOREACH (peer, &peers->list, link)
		report_refused(peer);
}

static void note_refused(struct token_peer *peer)
{
	struct token_peers *peers = peer->all;

	peer->refused++;
	if (ev_is_active(&peers->report))
		return;
	ev_timer_set(&peers->report, REPORT_INTERVAL, 0.);
	ev_timer_start(peers->loop, &peers->report);
}

static void peer_end(struct token_peer *peer)
{
	report_refused(peer);
	LIST_REMOVE(peer, link);
	ev_io_stop(peer->all->loop, &peer->io);
	shutdown(peer->io.fd, SHUT_RDWR);
	release(peer);
}

static void take(struct token_peer *peer, const struct keeper_request *request)
{
	struct token_peers *peers = peer->all;
	struct keeper_answer answer = { .sequence = request->sequence };

	atomic_fetch_add(&peer->users, 1);
	answer.status = peers->handlers->asked(peers->owner, peer, request);
	if (answer.status == KEEPER_DONE)
		return;
	if (answer.status == KEEPER_REFUSED)
		note_refused(peer);
	send_answer(peer, &answer);
	atomic_fetch_sub(&peer->users, 1); /* never the last: it is in the list */
}

enum served { SERVED, NOTHING, OVER };

static enum served serve_one(struct token_peer *peer)
{
	uint8_t packet[KEEPER_PACKET_MAX];
	struct keeper_request request;
	ssize_t got = recv(peer->io.fd, packet, sizeof(packet), MSG_DONTWAIT | MSG_TRUNC);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return NOTHING;
	if (got <= 0)
		return OVER;
	if ((size_t)got > sizeof(packet) || !keeper_request_decode(packet, (size_t)got, &request)) {
		note_refused(peer);
		return OVER;
	}
	take(peer, &request);
	explicit_bzero(packet, sizeof(packet));
	return SERVED;
}

static void on_readable(struct ev_loop *loop, ev_io *io, int events)
{
	struct token_peer *peer = io->data;
	struct token_peers *peers = peer->all;
	enum served served = SERVED;

	for (int left = REQUESTS_MAX; left > 0 && served == SERVED; left--)
		served = serve_one(peer);
	if (served != OVER)
		return;
	peer_end(peer);
	if (LIST_EMPTY(&peers->list))
		peers->handlers->emptied(peers->owner);
}

struct token_peers *token_peers_new(struct ev_loop *loop,
				    const struct token_peers_handlers *handlers, void *owner)
{
	struct token_peers *peers = calloc(1, sizeof(*peers));

	if (peers == NULL)
		return NULL;
	peers->loop = loop;
	peers->handlers = handlers;
	peers->owner = owner;
	LIST_INIT(&peers->list);
	ev_init(&peers->report, report);
	peers->report.data = peers;
	return peers;
}

void token_peers_free(struct token_peers *peers)
{
	struct token_peer *peer, *next;

	if (peers == NULL)
		return;
	for (peer = LIST_FIRST(&peers->list); peer != NULL; peer = next) {
		next = LIST_NEXT(peer, link);
		peer_end(peer);
	}
	ev_timer_stop(peers->loop, &peers->report);
	free(peers);
}

static struct token_peer *find(struct token_peers *peers, uint32_t index)
{
	struct token_peer *peer;

	LIST_FOREACH (peer, &peers->list, link)
		if (peer->index == index)
			break;
	return peer;
}

bool token_peers_up(struct token_peers *peers, uint32_t index, uint32_t incarnation, int fd)
{
	struct token_peer *peer = find(peers, index);

	if (peer != NULL)
		peer_end(peer);
	peer = calloc(1, sizeof(*peer));
	if (peer == NULL) {
		close(fd);
		return false;
	}
	peer->all = peers;
	peer->index = index;
	peer->incarnation = incarnation;
	atomic_init(&peer->users, 1);
	ev_io_init(&peer->io, on_readable, fd, EV_READ);
	peer->io.data = peer;
	ev_io_start(peers->loop, &peer->io);
	LIST_INSERT_HEAD(&peers->list, peer, link);
	return true;
}

void token_peers_down(struct token_peers *peers, uint32_t index, uint32_t incarnation)
{
	struct token_peer *peer = find(peers, index);

	/* the loop then sees its end */
	if (peer != NULL && peer->incarnation == incarnation)
		shutdown(peer->io.fd, SHUT_RDWR);
}

bool token_peers_empty(const struct token_peers *peers)
{
	return LIST_EMPTY(&peers->list);
}
