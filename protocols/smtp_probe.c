/* smtp_probe - asking a submission server; see probe.h. RFC 5321 3.1, 4.1.1.1, 4.1.1.10; RFC 3207 4. */
#include "protocols/line.h"
#include "protocols/probe.h"

enum state { STATE_GREETING, STATE_EHLO, STATE_STARTTLS };

static enum probe_result ask_ehlo(struct probe *probe, struct output *output)
{
	probe->state = STATE_EHLO;
	output_format(output, "EHLO %s\r\n", probe->hostname);
	return PROBE_MORE;
}

static void note_line(struct probe *probe, struct span text)
{
	struct span rest = text, word = span_word(&rest);

	extension_note(&probe->facts.extensions, EXTENSIONS_SUBMISSION & EXTENSIONS_FOUND, text);
	if (span_is(word, "STARTTLS"))
		probe->facts.starttls = true;
	else if (span_is(word, "XCLIENT"))
		probe->facts.identity = true;
}

static enum probe_result after_ehlo(struct probe *probe, struct output *output)
{
	if (probe->starttls && !probe->tls) {
		if (!probe->facts.starttls)
			return probe_fail(probe, "it does not offer STARTTLS");
		return probe_ask(probe, STATE_STARTTLS, "STARTTLS\r\n", output);
	}
	output_text(output, "QUIT\r\n");
	return PROBE_DONE;
}

static enum probe_result after_reply(struct probe *probe, unsigned code, struct output *output)
{
	switch ((enum state)probe->state) {
	case STATE_GREETING:
		return code == 220 ? ask_ehlo(probe, output)
				   : probe_fail(probe, "it does not greet with 220");
	case STATE_EHLO:
		return code == 250 ? after_ehlo(probe, output)
				   : probe_fail(probe, "it refused EHLO");
	case STATE_STARTTLS:
		break;
	}
	return code == 220 ? PROBE_START_TLS : probe_fail(probe, "it refused STARTTLS");
}

static enum probe_result smtp_probe_line(struct probe *probe, struct span line,
					 struct output *output)
{
	struct smtp_reply *reply = &probe->reply;
	enum smtp_reply_result result = smtp_reply_next(reply, line.data, line.len + LINE_END_SIZE);
	unsigned code = reply->code;

	if (result != SMTP_REPLY_LINE && result != SMTP_REPLY_LAST)
		return probe_fail(probe, "it sent what is no SMTP reply");
	if (probe->state == STATE_EHLO && reply->lines > 1)
		note_line(probe, reply->text);
	if (result == SMTP_REPLY_LINE)
		return PROBE_MORE;
	*reply = (struct smtp_reply) { .code = 0 };
	return after_reply(probe, code, output);
}

static void smtp_probe_tls_started(struct probe *probe, struct output *output)
{
	ask_ehlo(probe, output);
}

const struct probe_script smtp_probe_script = {
	.line = smtp_probe_line,
	.tls_started = smtp_probe_tls_started,
};
