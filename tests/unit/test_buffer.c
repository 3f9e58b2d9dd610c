/* Bounded byte queue: bounds, order, and that nothing of a secret stays behind. */
#include "frontend/buffer.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void keeps_bytes_in_order(void **state)
{
	struct buffer b;
	char expected[5000];

	buffer_init(&b, 10000);
	for (size_t i = 0; i < sizeof(expected); i++) {
		expected[i] = (char)(i * 7);
		assert_true(buffer_append(&b, &expected[i], 1));
	}
	assert_int_equal(buffer_len(&b), sizeof(expected));
	assert_memory_equal(buffer_data(&b), expected, sizeof(expected));
	buffer_consume(&b, 1234);
	assert_memory_equal(buffer_data(&b), expected + 1234, sizeof(expected) - 1234);
	buffer_cleanup(&b);
}

static void refuses_what_is_over_its_maximum_and_keeps_what_it_has(void **state)
{
	struct buffer b;
	char data[64];

	memset(data, 'x', sizeof(data));
	buffer_init(&b, 100);
	assert_true(buffer_append(&b, data, 64));
	assert_false(buffer_append(&b, data, 37));
	assert_null(buffer_reserve(&b, 37));
	assert_int_equal(buffer_len(&b), 64);
	assert_true(buffer_append(&b, data, 36));
	assert_int_equal(buffer_room(&b), 0);
	buffer_cleanup(&b);
}

static void room_of_consumed_bytes_is_used_again(void **state)
{
	struct buffer b;
	char data[100];

	memset(data, 'y', sizeof(data));
	buffer_init(&b, 100);
	for (int i = 0; i < 1000; i++) {
		assert_true(buffer_append(&b, data, 70));
		buffer_consume(&b, 69);
		assert_true(buffer_append(&b, data, 99));
		buffer_consume(&b, 100);
	}
	assert_int_equal(buffer_len(&b), 0);
	buffer_cleanup(&b);
}

static void holds_no_storage_while_empty(void **state)
{
	struct buffer b;

	buffer_init(&b, 100);
	assert_true(buffer_append(&b, "abc", 3));
	assert_non_null(b.storage);
	buffer_consume(&b, 3);
	assert_null(b.storage);
	assert_non_null(buffer_reserve(&b, 50));
	buffer_filled(&b, 0);
	assert_null(b.storage);
}

static void consumed_bytes_are_wiped(void **state)
{
	struct buffer b;
	static const char zeros[6];

	buffer_init(&b, 100);
	assert_true(buffer_append(&b, "secret rest", 11));
	buffer_consume(&b, 6);
	assert_memory_equal(b.storage, zeros, 6);
	assert_memory_equal(buffer_data(&b), " rest", 5);
	buffer_cleanup(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_bytes_in_order),
		cmocka_unit_test(refuses_what_is_over_its_maximum_and_keeps_what_it_has),
		cmocka_unit_test(room_of_consumed_bytes_is_used_again),
		cmocka_unit_test(holds_no_storage_while_empty),
		cmocka_unit_test(consumed_bytes_are_wiped),
	};

	return cmocka_run_group_tests_name("buffer", tests, NULL, NULL);
}
