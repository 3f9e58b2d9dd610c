/* test_log - a line is one write, nobody can forge one, and nothing ever blocks. */
#include "frontend/log.h"
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
	log_set_descriptor(ends[1]);
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

static void a_file_is_appended_to_and_made_for_its_group_only(void **state)
{
	char path[] = "/tmp/test_log.XXXXXX", text[512];
	int fd = mkstemp(path);

	assert_int_equal(write(fd, "before\n", 7), 7);
	log_set_descriptor(log_open(path));
	log_event(LOG_LEVEL_INFO, "x", "y");
	log_set_descriptor(-1);

	ssize_t len = pread(fd, text, sizeof(text) - 1, 0);

	text[len > 0 ? len : 0] = '\0';
	assert_matches(text, "^before\n" TIME " level=info event=x message=\"y\"\n$");
	close(fd);
	unlink(path);
	assert_int_equal(log_open("/nonexistent/log"), -1);
}

#define WITH_PIPE(test) cmocka_unit_test_setup_teardown(test, pipe_up, pipe_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PIPE(a_line_begins_with_time_level_and_event),
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
		WITH_PIPE(a_file_is_appended_to_and_made_for_its_group_only),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
