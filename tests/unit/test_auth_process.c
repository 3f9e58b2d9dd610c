/* auth_process as a real process: the test is its supervisor and its workers, over real socket pairs. What it does from PREPARE to
 * its end, and that nonsense from a worker ends it. */
#include "auth/auth_message.h"
#include "frontend/auth_client.h"
#include "frontend/channel.h"
#include "frontend/child.h"
#include "frontend/config.h"
#include "tests/unit/loop_play.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static struct channel control;
static pid_t child;
static unsigned said_count, said_type, told_count, idle_count;
static bool control_gone;
static int idle_seconds;
static uint32_t given_number; /* of the generation that is prepared and committed next */
static const char *first_mechanism;
static struct auth_answer told;
static char told_user[32], told_password[32], told_challenge[32];

static void on_said(struct channel *channel, unsigned type, struct message_reader *message,
		    int *fds, size_t nfds)
{
	if (type == CONTROL_IDLE) {
		idle_count++;
		return;
	}
	assert_int_equal(message_get_u32(message), given_number);
	said_count++;
	said_type = type;
}

static void on_control_closed(struct channel *channel, const char *why)
{
	control_gone = true;
}

static const struct channel_handlers control_handlers = { on_said, on_control_closed };

static void copy_span(struct span from, char out[32])
{
	assert_true(from.len < 32);
	memcpy(out, from.data ? from.data : "", from.len);
	out[from.len] = '\0';
}

static void on_answer(void *owner, const struct auth_answer *answer)
{
	told = *answer;
	copy_span(answer->authcid, told_user);
	copy_span(answer->password, told_password);
	copy_span(answer->challenge, told_challenge);
	told_count++;
}

static void on_stuck(void *owner, unsigned index, unsigned incarnation)
{
}

static void on_busy(void *owner)
{
}

static const struct auth_client_handlers worker_handlers = { on_answer, on_stuck, on_busy };

static int start(void **state)
{
	int fds[2];

	loop = ev_loop_new(EVFLAG_AUTO);
	said_count = told_count = idle_count = 0;
	idle_seconds = 60;
	given_number = 5;
	first_mechanism = "PLAIN";
	control_gone = false;
	assert_int_equal(channel_pair(fds), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		const struct child_start start_of = {
			.kind = CHILD_AUTH, .channel = fds[1], .log = { .fd = -1 }, .shared = -1
		};

		close(fds[0]);
		_exit(auth_process_run(&start_of));
	}
	close(fds[1]);
	return channel_init(&control, loop, fds[0], CONTROL_MESSAGE_MAX, CONTROL_QUEUE_MAX,
			    &control_handlers, NULL);
}

static int stop(void **state)
{
	channel_cleanup(&control);
	ev_loop_destroy(loop);
	if (child > 0)
		waitpid(child, NULL, 0);
	return 0;
}

static int status_of_child(void)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	child = -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void say(uint16_t type, const uint32_t *number)
{
	struct message_writer message;

	message_begin(&message, CONTROL_MESSAGE_MAX, type);
	if (number)
		message_put_u32(&message, *number);
	assert_true(message_end(&message, 0));
	assert_int_equal(channel_send(&control, &message, NULL, 0), 0);
	message_writer_cleanup(&message);
}

static void say_prepare(void)
{
	const char *mechanisms[] = { first_mechanism, "LOGIN", NULL };
	struct config config = {
		.hostname = "mail.example.test",
		.auth = { .mechanisms = { mechanisms, 2 },
			  .place = { "test.conf", 1 },
			  .processes_min = 1,
			  .processes_max = 1,
			  .processes_idle = idle_seconds },
		.limits = { .auth_timeout = 10, .sasl_line = 16384 },
		.log.level = LOG_LEVEL_ERROR,
	};
	struct message_writer message;

	message_begin(&message, CONTROL_MESSAGE_MAX, CONTROL_PREPARE);
	message_put_u32(&message, given_number);
	config_encode(&message, &config, CHILD_AUTH);
	assert_true(message_end(&message, 0));
	assert_int_equal(channel_send(&control, &message, NULL, 0), 0);
	message_writer_cleanup(&message);
}

/* Returns the worker's end. */
static int say_worker(uint32_t index, uint32_t incarnation)
{
	struct message_writer message;
	int fds[2];

	assert_int_equal(channel_pair(fds), 0);
	message_begin(&message, CONTROL_MESSAGE_MAX, CONTROL_PEER_UP);
	message_put_u8(&message, CHILD_WORKER);
	message_put_u32(&message, index);
	message_put_u32(&message, incarnation);
	assert_true(message_end(&message, 1));
	assert_int_equal(channel_send(&control, &message, &fds[1], 1), 0);
	message_writer_cleanup(&message);
	close(fds[1]);
	return fds[0];
}

static void prepare_and_commit(void)
{
	unsigned before = said_count;

	say_prepare();
	wait_for(&said_count, before + 1);
	assert_int_equal(said_type, CONTROL_READY);
	say(CONTROL_COMMIT, &given_number);
	wait_for(&said_count, before + 2);
	assert_int_equal(said_type, CONTROL_SERVING);
}

static void begin(struct auth_client *client, uint32_t serial, const char *mechanism,
		  const char *response)
{
	const struct auth_request request = {
		.type = AUTH_BEGIN,
		.exchange = { 1, serial },
		.service = SPAN("smtp"),
		.mechanism = span_of(mechanism),
		.has_response = response != NULL,
		.response = span_of(response),
		.tls_bits = 128,
	};

	assert_int_equal(auth_client_begin(client, &request), 0);
}

static void a_worker_logs_in_through_it(void **state)
{
	struct auth_client *client = auth_client_new(loop, 60., &worker_handlers, NULL);

	prepare_and_commit();
	auth_client_peer_up(client, 0, 1, say_worker(0, 1));
	begin(client, 1, "PLAIN", "AGFsaWNlAHNlY3JldA==");
	wait_for(&told_count, 1);
	assert_int_equal(told.type, AUTH_CAPTURED);
	assert_string_equal(told_user, "alice");
	assert_string_equal(told_password, "secret");

	begin(client, 2, "LOGIN", NULL);
	wait_for(&told_count, 2);
	assert_int_equal(told.type, AUTH_CHALLENGE);
	assert_string_equal(told_challenge, "VXNlcm5hbWU6");
	auth_client_continue(client, told.exchange, SPAN("Ym9i"));
	wait_for(&told_count, 3);
	auth_client_continue(client, told.exchange, SPAN("c2VjcmV0"));
	wait_for(&told_count, 4);
	assert_int_equal(told.type, AUTH_CAPTURED);
	assert_string_equal(told_user, "bob");

	begin(client, 3, "SCRAM-SHA-256", NULL);
	wait_for(&told_count, 5);
	assert_int_equal(told.type, AUTH_REFUSED);
	assert_int_equal(told.refusal, AUTH_REFUSED_MECHANISM);
	auth_client_free(client);
}

static void open_exchanges_outlive_a_later_configuration(void **state)
{
	struct auth_client *client = auth_client_new(loop, 60., &worker_handlers, NULL);

	prepare_and_commit();
	auth_client_peer_up(client, 0, 1, say_worker(0, 1));
	begin(client, 1, "LOGIN", NULL);
	wait_for(&told_count, 1);
	given_number++;
	prepare_and_commit();
	auth_client_continue(client, told.exchange, SPAN("Ym9i"));
	wait_for(&told_count, 2);
	assert_int_equal(told.type, AUTH_CHALLENGE);
	begin(client, 2, "PLAIN", "AGFsaWNlAHNlY3JldA==");
	wait_for(&told_count, 3);
	assert_int_equal(told.type, AUTH_CAPTURED);
	auth_client_free(client);
}

static void a_reload_that_meets_it_while_it_starts_is_what_it_serves(void **state)
{
	struct auth_client *client = auth_client_new(loop, 60., &worker_handlers, NULL);

	first_mechanism = "LOGIN";
	say_prepare();
	wait_for(&said_count, 1);
	first_mechanism = "PLAIN";
	given_number++;
	prepare_and_commit();
	auth_client_peer_up(client, 0, 1, say_worker(0, 1));
	begin(client, 1, "PLAIN", "AGFsaWNlAHNlY3JldA==");
	wait_for(&told_count, 1);
	assert_int_equal(told.type, AUTH_CAPTURED);
	auth_client_free(client);
}

static void a_malformed_request_ends_it_with_a_failure(void **state)
{
	struct auth_client *client = auth_client_new(loop, 60., &worker_handlers, NULL);
	struct message_writer message;
	int fd;

	prepare_and_commit();
	auth_client_peer_up(client, 0, 1, say_worker(0, 1));
	begin(client, 1, "LOGIN", NULL);
	wait_for(&told_count, 1);
	fd = say_worker(1, 1);
	message_begin(&message, WORK_MESSAGE_MAX, AUTH_CONTINUE);
	assert_true(message_end(&message, 0));
	assert_int_equal(write(fd, message.data, message.len), message.len);
	message_writer_cleanup(&message);
	while (!control_gone)
		ev_run(loop, EVRUN_ONCE);
	assert_int_equal(status_of_child(), EXIT_FAILURE);
	close(fd);
	auth_client_free(client);
}

static void a_configuration_that_cannot_be_read_is_reported(void **state)
{
	const uint32_t generation = 5;

	say(CONTROL_PREPARE, &generation);
	wait_for(&said_count, 1);
	assert_int_equal(said_type, CONTROL_FAILED);
	prepare_and_commit(); /* and a good one is then taken */
}

static void a_commit_of_nothing_ends_it_with_a_failure(void **state)
{
	const uint32_t generation = 5;

	say(CONTROL_COMMIT, &generation);
	while (!control_gone)
		ev_run(loop, EVRUN_ONCE);
	assert_int_equal(status_of_child(), EXIT_FAILURE);
}

static void it_says_when_it_has_nothing_to_do(void **state)
{
	idle_seconds = 1;
	prepare_and_commit();
	wait_for(&idle_count, 2);
}

static void it_drains_until_its_last_worker_has_gone(void **state)
{
	struct auth_client *client = auth_client_new(loop, 60., &worker_handlers, NULL);

	prepare_and_commit();
	auth_client_peer_up(client, 0, 1, say_worker(0, 1));
	begin(client, 1, "LOGIN", NULL);
	wait_for(&told_count, 1);
	say(CONTROL_DRAIN, NULL);
	auth_client_continue(client, told.exchange, SPAN("Ym9i"));
	wait_for(&told_count, 2);
	auth_client_continue(client, told.exchange, SPAN("c2VjcmV0"));
	wait_for(&told_count, 3);
	assert_int_equal(told.type, AUTH_CAPTURED);
	assert_false(control_gone);
	auth_client_peer_retire(client, 0, 1);
	while (!control_gone)
		ev_run(loop, EVRUN_ONCE);
	assert_int_equal(status_of_child(), EXIT_SUCCESS);
	auth_client_free(client);
}

static void it_ends_at_once_when_it_drains_and_has_no_worker(void **state)
{
	prepare_and_commit();
	say(CONTROL_DRAIN, NULL);
	while (!control_gone)
		ev_run(loop, EVRUN_ONCE);
	assert_int_equal(status_of_child(), EXIT_SUCCESS);
}

static void it_ends_when_it_is_told_to(void **state)
{
	prepare_and_commit();
	say(CONTROL_STOP, NULL);
	while (!control_gone)
		ev_run(loop, EVRUN_ONCE);
	assert_int_equal(status_of_child(), EXIT_SUCCESS);
}

static void it_ends_with_its_supervisor(void **state)
{
	prepare_and_commit();
	channel_cleanup(&control);
	assert_int_equal(status_of_child(), EXIT_SUCCESS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_worker_logs_in_through_it),
		TEST(open_exchanges_outlive_a_later_configuration),
		TEST(a_reload_that_meets_it_while_it_starts_is_what_it_serves),
		TEST(a_malformed_request_ends_it_with_a_failure),
		TEST(a_configuration_that_cannot_be_read_is_reported),
		TEST(a_commit_of_nothing_ends_it_with_a_failure),
		TEST(it_says_when_it_has_nothing_to_do),
		TEST(it_drains_until_its_last_worker_has_gone),
		TEST(it_ends_at_once_when_it_drains_and_has_no_worker),
		TEST(it_ends_when_it_is_told_to),
		TEST(it_ends_with_its_supervisor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
