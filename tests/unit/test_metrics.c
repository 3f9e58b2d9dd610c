/* test_metrics - counting over workers and their deaths, and the text of it. */
#include "frontend/metrics.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define WORKERS 3

static int make(void **state)
{
	int fd = shared_create(WORKERS);

	assert_true(fd >= 0);
	*state = shared_map(fd, WORKERS, true);
	close(fd);
	return *state ? 0 : -1;
}

static int drop(void **state)
{
	shared_unmap(*state);
	return 0;
}

static void readers_add_up_all_columns(void **state)
{
	for (unsigned column = 0; column <= WORKERS; column++)
		metrics_add(*state, column, METRIC_LOGINS, column + 1);
	assert_int_equal(metrics_sum(*state, METRIC_LOGINS), 1 + 2 + 3 + 4);
	assert_int_equal(metrics_sum(*state, METRIC_LOGINS + 1), 0);
	metrics_add(NULL, 0, METRIC_LOGINS, 1);
	metrics_subtract(NULL, 0, METRIC_SESSIONS, 1);
}

static void a_death_clears_the_gauges_of_that_worker_alone(void **state)
{
	for (unsigned column = 0; column < WORKERS; column++) {
		metrics_add(*state, column, METRIC_SESSIONS, 5);
		metrics_add(*state, column, METRIC_GAUGES - 1, 5);
		metrics_add(*state, column, METRIC_SESSIONS_TOTAL, 5);
	}
	shared_worker_died(*state, 1);
	assert_int_equal(metrics_sum(*state, METRIC_SESSIONS), 10);
	assert_int_equal(metrics_sum(*state, METRIC_GAUGES - 1), 10);
	assert_int_equal(metrics_sum(*state, METRIC_SESSIONS_TOTAL), 15);
}

static void a_gauge_does_not_fall_below_zero(void **state)
{
	metrics_add(*state, 0, METRIC_SESSIONS, 1);
	metrics_subtract(*state, 0, METRIC_SESSIONS, 2);
	assert_int_equal(metrics_sum(*state, METRIC_SESSIONS), 0);
}

static void words_that_nobody_knows_go_to_the_last_place(void **state)
{
	assert_int_equal(metrics_refusal("plaintext"), METRIC_REFUSALS);
	assert_int_equal(metrics_refusal("something new"), METRIC_REFUSALS + METRIC_REASONS - 1);
	assert_int_equal(metrics_handshake("TLSv1.3"), METRIC_HANDSHAKES);
	assert_int_equal(metrics_handshake("TLSv1.2"), METRIC_HANDSHAKES + 1);
	assert_int_equal(metrics_handshake("TLSv1.1"), METRIC_HANDSHAKES + 2);
}

static void the_text_has_every_place_once(void **state)
{
	char *text = NULL;
	size_t len, lines = 0;
	FILE *out = open_memstream(&text, &len);

	for (unsigned metric = 0; metric < METRICS; metric++)
		metrics_add(*state, 0, metric, 1000 + metric);
	metrics_print(*state, out);
	fclose(out);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		char expected[16];

		if (line[0] == '#')
			continue;
		snprintf(expected, sizeof(expected), " %zu", 1000 + lines);
		assert_non_null(strstr(line, expected));
		assert_int_equal(strncmp(line, "postern_", 8), 0);
		if (lines == METRIC_SESSIONS + SESSION_STATES + SESSION_RELAY)
			assert_non_null(strstr(line, "{protocol=\"imap\",state=\"relay\"}"));
		if (lines == METRIC_LOGINS + METRIC_TEMPORARY)
			assert_non_null(strstr(line, "result=\"temporary\"}"));
		lines++;
	}
	assert_int_equal(lines, METRICS);
	free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(readers_add_up_all_columns),
		TEST(a_death_clears_the_gauges_of_that_worker_alone),
		TEST(a_gauge_does_not_fall_below_zero),
		TEST(words_that_nobody_knows_go_to_the_last_place),
		TEST(the_text_has_every_place_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
