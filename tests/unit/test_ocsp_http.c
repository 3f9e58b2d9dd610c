/* Asking over HTTP: a name that cannot be looked up, or an answer without an end, keeps nobody waiting and fills no memory. */
#include "frontend/ocsp_http.h"
#include <errno.h>
#include <netdb.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <time.h>
#include <cmocka.h>

#define HANG_SECONDS 5 /* so that a failure shows, and does not hang */

static sem_t release, left;
static atomic_bool looking;
static ev_async looked;
static struct ev_loop *loop;

/* The system's, as the HTTP library finds it: a server of names that does not answer. */
int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
		struct addrinfo **out)
{
	struct timespec until;

	atomic_store(&looking, true);
	ev_async_send(loop, &looked);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += HANG_SECONDS;
	while (sem_timedwait(&release, &until) < 0 && errno == EINTR)
		continue;
	atomic_store(&looking, false);
	sem_post(&left);
	return EAI_AGAIN;
}

static void stop(struct ev_loop *where, ev_async *async, int events)
{
	ev_break(where, EVBREAK_ALL);
}

static void never(void *owner, uint64_t id, const struct ocsp_http_answer *answer)
{
	fail_msg("there was an answer: %s", answer->error ? answer->error : "a body");
}

static void a_name_that_is_being_looked_up_keeps_nobody_waiting(void **state)
{
	char why[256];
	struct ocsp_http *http;

	loop = ev_loop_new(0);
	ev_async_init(&looked, stop);
	ev_async_start(loop, &looked);
	http = ocsp_http_new(loop, never, NULL, why);
	assert_non_null(http);
	assert_true(ocsp_http_ask(http, 1, "http://ocsp.example.test/", (const uint8_t *)"?", 1));
	ev_run(loop, 0);
	assert_true(atomic_load(&looking));
	ocsp_http_free(http);
	assert_true(atomic_load(&looking));
	sem_post(&release);
	sem_wait(&left);
	ev_async_stop(loop, &looked);
	ev_loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_that_is_being_looked_up_keeps_nobody_waiting),
	};

	sem_init(&release, 0, 0);
	sem_init(&left, 0, 0);
	return cmocka_run_group_tests_name("ocsp_http", tests, NULL, NULL);
}
