/* test_certificate_message - the list of certificates, and their files, as the processes tell each other. */
#include "frontend/certificate_message.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define MAX 65536

static struct certificate_item samples[] = {
	{ 0, true, "/etc/a.pem", "/etc/a.key", "/etc/a.ocsp", "10-tls.conf", 7, CERTIFICATE_READ },
	{ 3, false, "b.pem", "pkcs11:object=b", "", "20-listeners.conf", 90, 1 },
};

static struct message_writer writer_of(const struct certificate_list *list)
{
	struct message_writer writer;

	message_begin(&writer, MAX, 1);
	certificate_put_list(&writer, list);
	assert_true(message_end(&writer, 0));
	return writer;
}

static struct message_reader reader_of(const struct message_writer *writer)
{
	return (struct message_reader) {
		.data = writer->data + MESSAGE_HEADER,
		.len = writer->len - MESSAGE_HEADER,
	};
}

static void a_list_comes_back_as_it_was_and_no_part_of_it_is_taken(void **state)
{
	const struct certificate_list list = { CERTIFICATE_RELOAD, 2, samples };
	struct message_writer writer = writer_of(&list);
	struct message_reader reader = reader_of(&writer);
	struct arena *arena = arena_new();
	struct certificate_list back;
	uint8_t frame[512];

	assert_true(writer.len <= sizeof(frame));
	memcpy(frame, writer.data, writer.len);
	reader.data = frame + MESSAGE_HEADER;
	assert_true(certificate_get_list(&reader, arena, &back));
	memset(frame, 'x', sizeof(frame)); /* what came out of it is our own */
	assert_int_equal(back.mode, CERTIFICATE_RELOAD);
	assert_int_equal(back.count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(back.items[i].set, samples[i].set);
		assert_int_equal(back.items[i].is_default, samples[i].is_default);
		assert_string_equal(back.items[i].chain, samples[i].chain);
		assert_string_equal(back.items[i].key, samples[i].key);
		assert_string_equal(back.items[i].staple, samples[i].staple);
		assert_string_equal(back.items[i].file, samples[i].file);
		assert_int_equal(back.items[i].line, samples[i].line);
		assert_int_equal(back.items[i].same, samples[i].same);
	}
	for (size_t len = 0; len < writer.len - MESSAGE_HEADER; len++) {
		reader = reader_of(&writer);
		reader.len = len;
		assert_false(certificate_get_list(&reader, arena, &back));
	}
	message_put_u8(&writer, 0);
	reader = reader_of(&writer);
	assert_false(certificate_get_list(&reader, arena, &back));
	message_writer_cleanup(&writer);
	arena_free(arena);
}

static bool list_taken(const struct certificate_list *list)
{
	struct message_writer writer = writer_of(list);
	struct message_reader reader = reader_of(&writer);
	struct arena *arena = arena_new();
	struct certificate_list back;
	bool taken = certificate_get_list(&reader, arena, &back);

	message_writer_cleanup(&writer);
	arena_free(arena);
	return taken;
}

static void values_out_of_range_are_refused(void **state)
{
	struct certificate_item nothing = samples[0];

	assert_true(list_taken(&(struct certificate_list) { CERTIFICATE_RENEWAL, 0, NULL }));
	assert_false(list_taken(&(struct certificate_list) { CERTIFICATE_MODES, 0, NULL }));
	nothing.key = NULL;
	assert_false(list_taken(&(struct certificate_list) { CERTIFICATE_START, 1, &nothing }));
}

static void a_count_that_the_message_cannot_hold_is_refused_before_memory_is_taken(void **state)
{
	struct message_writer writer;
	struct message_reader reader;
	struct arena *arena = arena_new();
	struct certificate_list back;

	message_begin(&writer, MAX, 1);
	message_put_u8(&writer, CERTIFICATE_START);
	message_put_u32(&writer, UINT32_MAX);
	assert_true(message_end(&writer, 0));
	reader = reader_of(&writer);
	assert_false(certificate_get_list(&reader, arena, &back));
	message_writer_cleanup(&writer);
	arena_free(arena);
}

static void a_want_comes_back(void **state)
{
	struct message_writer writer;
	struct message_reader reader;
	uint32_t index = 0;

	message_begin(&writer, MAX, 1);
	certificate_put_want(&writer, 4711);
	assert_true(message_end(&writer, 0));
	reader = reader_of(&writer);
	assert_true(certificate_get_want(&reader, &index));
	assert_int_equal(index, 4711);
	reader = reader_of(&writer);
	reader.len--;
	assert_false(certificate_get_want(&reader, &index));
	message_writer_cleanup(&writer);
}

static void files_travel_with_their_descriptors(void **state)
{
	const struct certificate_files files = {
		.index = 9,
		.fds = { 20, -1, 22 },
		.why = { NULL, "Permission denied", NULL },
		.token = "pkcs11:object=b",
	};
	struct certificate_files back;
	struct message_writer writer;
	struct message_reader reader;
	int fds[CERTIFICATE_PARTS];

	message_begin(&writer, MAX, 1);
	assert_int_equal(certificate_put_files(&writer, &files, fds), 2);
	assert_true(fds[0] == 20 && fds[1] == 22);
	assert_true(message_end(&writer, 2));
	reader = reader_of(&writer);
	assert_true(certificate_get_files(&reader, fds, 2, &back));
	assert_true(fds[0] == -1 && fds[1] == -1);
	assert_int_equal(back.index, 9);
	assert_memory_equal(back.fds, files.fds, sizeof(files.fds));
	assert_null(back.why[CERTIFICATE_CHAIN]);
	assert_string_equal(back.why[CERTIFICATE_KEY], "Permission denied");
	assert_string_equal(back.token, files.token);
	for (size_t len = 0; len < writer.len - MESSAGE_HEADER; len++) {
		reader = reader_of(&writer);
		reader.len = len;
		fds[0] = 20;
		assert_false(certificate_get_files(&reader, fds, 2, &back));
		assert_int_equal(fds[0], 20);
	}
	for (size_t nfds = 0; nfds < 4; nfds++) {
		int four[4] = { 20, 21, 22, 23 };

		reader = reader_of(&writer);
		assert_int_equal(certificate_get_files(&reader, four, nfds, &back), nfds == 2);
	}
	writer.data[MESSAGE_HEADER + 4] = 8; /* a fourth part */
	reader = reader_of(&writer);
	fds[0] = 20;
	assert_false(certificate_get_files(&reader, fds, 1, &back));
	message_writer_cleanup(&writer);
}

static void what_is_open_is_closed_once(void **state)
{
	struct certificate_files files = { .fds = { -1, open("/dev/null", O_RDONLY), -1 } };
	int fd = files.fds[CERTIFICATE_KEY];

	assert_true(fd >= 0);
	certificate_files_close(&files);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(files.fds[CERTIFICATE_KEY], -1);
	certificate_files_close(&files);
}

static void a_token_is_told_from_a_path(void **state)
{
	assert_true(certificate_is_token("pkcs11:token=x;object=y"));
	assert_false(certificate_is_token("/etc/pkcs11:key.pem"));
	assert_false(certificate_is_token("pkcs11"));
	assert_false(certificate_is_token(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_comes_back_as_it_was_and_no_part_of_it_is_taken),
		cmocka_unit_test(values_out_of_range_are_refused),
		cmocka_unit_test(
			a_count_that_the_message_cannot_hold_is_refused_before_memory_is_taken),
		cmocka_unit_test(a_want_comes_back),
		cmocka_unit_test(files_travel_with_their_descriptors),
		cmocka_unit_test(what_is_open_is_closed_once),
		cmocka_unit_test(a_token_is_told_from_a_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
