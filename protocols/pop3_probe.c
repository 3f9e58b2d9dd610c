/* pop3_probe - asking a POP3 server; see probe.h. CAPA is optional (RFC 2449 2): a server without it works, and has nothing to
 * show. RFC 1939 3; RFC 2449 5; RFC 2595 4.
 */
#include "protocols/pop3_reply.h"
#include "protocols/probe.h"

enum state { STATE_GREETING, STATE_STLS, STATE_CAPA, STATE_LIST };

static enum probe_result ask_capa(struct probe *probe, struct output *output)
{
	return probe_ask(probe, STATE_CAPA, "CAPA\r\n", output);
}

static enum probe_result done(struct output *output)
{
	output_text(output, "QUIT\r\n");
	return PROBE_DONE;
}

static enum probe_result note_line(struct probe *probe, struct span line, struct output *output)
{
	struct span rest = line, word = span_word(&rest);

	if (span_is(word, "."))
		return done(output);
	if (span_is(word, "XCLIENT"))
		probe->facts.identity = true;
	extension_note(&probe->facts.extensions, EXTENSIONS_POP3, line);
	return PROBE_MORE;
}

static enum probe_result after_greeting(struct probe *probe, struct output *output)
{
	if (probe->starttls)
		return probe_ask(probe, STATE_STLS, "STLS\r\n", output);
	return ask_capa(probe, output);
}

static enum probe_result pop3_probe_line(struct probe *probe, struct span line,
					 struct output *output)
{
	struct pop3_reply reply;

	if (probe->state == STATE_LIST)
		return note_line(probe, line, output);
	if (!pop3_reply_parse(line, &reply) || reply.status == POP3_STATUS_CONTINUATION)
		return probe_fail(probe, "it sent a line that is no POP3 reply");
	switch ((enum state)probe->state) {
	case STATE_GREETING:
		return reply.status == POP3_STATUS_OK
			       ? after_greeting(probe, output)
			       : probe_fail(probe, "it refused the connection");
	case STATE_STLS:
		return reply.status == POP3_STATUS_OK ? PROBE_START_TLS
						      : probe_fail(probe, "it refused STLS");
	default:
		break;
	}
	if (reply.status != POP3_STATUS_OK)
		return done(output);
	probe->state = STATE_LIST;
	return PROBE_MORE;
}

static void pop3_probe_tls_started(struct probe *probe, struct output *output)
{
	ask_capa(probe, output);
}

const struct probe_script pop3_probe_script = {
	.line = pop3_probe_line,
	.tls_started = pop3_probe_tls_started,
};
