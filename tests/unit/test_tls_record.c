/* Headers of records as they go by: which are too short for TLS 1.3, in whatever pieces they come. */
#include "protocols/tls_record.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

enum { CCS = 20, ALERT = 21, HANDSHAKE = 22, DATA = 23 };

static size_t put(uint8_t *out, uint8_t type, size_t len)
{
	const uint8_t header[] = { type, 3, 3, (uint8_t)(len >> 8), (uint8_t)len };

	memcpy(out, header, sizeof(header));
	memset(out + sizeof(header), DATA, len); /* what could be taken for headers */
	return sizeof(header) + len;
}

/* In pieces of each size, with records that fit before and behind. */
static bool passes(uint8_t type, size_t len, bool tls13)
{
	static uint8_t bytes[40000];
	size_t total = put(bytes, DATA, 300);
	bool whole = true;

	total += put(bytes + total, type, len);
	total += put(bytes + total, DATA, 17);
	for (size_t piece = 1; piece <= total; piece += piece < 12 ? 1 : 97) {
		struct tls_record_watch watch = { .have = 0 };
		bool passed = true;

		for (size_t at = 0; at < total && passed; at += piece)
			passed = tls_record_pass(&watch, bytes + at,
						 total - at < piece ? total - at : piece, tls13);
		if (passed) {
			assert_int_equal(watch.left, 0);
			assert_int_equal(watch.have, 0);
		}
		if (piece == 1)
			whole = passed;
		assert_int_equal(passed, whole);
	}
	return whole;
}

static void what_has_no_room_for_tag_and_type_is_told(void **state)
{
	for (uint8_t type = HANDSHAKE; type <= DATA; type++) {
		for (size_t len = 0; len < 17; len++)
			assert_false(passes(type, len, true));
		assert_true(passes(type, 17, true));
		assert_true(passes(type, 16384 + 256, true));
	}
	assert_false(passes(ALERT, 16, true));
	assert_false(passes(ALERT, 1, true));
	assert_false(passes(99, 3, true));
}

static void what_may_be_in_clear_passes(void **state)
{
	assert_true(passes(ALERT, 2, true));
	assert_true(passes(CCS, 1, true));
}

static void other_versions_are_not_our_matter(void **state)
{
	assert_true(passes(HANDSHAKE, 4, false));
	assert_true(passes(DATA, 0, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_has_no_room_for_tag_and_type_is_told),
		cmocka_unit_test(what_may_be_in_clear_passes),
		cmocka_unit_test(other_versions_are_not_our_matter),
	};

	return cmocka_run_group_tests_name("tls_record", tests, NULL, NULL);
}
