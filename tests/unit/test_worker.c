/* test_worker - a worker that cannot even begin says so, and ends. */
#include "frontend/child.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>
#include <cmocka.h>

/* The child: no descriptor is left for its loop. */
static void run_without_descriptors(int log)
{
	const struct child_start start = { .kind = CHILD_WORKER, .channel = -1, .shared = -1 };
	struct rlimit limit;

	log_set_output(&(struct log_output) { .fd = log });
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		_exit(EXIT_FAILURE);
	limit.rlim_cur = 64;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		_exit(EXIT_FAILURE);
	while (open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0)
		;
	_exit(worker_run(&start));
}

static void a_worker_without_a_loop_logs_a_bug_and_ends(void **state)
{
	char text[512];
	int ends[2], status;

	assert_int_equal(pipe(ends), 0);

	pid_t child = fork();

	if (child == 0)
		run_without_descriptors(ends[1]);
	close(ends[1]);

	ssize_t len = read(ends[0], text, sizeof(text) - 1);

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EX_OSERR);
	text[len > 0 ? len : 0] = '\0';
	assert_non_null(strstr(text, " level=error event=bug message=\"a worker cannot set up"));
	close(ends[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_worker_without_a_loop_logs_a_bug_and_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
