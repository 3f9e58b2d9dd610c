/* test_smtp - submission before login: what the transcripts in tests/dialogue cannot show. Every command of the table in
 * every phase, the spans of decisions, the bytes used, and the bounds of the output.
 */
#include "protocols/protocol.h"
#include "tests/support/guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static const char *const mechanisms[] = { "PLAIN", "LOGIN", NULL };
static const char *const no_capabilities[] = { NULL };
static const struct dialogue_settings settings = {
	.hostname = "mail.example.test",
	.mechanisms = mechanisms,
	.capabilities = no_capabilities,
	.line_max = 2000,
	.sasl_line_max = 16384,
};

static char storage[OUTPUT_MAX];

/* Shows a copy before an unreadable page; the reply is left in `storage` with NUL behind it. */
static size_t show(struct dialogue *d, const char *bytes, size_t len, struct decision *decision)
{
	struct output output;
	char *data = guard_copy(bytes, len);
	size_t used;

	output_init(&output, storage, sizeof(storage) - 1);
	used = protocol_submission.input(d, data, len, &output, decision);
	assert_true(used <= len);
	assert_false(output.overflow);
	storage[output.len] = '\0';
	guard_free(data, len);
	return used;
}

static void begin(struct dialogue *d, enum phase phase, bool greeted)
{
	struct decision decision;

	dialogue_init(d, &protocol_submission, &settings, phase);
	if (greeted)
		show(d, "EHLO client\r\n", 13, &decision);
}

static const struct {
	const char *line, *plain, *tls; /* how the replies begin */
} replies[] = {
	{ "EHLO client", "250-", "250-" },
	{ "HELO client", "530 5.7.0", "250 " },
	{ "STARTTLS", "220 2.0.0", "503 5.5.1" },
	{ "AUTH PLAIN", "538 5.7.11", "" },
	{ "NOOP", "250 2.0.0", "250 2.0.0" },
	{ "RSET", "530 5.7.0", "250 2.0.0" },
	{ "QUIT", "221 2.0.0", "221 2.0.0" },
	{ "VRFY a", "530 5.7.0", "252 2.5.2" },
	{ "HELP", "530 5.7.0", "214 2.0.0" },
	{ "MAIL FROM:<a@b>", "530 5.7.0", "530 5.7.0" },
	{ "RCPT TO:<a@b>", "530 5.7.0", "530 5.7.0" },
	{ "DATA", "530 5.7.0", "530 5.7.0" },
	{ "BDAT 1", "530 5.7.0", "530 5.7.0" },
	{ "EXPN a", "530 5.7.0", "530 5.7.0" },
	{ "ETRN a", "530 5.7.0", "502 5.5.1" },
	{ "BURL a", "530 5.7.0", "502 5.5.1" },
	{ "XCLIENT a", "530 5.7.0", "502 5.5.1" },
	{ "XFORWARD a", "530 5.7.0", "502 5.5.1" },
};

static void every_command_is_answered_as_its_phase_says(void **state)
{
	size_t rows = 0;

	for (const struct command *row = protocol_submission.commands; row->name; row++, rows++)
		assert_true(span_begins(span_of(replies[rows].line), row->name));
	assert_int_equal(rows, sizeof(replies) / sizeof(replies[0]));
	for (size_t i = 0; i < rows; i++) {
		for (int phase = PHASE_PLAIN; phase <= PHASE_TLS; phase++) {
			const char *begins =
				phase == PHASE_PLAIN ? replies[i].plain : replies[i].tls;
			struct decision decision;
			struct dialogue d;
			char line[64];
			size_t len = (size_t)sprintf(line, "%s\r\n", replies[i].line);

			begin(&d, (enum phase)phase, true);
			assert_int_equal(show(&d, line, len, &decision), len);
			if (strncmp(storage, begins, strlen(begins)) != 0)
				fail_msg("%s: %s", replies[i].line, storage);
		}
	}
}

static void nothing_with_credentials_is_legal_before_tls(void **state)
{
	int secrets = 0;

	for (const struct command *row = protocol_submission.commands; row->name; row++) {
		bool served = !strcmp(row->name, "EHLO") || !strcmp(row->name, "NOOP") ||
			      !strcmp(row->name, "STARTTLS") || !strcmp(row->name, "QUIT");

		assert_int_equal((row->phases & PHASE_PLAIN) != 0, served);
		if (row->flags & CMD_SECRET)
			assert_int_equal(row->phases, PHASE_TLS);
		secrets += (row->flags & CMD_SECRET) != 0;
		/* What the dialogue serves has a handler. */
		if (row->phases & (PHASE_PLAIN | PHASE_TLS))
			assert_non_null(row->apply);
	}
	assert_int_equal(secrets, 1);
}

static void one_call_takes_one_command(void **state)
{
	static const char lines[] = "STARTTLS\r\nEHLO evil\r\nMAIL FROM:<a@b>\r\n";
	struct decision decision;
	struct dialogue d;

	begin(&d, PHASE_PLAIN, false);
	assert_int_equal(show(&d, lines, sizeof(lines) - 1, &decision), 10);
	assert_int_equal(decision.type, DECIDE_START_TLS);
	assert_string_equal(storage, "220 2.0.0 Ready to start TLS\r\n");
}

static void every_prefix_of_a_line_asks_for_more(void **state)
{
	static const char line[] = "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n";
	struct decision decision;
	struct dialogue d;

	begin(&d, PHASE_TLS, true);
	for (size_t len = 0; len < sizeof(line) - 1; len++) {
		assert_int_equal(show(&d, line, len, &decision), 0);
		assert_int_equal(decision.type, DECIDE_MORE);
		assert_string_equal(storage, "");
	}
	assert_int_equal(show(&d, line, sizeof(line) - 1, &decision), sizeof(line) - 1);
	assert_int_equal(decision.type, DECIDE_AUTH_BEGIN);
}

static void an_exposed_password_is_reported_without_a_name(void **state)
{
	static const struct {
		const char *line;
		bool exposed;
	} cases[] = {
		{ "AUTH PLAIN AGEAYg==\r\n", true },
		{ "AUTH LOGIN YQ==\r\n", true },
		{ "auth x y\r\n", true },
		{ "AUTH PLAIN\r\n", false },
		{ "AUTH PLAIN =\r\n", false },
		{ "AUTH\r\n", false },
		{ "AUTHPLAIN AGEAYg==\r\n", false },
		{ "NOOP AGEAYg==\r\n", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct decision decision;
		struct dialogue d;

		begin(&d, PHASE_PLAIN, true);
		show(&d, cases[i].line, strlen(cases[i].line), &decision);
		assert_int_equal(decision.exposed, cases[i].exposed);
		assert_int_equal(decision.exposed_user.len, 0);
		assert_int_equal(decision.response.len, 0);
	}
}

static void the_ehlo_name_is_kept_and_helo_takes_it_away(void **state)
{
	struct decision decision;
	struct dialogue d;

	begin(&d, PHASE_TLS, false);
	show(&d, "EHLO Some.Host\r\n", 16, &decision);
	assert_string_equal(d.name, "Some.Host");
	show(&d, "EHLO bad name\r\n", 15, &decision);
	assert_string_equal(d.name, "Some.Host");
	show(&d, "HELO other\r\n", 12, &decision);
	assert_string_equal(d.name, "");
}

static void a_challenge_makes_the_next_line_a_response(void **state)
{
	struct decision decision;
	struct output output;
	struct dialogue d;

	begin(&d, PHASE_TLS, true);
	show(&d, "AUTH LOGIN\r\n", 12, &decision);
	assert_false(decision.has_response);
	output_init(&output, storage, sizeof(storage));
	protocol_submission.verdict(&d, VERDICT_CHALLENGE, SPAN("UGFzc3dvcmQ6"), &output);
	assert_memory_equal(storage, "334 UGFzc3dvcmQ6\r\n", output.len);
	assert_true(d.awaiting_response);
	show(&d, "\r\n", 2, &decision);
	assert_int_equal(decision.type, DECIDE_AUTH_RESPONSE);
	assert_int_equal(decision.response.len, 0);
	protocol_submission.verdict(&d, VERDICT_REFUSED, SPAN(""), &output);
	assert_false(d.awaiting_response);
	show(&d, "NOOP\r\n", 6, &decision);
	assert_int_equal(decision.type, DECIDE_REPLY);
}

/* Wrong password and unknown user, or may not act as that user: one text. */
static void every_verdict_has_its_reply(void **state)
{
	static const struct {
		enum verdict verdict;
		const char *code;
	} cases[] = {
		{ VERDICT_ACCEPTED, "235 2.7.0 " },     { VERDICT_REFUSED, "535 5.7.8 " },
		{ VERDICT_UNAUTHORIZED, "535 5.7.8 " }, { VERDICT_BAD_ENCODING, "501 5.5.2 " },
		{ VERDICT_CANCELLED, "501 5.7.0 " },    { VERDICT_NO_MECHANISM, "504 5.5.4 " },
		{ VERDICT_TEMPORARY, "454 4.7.0 " },
	};
	struct output output;
	struct dialogue d;

	begin(&d, PHASE_TLS, true);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		output_init(&output, storage, sizeof(storage));
		protocol_submission.verdict(&d, cases[i].verdict, SPAN("ignored"), &output);
		assert_memory_equal(storage, cases[i].code, 10);
		assert_memory_equal(storage + output.len - 2, "\r\n", 2);
		assert_null(memmem(storage, output.len, "ignored", 7));
	}
}

static void a_challenge_as_long_as_sasl_allows_fits(void **state)
{
	static char challenge[16384];
	struct output output;
	struct dialogue d;

	memset(challenge, 'A', sizeof(challenge));
	begin(&d, PHASE_TLS, true);
	output_init(&output, storage, sizeof(storage));
	protocol_submission.verdict(&d, VERDICT_CHALLENGE,
				    (struct span) { challenge, sizeof(challenge) }, &output);
	assert_false(output.overflow);
	assert_int_equal(output.len, sizeof(challenge) + 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_command_is_answered_as_its_phase_says),
		cmocka_unit_test(nothing_with_credentials_is_legal_before_tls),
		cmocka_unit_test(one_call_takes_one_command),
		cmocka_unit_test(every_prefix_of_a_line_asks_for_more),
		cmocka_unit_test(an_exposed_password_is_reported_without_a_name),
		cmocka_unit_test(the_ehlo_name_is_kept_and_helo_takes_it_away),
		cmocka_unit_test(a_challenge_makes_the_next_line_a_response),
		cmocka_unit_test(every_verdict_has_its_reply),
		cmocka_unit_test(a_challenge_as_long_as_sasl_allows_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
