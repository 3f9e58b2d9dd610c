/* test_smtp_relay - submission after login, as plays: what the client and the backend say in turn, and all that each of
 * them hears in the end. Every play runs whole and in pieces of several sizes, with wide and with narrow outputs, each
 * piece before an unreadable page; the outcome must be the same.
 */
#include "protocols/smtp_relay.h"
#include "protocols/protocol.h"
#include "tests/support/guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define STREAM_MAX 65536
#define STEPS_MAX  10
#define ROOM_WIDE  20480

struct stream {
	char data[STREAM_MAX];
	size_t len;
};

struct step {
	char who; /* 'C' client, 'B' backend, 'G' the backend has gone */
	const char *bytes;
	size_t len;
};

#define C(text)                                                                                    \
	{                                                                                          \
		'C', text, sizeof(text) - 1                                                        \
	}
#define B(text)                                                                                    \
	{                                                                                          \
		'B', text, sizeof(text) - 1                                                        \
	}
#define GONE                                                                                       \
	{                                                                                          \
		'G', "", 0                                                                         \
	}

enum ending {
	OPEN,
	CLOSED,
	CUT,        /* the backend stream may stop anywhere inside the message */
	CUT_CLOSED, /* and then the session ended */
};

struct play {
	const char *name;
	struct step steps[STEPS_MAX];
	const char *backend, *client;
	enum ending ending;
};

struct rig {
	struct smtp_relay *relay;
	size_t room;
	struct stream from_client, from_backend; /* not used yet */
	struct stream to_client, to_backend;
	bool cut, closed;
};

static const char *const extensions[] = { "SIZE 1000", "8BITMIME", "DSN", NULL };

static void append(struct stream *stream, const char *data, size_t len)
{
	assert_true(stream->len + len <= sizeof(stream->data));
	memcpy(stream->data + stream->len, data, len);
	stream->len += len;
}

static void drop(struct stream *stream, size_t len)
{
	memmove(stream->data, stream->data + len, stream->len - len);
	stream->len -= len;
}

static void rig_open(struct rig *rig, size_t room, size_t line_max, uint64_t swallow_max)
{
	const struct smtp_relay_settings settings = { "front.example", extensions, line_max,
						      swallow_max };

	memset(rig, 0, sizeof(*rig));
	rig->relay = smtp_relay_new(&settings);
	rig->room = room;
	assert_non_null(rig->relay);
}

static void note(struct rig *rig, enum smtp_relay_event event)
{
	rig->cut = rig->cut || event == SMTP_RELAY_CUT;
	rig->closed = rig->closed || event == SMTP_RELAY_CLOSE;
}

/* One call for each side with what waits there, and fresh outputs of the given room. True when anything moved. */
static bool turn(struct rig *rig)
{
	char *backend_storage = malloc(rig->room), *client_storage = malloc(rig->room);
	struct output backend, client;
	enum smtp_relay_event event;
	char *data;
	size_t used, moved;

	output_init(&backend, backend_storage, rig->room);
	output_init(&client, client_storage, rig->room);
	data = guard_copy(rig->from_client.data, rig->from_client.len);
	used = smtp_relay_client(rig->relay, data, rig->from_client.len, &backend, &client, &event);
	assert_true(used <= rig->from_client.len);
	guard_free(data, rig->from_client.len);
	drop(&rig->from_client, used);
	moved = used + backend.len + client.len;
	note(rig, event);
	if (rig->cut)
		assert_int_equal(backend.len != 0 && event != SMTP_RELAY_CUT, 0);
	append(&rig->to_backend, backend.data, backend.len);
	append(&rig->to_client, client.data, client.len);
	if (!rig->closed) {
		output_init(&client, client_storage, rig->room);
		data = guard_copy(rig->from_backend.data, rig->from_backend.len);
		used = smtp_relay_backend(rig->relay, data, rig->from_backend.len, &client, &event);
		assert_true(used <= rig->from_backend.len);
		guard_free(data, rig->from_backend.len);
		drop(&rig->from_backend, used);
		note(rig, event);
		append(&rig->to_client, client.data, client.len);
		moved += used + client.len;
	}
	assert_false(backend.overflow || client.overflow);
	free(backend_storage);
	free(client_storage);
	return moved > 0 && !rig->closed;
}

static void take(struct rig *rig, const struct step *step, size_t piece)
{
	struct stream *stream = step->who == 'C' ? &rig->from_client : &rig->from_backend;

	if (step->who == 'G' && !rig->closed) {
		char storage[ROOM_WIDE];
		struct output client;

		output_init(&client, storage, sizeof(storage));
		smtp_relay_backend_gone(rig->relay, &client);
		append(&rig->to_client, client.data, client.len);
		rig->closed = true;
	}
	for (size_t at = 0; at < step->len && !rig->closed; at += piece) {
		size_t left = step->len - at;

		append(stream, step->bytes + at, left < piece ? left : piece);
		while (turn(rig))
			;
	}
}

static void compare(const struct play *play, const char *what, const struct stream *got,
		    const char *expected, bool prefix)
{
	size_t len = strlen(expected);
	bool same = prefix ? got->len <= len && memcmp(got->data, expected, got->len) == 0
			   : got->len == len && memcmp(got->data, expected, len) == 0;

	if (!same)
		fail_msg("%s: %s:\n%.*s-- expected:\n%s", play->name, what, (int)got->len,
			 got->data, expected);
}

static void run(const struct play *play, size_t piece, size_t room)
{
	static struct rig rig;
	bool cut = play->ending == CUT || play->ending == CUT_CLOSED;

	rig_open(&rig, room, 200, 300);
	for (const struct step *step = play->steps; step->bytes; step++)
		take(&rig, step, piece);
	compare(play, "to the backend", &rig.to_backend, play->backend, cut);
	compare(play, "to the client", &rig.to_client, play->client, false);
	/* A CLOSE in the same call says more than a CUT. */
	assert_true(cut ? rig.cut || rig.closed : !rig.cut);
	assert_int_equal(rig.closed, play->ending == CLOSED || play->ending == CUT_CLOSED);
	smtp_relay_free(rig.relay);
}

static void run_all(const struct play *plays, size_t count)
{
	static const size_t pieces[] = { SIZE_MAX / 2, 1, 2, 3, 5, 17 };
	/* Any room that holds the longest line of a play is enough. */
	static const size_t rooms[] = { ROOM_WIDE, 100 };

	for (size_t i = 0; i < count; i++)
		for (size_t p = 0; p < sizeof(pieces) / sizeof(pieces[0]); p++)
			for (size_t r = 0; r < sizeof(rooms) / sizeof(rooms[0]); r++)
				run(&plays[i], pieces[p], rooms[r]);
}

#define RUN(plays) run_all(plays, sizeof(plays) / sizeof((plays)[0]))

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

/* ---- replies ---- */

static void bad_replies_are_a_backend_failure(void **state)
{
#define FAILS(name, reply)                                                                         \
	{                                                                                          \
		name, { C("NOOP\r\n"), B(reply), C("NOOP\r\n") }, "NOOP\r\n",                      \
			"421 4.3.2 Mail service has gone\r\n", CLOSED                              \
	}
	static const struct play plays[] = {
		FAILS("no code", "hello\r\n"),
		FAILS("bare LF", "250 ok\n"),
		FAILS("bare CR", "250 a\rb\r\n"),
		FAILS("NUL", "250 a\0b\r\n"),
		FAILS("escape", "250 \x1b[2J\r\n"),
		FAILS("1yz", "150 wait\r\n"),
		FAILS("a 354 that nobody asked for", "354 go\r\n"),
		FAILS("a challenge", "334 \r\n"),
		{ "mixed codes",
		  { C("HELP\r\n"), B("214-a\r\n250 b\r\n") },
		  "HELP\r\n",
		  "214-a\r\n421 4.3.2 Mail service has gone\r\n",
		  CLOSED },
		{ "one reply too many",
		  { C("NOOP\r\n"), B("250 ok\r\n250 ok\r\n") },
		  "NOOP\r\n",
		  "250 ok\r\n421 4.3.2 Mail service has gone\r\n",
		  CLOSED },
		{ "a reply to nothing",
		  { B("250 ok\r\n") },
		  "",
		  "421 4.3.2 Mail service has gone\r\n",
		  CLOSED },
		{ "250 to DATA would leave both sides with other ideas",
		  { C("DATA\r\n"), B("250 ok\r\n") },
		  "DATA\r\n",
		  "421 4.3.2 Mail service has gone\r\n",
		  CLOSED },
		{ "220 to EHLO",
		  { C("EHLO me\r\n"), B("220 hi\r\n") },
		  "EHLO me\r\n",
		  "421 4.3.2 Mail service has gone\r\n",
		  CLOSED },
	};

	RUN(plays);
}

static void a_421_passes_and_ends_the_session(void **state)
{
	static const struct play plays[] = {
		{ "as an answer",
		  { C("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"), B("421-so\r\n421 long\r\n") },
		  "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n",
		  "421-so\r\n421 long\r\n",
		  CLOSED },
		{ "unasked", { B("421 4.3.2 going\r\n") }, "", "421 4.3.2 going\r\n", CLOSED },
		{ "to DATA",
		  { C("DATA\r\nhello\r\n"), B("421 going\r\n") },
		  "DATA\r\n",
		  "421 going\r\n",
		  CLOSED },
		{ "to EHLO",
		  { C("EHLO me\r\n"), B("421 going\r\n") },
		  "EHLO me\r\n",
		  "421 going\r\n",
		  CLOSED },
		{ "to the message",
		  { C("DATA\r\n"), B("354 go\r\n"), C("x\r\n.\r\n"), B("421 going\r\n") },
		  "DATA\r\nx\r\n.\r\n",
		  "354 go\r\n421 going\r\n",
		  CLOSED },
	};

	RUN(plays);
}

static void a_backend_that_goes_is_421_in_every_state(void **state)
{
	static const struct play plays[] = {
		{ "idle", { GONE }, "", "421 4.3.2 Mail service has gone\r\n", CLOSED },
		{ "awaited",
		  { C("NOOP\r\nBLAH\r\n"), GONE },
		  "NOOP\r\n",
		  "421 4.3.2 Mail service has gone\r\n",
		  CLOSED },
		{ "before 354",
		  { C("DATA\r\n"), GONE },
		  "DATA\r\n",
		  "421 4.3.2 Mail service has gone\r\n",
		  CLOSED },
		{ "in a message",
		  { C("DATA\r\n"), B("354 go\r\n"), C("x\r\n"), GONE },
		  "DATA\r\nx\r\n",
		  "354 go\r\n421 4.3.2 Mail service has gone\r\n",
		  CLOSED },
		{ "after a message",
		  { C("DATA\r\n"), B("354 go\r\n"), C("x\r\n.\r\n"), GONE },
		  "DATA\r\nx\r\n.\r\n",
		  "354 go\r\n421 4.3.2 Mail service has gone\r\n",
		  CLOSED },
		{ "before the answers that come before QUIT's",
		  { C("NOOP\r\nQUIT\r\n"), GONE },
		  "NOOP\r\nQUIT\r\n",
		  "421 4.3.2 Mail service has gone\r\n",
		  CLOSED },
	};

	RUN(plays);
}

static void ehlo_is_rewritten(void **state)
{
	static const struct play plays[] = {
		{ "only what we know and the backend offers",
		  { C("EHLO me\r\nNOOP\r\n"),
		    B("250-old.secret.example hello me\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n"
		      "250-AUTH PLAIN LOGIN\r\n250-AUTH=PLAIN\r\n250-STARTTLS\r\n250-XCLIENT "
		      "NAME\r\n"
		      "250-CHUNKING\r\n250-XFORWARD X\r\n250-SMTPUTF8\r\n250 8bitmime\r\n"),
		    B("250 ok\r\n") },
		  "EHLO me\r\nNOOP\r\n",
		  "250-front.example\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250 8BITMIME\r\n"
		  "250 ok\r\n",
		  OPEN },
		{ "nothing offered",
		  { C("EHLO me\r\n"), B("250 DSN\r\n") },
		  "EHLO me\r\n",
		  "250-front.example\r\n250 PIPELINING\r\n",
		  OPEN },
		{ "SIZE without a number, or with nonsense",
		  { C("EHLO me\r\n"), B("250-x\r\n250 SIZE\r\n"), C("EHLO me\r\n"),
		    B("250-x\r\n250 SIZE 1k\r\n") },
		  "EHLO me\r\nEHLO me\r\n",
		  "250-front.example\r\n250-PIPELINING\r\n250 SIZE\r\n"
		  "250-front.example\r\n250-PIPELINING\r\n250 SIZE\r\n",
		  OPEN },
		{ "the second EHLO forgets the first",
		  { C("EHLO me\r\n"), B("250-x\r\n250 DSN\r\n"), C("EHLO me\r\n"),
		    B("250-x\r\n250 8BITMIME\r\n") },
		  "EHLO me\r\nEHLO me\r\n",
		  "250-front.example\r\n250-PIPELINING\r\n250 DSN\r\n"
		  "250-front.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
		  OPEN },
		{ "refused",
		  { C("EHLO me\r\n"), B("550-no\r\n550 no\r\n"), C("NOOP\r\n") },
		  "EHLO me\r\nNOOP\r\n",
		  "550-no\r\n550 no\r\n",
		  OPEN },
	};

	RUN(plays);
}

/* ---- messages ---- */

#define ENVELOPE "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"
#define ANSWERS  "250 1\r\n250 2\r\n354 go\r\n"

static void a_message_passes_unchanged(void **state)
{
	static const struct play plays[] = {
		{ "one",
		  { C(ENVELOPE), B(ANSWERS), C("Subject: x\r\n\r\n..dot\r\n.\r\n"),
		    B("250 queued\r\n"), C("QUIT\r\n"), B("221 x\r\n") },
		  ENVELOPE "Subject: x\r\n\r\n..dot\r\n.\r\nQUIT\r\n",
		  ANSWERS "250 queued\r\n221 2.0.0 Bye\r\n",
		  CLOSED },
		{ "empty",
		  { C(ENVELOPE), B(ANSWERS), C(".\r\n"), B("250 queued\r\n") },
		  ENVELOPE ".\r\n",
		  ANSWERS "250 queued\r\n",
		  OPEN },
		{ "two, with all that may be pipelined",
		  { C(ENVELOPE), B(ANSWERS), C("x\r\n.\r\n" ENVELOPE), B("250 queued\r\n" ANSWERS),
		    C("y\r\n.\r\n"), B("250 queued\r\n") },
		  ENVELOPE "x\r\n.\r\n" ENVELOPE "y\r\n.\r\n",
		  ANSWERS "250 queued\r\n" ANSWERS "250 queued\r\n",
		  OPEN },
		{ "commands in it are no commands",
		  { C(ENVELOPE), B(ANSWERS), C("QUIT\r\nXCLIENT x\r\n.\r\n"), B("250 q\r\n") },
		  ENVELOPE "QUIT\r\nXCLIENT x\r\n.\r\n",
		  ANSWERS "250 q\r\n",
		  OPEN },
		{ "refused in the end",
		  { C(ENVELOPE), B(ANSWERS), C("x\r\n.\r\n"), B("552-too\r\n552 big\r\n") },
		  ENVELOPE "x\r\n.\r\n",
		  ANSWERS "552-too\r\n552 big\r\n",
		  OPEN },
		{ "a reply in mid-message is a failure",
		  { C(ENVELOPE), B(ANSWERS), C("x\r\n"), B("250 queued\r\n"), C("y\r\n.\r\n") },
		  ENVELOPE "x\r\n",
		  ANSWERS "421 4.3.2 Mail service has gone\r\n",
		  CLOSED },
		{ "so is 421",
		  { C(ENVELOPE), B(ANSWERS), C("x\r\n"), B("421 bye\r\n"), C(".\r\n") },
		  ENVELOPE "x\r\n",
		  ANSWERS "421 4.3.2 Mail service has gone\r\n",
		  CLOSED },
	};

	RUN(plays);
}

static void behind_a_refused_data_come_commands(void **state)
{
	static const struct play plays[] = {
		{ "XCLIENT",
		  { C("DATA\r\nXCLIENT ADDR=1.2.3.4\r\nhello\r\n.\r\nRSET\r\n"), B("503 no\r\n"),
		    B("250 ok\r\n") },
		  "DATA\r\nRSET\r\n",
		  "503 no\r\n502 5.5.1 Command not available\r\n"
		  "500 5.5.2 Command not recognized\r\n500 5.5.2 Syntax error\r\n250 ok\r\n",
		  OPEN },
		{ "nothing is read before the answer",
		  { C("DATA\r\nNOOP\r\n") },
		  "DATA\r\n",
		  "",
		  OPEN },
	};

	RUN(plays);
}

static const struct {
	const char *bytes;
	size_t len;
} spoilt[] = {
#define S(text)                                                                                    \
	{                                                                                          \
		text, sizeof(text) - 1                                                             \
	}
	S("\n.\n"),       S("\n.\r\n"),     S("\r.\r"),    S("\r\n.\n"),
	S("\r\n.\r\r\n"), S("\r.\r\n"),     S("\r\n.\rx"), S("\r\r\n"),
	S("\r\n\r.\r\n"), S("\r\n\n.\r\n"), S("\0"),       S("\r\n.\0\r\n"),
	S("\r\0\n"),      S("\n"),          S("\r\n.\0"),  S("\n.\nMAIL FROM:<evil@x>\n"),
	S("\r.\n"),       S("\r\n\0.\r\n"),
#undef S
};

/* The whole way: whatever a lenient backend takes for an end, it never sees more than the clean beginning. */
static void a_spoilt_message_is_cut_and_refused(void **state)
{
	static const size_t pieces[] = { 1, 2, 3, 4, 7, 1000 };
	static const struct step envelope = C(ENVELOPE), answers = B(ANSWERS), next = C("RSET\r\n");
	static const char refused[] =
		ANSWERS "550 5.6.11 Bare CR, bare LF or NUL in the message\r\n"
			"421 4.7.0 Connect again to send another message\r\n";
	static struct rig rig;
	char message[200];

	for (size_t i = 0; i < sizeof(spoilt) / sizeof(spoilt[0]); i++) {
		for (size_t p = 0; p < sizeof(pieces) / sizeof(pieces[0]); p++) {
			size_t len = 0, envelope_len = strlen(ENVELOPE);

			memcpy(message, "clean", 5);
			memcpy(message + 5, spoilt[i].bytes, spoilt[i].len);
			len = 5 + spoilt[i].len;
			memcpy(message + len, "rest\r\n.\r\n", 9);
			len += 9;
			rig_open(&rig, ROOM_WIDE, 200, 1000);
			take(&rig, &envelope, pieces[p]);
			take(&rig, &answers, pieces[p]);
			take(&rig, &(struct step) { 'C', message, len - 3 }, pieces[p]);
			assert_true(rig.cut);
			assert_true(smtp_relay_in_message(rig.relay));
			assert_false(smtp_relay_idle(rig.relay));
			take(&rig, &(struct step) { 'C', message + len - 3, 3 }, pieces[p]);
			assert_true(smtp_relay_idle(rig.relay));
			take(&rig, &next, pieces[p]);
			assert_true(rig.closed);
			assert_true(rig.to_backend.len >= envelope_len);
			assert_memory_equal(rig.to_backend.data + envelope_len, message,
					    rig.to_backend.len - envelope_len);
			assert_null(memmem(rig.to_backend.data + envelope_len - 2,
					   rig.to_backend.len - envelope_len + 2, "\r\n.\r\n", 5));
			assert_null(memchr(rig.to_backend.data, '\0', rig.to_backend.len));
			assert_int_equal(rig.to_client.len, strlen(refused));
			assert_memory_equal(rig.to_client.data, refused, rig.to_client.len);
			smtp_relay_free(rig.relay);
		}
	}
}

static void after_a_cut_only_quit_is_served(void **state)
{
	static const struct play plays[] = {
		{ "quit",
		  { C(ENVELOPE), B(ANSWERS), C("a\nb\r\n.\r\nquit\r\n") },
		  ENVELOPE "a",
		  ANSWERS "550 5.6.11 Bare CR, bare LF or NUL in the message\r\n"
			  "221 2.0.0 Bye\r\n",
		  CUT_CLOSED },
		{ "mail",
		  { C(ENVELOPE), B(ANSWERS), C("a\nb\r\n.\r\nMAIL FROM:<a@b>\r\nQUIT\r\n") },
		  ENVELOPE "a",
		  ANSWERS "550 5.6.11 Bare CR, bare LF or NUL in the message\r\n"
			  "421 4.7.0 Connect again to send another message\r\n",
		  CUT_CLOSED },
		{ "the backend's late words are dropped",
		  { C(ENVELOPE), B(ANSWERS), C("a\nb\r\n"), B("250 queued\r\n"), C(".\r\n") },
		  ENVELOPE "a",
		  ANSWERS "550 5.6.11 Bare CR, bare LF or NUL in the message\r\n",
		  CUT },
	};

	RUN(plays);
}

static void a_spoilt_message_without_end_ends_the_session(void **state)
{
	static const struct step envelope = C(ENVELOPE), answers = B(ANSWERS);
	static struct rig rig;
	char rest[2000];

	memset(rest, 'x', sizeof(rest));
	rest[3] = '\n';
	rig_open(&rig, ROOM_WIDE, 200, 1000);
	take(&rig, &envelope, 1000);
	take(&rig, &answers, 1000);
	take(&rig, &(struct step) { 'C', rest, sizeof(rest) }, 100);
	assert_true(rig.cut && rig.closed);
	assert_non_null(memmem(rig.to_client.data, rig.to_client.len, "421 4.7.0", 9));
	smtp_relay_free(rig.relay);
}

static void a_refused_chunk_is_counted_and_swallowed(void **state)
{
	static const struct play plays[] = {
		{ "its octets are no commands",
		  { C("BDAT 12\r\nRSET\r\nNOOP\r\nNOOP 1\r\n"), B("250 1\r\n") },
		  "NOOP 1\r\n",
		  "502 5.5.1 BDAT is not available\r\n250 1\r\n",
		  OPEN },
		{ "none",
		  { C("BDAT 0 LAST\r\nNOOP 1\r\n"), B("250 1\r\n") },
		  "NOOP 1\r\n",
		  "502 5.5.1 BDAT is not available\r\n250 1\r\n",
		  OPEN },
		{ "in order",
		  { C("NOOP 1\r\nBDAT 3 LAST\r\n\0\n\rNOOP 2\r\n"), B("250 1\r\n"),
		    B("250 2\r\n") },
		  "NOOP 1\r\nNOOP 2\r\n",
		  "250 1\r\n502 5.5.1 BDAT is not available\r\n250 2\r\n",
		  OPEN },
		{ "unreadable",
		  { C("BDAT x\r\nNOOP\r\n") },
		  "",
		  "501 5.5.4 Syntax: BDAT size [LAST]\r\n",
		  CLOSED },
		{ "twenty digits",
		  { C("BDAT 18446744073709551620\r\nNOOP\r\n") },
		  "",
		  "501 5.5.4 Syntax: BDAT size [LAST]\r\n",
		  CLOSED },
		{ "more than we would swallow",
		  { C("BDAT 9999999999999999999\r\nNOOP\r\n") },
		  "",
		  "421 4.7.0 Too much to ignore\r\n",
		  CLOSED },
	};

	RUN(plays);
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
		cmocka_unit_test(bad_replies_are_a_backend_failure),
		cmocka_unit_test(a_421_passes_and_ends_the_session),
		cmocka_unit_test(a_backend_that_goes_is_421_in_every_state),
		cmocka_unit_test(ehlo_is_rewritten),
		cmocka_unit_test(a_message_passes_unchanged),
		cmocka_unit_test(behind_a_refused_data_come_commands),
		cmocka_unit_test(a_spoilt_message_is_cut_and_refused),
		cmocka_unit_test(after_a_cut_only_quit_is_served),
		cmocka_unit_test(a_spoilt_message_without_end_ends_the_session),
		cmocka_unit_test(a_refused_chunk_is_counted_and_swallowed),
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
