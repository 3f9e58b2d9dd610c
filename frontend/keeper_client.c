/* keeper_client - see keeper_client.h. */
#include "frontend/keeper_client.h"
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DEADLINE_MS 200
#define LATE_MAX    5

void keeper_client_init(struct keeper_client *client,
			void (*stuck)(void *owner, uint32_t incarnation), void *owner)
{
	*client = (struct keeper_client) { .fd = -1, .stuck = stuck, .owner = owner };
}

void keeper_client_cleanup(struct keeper_client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
}

void keeper_client_up(struct keeper_client *client, uint32_t incarnation, int fd)
{
	keeper_client_cleanup(client);
	client->fd = fd;
	client->incarnation = incarnation;
	client->late = 0;
}

void keeper_client_down(struct keeper_client *client, uint32_t incarnation)
{
	if (client->incarnation == incarnation)
		keeper_client_cleanup(client);
}

static int64_t now_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

enum waited { READY, TOO_LATE, GONE };

static enum waited wait_for_answer(int fd, int64_t deadline)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	int64_t left;

	while ((left = deadline - now_ms()) > 0) {
		int count = poll(&poll_fd, 1, (int)left);

		if (count > 0)
			return READY;
		if (count < 0 && errno != EINTR)
			return GONE;
	}
	return TOO_LATE;
}

/* Packets are read until the one of this sequence. MSG_TRUNC: a packet that is larger than any of ours is told by its length. */
static enum waited await(struct keeper_client *client, uint8_t packet[KEEPER_PACKET_MAX],
			 struct keeper_answer *answer)
{
	int64_t deadline = now_ms() + DEADLINE_MS;

	for (;;) {
		enum waited waited = wait_for_answer(client->fd, deadline);
		ssize_t got;

		if (waited != READY)
			return waited;
		got = recv(client->fd, packet, KEEPER_PACKET_MAX, MSG_DONTWAIT | MSG_TRUNC);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (got <= 0 || got > KEEPER_PACKET_MAX ||
		    !keeper_answer_decode(packet, (size_t)got, answer))
			return GONE;
		if (answer->sequence == client->sequence)
			return READY;
	}
}

static void count_late(struct keeper_client *client, bool late)
{
	client->timeouts += late;
	client->late = late ? client->late + 1 : 0;
	if (client->late == LATE_MAX && client->stuck != NULL)
		client->stuck(client->owner, client->incarnation);
}

/* A keeper that has ended or speaks nonsense is no keeper any more; the supervisor brings another. */
static bool ask(struct keeper_client *client, struct keeper_request *request,
		uint8_t packet[KEEPER_PACKET_MAX], struct keeper_answer *answer)
{
	enum waited waited = GONE;
	size_t len;

	client->calls++;
	if (client->fd < 0)
		return false;
	request->sequence = ++client->sequence;
	len = keeper_request_encode(packet, request);
	if (len == 0)
		return false;
	if (send(client->fd, packet, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len)
		waited = await(client, packet, answer);
	else if (errno == EAGAIN)
		waited = TOO_LATE; /* what was asked before has not been read yet */
	count_late(client, waited == TOO_LATE);
	if (waited == GONE)
		keeper_client_cleanup(client);
	return waited == READY && answer->status == KEEPER_DONE;
}

static int call(struct keeper_client *client, struct keeper_request *request, uint8_t *out,
		size_t room, size_t *out_len)
{
	uint8_t packet[KEEPER_PACKET_MAX];
	struct keeper_answer answer;
	bool done = ask(client, request, packet, &answer) && answer.output.len <= room;

	if (done) {
		memcpy(out, answer.output.data, answer.output.len);
		*out_len = answer.output.len;
	} else {
		client->failures++;
	}
	explicit_bzero(packet, sizeof(packet));
	return done ? 0 : -1;
}

int keeper_sign(struct keeper_client *client, const uint8_t id[KEY_ID_LEN],
		enum key_algorithm algorithm, const uint8_t *in, size_t len, uint8_t *out,
		size_t *out_len)
{
	struct keeper_request request = { .type = KEEPER_SIGN,
					  .algorithm = algorithm,
					  .input = { (const char *)in, len } };

	memcpy(request.id, id, KEY_ID_LEN);
	return call(client, &request, out, KEY_SIGNATURE_MAX, out_len);
}

int keeper_tickets(struct keeper_client *client, uint8_t *out, size_t *out_len)
{
	struct keeper_request request = { .type = KEEPER_TICKETS };

	return call(client, &request, out, KEEPER_OUTPUT_MAX, out_len);
}
