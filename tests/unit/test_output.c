/* test_output - what fits is written, what does not is left out whole and reported; and our base64. */
#include "protocols/base64.h"
#include "protocols/output.h"
#include "tests/support/guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static void text_is_appended_in_order(void **state)
{
	char storage[32];
	struct output output;

	output_init(&output, storage, sizeof(storage));
	output_text(&output, "a1 ");
	output_span(&output, SPAN("OK"));
	output_span(&output, (struct span) { NULL, 0 });
	output_format(&output, " %d%s", 5, "x");
	assert_int_equal(output.len, 8);
	assert_memory_equal(storage, "a1 OK 5x", 8);
	assert_int_equal(output_room(&output), 24);
	assert_false(output.overflow);
}

static void what_does_not_fit_is_left_out_whole(void **state)
{
	char *storage = guard_copy("........", 8);
	struct output output;

	output_init(&output, storage, 8);
	output_text(&output, "12345");
	output_text(&output, "6789");
	assert_true(output.overflow);
	assert_int_equal(output.len, 5);
	output.overflow = false;
	output_text(&output, "678");
	assert_false(output.overflow);
	assert_memory_equal(storage, "12345678", 8);
	output_text(&output, "");
	assert_false(output.overflow);
	guard_free(storage, 8);
}

static void a_format_never_writes_beyond_the_maximum(void **state)
{
	for (size_t max = 0; max < 12; max++) {
		char *storage = guard_copy("............", max);
		struct output output;

		output_init(&output, storage, max);
		output_format(&output, "%s", "0123456789");
		assert_int_equal(output.overflow, max < 11);
		assert_int_equal(output.len, max < 11 ? 0 : 10);
		guard_free(storage, max);
	}
}

/* RFC 4648 10. */
static void base64_matches_the_vectors_of_its_rfc(void **state)
{
	static const char *const vectors[][2] = {
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" },
		{ "\xfb\xff\xfe", "+//+" },
	};

	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		char storage[32];
		struct output output;

		output_init(&output, storage, sizeof(storage));
		base64_encode(span_of(vectors[i][0]), &output);
		assert_int_equal(output.len, strlen(vectors[i][1]));
		assert_memory_equal(storage, vectors[i][1], output.len);
	}
}

/* The example of RFC 4616 4, without its authorization identity. */
static void plain_has_no_authorization_identity(void **state)
{
	static const char expected[] = "AHRpbQB0YW5zdGFhZnRhbnN0YWFm";
	char storage[64];
	struct output output;

	output_init(&output, storage, sizeof(storage));
	base64_plain(SPAN(""), SPAN("tim"), SPAN("tanstaaftanstaaf"), &output);
	assert_int_equal(output.len, sizeof(expected) - 1);
	assert_memory_equal(storage, expected, output.len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_appended_in_order),
		cmocka_unit_test(what_does_not_fit_is_left_out_whole),
		cmocka_unit_test(a_format_never_writes_beyond_the_maximum),
		cmocka_unit_test(base64_matches_the_vectors_of_its_rfc),
		cmocka_unit_test(plain_has_no_authorization_identity),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
