/* imap_probe - asking an IMAP server; see probe.h. What it lists in its greeting is not relied on: it is asked. One that offers
 * UNAUTHENTICATE has failed, as it does at a login: it would let a session log in anew behind our back.
 * RFC 9051 6.1.1, 6.1.3, 6.2.1, 7.1.4; RFC 2971 (ID); RFC 8437 (UNAUTHENTICATE).
 */
#include "protocols/imap_reply.h"
#include "protocols/probe.h"

enum state { STATE_GREETING, STATE_CAPABILITY, STATE_STARTTLS };

static const char *const tags[] = {
	[STATE_GREETING] = "",
	[STATE_CAPABILITY] = "C1",
	[STATE_STARTTLS] = "S1",
};

static enum probe_result ask_capability(struct probe *probe, struct output *output)
{
	return probe_ask(probe, STATE_CAPABILITY, "C1 CAPABILITY\r\n", output);
}

/* False: not with this one. */
static bool note_capabilities(struct probe *probe, struct span list)
{
	struct probe_facts *facts = &probe->facts;

	for (struct span word = span_word(&list); word.len > 0; word = span_word(&list)) {
		if (span_is(word, "STARTTLS"))
			facts->starttls = true;
		else if (span_is(word, "ID"))
			facts->identity = true;
		else if (span_is(word, "UNAUTHENTICATE"))
			return false;
	}
	return true;
}

static enum probe_result after_capability(struct probe *probe, struct output *output)
{
	if (probe->starttls && !probe->tls) {
		if (!probe->facts.starttls)
			return probe_fail(probe, "it does not offer STARTTLS");
		return probe_ask(probe, STATE_STARTTLS, "S1 STARTTLS\r\n", output);
	}
	output_text(output, "L1 LOGOUT\r\n");
	return PROBE_DONE;
}

static enum probe_result handle_tagged(struct probe *probe, const struct imap_reply *reply,
				       struct output *output)
{
	if (reply->type != IMAP_REPLY_TAGGED || !span_is(reply->tag, tags[probe->state]))
		return probe_fail(probe, "it sent a reply to no command of ours");
	if (probe->state == STATE_CAPABILITY)
		return reply->condition == IMAP_CONDITION_OK
			       ? after_capability(probe, output)
			       : probe_fail(probe, "it does not tell its capabilities");
	return reply->condition == IMAP_CONDITION_OK ? PROBE_START_TLS
						     : probe_fail(probe, "it refused STARTTLS");
}

static enum probe_result imap_probe_line(struct probe *probe, struct span line,
					 struct output *output)
{
	struct imap_reply reply;

	if (!imap_reply_parse(line, &reply))
		return probe_fail(probe, "it sent a line that is no IMAP reply");
	if (reply.has_literal)
		return probe_fail(probe, "it sent a literal before login");
	if (reply.type != IMAP_REPLY_UNTAGGED)
		return handle_tagged(probe, &reply, output);
	if (reply.condition == IMAP_CONDITION_PREAUTH)
		return probe_fail(probe, "it sent PREAUTH");
	if (reply.condition == IMAP_CONDITION_BYE)
		return probe_fail(probe, "it sent BYE");
	if (probe->state == STATE_GREETING)
		return reply.condition == IMAP_CONDITION_OK
			       ? ask_capability(probe, output)
			       : probe_fail(probe, "it sent no greeting");
	if (probe->state == STATE_CAPABILITY && span_is(reply.name, "CAPABILITY") &&
	    !note_capabilities(probe, reply.value))
		return probe_fail(probe, "it offers UNAUTHENTICATE");
	return PROBE_MORE;
}

static void imap_probe_tls_started(struct probe *probe, struct output *output)
{
	ask_capability(probe, output);
}

const struct probe_script imap_probe_script = {
	.line = imap_probe_line,
	.tls_started = imap_probe_tls_started,
};
