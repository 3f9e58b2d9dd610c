/* test_limit - sessions counted over workers: maxima, exemption, a dead worker, a full row, nonsense. */
#include "frontend/limit.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#define WORKERS 3

union any_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static union any_address address(const char *text)
{
	union any_address out = { 0 };

	if (inet_pton(AF_INET, text, &out.v4.sin_addr) == 1)
		out.v4.sin_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &out.v6.sin6_addr) == 1)
		out.v6.sin6_family = AF_INET6;
	else
		fail_msg("%s", text);
	return out;
}

static int map_up(void **state)
{
	int fd = shared_create(WORKERS);

	assert_true(fd >= 0);
	*state = shared_map(fd, WORKERS, true);
	close(fd);
	return *state ? 0 : -1;
}

static int map_down(void **state)
{
	shared_unmap(*state);
	return 0;
}

static void the_maximum_of_an_address_counts_over_workers(void **state)
{
	union any_address one = address("192.0.2.1"), other = address("192.0.2.2");

	assert_int_equal(limit_enter(*state, 0, &one.any, 0, 2, false), LIMIT_ADMITTED);
	assert_int_equal(limit_enter(*state, 1, &one.any, 0, 2, false), LIMIT_ADMITTED);
	assert_int_equal(limit_enter(*state, 2, &one.any, 0, 2, false), LIMIT_ADDRESS);
	assert_int_equal(limit_sessions_of(*state, &one.any), 2);
	assert_int_equal(limit_enter(*state, 2, &other.any, 0, 2, false), LIMIT_ADMITTED);
	assert_int_equal(limit_sessions(*state), 3);
	limit_leave(*state, 0, &one.any);
	assert_int_equal(limit_enter(*state, 2, &one.any, 0, 2, false), LIMIT_ADMITTED);
}

static void the_maximum_of_all_counts_over_workers(void **state)
{
	union any_address one = address("192.0.2.1"), other = address("192.0.2.2");

	assert_int_equal(limit_enter(*state, 0, &one.any, 2, 0, false), LIMIT_ADMITTED);
	assert_int_equal(limit_enter(*state, 1, &other.any, 2, 0, false), LIMIT_ADMITTED);
	assert_int_equal(limit_enter(*state, 2, &one.any, 2, 0, false), LIMIT_SESSIONS);
	assert_int_equal(limit_sessions(*state), 2);
}

static void the_exempt_are_counted_and_never_refused(void **state)
{
	union any_address one = address("192.0.2.1");

	for (int i = 0; i < 5; i++)
		assert_int_equal(limit_enter(*state, 0, &one.any, 1, 1, true), LIMIT_ADMITTED);
	assert_int_equal(limit_sessions_of(*state, &one.any), 5);
	assert_int_equal(limit_enter(*state, 0, &one.any, 0, 5, false), LIMIT_ADDRESS);
}

static void zero_is_no_maximum(void **state)
{
	union any_address one = address("2001:db8::1");

	for (int i = 0; i < 1000; i++)
		assert_int_equal(limit_enter(*state, 0, &one.any, 0, 0, false), LIMIT_ADMITTED);
	assert_int_equal(limit_sessions(*state), 1000);
}

static void ipv6_counts_by_its_64(void **state)
{
	union any_address one = address("2001:db8:0:1::1"), same = address("2001:db8:0:1:ffff::2");
	union any_address other = address("2001:db8:0:2::1");

	limit_enter(*state, 0, &one.any, 0, 0, false);
	limit_enter(*state, 0, &same.any, 0, 0, false);
	assert_int_equal(limit_sessions_of(*state, &one.any), 2);
	assert_int_equal(limit_sessions_of(*state, &other.any), 0);
}

static void a_mapped_address_is_the_ipv4_address(void **state)
{
	union any_address plain = address("192.0.2.1"), mapped = address("::ffff:192.0.2.1");

	limit_enter(*state, 0, &plain.any, 0, 0, false);
	assert_int_equal(limit_sessions_of(*state, &mapped.any), 1);
}

static void a_dead_worker_takes_its_counts_along(void **state)
{
	union any_address one = address("192.0.2.1");

	limit_enter(*state, 0, &one.any, 0, 0, false);
	limit_enter(*state, 1, &one.any, 0, 0, false);
	shared_worker_died(*state, 0);
	assert_int_equal(limit_sessions(*state), 1);
	assert_int_equal(limit_sessions_of(*state, &one.any), 1);
	shared_worker_died(*state, WORKERS); /* no such worker: nothing happens */
	assert_int_equal(limit_sessions(*state), 1);
}

static void leaving_too_often_does_not_go_below_zero(void **state)
{
	union any_address one = address("192.0.2.1");

	limit_leave(*state, 0, &one.any);
	limit_enter(*state, 0, &one.any, 0, 0, false);
	limit_leave(*state, 0, &one.any);
	limit_leave(*state, 0, &one.any);
	assert_int_equal(limit_sessions(*state), 0);
	assert_int_equal(limit_sessions_of(*state, &one.any), 0);
	assert_int_equal(limit_enter(*state, 0, &one.any, 1, 1, false), LIMIT_ADMITTED);
}

static void a_crowd_of_addresses_does_not_push_out_the_busy_one(void **state)
{
	union any_address busy = address("192.0.2.1"), one = { .v4 = { .sin_family = AF_INET } };

	for (int i = 0; i < 50; i++)
		limit_enter(*state, 0, &busy.any, 0, 0, false);
	for (uint32_t i = 0; i < 200000; i++) {
		one.v4.sin_addr.s_addr = htonl(0x7f000000 + i);
		assert_int_equal(limit_enter(*state, 0, &one.any, 0, 1000, false), LIMIT_ADMITTED);
	}
	assert_int_equal(limit_sessions_of(*state, &busy.any), 50);
	assert_int_equal(limit_enter(*state, 1, &busy.any, 0, 50, false), LIMIT_ADDRESS);
	for (uint32_t i = 0; i < 200000; i++) {
		one.v4.sin_addr.s_addr = htonl(0x7f000000 + i);
		limit_leave(*state, 0, &one.any);
		assert_int_equal(limit_sessions_of(*state, &one.any), 0);
	}
	assert_int_equal(limit_sessions(*state), 50);
}

static void two_processes_see_the_same_counts(void **state)
{
	union any_address one = address("192.0.2.1");
	int fd = shared_create(2);
	struct shared *first = shared_map(fd, 2, true), *second = shared_map(fd, 2, true);

	limit_enter(first, 0, &one.any, 0, 0, false);
	assert_int_equal(limit_sessions_of(second, &one.any), 1);
	assert_int_equal(limit_enter(second, 1, &one.any, 0, 1, false), LIMIT_ADDRESS);
	shared_unmap(first);
	shared_unmap(second);
	close(fd);
}

static void a_mapping_full_of_nonsense_is_survived(void **state)
{
	union any_address one = address("192.0.2.1");
	int fd = shared_create(2);
	off_t size = lseek(fd, 0, SEEK_END);
	uint8_t *raw = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct shared *map = shared_map(fd, 2, true);

	for (off_t i = 0; i < size; i++)
		raw[i] = 0xff;
	assert_true(limit_sessions(map) > 0);
	assert_int_equal(limit_enter(map, 0, &one.any, 10, 0, false), LIMIT_SESSIONS);
	assert_int_equal(limit_enter(map, 0, &one.any, 0, 0, false), LIMIT_ADMITTED);
	limit_leave(map, 0, &one.any);
	shared_worker_died(map, 0);
	shared_worker_died(map, 1);
	assert_int_equal(limit_sessions(map), 0);
	shared_unmap(map);
	munmap(raw, (size_t)size);
	close(fd);
}

#define WITH_MAP(test) cmocka_unit_test_setup_teardown(test, map_up, map_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_MAP(the_maximum_of_an_address_counts_over_workers),
		WITH_MAP(the_maximum_of_all_counts_over_workers),
		WITH_MAP(the_exempt_are_counted_and_never_refused),
		WITH_MAP(zero_is_no_maximum),
		WITH_MAP(ipv6_counts_by_its_64),
		WITH_MAP(a_mapped_address_is_the_ipv4_address),
		WITH_MAP(a_dead_worker_takes_its_counts_along),
		WITH_MAP(leaving_too_often_does_not_go_below_zero),
		WITH_MAP(a_crowd_of_addresses_does_not_push_out_the_busy_one),
		cmocka_unit_test(two_processes_see_the_same_counts),
		cmocka_unit_test(a_mapping_full_of_nonsense_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
