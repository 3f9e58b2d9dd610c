/* The keeper's table: who is signed for, until when, and by which rules. */
#include "frontend/keeper_keys.h"
#include "tests/unit/keeper_play.h"
#include <pthread.h>

static struct pem_pair authority;
static struct play_certificate first, second, rsa;
static struct keeper_keys *keys;
static uint8_t out[KEY_SIGNATURE_MAX];
static size_t out_len;

static enum keeper_status sign_as(const struct play_certificate *with, enum key_algorithm algorithm,
				  const void *in, size_t len)
{
	struct keeper_request request = { .type = KEEPER_SIGN,
					  .algorithm = algorithm,
					  .input = { in, len } };

	memcpy(request.id, play_id(with), KEY_ID_LEN);
	return keeper_keys_sign(keys, &request, out, &out_len);
}

static enum keeper_status sign_digest(const struct play_certificate *with, size_t len)
{
	static const uint8_t digest[64] = { 1 };

	return sign_as(with, KEY_SIGN_ECDSA, digest, len);
}

static struct book *book_of(const struct play_certificate *a, const struct play_certificate *b,
			    uint32_t flags)
{
	const struct play_certificate *both[] = { a, b };
	int fd = play_book(both, b ? 2 : 1, flags);
	struct book *book = book_map(fd);

	close(fd);
	assert_non_null(book);
	return book;
}

static void follow(const struct play_certificate *a, const struct play_certificate *b,
		   uint32_t flags, double now)
{
	struct book *book = book_of(a, b, flags);

	assert_true(keeper_keys_follow(keys, book, now));
	book_drop(book);
}

static void only_keys_that_are_there_sign(void **state)
{
	assert_int_equal(sign_digest(&first, 32), KEEPER_UNKNOWN);
	assert_true(keeper_keys_add(keys, play_key(&first)));
	assert_true(keeper_keys_has(keys, play_id(&first)));
	assert_false(keeper_keys_has(keys, play_id(&second)));
	assert_int_equal(sign_digest(&first, 32), KEEPER_DONE);
	assert_in_range(out_len, 60, 72);
	assert_int_equal(sign_digest(&second, 32), KEEPER_UNKNOWN);
}

static void a_key_may_come_twice(void **state)
{
	assert_true(keeper_keys_add(keys, play_key(&first)));
	assert_true(keeper_keys_add(keys, play_key(&first)));
	assert_int_equal(sign_digest(&first, 32), KEEPER_DONE);
}

static void what_the_rules_refuse_is_not_signed(void **state)
{
	uint8_t block[256];

	memset(block, 0x11, sizeof(block));
	assert_true(keeper_keys_add(keys, play_key(&first)));
	assert_true(keeper_keys_add(keys, play_key(&rsa)));
	assert_int_equal(sign_digest(&first, 33), KEEPER_REFUSED);
	assert_int_equal(sign_as(&rsa, KEY_SIGN_RSA, block, sizeof(block)), KEEPER_REFUSED);
	assert_int_equal(sign_as(&rsa, KEY_SIGN_ECDSA, block, 32), KEEPER_REFUSED);
}

static void a_sha1_digest_is_for_the_books_tls_1_1(void **state)
{
	assert_true(keeper_keys_add(keys, play_key(&first)));
	assert_int_equal(sign_digest(&first, 20), KEEPER_REFUSED);
	follow(&first, NULL, BOOK_ALLOW_TLS11, 1000);
	assert_int_equal(sign_digest(&first, 20), KEEPER_DONE);
	follow(&first, NULL, 0, 1000);
	assert_int_equal(sign_digest(&first, 20), KEEPER_REFUSED);
}

static void a_key_that_left_the_book_stays_for_a_minute(void **state)
{
	assert_true(keeper_keys_add(keys, play_key(&first)));
	assert_true(keeper_keys_add(keys, play_key(&second)));
	follow(&first, &second, 0, 1000);
	assert_true(keeper_keys_expire(keys, 1000) == 0);
	follow(&second, NULL, 0, 1010);
	follow(&second, NULL, 0, 1050); /* another renewal does not prolong it */
	assert_true(keeper_keys_expire(keys, 1069) == 1070);
	assert_int_equal(sign_digest(&first, 32), KEEPER_DONE);
	assert_true(keeper_keys_expire(keys, 1070) == 0);
	assert_int_equal(sign_digest(&first, 32), KEEPER_UNKNOWN);
	assert_int_equal(sign_digest(&second, 32), KEEPER_DONE);
}

static void a_key_that_comes_back_stays(void **state)
{
	assert_true(keeper_keys_add(keys, play_key(&first)));
	follow(&second, NULL, 0, 1000);
	follow(&first, NULL, 0, 1010);
	assert_true(keeper_keys_expire(keys, 2000) == 0);
	assert_int_equal(sign_digest(&first, 32), KEEPER_DONE);
}

static void *sign_often(void *arg)
{
	const struct play_certificate *with = arg;
	static const uint8_t digest[32] = { 1 };
	struct keeper_request request = { .type = KEEPER_SIGN,
					  .algorithm = KEY_SIGN_ECDSA,
					  .input = { (const char *)digest, sizeof(digest) } };
	uint8_t signature[KEY_SIGNATURE_MAX];
	size_t len, done = 0;

	memcpy(request.id, play_id(with), KEY_ID_LEN);
	for (unsigned i = 0; i < 200; i++)
		done += keeper_keys_sign(keys, &request, signature, &len) == KEEPER_DONE;
	return done == 200 ? NULL : arg;
}

static void threads_sign_while_keys_come_and_go(void **state)
{
	pthread_t threads[3];
	void *failed;

	assert_true(keeper_keys_add(keys, play_key(&first)));
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, sign_often, &first), 0);
	for (unsigned i = 0; i < 50; i++) {
		assert_true(keeper_keys_add(keys, play_key(&second)));
		follow(&first, NULL, 0, 1000);
		assert_true(keeper_keys_expire(keys, 2000) == 0);
		assert_false(keeper_keys_has(keys, play_id(&second)));
	}
	for (size_t i = 0; i < 3; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
}

static int start(void **state)
{
	keys = keeper_keys_new();
	return keys ? 0 : -1;
}

static int stop(void **state)
{
	keeper_keys_free(keys);
	return 0;
}

static int make_pairs(void **state)
{
	authority = pem_authority("P-256");
	first = play_issue(&authority, "P-256");
	second = play_issue(&authority, "P-256");
	rsa = play_issue(&authority, "RSA-2048");
	return 0;
}

static int free_pairs(void **state)
{
	play_free(&first);
	play_free(&second);
	play_free(&rsa);
	pem_free(&authority);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(only_keys_that_are_there_sign, start, stop),
		cmocka_unit_test_setup_teardown(a_key_may_come_twice, start, stop),
		cmocka_unit_test_setup_teardown(what_the_rules_refuse_is_not_signed, start, stop),
		cmocka_unit_test_setup_teardown(a_sha1_digest_is_for_the_books_tls_1_1, start,
						stop),
		cmocka_unit_test_setup_teardown(a_key_that_left_the_book_stays_for_a_minute, start,
						stop),
		cmocka_unit_test_setup_teardown(a_key_that_comes_back_stays, start, stop),
		cmocka_unit_test_setup_teardown(threads_sign_while_keys_come_and_go, start, stop),
	};

	return cmocka_run_group_tests_name("keeper_keys", tests, make_pairs, free_pairs);
}
