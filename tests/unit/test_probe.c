/* test_probe - asking servers of the three protocols: honest, old and lying ones; and what may be shown of them. */
#include "protocols/probe.h"
#include "tests/support/guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define COUNT(of) (sizeof(of) / sizeof((of)[0]))
#define TURNS_MAX 8
#define SIZE      (1u << EXTENSION_SIZE)
#define EIGHT     (1u << EXTENSION_8BITMIME)
#define CHUNKING  (1u << EXTENSION_CHUNKING)
#define DSN       (1u << EXTENSION_DSN)
#define TOP       (1u << EXTENSION_TOP)
#define UIDL      (1u << EXTENSION_UIDL)
#define CODES     (1u << EXTENSION_RESP_CODES)

struct turn {
	const char *server; /* NULL: the TLS handshake is done */
	const char *ours;   /* NULL: nothing */
};

struct play {
	const char *name;
	const struct probe_script *script;
	bool starttls, whole_only;
	struct turn turns[TURNS_MAX];
	enum probe_result result; /* of the last turn */
	struct probe_facts facts;
};

#define EHLO "EHLO mail.example.test\r\n"

static const struct play plays[] = {
	{ "submission: what is on the list, and XCLIENT", &smtp_probe_script,
	  .turns = { { "220 store\r\n", EHLO },
		     { "250-store\r\n250-SIZE 1000\r\n250-8bitmime\r\n250-AUTH "
		       "PLAIN\r\n250-BINARYMIME\r\n250-CHUNKING\r\n"
		       "250-X-ODD\r\n250 XCLIENT NAME ADDR\r\n",
		       "QUIT\r\n" } },
	  .result = PROBE_DONE, .facts = { { SIZE | EIGHT | CHUNKING, 1000 }, .identity = true } },
	{ "submission: a greeting of several lines, EHLO of one", &smtp_probe_script,
	  .turns = { { "220-be patient\r\n220 store\r\n", EHLO }, { "250 SIZE\r\n", "QUIT\r\n" } },
	  .result = PROBE_DONE },
	{ "submission: SIZE without a number, or one too long, is no limit", &smtp_probe_script,
	  .turns = { { "220 store\r\n", EHLO },
		     { "250-a\r\n250 SIZE 99999999999999999999\r\n", "QUIT\r\n" } },
	  .result = PROBE_DONE, .facts = { { SIZE, 0 } } },
	{ "submission: STARTTLS, and what was listed before it is forgotten", &smtp_probe_script,
	  .starttls = true,
	  .turns = { { "220 store\r\n", EHLO },
		     { "250-a\r\n250-DSN\r\n250-XCLIENT ADDR\r\n250 STARTTLS\r\n", "STARTTLS\r\n" },
		     { "220 go\r\n", NULL },
		     { NULL, EHLO },
		     { "250-a\r\n250 8BITMIME\r\n", "QUIT\r\n" } },
	  .result = PROBE_DONE, .facts = { { EIGHT, 0 } } },
	{ "submission: bytes behind the STARTTLS reply", &smtp_probe_script, .starttls = true,
	  .whole_only = true,
	  .turns = { { "220 store\r\n", EHLO },
		     { "250-a\r\n250 STARTTLS\r\n", "STARTTLS\r\n" },
		     { "220 go\r\n250-", NULL } },
	  .result = PROBE_FAILED },
	{ "submission: STARTTLS not offered", &smtp_probe_script, .starttls = true,
	  .turns = { { "220 store\r\n", EHLO }, { "250-a\r\n250 SIZE 1\r\n", NULL } },
	  .result = PROBE_FAILED },
	{ "submission: STARTTLS refused", &smtp_probe_script, .starttls = true,
	  .turns = { { "220 store\r\n", EHLO },
		     { "250-a\r\n250 STARTTLS\r\n", "STARTTLS\r\n" },
		     { "454 later\r\n", NULL } },
	  .result = PROBE_FAILED },
	{ "submission: 554 for a greeting", &smtp_probe_script, .turns = { { "554 no\r\n", NULL } },
	  .result = PROBE_FAILED },
	{ "submission: 502 to EHLO", &smtp_probe_script,
	  .turns = { { "220 store\r\n", EHLO }, { "502 what\r\n", NULL } },
	  .result = PROBE_FAILED },
	{ "submission: mixed codes", &smtp_probe_script,
	  .turns = { { "220 store\r\n", EHLO }, { "250-a\r\n235 b\r\n", NULL } },
	  .result = PROBE_FAILED },
	{ "submission: a bare LF", &smtp_probe_script, .turns = { { "220 store\n", NULL } },
	  .result = PROBE_FAILED },
	{ "imap: ID", &imap_probe_script,
	  .turns = { { "* OK [CAPABILITY IMAP4rev1 XYZ] ready\r\n", "C1 CAPABILITY\r\n" },
		     { "* CAPABILITY IMAP4rev1 id IDLE\r\nC1 OK done\r\n", "L1 LOGOUT\r\n" } },
	  .result = PROBE_DONE, .facts = { .identity = true } },
	{ "imap: UNAUTHENTICATE", &imap_probe_script,
	  .turns = { { "* OK ready\r\n", "C1 CAPABILITY\r\n" },
		     { "* CAPABILITY IMAP4rev1 UNAUTHENTICATE\r\n", NULL } },
	  .result = PROBE_FAILED },
	{ "imap: other untagged lines are passed over", &imap_probe_script,
	  .turns = { { "* OK ready\r\n", "C1 CAPABILITY\r\n" },
		     { "* OK [ALERT] hear\r\n* CAPABILITY IMAP4rev1 IDLE\r\nC1 OK\r\n",
		       "L1 LOGOUT\r\n" } },
	  .result = PROBE_DONE },
	{ "imap: STARTTLS", &imap_probe_script, .starttls = true,
	  .turns = { { "* OK ready\r\n", "C1 CAPABILITY\r\n" },
		     { "* CAPABILITY IMAP4rev1 STARTTLS ID\r\nC1 OK\r\n", "S1 STARTTLS\r\n" },
		     { "S1 OK go\r\n", NULL },
		     { NULL, "C1 CAPABILITY\r\n" },
		     { "* CAPABILITY IMAP4rev1\r\nC1 OK\r\n", "L1 LOGOUT\r\n" } },
	  .result = PROBE_DONE },
	{ "imap: bytes behind the STARTTLS reply", &imap_probe_script, .starttls = true,
	  .whole_only = true,
	  .turns = { { "* OK ready\r\n", "C1 CAPABILITY\r\n" },
		     { "* CAPABILITY IMAP4rev1 STARTTLS\r\nC1 OK\r\n", "S1 STARTTLS\r\n" },
		     { "S1 OK go\r\n* CAPABILITY ID\r\n", NULL } },
	  .result = PROBE_FAILED },
	{ "imap: STARTTLS withdrawn", &imap_probe_script, .starttls = true,
	  .turns = { { "* OK ready\r\n", "C1 CAPABILITY\r\n" },
		     { "* CAPABILITY IMAP4rev1\r\nC1 OK\r\n", NULL } },
	  .result = PROBE_FAILED },
	{ "imap: PREAUTH", &imap_probe_script, .turns = { { "* PREAUTH in\r\n", NULL } },
	  .result = PROBE_FAILED },
	{ "imap: BYE", &imap_probe_script, .turns = { { "* BYE full\r\n", NULL } },
	  .result = PROBE_FAILED },
	{ "imap: BYE in place of the list", &imap_probe_script,
	  .turns = { { "* OK ready\r\n", "C1 CAPABILITY\r\n" }, { "* BYE full\r\n", NULL } },
	  .result = PROBE_FAILED },
	{ "imap: another tag", &imap_probe_script,
	  .turns = { { "* OK ready\r\n", "C1 CAPABILITY\r\n" }, { "C2 OK\r\n", NULL } },
	  .result = PROBE_FAILED },
	{ "imap: BAD to CAPABILITY", &imap_probe_script,
	  .turns = { { "* OK ready\r\n", "C1 CAPABILITY\r\n" }, { "C1 BAD\r\n", NULL } },
	  .result = PROBE_FAILED },
	{ "imap: a literal", &imap_probe_script, .turns = { { "* OK {3}\r\n", NULL } },
	  .result = PROBE_FAILED },
	{ "imap: a greeting of SMTP", &imap_probe_script, .turns = { { "220 store\r\n", NULL } },
	  .result = PROBE_FAILED },
	{ "pop3: what is on the list, and XCLIENT", &pop3_probe_script,
	  .turns = { { "+OK ready\r\n", "CAPA\r\n" },
		     { "+OK\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nSIZE 5\r\nXCLIENT\r\nSASL PLAIN\r\n"
		       ".\r\n",
		       "QUIT\r\n" } },
	  .result = PROBE_DONE, .facts = { { TOP | UIDL | CODES, 0 }, .identity = true } },
	{ "pop3: no CAPA", &pop3_probe_script,
	  .turns = { { "+OK ready\r\n", "CAPA\r\n" }, { "-ERR what\r\n", "QUIT\r\n" } },
	  .result = PROBE_DONE },
	{ "pop3: STLS", &pop3_probe_script, .starttls = true,
	  .turns = { { "+OK ready\r\n", "STLS\r\n" },
		     { "+OK go\r\n", NULL },
		     { NULL, "CAPA\r\n" },
		     { "+OK\r\nUIDL\r\n.\r\n", "QUIT\r\n" } },
	  .result = PROBE_DONE, .facts = { { UIDL, 0 } } },
	{ "pop3: bytes behind the STLS reply", &pop3_probe_script, .starttls = true,
	  .whole_only = true,
	  .turns = { { "+OK ready\r\n", "STLS\r\n" }, { "+OK go\r\n+OK\r\n", NULL } },
	  .result = PROBE_FAILED },
	{ "pop3: STLS refused", &pop3_probe_script, .starttls = true,
	  .turns = { { "+OK ready\r\n", "STLS\r\n" }, { "-ERR no\r\n", NULL } },
	  .result = PROBE_FAILED },
	{ "pop3: -ERR for a greeting", &pop3_probe_script,
	  .turns = { { "-ERR [SYS/TEMP] full\r\n", NULL } }, .result = PROBE_FAILED },
	{ "pop3: a continuation", &pop3_probe_script, .turns = { { "+ \r\n", NULL } },
	  .result = PROBE_FAILED },
};

static enum probe_result play_turn(const struct play *play, struct probe *probe,
				   const struct turn *turn, bool by_byte)
{
	size_t len = strlen(turn->server), start = 0, shown = by_byte ? 0 : len - 1;
	enum probe_result result = PROBE_MORE;
	char storage[PROBE_SAYS_MAX];
	struct output output;
	const char *ours = turn->ours ? turn->ours : "";

	output_init(&output, storage, sizeof(storage));
	while (result == PROBE_MORE && shown < len) {
		size_t used, size = ++shown - start;
		char *data = guard_copy(turn->server + start, size);

		result = probe_input(probe, data, size, &used, &output);
		assert_true(used <= size);
		guard_free(data, size);
		start += used;
	}
	if (output.overflow || output.len != strlen(ours) ||
	    memcmp(output.data, ours, output.len) != 0)
		fail_msg("%s: we said \"%.*s\" and not \"%s\"", play->name, (int)output.len,
			 output.data, ours);
	return result;
}

static void run_play(const struct play *play, bool by_byte)
{
	struct probe probe;
	enum probe_result result = PROBE_MORE;

	probe_init(&probe, play->script, "mail.example.test", play->starttls);
	for (size_t i = 0; i < TURNS_MAX && (play->turns[i].server || play->turns[i].ours); i++) {
		const struct turn *turn = &play->turns[i];
		char storage[PROBE_SAYS_MAX];
		struct output output;

		if (turn->server) {
			assert_int_equal(result, PROBE_MORE);
			result = play_turn(play, &probe, turn, by_byte);
			continue;
		}
		assert_int_equal(result, PROBE_START_TLS);
		output_init(&output, storage, sizeof(storage));
		probe_tls_started(&probe, &output);
		assert_int_equal(output.len, strlen(turn->ours));
		assert_memory_equal(output.data, turn->ours, output.len);
		result = PROBE_MORE;
	}
	if (result != play->result)
		fail_msg("%s: result %d and not %d: %s", play->name, (int)result, (int)play->result,
			 probe.reason ? probe.reason : "");
	assert_int_equal(probe.reason != NULL, result == PROBE_FAILED);
	if (result != PROBE_DONE)
		return;
	assert_true(extension_equal(probe.facts.extensions, play->facts.extensions));
	assert_int_equal(probe.facts.identity, play->facts.identity);
}

static void servers_are_judged_whole_and_byte_by_byte(void **state)
{
	for (size_t i = 0; i < COUNT(plays); i++) {
		run_play(&plays[i], false);
		if (!plays[i].whole_only)
			run_play(&plays[i], true);
	}
}

static void a_probe_that_failed_stays_failed(void **state)
{
	char storage[PROBE_SAYS_MAX];
	struct output output;
	struct probe probe;
	size_t used;

	output_init(&output, storage, sizeof(storage));
	probe_init(&probe, &pop3_probe_script, "a.test", false);
	assert_int_equal(probe_input(&probe, "-ERR\r\n", 6, &used, &output), PROBE_FAILED);
	assert_int_equal(probe_input(&probe, "+OK\r\n", 5, &used, &output), PROBE_FAILED);
	assert_int_equal(output.len, 0);
}

static void talk_without_end_is_a_failure(void **state)
{
	char storage[PROBE_SAYS_MAX];
	struct output output;
	struct probe probe;
	enum probe_result result = PROBE_MORE;
	size_t used;

	output_init(&output, storage, sizeof(storage));
	probe_init(&probe, &pop3_probe_script, "a.test", false);
	probe_input(&probe, "+OK\r\n+OK\r\n", 10, &used, &output);
	for (unsigned i = 0; i < PROBE_LINES_MAX && result == PROBE_MORE; i++)
		result = probe_input(&probe, "XYZ\r\n", 5, &used, &output);
	assert_int_equal(result, PROBE_FAILED);

	char *line = malloc(PROBE_LINE_MAX + 1);

	assert_non_null(line);
	memset(line, 'x', PROBE_LINE_MAX + 1);
	probe_init(&probe, &pop3_probe_script, "a.test", false);
	assert_int_equal(probe_input(&probe, line, PROBE_LINE_MAX + 1, &used, &output),
			 PROBE_FAILED);
	free(line);
}

/* ---- what may be shown ---- */

static void the_least_of_two_servers_is_shown(void **state)
{
	static const struct {
		struct extension_set a, b, both;
	} cases[] = {
		{ { SIZE | EIGHT | DSN, 500 }, { SIZE | EIGHT, 300 }, { SIZE | EIGHT, 300 } },
		{ { SIZE, 0 }, { SIZE, 300 }, { SIZE, 300 } },
		{ { SIZE, 0 }, { SIZE, 0 }, { SIZE, 0 } },
		{ { SIZE, 7 }, { EIGHT, 0 }, { 0, 0 } },
		{ { TOP | UIDL, 0 }, { UIDL | CODES, 0 }, { UIDL, 0 } },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_true(extension_equal(extension_meet(cases[i].a, cases[i].b), cases[i].both));
		assert_true(extension_equal(extension_meet(cases[i].b, cases[i].a), cases[i].both));
	}
}

static void a_list_can_be_written_anew_in_place(void **state)
{
	struct extension_list list;
	const char *const *items = list.items;

	extension_list((struct extension_set) { SIZE | DSN, 1234567890123456789u }, &list);
	assert_string_equal(items[0], "SIZE 1234567890123456789");
	assert_string_equal(items[1], "DSN");
	assert_null(items[2]);
	extension_list((struct extension_set) { SIZE, 0 }, &list);
	assert_string_equal(items[0], "SIZE");
	assert_null(items[1]);
	extension_list((struct extension_set) { EXTENSIONS_ALL, 1 }, &list);
	assert_null(items[EXTENSIONS]);
	extension_list((struct extension_set) { 0, 0 }, &list);
	assert_null(items[0]);
}

static void only_whole_words_that_the_protocol_knows_are_noted(void **state)
{
	struct extension_set set = { 0, 0 };

	extension_note(&set, EXTENSIONS_POP3, SPAN("SIZE 1"));
	extension_note(&set, EXTENSIONS_SUBMISSION, SPAN("TOP"));
	extension_note(&set, EXTENSIONS_SUBMISSION, SPAN("DSNX"));
	extension_note(&set, EXTENSIONS_SUBMISSION, SPAN(""));
	assert_int_equal(set.set, 0);
	extension_note(&set, EXTENSIONS_SUBMISSION, SPAN("size 12x"));
	assert_int_equal(set.set, SIZE);
	assert_int_equal(set.size, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(servers_are_judged_whole_and_byte_by_byte),
		cmocka_unit_test(a_probe_that_failed_stays_failed),
		cmocka_unit_test(talk_without_end_is_a_failure),
		cmocka_unit_test(the_least_of_two_servers_is_shown),
		cmocka_unit_test(a_list_can_be_written_anew_in_place),
		cmocka_unit_test(only_whole_words_that_the_protocol_knows_are_noted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
