/* test_smtp_relay_messages - submission after login: messages by DATA (relay_play.h). */
#include "tests/unit/relay_play.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_passes_unchanged),
		cmocka_unit_test(behind_a_refused_data_come_commands),
		cmocka_unit_test(a_spoilt_message_is_cut_and_refused),
		cmocka_unit_test(after_a_cut_only_quit_is_served),
		cmocka_unit_test(a_spoilt_message_without_end_ends_the_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
