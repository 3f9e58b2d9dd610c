/* test_ticket - the keys of session tickets: rotation by a clock of ours, the message, the file; and what they seal. */
#include "frontend/ticket_seal.h"
#include "tests/support/guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define ROTATE 100
#define BEGIN  1000050 /* half way between two turns */
#define SCOPE  SPAN("modern\0mail.example.test")

static uint8_t last_octet;
static bool no_random;

/* Keys of 1, 2, 3... */
static bool counting(void *out, size_t len)
{
	last_octet++;
	memset(out, last_octet, len);
	return !no_random;
}

static int fresh(void **state)
{
	last_octet = 0;
	no_random = false;
	return 0;
}

static void turn(struct ticket_keys *keys, int64_t now)
{
	assert_true(ticket_keys_turn(keys, now, ROTATE, counting));
}

/* By the first octet of the name. */
static void assert_places(const struct ticket_keys *keys, unsigned current, unsigned next,
			  unsigned previous)
{
	assert_int_equal(keys->keys[TICKET_CURRENT].name[0], current);
	assert_int_equal(keys->keys[TICKET_NEXT].name[0], next);
	assert_int_equal(keys->keys[TICKET_PREVIOUS].name[0], previous);
}

static bool is_wiped(const struct ticket_keys *keys)
{
	static const struct ticket_keys none;

	return memcmp(keys, &none, sizeof(none)) == 0;
}

/* ---- rotation ---- */

static void a_key_opens_before_while_and_after_it_seals(void **state)
{
	struct ticket_keys keys = { .turn = 0 };

	turn(&keys, BEGIN);
	assert_places(&keys, 1, 2, 0);
	assert_int_equal(keys.turn, 1000100);
	turn(&keys, 1000099);
	assert_places(&keys, 1, 2, 0);
	turn(&keys, 1000100);
	assert_places(&keys, 2, 3, 1);
	assert_int_equal(keys.turn, 1000200);
	turn(&keys, 1000200);
	assert_places(&keys, 3, 4, 2);
}

static void rotations_that_were_slept_through_are_made_up_for(void **state)
{
	struct ticket_keys keys = { .turn = 0 };

	turn(&keys, BEGIN);
	turn(&keys, 1000250);
	assert_places(&keys, 3, 4, 2);
	turn(&keys, 1000250 + 1000000000LL);
	assert_places(&keys, 6, 7, 5);
	assert_int_equal(keys.turn % ROTATE, 0);
}

static void a_clock_set_back_moves_the_next_turn_and_nothing_else(void **state)
{
	struct ticket_keys keys = { .turn = 0 };

	turn(&keys, BEGIN);
	turn(&keys, 5000);
	assert_places(&keys, 1, 2, 0);
	assert_int_equal(keys.turn, 5100);
}

static void another_period_holds_from_now_on(void **state)
{
	struct ticket_keys keys = { .turn = 0 };

	turn(&keys, BEGIN);
	assert_true(ticket_keys_turn(&keys, BEGIN + 1, 7, counting));
	assert_places(&keys, 1, 2, 0);
	assert_true(keys.turn > BEGIN + 1 && keys.turn <= BEGIN + 8);
}

static void without_random_octets_there_are_no_keys(void **state)
{
	struct ticket_keys keys = { .turn = 0 };

	turn(&keys, BEGIN);
	no_random = true;
	assert_false(ticket_keys_turn(&keys, 1000100, ROTATE, counting));
	assert_true(is_wiped(&keys));
	assert_null(ticket_keys_sealing(&keys));
	assert_int_equal(ticket_keys_count(&keys), 0);
}

static void what_leaves_leaves_no_octet_behind(void **state)
{
	struct ticket_keys keys = { .turn = 0 };
	uint8_t gone[TICKET_SECRET_LEN];

	turn(&keys, BEGIN);
	memcpy(gone, keys.keys[TICKET_CURRENT].secret, sizeof(gone));
	turn(&keys, 1000100);
	assert_non_null(memmem(&keys, sizeof(keys), gone, sizeof(gone)));
	turn(&keys, 1000200);
	assert_null(memmem(&keys, sizeof(keys), gone, sizeof(gone)));
}

/* ---- what a worker holds ---- */

static void of_a_dead_keeper_the_sealing_key_still_opens(void **state)
{
	struct ticket_keys first = { .turn = 0 }, second = { .turn = 0 }, held = { .turn = 0 };

	turn(&first, BEGIN);
	ticket_keys_take(&held, &first);
	assert_places(&held, 1, 2, 0);
	turn(&second, BEGIN);
	ticket_keys_take(&held, &second);
	assert_places(&held, 3, 4, 1);
	ticket_keys_take(&held, &second); /* asked again before the first turn */
	assert_places(&held, 3, 4, 1);
	turn(&second, 1000100);
	ticket_keys_take(&held, &second);
	assert_places(&held, 4, 5, 3);
}

static void a_file_says_all_there_is(void **state)
{
	struct ticket_keys made = { .turn = 0 }, held = { .turn = 0 };
	struct ticket_keys file = { .from_file = true };

	turn(&made, BEGIN);
	ticket_keys_take(&held, &made);
	counting(&file.keys[TICKET_CURRENT], sizeof(struct ticket_key));
	ticket_keys_take(&held, &file);
	assert_places(&held, 3, 0, 0);
	counting(&file.keys[TICKET_CURRENT], sizeof(struct ticket_key));
	ticket_keys_take(&held, &file);
	assert_places(&held, 4, 0, 0);
	turn(&held, BEGIN); /* the file is no more in the configuration */
	assert_false(held.from_file);
	assert_places(&held, 5, 6, 0);
}

static void the_keys_travel_and_nothing_that_is_cut_or_longer_is_taken(void **state)
{
	struct ticket_keys keys = { .turn = 0 }, got;
	uint8_t body[TICKET_BODY_MAX + 1] = { 0 };
	size_t len;

	turn(&keys, BEGIN);
	turn(&keys, 1000100);
	keys.wait = 4711;
	len = ticket_keys_encode(body, &keys);
	assert_true(ticket_keys_decode(body, len, &got));
	assert_memory_equal(got.keys, keys.keys, sizeof(keys.keys));
	assert_int_equal(got.wait, 4711);
	assert_false(got.from_file);
	for (size_t cut = 0; cut < len; cut++) {
		char *copy = guard_copy(body, cut);

		assert_false(ticket_keys_decode((uint8_t *)copy, cut, &got));
		guard_free(copy, cut);
	}
	assert_false(ticket_keys_decode(body, len + 1, &got));
	assert_true(is_wiped(&got));
	body[0] = 2;
	assert_false(ticket_keys_decode(body, len, &got));
}

/* ---- the file ---- */

#define A "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v"
#define B "MDEyMzQ1Njc4OTo7PD0+P0BBQkNERUZHSElKS0xNTk9QUVJTVFVWV1hZWltcXV5f"
#define C "YGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn+AgYKDhIWGh4iJiouMjY6P"
#define D "kJGSk5SVlpeYmZqbnJ2en6ChoqOkpaanqKmqq6ytrq+wsbKztLW2t7i5uru8vb6/"
#define Z "AAAAAAAAAAAAAAAAAAAAABAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v"
#define S "kJGSk5SVlpeYmZqbnJ2enwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static bool parse(const char *text, struct ticket_keys *keys, int *line, char why[256])
{
	char *copy = guard_copy(text, strlen(text));
	bool fine = ticket_keys_parse((struct span) { copy, strlen(text) }, keys, line, why);

	guard_free(copy, strlen(text));
	return fine;
}

static void the_first_of_a_file_seals_the_others_open(void **state)
{
	static const struct {
		const char *text;
		unsigned count;
	} files[] = {
		{ A "\n", 1 },
		{ A, 1 },
		{ "# first seals\r\n" A "\r\n\r\n# only opens\r\n" B "\r\n", 2 },
		{ A "\n" B "\n" C "\n#" D "\n", 3 },
	};
	struct ticket_keys keys;
	char why[256];
	int line;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		assert_true(parse(files[i].text, &keys, &line, why));
		assert_true(keys.from_file);
		assert_int_equal(ticket_keys_count(&keys), files[i].count);
		assert_int_equal(ticket_keys_sealing(&keys)->name[15], 15);
		assert_int_equal(ticket_keys_sealing(&keys)->secret[31], 47);
	}
}

static void a_file_that_is_none_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *text;
		int line;
		const char *why;
	} files[] = {
		{ "", 0, "no key" },
		{ "\n# nothing\n\n", 0, "no key" },
		{ A "\nshort\n", 2, "64 characters" },
		{ A "A\n", 1, "64 characters" },
		{ "#\n " A "\n", 2, "64 characters" },
		{ "-" B "\n", 1, "64 characters" },
		{ "-"
		  "DEyMzQ1Njc4OTo7PD0+P0BBQkNERUZHSElKS0xNTk9QUVJTVFVWV1hZWltcXV5f\n",
		  1, "64 characters" },
		{ "MDEyMzQ1Njc4OTo7PD0+P0BBQkNERUZHSElKS0xNTk9QUVJTVFVWV1hZWltcXV==\n", 1,
		  "64 characters" },
		{ Z "\n", 1, "random" },
		{ S "\n", 1, "random" },
		{ A "\n" B "\n" A "\n", 3, "above" },
		{ A "\n" B "\n" C "\n\n" D "\n", 5, "three" },
	};
	struct ticket_keys keys;
	char why[256];
	int line;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		assert_false(parse(files[i].text, &keys, &line, why));
		assert_int_equal(line, files[i].line);
		assert_non_null(strstr(why, files[i].why));
		assert_true(is_wiped(&keys));
	}
}

/* ---- sealing ---- */

static struct ticket_keys three(void)
{
	struct ticket_keys keys = { .turn = 0 };

	turn(&keys, BEGIN);
	turn(&keys, 1000100);
	return keys;
}

static void a_sealed_ticket_opens_with_each_key_that_is_live(void **state)
{
	struct ticket_keys keys = { .turn = 0 };
	struct ticket_label label;
	uint8_t data[108], sealed[108];

	turn(&keys, BEGIN);
	memset(sealed, 7, sizeof(sealed));
	assert_true(ticket_seal(&keys, SCOPE, sealed, sizeof(sealed), &label));
	assert_int_equal(label.name[0], 1);
	for (int rotations = 0; rotations < 3; rotations++) {
		memcpy(data, sealed, sizeof(data));
		assert_int_equal(ticket_open(&keys, SCOPE, &label, data, sizeof(data)),
				 rotations < 2 ? TICKET_OPENED : TICKET_UNKNOWN);
		assert_int_equal(data[107] == 7, rotations < 2);
		turn(&keys, keys.turn);
	}
}

/* RFC 5116 5.1 and the like are the library's; this is about what goes in. */
static void no_two_tickets_are_alike(void **state)
{
	struct ticket_keys keys = three();
	struct ticket_label label[2];
	uint8_t data[2][32] = { { 1 }, { 1 } };

	for (int i = 0; i < 2; i++)
		assert_true(ticket_seal(&keys, SCOPE, data[i], 32, &label[i]));
	assert_memory_not_equal(label[0].iv, label[1].iv, TICKET_IV_LEN);
	assert_memory_not_equal(label[0].mac, label[1].mac, TICKET_MAC_LEN);
	assert_memory_not_equal(data[0], data[1], 32);
}

static void a_ticket_with_any_octet_changed_is_refused_and_wiped(void **state)
{
	struct ticket_keys keys = three();
	struct ticket_label label, changed;
	uint8_t sealed[40], data[40], zeros[40] = { 0 };
	uint8_t *octets = (uint8_t *)&changed;

	memset(sealed, 7, sizeof(sealed));
	assert_true(ticket_seal(&keys, SCOPE, sealed, sizeof(sealed), &label));
	for (size_t i = 0; i < sizeof(label) + sizeof(sealed); i++) {
		changed = label;
		memcpy(data, sealed, sizeof(data));
		if (i < sizeof(label))
			octets[i] ^= 0x40;
		else
			data[i - sizeof(label)] ^= 0x40;
		assert_int_equal(ticket_open(&keys, SCOPE, &changed, data, sizeof(data)),
				 i < TICKET_NAME_LEN ? TICKET_UNKNOWN : TICKET_FOREIGN);
		if (i >= TICKET_NAME_LEN + 12 && i < TICKET_NAME_LEN + TICKET_IV_LEN)
			continue; /* refused by its form: nothing was opened */
		if (i >= TICKET_NAME_LEN &&
		    (i < TICKET_NAME_LEN + TICKET_IV_LEN + 16 || i >= sizeof(label)))
			assert_memory_equal(data, zeros, sizeof(data));
	}
}

static void a_ticket_is_good_in_its_own_scope_only(void **state)
{
	static const struct span others[] = {
		{ "strict\0mail.example.test", 24 },
		{ "modern\0mail.example.tes", 23 },
		{ "modern\0mail.example.test\0", 25 },
		{ "", 0 },
	};
	struct ticket_keys keys = three();
	struct ticket_label label;
	uint8_t sealed[40] = { 0 }, data[40];

	assert_true(ticket_seal(&keys, SCOPE, sealed, sizeof(sealed), &label));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		memcpy(data, sealed, sizeof(data));
		assert_int_equal(ticket_open(&keys, others[i], &label, data, sizeof(data)),
				 TICKET_FOREIGN);
	}
}

/* Two keys of one name, as two machines with different files might have them. */
static void a_key_of_the_same_name_and_another_secret_opens_nothing(void **state)
{
	struct ticket_keys keys = three();
	struct ticket_label label;
	uint8_t data[40] = { 0 };

	assert_true(ticket_seal(&keys, SCOPE, data, sizeof(data), &label));
	keys.keys[TICKET_CURRENT].secret[3] ^= 1;
	assert_int_equal(ticket_open(&keys, SCOPE, &label, data, sizeof(data)), TICKET_FOREIGN);
}

static void without_a_key_nothing_is_sealed(void **state)
{
	struct ticket_keys none = { .turn = 0 };
	struct ticket_label label;
	uint8_t data[4] = { 0 };

	assert_false(ticket_seal(&none, SCOPE, data, sizeof(data), &label));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_key_opens_before_while_and_after_it_seals, fresh),
		cmocka_unit_test_setup(rotations_that_were_slept_through_are_made_up_for, fresh),
		cmocka_unit_test_setup(a_clock_set_back_moves_the_next_turn_and_nothing_else,
				       fresh),
		cmocka_unit_test_setup(another_period_holds_from_now_on, fresh),
		cmocka_unit_test_setup(without_random_octets_there_are_no_keys, fresh),
		cmocka_unit_test_setup(what_leaves_leaves_no_octet_behind, fresh),
		cmocka_unit_test_setup(of_a_dead_keeper_the_sealing_key_still_opens, fresh),
		cmocka_unit_test_setup(a_file_says_all_there_is, fresh),
		cmocka_unit_test_setup(the_keys_travel_and_nothing_that_is_cut_or_longer_is_taken,
				       fresh),
		cmocka_unit_test_setup(the_first_of_a_file_seals_the_others_open, fresh),
		cmocka_unit_test_setup(a_file_that_is_none_is_refused_with_its_line, fresh),
		cmocka_unit_test_setup(a_sealed_ticket_opens_with_each_key_that_is_live, fresh),
		cmocka_unit_test_setup(no_two_tickets_are_alike, fresh),
		cmocka_unit_test_setup(a_ticket_with_any_octet_changed_is_refused_and_wiped, fresh),
		cmocka_unit_test_setup(a_ticket_is_good_in_its_own_scope_only, fresh),
		cmocka_unit_test_setup(a_key_of_the_same_name_and_another_secret_opens_nothing,
				       fresh),
		cmocka_unit_test_setup(without_a_key_nothing_is_sealed, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
