/* checker - the short-lived child that finds out whether the TLS library takes the configuration.
 * Invariants: builds every context that a worker will build and keeps none; a fault carries the place of the certificate
 * or pool it is about; ends after one PREPARE. So the supervisor need not touch the library.
 */
#include "frontend/channel.h"
#include "frontend/child.h"
#include "frontend/config.h"
#include "frontend/tls.h"
#include <stdlib.h>
#include <sysexits.h>

struct checker {
	struct ev_loop *loop;
	struct channel channel;
	bool done;
};

static void check_certificates(const struct config_certificates *certificates,
			       struct config_faults *faults)
{
	for (size_t i = 0; i < certificates->count; i++) {
		const struct config_certificate *certificate = &certificates->items[i];
		char text[256] = "";
		struct tls_context *context = tls_context_server(certificate, text);

		if (!context)
			config_fault(faults, false, certificate->source.file,
				     certificate->source.line, "%s", text);
		tls_context_free(context);
	}
}

static void check_pool(const struct config_pool *pool, struct config_faults *faults)
{
	char text[256] = "";
	struct tls_context *context;

	if (pool->tls == BACKEND_TLS_NONE)
		return;
	context = tls_context_client(pool, text);
	if (!context)
		config_fault(faults, false, pool->source.file, pool->source.line, "%s", text);
	tls_context_free(context);
}

static void check_config(const struct config *config, struct config_faults *faults)
{
	check_certificates(&config->tls.certificates, faults);
	for (size_t i = 0; i < config->listeners.count; i++)
		check_certificates(&config->listeners.items[i].certificates, faults);
	for (size_t i = 0; i < config->pools.count; i++)
		check_pool(&config->pools.items[i], faults);
}

static void answer(struct checker *checker, uint32_t generation, const struct config_faults *faults)
{
	struct message_writer writer;

	message_begin(&writer, CONTROL_MESSAGE_MAX,
		      faults->errors ? CONTROL_FAILED : CONTROL_READY);
	message_put_u32(&writer, generation);
	if (faults->errors) {
		message_put_u32(&writer, (uint32_t)faults->count);
		for (size_t i = 0; i < faults->count; i++) {
			message_put_string(&writer, faults->items[i].file);
			message_put_u32(&writer, (uint32_t)faults->items[i].line);
			message_put_string(&writer, faults->items[i].text);
		}
	} else {
		message_put_string(&writer, tls_version());
	}
	if (message_end(&writer, 0))
		channel_send(&checker->channel, &writer, NULL, 0);
	message_writer_cleanup(&writer);
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
	if (config)
		check_config(config, &faults);
	else
		config_fault(&faults, false, "-", 0, "the configuration does not decode");
	config_free(config);
	answer(checker, generation, &faults);
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
