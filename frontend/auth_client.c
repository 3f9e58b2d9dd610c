/* auth_client - a worker's asynchronous side of the auth processes.
 * An exchange is WAITING (its request is here), ASKED (with its process), OPEN (challenged; the client is to respond) or
 * DOOMED (its answer is AUTH_TEMPORARY, in the next turn of the loop). Its timer is the deadline of the step; when OPEN the
 * end of all patience, without an answer; when DOOMED the next turn. A process has a timer of its own, from the moment a
 * step is sent: an exchange may have spent its time waiting, which is not the process's fault.
 * Invariants: a request exists only while WAITING; exchange->peer is NULL or a peer in the list; a peer is busy until it
 * answers what it was asked, even if nobody wants that answer any more.
 */
#include "frontend/auth_client.h"
#include "frontend/channel.h"
#include "frontend/control.h"
#include "frontend/log.h"
#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#define BUSY_INTERVAL 1. /* seconds between two complaints */
#define OPEN_TIMEOUT                                                                               \
	120. /* seconds for the client to respond; the auth process forgets it then, too */

struct peer {
	struct peer *next;
	struct auth_client *client;
	unsigned index, incarnation;
	struct channel channel;
	ev_timer timer;
	bool busy, broken;
	bool retired, closing;      /* begins nothing new; nothing is left to do */
	struct auth_exchange asked; /* while busy */
};

enum exchange_state { WAITING, ASKED, OPEN, DOOMED };

struct exchange {
	struct exchange *next;
	struct auth_client *client;
	struct auth_exchange key;
	enum exchange_state state;
	struct peer *peer; /* that began it; NULL: none yet, or lost */
	ev_timer timer;
	struct message_writer request;
};

struct auth_client {
	struct ev_loop *loop;
	double step_timeout;
	const struct auth_client_handlers *handlers;
	void *owner;
	struct peer *peers;
	struct exchange *exchanges, **last; /* in the order of their latest step */
	size_t waiting;
	ev_timer busy; /* after a complaint */
};

static void dispatch(struct auth_client *);
static void peer_cancel(struct peer *, struct auth_exchange);

/* ---- exchanges ---- */

static bool same_exchange(struct auth_exchange a, struct auth_exchange b)
{
	return a.session == b.session && a.serial == b.serial;
}

static struct exchange *exchange_find(struct auth_client *client, struct auth_exchange key)
{
	struct exchange *exchange = client->exchanges;

	while (exchange && !same_exchange(exchange->key, key))
		exchange = exchange->next;
	return exchange;
}

static void exchange_append(struct exchange *exchange)
{
	exchange->next = NULL;
	*exchange->client->last = exchange;
	exchange->client->last = &exchange->next;
}

static void exchange_unlink(struct exchange *exchange)
{
	struct auth_client *client = exchange->client;
	struct exchange **link = &client->exchanges;

	while (*link != exchange)
		link = &(*link)->next;
	*link = exchange->next;
	if (!*link)
		client->last = link;
}

static void exchange_enter(struct exchange *exchange, enum exchange_state state)
{
	if (exchange->state == WAITING && state != WAITING) {
		message_writer_cleanup(&exchange->request);
		exchange->client->waiting--;
	} else if (exchange->state != WAITING && state == WAITING) {
		exchange->client->waiting++;
	}
	exchange->state = state;
}

static void exchange_release(struct exchange *exchange)
{
	exchange_enter(exchange, DOOMED);
	ev_timer_stop(exchange->client->loop, &exchange->timer);
	free(exchange);
}

static void timer_restart(struct ev_loop *loop, ev_timer *timer, double after)
{
	ev_timer_stop(loop, timer);
	ev_timer_set(timer, after, 0.);
	ev_timer_start(loop, timer);
}

/* A retired one whose last exchange has ended. In the next turn of the loop: this may run inside its own message. */
static void peer_close_retired(struct peer *peer)
{
	if (!peer->retired || peer->busy || peer->broken)
		return;
	for (struct exchange *one = peer->client->exchanges; one; one = one->next)
		if (one->peer == peer)
			return;
	peer->closing = true;
	timer_restart(peer->client->loop, &peer->timer, 0.);
}

static void exchange_free(struct exchange *exchange)
{
	struct peer *peer = exchange->peer;

	exchange_unlink(exchange);
	exchange_release(exchange);
	if (peer)
		peer_close_retired(peer);
}

static void exchange_doom(struct exchange *exchange)
{
	exchange_enter(exchange, DOOMED);
	timer_restart(exchange->client->loop, &exchange->timer, 0.);
}

static void exchange_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct exchange *exchange = timer->data;
	struct auth_client *client = exchange->client;
	const struct auth_answer answer = {
		.type = AUTH_TEMPORARY,
		.exchange = exchange->key,
	};

	bool awaited = exchange->state != OPEN;

	if (exchange->peer)
		peer_cancel(exchange->peer, exchange->key);
	exchange_free(exchange);
	if (awaited)
		client->handlers->answer(client->owner, &answer);
}

static struct exchange *exchange_new(struct auth_client *client, struct auth_exchange key)
{
	struct exchange *exchange = calloc(1, sizeof(*exchange));

	if (!exchange)
		return NULL;
	exchange->client = client;
	exchange->key = key;
	exchange->state = OPEN;
	ev_init(&exchange->timer, exchange_timer);
	exchange->timer.data = exchange;
	exchange_append(exchange);
	return exchange;
}

/* ---- peers ---- */

static void peer_free(struct peer *peer)
{
	ev_timer_stop(peer->client->loop, &peer->timer);
	channel_cleanup(&peer->channel);
	free(peer);
}

/* Its exchanges are lost. Those that the client is thinking about learn it with the client's response. */
static void peer_lose(struct peer *peer)
{
	struct auth_client *client = peer->client;
	struct peer **link = &client->peers;

	while (*link != peer)
		link = &(*link)->next;
	*link = peer->next;
	for (struct exchange *exchange = client->exchanges; exchange; exchange = exchange->next) {
		if (exchange->peer != peer)
			continue;
		exchange->peer = NULL;
		if (exchange->state == WAITING || exchange->state == ASKED)
			exchange_doom(exchange);
	}
	peer_free(peer);
}

static void peer_give_up(struct peer *peer)
{
	struct auth_client *client = peer->client;
	unsigned index = peer->index, incarnation = peer->incarnation;

	peer_lose(peer);
	client->handlers->stuck(client->owner, index, incarnation);
}

static void peer_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct peer *peer = timer->data;

	if (peer->closing)
		peer_lose(peer);
	else
		peer_give_up(peer);
}

static void peer_send(struct peer *peer, const struct message_writer *message)
{
	if (peer->broken || channel_send(&peer->channel, message, NULL, 0) == 0)
		return;
	/* Not here and now: this may run inside the peer's own message. */
	peer->broken = true;
	timer_restart(peer->client->loop, &peer->timer, 0.);
}

static void peer_cancel(struct peer *peer, struct auth_exchange key)
{
	const struct auth_request request = { .type = AUTH_CANCEL, .exchange = key };
	struct message_writer message;

	if (auth_request_encode(&message, &request))
		peer_send(peer, &message);
	message_writer_cleanup(&message);
}

static void peer_ask(struct peer *peer, struct exchange *exchange)
{
	peer->busy = true;
	peer->asked = exchange->key;
	timer_restart(peer->client->loop, &peer->timer, peer->client->step_timeout);
	exchange->peer = peer;
	peer_send(peer, &exchange->request);
	exchange_enter(exchange, ASKED);
}

static void peer_answered(struct peer *peer, const struct auth_answer *answer)
{
	struct auth_client *client = peer->client;
	struct exchange *exchange = exchange_find(client, answer->exchange);

	if (!peer->busy || !same_exchange(peer->asked, answer->exchange))
		return;
	peer->busy = false;
	if (!peer->broken)
		ev_timer_stop(client->loop, &peer->timer);
	if (!exchange || exchange->state != ASKED || exchange->peer != peer) {
		if (answer->type == AUTH_CHALLENGE)
			peer_cancel(peer, answer->exchange);
	} else {
		if (answer->type == AUTH_CHALLENGE) {
			timer_restart(client->loop, &exchange->timer, OPEN_TIMEOUT);
			exchange_enter(exchange, OPEN);
		} else {
			exchange_free(exchange);
		}
		client->handlers->answer(client->owner, answer);
	}
	dispatch(client);
	peer_close_retired(peer);
}

static void peer_message(struct channel *channel, unsigned type, struct message_reader *message,
			 int *fds, size_t nfds)
{
	struct peer *peer = channel->owner;
	struct auth_answer answer;

	if (auth_answer_decode(message, type, &answer)) {
		peer_answered(peer, &answer);
		return;
	}
	log_event(LOG_LEVEL_ERROR, "child_failed", "malformed answer from auth process %u",
		  peer->index);
	peer_give_up(peer);
}

static void peer_closed(struct channel *channel, const char *why)
{
	peer_lose(channel->owner);
}

static const struct channel_handlers peer_handlers = { peer_message, peer_closed };

void auth_client_peer_up(struct auth_client *client, unsigned index, unsigned incarnation, int fd)
{
	struct peer *peer = client->peers;

	while (peer && peer->index != index)
		peer = peer->next;
	if (peer)
		peer_lose(peer);
	peer = calloc(1, sizeof(*peer));
	if (!peer) {
		close(fd);
		return;
	}
	peer->client = client;
	peer->index = index;
	peer->incarnation = incarnation;
	ev_init(&peer->timer, peer_timer);
	peer->timer.data = peer;
	if (channel_init(&peer->channel, client->loop, fd, WORK_MESSAGE_MAX, WORK_QUEUE_MAX,
			 &peer_handlers, peer) != 0) {
		free(peer);
		return;
	}
	peer->next = client->peers;
	client->peers = peer;
	dispatch(client);
}

static struct peer *peer_find(const struct auth_client *client, unsigned index,
			      unsigned incarnation)
{
	struct peer *peer = client->peers;

	while (peer && !(peer->index == index && peer->incarnation == incarnation))
		peer = peer->next;
	return peer;
}

void auth_client_peer_down(struct auth_client *client, unsigned index, unsigned incarnation)
{
	struct peer *peer = peer_find(client, index, incarnation);

	if (peer)
		peer_lose(peer);
}

void auth_client_peer_retire(struct auth_client *client, unsigned index, unsigned incarnation)
{
	struct peer *peer = peer_find(client, index, incarnation);

	if (!peer)
		return;
	peer->retired = true;
	peer_close_retired(peer);
}

/* ---- who is asked next ---- */

/* A step of an exchange that this process began, else a new exchange, the longest waiting first. */
static struct exchange *next_for(struct auth_client *client, const struct peer *peer)
{
	struct exchange *fresh = NULL;

	for (struct exchange *exchange = client->exchanges; exchange; exchange = exchange->next) {
		if (exchange->state != WAITING)
			continue;
		if (exchange->peer == peer)
			return exchange;
		if (!exchange->peer && !fresh && !peer->retired)
			fresh = exchange;
	}
	return fresh;
}

/* Only a new exchange can go to another process. Again when it still waits after a while. */
static void complain(struct auth_client *client)
{
	struct exchange *exchange = client->exchanges;

	while (exchange && !(exchange->state == WAITING && !exchange->peer))
		exchange = exchange->next;
	if (!exchange || !client->peers || ev_is_active(&client->busy))
		return;
	timer_restart(client->loop, &client->busy, BUSY_INTERVAL);
	client->handlers->busy(client->owner);
}

static void busy_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	complain(timer->data);
}

static void dispatch(struct auth_client *client)
{
	for (struct peer *peer = client->peers; peer && client->waiting > 0; peer = peer->next) {
		struct exchange *exchange;

		if (peer->busy || peer->broken)
			continue;
		exchange = next_for(client, peer);
		if (exchange)
			peer_ask(peer, exchange);
	}
	complain(client);
}

/* ---- what the sessions call ---- */

/* From here on `request` belongs to the exchange, or is gone. */
static void exchange_wait(struct exchange *exchange, struct message_writer *request)
{
	struct auth_client *client = exchange->client;

	exchange_unlink(exchange);
	exchange_append(exchange);
	if (client->waiting >= AUTH_CLIENT_WAITING_MAX) {
		message_writer_cleanup(request);
		exchange_doom(exchange);
		return;
	}
	exchange->request = *request;
	exchange_enter(exchange, WAITING);
	timer_restart(client->loop, &exchange->timer, client->step_timeout);
	dispatch(client);
}

int auth_client_begin(struct auth_client *client, const struct auth_request *request)
{
	struct exchange *exchange;
	struct message_writer message;

	assert(request->type == AUTH_BEGIN || request->type == AUTH_CHECK);
	auth_client_cancel(client, request->exchange);
	if (!auth_request_encode(&message, request) ||
	    !(exchange = exchange_new(client, request->exchange))) {
		message_writer_cleanup(&message);
		return -1;
	}
	exchange_wait(exchange, &message);
	return 0;
}

int auth_client_continue(struct auth_client *client, struct auth_exchange key, struct span response)
{
	const struct auth_request request = {
		.type = AUTH_CONTINUE,
		.exchange = key,
		.has_response = true,
		.response = response,
	};
	struct exchange *exchange = exchange_find(client, key);
	struct message_writer message;

	if (!exchange || exchange->state != OPEN)
		return -1;
	if (!exchange->peer) {
		exchange_doom(exchange);
		return 0;
	}
	if (!auth_request_encode(&message, &request)) {
		message_writer_cleanup(&message);
		auth_client_cancel(client, key);
		return -1;
	}
	exchange_wait(exchange, &message);
	return 0;
}

void auth_client_cancel(struct auth_client *client, struct auth_exchange key)
{
	struct exchange *exchange = exchange_find(client, key);
	struct peer *peer;

	if (!exchange)
		return;
	peer = exchange->peer;
	exchange_free(exchange);
	if (peer)
		peer_cancel(peer, key);
}

struct auth_client *auth_client_new(struct ev_loop *loop, double step_timeout,
				    const struct auth_client_handlers *handlers, void *owner)
{
	struct auth_client *client = calloc(1, sizeof(*client));

	if (!client)
		return NULL;
	client->loop = loop;
	client->step_timeout = step_timeout;
	client->handlers = handlers;
	client->owner = owner;
	client->last = &client->exchanges;
	ev_init(&client->busy, busy_timer);
	client->busy.data = client;
	return client;
}

void auth_client_set_timeout(struct auth_client *client, double step_timeout)
{
	client->step_timeout = step_timeout;
}

void auth_client_free(struct auth_client *client)
{
	if (!client)
		return;
	ev_timer_stop(client->loop, &client->busy);
	while (client->exchanges) {
		struct exchange *exchange = client->exchanges;

		client->exchanges = exchange->next;
		exchange_release(exchange);
	}
	while (client->peers) {
		struct peer *peer = client->peers;

		client->peers = peer->next;
		peer_free(peer);
	}
	free(client);
}
