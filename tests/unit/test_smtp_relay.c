/* test_smtp_relay - submission after login: commands, bounds and ends (relay_play.h). */
#include "tests/unit/relay_play.h"
#include "protocols/protocol.h"

#define ENVELOPE "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"
#define ANSWERS  "250 1\r\n250 2\r\n354 go\r\n"

/* ---- commands ---- */

static void allowed_commands_are_sent_on_in_canonical_form(void **state)
{
	static const struct play plays[] = {
		{ "mail",
		  { C("mail  FROM: <a@b>  SIZE=1 \r\n"), B("250 2.1.0 ok\r\n") },
		  "MAIL FROM:<a@b> SIZE=1\r\n",
		  "250 2.1.0 ok\r\n",
		  OPEN },
		{ "rcpt",
		  { C("Rcpt to:<\"x>y\"@b> NOTIFY=NEVER\r\n"),
		    B("550 Empf\xe4nger unbekannt\r\n") },
		  "RCPT TO:<\"x>y\"@b> NOTIFY=NEVER\r\n",
		  "550 Empf\xe4nger unbekannt\r\n",
		  OPEN },
		{ "rset, noop, vrfy, expn, help",
		  { C("rset \r\nnoop\r\nNOOP  x\r\nvrfy al\r\nexpn st\r\nhelp\r\nHELP MAIL\r\n"),
		    B("250 1\r\n250 2\r\n250 3\r\n252 4\r\n550 5\r\n214-6\r\n214 7\r\n502 8\r\n") },
		  "RSET\r\nNOOP\r\nNOOP x\r\nVRFY al\r\nEXPN st\r\nHELP\r\nHELP MAIL\r\n",
		  "250 1\r\n250 2\r\n250 3\r\n252 4\r\n550 5\r\n214-6\r\n214 7\r\n502 8\r\n",
		  OPEN },
		{ "quit",
		  { C("quit\r\n"), B("221 backend.secret.example closing\r\n") },
		  "QUIT\r\n",
		  "221 2.0.0 Bye\r\n",
		  CLOSED },
		{ "quit answered badly",
		  { C("QUIT\r\nNOOP\r\n"), B("500-what\r\n500 no\r\n") },
		  "QUIT\r\n",
		  "221 2.0.0 Bye\r\n",
		  CLOSED },
		{ "quit, and the backend just goes",
		  { C("QUIT\r\n"), GONE },
		  "QUIT\r\n",
		  "221 2.0.0 Bye\r\n",
		  CLOSED },
		{ "helo",
		  { C("HELO me\r\nNOOP\r\n"), B("250-backend\r\n250 hello\r\n"), B("250 x\r\n") },
		  "HELO me\r\nNOOP\r\n",
		  "250 front.example\r\n250 x\r\n",
		  OPEN },
	};

	RUN(plays);
}

static void everything_else_is_answered_here(void **state)
{
	static const struct play plays[] = {
		{ "never",
		  { C("XCLIENT ADDR=1.2.3.4\r\nxforward NAME=x\r\nETRN x\r\nBURL x\r\n") },
		  "",
		  "502 5.5.1 Command not available\r\n502 5.5.1 Command not available\r\n"
		  "502 5.5.1 Command not available\r\n502 5.5.1 Command not available\r\n",
		  OPEN },
		{ "not any more",
		  { C("AUTH PLAIN AGEAYg==\r\nSTARTTLS\r\n") },
		  "",
		  "503 5.5.1 Not after login\r\n503 5.5.1 Not after login\r\n",
		  OPEN },
		{ "unknown",
		  { C("TURN\r\nX\r\n") },
		  "",
		  "500 5.5.2 Command not recognized\r\n500 5.5.2 Command not recognized\r\n",
		  OPEN },
		{ "malformed",
		  { C("\r\n NOOP\r\nNOOP a\0b\r\nNOOP \rQUIT\r\nNOOP\tx\r\nNOOP \xff\r\n") },
		  "",
		  "500 5.5.2 Syntax error\r\n500 5.5.2 Syntax error\r\n"
		  "500 5.5.2 Syntax error\r\n500 5.5.2 Syntax error\r\n"
		  "500 5.5.2 Syntax error\r\n500 5.5.2 Syntax error\r\n",
		  OPEN },
		{ "arguments",
		  { C("MAIL a@b\r\nRCPT <a@b>\r\nDATA now\r\nRSET x\r\nQUIT x\r\nEHLO a b\r\n"
		      "HELO\r\nVRFY\r\n") },
		  "",
		  "501 5.5.4 Syntax: MAIL FROM:<address>\r\n"
		  "501 5.5.4 Syntax: RCPT TO:<address>\r\n"
		  "501 5.5.4 No argument is allowed here\r\n"
		  "501 5.5.4 No argument is allowed here\r\n"
		  "501 5.5.4 No argument is allowed here\r\n"
		  "501 5.5.4 A host name or address literal is needed\r\n"
		  "501 5.5.4 A host name or address literal is needed\r\n"
		  "501 5.5.4 An argument is needed\r\n",
		  OPEN },
		{ "a bare LF ends the session: what follows it may be a command or not",
		  { C("NOOP\nRCPT TO:<evil@x>\r\nNOOP\r\n") },
		  "",
		  "500 5.5.2 Lines end with CR LF\r\n",
		  CLOSED },
	};

	RUN(plays);
}

static void our_own_replies_keep_the_order(void **state)
{
	static const struct play plays[] = {
		{ "between",
		  { C("NOOP 1\r\nXCLIENT a\r\nNOOP 2\r\nBLAH\r\n"), B("250 1\r\n"),
		    B("250 2\r\n") },
		  "NOOP 1\r\nNOOP 2\r\n",
		  "250 1\r\n502 5.5.1 Command not available\r\n250 2\r\n"
		  "500 5.5.2 Command not recognized\r\n",
		  OPEN },
		{ "last words wait too",
		  { C("NOOP 1\r\nNOOP\n"), C("NOOP 2\r\n"), B("250 1\r\n") },
		  "NOOP 1\r\n",
		  "250 1\r\n500 5.5.2 Lines end with CR LF\r\n",
		  CLOSED },
	};

	RUN(plays);
}

static void a_line_too_long_is_swallowed_to_its_end(void **state)
{
	static struct rig rig;
	char line[300];
	static const struct step more = C("RCPT TO:<evil@x>\nRCPT TO:<worse@x>\r"),
				 end = C("\nNOOP\r\n"), reply = B("250 ok\r\n");

	for (size_t piece = 1; piece < 60; piece++) {
		memset(line, 'x', sizeof(line));
		memcpy(line, "NOOP ", 5);
		rig_open(&rig, ROOM_WIDE, 100, 1000);
		take(&rig, &(struct step) { 'C', line, sizeof(line) }, piece);
		assert_int_equal(rig.to_client.len, 25);
		assert_memory_equal(rig.to_client.data, "500 5.5.2 Line too long\r\n", 25);
		take(&rig, &more, piece);
		take(&rig, &end, piece);
		take(&rig, &reply, piece);
		assert_int_equal(rig.to_backend.len, 6);
		assert_memory_equal(rig.to_backend.data, "NOOP\r\n", 6);
		assert_false(rig.closed);
		smtp_relay_free(rig.relay);
	}
}

static void a_line_that_never_ends_ends_the_session(void **state)
{
	static struct rig rig;
	char line[2000];

	memset(line, 'x', sizeof(line));
	rig_open(&rig, ROOM_WIDE, 100, 1000);
	take(&rig, &(struct step) { 'C', line, sizeof(line) }, 50);
	assert_true(rig.closed);
	assert_int_equal(rig.to_backend.len, 0);
	smtp_relay_free(rig.relay);
}

static void the_longest_line_passes(void **state)
{
	static struct rig rig;
	char line[101];

	memset(line, 'x', sizeof(line));
	memcpy(line, "NOOP ", 5);
	memcpy(line + 98, "\r\n", 2);
	rig_open(&rig, ROOM_WIDE, 100, 1000);
	take(&rig, &(struct step) { 'C', line, 100 }, 100);
	assert_int_equal(rig.to_backend.len, 100);
	assert_memory_equal(rig.to_backend.data, line, 100);
	smtp_relay_free(rig.relay);
}

static void parameters_are_repaired_for_the_backend_met(void **state)
{
	static const struct smtp_extensions poor = { SMTP_PIPELINING, 0 };
	static const struct setting met_poor = { extensions, &poor };
	static const struct play plays[] = {
		{ "BODY and SIZE are left out, DSN is refused",
		  { C("MAIL FROM:<a@b> BODY=8BITMIME SIZE=9\r\nRCPT TO:<c@d> NOTIFY=NEVER\r\n"
		      "RCPT TO:<c@d>\r\n"),
		    B("250 1\r\n250 2\r\n") },
		  "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n",
		  "250 1\r\n555 5.5.4 Parameter not supported by the mail service\r\n250 2\r\n",
		  OPEN },
		{ "the size shown counts, whatever the backend says",
		  { C("MAIL FROM:<a@b> SIZE=1001\r\n") },
		  "",
		  "552 5.3.4 Message too big\r\n",
		  OPEN },
		{ "what EHLO shows now counts from now on",
		  { C("EHLO me\r\n"), B("250-x\r\n250-DSN\r\n250 SIZE 50\r\n"),
		    C("MAIL FROM:<a@b> SIZE=51\r\nMAIL FROM:<a@b> SIZE=50 RET=FULL\r\n"),
		    B("250 1\r\n") },
		  "EHLO me\r\nMAIL FROM:<a@b> SIZE=50 RET=FULL\r\n",
		  "250-front.example\r\n250-PIPELINING\r\n250-SIZE 50\r\n250 DSN\r\n"
		  "552 5.3.4 Message too big\r\n250 1\r\n",
		  OPEN },
	};

	RUN_WITH(plays, &met_poor);
}

/* An old server takes one command at a time; the client pipelines all the same. */
static void a_backend_without_pipelining_gets_one_command_at_a_time(void **state)
{
	static const struct smtp_extensions old = { SMTP_SIZE, 0 };
	static const struct step commands =
		C("MAIL FROM:<a@b>\r\nX\r\nRCPT TO:<c@d>\r\nNOOP 1\r\nDATA\r\n"
		  "x\r\n.\r\nQUIT\r\n");
	static const struct {
		struct step reply;
		const char *next;
	} turns[] = {
		{ C(""), "MAIL FROM:<a@b>\r\n" },
		{ B("250-1\r\n250 1\r\n"), "RCPT TO:<c@d>\r\n" },
		{ B("250 2\r\n"), "NOOP 1\r\n" },
		{ B("250 3\r\n"), "DATA\r\n" },
		{ B("354 go\r\n"), "x\r\n.\r\n" },
		{ B("250 4\r\n"), "QUIT\r\n" },
		{ B("221 5\r\n"), "" },
	};
	static const char heard[] =
		"250-1\r\n250 1\r\n500 5.5.2 Command not recognized\r\n250 2\r\n"
		"250 3\r\n354 go\r\n250 4\r\n221 2.0.0 Bye\r\n";
	const struct smtp_relay_settings settings = { "front.example", extensions, 200, 300 };
	static struct rig rig;

	rig_open_with(&rig, &settings, &old);
	take(&rig, &commands, 1000);
	for (size_t i = 0; i < sizeof(turns) / sizeof(turns[0]); i++) {
		take(&rig, &turns[i].reply, 1000);
		assert_int_equal(rig.to_backend.len, strlen(turns[i].next));
		assert_memory_equal(rig.to_backend.data, turns[i].next, rig.to_backend.len);
		rig.to_backend.len = 0;
	}
	assert_int_equal(rig.to_client.len, strlen(heard));
	assert_memory_equal(rig.to_client.data, heard, rig.to_client.len);
	assert_true(rig.closed);
	smtp_relay_free(rig.relay);
}

/* ---- bounds ---- */

static void fifty_recipients_may_be_pipelined(void **state)
{
	static struct rig rig;
	static struct stream commands, replies;
	char line[64];

	commands.len = replies.len = 0;
	append(&commands, "MAIL FROM:<a@b>\r\n", 17);
	append(&replies, "250 0\r\n", 7);
	for (int i = 1; i <= 50; i++) {
		append(&commands, line, (size_t)sprintf(line, "RCPT TO:<user%d@d>\r\n", i));
		append(&replies, line, (size_t)sprintf(line, "%d %d\r\n", i % 2 ? 250 : 550, i));
	}
	append(&commands, "DATA\r\n", 6);
	append(&replies, "354 go\r\n", 8);
	rig_open(&rig, ROOM_WIDE, 200, 1000);
	take(&rig, &(struct step) { 'C', commands.data, commands.len }, 1000);
	assert_int_equal(rig.to_backend.len, commands.len);
	assert_memory_equal(rig.to_backend.data, commands.data, commands.len);
	take(&rig, &(struct step) { 'B', replies.data, replies.len }, 1000);
	assert_int_equal(rig.to_client.len, replies.len);
	assert_memory_equal(rig.to_client.data, replies.data, replies.len);
	assert_true(smtp_relay_in_message(rig.relay));
	smtp_relay_free(rig.relay);
}

static void reading_stops_when_the_queue_is_full(void **state)
{
	static struct rig rig;
	static struct stream commands;
	static const struct step one = B("250 ok\r\n");

	commands.len = 0;
	for (int i = 0; i < SMTP_RELAY_QUEUE + 10; i++)
		append(&commands, i % 3 ? "NOOP\r\n" : "BLAH\r\n", 6);
	memcpy(commands.data, "NOOP\r\n", 6);
	rig_open(&rig, ROOM_WIDE, 200, 1000);
	take(&rig, &(struct step) { 'C', commands.data, commands.len }, 10000);
	assert_int_equal(rig.from_client.len, 10 * 6);
	assert_int_equal(rig.to_client.len, 0);
	take(&rig, &one, 100);
	assert_int_equal(rig.from_client.len, 9 * 6);
	smtp_relay_free(rig.relay);
}

/* The last words of a session whose queue is full still have a place. */
static void a_full_queue_has_room_for_last_words(void **state)
{
	static struct rig rig;
	static struct stream bytes;
	char line[2000];

	bytes.len = 0;
	for (int i = 0; i < SMTP_RELAY_QUEUE - 1; i++)
		append(&bytes, "NOOP\r\n", 6);
	memset(line, 'x', sizeof(line));
	append(&bytes, line, sizeof(line));
	rig_open(&rig, ROOM_WIDE, 200, 1000);
	take(&rig, &(struct step) { 'C', bytes.data, bytes.len }, 100000);
	assert_int_equal(rig.from_client.len, 0);
	bytes.len = 0;
	for (int i = 0; i < SMTP_RELAY_QUEUE - 1; i++)
		append(&bytes, "250 x\r\n", 7);
	take(&rig, &(struct step) { 'B', bytes.data, bytes.len }, 100000);
	assert_true(rig.closed);
	smtp_relay_free(rig.relay);
}

static void a_full_output_loses_nothing(void **state)
{
	static struct rig rig;
	static const struct step command = C("NOOP 12345678\r\n"), reply = B("250 12345678901\r\n");

	rig_open(&rig, 10, 200, 1000);
	take(&rig, &command, 100);
	assert_int_equal(rig.to_backend.len, 0);
	assert_int_equal(rig.from_client.len, command.len);
	rig.room = command.len;
	take(&rig, &(struct step) { 'C', "", 0 }, 1);
	while (turn(&rig))
		;
	assert_int_equal(rig.to_backend.len, command.len);
	take(&rig, &reply, 100);
	assert_int_equal(rig.to_client.len, 0);
	rig.room = reply.len;
	while (turn(&rig))
		;
	assert_int_equal(rig.to_client.len, reply.len);
	smtp_relay_free(rig.relay);
}

/* ---- ends ---- */

static void idle_is_the_command_boundary(void **state)
{
	static struct rig rig;
	static const struct step noop = C("NOOP\r\n"), half = B("250-a\r\n"), rest = B("250 b\r\n"),
				 data = C("DATA\r\n"), go = B("354 go\r\n"), text = C("x\r\n"),
				 end = C(".\r\n"), queued = B("250 q\r\n");
	const struct step *steps[] = { &noop, &half, &rest, &data, &go, &text, &end, &queued };
	const bool idle[] = { false, false, true, false, false, false, false, true };
	const bool message[] = { false, false, false, false, true, true, false, false };

	rig_open(&rig, ROOM_WIDE, 200, 1000);
	assert_true(smtp_relay_idle(rig.relay));
	for (size_t i = 0; i < 8; i++) {
		take(&rig, steps[i], 100);
		assert_int_equal(smtp_relay_idle(rig.relay), idle[i]);
		assert_int_equal(smtp_relay_in_message(rig.relay), message[i]);
	}
	smtp_relay_free(rig.relay);
}

static void what_was_refused_already_holds_no_session_open(void **state)
{
	static struct rig rig;
	static const struct step chunk = C("BDAT 100\r\nabc");
	char line[150];

	memset(line, 'x', sizeof(line));
	rig_open(&rig, ROOM_WIDE, 100, 1000);
	take(&rig, &chunk, 100);
	assert_true(smtp_relay_idle(rig.relay));
	smtp_relay_free(rig.relay);
	rig_open(&rig, ROOM_WIDE, 100, 1000);
	take(&rig, &(struct step) { 'C', line, sizeof(line) }, 200);
	assert_true(smtp_relay_idle(rig.relay));
	smtp_relay_free(rig.relay);
}

static void a_farewell_is_the_last_word(void **state)
{
	static struct rig rig;
	char storage[200];
	struct output client;
	static const struct step noop = C("NOOP\r\n");

	rig_open(&rig, ROOM_WIDE, 200, 1000);
	output_init(&client, storage, sizeof(storage));
	smtp_relay_farewell(rig.relay, "4.3.2", "Shutting down", &client);
	assert_int_equal(client.len, 25);
	assert_memory_equal(client.data, "421 4.3.2 Shutting down\r\n", 25);
	smtp_relay_farewell(rig.relay, "4.4.2", "Again", &client);
	smtp_relay_backend_gone(rig.relay, &client);
	assert_int_equal(client.len, 25);
	take(&rig, &noop, 100);
	assert_true(rig.closed);
	assert_int_equal(rig.to_backend.len + rig.to_client.len, 0);
	smtp_relay_free(rig.relay);
}

static void the_log_is_told_why_it_ended(void **state)
{
	static const struct {
		const char *reason;
		struct step steps[4];
	} cases[] = {
		{ "client_quit", { C("QUIT\r\n"), B("221 bye\r\n") } },
		{ "client_quit", { C("QUIT\r\n"), { 'G', "", 0 } } },
		{ "backend_closed", { B("421 4.4.2 too slow\r\n") } },
		{ "backend_closed", { C("NOOP\r\n"), { 'G', "", 0 } } },
		{ "backend_failed", { C("NOOP\r\n"), B("what?\r\n") } },
		{ "bare_lf", { C("NOOP\n") } },
		{ "refused_command", { C("BDAT x\r\n") } },
		{ "bad_message", { C(ENVELOPE), B(ANSWERS), C("a\nb\r\n.\r\nNOOP\r\n") } },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		static struct rig rig;

		rig_open(&rig, ROOM_WIDE, 200, 1000);
		for (size_t k = 0; k < 4 && cases[i].steps[k].bytes; k++)
			take(&rig, &cases[i].steps[k], 1000);
		assert_true(rig.closed);
		assert_string_equal(smtp_relay_reason(rig.relay), cases[i].reason);
		smtp_relay_free(rig.relay);
	}
}

/* Walks the table: what has the bit passes, what has not never reaches the backend. */
static void the_command_table_is_the_allow_list(void **state)
{
	static struct rig rig;

	for (const struct command *row = protocol_submission.commands; row->name; row++) {
		bool address = !strcmp(row->name, "MAIL") || !strcmp(row->name, "RCPT");
		bool bare = !strcmp(row->name, "DATA") || !strcmp(row->name, "RSET") ||
			    !strcmp(row->name, "QUIT");
		bool passes = (row->phases & PHASE_RELAY) && strcmp(row->name, "BDAT") != 0;
		char line[64];
		int len = sprintf(line, "%s%s\r\n", row->name,
				  address ? row->name[0] == 'M' ? " FROM:<a@b>" : " TO:<a@b>"
				  : bare  ? ""
					  : " x");

		rig_open(&rig, ROOM_WIDE, 200, 1000);
		take(&rig, &(struct step) { 'C', line, (size_t)len }, 100);
		assert_int_equal(rig.to_backend.len, passes ? len : 0);
		assert_int_equal(rig.to_client.len > 0, !passes);
		smtp_relay_free(rig.relay);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allowed_commands_are_sent_on_in_canonical_form),
		cmocka_unit_test(everything_else_is_answered_here),
		cmocka_unit_test(our_own_replies_keep_the_order),
		cmocka_unit_test(a_line_too_long_is_swallowed_to_its_end),
		cmocka_unit_test(a_line_that_never_ends_ends_the_session),
		cmocka_unit_test(the_longest_line_passes),
		cmocka_unit_test(parameters_are_repaired_for_the_backend_met),
		cmocka_unit_test(a_backend_without_pipelining_gets_one_command_at_a_time),
		cmocka_unit_test(fifty_recipients_may_be_pipelined),
		cmocka_unit_test(reading_stops_when_the_queue_is_full),
		cmocka_unit_test(a_full_queue_has_room_for_last_words),
		cmocka_unit_test(a_full_output_loses_nothing),
		cmocka_unit_test(idle_is_the_command_boundary),
		cmocka_unit_test(what_was_refused_already_holds_no_session_open),
		cmocka_unit_test(a_farewell_is_the_last_word),
		cmocka_unit_test(the_log_is_told_why_it_ended),
		cmocka_unit_test(the_command_table_is_the_allow_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
