/* token_client - see token_client.h. */
#include "frontend/token_client.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STUCK_SECONDS 30.
#define ANSWERS_MAX   32 /* of one turn of the loop */

struct token_waiting {
	STAILQ_ENTRY(token_waiting) link;
	uint32_t sequence;
	uint64_t session;
};

static bool is_up(const struct token_client *client)
{
	return client->io.fd >= 0;
}

static void close_way(struct token_client *client)
{
	ev_io_stop(client->loop, &client->io);
	ev_timer_stop(client->loop, &client->patience);
	if (is_up(client))
		close(client->io.fd);
	ev_io_set(&client->io, -1, EV_READ);
	client->retired = false;
}

static void forget_all(struct token_waiting_list *list)
{
	struct token_waiting *waiting;

	while ((waiting = STAILQ_FIRST(list)) != NULL) {
		STAILQ_REMOVE_HEAD(list, link);
		free(waiting);
	}
}

/* Whoever is told may ask anew at once: the list is taken away before. */
static void fail_all(struct token_client *client)
{
	struct token_waiting_list list = STAILQ_HEAD_INITIALIZER(list);
	const struct token_waiting *waiting;

	STAILQ_CONCAT(&list, &client->waiting);
	client->count = 0;
	STAILQ_FOREACH(waiting, &list, link)
	client->handlers->answered(client->owner, waiting->session, NULL, 0);
	forget_all(&list);
}

static void lose(struct token_client *client)
{
	close_way(client);
	fail_all(client);
}

/* As long as anything is waited for; anew with each answer. */
static void be_patient(struct token_client *client)
{
	ev_timer_stop(client->loop, &client->patience);
	if (client->count == 0)
		return;
	ev_timer_set(&client->patience, STUCK_SECONDS, 0.);
	ev_timer_start(client->loop, &client->patience);
}

static void on_impatience(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct token_client *client = timer->data;

	client->handlers->stuck(client->owner, client->incarnation);
	be_patient(client);
}

/* One that nobody waits for is no answer of ours. */
static bool take(struct token_client *client, const struct keeper_answer *answer)
{
	struct token_waiting *waiting;
	uint64_t session;

	STAILQ_FOREACH(waiting, &client->waiting, link)
	if (waiting->sequence == answer->sequence)
		break;
	if (waiting == NULL)
		return false;
	session = waiting->session;
	STAILQ_REMOVE(&client->waiting, waiting, token_waiting, link);
	free(waiting);
	client->count--;
	be_patient(client);
	client->handlers->answered(client->owner, session,
				   answer->status == KEEPER_DONE
					   ? (const uint8_t *)answer->output.data
					   : NULL,
				   answer->output.len);
	return true;
}

/* That it has died, the supervisor sees; that it speaks nonsense, nobody else. */
static void lose_and_tell(struct token_client *client)
{
	uint32_t incarnation = client->incarnation;

	lose(client);
	client->handlers->stuck(client->owner, incarnation);
}

/* False: nothing more for now. */
static bool receive(struct token_client *client)
{
	uint8_t packet[KEEPER_PACKET_MAX];
	struct keeper_answer answer;
	ssize_t got = recv(client->io.fd, packet, sizeof(packet), MSG_DONTWAIT | MSG_TRUNC);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (got <= 0) {
		lose(client);
		return false;
	}
	if ((size_t)got > sizeof(packet) || !keeper_answer_decode(packet, (size_t)got, &answer) ||
	    !take(client, &answer)) {
		lose_and_tell(client);
		return false;
	}
	explicit_bzero(packet, sizeof(packet));
	return is_up(client);
}

static void on_readable(struct ev_loop *loop, ev_io *io, int events)
{
	struct token_client *client = io->data;
	int left = ANSWERS_MAX;

	while (left-- > 0 && receive(client))
		;
	if (client->retired && client->count == 0)
		close_way(client);
}

void token_client_init(struct token_client *client, struct ev_loop *loop,
		       const struct token_client_handlers *handlers, void *owner)
{
	*client = (struct token_client) { .loop = loop, .handlers = handlers, .owner = owner };
	ev_io_init(&client->io, on_readable, -1, EV_READ);
	ev_init(&client->patience, on_impatience);
	client->io.data = client->patience.data = client;
	STAILQ_INIT(&client->waiting);
}

void token_client_cleanup(struct token_client *client)
{
	close_way(client);
	forget_all(&client->waiting);
	client->count = 0;
}

void token_client_up(struct token_client *client, uint32_t incarnation, int fd)
{
	lose(client);
	client->incarnation = incarnation;
	ev_io_set(&client->io, fd, EV_READ);
	ev_io_start(client->loop, &client->io);
}

void token_client_down(struct token_client *client, uint32_t incarnation)
{
	if (client->incarnation == incarnation && is_up(client))
		lose(client);
}

void token_client_retire(struct token_client *client, uint32_t incarnation)
{
	if (client->incarnation != incarnation || !is_up(client))
		return;
	client->retired = true;
	if (client->count == 0)
		close_way(client);
}

static bool send_request(struct token_client *client, const struct tls_request *wanted)
{
	struct keeper_request request = { .type = KEEPER_SIGN,
					  .sequence = ++client->sequence,
					  .algorithm = wanted->algorithm,
					  .input = { (const char *)wanted->in, wanted->len } };
	uint8_t packet[KEEPER_PACKET_MAX];
	size_t len;
	bool sent;

	memcpy(request.id, wanted->id, KEY_ID_LEN);
	len = keeper_request_encode(packet, &request);
	sent = len > 0 &&
	       send(client->io.fd, packet, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len;
	explicit_bzero(packet, sizeof(packet));
	return sent;
}

bool token_client_ask(struct token_client *client, uint64_t session,
		      const struct tls_request *request)
{
	struct token_waiting *waiting;

	if (!is_up(client) || client->retired || client->count == TOKEN_CLIENT_MAX)
		return false;
	waiting = malloc(sizeof(*waiting));
	if (waiting == NULL || !send_request(client, request)) {
		free(waiting);
		return false;
	}
	*waiting = (struct token_waiting) { .sequence = client->sequence, .session = session };
	STAILQ_INSERT_TAIL(&client->waiting, waiting, link);
	client->count++;
	if (client->count == 1)
		be_patient(client);
	return true;
}
