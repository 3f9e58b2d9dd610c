/* keeper_peers - see keeper_peers.h. A thread tells the loop by ev_async that something of it is to be seen to. */
#include "frontend/keeper_peers.h"
#include "frontend/log.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#define REPORT_INTERVAL 1.

_Static_assert(TICKET_BODY_MAX <= KEEPER_OUTPUT_MAX, "ticket keys fit an answer");

struct peer {
	LIST_ENTRY(peer) link;
	struct keeper_peers *all;
	uint32_t index, incarnation;
	int fd;
	pthread_t thread;
	atomic_uint refused;
	atomic_bool ended; /* by the thread: to be joined */
};

struct keeper_peers {
	struct ev_loop *loop;
	struct keeper_keys *keys;
	struct keeper_tickets *tickets;
	ev_async noticed;
	ev_timer report; /* so that a worker that goes mad does not fill the log */
	void (*emptied)(void *owner);
	void *owner;
	LIST_HEAD(, peer) list;
};

/* ---- in a peer's thread ---- */

static struct keeper_answer answer_to(struct peer *peer, const struct keeper_request *request,
				      uint8_t output[KEEPER_OUTPUT_MAX])
{
	struct keeper_answer answer = { .sequence = request->sequence, .status = KEEPER_NONE };
	size_t len = 0;

	if (request->type == KEEPER_SIGN)
		answer.status = keeper_keys_sign(peer->all->keys, request, output, &len);
	else if ((len = keeper_tickets_answer(peer->all->tickets, output)) > 0)
		answer.status = KEEPER_DONE;
	if (answer.status == KEEPER_REFUSED) {
		atomic_fetch_add(&peer->refused, 1);
		ev_async_send(peer->all->loop, &peer->all->noticed);
	}
	if (answer.status == KEEPER_DONE)
		answer.output = (struct span) { (const char *)output, len };
	return answer;
}

/* False when the worker has gone or is cut off. */
static bool serve_one(struct peer *peer)
{
	uint8_t packet[KEEPER_PACKET_MAX], output[KEEPER_OUTPUT_MAX];
	struct keeper_request request;
	struct keeper_answer answer;
	ssize_t got;
	size_t len;

	do
		got = recv(peer->fd, packet, sizeof(packet), MSG_TRUNC);
	while (got < 0 && errno == EINTR);
	if (got <= 0 || (size_t)got > sizeof(packet))
		return false;
	if (!keeper_request_decode(packet, (size_t)got, &request)) {
		atomic_fetch_add(&peer->refused, 1);
		return false;
	}
	answer = answer_to(peer, &request, output);
	len = keeper_answer_encode(packet, &answer);
	/* a worker that does not read its answers does without */
	got = send(peer->fd, packet, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	explicit_bzero(packet, sizeof(packet));
	explicit_bzero(output, sizeof(output));
	return got == (ssize_t)len || errno == EAGAIN;
}

static void *serve(void *arg)
{
	struct peer *peer = arg;

	while (serve_one(peer))
		;
	shutdown(peer->fd, SHUT_RDWR);
	atomic_store(&peer->ended, true);
	ev_async_send(peer->all->loop, &peer->all->noticed);
	return NULL;
}

/* ---- in the loop ---- */

static void report_refused(struct peer *peer)
{
	unsigned refused = atomic_exchange(&peer->refused, 0);
	struct log_line line;

	if (refused == 0)
		return;
	log_begin(&line, LOG_LEVEL_ERROR, "signature_refused", 0);
	log_number(&line, "worker", peer->index);
	log_number(&line, "count", refused);
	log_end(&line);
}

static void peer_end(struct peer *peer)
{
	shutdown(peer->fd, SHUT_RDWR);
	pthread_join(peer->thread, NULL);
	report_refused(peer);
	LIST_REMOVE(peer, link);
	close(peer->fd);
	free(peer);
}

static void report(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct keeper_peers *peers = timer->data;
	struct peer *peer;

	LIST_FOREACH (peer, &peers->list, link)
		report_refused(peer);
}

static void notice(struct ev_loop *loop, ev_async *async, int events)
{
	struct keeper_peers *peers = async->data;
	struct peer *peer = LIST_FIRST(&peers->list);
	bool had = peer != NULL, refused = false;

	while (peer != NULL) {
		struct peer *next = LIST_NEXT(peer, link);

		refused = refused || atomic_load(&peer->refused) > 0;
		if (atomic_load(&peer->ended))
			peer_end(peer);
		peer = next;
	}
	if (refused && !ev_is_active(&peers->report)) {
		ev_timer_set(&peers->report, REPORT_INTERVAL, 0.);
		ev_timer_start(loop, &peers->report);
	}
	if (had && LIST_EMPTY(&peers->list))
		peers->emptied(peers->owner);
}

struct keeper_peers *keeper_peers_new(struct ev_loop *loop, struct keeper_keys *keys,
				      struct keeper_tickets *tickets, void (*emptied)(void *owner),
				      void *owner)
{
	struct keeper_peers *peers = calloc(1, sizeof(*peers));

	if (peers == NULL)
		return NULL;
	peers->loop = loop;
	peers->keys = keys;
	peers->tickets = tickets;
	peers->emptied = emptied;
	peers->owner = owner;
	LIST_INIT(&peers->list);
	ev_init(&peers->report, report);
	ev_async_init(&peers->noticed, notice);
	peers->report.data = peers->noticed.data = peers;
	ev_async_start(loop, &peers->noticed);
	return peers;
}

void keeper_peers_free(struct keeper_peers *peers)
{
	struct peer *peer, *next;

	if (peers == NULL)
		return;
	for (peer = LIST_FIRST(&peers->list); peer != NULL; peer = next) {
		next = LIST_NEXT(peer, link);
		peer_end(peer);
	}
	ev_async_stop(peers->loop, &peers->noticed);
	ev_timer_stop(peers->loop, &peers->report);
	free(peers);
}

static struct peer *peer_find(struct keeper_peers *peers, uint32_t index)
{
	struct peer *peer;

	LIST_FOREACH (peer, &peers->list, link)
		if (peer->index == index)
			break;
	return peer;
}

bool keeper_peers_up(struct keeper_peers *peers, uint32_t index, uint32_t incarnation, int fd)
{
	struct peer *peer = peer_find(peers, index);

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
	peer->fd = fd;
	if (pthread_create(&peer->thread, NULL, serve, peer) != 0) {
		close(fd);
		free(peer);
		return false;
	}
	LIST_INSERT_HEAD(&peers->list, peer, link);
	return true;
}

void keeper_peers_down(struct keeper_peers *peers, uint32_t index, uint32_t incarnation)
{
	struct peer *peer = peer_find(peers, index);

	/* its thread ends by itself; notice() does the rest */
	if (peer != NULL && peer->incarnation == incarnation)
		shutdown(peer->fd, SHUT_RDWR);
}

bool keeper_peers_empty(const struct keeper_peers *peers)
{
	return LIST_EMPTY(&peers->list);
}
