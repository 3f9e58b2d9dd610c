/* The keeper as a real process, confined: the test is its supervisor and its workers. */
#include "frontend/certificate_message.h"
#include "frontend/channel.h"
#include "frontend/child.h"
#include "frontend/config.h"
#include "frontend/keeper_client.h"
#include "frontend/ticket_keys.h"
#include "tests/unit/keeper_play.h"
#include "tests/unit/loop_play.h"
#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define MANY 40

static struct channel control;
static pid_t child;
static unsigned said_count, ready_count, want_count;
static unsigned said_type;
static bool control_gone;

static struct pem_pair authority;
static struct play_certificate ec, rsa, edwards, many[MANY];
/* What FILES answers to a WANT of that index; NULL: it cannot be opened. */
static const char *files_of[MANY];

/* ---- the supervisor ---- */

static int memory_file(const char *text)
{
	int fd = memfd_create("key", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	return fd;
}

static void send_message(struct message_writer *message, int *fds, size_t nfds)
{
	assert_true(message_end(message, (uint8_t)nfds));
	assert_int_equal(channel_send(&control, message, fds, nfds), 0);
	message_writer_cleanup(message);
	for (size_t i = 0; i < nfds; i++)
		close(fds[i]);
}

static void give_files(uint32_t index)
{
	struct certificate_files files = { .index = index, .fds = { -1, -1, -1 } };
	struct message_writer message;
	int fds[CERTIFICATE_PARTS];
	size_t nfds;

	assert_in_range(index, 0, MANY - 1);
	if (files_of[index])
		files.fds[CERTIFICATE_KEY] = memory_file(files_of[index]);
	else
		files.why[CERTIFICATE_KEY] = "key.pem: No such file or directory";
	message_begin(&message, CONTROL_MESSAGE_MAX, CONTROL_FILES);
	nfds = certificate_put_files(&message, &files, fds);
	send_message(&message, fds, nfds);
}

static void on_said(struct channel *channel, unsigned type, struct message_reader *message,
		    int *fds, size_t nfds)
{
	uint32_t index;

	if (type == CONTROL_WANT) {
		assert_true(certificate_get_want(message, &index));
		want_count++;
		give_files(index);
		return;
	}
	said_count++;
	said_type = type;
	ready_count += type == CONTROL_READY;
}

static void on_control_closed(struct channel *channel, const char *why)
{
	control_gone = true;
}

static const struct channel_handlers control_handlers = { on_said, on_control_closed };

static int status_of_child(void)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	child = -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void say(uint16_t type, uint32_t number)
{
	struct message_writer message;

	message_begin(&message, CONTROL_MESSAGE_MAX, type);
	message_put_u32(&message, number);
	send_message(&message, NULL, 0);
}

static void say_book(uint32_t generation, const struct play_certificate *const *certificates,
		     size_t count)
{
	struct message_writer message;
	int fd = play_book(certificates, count, 0);

	message_begin(&message, CONTROL_MESSAGE_MAX, CONTROL_BOOK);
	message_put_u32(&message, generation);
	send_message(&message, &fd, 1);
}

static void say_prepare(uint32_t generation)
{
	struct config config = { .seccomp = true,
				 .log.level = LOG_LEVEL_ERROR,
				 .tls.tickets = { .enabled = true, .rotate = 43200 } };
	struct message_writer message;

	message_begin(&message, CONTROL_MESSAGE_MAX, CONTROL_PREPARE);
	message_put_u32(&message, generation);
	config_encode(&message, &config, CHILD_KEEPER);
	send_message(&message, NULL, 0);
}

static void wait_for_ready(void)
{
	wait_for(&said_count, said_count + 1);
	assert_int_equal(said_type, CONTROL_READY);
}

static void commit(uint32_t generation)
{
	say(CONTROL_COMMIT, generation);
	wait_for(&said_count, said_count + 1);
	assert_int_equal(said_type, CONTROL_SERVING);
}

/* Three certificates of each kind, the supervisor has their keys. */
static void serve_three(void)
{
	const struct play_certificate *certificates[] = { &ec, &rsa, &edwards };

	for (size_t i = 0; i < 3; i++)
		files_of[i] = certificates[i]->pair.key;
	say_book(1, certificates, 3);
	say_prepare(1);
	wait_for_ready();
	commit(1);
}

/* ---- a worker ---- */

static struct keeper_client client;
static uint8_t out[KEY_SIGNATURE_MAX];
static size_t out_len;

/* Returns the worker's end. */
static int say_worker(uint32_t index, uint32_t incarnation)
{
	struct message_writer message;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	message_begin(&message, CONTROL_MESSAGE_MAX, CONTROL_PEER_UP);
	message_put_u8(&message, CHILD_WORKER);
	message_put_u32(&message, index);
	message_put_u32(&message, incarnation);
	send_message(&message, &fds[1], 1);
	return fds[0];
}

static void worker_comes(void)
{
	keeper_client_up(&client, 1, say_worker(0, 1));
	ev_run(loop, EVRUN_NOWAIT);
}

static int sign_with(const struct play_certificate *with)
{
	static const uint8_t digest[32] = { 1 };
	static const uint8_t info[] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
					0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20 };
	uint8_t block[KEY_SIGNATURE_MAX];
	size_t len = 0;

	switch (public_key_type(with->public)) {
	case KEY_EC:
		return keeper_sign(&client, play_id(with), KEY_SIGN_ECDSA, digest, sizeof(digest),
				   out, &out_len);
	case KEY_RSA:
		memset(block, 0xff, 256);
		block[0] = 0;
		block[1] = 1;
		block[256 - 52] = 0;
		memcpy(block + 256 - 51, info, sizeof(info));
		memcpy(block + 256 - 32, digest, sizeof(digest));
		return keeper_sign(&client, play_id(with), KEY_SIGN_RSA, block, 256, out, &out_len);
	case KEY_ED25519:
		memset(block, ' ', 64);
		memcpy(block + 64, "TLS 1.3, server CertificateVerify", 34);
		memcpy(block + 98, digest, sizeof(digest));
		len = 98 + sizeof(digest);
		return keeper_sign(&client, play_id(with), KEY_SIGN_ED25519, block, len, out,
				   &out_len);
	}
	return -1;
}

/* The keeper closes its end of a worker that it cuts off. */
static void expect_closed(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	char octet;

	assert_int_equal(poll(&poll_fd, 1, 20000), 1);
	assert_int_equal(recv(fd, &octet, 1, 0), 0);
}

/* ---- tests ---- */

static int start(void **state)
{
	int fds[2];

	loop = ev_loop_new(EVFLAG_AUTO);
	said_count = ready_count = want_count = 0;
	control_gone = false;
	memset(files_of, 0, sizeof(files_of));
	keeper_client_init(&client, NULL, NULL);
	assert_int_equal(channel_pair(fds), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		const struct child_start start_of = {
			.kind = CHILD_KEEPER, .channel = fds[1], .log = { .fd = -1 }, .shared = -1
		};

		close(fds[0]);
		_exit(keeper_run(&start_of));
	}
	close(fds[1]);
	return channel_init(&control, loop, fds[0], CONTROL_MESSAGE_MAX, CONTROL_QUEUE_MAX,
			    &control_handlers, NULL);
}

static int stop(void **state)
{
	keeper_client_cleanup(&client);
	channel_cleanup(&control);
	ev_loop_destroy(loop);
	if (child > 0)
		assert_int_equal(status_of_child(), 0);
	return 0;
}

static void it_signs_with_the_keys_of_the_book(void **state)
{
	uint8_t opened[KEY_SIGNATURE_MAX];
	size_t len;

	serve_three();
	assert_int_equal(want_count, 3);
	worker_comes();
	assert_int_equal(sign_with(&ec), 0);
	assert_in_range(out_len, 60, 72);
	assert_int_equal(sign_with(&edwards), 0);
	assert_int_equal(out_len, 64);
	assert_int_equal(sign_with(&rsa), 0);
	assert_int_equal(out_len, 256);
	assert_int_equal(public_key_rsa(rsa.public, out, out_len, opened, &len), 0);
	assert_memory_equal(opened, "\0\1\xff\xff", 4);
}

static void it_signs_with_no_other_key_and_nothing_else(void **state)
{
	uint8_t block[256];

	serve_three();
	worker_comes();
	memset(block, 0x42, sizeof(block));
	assert_int_equal(sign_with(&many[0]), -1);
	assert_int_equal(keeper_sign(&client, play_id(&rsa), KEY_SIGN_RSA, block, 256, out,
				     &out_len),
			 -1);
	assert_int_equal(keeper_sign(&client, play_id(&edwards), KEY_SIGN_ED25519, block, 130, out,
				     &out_len),
			 -1);
	assert_int_equal(client.failures, 3);
	assert_int_equal(client.timeouts, 0);
	assert_int_equal(sign_with(&rsa), 0); /* it goes on being served */
}

static void all_workers_get_the_same_ticket_keys(void **state)
{
	struct ticket_keys keys[2];
	uint8_t body[KEEPER_OUTPUT_MAX];
	size_t len;

	serve_three();
	for (uint32_t i = 0; i < 2; i++) {
		keeper_client_up(&client, 1, say_worker(i, 1));
		ev_run(loop, EVRUN_NOWAIT);
		assert_int_equal(keeper_tickets(&client, body, &len), 0);
		assert_true(ticket_keys_decode(body, len, &keys[i]));
	}
	assert_memory_equal(keys[0].keys, keys[1].keys, sizeof(keys[0].keys));
}

static void a_worker_that_sends_no_request_is_cut_off_alone(void **state)
{
	static const uint8_t huge[KEEPER_PACKET_MAX + 1] = { 1, 1 };
	int fd;

	serve_three();
	worker_comes();
	fd = say_worker(1, 1);
	ev_run(loop, EVRUN_NOWAIT);
	assert_int_equal(send(fd, "\1", 1, 0), 1);
	expect_closed(fd);
	close(fd);
	fd = say_worker(1, 2);
	ev_run(loop, EVRUN_NOWAIT);
	assert_int_equal(send(fd, huge, sizeof(huge), 0), sizeof(huge));
	expect_closed(fd);
	close(fd);
	assert_int_equal(sign_with(&ec), 0);
}

static void a_worker_of_the_same_index_takes_the_place(void **state)
{
	int fd;

	serve_three();
	fd = say_worker(0, 1);
	worker_comes();
	expect_closed(fd);
	close(fd);
	assert_int_equal(sign_with(&ec), 0);
}

static void keys_are_asked_for_a_few_at_a_time(void **state)
{
	const struct play_certificate *certificates[MANY];

	for (size_t i = 0; i < MANY; i++) {
		certificates[i] = &many[i];
		files_of[i] = many[i].pair.key;
	}
	say_book(1, certificates, MANY);
	say_prepare(1);
	wait_for_ready();
	assert_int_equal(want_count, MANY);
	commit(1);
	worker_comes();
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(sign_with(&many[i]), 0);
}

static void a_key_that_is_missing_or_wrong_comes_with_the_next_book(void **state)
{
	const struct play_certificate *certificates[] = { &ec, &many[0], &many[1] };

	files_of[0] = ec.pair.key;
	files_of[2] = ec.pair.key;
	say_book(1, certificates, 3);
	say_prepare(1);
	wait_for_ready();
	commit(1);
	worker_comes();
	assert_int_equal(sign_with(&ec), 0);
	assert_int_equal(sign_with(&many[0]), -1);
	assert_int_equal(sign_with(&many[1]), -1);
	files_of[1] = many[0].pair.key;
	files_of[2] = many[1].pair.key;
	want_count = 0;
	say_book(1, certificates, 3);
	wait_for_ready();
	assert_int_equal(want_count, 2);
	assert_int_equal(sign_with(&many[0]), 0);
	assert_int_equal(sign_with(&many[1]), 0);
}

static void a_key_that_is_missing_is_asked_for_again(void **state)
{
	const struct play_certificate *certificates[] = { &ec };

	say_book(1, certificates, 1);
	say_prepare(1);
	wait_for_ready();
	commit(1);
	worker_comes();
	assert_int_equal(sign_with(&ec), -1);
	files_of[0] = ec.pair.key;
	wait_for(&want_count, 2);
	say_book(1, certificates, 1); /* answered when the key is there */
	wait_for_ready();
	assert_int_equal(sign_with(&ec), 0);
	assert_int_equal(want_count, 2);
}

static void each_book_is_answered_and_the_one_before_still_served(void **state)
{
	const struct play_certificate *before[] = { &ec }, *after[] = { &many[0] };

	serve_three();
	worker_comes();
	files_of[0] = many[0].pair.key;
	say_book(1, after, 1);
	say_book(1, before, 1);
	say_book(1, after, 1);
	wait_for(&ready_count, 4);
	assert_int_equal(sign_with(&many[0]), 0);
	assert_int_equal(sign_with(&ec), 0);
	say(CONTROL_STOP, 0);
	assert_int_equal(status_of_child(), 0);
	assert_int_equal(ready_count, 4);
}

static void a_reload_may_be_taken_back_and_another_follow(void **state)
{
	const struct play_certificate *next[] = { &many[0] }, *other[] = { &many[1] };

	serve_three();
	worker_comes();
	files_of[0] = many[0].pair.key;
	say_book(2, next, 1);
	say_prepare(2);
	wait_for_ready();
	say(CONTROL_ABORT, 2);
	files_of[0] = many[1].pair.key;
	say_book(3, other, 1);
	say_prepare(3);
	say_book(3, other, 1); /* a renewal while it is prepared */
	wait_for(&ready_count, 4);
	commit(3);
	assert_int_equal(sign_with(&many[1]), 0);
	assert_int_equal(sign_with(&ec), 0); /* for a minute */
}

static void it_ends_with_its_supervisor(void **state)
{
	serve_three();
	worker_comes();
	channel_cleanup(&control);
	assert_int_equal(status_of_child(), 0);
}

static void when_it_drains_it_ends_with_its_last_worker(void **state)
{
	serve_three();
	worker_comes();
	say(CONTROL_DRAIN, 0);
	ev_run(loop, EVRUN_NOWAIT);
	assert_int_equal(sign_with(&ec), 0);
	keeper_client_cleanup(&client);
	assert_int_equal(status_of_child(), 0);
}

static void without_a_worker_it_drains_at_once(void **state)
{
	serve_three();
	say(CONTROL_DRAIN, 0);
	ev_run(loop, EVRUN_NOWAIT);
	assert_int_equal(status_of_child(), 0);
}

static void nonsense_from_the_supervisor_ends_it(void **state)
{
	say(CONTROL_COMMIT, 77);
	ev_run(loop, EVRUN_NOWAIT);
	assert_int_not_equal(status_of_child(), 0);
}

static void files_that_were_not_asked_for_end_it(void **state)
{
	serve_three();
	give_files(0);
	ev_run(loop, EVRUN_NOWAIT);
	assert_int_not_equal(status_of_child(), 0);
}

static int make_pairs(void **state)
{
	authority = pem_authority("P-256");
	ec = play_issue(&authority, "P-256");
	rsa = play_issue(&authority, "RSA-2048");
	edwards = play_issue(&authority, "Ed25519");
	for (size_t i = 0; i < MANY; i++)
		many[i] = play_issue(&authority, "P-256");
	return 0;
}

static int free_pairs(void **state)
{
	play_free(&ec);
	play_free(&rsa);
	play_free(&edwards);
	for (size_t i = 0; i < MANY; i++)
		play_free(&many[i]);
	pem_free(&authority);
	return 0;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(it_signs_with_the_keys_of_the_book),
		CASE(it_signs_with_no_other_key_and_nothing_else),
		CASE(all_workers_get_the_same_ticket_keys),
		CASE(a_worker_that_sends_no_request_is_cut_off_alone),
		CASE(a_worker_of_the_same_index_takes_the_place),
		CASE(keys_are_asked_for_a_few_at_a_time),
		CASE(a_key_that_is_missing_or_wrong_comes_with_the_next_book),
		CASE(a_key_that_is_missing_is_asked_for_again),
		CASE(each_book_is_answered_and_the_one_before_still_served),
		CASE(a_reload_may_be_taken_back_and_another_follow),
		CASE(it_ends_with_its_supervisor),
		CASE(when_it_drains_it_ends_with_its_last_worker),
		CASE(without_a_worker_it_drains_at_once),
		CASE(nonsense_from_the_supervisor_ends_it),
		CASE(files_that_were_not_asked_for_end_it),
	};

	return cmocka_run_group_tests_name("keeper", tests, make_pairs, free_pairs);
}
