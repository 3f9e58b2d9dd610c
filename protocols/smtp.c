/* smtp - submission before login: the command table, the dialogue up to AUTH, the words of every verdict and farewell.
 * Invariants: the phase mask decides before any handler runs; before TLS exactly EHLO, NOOP, STARTTLS and QUIT are
 * served; nothing of a mail transaction is served here at all. The rows with PHASE_RELAY are also the allow-list of
 * smtp_relay.c.
 * RFC 5321 3.5, 4.1, 4.2; RFC 3207 4; RFC 4954 4; RFC 2034; RFC 6409 4.3.
 */
#include "protocols/capability.h"
#include "protocols/line.h"
#include "protocols/smtp_command.h"
#include "protocols/smtp_login.h"

static void refuse(struct decision *decision, enum refusal refusal, struct output *out,
		   const char *reply)
{
	decision->type = DECIDE_REPLY;
	decision->refusal = refusal;
	output_text(out, reply);
}

static void answer(struct decision *decision, struct output *out, const char *reply)
{
	decision->type = DECIDE_REPLY;
	output_text(out, reply);
}

static bool refuse_arguments(struct span args, struct output *out, struct decision *decision)
{
	if (args.len > 0)
		refuse(decision, REFUSAL_SYNTAX, out, "501 5.5.4 No argument is allowed here\r\n");
	return args.len > 0;
}

/* Turns the "-" of the last line written since `begin` into the blank that ends a reply. */
static void end_reply(struct output *out, size_t begin)
{
	size_t line = begin;

	for (size_t i = begin; i + 1 < out->len; i++)
		if (out->data[i] == '\n')
			line = i + 1;
	if (out->len > line + 3)
		out->data[line + 3] = ' ';
}

static void refuse_name(struct output *out, struct decision *decision)
{
	refuse(decision, REFUSAL_SYNTAX, out,
	       "501 5.5.4 A host name or address literal is needed\r\n");
}

static void apply_ehlo(struct dialogue *d, struct span args, struct output *out,
		       struct decision *decision)
{
	size_t begin = out->len;

	if (!smtp_name_acceptable(args)) {
		refuse_name(out, decision);
		return;
	}
	memcpy(d->name, args.data, args.len);
	d->name[args.len] = '\0';
	decision->type = DECIDE_REPLY;
	output_format(out, "250-%s\r\n250-PIPELINING\r\n", d->settings->hostname);
	capability_list(d, "250-", "\r\n", out);
	end_reply(out, begin);
}

/* AUTH needs EHLO (RFC 4954 4), so HELO takes the name away again. */
static void apply_helo(struct dialogue *d, struct span args, struct output *out,
		       struct decision *decision)
{
	if (!smtp_name_acceptable(args)) {
		refuse_name(out, decision);
		return;
	}
	d->name[0] = '\0';
	decision->type = DECIDE_REPLY;
	output_format(out, "250 %s\r\n", d->settings->hostname);
}

static void apply_starttls(struct dialogue *d, struct span args, struct output *out,
			   struct decision *decision)
{
	if (refuse_arguments(args, out, decision))
		return;
	decision->type = DECIDE_START_TLS;
	output_text(out, "220 2.0.0 Ready to start TLS\r\n");
}

static void apply_auth(struct dialogue *d, struct span args, struct output *out,
		       struct decision *decision)
{
	struct span rest = args, name = span_word(&rest), response = span_word(&rest);
	const char *mechanism;

	if (d->name[0] == '\0') {
		refuse(decision, REFUSAL_PHASE, out, "503 5.5.1 Send EHLO first\r\n");
		return;
	}
	if (name.len == 0 || span_word(&rest).len > 0) {
		refuse(decision, REFUSAL_SYNTAX, out,
		       "501 5.5.4 Syntax: AUTH mechanism [initial-response]\r\n");
		return;
	}
	mechanism = capability_mechanism(d->settings, name);
	if (!mechanism) {
		refuse(decision, REFUSAL_SYNTAX, out,
		       "504 5.5.4 That mechanism is not offered\r\n");
		return;
	}
	decision->type = DECIDE_AUTH_BEGIN;
	decision->mechanism = span_of(mechanism);
	decision->has_response = response.len > 0;
	/* "=" stands for an initial response of no octets. */
	decision->response = span_is(response, "=") ? span_from(response, 1) : response;
}

static void apply_noop(struct dialogue *d, struct span args, struct output *out,
		       struct decision *decision)
{
	answer(decision, out, "250 2.0.0 OK\r\n");
}

static void apply_rset(struct dialogue *d, struct span args, struct output *out,
		       struct decision *decision)
{
	if (!refuse_arguments(args, out, decision))
		answer(decision, out, "250 2.0.0 OK\r\n");
}

static void apply_quit(struct dialogue *d, struct span args, struct output *out,
		       struct decision *decision)
{
	if (refuse_arguments(args, out, decision))
		return;
	decision->type = DECIDE_CLOSE;
	decision->refusal = REFUSAL_QUIT;
	output_text(out, "221 2.0.0 Bye\r\n");
}

/* 252 tells nothing about anybody (RFC 5321 7.3); a 530 would promise more to whoever logs in. */
static void apply_vrfy(struct dialogue *d, struct span args, struct output *out,
		       struct decision *decision)
{
	if (args.len == 0)
		refuse(decision, REFUSAL_SYNTAX, out, "501 5.5.4 Syntax: VRFY name\r\n");
	else
		answer(decision, out, "252 2.5.2 Cannot verify; send mail and see\r\n");
}

static void apply_help(struct dialogue *d, struct span args, struct output *out,
		       struct decision *decision)
{
	answer(decision, out, "214 2.0.0 Mail is submitted after STARTTLS, EHLO and AUTH\r\n");
}

static const struct command commands[] = {
	{ "EHLO", PHASE_PLAIN | PHASE_TLS | PHASE_RELAY, CMD_LAST, NULL, apply_ehlo },
	{ "HELO", PHASE_TLS | PHASE_RELAY, CMD_LAST, NULL, apply_helo },
	{ "STARTTLS", PHASE_PLAIN, CMD_LAST, "STARTTLS", apply_starttls },
	{ "AUTH", PHASE_TLS, CMD_SECRET | CMD_LAST, "AUTH *", apply_auth },
	{ "NOOP", PHASE_PLAIN | PHASE_TLS | PHASE_RELAY, CMD_LAST, NULL, apply_noop },
	{ "RSET", PHASE_TLS | PHASE_RELAY, 0, NULL, apply_rset },
	{ "QUIT", PHASE_PLAIN | PHASE_TLS | PHASE_RELAY, CMD_LAST, NULL, apply_quit },
	{ "VRFY", PHASE_TLS | PHASE_RELAY, CMD_LAST, NULL, apply_vrfy },
	{ "HELP", PHASE_TLS | PHASE_RELAY, 0, NULL, apply_help },
	{ "MAIL", PHASE_RELAY, 0, NULL, NULL },
	{ "RCPT", PHASE_RELAY, 0, NULL, NULL },
	{ "DATA", PHASE_RELAY, CMD_LAST, NULL, NULL },
	{ "BDAT", PHASE_RELAY, CMD_LAST, NULL, NULL },
	{ "EXPN", PHASE_RELAY, CMD_LAST, NULL, NULL },
	/* Known and never served. A capability in such a row is never shown, even when a pool states it. */
	{ "ETRN", 0, 0, "ETRN", NULL },
	{ "BURL", 0, 0, "BURL", NULL },
	{ "XCLIENT", 0, 0, "XCLIENT", NULL },
	{ "XFORWARD", 0, 0, "XFORWARD", NULL },
	{ NULL, 0, 0, NULL, NULL },
};

/* True when an AUTH line carries an initial response that is not empty. */
static bool has_initial_response(struct span args)
{
	struct span response;

	span_word(&args);
	response = span_word(&args);
	return response.len > 0 && !span_is(response, "=");
}

/* Why a command may not be used now, as the client hears it. */
static void refuse_phase(const struct dialogue *d, const struct command *row, struct span args,
			 struct output *out, struct decision *decision)
{
	if (d->phase == PHASE_PLAIN && row && (row->flags & CMD_SECRET)) {
		/* What came may be a password. Whose, stands inside the base64, which is not opened. */
		decision->exposed = has_initial_response(args);
		refuse(decision, REFUSAL_PLAINTEXT, out,
		       "538 5.7.11 Encryption is required: STARTTLS first\r\n");
	} else if (d->phase == PHASE_PLAIN) {
		refuse(decision, REFUSAL_PLAINTEXT, out,
		       "530 5.7.0 Must issue a STARTTLS command first\r\n");
	} else if (!row) {
		refuse(decision, REFUSAL_UNKNOWN, out, "500 5.5.2 Command not recognized\r\n");
	} else if (row->phases & PHASE_RELAY) {
		refuse(decision, REFUSAL_PHASE, out, "530 5.7.0 Authentication required\r\n");
	} else if (row->phases & PHASE_PLAIN) {
		refuse(decision, REFUSAL_PHASE, out, "503 5.5.1 TLS is already active\r\n");
	} else {
		refuse(decision, REFUSAL_UNKNOWN, out, "502 5.5.1 Command not available\r\n");
	}
}

static void take_command(struct dialogue *d, struct span line, struct output *out,
			 struct decision *decision)
{
	const struct command *row;
	struct smtp_command command;

	if (!smtp_command_parse(line, &command)) {
		refuse(decision, REFUSAL_SYNTAX, out, "500 5.5.2 Syntax error\r\n");
		return;
	}
	row = command_find(d->protocol->commands, command.verb);
	if (row && command_is_legal(row, d->phase) && row->apply) {
		row->apply(d, command.args, out, decision);
		return;
	}
	refuse_phase(d, row, command.args, out, decision);
}

static void take_response(struct dialogue *d, struct span line, struct decision *decision)
{
	d->awaiting_response = false;
	if (span_is(line, "*")) {
		decision->type = DECIDE_AUTH_CANCEL;
		return;
	}
	decision->type = DECIDE_AUTH_RESPONSE;
	decision->response = line;
	decision->has_response = true;
}

/* An AUTH line may carry an initial response and has its bound (RFC 4954 4). */
static size_t line_bound(const struct dialogue *d, const char *data, size_t len)
{
	bool sasl = d->awaiting_response || span_begins((struct span) { data, len }, "AUTH ");

	return sasl ? d->settings->sasl_line_max : d->settings->line_max;
}

static size_t smtp_input(struct dialogue *d, char *data, size_t len, struct output *out,
			 struct decision *decision)
{
	struct span line;

	*decision = (struct decision) { .type = DECIDE_MORE };
	switch (line_cut(data, len, line_bound(d, data, len), &d->scanned, &line)) {
	case LINE_MORE:
		return 0;
	case LINE_WHOLE:
		if (d->awaiting_response)
			take_response(d, line, decision);
		else
			take_command(d, line, out, decision);
		return line.len + LINE_END_SIZE;
	case LINE_BAD:
		if (d->awaiting_response)
			take_response(d, line, decision); /* no base64: the auth process says so */
		else
			refuse(decision, REFUSAL_SYNTAX, out, "500 5.5.2 Syntax error\r\n");
		return line.len + LINE_END_SIZE;
	case LINE_BARE_LF:
		refuse(decision, REFUSAL_SYNTAX, out, "500 5.5.2 Lines end with CR LF\r\n");
		break;
	case LINE_LONG:
		refuse(decision, REFUSAL_SYNTAX, out, "500 5.5.2 Line too long\r\n");
		break;
	}
	/* Where this line ends is unknown, and so is what follows it. */
	decision->type = DECIDE_CLOSE;
	return len;
}

static void smtp_greet(struct dialogue *d, struct output *out)
{
	output_format(out, "220 %s ESMTP Postern\r\n", d->settings->hostname);
}

static void smtp_verdict(struct dialogue *d, enum verdict verdict, struct span text,
			 struct output *out)
{
	static const char *const replies[] = {
		[VERDICT_ACCEPTED] = "235 2.7.0 Authentication successful\r\n",
		[VERDICT_REFUSED] = "535 5.7.8 Authentication failed\r\n",
		[VERDICT_UNAUTHORIZED] = "535 5.7.8 Authentication failed\r\n",
		[VERDICT_BAD_ENCODING] = "501 5.5.2 Cannot decode the response\r\n",
		[VERDICT_CANCELLED] = "501 5.7.0 Authentication cancelled\r\n",
		[VERDICT_NO_MECHANISM] = "504 5.5.4 That mechanism is not offered\r\n",
		[VERDICT_TEMPORARY] = "454 4.7.0 Temporary authentication failure\r\n",
	};

	d->awaiting_response = verdict == VERDICT_CHALLENGE;
	if (verdict == VERDICT_CHALLENGE) {
		output_text(out, "334 ");
		output_span(out, text);
		output_text(out, "\r\n");
		return;
	}
	output_text(out, replies[verdict]);
}

static void smtp_farewell(struct dialogue *d, enum farewell farewell, struct output *out)
{
	static const struct {
		const char *code, *text;
	} words[] = {
		[FAREWELL_SHUTDOWN] = { "4.3.2", "Service is shutting down" },
		[FAREWELL_TOO_MANY] = { "4.7.0", "Too many connections" },
		[FAREWELL_DEADLINE] = { "4.4.2", "Login took too long" },
		[FAREWELL_REFUSALS] = { "4.7.0", "Too many refused commands" },
		[FAREWELL_BACKEND] = { "4.3.2", "Mail service has gone" },
	};

	output_format(out, "421 %s %s %s\r\n", words[farewell].code, d->settings->hostname,
		      words[farewell].text);
}

const struct protocol protocol_submission = {
	.name = "submission",
	.sasl_service = "smtp",
	.commands = commands,
	.greet = smtp_greet,
	.input = smtp_input,
	.verdict = smtp_verdict,
	.farewell = smtp_farewell,
	.login = &smtp_login_script,
};
