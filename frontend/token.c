/* token - the process that has the PKCS#11 library and its tokens: what the supervisor tells it. Threads of it sign (token_line.h).
 * Invariants: there is one only where the configuration names a library; what that opens, loads and starts is not known beforehand, so no
 * filter of system calls is in force here, and it has nothing else to lose: no key of the keeper's, no session, no shared memory.
 * It obeys its supervisor channel alone, and ends when that closes, or, when it drains, with the last worker's. A key that is missing is a
 * fault of a start and a reload; later it is told (event key_missing) and tried again.
 */
#include "frontend/channel.h"
#include "frontend/child.h"
#include "frontend/log.h"
#include "frontend/log_target.h"
#include "frontend/prepared.h"
#include "frontend/token_keys.h"
#include "frontend/token_peers.h"
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#define RETRY_INTERVAL 3. /* seconds */
#define END_SECONDS    2  /* for what is being signed when the process ends */
#define STAY_SECONDS                                                                               \
	60. /* of a key that no book names any more: workers may be on their way to the new one */

/* A configuration and its book. */
struct setup {
	uint32_t generation;
	struct book *book;
	struct config *config;
};

struct token {
	struct ev_loop *loop;
	struct channel supervisor;
	struct token_keys *keys;
	struct token_peers *peers;
	struct setup given;    /* a book alone: its PREPARE has not come yet */
	struct setup prepared; /* with config NULL: nothing is */
	struct setup force;    /* likewise: never committed */
	ev_timer retry;        /* of keys that are missing */
	ev_timer sweep;        /* of keys that are not needed */
	ev_async lost;         /* from a thread */
	bool again;            /* PREPARE is of what was in force before this process was */
	bool draining, ended;
	int status;
};

static void setup_cleanup(struct setup *setup)
{
	book_drop(setup->book);
	config_free(setup->config);
	*setup = (struct setup) { 0 };
}

static void token_end(struct token *token, int status)
{
	if (!token->ended)
		token->status = status;
	token->ended = true;
	ev_break(token->loop, EVBREAK_ALL);
}

static void token_fail(struct token *token, const char *what)
{
	log_event(LOG_LEVEL_ERROR, "child_failed", "%s", what);
	token_end(token, EX_SOFTWARE);
}

/* ---- the workers ---- */

static enum keeper_status asked(void *owner, struct token_peer *peer,
				const struct keeper_request *request)
{
	struct token *token = owner;

	return token_keys_sign(token->keys, peer, request);
}

static void emptied(void *owner)
{
	struct token *token = owner;

	if (token->draining)
		token_end(token, EX_OK);
}

static void lost(void *owner)
{
	struct token *token = owner;

	ev_async_send(token->loop, &token->lost);
}

/* Everything about it is to be opened anew; that is what a new process does. */
static void on_lost(struct ev_loop *loop, ev_async *async, int events)
{
	token_fail(async->data, "a token has gone, or has forgotten that we logged in");
}

/* ---- keys ---- */

static void log_missing(const struct config_faults *faults)
{
	for (size_t i = 0; i < faults->count; i++) {
		const struct config_fault *fault = &faults->items[i];
		struct log_line line;

		log_begin(&line, LOG_LEVEL_ERROR, "key_missing", 0);
		log_value(&line, "file", span_of(fault->file));
		log_number(&line, "line", (uint64_t)fault->line);
		log_text(&line, "reason", fault->text);
		log_end(&line);
	}
}

/* The time of the loop has stood still while tokens were asked. */
static void retry_later(struct token *token)
{
	ev_now_update(token->loop);
	ev_timer_again(token->loop, &token->retry);
}

/* What is missing is told, once for each book. */
static void fetch(struct token *token, const struct setup *setup)
{
	struct config_faults faults = { 0 };

	if (!token_keys_fetch(token->keys, setup->book, setup->config, &faults))
		retry_later(token);
	log_missing(&faults);
	config_faults_cleanup(&faults);
}

static void on_retry(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct token *token = timer->data;
	struct config_faults faults = { 0 };

	if (token->force.config == NULL ||
	    token_keys_fetch(token->keys, token->force.book, token->force.config, &faults))
		ev_timer_stop(loop, timer);
	else
		retry_later(token);
	config_faults_cleanup(&faults);
}

static void on_sweep(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct token *token = timer->data;

	if (token->prepared.config != NULL) { /* its keys may be about to be needed */
		ev_timer_again(loop, timer);
		return;
	}
	ev_timer_stop(loop, timer);
	if (token->force.book != NULL)
		token_keys_sweep(token->keys, token->force.book);
}

/* ---- configurations and books ---- */

static void replace_book(struct setup *setup, struct book *book)
{
	book_drop(setup->book);
	setup->book = book;
}

static void answer(struct token *token, uint32_t generation, const struct config_faults *faults)
{
	if (!prepared_answer(&token->supervisor, generation, faults, NULL))
		token_fail(token, "the supervisor does not take its answers");
}

/* Alone, for a configuration that is known; or ahead of the PREPARE that it belongs to. */
static bool take_book(struct token *token, struct message_reader *message, const int *fds,
		      size_t nfds)
{
	const struct config_faults none = { 0 };
	uint32_t generation = message_get_u32(message);
	struct setup *setup = NULL;
	struct book *book;

	if (!message_done(message) || nfds != 1 || (book = book_map(fds[0])) == NULL)
		return false;
	if (token->force.config && token->force.generation == generation)
		setup = &token->force;
	else if (token->prepared.config && token->prepared.generation == generation)
		setup = &token->prepared;
	if (setup == NULL) {
		replace_book(&token->given, book);
		token->given.generation = generation;
		return true;
	}
	replace_book(setup, book);
	fetch(token, setup);
	ev_timer_again(token->loop, &token->sweep);
	answer(token, generation, &none);
	return true;
}

static void fetch_prepared(struct token *token, struct config_faults *faults)
{
	token_keys_retry(token->keys);
	if (token->again)
		fetch(token, &token->prepared);
	else
		token_keys_fetch(token->keys, token->prepared.book, token->prepared.config, faults);
	token->again = false;
}

static bool prepare(struct token *token, struct message_reader *message)
{
	struct config_faults faults = { 0 };
	uint32_t generation = message_get_u32(message);
	struct config *config = config_decode(message, CHILD_TOKEN);

	setup_cleanup(&token->prepared);
	if (config == NULL || !message_done(message) || token->given.book == NULL ||
	    token->given.generation != generation) {
		config_free(config);
		return false;
	}
	token->prepared = token->given;
	token->prepared.config = config;
	token->given = (struct setup) { 0 };
	fetch_prepared(token, &faults);
	if (faults.errors > 0)
		setup_cleanup(&token->prepared);
	answer(token, generation, &faults);
	config_faults_cleanup(&faults);
	return true;
}

static bool commit(struct token *token, struct message_reader *message)
{
	uint32_t generation = message_get_u32(message);

	if (!message_done(message) || token->prepared.config == NULL ||
	    token->prepared.generation != generation)
		return false;
	setup_cleanup(&token->force);
	token->force = token->prepared;
	token->prepared = (struct setup) { 0 };
	log_set_level((enum log_level)token->force.config->log.level);
	ev_timer_again(token->loop, &token->sweep);
	retry_later(token); /* what was missing may be so still */
	return prepared_serving(&token->supervisor, generation);
}

static bool abort_prepared(struct token *token, struct message_reader *message)
{
	uint32_t generation = message_get_u32(message);

	if (!message_done(message))
		return false;
	if (token->prepared.generation == generation)
		setup_cleanup(&token->prepared);
	if (token->given.generation == generation)
		setup_cleanup(&token->given);
	if (token->force.config != NULL)
		ev_timer_again(token->loop, &token->sweep);
	return true;
}

/* ---- the supervisor ---- */

static bool peer(struct token *token, unsigned type, struct message_reader *message, int *fds,
		 size_t nfds)
{
	bool up = type == CONTROL_PEER_UP;
	unsigned kind = message_get_u8(message);
	uint32_t index = message_get_u32(message), incarnation = message_get_u32(message);
	int fd;

	if (!message_done(message) || kind != CHILD_WORKER || nfds != (up ? 1 : 0))
		return false;
	if (!up) {
		token_peers_down(token->peers, index, incarnation);
		return true;
	}
	fd = fds[0];
	fds[0] = -1;
	return token_peers_up(token->peers, index, incarnation, fd);
}

static void drain(struct token *token)
{
	token->draining = true;
	if (token_peers_empty(token->peers))
		token_end(token, EX_OK);
}

static bool obey(struct token *token, unsigned type, struct message_reader *message, int *fds,
		 size_t nfds)
{
	switch (type) {
	case CONTROL_AGAIN:
		token->again = true;
		return true;
	case CONTROL_BOOK:
		return take_book(token, message, fds, nfds);
	case CONTROL_PREPARE:
		return prepare(token, message);
	case CONTROL_COMMIT:
		return commit(token, message);
	case CONTROL_ABORT:
		return abort_prepared(token, message);
	case CONTROL_PEER_UP:
	case CONTROL_PEER_DOWN:
		return peer(token, type, message, fds, nfds);
	case CONTROL_LOG:
		return log_target_take(message, fds, nfds);
	case CONTROL_DRAIN:
		drain(token);
		return true;
	case CONTROL_STOP:
		token_end(token, EX_OK);
		return true;
	default:
		return false;
	}
}

static void on_message(struct channel *channel, unsigned type, struct message_reader *message,
		       int *fds, size_t nfds)
{
	struct token *token = channel->owner;

	if (!token->ended && !obey(token, type, message, fds, nfds))
		token_fail(token, "malformed message from the supervisor, or out of memory");
}

static void on_closed(struct channel *channel, const char *why)
{
	token_end(channel->owner, EX_OK);
}

/* ---- the process ---- */

static bool start_up(struct token *token, const struct child_start *start)
{
	static const struct channel_handlers handlers = { on_message, on_closed };
	static const struct token_peers_handlers peers = { asked, emptied };
	static const struct token_line_handlers lines = { token_peer_answer, lost };

	if (key_library_init() != 0 || token->loop == NULL)
		return false;
	ev_init(&token->retry, on_retry);
	ev_init(&token->sweep, on_sweep);
	ev_async_init(&token->lost, on_lost);
	token->retry.repeat = RETRY_INTERVAL;
	token->sweep.repeat = STAY_SECONDS;
	token->retry.data = token->sweep.data = token->lost.data = token;
	ev_async_start(token->loop, &token->lost);
	token->keys = token_keys_new(&lines, token);
	token->peers = token_peers_new(token->loop, &peers, token);
	return token->keys && token->peers &&
	       channel_init(&token->supervisor, token->loop, start->channel, CONTROL_MESSAGE_MAX,
			    CONTROL_QUEUE_MAX, &handlers, token) == 0;
}

static void clean_up(struct token *token)
{
	token_keys_free(token->keys); /* its threads answer peers */
	token_peers_free(token->peers);
	channel_cleanup(&token->supervisor);
	setup_cleanup(&token->given);
	setup_cleanup(&token->prepared);
	setup_cleanup(&token->force);
	if (token->loop == NULL)
		return;
	ev_timer_stop(token->loop, &token->retry);
	ev_timer_stop(token->loop, &token->sweep);
	ev_async_stop(token->loop, &token->lost);
	ev_loop_destroy(token->loop);
}

int token_run(const struct child_start *start)
{
	struct token token = { .loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV),
			       .supervisor.fd = -1,
			       .status = EX_SOFTWARE };

	if (start_up(&token, start))
		ev_run(token.loop, 0);
	alarm(END_SECONDS); /* a library that hangs does not keep the process */
	clean_up(&token);
	return token.status;
}
