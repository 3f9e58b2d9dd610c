/* imap - the IMAP dialogue before login: what a client may say, and what it hears.
 * Invariants: no credential is taken or invited before TLS (RFC 9051 11.3); what a client says of itself (ID) goes nowhere.
 * A tag stays in dialogue->tag until the command's last reply has been made.
 * RFC 9051 6.1 and 6.2, RFC 3501, RFC 2595, RFC 4959 (SASL-IR), RFC 7888 (LITERAL+), RFC 2971 (ID), RFC 5530.
 */
#include "protocols/capability.h"
#include "protocols/imap_command.h"
#include "protocols/imap_login.h"
#include "protocols/line.h"

/* ---- replies ---------------------------------------------------------------------------------------------------- */

/* `tag condition text`; "*" stands for a tag that could not be read. */
static void reply(const struct dialogue *dialogue, struct output *output, const char *text)
{
	output_text(output, dialogue->tag[0] ? dialogue->tag : "*");
	output_text(output, " ");
	output_text(output, text);
	output_text(output, "\r\n");
}

static void refuse(const struct dialogue *dialogue, enum refusal refusal, const char *text,
		   struct output *output, struct decision *decision)
{
	decision->type = DECIDE_REPLY;
	decision->refusal = refusal;
	reply(dialogue, output, text);
}

/* The end of what the client is sending cannot be known any more, so the session ends. */
static void give_up(const struct dialogue *dialogue, const char *text, struct output *output,
		    struct decision *decision)
{
	refuse(dialogue, REFUSAL_SYNTAX, text, output, decision);
	output_text(output, "* BYE Protocol error\r\n");
	decision->type = DECIDE_CLOSE;
}

static void remember_tag(struct dialogue *dialogue, struct span tag)
{
	memcpy(dialogue->tag, tag.data, tag.len);
	dialogue->tag[tag.len] = '\0';
}

/* ---- commands --------------------------------------------------------------------------------------------------- */

static bool takes_no_arguments(struct dialogue *dialogue, struct span args, struct output *output,
			       struct decision *decision)
{
	if (!args.data)
		return true;
	refuse(dialogue, REFUSAL_SYNTAX, "BAD This command has no arguments", output, decision);
	return false;
}

static void apply_capability(struct dialogue *dialogue, struct span args, struct output *output,
			     struct decision *decision)
{
	if (!takes_no_arguments(dialogue, args, output, decision))
		return;
	output_text(output, "* CAPABILITY");
	capability_list(dialogue, " ", "", output);
	output_text(output, "\r\n");
	reply(dialogue, output, "OK CAPABILITY completed");
}

static void apply_noop(struct dialogue *dialogue, struct span args, struct output *output,
		       struct decision *decision)
{
	if (takes_no_arguments(dialogue, args, output, decision))
		reply(dialogue, output, "OK NOOP completed");
}

static void apply_id(struct dialogue *dialogue, struct span args, struct output *output,
		     struct decision *decision)
{
	if (!imap_command_id_is_valid(args)) {
		refuse(dialogue, REFUSAL_SYNTAX, "BAD Invalid ID parameters", output, decision);
		return;
	}
	output_text(output, "* ID (\"name\" \"Postern\")\r\n");
	reply(dialogue, output, "OK ID completed");
}

static void apply_starttls(struct dialogue *dialogue, struct span args, struct output *output,
			   struct decision *decision)
{
	if (!takes_no_arguments(dialogue, args, output, decision))
		return;
	decision->type = DECIDE_START_TLS;
	reply(dialogue, output, "OK Begin TLS negotiation now");
}

static void apply_logout(struct dialogue *dialogue, struct span args, struct output *output,
			 struct decision *decision)
{
	if (!takes_no_arguments(dialogue, args, output, decision))
		return;
	decision->type = DECIDE_CLOSE;
	decision->refusal = REFUSAL_QUIT;
	output_text(output, "* BYE Logging out\r\n");
	reply(dialogue, output, "OK LOGOUT completed");
}

static void apply_login(struct dialogue *dialogue, struct span args, struct output *output,
			struct decision *decision)
{
	struct span user, password;

	if (!imap_command_astring(&args, &user) || !imap_command_blank(&args) ||
	    !imap_command_astring(&args, &password) || args.len > 0) {
		refuse(dialogue, REFUSAL_SYNTAX, "BAD Invalid LOGIN arguments", output, decision);
		return;
	}
	decision->type = DECIDE_PASSWORD;
	decision->user = user;
	decision->password = password;
}

static void apply_authenticate(struct dialogue *dialogue, struct span args, struct output *output,
			       struct decision *decision)
{
	struct span name;
	bool valid = imap_command_astring(&args, &name);

	decision->has_response = args.len > 0;
	if (!valid || (decision->has_response && (!imap_command_blank(&args) || args.len == 0 ||
						  memchr(args.data, ' ', args.len)))) {
		refuse(dialogue, REFUSAL_SYNTAX, "BAD Invalid AUTHENTICATE arguments", output,
		       decision);
		return;
	}
	const char *mechanism = capability_mechanism(dialogue->settings, name);

	if (!mechanism) {
		refuse(dialogue, REFUSAL_UNKNOWN, "NO [CANNOT] Unsupported mechanism", output,
		       decision);
		return;
	}
	decision->type = DECIDE_AUTH_BEGIN;
	decision->mechanism = span_of(mechanism);
	/* RFC 4959 3: a lone "=" is an empty initial response. */
	if (decision->has_response && !span_is(args, "="))
		decision->response = args;
}

/* Commands of a mailbox: known, so that they are refused as untimely and not as unknown. */
#define AFTER_LOGIN(name)                                                                          \
	{                                                                                          \
		name, PHASE_RELAY, 0, NULL, NULL                                                   \
	}

static const struct command imap_commands[] = {
	{ "CAPABILITY", PHASE_PLAIN | PHASE_TLS, 0, "IMAP4rev1", apply_capability },
	{ "AUTHENTICATE", PHASE_TLS, CMD_SECRET, "SASL-IR,AUTH=*", apply_authenticate },
	{ "NOOP", PHASE_PLAIN | PHASE_TLS, 0, "LITERAL+", apply_noop },
	{ "ID", PHASE_PLAIN | PHASE_TLS, 0, "ID", apply_id },
	{ "STARTTLS", PHASE_PLAIN, CMD_LAST, "STARTTLS", apply_starttls },
	{ "LOGIN", PHASE_TLS, CMD_SECRET | CMD_PASSWORD, "!LOGINDISABLED", apply_login },
	{ "LOGOUT", PHASE_PLAIN | PHASE_TLS, 0, NULL, apply_logout },
	AFTER_LOGIN("APPEND"),
	AFTER_LOGIN("CHECK"),
	AFTER_LOGIN("CLOSE"),
	AFTER_LOGIN("COMPRESS"),
	AFTER_LOGIN("COPY"),
	AFTER_LOGIN("CREATE"),
	AFTER_LOGIN("DELETE"),
	AFTER_LOGIN("DELETEACL"),
	AFTER_LOGIN("ENABLE"),
	AFTER_LOGIN("EXAMINE"),
	AFTER_LOGIN("EXPUNGE"),
	AFTER_LOGIN("FETCH"),
	AFTER_LOGIN("GETACL"),
	AFTER_LOGIN("GETMETADATA"),
	AFTER_LOGIN("GETQUOTA"),
	AFTER_LOGIN("GETQUOTAROOT"),
	AFTER_LOGIN("IDLE"),
	AFTER_LOGIN("LIST"),
	AFTER_LOGIN("LISTRIGHTS"),
	AFTER_LOGIN("LSUB"),
	AFTER_LOGIN("MOVE"),
	AFTER_LOGIN("MYRIGHTS"),
	AFTER_LOGIN("NAMESPACE"),
	AFTER_LOGIN("NOTIFY"),
	AFTER_LOGIN("RENAME"),
	AFTER_LOGIN("SEARCH"),
	AFTER_LOGIN("SELECT"),
	AFTER_LOGIN("SETACL"),
	AFTER_LOGIN("SETMETADATA"),
	AFTER_LOGIN("SETQUOTA"),
	AFTER_LOGIN("SORT"),
	AFTER_LOGIN("STATUS"),
	AFTER_LOGIN("STORE"),
	AFTER_LOGIN("SUBSCRIBE"),
	AFTER_LOGIN("THREAD"),
	AFTER_LOGIN("UID"),
	AFTER_LOGIN("UNAUTHENTICATE"),
	AFTER_LOGIN("UNSELECT"),
	AFTER_LOGIN("UNSUBSCRIBE"),
	{ NULL, 0, 0, NULL, NULL },
};

/* ---- one command ------------------------------------------------------------------------------------------------ */

/* LOGIN with a name and something behind it. The name is told only when it could be parsed whole. */
static void note_exposed_login(struct span args, struct decision *decision)
{
	struct span user, rest = args;
	bool parsed = imap_command_astring(&rest, &user) && imap_command_blank(&rest);

	if (!parsed) {
		rest = args;
		span_word(&rest);
		imap_command_blank(&rest);
	}
	decision->exposed = rest.len > 0;
	if (parsed && decision->exposed)
		decision->exposed_user = user;
}

/* What a command refused before TLS has given away: a password, or an initial response. */
static void note_exposure(const struct command *command, struct span args,
			  struct decision *decision)
{
	if (!args.data)
		return;
	if (command->apply == apply_login) {
		note_exposed_login(args, decision);
	} else if (command->apply == apply_authenticate) {
		span_word(&args);
		struct span response = span_word(&args);

		decision->exposed = response.len > 0 && !span_is(response, "=");
	}
}

/* A command that is not for this phase. */
static void refuse_phase(struct dialogue *dialogue, const struct command *command,
			 struct output *output, struct decision *decision)
{
	bool plain = dialogue->phase == PHASE_PLAIN;
	const char *text = plain ? "NO Use STARTTLS first" : "NO Log in first";

	if (command->flags & CMD_SECRET)
		text = "NO [PRIVACYREQUIRED] Use STARTTLS first";
	else if (command->phases == PHASE_PLAIN)
		text = "BAD TLS is already active";
	refuse(dialogue, plain ? REFUSAL_PLAINTEXT : REFUSAL_PHASE, text, output, decision);
}

static void apply(struct dialogue *dialogue, const struct imap_command *parsed,
		  struct output *output, struct decision *decision)
{
	const struct command *command = command_find(imap_commands, parsed->name);

	decision->type = DECIDE_REPLY;
	if (dialogue->tag[0] == '\0') {
		refuse(dialogue, REFUSAL_SYNTAX, "BAD Invalid tag", output, decision);
	} else if (!command) {
		refuse(dialogue, REFUSAL_UNKNOWN, "BAD Unknown command", output, decision);
	} else if (!command_is_legal(command, dialogue->phase)) {
		refuse_phase(dialogue, command, output, decision);
		if (dialogue->phase == PHASE_PLAIN)
			note_exposure(command, parsed->args, decision);
	} else {
		command->apply(dialogue, parsed->args, output, decision);
	}
}

/* A synchronising literal is invited only where a legal command may have one, so never for LOGIN before TLS. */
static bool may_invite(const struct dialogue *dialogue, const struct imap_command *parsed)
{
	const struct command *command = command_find(imap_commands, parsed->name);

	return parsed->tag.len > 0 && command && command_is_legal(command, dialogue->phase) &&
	       (command->apply == apply_login || command->apply == apply_id);
}

/* The client waits for an invitation that does not come: with the reply its command is over (RFC 9051 4.3). */
static void refuse_literal(struct dialogue *dialogue, const struct imap_command *parsed,
			   struct output *output, struct decision *decision)
{
	const struct command *command = command_find(imap_commands, parsed->name);

	if (dialogue->tag[0] == '\0')
		refuse(dialogue, REFUSAL_SYNTAX, "BAD Invalid tag", output, decision);
	else if (!command)
		refuse(dialogue, REFUSAL_UNKNOWN, "BAD Unknown command", output, decision);
	else if (!command_is_legal(command, dialogue->phase))
		refuse_phase(dialogue, command, output, decision);
	else
		refuse(dialogue, REFUSAL_SYNTAX, "BAD No literal expected", output, decision);
}

static size_t read_command(struct dialogue *dialogue, char *data, size_t len, struct output *output,
			   struct decision *decision)
{
	struct imap_command parsed;
	enum imap_frame frame;

	while ((frame = imap_command_read(data, len, dialogue->settings, dialogue->continuations,
					  &dialogue->scanned, &parsed)) == IMAP_FRAME_SYNC &&
	       may_invite(dialogue, &parsed)) {
		dialogue->continuations++;
		output_text(output, "+ OK\r\n");
	}
	if (frame == IMAP_FRAME_MORE)
		return 0;
	/* Of a line that is too long no more is looked at than was allowed, however much has come. */
	remember_tag(dialogue, imap_command_tag(data, len < dialogue->settings->line_max
							      ? len
							      : dialogue->settings->line_max));
	dialogue->continuations = 0;
	dialogue->scanned = 0;
	switch (frame) {
	case IMAP_FRAME_BROKEN:
		give_up(dialogue, "BAD Line too long or malformed", output, decision);
		return len;
	case IMAP_FRAME_TOO_BIG:
		give_up(dialogue, "BAD [TOOBIG] Literal too large", output, decision);
		return len;
	case IMAP_FRAME_BAD:
		refuse(dialogue, REFUSAL_SYNTAX, "BAD Invalid character", output, decision);
		break;
	case IMAP_FRAME_SYNC:
		refuse_literal(dialogue, &parsed, output, decision);
		break;
	default:
		apply(dialogue, &parsed, output, decision);
	}
	return parsed.used;
}

/* A line of the SASL exchange. What is not base64 is for the auth process to refuse. */
static size_t read_response(struct dialogue *dialogue, const char *data, size_t len,
			    struct output *output, struct decision *decision)
{
	struct span line;
	enum line_result cut =
		line_cut(data, len, dialogue->settings->sasl_line_max, &dialogue->scanned, &line);

	if (cut == LINE_MORE)
		return 0;
	dialogue->awaiting_response = false;
	if (cut == LINE_LONG || cut == LINE_BARE_LF) {
		give_up(dialogue, "BAD Line too long or malformed", output, decision);
		return len;
	}
	decision->type = span_is(line, "*") ? DECIDE_AUTH_CANCEL : DECIDE_AUTH_RESPONSE;
	decision->response = line;
	return line.len + LINE_END_SIZE;
}

/* ---- the protocol ----------------------------------------------------------------------------------------------- */

static void imap_greet(struct dialogue *dialogue, struct output *output)
{
	output_text(output, "* OK [CAPABILITY");
	capability_list(dialogue, " ", "", output);
	output_format(output, "] %s Postern ready\r\n", dialogue->settings->hostname);
}

static size_t imap_input(struct dialogue *dialogue, char *data, size_t len, struct output *output,
			 struct decision *decision)
{
	*decision = (struct decision) { .type = DECIDE_MORE };
	if (dialogue->awaiting_response)
		return read_response(dialogue, data, len, output, decision);
	return read_command(dialogue, data, len, output, decision);
}

static void accepted(const struct dialogue *dialogue, struct span capabilities,
		     struct output *output)
{
	output_text(output, dialogue->tag);
	output_text(output, " OK ");
	if (capabilities.len > 0) {
		output_text(output, "[CAPABILITY ");
		output_span(output, capabilities);
		output_text(output, "] ");
	}
	output_text(output, "Logged in\r\n");
}

static void imap_verdict(struct dialogue *dialogue, enum verdict verdict, struct span text,
			 struct output *output)
{
	static const char *const texts[] = {
		[VERDICT_REFUSED] = "NO [AUTHENTICATIONFAILED] Authentication failed",
		[VERDICT_UNAUTHORIZED] = "NO [AUTHORIZATIONFAILED] Authorization failed",
		[VERDICT_BAD_ENCODING] = "BAD Invalid authentication response",
		[VERDICT_CANCELLED] = "BAD Authentication cancelled",
		[VERDICT_NO_MECHANISM] = "NO [CANNOT] Unsupported mechanism",
		[VERDICT_TEMPORARY] = "NO [UNAVAILABLE] Temporary authentication failure",
	};

	dialogue->awaiting_response = verdict == VERDICT_CHALLENGE;
	if (verdict == VERDICT_CHALLENGE) {
		output_text(output, "+ ");
		output_span(output, text);
		output_text(output, "\r\n");
	} else if (verdict == VERDICT_ACCEPTED) {
		accepted(dialogue, text, output);
	} else {
		reply(dialogue, output, texts[verdict]);
	}
}

static void imap_farewell(struct dialogue *dialogue, enum farewell farewell, struct output *output)
{
	static const char *const texts[] = {
		[FAREWELL_SHUTDOWN] = "* BYE Shutting down\r\n",
		[FAREWELL_TOO_MANY] = "* BYE Too many connections\r\n",
		[FAREWELL_DEADLINE] = "* BYE Took too long to log in\r\n",
		[FAREWELL_REFUSALS] = "* BYE Too many errors\r\n",
		[FAREWELL_BACKEND] = "* BYE The mail store has gone away\r\n",
	};

	(void)dialogue;
	output_text(output, texts[farewell]);
}

const struct protocol protocol_imap = {
	.name = "imap",
	.sasl_service = "imap",
	.commands = imap_commands,
	.greet = imap_greet,
	.input = imap_input,
	.verdict = imap_verdict,
	.farewell = imap_farewell,
	.login = &imap_login_script,
};
