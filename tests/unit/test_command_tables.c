/* test_command_tables - walks the tables of all three protocols: nothing with a credential is legal before TLS, and what is
 * shown is what is accepted. The proof by table and the proof by driving the dialogue must agree.
 */
#include "protocols/capability.h"
#include "tests/unit/dialogue_play.h"

static const struct protocol *const protocols[] = { &protocol_submission, &protocol_imap,
						    &protocol_pop3 };

#define COUNT(of) (sizeof(of) / sizeof((of)[0]))

/* Forms in which a credential may come; "%s" is the command. */
static const char *const forms[] = {
	"%s\r\n",
	"%s alice secret\r\n",
	"%s alice\r\n",
	"%s secret\r\n",
	"%s \"alice\" \"secret\"\r\n",
	"%s {5+}\r\nalice {6+}\r\nsecret\r\n",
	"%s {5}\r\nalice {6}\r\nsecret\r\n",
	"%s PLAIN\r\n",
	"%s PLAIN AGFsaWNlAHNlY3JldA==\r\n",
	"%s LOGIN YWxpY2U=\r\n",
	"%s PLAIN =\r\n",
	"%s EXTERNAL =\r\n",
	"%s SCRAM-SHA-256 biws\r\n",
};

/* A line in which the protocol would take that command, with a tag where it has tags. */
static void make_line(const struct protocol *protocol, const char *form, const char *name,
		      char *line, size_t size)
{
	char rest[256];
	const char *behind = form + strlen("%s");

	assert_memory_equal(form, "%s", 2);
	snprintf(rest, sizeof(rest), "%s%s", name, behind);
	snprintf(line, size, "%s%s", protocol == &protocol_imap ? "a1 " : "", rest);
}

static bool takes_credential(const struct decision *decision)
{
	return decision->type == DECIDE_AUTH_BEGIN || decision->type == DECIDE_AUTH_RESPONSE ||
	       decision->type == DECIDE_PASSWORD;
}

/* Whether any form of the command leads to a credential in that phase. */
static bool leads_to_credential(const struct protocol *protocol, const char *name, enum phase phase)
{
	static struct dialogue_play play;
	char line[512];
	bool leads = false;

	for (size_t i = 0; i < COUNT(forms); i++) {
		size_t start = 0, used = 1;

		make_line(protocol, forms[i], name, line, sizeof(line));
		dialogue_play_begin(&play, protocol, phase);
		if (protocol == &protocol_submission)
			dialogue_play_call(&play, "EHLO client.example.test\r\n", 26);
		if (protocol == &protocol_pop3 && strcmp(name, "PASS") == 0)
			dialogue_play_call(&play, "USER alice\r\n", 12);
		for (; used > 0 && start < strlen(line); start += used) {
			used = dialogue_play_call(&play, line + start, strlen(line) - start);
			leads |= takes_credential(&play.last);
			if (phase == PHASE_PLAIN)
				assert_false(play.dialogue.awaiting_response);
			if (phase == PHASE_PLAIN && strcmp(name, "ID") != 0)
				assert_true(play.reply[0] != '+' || protocol == &protocol_pop3);
			if (play.last.type == DECIDE_CLOSE)
				break;
		}
	}
	return leads;
}

static void no_secret_command_is_legal_before_tls(void **state)
{
	for (size_t i = 0; i < COUNT(protocols); i++) {
		int secrets = 0;

		for (const struct command *row = protocols[i]->commands; row->name; row++) {
			secrets += (row->flags & CMD_SECRET) != 0;
			if (row->flags & CMD_SECRET)
				assert_false(command_is_legal(row, PHASE_PLAIN));
		}
		assert_true(secrets > 0);
	}
}

static void no_command_leads_to_a_credential_before_tls(void **state)
{
	for (size_t i = 0; i < COUNT(protocols); i++)
		for (const struct command *row = protocols[i]->commands; row->name; row++)
			assert_false(leads_to_credential(protocols[i], row->name, PHASE_PLAIN));
}

static void every_command_that_leads_to_a_credential_is_marked_secret(void **state)
{
	for (size_t i = 0; i < COUNT(protocols); i++) {
		int found = 0;

		for (const struct command *row = protocols[i]->commands; row->name; row++) {
			bool leads = leads_to_credential(protocols[i], row->name, PHASE_TLS);

			found += leads;
			if (leads && !(row->flags & CMD_SECRET))
				fail_msg("%s: %s is not CMD_SECRET", protocols[i]->name, row->name);
		}
		assert_true(found > 0);
	}
}

/* By name, so that nobody takes the mark off a command unnoticed (USER leads to a credential only with PASS). */
static void the_secret_commands_are_these(void **state)
{
	static const char *const secret[] = { " AUTH", " AUTHENTICATE LOGIN",
					      " USER PASS AUTH APOP" };
	char names[256];

	for (size_t i = 0; i < COUNT(protocols); i++) {
		names[0] = '\0';
		for (const struct command *row = protocols[i]->commands; row->name; row++)
			if (row->flags & CMD_SECRET) {
				strcat(names, " ");
				strcat(names, row->name);
			}
		assert_string_equal(names, secret[i]);
	}
}

static void rows_are_sound(void **state)
{
	for (size_t i = 0; i < COUNT(protocols); i++)
		for (const struct command *row = protocols[i]->commands; row->name; row++) {
			for (const char *c = row->name; *c; c++)
				assert_true(*c >= 'A' && *c <= 'Z');
			if (row->phases & (PHASE_PLAIN | PHASE_TLS))
				assert_non_null(row->apply);
			assert_ptr_equal(command_find(protocols[i]->commands, span_of(row->name)),
					 row);
		}
	assert_null(command_find(protocol_imap.commands, SPAN("LOGI")));
	assert_null(command_find(protocol_imap.commands, SPAN("LOGINX")));
	assert_null(command_find(protocol_imap.commands, SPAN("")));
}

/* What shows that a command is offered, and a line that uses it. */
static const struct offer {
	const struct protocol *protocol;
	const char *capability, *line;
	bool negative; /* shown where the command is refused */
} offers[] = {
	{ &protocol_imap, "IMAP4rev1", "a1 CAPABILITY\r\n", false },
	{ &protocol_imap, "STARTTLS", "a1 STARTTLS\r\n", false },
	{ &protocol_imap, "LOGINDISABLED", "a1 LOGIN alice secret\r\n", true },
	{ &protocol_imap, "SASL-IR", "a1 AUTHENTICATE PLAIN AGEAYg==\r\n", false },
	{ &protocol_imap, "AUTH=PLAIN", "a1 AUTHENTICATE PLAIN\r\n", false },
	{ &protocol_imap, "AUTH=LOGIN", "a1 AUTHENTICATE LOGIN\r\n", false },
	{ &protocol_imap, "AUTH=EXTERNAL", "a1 AUTHENTICATE EXTERNAL\r\n", false },
	{ &protocol_imap, "ID", "a1 ID NIL\r\n", false },
	{ &protocol_imap, "LITERAL+", "a1 ID ({1+}\r\nx NIL)\r\n", false },
	{ &protocol_pop3, "STLS", "STLS\r\n", false },
	{ &protocol_pop3, "USER", "USER alice\r\n", false },
	{ &protocol_pop3, "SASL PLAIN LOGIN", "AUTH PLAIN\r\n", false },
	{ &protocol_pop3, "SASL PLAIN LOGIN", "AUTH LOGIN AGEAYg==\r\n", false },
	{ &protocol_submission, "STARTTLS", "STARTTLS\r\n", false },
	{ &protocol_submission, "AUTH PLAIN LOGIN", "AUTH PLAIN\r\n", false },
	{ &protocol_submission, "AUTH PLAIN LOGIN", "AUTH LOGIN AGEAYg==\r\n", false },
};

/* The list as the client sees it, one capability between two line feeds each. */
static void list_capabilities(const struct protocol *protocol, enum phase phase, char *list,
			      size_t size)
{
	struct dialogue dialogue = { .phase = 0 };
	struct output output;

	dialogue_init(&dialogue, protocol, &play_settings, phase);
	output_init(&output, list, size - 1);
	capability_list(&dialogue, "\n", "\n", &output);
	assert_false(output.overflow);
	list[output.len] = '\0';
}

static bool is_listed(const char *list, const char *capability)
{
	char item[64];

	snprintf(item, sizeof(item), "\n%s\n", capability);
	return strstr(list, item) != NULL;
}

static void what_is_shown_is_accepted_and_the_reverse(void **state)
{
	static const enum phase phases[] = { PHASE_PLAIN, PHASE_TLS };
	static struct dialogue_play play;
	char list[1024];

	for (size_t i = 0; i < 2 * COUNT(offers); i++) {
		const struct offer *offer = &offers[i / 2];
		enum phase phase = phases[i % 2];

		dialogue_play_begin(&play, offer->protocol, phase);
		if (offer->protocol == &protocol_submission)
			dialogue_play_call(&play, "EHLO client.example.test\r\n", 26);
		assert_int_equal(dialogue_play_call(&play, offer->line, strlen(offer->line)),
				 strlen(offer->line));
		bool accepted = play.last.refusal == REFUSAL_NONE;

		list_capabilities(offer->protocol, phase, list, sizeof(list));
		if (is_listed(list, offer->capability) != (accepted != offer->negative))
			fail_msg("%s, phase %d: %s listed, and %s says otherwise",
				 offer->protocol->name, (int)phase, offer->capability, offer->line);
	}
}

/* No capability is shown that the table of offers above does not prove. */
static void every_capability_shown_is_proven(void **state)
{
	static const char *const notes[] = { "RESP-CODES", "AUTH-RESP-CODE" };
	static const enum phase phases[] = { PHASE_PLAIN, PHASE_TLS };
	char list[1024], *save = NULL;

	for (size_t i = 0; i < 2 * COUNT(protocols); i++) {
		list_capabilities(protocols[i / 2], phases[i % 2], list, sizeof(list));
		for (char *item = strtok_r(list, "\n", &save); item;
		     item = strtok_r(NULL, "\n", &save)) {
			bool proven = strcmp(item, notes[0]) == 0 || strcmp(item, notes[1]) == 0;

			for (size_t k = 0; k < COUNT(offers); k++)
				proven |= offers[k].protocol == protocols[i / 2] &&
					  strcmp(offers[k].capability, item) == 0;
			if (!proven)
				fail_msg("%s shows %s", protocols[i / 2]->name, item);
		}
	}
}

static void settings_cannot_offer_what_belongs_to_the_table(void **state)
{
	static const char *const stated[] = { "AUTH=EXTERNAL",
					      "AUTH CRAM-MD5",
					      "LOGINDISABLED",
					      "STARTTLS",
					      "STLS",
					      "SASL X",
					      "user",
					      "APOP",
					      "",
					      "IDLE",
					      NULL };
	struct dialogue_settings settings = play_settings;
	struct dialogue dialogue = { .phase = 0 };
	struct output output;
	char list[1024], expected[1024];

	settings.capabilities = stated;
	for (size_t i = 0; i < COUNT(protocols); i++) {
		list_capabilities(protocols[i], PHASE_PLAIN, expected, sizeof(expected) - 8);
		strcat(expected, "\nIDLE\n");
		dialogue_init(&dialogue, protocols[i], &settings, PHASE_PLAIN);
		output_init(&output, list, sizeof(list) - 1);
		capability_list(&dialogue, "\n", "\n", &output);
		list[output.len] = '\0';
		assert_string_equal(list, expected);
	}
}

static void a_mechanism_is_offered_only_when_the_settings_name_it(void **state)
{
	assert_null(capability_mechanism(&play_settings, SPAN("EXTERNAL")));
	assert_null(capability_mechanism(&play_settings, SPAN("PLAI")));
	assert_null(capability_mechanism(&play_settings, SPAN("")));
	assert_string_equal(capability_mechanism(&play_settings, SPAN("plain")), "PLAIN");
}

static void without_mechanisms_none_are_shown(void **state)
{
	static const char *const none[] = { NULL };
	struct dialogue_settings settings = play_settings;
	struct dialogue dialogue = { .phase = 0 };
	struct output output;
	char list[1024];

	settings.mechanisms = none;
	settings.capabilities = NULL;
	for (size_t i = 0; i < COUNT(protocols); i++) {
		dialogue_init(&dialogue, protocols[i], &settings, PHASE_TLS);
		output_init(&output, list, sizeof(list) - 1);
		capability_list(&dialogue, "\n", "\n", &output);
		list[output.len] = '\0';
		assert_null(strstr(list, "\nAUTH "));
		assert_null(strstr(list, "AUTH="));
		assert_null(strstr(list, "\nSASL "));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_secret_command_is_legal_before_tls),
		cmocka_unit_test(no_command_leads_to_a_credential_before_tls),
		cmocka_unit_test(every_command_that_leads_to_a_credential_is_marked_secret),
		cmocka_unit_test(the_secret_commands_are_these),
		cmocka_unit_test(rows_are_sound),
		cmocka_unit_test(what_is_shown_is_accepted_and_the_reverse),
		cmocka_unit_test(every_capability_shown_is_proven),
		cmocka_unit_test(settings_cannot_offer_what_belongs_to_the_table),
		cmocka_unit_test(a_mechanism_is_offered_only_when_the_settings_name_it),
		cmocka_unit_test(without_mechanisms_none_are_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
