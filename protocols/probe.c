/* probe - see probe.h: what the three scripts have in common. */
#include "protocols/probe.h"
#include "protocols/line.h"

void probe_init(struct probe *probe, const struct probe_script *script, const char *hostname,
		bool starttls)
{
	*probe = (struct probe) {
		.script = script,
		.hostname = hostname,
		.starttls = starttls,
	};
}

enum probe_result probe_fail(struct probe *probe, const char *reason)
{
	probe->reason = reason;
	return PROBE_FAILED;
}

enum probe_result probe_ask(struct probe *probe, int state, const char *command,
			    struct output *output)
{
	probe->state = state;
	output_text(output, command);
	return PROBE_MORE;
}

enum probe_result probe_input(struct probe *probe, const char *data, size_t len, size_t *used,
			      struct output *output)
{
	enum probe_result result = PROBE_MORE;
	struct span line;

	*used = 0;
	if (probe->reason)
		return PROBE_FAILED;
	while (result == PROBE_MORE) {
		enum line_result cut =
			line_cut(data + *used, len - *used, PROBE_LINE_MAX, &probe->scanned, &line);

		if (cut == LINE_MORE)
			return PROBE_MORE;
		if (cut != LINE_WHOLE)
			return probe_fail(probe, "it sent a malformed or overlong line");
		if (++probe->lines > PROBE_LINES_MAX)
			return probe_fail(probe, "it talks without end");
		*used += line.len + LINE_END_SIZE;
		result = probe->script->line(probe, line, output);
	}
	if (result == PROBE_START_TLS && *used < len)
		return probe_fail(probe, "it sent bytes behind its STARTTLS reply");
	return result;
}

void probe_tls_started(struct probe *probe, struct output *output)
{
	probe->tls = true;
	probe->scanned = 0;
	probe->facts = (struct probe_facts) { .starttls = false };
	probe->script->tls_started(probe, output);
}
