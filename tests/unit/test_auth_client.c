/* auth_client before auth processes that the test plays itself, over real socket pairs: who is asked, in which order, and that
 * every step ends in exactly one answer, whatever becomes of the process. */
#include "tests/unit/auth_client_play.h"

/* ---- the ordinary way ---- */

static void a_request_is_answered(void **state)
{
	process_up(0, 1);
	begin(1);
	wait_for_just(&processes[0].count, 1);
	assert_asked(0, 0, AUTH_BEGIN, 1);
	answer(0, 1, AUTH_CAPTURED);
	wait_for_just(&told_count, 1);
	assert_told(0, AUTH_CAPTURED, 1);
	assert_string_equal(told[0].password, "secret");
	settle();
	assert_int_equal(told_count, 1);
}

static void a_challenge_is_continued(void **state)
{
	process_up(0, 1);
	begin(1);
	wait_for_just(&processes[0].count, 1);
	answer(0, 1, AUTH_CHALLENGE);
	wait_for_just(&told_count, 1);
	assert_told(0, AUTH_CHALLENGE, 1);
	assert_int_equal(respond(1, SPAN("YWxpY2U=")), 0);
	wait_for_just(&processes[0].count, 2);
	assert_asked(0, 1, AUTH_CONTINUE, 1);
	assert_string_equal(processes[0].asked[1].response, "YWxpY2U=");
	answer(0, 1, AUTH_REFUSED);
	wait_for_just(&told_count, 2);
	assert_told(1, AUTH_REFUSED, 1);
	assert_int_equal(respond(1, SPAN("")), -1); /* it is over */
}

static void a_process_is_asked_one_thing_at_a_time(void **state)
{
	process_up(0, 1);
	for (uint32_t serial = 1; serial <= 3; serial++)
		begin(serial);
	for (uint32_t serial = 1; serial <= 3; serial++) {
		wait_for_just(&processes[0].count, serial);
		settle();
		assert_int_equal(processes[0].count, serial);
		assert_asked(0, serial - 1, AUTH_BEGIN, serial);
		answer(0, serial, AUTH_REFUSED);
	}
	wait_for_just(&told_count, 3);
}

static void two_processes_are_asked_at_once(void **state)
{
	process_up(0, 1);
	process_up(1, 1);
	begin(1);
	begin(2);
	wait_for_just(&processes[0].count, 1);
	wait_for_just(&processes[1].count, 1);
	assert_int_equal(processes[0].asked[0].exchange.serial +
				 processes[1].asked[0].exchange.serial,
			 3);
}

static void steps_go_to_the_process_that_began_them_before_new_exchanges(void **state)
{
	process_up(0, 1);
	begin(1);
	wait_for_just(&processes[0].count, 1);
	answer(0, 1, AUTH_CHALLENGE);
	wait_for_just(&told_count, 1);
	begin(2); /* keeps process 0 busy */
	process_up(1, 1);
	begin(3); /* keeps process 1 busy */
	begin(4); /* waits, before the response does */
	assert_int_equal(respond(1, SPAN("YWxpY2U=")), 0);
	wait_for_just(&processes[1].count, 1);
	answer(1, 3, AUTH_REFUSED);
	wait_for_just(&processes[1].count, 2);
	assert_asked(1, 1, AUTH_BEGIN, 4); /* not the response, which is not for it */
	begin(5);
	wait_for_just(&processes[0].count, 2);
	assert_asked(0, 1, AUTH_BEGIN, 2);
	answer(0, 2, AUTH_REFUSED);
	wait_for_just(&processes[0].count, 3);
	assert_asked(0, 2, AUTH_CONTINUE, 1); /* before 5 */
	answer(0, 1, AUTH_CAPTURED);
	wait_for_just(&processes[0].count, 4);
	assert_asked(0, 3, AUTH_BEGIN, 5);
}

static void requests_wait_for_a_process_to_come(void **state)
{
	begin(1);
	settle();
	assert_int_equal(told_count, 0);
	process_up(0, 1);
	wait_for_just(&processes[0].count, 1);
	assert_asked(0, 0, AUTH_BEGIN, 1);
}

static void begin_again(const struct auth_answer *given)
{
	if (given->exchange.serial < 5)
		begin(given->exchange.serial + 1);
}

static void a_new_exchange_may_begin_inside_an_answer(void **state)
{
	process_up(0, 1);
	when_told = begin_again;
	begin(1);
	for (uint32_t serial = 1; serial <= 5; serial++) {
		wait_for_just(&processes[0].count, serial);
		assert_asked(0, serial - 1, AUTH_BEGIN, serial);
		answer(0, serial, AUTH_REFUSED);
	}
	wait_for_just(&told_count, 5);
}

/* ---- processes that fail ---- */

static void a_dead_process_ends_its_exchanges_and_no_others(void **state)
{
	process_up(0, 1);
	begin(1);
	wait_for_just(&processes[0].count, 1);
	process_up(1, 1);
	begin(2);
	wait_for_just(&processes[1].count, 1);
	channel_cleanup(&processes[0].channel);
	wait_for_just(&told_count, 1);
	assert_told(0, AUTH_TEMPORARY, 1);
	answer(1, 2, AUTH_CAPTURED);
	wait_for_just(&told_count, 2);
	assert_told(1, AUTH_CAPTURED, 2);
	assert_int_equal(stuck_count, 0);
}

static void a_process_reported_down_is_not_asked_again(void **state)
{
	process_up(0, 1);
	begin(1);
	wait_for_just(&processes[0].count, 1);
	auth_client_peer_down(client, 0, 2); /* another incarnation */
	settle();
	assert_int_equal(told_count, 0);
	calling = true;
	auth_client_peer_down(client, 0, 1);
	calling = false;
	wait_for_just(&told_count, 1);
	assert_told(0, AUTH_TEMPORARY, 1);
	begin(2);
	settle();
	assert_int_equal(processes[0].count, 1);
	process_up(0, 2);
	wait_for_just(&processes[0].count, 1);
	assert_asked(0, 0, AUTH_BEGIN, 2);
}

static void a_new_incarnation_ends_what_the_old_one_began(void **state)
{
	process_up(0, 1);
	begin(1);
	wait_for_just(&processes[0].count, 1);
	process_up(0, 2);
	wait_for_just(&told_count, 1);
	assert_told(0, AUTH_TEMPORARY, 1);
	auth_client_peer_down(client, 0, 1); /* comes late and means nothing */
	begin(2);
	wait_for_just(&processes[0].count, 1);
	assert_asked(0, 0, AUTH_BEGIN, 2);
}

static void a_client_that_thinks_learns_of_the_death_with_its_response(void **state)
{
	process_up(0, 1);
	begin(1);
	wait_for_just(&processes[0].count, 1);
	answer(0, 1, AUTH_CHALLENGE);
	wait_for_just(&told_count, 1);
	channel_cleanup(&processes[0].channel);
	settle();
	assert_int_equal(told_count, 1); /* nobody waits for an answer */
	process_up(1, 1);
	assert_int_equal(respond(1, SPAN("YWxpY2U=")), 0);
	wait_for_just(&told_count, 2);
	assert_told(1, AUTH_TEMPORARY, 1);
	settle();
	assert_int_equal(processes[1].count, 0);
}

static void a_response_that_waits_is_lost_with_its_process(void **state)
{
	process_up(0, 1);
	begin(1);
	wait_for_just(&processes[0].count, 1);
	answer(0, 1, AUTH_CHALLENGE);
	wait_for_just(&told_count, 1);
	begin(2);
	assert_int_equal(respond(1, SPAN("YWxpY2U=")), 0);
	channel_cleanup(&processes[0].channel);
	wait_for_just(&told_count, 3);
	assert_int_equal(told[1].type, AUTH_TEMPORARY);
	assert_int_equal(told[2].type, AUTH_TEMPORARY);
	assert_int_equal(told[1].exchange.serial + told[2].exchange.serial, 3);
}

static void a_malformed_answer_ends_the_process(void **state)
{
	struct message_writer message;

	process_up(0, 7);
	begin(1);
	wait_for_just(&processes[0].count, 1);
	message_begin(&message, WORK_MESSAGE_MAX, AUTH_CAPTURED);
	message_put_u64(&message, 77);
	assert_true(message_end(&message, 0));
	assert_int_equal(channel_send(&processes[0].channel, &message, NULL, 0), 0);
	message_writer_cleanup(&message);
	wait_for_just(&told_count, 1);
	assert_told(0, AUTH_TEMPORARY, 1);
	assert_int_equal(stuck_count, 1);
	settle();
	assert_true(processes[0].closed);
}

/* ---- late, and too late ---- */

static void a_silent_process_is_reported_and_given_up(void **state)
{
	process_up(2, 9);
	begin(1);
	wait_for_just(&told_count, 1);
	assert_told(0, AUTH_TEMPORARY, 1);
	wait_for_just(&stuck_count, 1);
	assert_int_equal(stuck_index, 2);
	assert_int_equal(stuck_incarnation, 9);
	settle();
	assert_true(processes[2].closed);
	assert_int_equal(told_count, 1);
}

static void without_any_process_the_deadline_ends_it(void **state)
{
	begin(1);
	begin(2);
	wait_for_just(&told_count, 2);
	assert_int_equal(told[0].type, AUTH_TEMPORARY);
	assert_int_equal(told[1].type, AUTH_TEMPORARY);
	assert_int_equal(told[0].exchange.serial + told[1].exchange.serial, 3);
	assert_int_equal(stuck_count, 0);
}

static void what_waits_behind_a_silent_process_has_its_own_deadline(void **state)
{
	process_up(0, 1);
	begin(1);
	begin(2);
	wait_for_just(&told_count, 2);
	assert_int_equal(told[0].type, AUTH_TEMPORARY);
	assert_int_equal(told[1].type, AUTH_TEMPORARY);
	settle();
	assert_asked(0, 0, AUTH_BEGIN, 1);
	for (unsigned i = 1; i < processes[0].count; i++)
		assert_asked(0, i, AUTH_CANCEL, 1);
}

static void answers_that_nobody_asked_for_are_dropped(void **state)
{
	process_up(0, 1);
	answer(0, 1, AUTH_CAPTURED); /* before the question */
	settle();
	begin(1);
	wait_for_just(&processes[0].count, 1);
	answer(0, 2, AUTH_CAPTURED); /* another serial */
	settle();
	assert_int_equal(told_count, 0);
	answer(0, 1, AUTH_REFUSED);
	answer(0, 1, AUTH_CAPTURED); /* once more */
	wait_for_just(&told_count, 1);
	settle();
	assert_int_equal(told_count, 1);
	assert_told(0, AUTH_REFUSED, 1);
}

static void after_a_cancel_the_answer_is_dropped_and_the_process_goes_on(void **state)
{
	process_up(0, 1);
	begin(1);
	begin(2);
	wait_for_just(&processes[0].count, 1);
	auth_client_cancel(client, exchange_of(1));
	wait_for_just(&processes[0].count, 2);
	assert_asked(0, 1, AUTH_CANCEL, 1);
	settle();
	assert_int_equal(processes[0].count, 2); /* still owes an answer */
	answer(0, 1, AUTH_CAPTURED);
	wait_for_just(&processes[0].count, 3);
	assert_asked(0, 2, AUTH_BEGIN, 2);
	assert_int_equal(told_count, 0);
}

static void a_late_challenge_is_cancelled(void **state)
{
	process_up(0, 1);
	begin(1);
	wait_for_just(&processes[0].count, 1);
	auth_client_cancel(client, exchange_of(1));
	wait_for_just(&processes[0].count, 2);
	answer(0, 1, AUTH_CHALLENGE);
	wait_for_just(&processes[0].count, 3);
	assert_asked(0, 2, AUTH_CANCEL, 1);
	assert_int_equal(told_count, 0);
}

static void a_cancelled_request_that_waits_is_never_sent(void **state)
{
	process_up(0, 1);
	begin(1);
	begin(2);
	auth_client_cancel(client, exchange_of(2));
	auth_client_cancel(client, exchange_of(99));
	wait_for_just(&processes[0].count, 1);
	answer(0, 1, AUTH_REFUSED);
	wait_for_just(&told_count, 1);
	settle();
	assert_int_equal(processes[0].count, 1);
	assert_int_equal(told_count, 1);
}

static void a_cancelled_challenge_is_forgotten_on_both_sides(void **state)
{
	process_up(0, 1);
	begin(1);
	wait_for_just(&processes[0].count, 1);
	answer(0, 1, AUTH_CHALLENGE);
	wait_for_just(&told_count, 1);
	auth_client_cancel(client, exchange_of(1));
	wait_for_just(&processes[0].count, 2);
	assert_asked(0, 1, AUTH_CANCEL, 1);
	assert_int_equal(respond(1, SPAN("YWxpY2U=")), -1);
}

/* ---- bounds ---- */

static void too_many_requests_are_refused_for_now(void **state)
{
	for (uint32_t serial = 1; serial <= AUTH_CLIENT_WAITING_MAX; serial++)
		begin(serial);
	begin(5000);
	wait_for_just(&told_count, 1);
	assert_told(0, AUTH_TEMPORARY, 5000);
	settle();
	assert_int_equal(told_count, 1);
	process_up(0, 1);
	wait_for_just(&processes[0].count, 1);
	begin(5001); /* there is room again */
	settle();
	assert_int_equal(told_count, 1);
}

static void what_does_not_fit_is_not_taken(void **state)
{
	static char bytes[AUTH_RESPONSE_MAX + 1];
	const struct span long_response = { bytes, sizeof(bytes) };
	const struct auth_request request = {
		.type = AUTH_BEGIN,
		.exchange = exchange_of(1),
		.service = SPAN("imap"),
		.mechanism = SPAN("PLAIN"),
		.has_response = true,
		.response = long_response,
	};

	process_up(0, 1);
	assert_int_equal(auth_client_begin(client, &request), -1);
	assert_int_equal(respond(1, SPAN("")), -1);
	begin(2);
	wait_for_just(&processes[0].count, 1);
	answer(0, 2, AUTH_CHALLENGE);
	wait_for_just(&told_count, 1);
	assert_int_equal(respond(2, long_response), -1);
	wait_for_just(&processes[0].count, 2);
	assert_asked(0, 1, AUTH_CANCEL, 2);
	settle();
	assert_int_equal(told_count, 1);
}

static void a_client_is_freed_with_everything_under_way(void **state)
{
	process_up(0, 1);
	begin(1);
	begin(2);
	wait_for_just(&processes[0].count, 1);
	auth_client_free(client);
	client = NULL;
	settle();
	assert_true(processes[0].closed);
	assert_int_equal(told_count, 0);
}

#define TEST(name)           cmocka_unit_test_setup_teardown(name, start, stop)
#define TEST_IMPATIENT(name) cmocka_unit_test_setup_teardown(name, start_impatient, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_request_is_answered),
		TEST(a_challenge_is_continued),
		TEST(a_process_is_asked_one_thing_at_a_time),
		TEST(two_processes_are_asked_at_once),
		TEST(steps_go_to_the_process_that_began_them_before_new_exchanges),
		TEST(requests_wait_for_a_process_to_come),
		TEST(a_new_exchange_may_begin_inside_an_answer),
		TEST(a_dead_process_ends_its_exchanges_and_no_others),
		TEST(a_process_reported_down_is_not_asked_again),
		TEST(a_new_incarnation_ends_what_the_old_one_began),
		TEST(a_client_that_thinks_learns_of_the_death_with_its_response),
		TEST(a_response_that_waits_is_lost_with_its_process),
		TEST(a_malformed_answer_ends_the_process),
		TEST_IMPATIENT(a_silent_process_is_reported_and_given_up),
		TEST_IMPATIENT(without_any_process_the_deadline_ends_it),
		TEST_IMPATIENT(what_waits_behind_a_silent_process_has_its_own_deadline),
		TEST(answers_that_nobody_asked_for_are_dropped),
		TEST(after_a_cancel_the_answer_is_dropped_and_the_process_goes_on),
		TEST(a_late_challenge_is_cancelled),
		TEST(a_cancelled_request_that_waits_is_never_sent),
		TEST(a_cancelled_challenge_is_forgotten_on_both_sides),
		TEST(too_many_requests_are_refused_for_now),
		TEST(what_does_not_fit_is_not_taken),
		TEST(a_client_is_freed_with_everything_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
