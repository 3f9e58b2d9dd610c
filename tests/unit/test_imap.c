/* test_imap - the IMAP dialogue where a transcript cannot look: split input, verdicts, what it remembers. */
#include "tests/unit/dialogue_play.h"

static const char *const conversations[] = {
	"a NOOP\r\nb CAPABILITY\r\nc ID NIL\r\nd LOGOUT\r\n",
	"a LOGIN alice secret\r\nb LOGIN \"a\\\"b\" {3+}\r\n\"\r\n\r\nc NOOP\r\n",
	"a LOGIN {5}\r\nalice {6}\r\nsecret\r\nb NOOP\r\n",
	"a AUTHENTICATE PLAIN AGEAYg==\r\nb AUTHENTICATE LOGIN\r\nc NOOP\r\n",
	"a ID (\"name\" {4}\r\nabcd \"x\" NIL)\r\nb NOOP\r\n",
	"a BAD\r\n* BAD\r\n\r\na LOGIN \"x\r\na NO\0P\r\nb NOOP\r\n",
	"a STARTTLS\r\nb NOOP\r\n",
	"a NOOP\nb NOOP\r\n",
	"a LOGIN {99999}\r\nx\r\n",
	"a SELECT INBOX\r\nb APPEND x {10+}\r\n0123456789\r\nc NOOP\r\n",
};

static void how_the_bytes_are_cut_does_not_matter(void **state)
{
	for (size_t i = 0; i < sizeof(conversations) / sizeof(conversations[0]); i++)
		dialogue_play_cuts(&protocol_imap, conversations[i]);
}

static void the_first_line_is_not_searched_twice(void **state)
{
	static struct dialogue_play play;

	dialogue_play_begin(&play, &protocol_imap, PHASE_TLS);
	assert_int_equal(dialogue_play_call(&play, "a NOOP", 6), 0);
	assert_int_equal(play.dialogue.scanned, 6);
	assert_int_equal(dialogue_play_call(&play, "a NOOP\r\n", 8), 8);
	assert_int_equal(play.dialogue.scanned, 0);
}

static void each_literal_is_invited_once(void **state)
{
	static struct dialogue_play play;

	dialogue_play_begin(&play, &protocol_imap, PHASE_TLS);
	assert_int_equal(dialogue_play_call(&play, "a LOGIN {1}\r\n", 13), 0);
	assert_string_equal(play.reply, "+ OK\r\n");
	assert_int_equal(dialogue_play_call(&play, "a LOGIN {1}\r\nx", 14), 0);
	assert_string_equal(play.reply, "");
	assert_int_equal(dialogue_play_call(&play, "a LOGIN {1}\r\nx {1}\r\n", 20), 0);
	assert_string_equal(play.reply, "+ OK\r\n");
	assert_int_equal(dialogue_play_call(&play, "a LOGIN {1}\r\nx {1}\r\ny\r\n", 23), 23);
	assert_int_equal(play.last.type, DECIDE_PASSWORD);
	assert_int_equal(play.dialogue.continuations, 0);
}

static void verdicts_are_said_under_the_clients_tag(void **state)
{
	static const struct {
		enum verdict verdict;
		const char *text, *reply;
		bool awaiting;
	} cases[] = {
		{ VERDICT_CHALLENGE, "", "+ \r\n", true },
		{ VERDICT_CHALLENGE, "YQ==", "+ YQ==\r\n", true },
		{ VERDICT_ACCEPTED, "", "t9 OK Logged in\r\n", false },
		{ VERDICT_ACCEPTED, "A B", "t9 OK [CAPABILITY A B] Logged in\r\n", false },
		{ VERDICT_REFUSED, "", "t9 NO [AUTHENTICATIONFAILED] Authentication failed\r\n",
		  false },
		{ VERDICT_UNAUTHORIZED, "", "t9 NO [AUTHORIZATIONFAILED] Authorization failed\r\n",
		  false },
		{ VERDICT_BAD_ENCODING, "", "t9 BAD Invalid authentication response\r\n", false },
		{ VERDICT_CANCELLED, "", "t9 BAD Authentication cancelled\r\n", false },
		{ VERDICT_NO_MECHANISM, "", "t9 NO [CANNOT] Unsupported mechanism\r\n", false },
		{ VERDICT_TEMPORARY, "", "t9 NO [UNAVAILABLE] Temporary authentication failure\r\n",
		  false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dialogue dialogue = { .phase = 0 };
		struct decision decision;
		struct output output;
		char line[] = "t9 AUTHENTICATE PLAIN\r\n", storage[OUTPUT_MAX];

		dialogue_init(&dialogue, &protocol_imap, &play_settings, PHASE_TLS);
		output_init(&output, storage, sizeof(storage));
		protocol_imap.input(&dialogue, line, strlen(line), &output, &decision);
		assert_int_equal(decision.type, DECIDE_AUTH_BEGIN);
		assert_int_equal(output.len, 0);
		protocol_imap.verdict(&dialogue, cases[i].verdict, span_of(cases[i].text), &output);
		assert_int_equal(output.len, strlen(cases[i].reply));
		assert_memory_equal(storage, cases[i].reply, output.len);
		assert_int_equal(dialogue.awaiting_response, cases[i].awaiting);
	}
}

static void a_new_dialogue_remembers_nothing(void **state)
{
	static const struct dialogue empty;
	struct dialogue dialogue;

	memset(&dialogue, 'x', sizeof(dialogue));
	dialogue_init(&dialogue, &protocol_imap, &play_settings, PHASE_TLS);
	assert_false(dialogue.awaiting_response);
	assert_int_equal(dialogue.continuations + dialogue.scanned, 0);
	assert_memory_equal(dialogue.tag, empty.tag, sizeof(empty.tag));
	assert_memory_equal(dialogue.name, empty.name, sizeof(empty.name));
	dialogue_wipe(&dialogue);
	assert_memory_equal(&dialogue, &empty, sizeof(empty));
}

static void protocols_are_found_by_name(void **state)
{
	assert_ptr_equal(protocol_find("imap"), &protocol_imap);
	assert_ptr_equal(protocol_find("pop3"), &protocol_pop3);
	assert_ptr_equal(protocol_find("submission"), &protocol_submission);
	assert_null(protocol_find("smtp"));
	assert_string_equal(protocol_find("pop3")->sasl_service, "pop");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(how_the_bytes_are_cut_does_not_matter),
		cmocka_unit_test(the_first_line_is_not_searched_twice),
		cmocka_unit_test(each_literal_is_invited_once),
		cmocka_unit_test(verdicts_are_said_under_the_clients_tag),
		cmocka_unit_test(a_new_dialogue_remembers_nothing),
		cmocka_unit_test(protocols_are_found_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
