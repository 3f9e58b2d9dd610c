/* A leg of a session over a socket pair: order, bounds, ends, and what an idle one holds. */
#include "frontend/transport.h"
#include "tests/support/signer.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

struct legs {
	struct ev_loop *loop;
	struct transport a, b;
	struct pem_pair authority, pem;
	struct tls_context *server, *client;
};

static void nothing(struct ev_loop *loop, ev_io *io, int events)
{
}

static int open_legs(void **state)
{
	struct legs *l = calloc(1, sizeof(*l));
	int fds[2];

	assert_non_null(l);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	l->loop = ev_loop_new(EVFLAG_NOENV);
	transport_init(&l->a, l->loop, nothing);
	transport_init(&l->b, l->loop, nothing);
	transport_open(&l->a, fds[0]);
	transport_open(&l->b, fds[1]);
	*state = l;
	return 0;
}

static int close_legs(void **state)
{
	struct legs *l = *state;

	transport_close(&l->a);
	transport_close(&l->a);
	transport_close(&l->b);
	tls_context_drop(l->server);
	tls_context_drop(l->client);
	signer_forget();
	pem_free(&l->authority);
	pem_free(&l->pem);
	ev_loop_destroy(l->loop);
	free(l);
	return 0;
}

/* a becomes the client and b the server. */
static void start_tls(struct legs *l)
{
	static const struct tls_accept accept = { .sni = "" };
	const struct config_pool pool = { .verify = VERIFY_NONE };
	enum transport_result a = TRANSPORT_AGAIN, b = TRANSPORT_AGAIN;
	char why[256];

	l->authority = pem_authority("P-256");
	l->pem = pem_issue(&l->authority, "P-256", "mail.example.test");
	l->server = signer_context(&l->pem, profile_find(PROFILE_MODERN));
	l->client = tls_context_client(&pool, why);
	assert_true(l->server && l->client);
	transport_start_tls(&l->a, tls_connect_new(l->client, "mail.example.test"));
	transport_start_tls(&l->b, tls_accept_new(l->server, &accept));
	for (int i = 0; i < 10 && (a == TRANSPORT_AGAIN || b == TRANSPORT_AGAIN); i++) {
		if (a == TRANSPORT_AGAIN)
			a = transport_handshake(&l->a);
		transport_flush(&l->a);
		if (b == TRANSPORT_AGAIN)
			b = transport_handshake(&l->b);
		transport_flush(&l->b);
	}
	assert_int_equal(a, TRANSPORT_DONE);
	assert_int_equal(b, TRANSPORT_DONE);
}

/* Everything that comes until nothing does; how it ended. */
static enum transport_result drain(struct transport *t, struct buffer *into)
{
	enum transport_result result;

	do
		result = transport_read(t, into);
	while (result == TRANSPORT_DONE);
	return result;
}

/* Writes until nothing more is taken; how much was. The peer does not read. */
static size_t stuff(struct transport *t, const char *data, size_t len)
{
	size_t taken, sum = 0;

	while (sum < len && (taken = transport_write(t, data + sum, len - sum)) > 0) {
		sum += taken;
		transport_flush(t);
	}
	return sum;
}

static void a_full_queue_takes_no_more_and_loses_nothing(struct legs *l)
{
	size_t len = 4 << 20, sent, got = 0;
	char *data = malloc(len);
	struct buffer into;

	assert_non_null(data);
	for (size_t i = 0; i < len; i++)
		data[i] = (char)(i * 31 + i / 65536);
	buffer_init(&into, 1 << 20);
	sent = stuff(&l->a, data, len);
	assert_in_range(sent, 1, len - 1);
	assert_false(transport_writable(&l->a));
	assert_int_equal(transport_write(&l->a, data, 1), 0);
	assert_in_range(buffer_len(&l->a.out), TRANSPORT_OUT_HIGH, TRANSPORT_OUT_MAX);
	while (got < len) {
		drain(&l->b, &into);
		assert_in_range(buffer_len(&into), 1, len - got);
		assert_memory_equal(buffer_data(&into), data + got, buffer_len(&into));
		got += buffer_len(&into);
		buffer_clear(&into);
		transport_flush(&l->a);
		sent += stuff(&l->a, data + sent, len - sent);
	}
	assert_int_equal(l->a.sent, len);
	assert_int_equal(l->b.received, len);
	free(data);
}

static void back_pressure_in_clear(void **state)
{
	a_full_queue_takes_no_more_and_loses_nothing(*state);
}

static void back_pressure_under_tls(void **state)
{
	start_tls(*state);
	a_full_queue_takes_no_more_and_loses_nothing(*state);
}

static void what_is_queued_goes_before_the_end(void **state)
{
	struct legs *l = *state;
	struct buffer into;

	buffer_init(&into, 65536);
	assert_int_equal(transport_write(&l->a, "bye", 3), 3);
	transport_end_writing(&l->a);
	assert_int_equal(transport_write(&l->a, "more", 4), 0);
	assert_int_equal(drain(&l->b, &into), TRANSPORT_AGAIN);
	assert_int_equal(transport_flush(&l->a), TRANSPORT_DONE);
	assert_int_equal(drain(&l->b, &into), TRANSPORT_CLOSED);
	assert_int_equal(buffer_len(&into), 3);
	buffer_cleanup(&into);
	/* and the other direction still works */
	assert_int_equal(transport_write(&l->b, "answer", 6), 6);
	transport_flush(&l->b);
	assert_int_equal(transport_read(&l->a, &into), TRANSPORT_DONE);
	buffer_cleanup(&into);
}

static void a_close_under_tls_is_told_from_a_cut(void **state)
{
	struct legs *l = *state;
	struct buffer into;

	buffer_init(&into, 65536);
	start_tls(l);
	transport_end_writing(&l->b);
	transport_flush(&l->b);
	assert_int_equal(drain(&l->a, &into), TRANSPORT_CLOSED);
	shutdown(l->a.fd, SHUT_WR);
	assert_int_equal(transport_fill(&l->b), TRANSPORT_CLOSED);
}

static void an_end_without_close_notify_is_a_cut(void **state)
{
	struct legs *l = *state;
	struct buffer into;

	buffer_init(&into, 65536);
	start_tls(l);
	assert_int_equal(transport_write(&l->b, "half", 4), 4);
	transport_flush(&l->b);
	shutdown(l->b.fd, SHUT_WR);
	assert_int_equal(drain(&l->a, &into), TRANSPORT_TRUNCATED);
	assert_int_equal(buffer_len(&into), 4);
	buffer_cleanup(&into);
}

static void what_came_before_a_reset_can_be_read_after_a_failed_write(void **state)
{
	struct legs *l = *state;
	struct buffer into;

	buffer_init(&into, 65536);
	assert_int_equal(transport_write(&l->b, "last words", 10), 10);
	transport_flush(&l->b);
	transport_close(&l->b);
	assert_int_equal(transport_write(&l->a, "x", 1), 1);
	assert_int_equal(transport_flush(&l->a), TRANSPORT_FAILED);
	assert_false(transport_writable(&l->a));
	assert_int_equal(transport_read(&l->a, &into), TRANSPORT_DONE);
	assert_int_equal(buffer_len(&into), 10);
	buffer_cleanup(&into);
}

static void an_idle_leg_holds_no_queue(void **state)
{
	struct legs *l = *state;
	struct buffer into;

	buffer_init(&into, 65536);
	start_tls(l);
	assert_int_equal(transport_write(&l->a, "hello", 5), 5);
	transport_flush(&l->a);
	assert_int_equal(drain(&l->b, &into), TRANSPORT_AGAIN);
	buffer_clear(&into);
	assert_null(into.storage);
	assert_null(l->a.in.storage);
	assert_null(l->a.out.storage);
	assert_null(l->b.in.storage);
	assert_null(l->b.out.storage);
}

static void the_first_bytes_can_be_held_back(void **state)
{
	struct legs *l = *state;

	assert_int_equal(transport_fill(&l->b), TRANSPORT_AGAIN);
	assert_int_equal(transport_write(&l->a, "EHLO", 4), 4);
	transport_flush(&l->a);
	assert_int_equal(transport_fill(&l->b), TRANSPORT_DONE);
	assert_int_equal(buffer_len(&l->b.in), 4);
	assert_memory_equal(buffer_data(&l->b.in), "EHLO", 4);
	assert_int_equal(l->b.received, 0);
}

static int begin(void **state)
{
	return tls_init();
}

static int end(void **state)
{
	tls_cleanup();
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_legs, close_legs)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(back_pressure_in_clear),
		TEST(back_pressure_under_tls),
		TEST(what_is_queued_goes_before_the_end),
		TEST(a_close_under_tls_is_told_from_a_cut),
		TEST(an_end_without_close_notify_is_a_cut),
		TEST(what_came_before_a_reset_can_be_read_after_a_failed_write),
		TEST(an_idle_leg_holds_no_queue),
		TEST(the_first_bytes_can_be_held_back),
	};

	return cmocka_run_group_tests_name("transport", tests, begin, end);
}
