/* test_book - what is written into a book is found there, thousands of names too, and what is no book is refused. */
#include "frontend/book_layout.h"
#include "frontend/book_write.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define NAMES(literal) ((struct span) { literal, sizeof(literal) })

/* An entry with its own key; names: each but the last with a \0 behind it. */
static struct book_entry entry_of(uint32_t set, uint8_t key, struct span names)
{
	static uint8_t ids[256][BOOK_ID_LEN];

	ids[key][0] = ids[key][BOOK_ID_LEN - 1] = key;
	return (struct book_entry) {
		.set = set,
		.kind = BOOK_P256,
		.bits = 256,
		.spki = ids[key],
		.names = names,
		.chain = SPAN("the chain"),
		.file = "postern.conf",
		.path = "chain.pem",
	};
}

static struct book *map_and_close(int fd)
{
	struct book *book = book_map(fd);

	assert_true(fd >= 0);
	close(fd);
	return book;
}

/* Of all these, none of them an explicit default. */
static struct book *book_of(const struct book_entry *entries, size_t count)
{
	struct book_writer *writer = book_writer_new();
	struct book *book;

	for (size_t i = 0; i < count; i++)
		assert_true(book_writer_add(writer, &entries[i], false));
	book = map_and_close(book_writer_finish(writer));
	book_writer_free(writer);
	assert_non_null(book);
	return book;
}

static void assert_span(struct span have, const char *want)
{
	assert_int_equal(have.len, strlen(want));
	assert_memory_equal(have.data, want, have.len);
}

static void what_is_written_is_read(void **state)
{
	static const uint8_t spki[BOOK_ID_LEN] = { 1, 2, 3 }, print[BOOK_ID_LEN] = { 9, 8 };
	static const char chain[] = "leaf issuer root";
	const struct book_entry in = {
		.set = 3,
		.kind = BOOK_RSA,
		.bits = 3072,
		.flags = BOOK_MUST_STAPLE | BOOK_TOKEN | BOOK_ALLOW_TLS11,
		.not_before = -5,
		.not_after = 1ll << 40,
		.spki = spki,
		.fingerprint = print,
		.chain = { chain, 16 },
		.issuer = { chain + 5, 6 },
		.leaf = SPAN("der\0der"),
		.staple = SPAN("response"),
		.this_update = 7,
		.next_update = 8,
		.names = NAMES("b.test\0*.a.test"),
		.ocsp = "http://ocsp.test/",
		.file = "10-tls.conf",
		.line = 12,
		.path = "/etc/chain.pem",
		.key_source = "pkcs11:object=mail",
	};
	struct book *book = book_of(&in, 1);
	struct book_entry out;

	assert_int_equal(book_count(book), 1);
	book_entry(book, 0, &out);
	assert_int_equal(out.set, 3);
	assert_int_equal(out.kind, BOOK_RSA);
	assert_int_equal(out.bits, 3072);
	assert_int_equal(out.flags, in.flags);
	assert_true(out.not_before == -5 && out.not_after == 1ll << 40);
	assert_true(out.this_update == 7 && out.next_update == 8);
	assert_memory_equal(out.spki, spki, BOOK_ID_LEN);
	assert_memory_equal(out.fingerprint, print, BOOK_ID_LEN);
	assert_span(out.chain, chain);
	assert_span(out.issuer, "issuer");
	assert_ptr_equal(out.issuer.data, out.chain.data + 5);
	assert_int_equal(out.leaf.len, 7);
	assert_memory_equal(out.leaf.data, "der\0der", 7);
	assert_span(out.staple, "response");
	assert_string_equal(out.name, "b.test");
	assert_string_equal(book_next_name(&out, NULL), "b.test");
	assert_string_equal(book_next_name(&out, out.name), "*.a.test");
	assert_null(book_next_name(&out, book_next_name(&out, out.name)));
	assert_string_equal(out.ocsp, in.ocsp);
	assert_string_equal(out.file, in.file);
	assert_int_equal(out.line, 12);
	assert_string_equal(out.path, in.path);
	assert_string_equal(out.key_source, in.key_source);
	book_drop(book);
}

/* ---- names ---- */

/* found: the indices as digits */
static void assert_found(const struct book *book, uint32_t set, const char *name, const char *want)
{
	uint32_t out[8];
	char text[9] = "";
	size_t count = book_find(book, set, name, out, 8);

	for (size_t i = 0; i < count; i++)
		text[i] = (char)('0' + out[i]);
	assert_string_equal(text, want);
}

static void a_name_is_found_exactly_or_by_a_wildcard_of_one_label(void **state)
{
	const struct book_entry entries[] = {
		entry_of(0, 0, NAMES("mail.a.test\0a.test")),
		entry_of(0, 1, NAMES("*.a.test")),
		entry_of(0, 2, NAMES("mail.a.test")),
		entry_of(1, 3, NAMES("mail.a.test\0mail.a.test\0*.b.test")),
	};
	struct book *book = book_of(entries, 4);
	char longest[300];

	assert_found(book, 0, "mail.a.test", "02");
	assert_found(book, 0, "a.test", "0");
	assert_found(book, 0, "imap.a.test", "1");
	assert_found(book, 0, "x.imap.a.test", "");
	assert_found(book, 0, ".a.test", "");
	assert_found(book, 0, "*.a.test", "");
	assert_found(book, 0, "b.test", "");
	assert_found(book, 0, "", "");
	assert_found(book, 0, "test", "");
	assert_found(book, 1, "mail.a.test", "3");
	assert_found(book, 1, "imap.a.test", "");
	assert_found(book, 1, "imap.b.test", "3");
	assert_found(book, 2, "mail.a.test", "");
	memset(longest, 'x', sizeof(longest));
	memcpy(longest + 290, ".a.test", 8);
	assert_found(book, 0, longest, "");
	assert_found(book, 0, longest + 297 - BOOK_NAME_MAX, "1");
	book_drop(book);
}

static void no_more_are_told_than_there_is_room_for(void **state)
{
	struct book_entry entries[4];
	struct book *book;
	uint32_t out[3] = { 7, 7, 7 };

	for (uint8_t i = 0; i < 4; i++)
		entries[i] = entry_of(0, i, NAMES("a.test"));
	book = book_of(entries, 4);
	assert_int_equal(book_find(book, 0, "a.test", out, 2), 2);
	assert_int_equal(out[1], 1);
	assert_int_equal(out[2], 7);
	assert_int_equal(book_default(book, 0, out, 2), 2);
	assert_true(out[0] == 0 && out[1] == 1 && out[2] == 7);
	assert_int_equal(book_default(book, 0, out, 0), 0);
	book_drop(book);
}

/* ---- defaults, bad entries, keys ---- */

static void the_default_brings_the_others_of_its_first_name(void **state)
{
	const struct book_entry entries[] = {
		entry_of(0, 0, NAMES("other.test")),
		entry_of(0, 1, NAMES("b.test\0mail.test")),
		entry_of(0, 2, NAMES("mail.test\0b.test")),
		entry_of(2, 3, NAMES("first.test")),
		entry_of(2, 4, NAMES("second.test")),
		{ .set = 4, .flags = BOOK_BAD, .path = "gone.pem" },
		entry_of(4, 5, (struct span) { "", 0 }),
		{ .set = 5, .flags = BOOK_BAD },
	};
	struct book_writer *writer = book_writer_new();
	struct book *book;
	uint32_t out[8];

	for (uint32_t i = 0; i < 8; i++)
		assert_true(book_writer_add(writer, &entries[i], i == 2 || i == 5));
	book = map_and_close(book_writer_finish(writer));
	book_writer_free(writer);
	assert_non_null(book);
	assert_int_equal(book_default(book, 0, out, 8), 2);
	assert_true(out[0] == 2 && out[1] == 1);
	assert_int_equal(book_default(book, 2, out, 8), 1);
	assert_int_equal(out[0], 3);
	assert_int_equal(book_default(book, 4, out, 8), 1);
	assert_int_equal(out[0], 6);
	assert_int_equal(book_default(book, 5, out, 8), 0);
	assert_int_equal(book_default(book, 1, out, 8), 0);
	book_drop(book);
}

static void the_default_stands_before_the_others(void **state)
{
	const struct book_entry entries[] = {
		entry_of(0, 0, NAMES("x.test\0mail.test")),
		entry_of(0, 1, NAMES("mail.test")),
		entry_of(0, 2, NAMES("mail.test")),
	};
	struct book_writer *writer = book_writer_new();
	struct book *book;
	uint32_t out[8];

	for (uint32_t i = 0; i < 3; i++)
		assert_true(book_writer_add(writer, &entries[i], i == 2));
	book = map_and_close(book_writer_finish(writer));
	book_writer_free(writer);
	assert_int_equal(book_default(book, 0, out, 8), 3);
	assert_true(out[0] == 2 && out[1] == 0 && out[2] == 1);
	book_drop(book);
}

static void a_bad_entry_keeps_its_place_and_nothing_else(void **state)
{
	const struct book_entry entries[] = {
		entry_of(0, 0, NAMES("a.test")),
		{ .set = 1, .flags = BOOK_BAD, .file = "x.conf", .line = 4, .path = "bad.pem" },
		entry_of(0, 1, NAMES("b.test")),
	};
	struct book *book = book_of(entries, 3);
	struct book_entry out;

	book_entry(book, 1, &out);
	assert_int_equal(out.flags, BOOK_BAD);
	assert_string_equal(out.path, "bad.pem");
	assert_string_equal(out.name, "");
	assert_string_equal(out.key_source, "");
	assert_null(book_next_name(&out, NULL));
	assert_found(book, 0, "b.test", "2");
	assert_int_equal(book_key_count(book), 2);
	book_drop(book);
}

static void a_key_is_in_a_token_when_no_entry_has_it_in_a_file(void **state)
{
	struct book_entry entries[] = {
		entry_of(0, 4, NAMES("a.test")),
		entry_of(0, 9, NAMES("b.test")),
		entry_of(0, 4, NAMES("c.test")),
	};
	struct book *book;

	entries[0].flags = entries[1].flags = BOOK_TOKEN;
	entries[0].key_source = entries[1].key_source = "pkcs11:object=x";
	book = book_of(entries, 3);
	assert_int_equal(book_key_entry(book, 0), 2);
	assert_false(book_key_in_token(book, 0));
	assert_true(book_key_in_token(book, 1));
	book_drop(book);
	book = book_of(entries, 2);
	assert_true(book_key_in_token(book, 0));
	book_drop(book);
}

static void each_key_is_told_once(void **state)
{
	const struct book_entry entries[] = {
		entry_of(0, 9, NAMES("a.test")), entry_of(0, 4, NAMES("b.test")),
		entry_of(1, 9, NAMES("c.test")), entry_of(1, 7, NAMES("d.test")),
		entry_of(1, 4, NAMES("e.test")),
	};
	struct book *book = book_of(entries, 5);
	struct book_entry out;
	uint32_t key = 99;

	assert_int_equal(book_key_count(book), 3);
	assert_int_equal(book_key(book, 0)[0], 4);
	assert_int_equal(book_key(book, 1)[0], 7);
	assert_int_equal(book_key(book, 2)[0], 9);
	assert_int_equal(book_key_entry(book, 0), 1);
	assert_int_equal(book_key_entry(book, 1), 3);
	assert_int_equal(book_key_entry(book, 2), 0);
	assert_true(book_key_find(book, entries[3].spki, &key));
	assert_int_equal(key, 1);
	assert_false(book_key_find(book, entry_of(0, 5, NAMES("x")).spki, &key));
	for (uint32_t i = 0; i < 5; i++) {
		book_entry(book, i, &out);
		assert_memory_equal(out.spki, entries[i].spki, BOOK_ID_LEN);
		assert_memory_equal(book_key(book, out.key), out.spki, BOOK_ID_LEN);
	}
	book_drop(book);
}

static void an_entry_is_copied_from_another_book(void **state)
{
	const struct book_entry entries[] = { entry_of(0, 0, NAMES("z.test")),
					      entry_of(0, 1, NAMES("a.test\0*.a.test")) };
	struct book *old = book_of(entries, 2), *book;
	struct book_entry kept, out;

	book_entry(old, 1, &kept);
	book = book_of(&kept, 1);
	book_drop(old);
	assert_found(book, 0, "x.a.test", "0");
	book_entry(book, 0, &out);
	assert_span(out.chain, "the chain");
	assert_memory_equal(out.spki, entries[1].spki, BOOK_ID_LEN);
	book_drop(book);
}

static void an_empty_book_is_one(void **state)
{
	struct book *book = book_of(NULL, 0);
	uint32_t key;

	assert_int_equal(book_count(book), 0);
	assert_int_equal(book_key_count(book), 0);
	assert_false(book_key_find(book, entry_of(0, 5, NAMES("x")).spki, &key));
	assert_found(book, 0, "a.test", "");
	book_drop(book);
}

static void it_lives_until_the_last_has_dropped_it(void **state)
{
	const struct book_entry entry = entry_of(0, 1, NAMES("a.test"));
	struct book *book = book_of(&entry, 1);

	assert_ptr_equal(book_keep(book), book);
	book_drop(book);
	assert_found(book, 0, "a.test", "0");
	book_drop(book);
	book_drop(NULL);
}

/* ---- many ---- */

#define MANY 5000

static void five_thousand_names_are_each_found(void **state)
{
	static char chain[4096];
	struct book_writer *writer = book_writer_new();
	struct timespec begin, end;
	struct book *book;
	double taken;

	memset(chain, 'c', sizeof(chain));
	for (uint32_t i = 0; i < MANY; i++) {
		uint8_t id[BOOK_ID_LEN] = { (uint8_t)(i % 251), (uint8_t)(i / 251) };
		char names[64];
		int len = snprintf(names, sizeof(names), "mail.%u.test%c*.%u.test", i * 7919 % MANY,
				   '\0', i * 7919 % MANY);
		const struct book_entry entry = {
			.spki = id,
			.chain = { chain, sizeof(chain) },
			.names = { names, (size_t)len + 1 },
		};

		assert_true(book_writer_add(writer, &entry, false));
	}
	book = map_and_close(book_writer_finish(writer));
	book_writer_free(writer);
	assert_non_null(book);
	assert_int_equal(book_key_count(book), MANY);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (uint32_t i = 0; i < MANY; i++) {
		char name[64];
		uint32_t out;

		snprintf(name, sizeof(name), "mail.%u.test", i * 7919 % MANY);
		assert_int_equal(book_find(book, 0, name, &out, 1), 1);
		assert_int_equal(out, i);
		snprintf(name, sizeof(name), "imap.%u.test", i * 7919 % MANY);
		assert_int_equal(book_find(book, 0, name, &out, 1), 1);
		assert_int_equal(out, i);
		snprintf(name, sizeof(name), "mail.%u.test", MANY + i);
		assert_int_equal(book_find(book, 0, name, &out, 1), 0);
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	taken = (double)(end.tv_sec - begin.tv_sec) * 1e6 +
		(double)(end.tv_nsec - begin.tv_nsec) / 1e3;
	print_message("%u entries: %zu octets, %zu beside the chains; %.2f us a look-up\n", MANY,
		      book_size(book), book_size(book) - sizeof(chain) * MANY,
		      taken / (3.0 * MANY));
	assert_true(book_size(book) < (sizeof(chain) + 512) * MANY);
	book_drop(book);
}

/* ---- what is no book ---- */

static int memory_file(const void *data, size_t len, int seals)
{
	int fd = memfd_create("test-book", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

/* The octets of a sound book, to spoil. */
struct sample {
	uint8_t data[4096];
	size_t len;
	struct book_header *header;
	struct book_record *entries;
	struct book_set *sets;
	struct book_name *names;
	struct book_key_record *keys;
};

static void sample_make(struct sample *sample)
{
	const struct book_entry entries[] = {
		entry_of(0, 1, NAMES("b.test\0*.b.test")),
		entry_of(1, 2, NAMES("a.test")),
		{ .set = 1, .flags = BOOK_BAD },
	};
	struct book_writer *writer = book_writer_new();
	int fd;

	for (size_t i = 0; i < 3; i++)
		assert_true(book_writer_add(writer, &entries[i], false));
	fd = book_writer_finish(writer);
	book_writer_free(writer);
	sample->len = (size_t)pread(fd, sample->data, sizeof(sample->data), 0);
	close(fd);
	sample->header = (void *)sample->data;
	sample->entries = (void *)(sample->header + 1);
	sample->sets = (void *)(sample->entries + sample->header->entries);
	sample->names = (void *)(sample->sets + sample->header->sets);
	sample->keys = (void *)(sample->names + sample->header->names);
}

static bool taken(const struct sample *sample)
{
	struct book *book = map_and_close(memory_file(sample->data, sample->len, BOOK_SEALS));
	bool is = book != NULL;

	book_drop(book);
	return is;
}

static void only_a_sealed_file_is_mapped(void **state)
{
	static const int seals[] = { 0, BOOK_SEALS & ~F_SEAL_WRITE, BOOK_SEALS & ~F_SEAL_SHRINK,
				     BOOK_SEALS & ~F_SEAL_GROW };
	struct sample sample;
	int fds[2];

	sample_make(&sample);
	assert_true(taken(&sample));
	for (size_t i = 0; i < sizeof(seals) / sizeof(*seals); i++)
		assert_null(map_and_close(memory_file(sample.data, sample.len, seals[i])));
	assert_null(map_and_close(memory_file(sample.data, 0, BOOK_SEALS)));
	assert_int_equal(pipe(fds), 0);
	assert_null(map_and_close(fds[0]));
	close(fds[1]);
	assert_null(book_map(-1));
}

static void no_part_of_a_book_is_one(void **state)
{
	struct sample sample;
	size_t whole;

	sample_make(&sample);
	whole = sample.len;
	for (sample.len = 1; sample.len < whole; sample.len++) {
		sample.header->size = sample.len;
		assert_false(taken(&sample));
	}
}

#define SPOILT(change)                                                                             \
	do {                                                                                       \
		struct sample s;                                                                   \
		sample_make(&s);                                                                   \
		change;                                                                            \
		if (taken(&s))                                                                     \
			fail_msg("taken with %s", #change);                                        \
	} while (0)

static void a_number_that_leads_astray_is_found(void **state)
{
	SPOILT(s.header->magic++);
	SPOILT(s.header->size++);
	SPOILT(s.header->entries = UINT32_MAX);
	SPOILT(s.header->entries++);
	SPOILT(s.header->sets = UINT32_MAX);
	SPOILT(s.header->names = UINT32_MAX);
	SPOILT(s.header->keys = UINT32_MAX);
	SPOILT(s.entries[0].chain.at = (uint32_t)s.len + 1);
	SPOILT(s.entries[0].chain.at = 0);
	SPOILT(s.entries[0].chain.len = (uint32_t)s.len);
	SPOILT(s.entries[0].issuer.len = UINT32_MAX);
	SPOILT(s.entries[0].leaf.at = UINT32_MAX);
	SPOILT(s.entries[0].staple.at = UINT32_MAX);
	SPOILT(s.entries[0].names.at = UINT32_MAX);
	SPOILT(s.entries[0].names.len--);
	SPOILT(s.entries[0].names.len++);
	SPOILT(s.entries[0].ocsp.len++);
	SPOILT(s.entries[0].file.len--);
	SPOILT(s.entries[2].key_source.len++);
	SPOILT(s.entries[0].path.at = (uint32_t)s.len);
	SPOILT(s.entries[0].kind = BOOK_KINDS);
	SPOILT(s.entries[0].flags = BOOK_FLAGS + 1);
	SPOILT(s.entries[0].flags = BOOK_BAD);
	SPOILT(s.entries[0].key = 2);
	SPOILT(s.entries[0].key = 1);
	SPOILT(s.entries[2].key = 0);
	SPOILT(s.entries[2].flags = 0);
	SPOILT(s.sets[0].entry = 3);
	SPOILT(s.sets[0].entry = 1);
	SPOILT(s.sets[1].entry = 2);
	SPOILT(s.sets[1].set = 0);
	SPOILT(s.names[0].at++);
	SPOILT(s.names[0].at = (uint32_t)s.len - 1);
	SPOILT(s.names[0].at = s.entries[1].names.at);
	SPOILT(s.names[0].entry = 3);
	SPOILT(s.names[0].set = 1);
	SPOILT(s.names[0] = s.names[1]);
	SPOILT(s.keys[0].entry = 3);
	SPOILT(s.keys[0].entry = 1);
	SPOILT(s.keys[0].entry = 2);
	SPOILT(s.keys[0].id[0] = 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(a_name_is_found_exactly_or_by_a_wildcard_of_one_label),
		cmocka_unit_test(no_more_are_told_than_there_is_room_for),
		cmocka_unit_test(the_default_brings_the_others_of_its_first_name),
		cmocka_unit_test(the_default_stands_before_the_others),
		cmocka_unit_test(a_bad_entry_keeps_its_place_and_nothing_else),
		cmocka_unit_test(a_key_is_in_a_token_when_no_entry_has_it_in_a_file),
		cmocka_unit_test(each_key_is_told_once),
		cmocka_unit_test(an_entry_is_copied_from_another_book),
		cmocka_unit_test(an_empty_book_is_one),
		cmocka_unit_test(it_lives_until_the_last_has_dropped_it),
		cmocka_unit_test(five_thousand_names_are_each_found),
		cmocka_unit_test(only_a_sealed_file_is_mapped),
		cmocka_unit_test(no_part_of_a_book_is_one),
		cmocka_unit_test(a_number_that_leads_astray_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
