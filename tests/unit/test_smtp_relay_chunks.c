/* test_smtp_relay_chunks - submission after login: messages by BDAT, passed on or turned into DATA (relay_play.h). */
#include "tests/unit/relay_play.h"

static const char *const chunking[] = { "SIZE 1000", "8BITMIME", "CHUNKING", NULL };
static const char *const binary[] = { "8BITMIME", "CHUNKING", "BINARYMIME", NULL };
static const struct smtp_extensions able = { SMTP_PIPELINING | SMTP_SIZE | SMTP_CHUNKING, 1000 };
static const struct smtp_extensions all = {
	SMTP_PIPELINING | SMTP_8BITMIME | SMTP_CHUNKING | SMTP_BINARYMIME, 0
};

static const struct setting passed = { chunking, &able }, converted = { chunking, &usual },
			    any = { binary, &all }, less = { binary, &able },
			    more = { chunking, &all };

#define GONE_TEXT "421 4.3.2 Mail service has gone\r\n"
#define ENVELOPE  "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"
#define TAKEN     "250 1\r\n250 2\r\n"
#define SPOILT    "550 5.6.11 Bare CR, bare LF or NUL in the message\r\n"
#define RECEIVED  "250 2.0.0 Chunk received\r\n"

/* ---- not offered ---- */

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

static void after_ehlo_only_what_it_showed_counts(void **state)
{
	static const struct play passed_plays[] = {
		{ "not any more",
		  { C("EHLO me\r\n"), B("250-x\r\n250 PIPELINING\r\n"), C("BDAT 2 LAST\r\n\r\n") },
		  "EHLO me\r\n",
		  "250-front.example\r\n250 PIPELINING\r\n502 5.5.1 BDAT is not available\r\n",
		  OPEN },
		{ "HELO shows nothing",
		  { C("HELO me\r\n"), B("250 x\r\n"), C("BDAT 2 LAST\r\n\r\n") },
		  "HELO me\r\n",
		  "250 front.example\r\n502 5.5.1 BDAT is not available\r\n",
		  OPEN },
	};
	static const struct play converted_plays[] = {
		{ "from now on",
		  { C("EHLO me\r\n"), B("250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n"),
		    C("BDAT 2 LAST\r\n\r\n"), B("250 ok\r\n") },
		  "EHLO me\r\nBDAT 2 LAST\r\n\r\n",
		  "250-front.example\r\n250-PIPELINING\r\n250 CHUNKING\r\n250 ok\r\n",
		  OPEN },
	};

	RUN_WITH(passed_plays, &passed);
	RUN_WITH(converted_plays, &converted);
}

/* ---- passed on ---- */

static void chunks_are_passed_on_in_canonical_form(void **state)
{
	static const struct play plays[] = {
		{ "all at once",
		  { C(ENVELOPE "bdat  007 \r\nfirst\r\nBDAT 6  last\r\nlast\r\nNOOP 1\r\n"),
		    B(TAKEN "250 3\r\n250 4\r\n250 5\r\n") },
		  ENVELOPE "BDAT 7\r\nfirst\r\nBDAT 6 LAST\r\nlast\r\nNOOP 1\r\n",
		  TAKEN "250 3\r\n250 4\r\n250 5\r\n",
		  OPEN },
		{ "dots, and words of commands",
		  { C("BDAT 14 LAST\r\n.\r\nQUIT\r\n\r\n.\r\nNOOP 1\r\n"),
		    B("250 ok\r\n250 1\r\n") },
		  "BDAT 14 LAST\r\n.\r\nQUIT\r\n\r\n.\r\nNOOP 1\r\n",
		  "250 ok\r\n250 1\r\n",
		  OPEN },
		{ "nothing in it",
		  { C("BDAT 0\r\nBDAT 0 LAST\r\n"), B("250 1\r\n250 2\r\n") },
		  "BDAT 0\r\nBDAT 0 LAST\r\n",
		  "250 1\r\n250 2\r\n",
		  OPEN },
		{ "a CRLF split over chunks, and no line end at the end",
		  { C("BDAT 2\r\na\rBDAT 2\r\n\n.BDAT 1 LAST\r\nb"),
		    B("250 1\r\n250 2\r\n250 3\r\n") },
		  "BDAT 2\r\na\rBDAT 2\r\n\n.BDAT 1 LAST\r\nb",
		  "250 1\r\n250 2\r\n250 3\r\n",
		  OPEN },
		{ "refused before all is sent: still octets",
		  { C("BDAT 6 LAST\r\nNO"), B("503-no\r\n503 no\r\n"), C("OP\r\nRSET\r\n"),
		    B("250 r\r\n") },
		  "BDAT 6 LAST\r\nNOOP\r\nRSET\r\n",
		  "503-no\r\n503 no\r\n250 r\r\n",
		  OPEN },
		{ "a 354 to BDAT makes no sense",
		  { C("BDAT 1 LAST\r\na"), B("354 go\r\n") },
		  "BDAT 1 LAST\r\na",
		  GONE_TEXT,
		  CLOSED },
	};

	RUN_WITH(plays, &passed);
}

static void a_message_in_chunks_is_not_mixed_with_another(void **state)
{
	static const struct play plays[] = {
		{ "DATA, MAIL, RCPT in between",
		  { C("BDAT 1\r\naDATA\r\n" ENVELOPE "BDAT 1 LAST\r\nb"), B("250 1\r\n250 2\r\n") },
		  "BDAT 1\r\naBDAT 1 LAST\r\nb",
		  "250 1\r\n503 5.5.1 In the middle of a message\r\n"
		  "503 5.5.1 In the middle of a message\r\n"
		  "503 5.5.1 In the middle of a message\r\n250 2\r\n",
		  OPEN },
		{ "RSET begins anew",
		  { C("BDAT 2\r\na\rRSET\r\nDATA\r\n"), B("250 1\r\n250 2\r\n354 go\r\n"),
		    C("x\r\n.\r\n"), B("250 3\r\n") },
		  "BDAT 2\r\na\rRSET\r\nDATA\r\nx\r\n.\r\n",
		  "250 1\r\n250 2\r\n354 go\r\n250 3\r\n",
		  OPEN },
		{ "what may be asked",
		  { C("BDAT 1\r\naNOOP\r\nVRFY x\r\nBDAT 0 LAST\r\n"),
		    B("250 1\r\n250 2\r\n252 3\r\n250 4\r\n") },
		  "BDAT 1\r\naNOOP\r\nVRFY x\r\nBDAT 0 LAST\r\n",
		  "250 1\r\n250 2\r\n252 3\r\n250 4\r\n",
		  OPEN },
		{ "a failed chunk is not followed by others",
		  { C("BDAT 1\r\na"), B("452 full\r\n"),
		    C("BDAT 6 LAST\r\nQUIT\r\nDATA\r\nRSET\r\n"), B("250 r\r\n"),
		    C("BDAT 1 LAST\r\nb"), B("250 ok\r\n") },
		  "BDAT 1\r\naRSET\r\nBDAT 1 LAST\r\nb",
		  "452 full\r\n503 5.5.1 The message has been refused\r\n503 5.5.1 BDAT has "
		  "begun\r\n"
		  "250 r\r\n250 ok\r\n",
		  OPEN },
		{ "a late refusal is not for the next message",
		  { C("BDAT 1\r\naRSET\r\nBDAT 1\r\nb"), B("452 full\r\n250 r\r\n250 ok\r\n"),
		    C("BDAT 0 LAST\r\n"), B("250 ok\r\n") },
		  "BDAT 1\r\naRSET\r\nBDAT 1\r\nbBDAT 0 LAST\r\n",
		  "452 full\r\n250 r\r\n250 ok\r\n250 ok\r\n",
		  OPEN },
	};

	RUN_WITH(plays, &passed);
}

static void a_spoilt_chunk_is_cut_and_refused(void **state)
{
	static const struct play passed_plays[] = {
		{ "what came before is answered first",
		  { C(ENVELOPE "BDAT 10 LAST\r\nab\ncdefg\r\n"), B(TAKEN), C("QUIT\r\n") },
		  ENVELOPE "BDAT 10 LAST\r\nab",
		  TAKEN SPOILT "221 2.0.0 Bye\r\n",
		  CUT_CLOSED },
		{ "NUL, in the second chunk",
		  { C("BDAT 1\r\na"), B("250 1\r\n"),
		    C("BDAT 3 LAST\r\n\0\r\nMAIL FROM:<a@b>\r\n") },
		  "BDAT 1\r\naBDAT 3 LAST\r\n",
		  "250 1\r\n" SPOILT "421 4.7.0 Connect again to send another message\r\n",
		  CUT_CLOSED },
		{ "a CR that no LF follows in the next chunk",
		  { C("BDAT 2\r\na\r"), B("250 1\r\n"), C("BDAT 2 LAST\r\nb\n") },
		  "BDAT 2\r\na\rBDAT 2 LAST\r\n",
		  "250 1\r\n" SPOILT,
		  CUT },
		{ "a CR at the very end never goes out",
		  { C("BDAT 2 LAST\r\na\r"), C("QUIT\r\n") },
		  "BDAT 2 LAST\r\na",
		  SPOILT "221 2.0.0 Bye\r\n",
		  CUT_CLOSED },
		{ "a last chunk of nothing does not complete a CR",
		  { C("BDAT 2\r\na\r"), B("250 1\r\n"), C("BDAT 0 LAST\r\n") },
		  "BDAT 2\r\na\r",
		  "250 1\r\n" SPOILT,
		  CUT },
		{ "the refusal that came already is the only one",
		  { C("BDAT 5 LAST\r\nab"), B("503 no\r\n"), C("\ncdQUIT\r\n") },
		  "BDAT 5 LAST\r\nab",
		  "503 no\r\n221 2.0.0 Bye\r\n",
		  CUT_CLOSED },
	};
	static const struct play converted_plays[] = {
		{ "as DATA",
		  { C("BDAT 9 LAST\r\nab\n.\r\n.\r\n"), B("354 go\r\n"), C("NOOP\r\n") },
		  "DATA\r\nab",
		  SPOILT "421 4.7.0 Connect again to send another message\r\n",
		  CUT_CLOSED },
		{ "too much to swallow",
		  { C("BDAT 900 LAST\r\nab\n"), B("354 go\r\n") },
		  "DATA\r\nab",
		  SPOILT "421 4.7.0 Too much to ignore\r\n",
		  CUT_CLOSED },
	};

	RUN_WITH(passed_plays, &passed);
	RUN_WITH(converted_plays, &converted);
}

static void binary_octets_pass_where_binary_is_offered(void **state)
{
	static const struct play binary_plays[] = {
		{ "any octet",
		  { C("MAIL FROM:<a@b> BODY=binarymime\r\nBDAT 4\r\n\n\r\n\rBDAT 2 LAST\r\n.\r"),
		    B("250 1\r\n"), B("250 2\r\n250 3\r\n"), C("BDAT 1 LAST\r\n\n") },
		  "MAIL FROM:<a@b> BODY=binarymime\r\nBDAT 4\r\n\n\r\n\rBDAT 2 LAST\r\n.\rBDAT 1 "
		  "LAST\r\n",
		  "250 1\r\n250 2\r\n250 3\r\n" SPOILT,
		  CUT },
		{ "not for a MAIL that is refused",
		  { C("MAIL FROM:<a@b>\r\nMAIL FROM:<a@b> BODY=BINARYMIME\r\nBDAT 3\r\na\nb"),
		    B("250 1\r\n503 nested\r\n") },
		  "MAIL FROM:<a@b>\r\nMAIL FROM:<a@b> BODY=BINARYMIME\r\nBDAT 3\r\na",
		  "250 1\r\n503 nested\r\n" SPOILT,
		  CUT },
		{ "not by DATA",
		  { C("MAIL FROM:<a@b> BODY=BINARYMIME\r\nDATA\r\nRSET\r\nDATA\r\n"),
		    B("250 1\r\n"), B("250 2\r\n354 go\r\n") },
		  "MAIL FROM:<a@b> BODY=BINARYMIME\r\nRSET\r\nDATA\r\n",
		  "250 1\r\n503 5.5.1 A binary message needs BDAT\r\n250 2\r\n354 go\r\n",
		  OPEN },
	};
	static const struct play unable[] = {
		{ "not without it",
		  { C("MAIL FROM:<a@b> BODY=BINARYMIME\r\n") },
		  "",
		  "555 5.6.1 Binary messages are not supported by the mail service\r\n",
		  OPEN },
	};
	static const struct play not_shown[] = {
		{ "nor where it is not shown",
		  { C("MAIL FROM:<a@b> BODY=BINARYMIME\r\n") },
		  "",
		  "555 5.6.1 Binary messages are not supported by the mail service\r\n",
		  OPEN },
	};

	RUN_WITH(binary_plays, &any);
	RUN_WITH(unable, &less);
	RUN_WITH(not_shown, &more);
}

/* ---- turned into DATA ---- */

static void chunks_become_one_message_by_data(void **state)
{
	static const struct play plays[] = {
		{ "dots are stuffed, and each chunk is answered",
		  { C(ENVELOPE "BDAT 8\r\n.a\r\n..\r\nBDAT 4\r\n.\r\n.BDAT 3 LAST\r\n\r\n."),
		    B(TAKEN "354-go\r\n354 on\r\n"), B("250 queued\r\n") },
		  ENVELOPE "DATA\r\n..a\r\n...\r\n..\r\n..\r\n..\r\n.\r\n",
		  TAKEN RECEIVED RECEIVED "250 queued\r\n",
		  OPEN },
		{ "a message without CRLF at its end gets one",
		  { C("BDAT 3 LAST\r\nabc"), B("354 go\r\n"), B("250 queued\r\n"), C("NOOP\r\n"),
		    B("250 n\r\n") },
		  "DATA\r\nabc\r\n.\r\nNOOP\r\n",
		  "250 queued\r\n250 n\r\n",
		  OPEN },
		{ "no octet at all",
		  { C("BDAT 0 LAST\r\n"), B("354 go\r\n"), B("250 queued\r\n") },
		  "DATA\r\n.\r\n",
		  "250 queued\r\n",
		  OPEN },
		{ "a CRLF split over chunks",
		  { C("BDAT 2\r\na\rBDAT 2\r\n\n.BDAT 2 LAST\r\n\r\n"), B("354 go\r\n"),
		    B("552 too big\r\n") },
		  "DATA\r\na\r\n..\r\n.\r\n",
		  RECEIVED RECEIVED "552 too big\r\n",
		  OPEN },
		{ "one behind the other",
		  { C("BDAT 1 LAST\r\na" ENVELOPE "BDAT 1 LAST\r\nb"), B("354 go\r\n"),
		    B("250 q\r\n" TAKEN), B("354 go\r\n"), B("250 q\r\n") },
		  "DATA\r\na\r\n.\r\n" ENVELOPE "DATA\r\nb\r\n.\r\n",
		  "250 q\r\n" TAKEN "250 q\r\n",
		  OPEN },
		{ "a reply in mid-message is a failure",
		  { C("BDAT 1\r\na"), B("354 go\r\n"), B("250 queued\r\n") },
		  "DATA\r\na",
		  RECEIVED GONE_TEXT,
		  CLOSED },
	};

	RUN_WITH(plays, &converted);
}

static void a_refused_data_refuses_the_chunks(void **state)
{
	static const struct play plays[] = {
		{ "and swallows them",
		  { C("BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nRSET\r\n"),
		    B("554-no\r\n554 rcpt\r\n"), B("250 r\r\n") },
		  "DATA\r\nRSET\r\n",
		  "554-no\r\n554 rcpt\r\n503 5.5.1 The message has been refused\r\n250 r\r\n",
		  OPEN },
		{ "MAIL begins anew too",
		  { C("BDAT 1 LAST\r\na"), B("452 later\r\n"), C("MAIL FROM:<>\r\nBDAT 0 LAST\r\n"),
		    B("250 1\r\n354 go\r\n"), B("250 q\r\n") },
		  "DATA\r\nMAIL FROM:<>\r\nDATA\r\n.\r\n",
		  "452 later\r\n250 1\r\n250 q\r\n",
		  OPEN },
		{ "more than we would swallow",
		  { C("BDAT 301 LAST\r\n"), B("452 later\r\n") },
		  "DATA\r\n",
		  "452 later\r\n421 4.7.0 Too much to ignore\r\n",
		  CLOSED },
		{ "421",
		  { C("BDAT 1 LAST\r\na"), B("421 bye\r\n") },
		  "DATA\r\n",
		  "421 bye\r\n",
		  CLOSED },
		{ "no octet is read before the answer",
		  { C("BDAT 2 LAST\r\na\n") },
		  "DATA\r\n",
		  "",
		  OPEN },
	};

	RUN_WITH(plays, &converted);
}

static void between_chunks_of_data_nothing_reaches_the_backend(void **state)
{
	static const struct play plays[] = {
		{ "answered here",
		  { C("BDAT 1\r\naNOOP\r\nVRFY x\r\nHELP\r\nMAIL FROM:<a@b>\r\nBDAT 0 LAST\r\n"),
		    B("354 go\r\n"), B("250 q\r\n") },
		  "DATA\r\na\r\n.\r\n",
		  RECEIVED "250 2.0.0 OK\r\n503 5.5.1 In the middle of a message\r\n"
			   "503 5.5.1 In the middle of a message\r\n"
			   "503 5.5.1 In the middle of a message\r\n250 q\r\n",
		  OPEN },
		{ "RSET costs the backend's connection",
		  { C("BDAT 1\r\naRSET\r\nMAIL FROM:<a@b>\r\n"), B("354 go\r\n") },
		  "DATA\r\na",
		  RECEIVED "250 2.0.0 OK\r\n421 4.7.0 Connect again to send another message\r\n",
		  CUT_CLOSED },
		{ "so does QUIT",
		  { C("BDAT 1\r\naQUIT\r\n"), B("354 go\r\n") },
		  "DATA\r\na",
		  RECEIVED "221 2.0.0 Bye\r\n",
		  CUT_CLOSED },
		{ "and EHLO",
		  { C("BDAT 1\r\naEHLO me\r\n"), B("354 go\r\n") },
		  "DATA\r\na",
		  RECEIVED "421 4.7.0 Connect again to send another message\r\n",
		  CUT_CLOSED },
	};

	RUN_WITH(plays, &converted);
}

/* ---- the state of it ---- */

/* From the first chunk to the last octet of the last one, however that one is sent on. */
static void a_message_is_under_way_until_its_last_octet(void **state)
{
	static const struct step first = C("BDAT 3\r\nabc"), last = C("BDAT 3 LAST\r\nde"),
				 go = B("354 go\r\n"), ok = B("250 ok\r\n"), end = C("f");
	const struct smtp_extensions *const mets[] = { &able, &usual };
	const struct smtp_relay_settings settings = { "front.example", chunking, 200, 300 };

	for (size_t i = 0; i < 2; i++) {
		static struct rig rig;
		bool as_data = mets[i] == &usual;

		rig_open_with(&rig, &settings, mets[i]);
		take(&rig, &first, 100);
		if (as_data)
			take(&rig, &go, 100);
		assert_true(smtp_relay_in_message(rig.relay));
		if (!as_data)
			take(&rig, &ok, 100);
		assert_true(smtp_relay_in_message(rig.relay));
		assert_false(smtp_relay_idle(rig.relay));
		take(&rig, &last, 100);
		assert_true(smtp_relay_in_message(rig.relay));
		take(&rig, &end, 100);
		assert_false(smtp_relay_in_message(rig.relay));
		assert_false(smtp_relay_idle(rig.relay));
		assert_true(smtp_relay_awaits(rig.relay));
		take(&rig, &ok, 100);
		assert_true(smtp_relay_idle(rig.relay));
		smtp_relay_free(rig.relay);
	}
}

static void a_chunk_larger_than_any_buffer_is_streamed(void **state)
{
	static const struct smtp_extensions unbounded = { SMTP_PIPELINING | SMTP_CHUNKING, 0 };
	static const char *const shown[] = { "CHUNKING", NULL };
	const struct smtp_relay_settings settings = { "front.example", shown, 200, 300 };
	static struct rig rig;
	char piece[5000];

	memset(piece, 'x', sizeof(piece));
	rig_open_with(&rig, &settings, &unbounded);
	take(&rig, &(struct step)C("BDAT 9999999999999999999 LAST\r\n"), 100);
	assert_int_equal(rig.to_backend.len, 31);
	for (int i = 0; i < 1000; i++) {
		rig.to_backend.len = 0;
		take(&rig, &(struct step) { 'C', piece, sizeof(piece) }, 100000);
		assert_int_equal(rig.to_backend.len, sizeof(piece));
	}
	assert_true(smtp_relay_in_message(rig.relay));
	smtp_relay_free(rig.relay);
}

/* The backend judges the size; a client that goes on far beyond it is not served for ever. */
static void a_message_far_over_the_size_ends_the_session(void **state)
{
	static const char *const commands[] = { "BDAT 9999 LAST\r\n", "DATA\r\n" };
	static const struct step go = B("354 go\r\n");
	const struct smtp_relay_settings settings = { "front.example", chunking, 200, 300 };
	char line[102];

	memset(line, 'x', 100);
	memcpy(line + 98, "\r\n", 3);
	for (size_t i = 0; i < 2; i++) {
		static struct rig rig;

		rig_open_with(&rig, &settings, &able);
		take(&rig, &(struct step) { 'C', commands[i], strlen(commands[i]) }, 100);
		if (i == 1)
			take(&rig, &go, 100);
		for (int k = 0; k < 13; k++)
			take(&rig, &(struct step) { 'C', line, 100 }, 100);
		assert_false(rig.closed);
		take(&rig, &(struct step) { 'C', line, 100 }, 100);
		assert_true(rig.closed);
		assert_string_equal(smtp_relay_reason(rig.relay), "too_big");
		assert_non_null(memmem(rig.to_client.data, rig.to_client.len, "552 5.3.4", 9));
		smtp_relay_free(rig.relay);
	}
}

/* The client hears that it did not pass, so the octet that completes it must not. */
static void a_message_far_over_the_size_is_not_completed(void **state)
{
	const struct smtp_relay_settings settings = { "front.example", chunking, 200, 300 };
	const size_t octets = 1301;
	static struct rig rig;
	char text[2000];

	memset(text, 'x', sizeof(text));
	memcpy(text, "BDAT 1301 LAST\r\n", 16);
	rig_open_with(&rig, &settings, &able);
	take(&rig, &(struct step) { 'C', text, 16 + octets }, 16 + octets);
	assert_true(rig.closed);
	assert_string_equal(smtp_relay_reason(rig.relay), "too_big");
	assert_true(rig.to_backend.len < 16 + octets);
	smtp_relay_free(rig.relay);
}

static void the_log_is_told_that_a_message_was_aborted(void **state)
{
	static const struct step steps[] = { C("BDAT 1\r\na"), B("354 go\r\n"),
					     C("RSET\r\nNOOP\r\n") };
	const struct smtp_relay_settings settings = { "front.example", chunking, 200, 300 };
	static struct rig rig;

	rig_open_with(&rig, &settings, &usual);
	for (size_t i = 0; i < 3; i++)
		take(&rig, &steps[i], 100);
	assert_true(rig.closed);
	assert_string_equal(smtp_relay_reason(rig.relay), "message_aborted");
	smtp_relay_free(rig.relay);
}

/* What a backend had begun to say before it was cut is awaited by nobody. */
static void half_a_reply_does_not_outlive_the_cut(void **state)
{
	static const struct step steps[] = { C("BDAT 9\r\na"), B("452-wait\r\n"), C("\nbcdefgh") };
	const struct smtp_relay_settings settings = { "front.example", chunking, 200, 300 };
	static struct rig rig;

	rig_open_with(&rig, &settings, &able);
	for (size_t i = 0; i < 3; i++)
		take(&rig, &steps[i], 100);
	assert_true(rig.cut);
	assert_true(smtp_relay_idle(rig.relay));
	smtp_relay_free(rig.relay);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_refused_chunk_is_counted_and_swallowed),
		cmocka_unit_test(after_ehlo_only_what_it_showed_counts),
		cmocka_unit_test(chunks_are_passed_on_in_canonical_form),
		cmocka_unit_test(a_message_in_chunks_is_not_mixed_with_another),
		cmocka_unit_test(a_spoilt_chunk_is_cut_and_refused),
		cmocka_unit_test(binary_octets_pass_where_binary_is_offered),
		cmocka_unit_test(chunks_become_one_message_by_data),
		cmocka_unit_test(a_refused_data_refuses_the_chunks),
		cmocka_unit_test(between_chunks_of_data_nothing_reaches_the_backend),
		cmocka_unit_test(a_message_is_under_way_until_its_last_octet),
		cmocka_unit_test(a_chunk_larger_than_any_buffer_is_streamed),
		cmocka_unit_test(a_message_far_over_the_size_ends_the_session),
		cmocka_unit_test(a_message_far_over_the_size_is_not_completed),
		cmocka_unit_test(the_log_is_told_that_a_message_was_aborted),
		cmocka_unit_test(half_a_reply_does_not_outlive_the_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
