/* auth_client: when it asks for more processes, and how it lets one go that is not needed any more. */
#include "tests/unit/auth_client_play.h"

/* ---- busy ---- */

static void it_complains_when_new_exchanges_find_no_process(void **state)
{
	process_up(0, 1);
	begin(1);
	assert_int_equal(busy_count, 0);
	begin(2);
	assert_int_equal(busy_count, 1);
	begin(3); /* not again within a second */
	assert_int_equal(busy_count, 1);
	wait_for_just(&busy_count, 2); /* but then, since they still wait */
	auth_client_cancel(client, exchange_of(2));
	auth_client_cancel(client, exchange_of(3));
	settle();
	assert_int_equal(busy_count, 2);
}

static void it_does_not_complain_of_what_more_processes_would_not_help(void **state)
{
	begin(1); /* none at all: one is being started */
	assert_int_equal(busy_count, 0);
	process_up(0, 1);
	wait_for_just(&processes[0].count, 1);
	answer(0, 1, AUTH_CHALLENGE);
	wait_for_just(&told_count, 1);
	begin(2);
	assert_int_equal(respond(1, SPAN("x")), 0); /* waits for that very process */
	assert_int_equal(busy_count, 0);
}

/* ---- retired ---- */

static void wait_for_end(unsigned index)
{
	for (unsigned turns = 0; !processes[index].closed && turns < 1000; turns++)
		ev_run(loop, EVRUN_NOWAIT);
	assert_true(processes[index].closed);
	assert_int_equal(stuck_count, 0);
}

static void an_idle_process_is_let_go_at_once(void **state)
{
	process_up(0, 1);
	settle();
	auth_client_peer_retire(client, 0, 2); /* another incarnation */
	auth_client_peer_retire(client, 1, 1);
	settle();
	assert_false(processes[0].closed);
	auth_client_peer_retire(client, 0, 1);
	wait_for_end(0);
}

static void a_retired_process_finishes_what_it_began_and_nothing_else(void **state)
{
	process_up(0, 1);
	begin(1);
	wait_for_just(&processes[0].count, 1);
	auth_client_peer_retire(client, 0, 1);
	begin(2); /* waits for another */
	answer(0, 1, AUTH_CHALLENGE);
	wait_for_just(&told_count, 1);
	settle();
	assert_false(processes[0].closed);
	assert_int_equal(respond(1, SPAN("x")), 0);
	wait_for_just(&processes[0].count, 2);
	assert_asked(0, 1, AUTH_CONTINUE, 1);
	answer(0, 1, AUTH_CAPTURED);
	wait_for_just(&told_count, 2);
	assert_told(1, AUTH_CAPTURED, 1);
	wait_for_end(0);
	process_up(1, 2);
	wait_for_just(&processes[1].count, 1);
	assert_asked(1, 0, AUTH_BEGIN, 2);
}

static void a_retired_process_is_let_go_when_its_last_exchange_is_cancelled(void **state)
{
	process_up(0, 1);
	begin(1);
	begin(2);
	wait_for_just(&processes[0].count, 1);
	answer(0, 1, AUTH_CHALLENGE);
	wait_for_just(&processes[0].count, 2);
	auth_client_peer_retire(client, 0, 1);
	auth_client_cancel(client, exchange_of(1));
	settle();
	assert_false(processes[0].closed); /* the second is with it */
	auth_client_cancel(client, exchange_of(2));
	wait_for_just(&processes[0].count, 4);
	answer(0, 2, AUTH_REFUSED); /* nobody wants to know, but it is free now */
	wait_for_end(0);
}

static void a_retired_process_that_hangs_is_reported(void **state)
{
	process_up(0, 1);
	begin(1);
	auth_client_peer_retire(client, 0, 1);
	wait_for_just(&stuck_count, 1);
	wait_for_just(&told_count, 1);
	assert_told(0, AUTH_TEMPORARY, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_complains_when_new_exchanges_find_no_process),
		TEST(it_does_not_complain_of_what_more_processes_would_not_help),
		TEST(an_idle_process_is_let_go_at_once),
		TEST(a_retired_process_finishes_what_it_began_and_nothing_else),
		TEST(a_retired_process_is_let_go_when_its_last_exchange_is_cancelled),
		cmocka_unit_test_setup_teardown(a_retired_process_that_hangs_is_reported,
						start_impatient, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
