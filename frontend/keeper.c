/* keeper - the process for the private keys: what the supervisor tells it.
 * Invariants: obeys its supervisor channel alone, and ends when that closes.
 */
#include "frontend/channel.h"
#include "frontend/child.h"
#include "frontend/config.h"
#include "frontend/log_target.h"
#include "frontend/prepared.h"
#include <sysexits.h>

struct keeper {
	struct ev_loop *loop;
	struct channel supervisor;
	struct config *config, *prepared;
	uint32_t prepared_number;
};

static void drop_prepared(struct keeper *keeper)
{
	config_free(keeper->prepared);
	keeper->prepared = NULL;
}

static void prepare(struct keeper *keeper, struct message_reader *message)
{
	struct config_faults faults = { 0 };

	drop_prepared(keeper);
	keeper->prepared_number = message_get_u32(message);
	keeper->prepared = config_decode(message, CHILD_KEEPER);
	if (keeper->prepared == NULL)
		config_fault(&faults, false, "-", 0, "the keeper cannot use its configuration");
	prepared_answer(&keeper->supervisor, keeper->prepared_number, &faults, NULL);
	config_faults_cleanup(&faults);
}

static void commit(struct keeper *keeper, uint32_t number)
{
	if (keeper->prepared == NULL || number != keeper->prepared_number)
		return;
	config_free(keeper->config);
	keeper->config = keeper->prepared;
	keeper->prepared = NULL;
	log_set_level((enum log_level)keeper->config->log.level);
	prepared_serving(&keeper->supervisor, number);
}

static void on_message(struct channel *channel, unsigned type, struct message_reader *message,
		       int *fds, size_t nfds)
{
	struct keeper *keeper = channel->owner;

	switch (type) {
	case CONTROL_PREPARE:
		prepare(keeper, message);
		break;
	case CONTROL_COMMIT:
		commit(keeper, message_get_u32(message));
		break;
	case CONTROL_ABORT:
		drop_prepared(keeper);
		break;
	case CONTROL_LOG:
		log_target_take(message, fds, nfds);
		break;
	case CONTROL_DRAIN:
	case CONTROL_STOP:
		ev_break(keeper->loop, EVBREAK_ALL);
		break;
	default:
		break;
	}
}

static void on_closed(struct channel *channel, const char *why)
{
	struct keeper *keeper = channel->owner;

	ev_break(keeper->loop, EVBREAK_ALL);
}

int keeper_run(const struct child_start *start)
{
	static const struct channel_handlers handlers = { on_message, on_closed };
	struct keeper keeper = { .loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV) };

	if (keeper.loop == NULL ||
	    channel_init(&keeper.supervisor, keeper.loop, start->channel, CONTROL_MESSAGE_MAX,
			 CONTROL_QUEUE_MAX, &handlers, &keeper) < 0)
		return EX_SOFTWARE;
	ev_run(keeper.loop, 0);
	channel_cleanup(&keeper.supervisor);
	drop_prepared(&keeper);
	config_free(keeper.config);
	ev_loop_destroy(keeper.loop);
	return EX_OK;
}
