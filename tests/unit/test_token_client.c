/* A worker's end of the token process' channel: the test is that process. */
#include "frontend/token_client.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static struct ev_loop *loop;
static struct token_client client;
static int far;
static char heard[256]; /* "1=signature 2=- " */
static bool ask_again;
static uint32_t complained_of; /* an incarnation */

static bool ask(uint64_t session)
{
	static const uint8_t id[KEY_ID_LEN] = { 1, 2, 3 };
	const struct tls_request request = { id, KEY_SIGN_ECDSA, (const uint8_t *)"digest", 6 };

	return token_client_ask(&client, session, &request);
}

static void answered(void *owner, uint64_t session, const uint8_t *signature, size_t len)
{
	size_t at = strlen(heard);

	snprintf(heard + at, sizeof(heard) - at, "%u=%.*s ", (unsigned)session,
		 signature != NULL ? (int)len : 1,
		 signature != NULL ? (const char *)signature : "-");
	if (ask_again)
		ask(session + 100);
}

static void stuck(void *owner, uint32_t incarnation)
{
	complained_of = incarnation;
}

static void turn(void)
{
	ev_run(loop, EVRUN_NOWAIT);
}

static void process_comes(uint32_t incarnation)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	far = fds[1];
	token_client_up(&client, incarnation, fds[0]);
}

/* The sequence of the request that it reads. */
static uint32_t hear(void)
{
	uint8_t packet[KEEPER_PACKET_MAX];
	struct keeper_request request;
	ssize_t got = recv(far, packet, sizeof(packet), MSG_DONTWAIT);

	assert_true(got > 0 && keeper_request_decode(packet, (size_t)got, &request));
	assert_int_equal(request.type, KEEPER_SIGN);
	assert_int_equal(request.id[2], 3);
	assert_int_equal(request.input.len, 6);
	return request.sequence;
}

static void say(uint32_t sequence, enum keeper_status status, const char *output)
{
	const struct keeper_answer answer = { sequence, status, span_of(output) };
	uint8_t packet[KEEPER_PACKET_MAX];
	size_t len = keeper_answer_encode(packet, &answer);

	assert_int_equal(send(far, packet, len, 0), len);
}

static int setup(void **state)
{
	static const struct token_client_handlers handlers = { answered, stuck };

	loop = ev_loop_new(EVFLAG_AUTO);
	token_client_init(&client, loop, &handlers, NULL);
	heard[0] = '\0';
	ask_again = false;
	complained_of = 0;
	far = -1;
	return 0;
}

static int teardown(void **state)
{
	token_client_cleanup(&client);
	if (far >= 0)
		close(far);
	ev_loop_destroy(loop);
	return 0;
}

static void answers_come_in_any_order(void **state)
{
	uint32_t first, second;

	process_comes(1);
	assert_true(ask(1) && ask(2));
	first = hear();
	second = hear();
	say(second, KEEPER_DONE, "two");
	say(first, KEEPER_DONE, "one");
	turn();
	assert_string_equal(heard, "2=two 1=one ");
}

static void what_is_no_signature(void **state)
{
	process_comes(1);
	assert_true(ask(1) && ask(2));
	say(hear(), KEEPER_REFUSED, "");
	say(hear(), KEEPER_FAILED, "");
	turn();
	assert_string_equal(heard, "1=- 2=- ");
}

static void without_a_process_nothing_is_taken(void **state)
{
	assert_false(ask(1));
	process_comes(1);
	token_client_down(&client, 7); /* of an earlier one */
	assert_true(ask(2));
	token_client_down(&client, 1);
	assert_string_equal(heard, "2=- ");
	assert_false(ask(3));
	process_comes(2);
	assert_true(ask(4));
}

static void its_death_fails_what_waits_and_no_more(void **state)
{
	process_comes(1);
	ask_again = true;
	assert_true(ask(1) && ask(2));
	close(far);
	far = -1;
	turn();
	assert_string_equal(heard, "1=- 2=- ");
	assert_int_equal(client.count, 0);
	assert_int_equal(complained_of, 0); /* the supervisor sees that itself */
}

static void a_new_one_takes_the_place_of_the_old(void **state)
{
	int old;

	process_comes(1);
	old = far;
	assert_true(ask(1));
	process_comes(2);
	close(old);
	assert_string_equal(heard, "1=- ");
	assert_true(ask(2));
	say(hear(), KEEPER_DONE, "two");
	turn();
	assert_string_equal(heard, "1=- 2=two ");
}

static void one_that_retires_answers_what_it_has(void **state)
{
	char octet;

	process_comes(1);
	assert_true(ask(1));
	token_client_retire(&client, 1);
	assert_false(ask(2));
	say(hear(), KEEPER_DONE, "one");
	turn();
	assert_string_equal(heard, "1=one ");
	assert_int_equal(recv(far, &octet, 1, MSG_DONTWAIT), 0);
	close(far);
	process_comes(2);
	token_client_retire(&client, 2);
	assert_int_equal(recv(far, &octet, 1, MSG_DONTWAIT), 0);
}

/* Nobody but us knows that it is of no use any more. */
static void nonsense_ends_it_and_is_told(void **state)
{
	for (uint32_t i = 0; i < 3; i++) {
		static const uint8_t huge[KEEPER_PACKET_MAX + 1] = { 1 };

		heard[0] = '\0';
		process_comes(i + 1);
		assert_true(ask(1));
		if (i == 0)
			assert_int_equal(send(far, "?", 1, 0), 1);
		else if (i == 1)
			assert_int_equal(send(far, huge, sizeof(huge), 0), sizeof(huge));
		else
			say(hear() + 1, KEEPER_DONE, "of nobody");
		turn();
		assert_string_equal(heard, "1=- ");
		assert_int_equal(complained_of, i + 1);
		assert_false(ask(2));
		close(far);
		far = -1;
	}
}

/* The channel has less room than that, so some are read meanwhile. */
static void too_many_are_not_taken(void **state)
{
	process_comes(1);
	for (unsigned i = 0; i < TOKEN_CLIENT_MAX; i++) {
		assert_true(ask(i));
		hear();
	}
	assert_false(ask(TOKEN_CLIENT_MAX));
}

static void what_the_channel_does_not_take_is_refused(void **state)
{
	unsigned taken = 0;

	process_comes(1);
	while (taken < TOKEN_CLIENT_MAX && ask(taken))
		taken++;
	assert_in_range(taken, 1, TOKEN_CLIENT_MAX - 1);
	assert_int_equal(client.count, taken);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(answers_come_in_any_order),
		TEST(what_is_no_signature),
		TEST(without_a_process_nothing_is_taken),
		TEST(its_death_fails_what_waits_and_no_more),
		TEST(a_new_one_takes_the_place_of_the_old),
		TEST(one_that_retires_answers_what_it_has),
		TEST(nonsense_ends_it_and_is_told),
		TEST(too_many_are_not_taken),
		TEST(what_the_channel_does_not_take_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
