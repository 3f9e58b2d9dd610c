/* auth_process - one process that asks SASL on behalf of the workers, one step at a time.
 * Invariants: calls into SASL may block; nothing else lives here. It ends with its supervisor's channel, or, when it drains, with
 * the last worker's. A worker that speaks nonsense, or does not read its answers, ends the process: the supervisor starts a
 * fresh one, and the other workers' exchanges get the temporary reply.
 */
#include "auth/auth_check.h"
#include "auth/auth_sasl.h"
#include "frontend/channel.h"
#include "frontend/child.h"
#include "frontend/config.h"
#include "frontend/log_target.h"
#include "frontend/prepared.h"
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define EXPIRY_INTERVAL 15.0

struct auth_process {
	struct ev_loop *loop;
	struct channel control;
	ev_timer expiry, idle;
	bool draining;
	struct worker_peer *workers;
	struct config *config, *prepared;
	uint32_t generation; /* of prepared */
	uint32_t configured; /* of what the library was given last */
	struct auth_sasl *sasl;
	bool ended; /* nothing more is answered */
	int status;
};

struct worker_peer {
	struct worker_peer *next;
	struct auth_process *process;
	struct auth_peer id;
	struct channel channel;
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void process_end(struct auth_process *process, int status)
{
	if (!process->ended)
		process->status = status;
	process->ended = true;
	ev_break(process->loop, EVBREAK_ALL);
}

static void process_fail(struct auth_process *process, const char *what)
{
	log_event(LOG_LEVEL_ERROR, "child_failed", "%s", what);
	process_end(process, EXIT_FAILURE);
}

/* ---- workers ---- */

static void worker_release(struct worker_peer *worker)
{
	if (worker->process->sasl)
		auth_sasl_peer_gone(worker->process->sasl, worker->id);
	channel_cleanup(&worker->channel);
	free(worker);
}

static void end_when_drained(struct auth_process *process)
{
	if (process->draining && !process->workers)
		process_end(process, EXIT_SUCCESS);
}

static void worker_remove(struct worker_peer *worker)
{
	struct auth_process *process = worker->process;
	struct worker_peer **link = &process->workers;

	while (*link != worker)
		link = &(*link)->next;
	*link = worker->next;
	worker_release(worker);
	end_when_drained(process);
}

static void worker_answer(struct worker_peer *worker, const struct auth_answer *answer)
{
	struct message_writer message;

	if (!auth_answer_encode(&message, answer) ||
	    channel_send(&worker->channel, &message, NULL, 0) != 0)
		process_fail(worker->process, "a worker does not take its answers");
	message_writer_cleanup(&message);
}

static void worker_message(struct channel *channel, unsigned type, struct message_reader *message,
			   int *fds, size_t nfds)
{
	struct worker_peer *worker = channel->owner;
	struct auth_process *process = worker->process;
	struct auth_request request;
	struct auth_answer answer;

	if (process->ended)
		return;
	if (!process->sasl || !auth_request_decode(message, type, &request)) {
		process_fail(process, "malformed request from a worker");
		return;
	}
	ev_timer_again(process->loop, &process->idle);
	if (auth_sasl_request(process->sasl, worker->id, now(), &request, &answer))
		worker_answer(worker, &answer);
	auth_sasl_answered(process->sasl);
}

static void worker_closed(struct channel *channel, const char *why)
{
	worker_remove(channel->owner);
}

static const struct channel_handlers worker_handlers = { worker_message, worker_closed };

static struct worker_peer *worker_find(struct auth_process *process, uint32_t index)
{
	struct worker_peer *worker = process->workers;

	while (worker && worker->id.index != index)
		worker = worker->next;
	return worker;
}

static bool worker_add(struct auth_process *process, struct auth_peer id, int *fd)
{
	struct worker_peer *worker = worker_find(process, id.index);

	if (worker)
		worker_remove(worker);
	worker = calloc(1, sizeof(*worker));
	if (!worker)
		return false;
	worker->process = process;
	worker->id = id;
	if (channel_init(&worker->channel, process->loop, *fd, WORK_MESSAGE_MAX, WORK_QUEUE_MAX,
			 &worker_handlers, worker) != 0) {
		*fd = -1;
		free(worker);
		return false;
	}
	*fd = -1;
	worker->next = process->workers;
	process->workers = worker;
	return true;
}

/* ---- the supervisor ---- */

/* Makes the library, or gives what is there other settings. */
static bool configure(struct auth_process *process, const struct config *config, const char **why)
{
	struct auth_option *options = calloc(config->auth.sasl.count + 1, sizeof(*options));
	const struct auth_sasl_settings settings = auth_settings_of(config, options);
	bool done = false;

	*why = "out of memory";
	if (options && process->sasl)
		done = auth_sasl_configure(process->sasl, &settings, why);
	else if (options)
		done = (process->sasl = auth_sasl_new(&settings, why)) != NULL;
	if (done)
		process->configured = process->generation;
	free(options);
	return done;
}

/* The library holds one set of plugins: a later configuration has been tried by the checking process, and is taken here when it is
 * committed. */
static const char *prepare(struct auth_process *process, struct message_reader *message)
{
	const char *why = NULL;

	config_free(process->prepared);
	process->generation = message_get_u32(message);
	process->prepared = config_decode(message, CHILD_AUTH);
	if (!process->prepared || !message_done(message))
		why = "the configuration cannot be read";
	else if (!process->sasl && configure(process, process->prepared, &why))
		why = NULL;
	if (why) {
		config_free(process->prepared);
		process->prepared = NULL;
	}
	return why;
}

static void control_prepare(struct auth_process *process, struct message_reader *message)
{
	const char *why = prepare(process, message);
	struct config_faults faults = { 0 };

	if (why)
		config_fault(&faults, false, "auth", 0, "%s", why);
	if (!prepared_answer(&process->control, process->generation, &faults, NULL))
		process_fail(process, "the supervisor does not take its answers");
	config_faults_cleanup(&faults);
}

static void restart_idle(struct auth_process *process)
{
	process->idle.repeat = process->config->auth.processes_idle;
	ev_timer_again(process->loop, &process->idle);
}

static void control_commit(struct auth_process *process, struct message_reader *message)
{
	const char *why;

	if (message_get_u32(message) != process->generation || !message_done(message) ||
	    !process->prepared) {
		process_fail(process, "commit without a prepared configuration");
		return;
	}
	config_free(process->config);
	process->config = process->prepared;
	process->prepared = NULL;
	log_set_level((enum log_level)process->config->log.level);
	restart_idle(process);
	/* before its first COMMIT it may have been given another configuration than the one that the library was made of */
	if (process->configured != process->generation &&
	    !configure(process, process->config, &why))
		process_fail(process, why);
	else if (!prepared_serving(&process->control, process->generation))
		process_fail(process, "the supervisor does not take its answers");
}

static void control_peer(struct auth_process *process, unsigned type,
			 struct message_reader *message, int *fds, size_t nfds)
{
	bool up = type == CONTROL_PEER_UP;
	unsigned kind = message_get_u8(message);
	struct auth_peer id = { .index = message_get_u32(message) };
	struct worker_peer *worker;

	id.incarnation = message_get_u32(message);
	if (!message_done(message) || kind != CHILD_WORKER || nfds != (up ? 1 : 0)) {
		process_fail(process, "malformed message from the supervisor");
		return;
	}
	if (up) {
		if (!worker_add(process, id, &fds[0]))
			process_fail(process, "out of memory");
		return;
	}
	worker = worker_find(process, id.index);
	if (worker && worker->id.incarnation == id.incarnation)
		worker_remove(worker);
}

static void control_message(struct channel *channel, unsigned type, struct message_reader *message,
			    int *fds, size_t nfds)
{
	struct auth_process *process = channel->owner;

	if (process->ended)
		return;
	switch (type) {
	case CONTROL_PREPARE:
		control_prepare(process, message);
		break;
	case CONTROL_COMMIT:
		control_commit(process, message);
		break;
	case CONTROL_ABORT:
		config_free(process->prepared);
		process->prepared = NULL;
		break;
	case CONTROL_PEER_UP:
	case CONTROL_PEER_DOWN:
		control_peer(process, type, message, fds, nfds);
		break;
	case CONTROL_LOG:
		if (!log_target_take(message, fds, nfds))
			process_fail(process, "malformed message from the supervisor");
		break;
	case CONTROL_DRAIN:
		process->draining = true;
		end_when_drained(process);
		break;
	case CONTROL_STOP:
		process_end(process, EXIT_SUCCESS);
		break;
	default:
		process_fail(process, "unknown message from the supervisor");
	}
}

static void control_closed(struct channel *channel, const char *why)
{
	process_end(channel->owner, EXIT_SUCCESS);
}

static const struct channel_handlers control_handlers = { control_message, control_closed };

/* ---- the process ---- */

static void expire(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct auth_process *process = timer->data;

	if (process->sasl)
		auth_sasl_expire(process->sasl, now());
}

static void idle(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct auth_process *process = timer->data;
	struct message_writer message;

	if (process->draining || (process->sasl && auth_sasl_open_exchanges(process->sasl) > 0))
		return;
	message_begin(&message, CONTROL_MESSAGE_MAX, CONTROL_IDLE);
	if (!message_end(&message, 0) || channel_send(&process->control, &message, NULL, 0) != 0)
		process_fail(process, "the supervisor does not take its messages");
	message_writer_cleanup(&message);
}

static void process_cleanup(struct auth_process *process)
{
	while (process->workers) {
		struct worker_peer *worker = process->workers;

		process->workers = worker->next;
		worker_release(worker);
	}
	ev_timer_stop(process->loop, &process->expiry);
	ev_timer_stop(process->loop, &process->idle);
	auth_sasl_free(process->sasl);
	config_free(process->prepared);
	config_free(process->config);
	channel_cleanup(&process->control);
	ev_loop_destroy(process->loop);
}

int auth_process_run(const struct child_start *start)
{
	struct auth_process process = { .status = EXIT_SUCCESS, .loop = ev_loop_new(EVFLAG_AUTO) };
	int status = EXIT_FAILURE;

	if (!process.loop)
		return status;
	ev_timer_init(&process.expiry, expire, EXPIRY_INTERVAL, EXPIRY_INTERVAL);
	ev_init(&process.idle, idle);
	process.expiry.data = process.idle.data = &process;
	ev_timer_start(process.loop, &process.expiry);
	if (channel_init(&process.control, process.loop, start->channel, CONTROL_MESSAGE_MAX,
			 CONTROL_QUEUE_MAX, &control_handlers, &process) == 0) {
		ev_run(process.loop, 0);
		status = process.status;
	}
	process_cleanup(&process);
	return status;
}
