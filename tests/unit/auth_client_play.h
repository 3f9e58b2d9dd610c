/* An auth_client before auth processes that the test plays itself, over real socket pairs; included by one test program each. */
#ifndef TESTS_UNIT_AUTH_CLIENT_PLAY_H
#define TESTS_UNIT_AUTH_CLIENT_PLAY_H

#include "frontend/auth_client.h"
#include "frontend/channel.h"
#include "frontend/control.h"
#include "tests/unit/loop_play.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#define PROCESSES 3
#define LONG      60.
#define SHORT     0.05

/* What an auth process was sent. */
struct asked {
	enum auth_request_type type;
	struct auth_exchange exchange;
	char response[64];
};

struct process {
	struct channel channel;
	struct asked asked[16];
	unsigned count;
	bool closed;
};

struct told {
	enum auth_answer_type type;
	struct auth_exchange exchange;
	char password[64];
};

static struct auth_client *client;
static struct process processes[PROCESSES];
static struct told told[AUTH_CLIENT_WAITING_MAX + 16];
static unsigned told_count, stuck_count, stuck_index, stuck_incarnation;
static bool calling; /* inside a function of the client */
static void (*when_told)(const struct auth_answer *);

static inline void on_answer(void *owner, const struct auth_answer *answer)
{
	struct told *entry = &told[told_count++];

	assert_ptr_equal(owner, &loop);
	assert_false(calling);
	*entry = (struct told) { .type = answer->type, .exchange = answer->exchange };
	if (answer->password.len > 0)
		memcpy(entry->password, answer->password.data, answer->password.len);
	if (when_told)
		when_told(answer);
}

static inline void on_stuck(void *owner, unsigned index, unsigned incarnation)
{
	stuck_count++;
	stuck_index = index;
	stuck_incarnation = incarnation;
}

static unsigned busy_count;

static inline void on_busy(void *owner)
{
	busy_count++;
}

static const struct auth_client_handlers handlers = { on_answer, on_stuck, on_busy };

static inline void on_request(struct channel *channel, unsigned type,
			      struct message_reader *message, int *fds, size_t nfds)
{
	struct process *process = channel->owner;
	struct asked *entry = &process->asked[process->count++];
	struct auth_request request;

	assert_true(process->count <= 16);
	assert_true(auth_request_decode(message, type, &request));
	*entry = (struct asked) { .type = request.type, .exchange = request.exchange };
	memcpy(entry->response, request.response.data, request.response.len);
}

static inline void on_closed(struct channel *channel, const char *why)
{
	((struct process *)channel->owner)->closed = true;
}

static const struct channel_handlers process_handlers = { on_request, on_closed };

static inline void start_client(double step_timeout)
{
	loop = ev_loop_new(EVFLAG_AUTO);
	client = auth_client_new(loop, step_timeout, &handlers, &loop);
	assert_non_null(client);
	memset(processes, 0, sizeof(processes));
	memset(told, 0, sizeof(told));
	told_count = stuck_count = busy_count = 0;
	when_told = NULL;
}

static inline int start(void **state)
{
	start_client(LONG);
	return 0;
}

static inline int start_impatient(void **state)
{
	start_client(SHORT);
	return 0;
}

static inline int stop(void **state)
{
	auth_client_free(client);
	for (unsigned i = 0; i < PROCESSES; i++)
		channel_cleanup(&processes[i].channel);
	ev_loop_destroy(loop);
	return 0;
}

static inline void process_up(unsigned index, unsigned incarnation)
{
	struct process *process = &processes[index];
	int fds[2];

	channel_cleanup(&process->channel);
	memset(process, 0, sizeof(*process));
	assert_int_equal(channel_pair(fds), 0);
	assert_int_equal(channel_init(&process->channel, loop, fds[0], WORK_MESSAGE_MAX,
				      WORK_QUEUE_MAX, &process_handlers, process),
			 0);
	auth_client_peer_up(client, index, incarnation, fds[1]);
}

/* Runs the loop until *value is `wanted`, and not more. */
static inline void wait_for_just(const unsigned *value, unsigned wanted)
{
	wait_for(value, wanted);
	assert_int_equal(*value, wanted);
}

/* Lets all that is under way arrive. */
static inline void settle(void)
{
	for (unsigned i = 0; i < 8; i++)
		ev_run(loop, EVRUN_NOWAIT);
}

static inline struct auth_exchange exchange_of(uint32_t serial)
{
	return (struct auth_exchange) { 77, serial };
}

static inline void begin(uint32_t serial)
{
	const struct auth_request request = {
		.type = AUTH_BEGIN,
		.exchange = exchange_of(serial),
		.service = SPAN("imap"),
		.mechanism = SPAN("LOGIN"),
		.tls_bits = 256,
	};

	calling = true;
	assert_int_equal(auth_client_begin(client, &request), 0);
	calling = false;
}

static inline int respond(uint32_t serial, struct span response)
{
	int result;

	calling = true;
	result = auth_client_continue(client, exchange_of(serial), response);
	calling = false;
	return result;
}

static inline void answer(unsigned index, uint32_t serial, enum auth_answer_type type)
{
	struct auth_answer message = { .type = type, .exchange = exchange_of(serial) };
	struct message_writer writer;

	if (type == AUTH_CAPTURED) {
		message.authcid = message.authzid = SPAN("alice");
		message.password = SPAN("secret");
	}
	assert_true(auth_answer_encode(&writer, &message));
	assert_int_equal(channel_send(&processes[index].channel, &writer, NULL, 0), 0);
	message_writer_cleanup(&writer);
}

static inline void assert_asked(unsigned index, unsigned nth, enum auth_request_type type,
				uint32_t serial)
{
	assert_true(nth < processes[index].count);
	assert_int_equal(processes[index].asked[nth].type, type);
	assert_int_equal(processes[index].asked[nth].exchange.session, 77);
	assert_int_equal(processes[index].asked[nth].exchange.serial, serial);
}

static inline void assert_told(unsigned nth, enum auth_answer_type type, uint32_t serial)
{
	assert_true(nth < told_count);
	assert_int_equal(told[nth].type, type);
	assert_int_equal(told[nth].exchange.serial, serial);
}

#endif
