/* A worker's end of the keeper's channel: a thread of the test is the keeper. */
#include "frontend/keeper_client.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

enum answer { RIGHT, LATE_ONE_BEFORE, REFUSE, NONSENSE, TOO_LONG, CLOSE, SILENT };

static struct keeper_client client;
static pthread_t thread;
static int keeper_end;
static enum answer how;
static const uint8_t id[KEY_ID_LEN] = { 1, 2, 3 };
static uint8_t out[KEEPER_OUTPUT_MAX];
static size_t out_len;

static void send_answer(uint32_t sequence, enum keeper_status status, const char *output)
{
	const struct keeper_answer answer = { sequence, status, span_of(output) };
	uint8_t packet[KEEPER_PACKET_MAX];
	size_t len = keeper_answer_encode(packet, &answer);

	send(keeper_end, packet, len, 0);
}

/* Answers one request. */
static void *keep(void *unused)
{
	uint8_t packet[KEEPER_PACKET_MAX];
	static const uint8_t huge[KEEPER_PACKET_MAX + 100] = { 1 };
	struct keeper_request request;
	ssize_t got = recv(keeper_end, packet, sizeof(packet), 0);

	if (got <= 0 || !keeper_request_decode(packet, (size_t)got, &request))
		return NULL;
	if (how == RIGHT || how == LATE_ONE_BEFORE) {
		if (how == LATE_ONE_BEFORE)
			send_answer(request.sequence - 1, KEEPER_DONE, "old");
		send_answer(request.sequence, KEEPER_DONE, "signature");
	} else if (how == REFUSE) {
		send_answer(request.sequence, KEEPER_REFUSED, "");
	} else if (how == NONSENSE) {
		send(keeper_end, "?", 1, 0);
	} else if (how == TOO_LONG) {
		send(keeper_end, huge, sizeof(huge), 0);
	} else if (how == CLOSE) {
		shutdown(keeper_end, SHUT_RDWR);
	}
	return NULL;
}

static void keeper_comes(enum answer as, uint32_t incarnation)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	keeper_end = fds[1];
	how = as;
	keeper_client_up(&client, incarnation, fds[0]);
	assert_int_equal(pthread_create(&thread, NULL, keep, NULL), 0);
}

static void keeper_goes(void)
{
	pthread_join(thread, NULL);
	close(keeper_end);
}

static int ask(void)
{
	return keeper_sign(&client, id, KEY_SIGN_ECDSA, (const uint8_t *)"digest", 6, out,
			   &out_len);
}

static unsigned stuck_count;
static uint32_t stuck_incarnation;

static void on_stuck(void *owner, uint32_t incarnation)
{
	assert_ptr_equal(owner, &client);
	stuck_incarnation = incarnation;
	stuck_count++;
}

static int start(void **state)
{
	keeper_client_init(&client, on_stuck, &client);
	stuck_count = 0;
	return 0;
}

static int stop(void **state)
{
	keeper_client_cleanup(&client);
	return 0;
}

static void an_answer_is_given(void **state)
{
	keeper_comes(RIGHT, 1);
	assert_int_equal(ask(), 0);
	assert_int_equal(out_len, 9);
	assert_memory_equal(out, "signature", 9);
	assert_int_equal(client.calls, 1);
	assert_int_equal(client.failures, 0);
	keeper_goes();
}

static void tickets_are_given(void **state)
{
	keeper_comes(RIGHT, 1);
	assert_int_equal(keeper_tickets(&client, out, &out_len), 0);
	assert_int_equal(out_len, 9);
	keeper_goes();
}

static void an_answer_to_an_earlier_request_is_passed_over(void **state)
{
	keeper_comes(LATE_ONE_BEFORE, 1);
	assert_int_equal(ask(), 0);
	assert_memory_equal(out, "signature", 9);
	keeper_goes();
}

static void a_refusal_fails_and_the_keeper_stays(void **state)
{
	keeper_comes(REFUSE, 1);
	assert_int_equal(ask(), -1);
	assert_int_not_equal(client.fd, -1);
	assert_int_equal(client.failures, 1);
	assert_int_equal(client.timeouts, 0);
	keeper_goes();
}

static void a_keeper_that_speaks_nonsense_or_ends_is_given_up(void **state)
{
	const enum answer ways[] = { NONSENSE, TOO_LONG, CLOSE };

	for (size_t i = 0; i < 3; i++) {
		keeper_comes(ways[i], 1);
		assert_int_equal(ask(), -1);
		assert_int_equal(client.fd, -1);
		keeper_goes();
	}
	assert_int_equal(client.failures, 3);
	assert_int_equal(client.timeouts, 0);
}

static void without_a_keeper_a_call_fails_at_once(void **state)
{
	assert_int_equal(ask(), -1);
	assert_int_equal(client.calls, 1);
	assert_int_equal(client.failures, 1);
}

static void a_silent_keeper_is_waited_for_until_the_deadline(void **state)
{
	struct timespec before, after;
	int64_t ms;

	keeper_comes(SILENT, 1);
	clock_gettime(CLOCK_MONOTONIC, &before);
	assert_int_equal(ask(), -1);
	clock_gettime(CLOCK_MONOTONIC, &after);
	ms = (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
	assert_true(ms >= 199);
	assert_int_equal(client.timeouts, 1);
	assert_int_not_equal(client.fd, -1); /* it may only be slow */
	keeper_goes();
}

static void a_keeper_that_does_not_read_is_no_reason_to_wait_for_ever(void **state)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	keeper_client_up(&client, 1, fds[0]);
	while (send(fds[0], "x", 1, MSG_DONTWAIT) == 1)
		;
	assert_int_equal(ask(), -1);
	assert_int_equal(client.timeouts, 1);
	close(fds[1]);
}

static void one_that_is_late_again_and_again_is_stuck(void **state)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	keeper_client_up(&client, 7, fds[0]);
	while (send(fds[0], "x", 1, MSG_DONTWAIT) == 1)
		;
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(ask(), -1);
	assert_int_equal(stuck_count, 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(ask(), -1);
	assert_int_equal(stuck_count, 1);
	assert_int_equal(stuck_incarnation, 7);
	close(fds[1]);
}

static void a_later_keeper_takes_the_place(void **state)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	keeper_client_up(&client, 1, fds[0]);
	close(fds[1]);
	keeper_comes(RIGHT, 2);
	keeper_client_down(&client, 1); /* late news of the first */
	assert_int_equal(ask(), 0);
	keeper_client_down(&client, 2);
	assert_int_equal(client.fd, -1);
	keeper_goes();
}

static void what_does_not_fit_is_not_asked(void **state)
{
	static const uint8_t large[KEEPER_INPUT_MAX + 1];

	keeper_comes(RIGHT, 1);
	assert_int_equal(keeper_sign(&client, id, KEY_SIGN_RSA, large, sizeof(large), out,
				     &out_len),
			 -1);
	assert_int_not_equal(client.fd, -1);
	assert_int_equal(ask(), 0);
	keeper_goes();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_answer_is_given, start, stop),
		cmocka_unit_test_setup_teardown(tickets_are_given, start, stop),
		cmocka_unit_test_setup_teardown(an_answer_to_an_earlier_request_is_passed_over,
						start, stop),
		cmocka_unit_test_setup_teardown(a_refusal_fails_and_the_keeper_stays, start, stop),
		cmocka_unit_test_setup_teardown(a_keeper_that_speaks_nonsense_or_ends_is_given_up,
						start, stop),
		cmocka_unit_test_setup_teardown(without_a_keeper_a_call_fails_at_once, start, stop),
		cmocka_unit_test_setup_teardown(a_silent_keeper_is_waited_for_until_the_deadline,
						start, stop),
		cmocka_unit_test_setup_teardown(
			a_keeper_that_does_not_read_is_no_reason_to_wait_for_ever, start, stop),
		cmocka_unit_test_setup_teardown(one_that_is_late_again_and_again_is_stuck, start,
						stop),
		cmocka_unit_test_setup_teardown(a_later_keeper_takes_the_place, start, stop),
		cmocka_unit_test_setup_teardown(what_does_not_fit_is_not_asked, start, stop),
	};

	return cmocka_run_group_tests_name("keeper_client", tests, NULL, NULL);
}
