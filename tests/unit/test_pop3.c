/* test_pop3 - the POP3 dialogue where a transcript cannot look: split input, verdicts, and when a name is forgotten. */
#include "tests/unit/dialogue_play.h"

static const char *const conversations[] = {
	"CAPA\r\nNOOP\r\nUSER alice\r\nPASS a b\r\nPASS c\r\nQUIT\r\n",
	"USER alice\r\nUSER bob\r\nPASS x\r\nSTAT\r\n",
	"AUTH\r\nAUTH PLAIN AGEAYg==\r\nAUTH LOGIN\r\nAUTH X\r\nAUTH PLAIN a b\r\n",
	"NOOP x\r\n\r\n \r\nNO\rOP\r\nAPOP a b\r\nSTLS x\r\n",
	"STLS\r\nNOOP\r\n",
	"NOOP\nNOOP\r\n",
};

static void how_the_bytes_are_cut_does_not_matter(void **state)
{
	for (size_t i = 0; i < sizeof(conversations) / sizeof(conversations[0]); i++)
		dialogue_play_cuts(&protocol_pop3, conversations[i]);
}

static void take(struct dialogue *dialogue, const char *line, struct decision *decision,
		 struct output *output)
{
	char copy[600];

	strcpy(copy, line);
	assert_int_equal(protocol_pop3.input(dialogue, copy, strlen(copy), output, decision),
			 strlen(line));
	explicit_bzero(copy, sizeof(copy));
}

static void verdicts_are_said_and_the_name_forgotten(void **state)
{
	static const struct {
		enum verdict verdict;
		const char *text, *reply;
	} cases[] = {
		{ VERDICT_ACCEPTED, "", "+OK Logged in\r\n" },
		{ VERDICT_REFUSED, "", "-ERR [AUTH] Authentication failed\r\n" },
		{ VERDICT_UNAUTHORIZED, "", "-ERR [AUTH] Authorization failed\r\n" },
		{ VERDICT_BAD_ENCODING, "", "-ERR Invalid authentication response\r\n" },
		{ VERDICT_CANCELLED, "", "-ERR Authentication cancelled\r\n" },
		{ VERDICT_NO_MECHANISM, "", "-ERR Unsupported mechanism\r\n" },
		{ VERDICT_TEMPORARY, "", "-ERR [SYS/TEMP] Cannot log you in now\r\n" },
		{ VERDICT_TEMPORARY, "IN-USE", "-ERR [IN-USE] Cannot log you in now\r\n" },
	};
	static const char zeros[sizeof(((struct dialogue *)NULL)->name)];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dialogue dialogue = { .phase = 0 };
		struct decision decision;
		struct output output;
		char storage[OUTPUT_MAX];

		dialogue_init(&dialogue, &protocol_pop3, &play_settings, PHASE_TLS);
		output_init(&output, storage, sizeof(storage));
		take(&dialogue, "USER alice\r\n", &decision, &output);
		assert_string_equal(dialogue.name, "alice");
		take(&dialogue, "PASS secret\r\n", &decision, &output);
		assert_int_equal(decision.type, DECIDE_PASSWORD);
		assert_ptr_equal(decision.user.data, dialogue.name);
		output.len = 0;
		protocol_pop3.verdict(&dialogue, cases[i].verdict, span_of(cases[i].text), &output);
		assert_int_equal(output.len, strlen(cases[i].reply));
		assert_memory_equal(storage, cases[i].reply, output.len);
		assert_memory_equal(dialogue.name, zeros, sizeof(zeros));
	}
}

static void a_second_name_leaves_nothing_of_the_first(void **state)
{
	struct dialogue dialogue = { .phase = 0 };
	struct decision decision;
	struct output output;
	char storage[OUTPUT_MAX];

	dialogue_init(&dialogue, &protocol_pop3, &play_settings, PHASE_TLS);
	output_init(&output, storage, sizeof(storage));
	take(&dialogue, "USER alexandra\r\n", &decision, &output);
	take(&dialogue, "USER bob\r\n", &decision, &output);
	assert_string_equal(dialogue.name, "bob");
	assert_memory_equal(dialogue.name + 4, "\0\0\0\0\0", 5);
}

/* RFC 1939 7: a client may try APOP only when the greeting has a timestamp. */
static void the_greeting_has_no_timestamp(void **state)
{
	struct dialogue dialogue = { .phase = 0 };
	struct output output;
	char storage[OUTPUT_MAX];

	dialogue_init(&dialogue, &protocol_pop3, &play_settings, PHASE_TLS);
	output_init(&output, storage, sizeof(storage));
	protocol_pop3.greet(&dialogue, &output);
	assert_null(memchr(storage, '<', output.len));
	assert_memory_equal(storage, "+OK ", 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(how_the_bytes_are_cut_does_not_matter),
		cmocka_unit_test(verdicts_are_said_and_the_name_forgotten),
		cmocka_unit_test(a_second_name_leaves_nothing_of_the_first),
		cmocka_unit_test(the_greeting_has_no_timestamp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
