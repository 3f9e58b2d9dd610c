/* smtp_allow - see smtp_allow.h.
 * RFC 5321 4.1.1; RFC 4954 4 (no second AUTH).
 */
#include "protocols/smtp_allow.h"
#include "protocols/protocol.h"

enum arguments {
	ARGUMENTS_NONE,
	ARGUMENTS_ANY,
	ARGUMENTS_SOME,
	ARGUMENTS_NAME,
	ARGUMENTS_FROM,
	ARGUMENTS_TO,
};

struct form {
	const char *verb;
	enum arguments arguments;
	enum smtp_owed_type owed;
};

static const struct form forms[] = {
	{ "EHLO", ARGUMENTS_NAME, SMTP_OWED_EHLO },  { "HELO", ARGUMENTS_NAME, SMTP_OWED_HELO },
	{ "MAIL", ARGUMENTS_FROM, SMTP_OWED_REPLY }, { "RCPT", ARGUMENTS_TO, SMTP_OWED_REPLY },
	{ "DATA", ARGUMENTS_NONE, SMTP_OWED_DATA },  { "BDAT", ARGUMENTS_ANY, SMTP_OWED_CHUNK },
	{ "RSET", ARGUMENTS_NONE, SMTP_OWED_REPLY }, { "NOOP", ARGUMENTS_ANY, SMTP_OWED_REPLY },
	{ "QUIT", ARGUMENTS_NONE, SMTP_OWED_QUIT },  { "VRFY", ARGUMENTS_SOME, SMTP_OWED_REPLY },
	{ "EXPN", ARGUMENTS_SOME, SMTP_OWED_REPLY }, { "HELP", ARGUMENTS_ANY, SMTP_OWED_REPLY },
};

static const struct form *find_form(const struct command *row)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (strcmp(forms[i].verb, row->name) == 0)
			return &forms[i];
	return NULL;
}

static const char *take_envelope(struct span args, const struct smtp_params_rules *rules, bool mail,
				 struct smtp_allowed *out)
{
	struct smtp_envelope envelope;

	out->keyword = mail ? "FROM:" : "TO:";
	if (!smtp_envelope_parse(args, out->keyword, &envelope))
		return mail ? "501 5.5.4 Syntax: MAIL FROM:<address>\r\n"
			    : "501 5.5.4 Syntax: RCPT TO:<address>\r\n";
	out->args = envelope.path;
	return mail ? smtp_params_mail(envelope.parameters, rules, &out->params)
		    : smtp_params_rcpt(envelope.parameters, rules, &out->params);
}

/* What is wrong with the arguments, as the client hears it, or NULL. */
static const char *take_arguments(enum arguments form, struct span args,
				  const struct smtp_params_rules *rules, struct smtp_allowed *out)
{
	out->keyword = "";
	out->args = args;
	out->params = (struct smtp_params) { .count = 0 };
	switch (form) {
	case ARGUMENTS_ANY:
		break;
	case ARGUMENTS_NONE:
		return args.len == 0 ? NULL : "501 5.5.4 No argument is allowed here\r\n";
	case ARGUMENTS_SOME:
		return args.len > 0 ? NULL : "501 5.5.4 An argument is needed\r\n";
	case ARGUMENTS_NAME:
		if (!smtp_name_acceptable(args))
			return "501 5.5.4 A host name or address literal is needed\r\n";
		break;
	case ARGUMENTS_FROM:
	case ARGUMENTS_TO:
		return take_envelope(args, rules, form == ARGUMENTS_FROM, out);
	}
	return NULL;
}

const char *smtp_allow(struct span line, const struct smtp_params_rules *rules,
		       struct smtp_allowed *out)
{
	struct smtp_command command;
	const struct command *row;
	const struct form *form;
	const char *refusal;

	if (!smtp_command_parse(line, &command))
		return "500 5.5.2 Syntax error\r\n";
	row = command_find(protocol_submission.commands, command.verb);
	if (!row)
		return "500 5.5.2 Command not recognized\r\n";
	form = command_is_legal(row, PHASE_RELAY) ? find_form(row) : NULL;
	/* AUTH and STARTTLS had their time; what is legal in no phase never comes. */
	if (!form)
		return row->phases != 0 ? "503 5.5.1 Not after login\r\n"
					: "502 5.5.1 Command not available\r\n";
	out->verb = row->name;
	out->owed = form->owed;
	refusal = take_arguments(form->arguments, command.args, rules, out);
	if (out->params.binary)
		out->owed = SMTP_OWED_BINARY;
	return refusal;
}

bool smtp_allowed_write(const struct smtp_allowed *allowed, struct output *backend)
{
	struct output trial = *backend;

	output_text(&trial, allowed->verb);
	if (allowed->args.len > 0)
		output_text(&trial, " ");
	output_text(&trial, allowed->keyword);
	output_span(&trial, allowed->args);
	for (size_t i = 0; i < allowed->params.count; i++) {
		output_text(&trial, " ");
		output_span(&trial, allowed->params.kept[i]);
	}
	output_text(&trial, "\r\n");
	if (trial.overflow)
		return false;
	*backend = trial;
	return true;
}
