/* checker - the short-lived child that finds out whether the TLS and SASL libraries take the configuration.
 * Invariants: builds what a worker will build, by the same function, and keeps none of it; a fault carries the place of the certificate
 * or pool it is about; ends after one PREPARE. So the supervisor need not touch the library.
 */
#include "auth/auth_check.h"
#include "frontend/channel.h"
#include "frontend/child.h"
#include "frontend/generation.h"
#include "frontend/prepared.h"
#include "frontend/status_http.h"
#include <stdlib.h>
#include <sysexits.h>

struct checker {
	struct ev_loop *loop;
	struct channel channel;
	bool done;
};

/* The pages' library is looked for last, when the keys are gone: it brings a second TLS library into the process. */
static void check(struct config *config, struct config_faults *faults)
{
	struct generation *generation = generation_new(config, NULL, faults);
	char why[256];

	if (generation == NULL)
		return;
	config = generation->config;
	if (config->status.port != 0 && !status_http_available(why))
		config_fault(faults, false, config->status.source.file, config->status.source.line,
			     "status: %s", why);
	generation_drop(generation);
}

static void on_message(struct channel *channel, unsigned type, struct message_reader *reader,
		       int *fds, size_t nfds)
{
	struct checker *checker = channel->owner;
	struct config_faults faults = { 0 };
	uint32_t generation = message_get_u32(reader);
	struct config *config;

	if (type != CONTROL_PREPARE || checker->done) {
		ev_break(checker->loop, EVBREAK_ALL);
		return;
	}
	checker->done = true;
	config = config_decode(reader, CHILD_CHECKER);
	if (config) {
		auth_check(config, &faults);
		check(config, &faults);
	} else {
		config_fault(&faults, false, "-", 0, "the configuration does not decode");
	}
	prepared_answer(&checker->channel, generation, &faults, tls_version());
	config_faults_cleanup(&faults);
}

/* The supervisor closes the channel once it has the answer. */
static void on_closed(struct channel *channel, const char *why)
{
	struct checker *checker = channel->owner;

	ev_break(checker->loop, EVBREAK_ALL);
}

int checker_run(const struct child_start *start)
{
	static const struct channel_handlers handlers = { on_message, on_closed };
	struct checker checker = { .loop = ev_default_loop(EVFLAG_NOENV) };

	if (!checker.loop || tls_init() < 0 ||
	    channel_init(&checker.channel, checker.loop, start->channel, CONTROL_MESSAGE_MAX,
			 CONTROL_QUEUE_MAX, &handlers, &checker) < 0)
		return EX_SOFTWARE;
	ev_run(checker.loop, 0);
	channel_cleanup(&checker.channel);
	tls_cleanup();
	ev_loop_destroy(checker.loop);
	return checker.done ? 0 : EX_SOFTWARE;
}
