/* test_message - the codec between processes: what is written is read, and nothing else is accepted. */
#include "frontend/message.h"
#include "tests/support/guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#define MAX 4096

static void write_sample(struct message_writer *writer)
{
	message_begin(writer, MAX, 77);
	message_put_u8(writer, 0xab);
	message_put_u32(writer, 0xdeadbeef);
	message_put_u64(writer, 0x0123456789abcdef);
	message_put_bytes(writer, "a\0b", 3);
	message_put_string(writer, "text");
	message_put_string(writer, NULL);
	message_put_string(writer, "");
	assert_true(message_end(writer, 2));
}

/* True when the frame reads as the sample, all of it. */
static bool reads_as_sample(const uint8_t *frame, const struct message_header *header)
{
	struct message_reader reader;
	size_t len;

	message_read(&reader, frame, header);
	if (message_get_u8(&reader) != 0xab || message_get_u32(&reader) != 0xdeadbeef ||
	    message_get_u64(&reader) != 0x0123456789abcdef)
		return false;

	const void *bytes = message_get_bytes(&reader, &len);

	if (!bytes || len != 3 || memcmp(bytes, "a\0b", 3) != 0)
		return false;

	const char *text = message_get_string(&reader), *null = message_get_string(&reader);
	const char *empty = message_get_string(&reader);

	return text && strcmp(text, "text") == 0 && !null && empty && *empty == '\0' &&
	       message_done(&reader);
}

static void what_is_written_is_read(void **state)
{
	struct message_writer writer;
	struct message_header header;

	write_sample(&writer);

	char *frame = guard_copy(writer.data, writer.len);

	assert_int_equal(message_peek((uint8_t *)frame, writer.len, MAX, &header), 1);
	assert_int_equal(header.type, 77);
	assert_int_equal(header.length, writer.len);
	assert_int_equal(header.descriptors, 2);
	assert_true(reads_as_sample((uint8_t *)frame, &header));
	guard_free(frame, writer.len);
	message_writer_cleanup(&writer);
}

static void every_prefix_asks_for_more(void **state)
{
	struct message_writer writer;
	struct message_header header;

	write_sample(&writer);
	for (size_t len = 0; len < writer.len; len++) {
		char *prefix = guard_copy(writer.data, len);

		assert_int_equal(message_peek((uint8_t *)prefix, len, MAX, &header), 0);
		guard_free(prefix, len);
	}
	message_writer_cleanup(&writer);
}

/* A header that lies about less than was written: the reader stays within what it was given. */
static void a_shortened_frame_fails_to_read(void **state)
{
	struct message_writer writer;

	write_sample(&writer);
	for (size_t len = MESSAGE_HEADER; len < writer.len; len++) {
		char *frame = guard_copy(writer.data, len);
		struct message_header header = { .length = (uint32_t)len, .type = 77 };

		assert_false(reads_as_sample((uint8_t *)frame, &header));
		guard_free(frame, len);
	}
	message_writer_cleanup(&writer);
}

static void bytes_left_over_are_malformed(void **state)
{
	struct message_writer writer;
	struct message_header header;
	struct message_reader reader;

	message_begin(&writer, MAX, 1);
	message_put_u32(&writer, 5);
	message_put_u8(&writer, 6);
	assert_true(message_end(&writer, 0));
	assert_int_equal(message_peek(writer.data, writer.len, MAX, &header), 1);
	message_read(&reader, writer.data, &header);
	assert_int_equal(message_get_u32(&reader), 5);
	assert_false(message_done(&reader));
	assert_int_equal(message_get_u8(&reader), 6);
	assert_true(message_done(&reader));
	message_writer_cleanup(&writer);
}

static void a_failed_reader_yields_zeros_for_ever(void **state)
{
	static const uint8_t frame[MESSAGE_HEADER + 2] = {
		sizeof(frame), 0, 0, 0, MESSAGE_VERSION, 0, 0, 0, 9, 9
	};
	struct message_header header;
	struct message_reader reader;
	size_t len = 1;

	assert_int_equal(message_peek(frame, sizeof(frame), MAX, &header), 1);
	message_read(&reader, frame, &header);
	assert_int_equal(message_get_u32(&reader), 0);
	assert_int_equal(message_get_u8(&reader), 0);
	assert_int_equal(message_get_u64(&reader), 0);
	assert_null(message_get_bytes(&reader, &len));
	assert_int_equal(len, 0);
	assert_null(message_get_string(&reader));
	assert_false(message_done(&reader));
}

static void a_bad_header_is_refused(void **state)
{
	struct message_writer writer;
	struct message_header header;

	write_sample(&writer);

	uint32_t below = MESSAGE_HEADER - 1, good = (uint32_t)writer.len;

	assert_int_equal(message_peek(writer.data, writer.len, writer.len, &header), 1);
	assert_int_equal(message_peek(writer.data, writer.len, writer.len - 1, &header), -1);
	memcpy(writer.data, &below, sizeof(below));
	assert_int_equal(message_peek(writer.data, writer.len, MAX, &header), -1);
	memcpy(writer.data, &good, sizeof(good));
	writer.data[4] = MESSAGE_VERSION + 1;
	assert_int_equal(message_peek(writer.data, writer.len, MAX, &header), -1);
	assert_int_equal(message_peek(writer.data, MESSAGE_HEADER, MAX, &header), -1);
	message_writer_cleanup(&writer);
}

static void a_writer_over_its_bound_fails_as_a_whole(void **state)
{
	struct message_writer writer;
	char large[64] = "";

	message_begin(&writer, MESSAGE_HEADER + 4 + sizeof(large), 1);
	message_put_bytes(&writer, large, sizeof(large));
	assert_true(message_end(&writer, 0));
	message_put_u8(&writer, 1);
	message_put_bytes(&writer, "", 0);
	assert_false(message_end(&writer, 0));
	assert_true(writer.failed);
	assert_null(writer.data);
	message_writer_cleanup(&writer);

	message_begin(&writer, MESSAGE_HEADER - 1, 1);
	assert_false(message_end(&writer, 0));
	message_writer_cleanup(&writer);
}

static void a_string_with_a_nul_inside_or_none_at_the_end_is_malformed(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} cases[] = { { "a\0b", 4 }, { "ab", 2 }, { "\0", 2 }, { "a", 1 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct message_writer writer;
		struct message_header header;
		struct message_reader reader;

		message_begin(&writer, MAX, 1);
		message_put_bytes(&writer, cases[i].bytes, cases[i].len);
		assert_true(message_end(&writer, 0));
		assert_int_equal(message_peek(writer.data, writer.len, MAX, &header), 1);
		message_read(&reader, writer.data, &header);
		assert_null(message_get_string(&reader));
		assert_true(reader.failed);
		message_writer_cleanup(&writer);
	}
}

static void a_large_message_grows_and_keeps_its_bytes(void **state)
{
	struct message_writer writer;
	struct message_header header;
	struct message_reader reader;

	message_begin(&writer, 1u << 20, 1);
	for (uint32_t i = 0; i < 50000; i++)
		message_put_u32(&writer, i);
	assert_true(message_end(&writer, 0));
	assert_int_equal(message_peek(writer.data, writer.len, 1u << 20, &header), 1);
	message_read(&reader, writer.data, &header);
	for (uint32_t i = 0; i < 50000; i++)
		assert_int_equal(message_get_u32(&reader), i);
	assert_true(message_done(&reader));
	message_writer_cleanup(&writer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(every_prefix_asks_for_more),
		cmocka_unit_test(a_shortened_frame_fails_to_read),
		cmocka_unit_test(bytes_left_over_are_malformed),
		cmocka_unit_test(a_failed_reader_yields_zeros_for_ever),
		cmocka_unit_test(a_bad_header_is_refused),
		cmocka_unit_test(a_writer_over_its_bound_fails_as_a_whole),
		cmocka_unit_test(a_string_with_a_nul_inside_or_none_at_the_end_is_malformed),
		cmocka_unit_test(a_large_message_grows_and_keeps_its_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
