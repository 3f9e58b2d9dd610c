/* test_log - a line is one write, nobody can forge one, and nothing ever blocks. */
#include "frontend/log.h"
#include "tests/support/log_text.h"
#include <fcntl.h>
#include <regex.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static int reading; /* what the log writes comes out here */

/* Everything written so far, as a string. */
static const char *written(void)
{
	static char text[1 << 17];
	ssize_t len = read(reading, text, sizeof(text) - 1);

	text[len > 0 ? len : 0] = '\0';
	return text;
}

static int pipe_up(void **state)
{
	int ends[2];

	if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0)
		return -1;
	reading = ends[0];
	log_set_output(&(struct log_output) { .fd = ends[1] });
	log_set_level(LOG_LEVEL_INFO);
	/* what the test before lost is told here */
	log_event(LOG_LEVEL_INFO, "begin", "x");
	written();
	return 0;
}

static int pipe_down(void **state)
{
	log_set_descriptor(-1);
	close(reading);
	return 0;
}

static void assert_matches(const char *text, const char *pattern)
{
	regex_t regex;

	assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);

	bool matches = regexec(&regex, text, 0, NULL, 0) == 0;

	regfree(&regex);
	if (!matches)
		fail_msg("%s does not match %s", text, pattern);
}

#define TIME "time=[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z"

static void a_line_begins_with_time_level_and_event(void **state)
{
	struct log_line line;

	log_begin(&line, LOG_LEVEL_WARNING, "ready", 0);
	log_word(&line, "version", "1.2");
	log_word(&line, "absent", NULL);
	log_number(&line, "n", UINT64_MAX);
	log_seconds(&line, "seconds", 3.2144);
	log_end(&line);
	assert_matches(written(), "^" TIME " level=warning event=ready version=1\\.2 "
				  "n=18446744073709551615 seconds=3\\.214\n$");
}

static void a_word_that_a_blank_or_a_quotation_mark_would_break_is_quoted(void **state)
{
	struct log_line line;

	log_begin(&line, LOG_LEVEL_INFO, "x", 0);
	log_word(&line, "a", "old imap");
	log_word(&line, "b", "x\"y");
	log_word(&line, "c", "");
	log_word(&line, "d", "x=y");
	log_end(&line);
	assert_matches(written(), " a=\"old imap\" b=\"x\\\\\"y\" c=\"\" d=x=y\n$");
}

static void the_session_stands_first(void **state)
{
	struct log_line line;

	log_begin(&line, LOG_LEVEL_INFO, "session_end", 0x00a1000000000017);
	log_value(&line, "user", SPAN("alice"));
	log_end(&line);
	assert_matches(written(), "^session=00a1000000000017 " TIME
				  " level=info event=session_end user=\"alice\"\n$");
}

static void below_the_level_nothing_is_written(void **state)
{
	struct log_line line;

	log_begin(&line, LOG_LEVEL_DEBUG, "x", 1);
	log_value(&line, "user", SPAN("alice"));
	log_end(&line);
	log_event(LOG_LEVEL_DEBUG, "x", "y");
	assert_string_equal(written(), "");
	log_set_level(LOG_LEVEL_DEBUG);
	log_event(LOG_LEVEL_DEBUG, "x", "y");
	assert_matches(written(), "level=debug event=x message=\"y\"\n$");
}

static void values_from_outside_are_escaped(void **state)
{
	static const struct {
		struct span value;
		const char *shown;
	} cases[] = {
		{ { "", 0 }, "\"\"" },
		{ { "a b=c", 5 }, "\"a b=c\"" },
		{ { "x\" level=error y=\"", 18 }, "\"x\\\" level=error y=\\\"\"" },
		{ { "back\\", 5 }, "\"back\\\\\"" },
		{ { "a\r\nb\0c\t\x7f", 8 }, "\"a\\x0d\\x0ab\\x00c\\x09\\x7f\"" },
		{ { "\x1b[2J", 4 }, "\"\\x1b[2J\"" },
		{ { "gr\xc3\xbc\xc3\x9f", 6 }, "\"gr\xc3\xbc\xc3\x9f\"" },
		{ { "\xf0\x9f\x93\xac", 4 }, "\"\xf0\x9f\x93\xac\"" },
		{ { "\xc3", 1 }, "\"\\xc3\"" },                   /* cut */
		{ { "\xc0\x8a", 2 }, "\"\\xc0\\x8a\"" },          /* overlong newline */
		{ { "\xe0\x80\x8a", 3 }, "\"\\xe0\\x80\\x8a\"" }, /* the same in three */
		{ { "\xed\xa0\x80", 3 }, "\"\\xed\\xa0\\x80\"" }, /* surrogate */
		{ { "\xf4\x90\x80\x80", 4 }, "\"\\xf4\\x90\\x80\\x80\"" },
		{ { "\xff\xfe", 2 }, "\"\\xff\\xfe\"" },
		{ { "\xc2\x85", 2 }, "\"\\xc2\\x85\"" },          /* C1: next line */
		{ { "\xe2\x80\xa8", 3 }, "\"\\xe2\\x80\\xa8\"" }, /* line separator */
		{ { "\xe2\x80\xae", 3 }, "\"\\xe2\\x80\\xae\"" }, /* right-to-left override */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct log_line line;
		char expected[128];

		log_begin(&line, LOG_LEVEL_INFO, "x", 0);
		log_value(&line, "user", cases[i].value);
		log_end(&line);
		snprintf(expected, sizeof(expected), " user=%s\n", cases[i].shown);

		const char *text = strstr(written(), " user=");

		assert_non_null(text);
		assert_string_equal(text, expected);
	}
}

static void no_byte_can_begin_a_new_line(void **state)
{
	for (unsigned byte = 0; byte < 256; byte++) {
		char value[4] = { 'a', (char)byte, 'b', (char)byte };
		struct log_line line;

		log_begin(&line, LOG_LEVEL_INFO, "x", 0);
		log_value(&line, "user", (struct span) { value, sizeof(value) });
		log_end(&line);

		const char *text = written();

		assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	}
}

static void a_value_is_cut_at_its_bound_and_not_within_a_letter(void **state)
{
	char value[LOG_VALUE_MAX + 10];
	struct log_line line;

	memset(value, 'a', sizeof(value));
	memcpy(value + LOG_VALUE_MAX - 1, "\xc3\xbc", 2);
	log_begin(&line, LOG_LEVEL_INFO, "x", 0);
	log_value(&line, "user", (struct span) { value, sizeof(value) });
	log_end(&line);
	assert_int_equal(strlen(strstr(written(), "aaa")),
			 LOG_VALUE_MAX - 1 + 2); /* and quote, newline */
}

static void a_line_never_exceeds_its_bound_and_values_stay_whole(void **state)
{
	char value[LOG_VALUE_MAX];
	struct log_line line;

	memset(value, '\n', sizeof(value));
	log_begin(&line, LOG_LEVEL_INFO, "x", 0);
	for (int i = 0; i < 10; i++)
		log_value(&line, "user", (struct span) { value, sizeof(value) });
	log_word(&line, "last", "yes");
	log_end(&line);

	const char *text = written();

	assert_true(strlen(text) <= LOG_LINE_MAX);
	assert_matches(text, "(user=\"(\\\\x0a){256}\" ){3}last=yes\n$");
}

static void an_event_escapes_its_own_words_too(void **state)
{
	log_event(LOG_LEVEL_ERROR, "reload", "line %d\n\"%s\"", 7, "x");
	assert_matches(written(), "event=reload message=\"line 7\\\\x0a\\\\\"x\\\\\"\"\n$");
}

static void what_cannot_be_written_is_counted_and_told(void **state)
{
	uint64_t before = log_lost();
	unsigned sent = 0;

	while (log_lost() == before && sent < 100000) {
		log_event(LOG_LEVEL_INFO, "fill", "%u", sent);
		sent++;
	}
	assert_int_equal(log_lost(), before + 1);
	log_event(LOG_LEVEL_INFO, "fill", "lost as well");
	assert_int_equal(log_lost(), before + 2);
	while (*written())
		;
	log_event(LOG_LEVEL_INFO, "after", "x");
	assert_matches(written(), "^" TIME " level=warning event=log_lost lost=2\n" TIME
				  " level=info event=after message=\"x\"\n$");
	log_event(LOG_LEVEL_INFO, "after", "x");
	assert_matches(written(), "^" TIME " level=info event=after message=\"x\"\n$");
}

static void a_pipe_that_would_block_does_not(void **state)
{
	uint64_t before = log_lost();
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	log_set_descriptor(ends[1]);
	for (int i = 0; i < 100000 && log_lost() == before; i++)
		log_event(LOG_LEVEL_INFO, "fill", "%d", i);
	assert_int_equal(log_lost(), before + 1);
	log_set_descriptor(-1);
	close(ends[0]);
}

static void a_socket_that_would_block_or_has_gone_does_no_harm(void **state)
{
	uint64_t before = log_lost();
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	log_set_descriptor(ends[1]);
	for (int i = 0; i < 100000 && log_lost() == before; i++)
		log_event(LOG_LEVEL_INFO, "fill", "%d", i);
	assert_int_equal(log_lost(), before + 1);
	close(ends[0]);
	log_event(LOG_LEVEL_INFO, "fill", "nobody listens");
	assert_int_equal(log_lost(), before + 2);
	log_set_descriptor(-1);
	log_event(LOG_LEVEL_INFO, "fill", "nowhere");
	assert_int_equal(log_lost(), before + 2);
}

/* ---- JSON ---- */

static int json_up(void **state)
{
	int ends[2];

	if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0)
		return -1;
	reading = ends[0];
	log_set_output(&(struct log_output) { ends[1], LOG_KIND_LINES, LOG_FORMAT_JSON });
	log_set_level(LOG_LEVEL_INFO);
	log_event(LOG_LEVEL_INFO, "begin", "x");
	written();
	return 0;
}

/* The line without its newline, which must be an object. */
static struct span object(const char *text)
{
	struct span line = span_of(text);
	struct log_text ignored;

	assert_true(line.len > 0 && line.len <= LOG_LINE_MAX && text[line.len - 1] == '\n');
	line.len--;
	if (!log_text_json(line, NULL, &ignored))
		fail_msg("not an object: %s", text);
	return line;
}

static void in_json_a_line_is_an_object_with_the_same_keys(void **state)
{
	struct log_line line;

	log_begin(&line, LOG_LEVEL_WARNING, "session_end", 0x00a1000000000017);
	log_word(&line, "mechanism", "PLAIN");
	log_word(&line, "absent", NULL);
	log_value(&line, "user", SPAN("gr\xc3\xbc\xc3\x9f"));
	log_text(&line, "addresses", "[::1]:143, 127.0.0.1:143");
	log_number(&line, "in", UINT64_MAX);
	log_seconds(&line, "seconds", 0.0594);
	log_end(&line);

	const char *text = written();

	object(text);
	assert_matches(
		text,
		"^\\{\"session\":\"00a1000000000017\",\"time\":\"[-0-9T:.]*Z\",\"level\":"
		"\"warning\","
		"\"event\":\"session_end\",\"mechanism\":\"PLAIN\",\"user\":\"gr\xc3\xbc\xc3\x9f\","
		"\"addresses\":\"\\[::1\\]:143, 127\\.0\\.0\\.1:143\",\"in\":18446744073709551615,"
		"\"seconds\":0\\.059\\}\n$");
}

static void in_json_every_byte_comes_back(void **state)
{
	for (unsigned byte = 0; byte < 256; byte++) {
		char value[4] = { 'a', (char)byte, 'b', (char)byte };
		struct log_line line;
		struct log_text shown;

		log_begin(&line, LOG_LEVEL_INFO, "x", 0);
		log_value(&line, "user", (struct span) { value, sizeof(value) });
		log_end(&line);
		assert_true(log_text_json(object(written()), "user", &shown));
		assert_true(log_text_unescape(&shown));
		assert_int_equal(shown.len, sizeof(value));
		assert_memory_equal(shown.data, value, sizeof(value));
	}
}

static void in_json_a_byte_that_is_no_letter_is_shown_as_in_logfmt(void **state)
{
	log_event(LOG_LEVEL_INFO, "x", "a\xff\n\\\"");
	assert_non_null(strstr(written(), ",\"message\":\"a\\\\xff\\\\x0a\\\\\\\\\\\"\"}\n"));
}

/* Whatever stands before, a value goes in whole or stays out, and the line stays an object; so does a message, which is cut. */
static void in_json_a_line_is_whole_at_every_length(void **state)
{
	char filling[LOG_LINE_MAX + 1], value[40];

	memset(value, '\xff', sizeof(value));
	for (size_t len = LOG_LINE_MAX - 700; len < LOG_LINE_MAX; len++) {
		struct log_line line;
		struct log_text shown;

		memset(filling, 'x', len);
		filling[len] = '\0';
		log_begin(&line, LOG_LEVEL_INFO, "x", 0);
		log_text(&line, "filling", filling);
		log_value(&line, "user", (struct span) { value, sizeof(value) });
		log_number(&line, "n", 12345);
		log_end(&line);

		struct span text = object(written());

		if (log_text_json(text, "user", &shown))
			assert_int_equal(shown.len, 4 * sizeof(value));
		if (log_text_json(text, "n", &shown))
			assert_int_equal(shown.len, 5);
	}
	memset(filling, '\xff', LOG_LINE_MAX);
	filling[LOG_LINE_MAX] = '\0';
	log_event(LOG_LEVEL_INFO, "x", "%s", filling);

	struct log_text shown;
	struct span text = object(written());

	assert_true(log_text_json(text, "message", &shown));
	assert_true(text.len > LOG_LINE_MAX - 10);
}

/* ---- what stands around a line ---- */

static int around_up(enum log_kind kind, enum log_format format)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends) < 0)
		return -1;
	reading = ends[0];
	log_set_output(&(struct log_output) { ends[1], kind, format });
	log_set_level(LOG_LEVEL_DEBUG);
	log_event(LOG_LEVEL_INFO, "begin", "x");
	written();
	return 0;
}

static void a_line_for_stderr_of_systemd_has_its_priority_in_front(void **state)
{
	assert_int_equal(around_up(LOG_KIND_PRIORITY, LOG_FORMAT_LOGFMT), 0);
	log_event(LOG_LEVEL_ERROR, "x", "y");
	assert_matches(written(), "^<3>" TIME " level=error event=x message=\"y\"\n$");
	log_event(LOG_LEVEL_DEBUG, "x", "y");
	assert_matches(written(), "^<7>" TIME);
}

static void a_datagram_to_syslog_is_of_facility_mail_and_has_no_newline(void **state)
{
	static const char *const begin[] = { "^<23>", "^<22>", "^<20>", "^<19>" };
	char pattern[128];

	assert_int_equal(around_up(LOG_KIND_SYSLOG, LOG_FORMAT_LOGFMT), 0);
	for (int level = LOG_LEVEL_DEBUG; level <= LOG_LEVEL_ERROR; level++) {
		snprintf(pattern, sizeof(pattern), "%spostern\\[%ld\\]: " TIME ".* message=\"y\"$",
			 begin[level], (long)getpid());
		log_event((enum log_level)level, "x", "y");
		assert_matches(written(), pattern);
	}
	assert_int_equal(around_up(LOG_KIND_SYSLOG, LOG_FORMAT_JSON), 0);
	log_event(LOG_LEVEL_INFO, "x", "y");
	assert_matches(written(), "^<22>postern\\[[0-9]+\\]: \\{.*\"message\":\"y\"\\}$");
}

static void a_datagram_to_the_journal_has_a_field_for_each_key(void **state)
{
	for (int format = 0; format < LOG_FORMATS; format++) {
		struct log_line line;
		char pid[32];

		assert_int_equal(around_up(LOG_KIND_JOURNAL, (enum log_format)format), 0);
		log_begin(&line, LOG_LEVEL_WARNING, "auth_failed", 0x17);
		log_value(&line, "user", SPAN("a\"b\\\nMESSAGE=forged\n\xff"));
		log_number(&line, "in", 7);
		log_end(&line);

		const char *text = written();

		assert_matches(
			text,
			"^PRIORITY=4\nSYSLOG_FACILITY=2\nSYSLOG_IDENTIFIER=postern\nSYSLOG_PID=[0-"
			"9]+\n"
			"MESSAGE=[^\n]*event[^\n]*auth_failed[^\n]*\nPOSTERN_SESSION="
			"0000000000000017\n"
			"POSTERN_TIME=[^\n]*\nPOSTERN_LEVEL=warning\nPOSTERN_EVENT=auth_failed\n"
			"POSTERN_USER=a\"b\\\\\\\\\\\\x0aMESSAGE=forged\\\\x0a\\\\xff\nPOSTERN_IN="
			"7\n$");
		snprintf(pid, sizeof(pid), "\nSYSLOG_PID=%ld\n", (long)getpid());
		assert_non_null(strstr(text, pid));
	}
}

static void the_longest_line_fits_a_datagram(void **state)
{
	struct log_line line;
	char value[LOG_VALUE_MAX];
	unsigned shown = 0;

	memset(value, '\n', sizeof(value));
	assert_int_equal(around_up(LOG_KIND_JOURNAL, LOG_FORMAT_LOGFMT), 0);
	log_begin(&line, LOG_LEVEL_INFO, "x", 0);
	for (int i = 0; i < 300; i++)
		log_value(&line, i < 3 ? "user" : "n",
			  (struct span) { value, i < 3 ? sizeof(value) : 1 });
	log_end(&line);
	for (const char *at = written(); (at = strstr(at, "\nPOSTERN_")) != NULL; at++)
		shown++;
	assert_true(shown > 30);
}

#define WITH_JSON(test) cmocka_unit_test_setup_teardown(test, json_up, pipe_down)
#define WITH_PIPE(test) cmocka_unit_test_setup_teardown(test, pipe_up, pipe_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PIPE(a_line_begins_with_time_level_and_event),
		WITH_PIPE(a_word_that_a_blank_or_a_quotation_mark_would_break_is_quoted),
		WITH_PIPE(the_session_stands_first),
		WITH_PIPE(below_the_level_nothing_is_written),
		WITH_PIPE(values_from_outside_are_escaped),
		WITH_PIPE(no_byte_can_begin_a_new_line),
		WITH_PIPE(a_value_is_cut_at_its_bound_and_not_within_a_letter),
		WITH_PIPE(a_line_never_exceeds_its_bound_and_values_stay_whole),
		WITH_PIPE(an_event_escapes_its_own_words_too),
		WITH_PIPE(what_cannot_be_written_is_counted_and_told),
		WITH_PIPE(a_pipe_that_would_block_does_not),
		WITH_PIPE(a_socket_that_would_block_or_has_gone_does_no_harm),
		WITH_JSON(in_json_a_line_is_an_object_with_the_same_keys),
		WITH_JSON(in_json_every_byte_comes_back),
		WITH_JSON(in_json_a_byte_that_is_no_letter_is_shown_as_in_logfmt),
		WITH_JSON(in_json_a_line_is_whole_at_every_length),
		cmocka_unit_test(a_line_for_stderr_of_systemd_has_its_priority_in_front),
		cmocka_unit_test(a_datagram_to_syslog_is_of_facility_mail_and_has_no_newline),
		cmocka_unit_test(a_datagram_to_the_journal_has_a_field_for_each_key),
		cmocka_unit_test(the_longest_line_fits_a_datagram),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
