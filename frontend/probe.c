/* probe - see probe.h. States: BEGIN -> CONNECT -> (TLS) -> TALK <-> TLS -> FAREWELL, where the result has been told and our goodbye
 * goes out.
 */
#include "frontend/probe.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAREWELL_SECONDS 2.0 /* for the server to hang up after our goodbye */
#define TURN_STEPS       16  /* then others get their turn */

enum probe_state { PROBE_BEGIN, PROBE_CONNECT, PROBE_TLS, PROBE_TALK, PROBE_FAREWELL };

enum step { STEP_WAIT, STEP_MORE, STEP_OVER /* the run is gone */ };

struct probe_run {
	struct ev_loop *loop;
	enum probe_state state;
	const struct probe_settings *settings;
	const char *name;
	struct address address;
	struct transport transport;
	struct buffer in;
	struct probe probe;
	ev_timer timer; /* first to begin, then the deadline */
	ev_tstamp began;
	const struct probe_handlers *handlers;
	void *owner;
};

static const struct probe_script *script_of(int protocol)
{
	switch (protocol) {
	case PROTOCOL_SUBMISSION:
		return &smtp_probe_script;
	case PROTOCOL_IMAP:
		return &imap_probe_script;
	default:
		return &pop3_probe_script;
	}
}

void probe_cancel(struct probe_run *run)
{
	ev_timer_stop(run->loop, &run->timer);
	transport_close(&run->transport);
	buffer_cleanup(&run->in);
	free(run);
}

static void over(struct probe_run *run)
{
	run->handlers->over(run->owner);
	probe_cancel(run);
}

/* Nothing is left to be done with the server. */
static enum step fail(struct probe_run *run, const char *reason)
{
	struct probe_outcome outcome = { .up = false, .seconds = ev_now(run->loop) - run->began };

	snprintf(outcome.reason, sizeof(outcome.reason), "%s", reason);
	run->handlers->done(run->owner, &outcome);
	over(run);
	return STEP_OVER;
}

static void set_timer(struct probe_run *run, double seconds)
{
	ev_timer_stop(run->loop, &run->timer);
	ev_timer_set(&run->timer, seconds, 0);
	ev_timer_start(run->loop, &run->timer);
}

static enum step succeed(struct probe_run *run)
{
	const struct probe_outcome outcome = {
		.up = true,
		.facts = run->probe.facts,
		.seconds = ev_now(run->loop) - run->began,
	};

	run->handlers->done(run->owner, &outcome);
	run->state = PROBE_FAREWELL;
	transport_end_writing(&run->transport);
	set_timer(run, FAREWELL_SECONDS);
	return STEP_MORE;
}

static void say(struct probe_run *run, const struct output *output)
{
	if (output->len > 0)
		transport_write(&run->transport, output->data, output->len);
}

static enum step begin_tls(struct probe_run *run)
{
	struct tls *tls = tls_connect_new(run->settings->tls, run->name);

	if (tls == NULL)
		return fail(run, "no TLS for this leg");
	transport_start_tls(&run->transport, tls);
	run->state = PROBE_TLS;
	return STEP_MORE;
}

static enum step step_connect(struct probe_run *run)
{
	int error;

	switch (transport_connected(&run->transport, &error)) {
	case TRANSPORT_AGAIN:
		return STEP_WAIT;
	case TRANSPORT_DONE:
		if (run->settings->pool->tls == BACKEND_TLS_IMPLICIT)
			return begin_tls(run);
		run->state = PROBE_TALK;
		return STEP_MORE;
	default:
		return fail(run, strerror(error));
	}
}

static enum step step_tls(struct probe_run *run)
{
	char text[PROBE_SAYS_MAX], why[96];
	struct output output;

	switch (transport_handshake(&run->transport)) {
	case TRANSPORT_AGAIN:
		return STEP_WAIT;
	case TRANSPORT_DONE:
		run->state = PROBE_TALK;
		if (!run->probe.starttls)
			return STEP_MORE;
		output_init(&output, text, sizeof(text));
		probe_tls_started(&run->probe, &output);
		say(run, &output);
		return STEP_MORE;
	default:
		snprintf(why, sizeof(why), "TLS failed: %s", tls_failure(run->transport.tls));
		return fail(run, why);
	}
}

static enum step carry_out(struct probe_run *run, enum probe_result result)
{
	switch (result) {
	case PROBE_START_TLS:
		if (buffer_len(&run->in) == 0)
			return begin_tls(run);
		return fail(run, "it sent bytes behind its STARTTLS reply");
	case PROBE_DONE:
		return succeed(run);
	default:
		return fail(run, run->probe.reason);
	}
}

static enum step step_talk(struct probe_run *run)
{
	enum transport_result read = transport_read(&run->transport, &run->in);
	enum probe_result result = PROBE_MORE;
	char text[PROBE_SAYS_MAX];
	struct output output;
	size_t used = 0;

	output_init(&output, text, sizeof(text));
	if (buffer_len(&run->in) > 0)
		result = probe_input(&run->probe, buffer_data(&run->in), buffer_len(&run->in),
				     &used, &output);
	buffer_consume(&run->in, used);
	say(run, &output);
	if (result != PROBE_MORE)
		return carry_out(run, result);
	if (read == TRANSPORT_DONE)
		return STEP_MORE;
	return read == TRANSPORT_AGAIN ? STEP_WAIT : fail(run, "it closed the connection");
}

/* The answer to our goodbye is of no interest, but closing before it came would look like a broken client. */
static enum step step_farewell(struct probe_run *run)
{
	size_t count;

	switch (transport_discard(&run->transport, &count)) {
	case TRANSPORT_DONE:
		return STEP_MORE;
	case TRANSPORT_AGAIN:
		return STEP_WAIT;
	default:
		over(run);
		return STEP_OVER;
	}
}

static enum step step(struct probe_run *run)
{
	switch (run->state) {
	case PROBE_BEGIN:
		if (transport_connect(&run->transport, &run->address) != 0)
			return fail(run, strerror(errno));
		run->state = PROBE_CONNECT;
		set_timer(run, run->settings->timeout);
		return STEP_MORE;
	case PROBE_CONNECT:
		return step_connect(run);
	case PROBE_TLS:
		return step_tls(run);
	case PROBE_TALK:
		return step_talk(run);
	default:
		return step_farewell(run);
	}
}

static void run_probe(struct probe_run *run)
{
	enum step result = STEP_MORE;

	for (int steps = 0; result == STEP_MORE && steps < TURN_STEPS; steps++) {
		result = step(run);
		if (result != STEP_OVER)
			transport_flush(&run->transport); /* its failure shows when it is read */
	}
	/* What TLS has already taken from the socket would not wake us: that we could write does, in the next turn. */
	if (result != STEP_OVER)
		transport_wait(&run->transport, run->state != PROBE_CONNECT,
			       run->state == PROBE_CONNECT || result == STEP_MORE);
}

static void ready(struct ev_loop *loop, ev_io *io, int events)
{
	run_probe(io->data);
}

static void timer_passed(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct probe_run *run = timer->data;

	if (run->state == PROBE_BEGIN)
		run_probe(run);
	else if (run->state == PROBE_FAREWELL)
		over(run);
	else
		fail(run, "it did not answer in time");
}

struct probe_run *probe_start(struct ev_loop *loop, const struct probe_settings *settings,
			      const char *name, const struct address *address,
			      const struct probe_handlers *handlers, void *owner)
{
	struct probe_run *run = calloc(1, sizeof(*run));

	if (run == NULL)
		return NULL;
	run->loop = loop;
	run->settings = settings;
	run->name = name;
	run->address = *address;
	run->handlers = handlers;
	run->owner = owner;
	run->began = ev_now(loop);
	transport_init(&run->transport, loop, ready);
	run->transport.io.data = run;
	buffer_init(&run->in, 2 * TRANSPORT_RECORD);
	probe_init(&run->probe, script_of(settings->pool->protocol), settings->hostname,
		   settings->pool->tls == BACKEND_TLS_STARTTLS);
	ev_timer_init(&run->timer, timer_passed, 0, 0);
	run->timer.data = run;
	ev_timer_start(loop, &run->timer);
	return run;
}
