/* test_smtp_bdat - octets of chunks: counted, judged, stuffed; whole, in pieces, into narrow outputs, before an unreadable page. */
#include "protocols/smtp_bdat.h"
#include "tests/support/guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define CHUNKS_MAX 4

struct chunk {
	const char *data;
	size_t len;
};

#define CHUNK(text)                                                                                \
	{                                                                                          \
		text, sizeof(text) - 1                                                             \
	}

struct message {
	struct chunk chunks[CHUNKS_MAX];
	const char *passed, *converted; /* what is written; up to the bad byte, if there is one */
	bool good;
};

static const struct message messages[] = {
	{ { CHUNK("abc") }, "abc", "abc\r\n.\r\n", true },
	{ { CHUNK("") }, "", ".\r\n", true },
	{ { CHUNK("a\r\n") }, "a\r\n", "a\r\n.\r\n", true },
	{ { CHUNK("\r\n.\r\n") }, "\r\n.\r\n", "\r\n..\r\n.\r\n", true },
	{ { CHUNK("..a\r\n.b.") }, "..a\r\n.b.", "...a\r\n..b.\r\n.\r\n", true },
	{ { CHUNK("a\r"), CHUNK("\n"), CHUNK("."), CHUNK("\r\n") },
	  "a\r\n.\r\n",
	  "a\r\n..\r\n.\r\n",
	  true },
	{ { CHUNK("."), CHUNK("."), CHUNK("") }, "..", "...\r\n.\r\n", true },
	{ { CHUNK("\x80\xff\r\n") }, "\x80\xff\r\n", "\x80\xff\r\n.\r\n", true },
	{ { CHUNK("a\nb") }, "a", "a", false },
	{ { CHUNK("a\rb") }, "a\r", "a\r", false },
	{ { CHUNK("a\r\r\n") }, "a\r", "a\r", false },
	{ { CHUNK("a\0b") }, "a", "a", false },
	{ { CHUNK("\n") }, "", "", false },
	{ { CHUNK("a\r") }, "a", "a", false },
	{ { CHUNK("a\r"), CHUNK("b\r\n") }, "a\r", "a\r", false },
	{ { CHUNK("a\r"), CHUNK("") }, "a\r", "a\r", false },
	{ { CHUNK(""), CHUNK("\n") }, "", "", false },
};

static bool is_last(const struct message *message, size_t i)
{
	return i + 1 == CHUNKS_MAX || !message->chunks[i + 1].data;
}

/* One chunk in pieces, each followed by what is none of its octets. False: a bad byte. */
static bool feed(struct smtp_bdat *bdat, const struct chunk *chunk, size_t piece, size_t room,
		 char *all, size_t *all_len)
{
	for (size_t at = 0; at < chunk->len;) {
		size_t len = chunk->len - at < piece ? chunk->len - at : piece, used;
		char *data = guard_copy(chunk->data + at, len), storage[64];
		struct output out;
		bool good;

		output_init(&out, storage, room);
		good = smtp_bdat_pass(bdat, data, len, &out, &used);
		assert_false(out.overflow);
		memcpy(all + *all_len, out.data, out.len);
		*all_len += out.len;
		guard_free(data, len);
		at += used;
		assert_true(bdat->left == chunk->len - at);
		if (!good)
			return false;
		assert_true(used > 0);
	}
	return true;
}

static void play(const struct message *message, bool convert, size_t piece, size_t room)
{
	struct smtp_bdat bdat = { .convert = convert };
	const char *expected = convert ? message->converted : message->passed;
	char all[200];
	size_t len = 0;
	bool good = true;

	for (size_t i = 0; good && i < CHUNKS_MAX && message->chunks[i].data; i++) {
		const struct chunk *chunk = &message->chunks[i];

		good = smtp_bdat_begin(&bdat, chunk->len, is_last(message, i)) &&
		       feed(&bdat, chunk, piece, room, all, &len);
	}
	assert_int_equal(good, message->good);
	if (good && convert) {
		struct output out;

		output_init(&out, all + len, sizeof(all) - len);
		assert_true(smtp_bdat_end(&bdat, &out));
		len += out.len;
	}
	if (len != strlen(expected) || memcmp(all, expected, len) != 0)
		fail_msg("%.*s: expected %s", (int)len, all, expected);
}

static void octets_are_passed_or_stuffed(void **state)
{
	static const size_t pieces[] = { 1, 2, 3, 100 }, rooms[] = { 2, 3, 7, 64 };

	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++)
		for (size_t p = 0; p < 4; p++)
			for (size_t r = 0; r < 4; r++) {
				play(&messages[i], false, pieces[p], rooms[r]);
				play(&messages[i], true, pieces[p], rooms[r]);
			}
}

static void no_octet_beyond_the_chunk_is_taken(void **state)
{
	struct smtp_bdat bdat = { 0 };
	char storage[64];
	struct output out;
	size_t used;

	output_init(&out, storage, sizeof(storage));
	assert_true(smtp_bdat_begin(&bdat, 3, false));
	assert_true(smtp_bdat_pass(&bdat, "abc\0\n", 5, &out, &used));
	assert_int_equal(used, 3);
	assert_true(bdat.left == 0);
	assert_true(smtp_bdat_pass(&bdat, "\0\n", 2, &out, &used));
	assert_int_equal(used, 0);
	assert_int_equal(out.len, 3);
}

static void a_binary_message_may_hold_any_octet(void **state)
{
	struct smtp_bdat bdat = { .binary = true };
	char storage[300], any[256];
	struct output out;
	size_t used;

	for (int i = 0; i < 256; i++)
		any[i] = (char)i;
	any[255] = '\r';
	output_init(&out, storage, sizeof(storage));
	assert_true(smtp_bdat_begin(&bdat, 256, true));
	assert_true(smtp_bdat_pass(&bdat, any, 256, &out, &used));
	assert_int_equal(used, 256);
	assert_memory_equal(storage, any, 256);
	assert_true(smtp_bdat_begin(&bdat, 0, true));
}

static void the_end_needs_its_room(void **state)
{
	struct smtp_bdat bdat = { .convert = true, .inside_line = true };
	char storage[5];
	struct output out;

	output_init(&out, storage, 4);
	assert_false(smtp_bdat_end(&bdat, &out));
	assert_int_equal(out.len, 0);
	output_init(&out, storage, 5);
	assert_true(smtp_bdat_end(&bdat, &out));
	assert_memory_equal(storage, "\r\n.\r\n", 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(octets_are_passed_or_stuffed),
		cmocka_unit_test(no_octet_beyond_the_chunk_is_taken),
		cmocka_unit_test(a_binary_message_may_hold_any_octet),
		cmocka_unit_test(the_end_needs_its_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
