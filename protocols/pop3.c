/* pop3 - the POP3 dialogue before login: what a client may say, and what it hears.
 * Invariants: no credential is taken before TLS, and USER is refused already, so that PASS is not sent. The greeting has no
 * timestamp, so no client can try APOP (RFC 1939 7). The name of USER is kept until the verdict and no longer; that of a
 * USER refused before TLS serves only to say whose password was exposed by the PASS behind it.
 * RFC 1939, RFC 2449 (CAPA), RFC 2595 4 (STLS), RFC 3206 (codes), RFC 5034 (AUTH).
 */
#include "protocols/capability.h"
#include "protocols/line.h"
#include "protocols/pop3_login.h"

static void reply(struct output *output, const char *text)
{
	output_text(output, text);
	output_text(output, "\r\n");
}

static void refuse(enum refusal refusal, const char *text, struct output *output,
		   struct decision *decision)
{
	decision->type = DECIDE_REPLY;
	decision->refusal = refusal;
	reply(output, text);
}

static bool takes_no_arguments(struct span args, struct output *output, struct decision *decision)
{
	if (!args.data)
		return true;
	refuse(REFUSAL_SYNTAX, "-ERR This command has no arguments", output, decision);
	return false;
}

/* ---- commands --------------------------------------------------------------------------------------------------- */

static void apply_capa(struct dialogue *dialogue, struct span args, struct output *output,
		       struct decision *decision)
{
	if (!takes_no_arguments(args, output, decision))
		return;
	reply(output, "+OK Capabilities follow");
	capability_list(dialogue, "", "\r\n", output);
	reply(output, ".");
}

static void apply_noop(struct dialogue *dialogue, struct span args, struct output *output,
		       struct decision *decision)
{
	if (takes_no_arguments(args, output, decision))
		reply(output, "+OK");
}

static void apply_stls(struct dialogue *dialogue, struct span args, struct output *output,
		       struct decision *decision)
{
	if (!takes_no_arguments(args, output, decision))
		return;
	decision->type = DECIDE_START_TLS;
	reply(output, "+OK Begin TLS negotiation now");
}

static void apply_quit(struct dialogue *dialogue, struct span args, struct output *output,
		       struct decision *decision)
{
	if (!takes_no_arguments(args, output, decision))
		return;
	decision->type = DECIDE_CLOSE;
	decision->refusal = REFUSAL_QUIT;
	reply(output, "+OK Bye");
}

static void forget_user(struct dialogue *dialogue)
{
	explicit_bzero(dialogue->name, sizeof(dialogue->name));
}

/* False when it is too long to be anybody's. */
static bool remember_user(struct dialogue *dialogue, struct span name)
{
	forget_user(dialogue);
	if (name.len >= sizeof(dialogue->name))
		return false;
	if (name.len > 0)
		memcpy(dialogue->name, name.data, name.len);
	return true;
}

/* The answer is the same for every name: whether it exists is told to nobody without the password. */
static void apply_user(struct dialogue *dialogue, struct span args, struct output *output,
		       struct decision *decision)
{
	bool fits = remember_user(dialogue, args);

	if (args.len == 0)
		refuse(REFUSAL_SYNTAX, "-ERR [AUTH] No name given", output, decision);
	else if (!fits)
		refuse(REFUSAL_SYNTAX, "-ERR [AUTH] Name too long", output, decision);
	else
		reply(output, "+OK Send PASS");
}

/* A password may hold blanks, also at its ends: it is everything behind the first one. */
static void apply_pass(struct dialogue *dialogue, struct span args, struct output *output,
		       struct decision *decision)
{
	if (dialogue->name[0] == '\0') {
		refuse(REFUSAL_SYNTAX, "-ERR Send USER first", output, decision);
		return;
	}
	decision->type = DECIDE_PASSWORD;
	decision->user = span_of(dialogue->name);
	decision->password = args;
}

static void list_mechanisms(const struct dialogue *dialogue, struct output *output)
{
	reply(output, "+OK Mechanisms follow");
	for (const char *const *name = dialogue->settings->mechanisms; *name; name++)
		reply(output, *name);
	reply(output, ".");
}

static void apply_auth(struct dialogue *dialogue, struct span args, struct output *output,
		       struct decision *decision)
{
	if (!args.data) {
		list_mechanisms(dialogue, output);
		return;
	}
	struct span rest = args, name = span_word(&rest), response = span_word(&rest);

	if (name.len == 0 || rest.len > 0) {
		refuse(REFUSAL_SYNTAX, "-ERR Invalid AUTH arguments", output, decision);
		return;
	}
	const char *mechanism = capability_mechanism(dialogue->settings, name);

	if (!mechanism) {
		refuse(REFUSAL_UNKNOWN, "-ERR Unsupported mechanism", output, decision);
		return;
	}
	decision->type = DECIDE_AUTH_BEGIN;
	decision->mechanism = span_of(mechanism);
	decision->has_response = response.len > 0;
	/* RFC 5034 4: a lone "=" is an empty initial response. */
	if (response.len > 0 && !span_is(response, "="))
		decision->response = response;
}

/* Commands of a mailbox: known, so that they are refused as untimely and not as unknown. */
#define AFTER_LOGIN(name)                                                                          \
	{                                                                                          \
		name, PHASE_RELAY, 0, NULL, NULL                                                   \
	}

static const struct command pop3_commands[] = {
	{ "CAPA", PHASE_PLAIN | PHASE_TLS, 0, "RESP-CODES,AUTH-RESP-CODE", apply_capa },
	{ "STLS", PHASE_PLAIN, CMD_LAST, "STLS", apply_stls },
	{ "USER", PHASE_TLS, CMD_SECRET | CMD_PASSWORD, "USER", apply_user },
	{ "PASS", PHASE_TLS, CMD_SECRET, NULL, apply_pass },
	{ "AUTH", PHASE_TLS, CMD_SECRET, "SASL *", apply_auth },
	{ "APOP", 0, CMD_SECRET, NULL, NULL },
	{ "NOOP", PHASE_PLAIN | PHASE_TLS, 0, NULL, apply_noop },
	{ "QUIT", PHASE_PLAIN | PHASE_TLS, 0, NULL, apply_quit },
	AFTER_LOGIN("DELE"),
	AFTER_LOGIN("LAST"),
	AFTER_LOGIN("LIST"),
	AFTER_LOGIN("RETR"),
	AFTER_LOGIN("RSET"),
	AFTER_LOGIN("STAT"),
	AFTER_LOGIN("TOP"),
	AFTER_LOGIN("UIDL"),
	{ NULL, 0, 0, NULL, NULL },
};

/* ---- one command ------------------------------------------------------------------------------------------------ */

/* What a command refused before TLS has given away: a password behind PASS, or an initial response behind AUTH. */
static void note_exposure(struct dialogue *dialogue, const struct command *command,
			  struct span args, struct decision *decision)
{
	if (command->apply == apply_user) {
		remember_user(dialogue, args);
	} else if (command->apply == apply_pass) {
		decision->exposed = args.len > 0;
		if (decision->exposed)
			decision->exposed_user = span_of(dialogue->name);
	} else if (command->apply == apply_auth && args.data) {
		span_word(&args);
		struct span response = span_word(&args);

		decision->exposed = response.len > 0 && !span_is(response, "=");
	}
}

static void refuse_phase(struct dialogue *dialogue, const struct command *command,
			 struct output *output, struct decision *decision)
{
	bool plain = dialogue->phase == PHASE_PLAIN;
	const char *text = plain ? "-ERR Use STLS first" : "-ERR Log in first";

	if (plain && (command->flags & CMD_SECRET))
		text = "-ERR [AUTH] Use STLS first";
	else if (command->phases == 0)
		text = "-ERR This command is not supported";
	else if (command->phases == PHASE_PLAIN)
		text = "-ERR TLS is already active";
	refuse(plain ? REFUSAL_PLAINTEXT : REFUSAL_PHASE, text, output, decision);
}

static void apply(struct dialogue *dialogue, struct span line, struct output *output,
		  struct decision *decision)
{
	const char *blank = memchr(line.data, ' ', line.len);
	struct span name = { line.data, blank ? (size_t)(blank - line.data) : line.len };
	struct span args = blank ? span_from(line, name.len + 1) : (struct span) { NULL, 0 };
	const struct command *command = command_find(pop3_commands, name);

	decision->type = DECIDE_REPLY;
	if (!command) {
		refuse(REFUSAL_UNKNOWN, "-ERR Unknown command", output, decision);
	} else if (!command_is_legal(command, dialogue->phase)) {
		refuse_phase(dialogue, command, output, decision);
		if (dialogue->phase == PHASE_PLAIN)
			note_exposure(dialogue, command, args, decision);
	} else {
		command->apply(dialogue, args, output, decision);
	}
}

static void take_line(struct dialogue *dialogue, struct span line, bool clean,
		      struct output *output, struct decision *decision)
{
	if (dialogue->awaiting_response) {
		/* What is not base64 is for the auth process to refuse. */
		dialogue->awaiting_response = false;
		decision->type = span_is(line, "*") ? DECIDE_AUTH_CANCEL : DECIDE_AUTH_RESPONSE;
		decision->response = line;
	} else if (!clean) {
		refuse(REFUSAL_SYNTAX, "-ERR Invalid character", output, decision);
	} else {
		apply(dialogue, line, output, decision);
	}
}

/* ---- the protocol ----------------------------------------------------------------------------------------------- */

static void pop3_greet(struct dialogue *dialogue, struct output *output)
{
	output_format(output, "+OK %s Postern ready\r\n", dialogue->settings->hostname);
}

static size_t pop3_input(struct dialogue *dialogue, char *data, size_t len, struct output *output,
			 struct decision *decision)
{
	size_t max = dialogue->awaiting_response ? dialogue->settings->sasl_line_max
						 : dialogue->settings->line_max;
	struct span line;
	enum line_result cut = line_cut(data, len, max, &dialogue->scanned, &line);

	*decision = (struct decision) { .type = DECIDE_MORE };
	if (cut == LINE_MORE)
		return 0;
	if (cut == LINE_LONG || cut == LINE_BARE_LF) {
		refuse(REFUSAL_SYNTAX, "-ERR Line too long or malformed", output, decision);
		decision->type = DECIDE_CLOSE;
		return len;
	}
	take_line(dialogue, line, cut == LINE_WHOLE, output, decision);
	return line.len + LINE_END_SIZE;
}

static void pop3_verdict(struct dialogue *dialogue, enum verdict verdict, struct span text,
			 struct output *output)
{
	static const char *const texts[] = {
		[VERDICT_ACCEPTED] = "+OK Logged in",
		[VERDICT_REFUSED] = "-ERR [AUTH] Authentication failed",
		[VERDICT_UNAUTHORIZED] = "-ERR [AUTH] Authorization failed",
		[VERDICT_BAD_ENCODING] = "-ERR Invalid authentication response",
		[VERDICT_CANCELLED] = "-ERR Authentication cancelled",
		[VERDICT_NO_MECHANISM] = "-ERR Unsupported mechanism",
	};

	dialogue->awaiting_response = verdict == VERDICT_CHALLENGE;
	if (verdict == VERDICT_CHALLENGE) {
		output_text(output, "+ ");
		output_span(output, text);
		output_text(output, "\r\n");
		return;
	}
	forget_user(dialogue);
	if (verdict == VERDICT_TEMPORARY) {
		output_text(output, "-ERR [");
		output_span(output, text.len > 0 ? text : SPAN("SYS/TEMP"));
		reply(output, "] Cannot log you in now");
	} else {
		reply(output, texts[verdict]);
	}
}

static void pop3_farewell(struct dialogue *dialogue, enum farewell farewell, struct output *output)
{
	static const char *const texts[] = {
		[FAREWELL_SHUTDOWN] = "-ERR [SYS/TEMP] Shutting down",
		[FAREWELL_TOO_MANY] = "-ERR [SYS/TEMP] Too many connections",
		[FAREWELL_DEADLINE] = "-ERR [SYS/TEMP] Took too long to log in",
		[FAREWELL_REFUSALS] = "-ERR Too many errors",
		[FAREWELL_BACKEND] = "-ERR [SYS/TEMP] The mail store has gone away",
	};

	(void)dialogue;
	reply(output, texts[farewell]);
}

const struct protocol protocol_pop3 = {
	.name = "pop3",
	.sasl_service = "pop",
	.commands = pop3_commands,
	.greet = pop3_greet,
	.input = pop3_input,
	.verdict = pop3_verdict,
	.farewell = pop3_farewell,
	.login = &pop3_login_script,
};
