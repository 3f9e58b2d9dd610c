/* test_channel - messages and descriptors between processes: order, bounds, breaches, and handlers that end the channel. */
#include "frontend/channel.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define MAX       65536
#define QUEUE_MAX (1u << 20)

/* One end, and what its handlers saw. */
struct end {
	struct channel channel;
	unsigned messages, closed, descriptors;
	unsigned last_type;
	uint32_t numbers[512];
	int kept[64]; /* descriptors it took */
	unsigned kept_count;
	bool take, cleanup_at_message, free_at_message;
	char why[64];
};

static struct ev_loop *loop;

static void on_message(struct channel *channel, unsigned type, struct message_reader *reader,
		       int *fds, size_t nfds)
{
	struct end *end = channel->owner;

	end->last_type = type;
	if (end->messages < 512)
		end->numbers[end->messages] = message_get_u32(reader);
	end->messages++;
	end->descriptors += (unsigned)nfds;
	for (size_t i = 0; end->take && i < nfds; i++) {
		end->kept[end->kept_count++] = fds[i];
		fds[i] = -1;
	}
	if (end->cleanup_at_message)
		channel_cleanup(channel);
	if (end->free_at_message) {
		channel_cleanup(channel);
		free(end);
	}
}

static void on_closed(struct channel *channel, const char *why)
{
	struct end *end = channel->owner;

	end->closed++;
	snprintf(end->why, sizeof(end->why), "%s", why);
	channel_cleanup(channel);
}

static const struct channel_handlers handlers = { on_message, on_closed };

static void turn(unsigned times)
{
	while (times-- > 0)
		ev_run(loop, EVRUN_NOWAIT);
}

static void end_init(struct end *end, int fd)
{
	*end = (struct end) { 0 };
	assert_int_equal(channel_init(&end->channel, loop, fd, MAX, QUEUE_MAX, &handlers, end), 0);
}

static void pair_init(struct end *a, struct end *b)
{
	int fds[2];

	assert_int_equal(channel_pair(fds), 0);
	end_init(a, fds[0]);
	end_init(b, fds[1]);
}

/* A message of that type with one number and so many bytes behind it. */
static int send_sized(struct end *end, unsigned type, uint32_t number, size_t size, const int *fds,
		      size_t nfds)
{
	struct message_writer writer;
	char *bytes = calloc(1, size + 1);

	message_begin(&writer, QUEUE_MAX * 2, (uint16_t)type);
	message_put_u32(&writer, number);
	message_put_bytes(&writer, bytes, size);
	assert_true(message_end(&writer, (uint8_t)nfds));

	int result = channel_send(&end->channel, &writer, fds, nfds);

	message_writer_cleanup(&writer);
	free(bytes);
	return result;
}

/* As a peer would that breaks the rules: these bytes, with these descriptors. */
static void send_raw(int fd, const void *data, size_t len, const int *fds, size_t nfds)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * 64)];
	} control = { 0 };
	struct iovec part = { (void *)data, len };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (nfds > 0) {
		message.msg_control = control.space;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);

		struct cmsghdr *header = CMSG_FIRSTHDR(&message);

		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(header), fds, sizeof(int) * nfds);
	}
	assert_int_equal(sendmsg(fd, &message, MSG_NOSIGNAL), (ssize_t)len);
}

static size_t frame(uint8_t out[64], unsigned type, uint32_t number, uint8_t descriptors)
{
	struct message_writer writer;

	message_begin(&writer, 64, (uint16_t)type);
	message_put_u32(&writer, number);
	assert_true(message_end(&writer, descriptors));
	memcpy(out, writer.data, writer.len);

	size_t len = writer.len;

	message_writer_cleanup(&writer);
	return len;
}

static unsigned open_descriptors(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static bool same_file(int a, int b)
{
	struct stat first, second;

	return fstat(a, &first) == 0 && fstat(b, &second) == 0 && first.st_ino == second.st_ino &&
	       first.st_dev == second.st_dev;
}

/* ---- ordinary traffic ---- */

static void messages_arrive_whole_and_in_order(void **state)
{
	struct end a, b;

	pair_init(&a, &b);
	for (uint32_t i = 0; i < 200; i++)
		assert_int_equal(send_sized(&a, 7, i, i * 10, NULL, 0), 0);
	turn(200);
	assert_int_equal(b.messages, 200);
	for (uint32_t i = 0; i < 200; i++)
		assert_int_equal(b.numbers[i], i);
	assert_int_equal(b.last_type, 7);
	channel_cleanup(&a.channel);
	channel_cleanup(&a.channel);
	turn(2);
	assert_int_equal(b.closed, 1);
	assert_string_equal(b.why, "closed");
	assert_false(channel_is_open(&b.channel));
}

static void a_frame_may_come_byte_by_byte(void **state)
{
	struct end end;
	uint8_t bytes[64];
	int fds[2];

	assert_int_equal(channel_pair(fds), 0);
	end_init(&end, fds[0]);
	for (uint32_t round = 0; round < 3; round++) {
		size_t len = frame(bytes, 3, round, 0);

		for (size_t i = 0; i < len; i++) {
			assert_int_equal(end.messages, round);
			send_raw(fds[1], bytes + i, 1, NULL, 0);
			turn(1);
		}
		assert_int_equal(end.messages, round + 1);
		assert_int_equal(end.numbers[round], round);
	}
	assert_int_equal(end.closed, 0);
	channel_cleanup(&end.channel);
	close(fds[1]);
}

static void the_largest_message_passes_and_a_larger_one_is_not_sent(void **state)
{
	struct end a, b;

	pair_init(&a, &b);
	assert_int_equal(send_sized(&a, 1, 5, MAX - MESSAGE_HEADER - 8, NULL, 0), 0);
	assert_int_equal(send_sized(&a, 1, 6, MAX - MESSAGE_HEADER - 7, NULL, 0), -1);
	assert_int_equal(send_sized(&a, 1, 7, 0, NULL, 0), 0);
	turn(50);
	assert_int_equal(b.messages, 2);
	assert_int_equal(b.numbers[1], 7);
	channel_cleanup(&a.channel);
	channel_cleanup(&b.channel);
}

static void a_queue_at_its_bound_refuses_and_loses_nothing(void **state)
{
	struct end a, b;
	uint32_t sent = 0;

	pair_init(&a, &b);
	while (sent < 500 && send_sized(&a, 1, sent, 60000, NULL, 0) == 0)
		sent++;
	assert_in_range(sent, QUEUE_MAX / 61000, 100);
	turn(2000);
	assert_int_equal(b.messages, sent);
	for (uint32_t i = 0; i < sent; i++)
		assert_int_equal(b.numbers[i], i);
	assert_int_equal(send_sized(&a, 1, 1, 60000, NULL, 0), 0);
	channel_cleanup(&a.channel);
	channel_cleanup(&b.channel);
}

/* ---- descriptors ---- */

static void descriptors_belong_to_the_message_they_came_with(void **state)
{
	struct end a, b;
	int pipes[3][2];
	unsigned before = open_descriptors();

	pair_init(&a, &b);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pipe(pipes[i]), 0);
	b.take = true;
	/* the queue is full first, so that they wait there */
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(send_sized(&a, 1, i, 60000, NULL, 0), 0);
	assert_int_equal(send_sized(&a, 1, 10, 0, &pipes[0][0], 1), 0);
	assert_int_equal(send_sized(&a, 1, 11, 0, NULL, 0), 0);
	assert_int_equal(send_sized(&a, 1, 12, 60000, (int[]) { pipes[1][0], pipes[2][0] }, 2), 0);
	turn(500);
	assert_int_equal(b.messages, 13);
	assert_int_equal(b.kept_count, 3);
	for (int i = 0; i < 3; i++) {
		assert_true(same_file(b.kept[i], pipes[i][0]));
		assert_true(fcntl(b.kept[i], F_GETFD) & FD_CLOEXEC);
		close(b.kept[i]);
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
	channel_cleanup(&a.channel);
	channel_cleanup(&b.channel);
	assert_int_equal(open_descriptors(), before);
}

static void the_most_descriptors_pass_and_one_more_is_not_sent(void **state)
{
	struct end a, b;
	int fds[CHANNEL_DESCRIPTORS_MAX + 1];

	pair_init(&a, &b);
	for (int i = 0; i <= CHANNEL_DESCRIPTORS_MAX; i++)
		fds[i] = STDIN_FILENO;
	assert_int_equal(send_sized(&a, 1, 1, 0, fds, CHANNEL_DESCRIPTORS_MAX), 0);
	assert_int_equal(send_sized(&a, 1, 2, 0, fds, CHANNEL_DESCRIPTORS_MAX), 0);
	assert_int_equal(send_sized(&a, 1, 3, 0, fds, CHANNEL_DESCRIPTORS_MAX + 1), -1);
	turn(10);
	assert_int_equal(b.messages, 2);
	assert_int_equal(b.descriptors, 2 * CHANNEL_DESCRIPTORS_MAX);
	channel_cleanup(&a.channel);
	channel_cleanup(&b.channel);
}

static void descriptors_not_taken_are_closed(void **state)
{
	struct end a, b;
	unsigned before = open_descriptors();

	pair_init(&a, &b);
	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(send_sized(&a, 1, i, 0, (int[]) { 0, 0 }, 2), 0);
	turn(50);
	assert_int_equal(b.descriptors, 40);
	channel_cleanup(&a.channel);
	channel_cleanup(&b.channel);
	assert_int_equal(open_descriptors(), before);
}

static void what_is_queued_is_closed_with_the_channel(void **state)
{
	struct end a, b;
	unsigned before = open_descriptors();

	pair_init(&a, &b);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(send_sized(&a, 1, i, 60000, (int[]) { 0 }, 1), 0);
	channel_cleanup(&a.channel);
	channel_cleanup(&b.channel);
	assert_int_equal(open_descriptors(), before);
}

/* ---- breaches ---- */

static void a_wrong_number_of_descriptors_ends_the_channel(void **state)
{
	static const struct {
		uint8_t announced;
		size_t sent,
			split; /* split: the frame's first part, with which they come; 0: whole */
	} cases[] = { { 1, 0, 0 },   { 0, 1, 0 },   { 1, 2, 0 },  { 2, 1, 0 },
		      { 1, 0, 10 },  { 0, 1, 10 },  { 0, 17, 4 }, { 16, 17, 0 },
		      { 17, 17, 0 }, { 17, 16, 0 }, { 255, 0, 0 } };
	const int fds[32] = { 0 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned before = open_descriptors();
		struct end end;
		uint8_t bytes[64];
		size_t len = frame(bytes, 1, 1, cases[i].announced);
		size_t first = cases[i].split ? cases[i].split : len;
		int pair[2];

		assert_int_equal(channel_pair(pair), 0);
		end_init(&end, pair[0]);
		send_raw(pair[1], bytes, first, fds, cases[i].sent);
		turn(2);
		assert_int_equal(end.closed, 1);
		assert_false(channel_is_open(&end.channel));
		close(pair[1]);
		assert_int_equal(open_descriptors(), before);
	}
}

static void descriptors_in_the_middle_of_a_frame_end_the_channel(void **state)
{
	struct end end;
	uint8_t bytes[64];
	size_t len = frame(bytes, 1, 1, 1);
	int pair[2];

	assert_int_equal(channel_pair(pair), 0);
	end_init(&end, pair[0]);
	send_raw(pair[1], bytes, 9, NULL, 0);
	turn(1);
	assert_int_equal(end.closed, 1);
	assert_int_equal(end.messages, 0);
	assert_int_equal(send(pair[1], bytes + 9, len - 9, MSG_NOSIGNAL), -1);
	close(pair[1]);
}

static void a_malformed_frame_ends_the_channel_after_the_good_ones(void **state)
{
	struct end end;
	uint8_t bytes[128];
	size_t len = frame(bytes, 1, 1, 0);
	int pair[2];

	assert_int_equal(channel_pair(pair), 0);
	end_init(&end, pair[0]);
	memset(bytes + len, 0xff, 20);
	send_raw(pair[1], bytes, len + 20, NULL, 0);
	turn(2);
	assert_int_equal(end.messages, 1);
	assert_int_equal(end.closed, 1);
	assert_string_equal(end.why, "malformed frame");
	close(pair[1]);
}

/* ---- ends ---- */

static void last_words_are_heard_before_the_end(void **state)
{
	struct end a, b;

	pair_init(&a, &b);
	assert_int_equal(send_sized(&b, 1, 1, 0, NULL, 0), 0); /* never read by a */
	assert_int_equal(send_sized(&a, 1, 42, 0, NULL, 0), 0);
	channel_cleanup(&a.channel);
	/* sending into the closed channel neither kills nor calls back */
	assert_int_equal(send_sized(&b, 1, 2, 0, NULL, 0), 0);
	assert_int_equal(send_sized(&b, 1, 3, 0, NULL, 0), -1);
	assert_int_equal(b.closed, 0);
	turn(3);
	assert_int_equal(b.messages, 1);
	assert_int_equal(b.numbers[0], 42);
	assert_int_equal(b.closed, 1);
}

static void a_handler_may_clean_up_the_channel(void **state)
{
	unsigned before = open_descriptors();
	struct end a, b;

	pair_init(&a, &b);
	b.cleanup_at_message = true;
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(send_sized(&a, 1, i, 10, (int[]) { 0 }, 1), 0);
	turn(5);
	assert_int_equal(b.messages, 1);
	assert_int_equal(b.closed, 0);
	assert_int_equal(a.closed, 1);
	assert_int_equal(open_descriptors(), before);
}

static void a_handler_may_free_what_the_channel_stands_in(void **state)
{
	unsigned before = open_descriptors();
	struct end a, *b = malloc(sizeof(*b));
	int fds[2];

	assert_int_equal(channel_pair(fds), 0);
	end_init(&a, fds[0]);
	end_init(b, fds[1]);
	b->free_at_message = true;
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(send_sized(&a, 1, i, 10, (int[]) { 0 }, 1), 0);
	turn(5);
	assert_int_equal(a.closed, 1);
	assert_int_equal(open_descriptors(), before);
}

static void nothing_is_sent_on_a_channel_that_is_not_open(void **state)
{
	struct end end = { 0 };

	assert_false(channel_is_open(&end.channel));
	assert_int_equal(send_sized(&end, 1, 1, 0, NULL, 0), -1);
	channel_cleanup(&end.channel);
	assert_int_equal(fcntl(STDIN_FILENO, F_GETFD) >= 0, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_arrive_whole_and_in_order),
		cmocka_unit_test(a_frame_may_come_byte_by_byte),
		cmocka_unit_test(the_largest_message_passes_and_a_larger_one_is_not_sent),
		cmocka_unit_test(a_queue_at_its_bound_refuses_and_loses_nothing),
		cmocka_unit_test(descriptors_belong_to_the_message_they_came_with),
		cmocka_unit_test(the_most_descriptors_pass_and_one_more_is_not_sent),
		cmocka_unit_test(descriptors_not_taken_are_closed),
		cmocka_unit_test(what_is_queued_is_closed_with_the_channel),
		cmocka_unit_test(a_wrong_number_of_descriptors_ends_the_channel),
		cmocka_unit_test(descriptors_in_the_middle_of_a_frame_end_the_channel),
		cmocka_unit_test(a_malformed_frame_ends_the_channel_after_the_good_ones),
		cmocka_unit_test(last_words_are_heard_before_the_end),
		cmocka_unit_test(a_handler_may_clean_up_the_channel),
		cmocka_unit_test(a_handler_may_free_what_the_channel_stands_in),
		cmocka_unit_test(nothing_is_sent_on_a_channel_that_is_not_open),
	};

	loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);

	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	ev_loop_destroy(loop);
	return failed;
}
