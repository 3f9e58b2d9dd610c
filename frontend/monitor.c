/* monitor - the process that looks at the servers behind on behalf of all workers.
 * Invariants: obeys its supervisor channel alone, and ends when that closes; sees no private key and no password.
 */
#include "frontend/channel.h"
#include "frontend/child.h"
#include "frontend/config.h"
#include "frontend/log_target.h"
#include "frontend/prepared.h"
#include <sysexits.h>

struct monitor {
	struct ev_loop *loop;
	struct channel supervisor;
	struct config *config, *prepared;
	uint32_t prepared_number;
};

static void prepare(struct monitor *monitor, struct message_reader *message)
{
	struct config_faults faults = { 0 };

	config_free(monitor->prepared);
	monitor->prepared_number = message_get_u32(message);
	monitor->prepared = config_decode(message, CHILD_MONITOR);
	if (!monitor->prepared)
		config_fault(&faults, false, "-", 0, "the configuration does not decode");
	prepared_answer(&monitor->supervisor, monitor->prepared_number, &faults, NULL);
	config_faults_cleanup(&faults);
}

static void commit(struct monitor *monitor, uint32_t number)
{
	if (!monitor->prepared || number != monitor->prepared_number)
		return;
	config_free(monitor->config);
	monitor->config = monitor->prepared;
	monitor->prepared = NULL;
	log_set_level((enum log_level)monitor->config->log.level);
	prepared_serving(&monitor->supervisor, number);
}

static void on_message(struct channel *channel, unsigned type, struct message_reader *message,
		       int *fds, size_t nfds)
{
	struct monitor *monitor = channel->owner;

	switch (type) {
	case CONTROL_PREPARE:
		prepare(monitor, message);
		break;
	case CONTROL_COMMIT:
		commit(monitor, message_get_u32(message));
		break;
	case CONTROL_ABORT:
		config_free(monitor->prepared);
		monitor->prepared = NULL;
		break;
	case CONTROL_LOG:
		log_target_take(message, fds, nfds);
		break;
	case CONTROL_DRAIN:
	case CONTROL_STOP:
		ev_break(monitor->loop, EVBREAK_ALL);
		break;
	default:
		break;
	}
}

static void on_closed(struct channel *channel, const char *why)
{
	struct monitor *monitor = channel->owner;

	ev_break(monitor->loop, EVBREAK_ALL);
}

int monitor_run(const struct child_start *start)
{
	static const struct channel_handlers handlers = { on_message, on_closed };
	struct monitor monitor = { .loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV) };

	if (!monitor.loop ||
	    channel_init(&monitor.supervisor, monitor.loop, start->channel, CONTROL_MESSAGE_MAX,
			 CONTROL_QUEUE_MAX, &handlers, &monitor) < 0)
		return EX_SOFTWARE;
	ev_run(monitor.loop, 0);
	channel_cleanup(&monitor.supervisor);
	config_free(monitor.prepared);
	config_free(monitor.config);
	ev_loop_destroy(monitor.loop);
	return EX_OK;
}
