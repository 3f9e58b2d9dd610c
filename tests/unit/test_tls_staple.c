/* Stapling at a server's context: what a client that asks gets, over memory, with a hello of our own (in TLS 1.2 the answer can be read). */
#include "frontend/tls_staple.h"
#include "tests/support/guard.h"
#include "tests/support/signer.h"
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#define NAME "mail.example.test"
#define DAY  86400

static struct pem_pair authority, foreign, leaf;

/* TLS 1.2, ECDHE-ECDSA-AES128-GCM-SHA256; the last extension asks for the certificate's status. */
static const unsigned char hello[] = {
	0x16, 0x03, 0x01, 0x00, 0x52, 0x01, 0x00, 0x00, 0x4e, 0x03, 0x03, 1,    2,    3,    4,
	5,    6,    7,    8,    9,    10,   11,   12,   13,   14,   15,   16,   17,   18,   19,
	20,   21,   22,   23,   24,   25,   26,   27,   28,   29,   30,   31,   32,   0x00, 0x00,
	0x02, 0xc0, 0x2b, 0x01, 0x00, 0x00, 0x23, 0x00, 0x0a, 0x00, 0x04, 0x00, 0x02, 0x00, 0x17,
	0x00, 0x0b, 0x00, 0x02, 0x01, 0x00, 0x00, 0x0d, 0x00, 0x04, 0x00, 0x02, 0x04, 0x03, 0x00,
	0x17, 0x00, 0x00, 0x00, 0x05, 0x00, 0x05, 0x01, 0x00, 0x00, 0x00, 0x00,
};

static struct span bytes(const unsigned char *data, size_t len)
{
	return (struct span) { (const char *)data, len };
}

static struct tls_context *new_context(const struct pem_pair *pair)
{
	return signer_context(pair, profile_find(PROFILE_MODERN));
}

static void drop_context(struct tls_context *context)
{
	tls_context_drop(context);
	signer_forget();
}

/* Whether the server's first flight holds these bytes; it must be a flight either way, and end with its ServerHelloDone. */
static bool flight_holds(struct tls_context *context, struct span wanted)
{
	static const unsigned char done[] = { 0x0e, 0, 0, 0 };
	static const struct tls_accept accept = { .sni = NAME };
	struct tls *tls = tls_accept_new(context, &accept);
	struct buffer in, out;
	bool holds;

	assert_non_null(tls);
	buffer_init(&in, 1 << 16);
	buffer_init(&out, 1 << 16);
	assert_true(buffer_append(&in, hello, sizeof(hello)));
	assert_int_equal(tls_handshake(tls, &in, &out), TLS_AGAIN);
	assert_true(buffer_len(&out) > sizeof(done));
	assert_memory_equal(buffer_data(&out) + buffer_len(&out) - sizeof(done), done,
			    sizeof(done));
	holds = memmem(buffer_data(&out), buffer_len(&out), wanted.data, wanted.len) != NULL;
	tls_free(tls);
	buffer_cleanup(&in);
	buffer_cleanup(&out);
	return holds;
}

/* How often of two handshakes a response, good from `begins` to `ends`, was sent that is said to end at `next_update`. */
static int sent(long begins, long ends, int64_t next_update, const struct pem_pair *by)
{
	struct tls_context *context = new_context(&leaf);
	size_t len;
	unsigned char *der = pem_staple(by, &leaf, begins, ends, false, &len);
	int times = 0;

	assert_true(
		tls_staple_use(context, bytes(der, len), next_update, span_of(authority.chain)));
	for (int i = 0; i < 2; i++)
		times += flight_holds(context, bytes(der, len));
	free(der);
	drop_context(context);
	return times;
}

static void a_client_that_asks_gets_it_each_time(void **state)
{
	assert_int_equal(sent(-60, DAY, time(NULL) + DAY, &authority), 2);
}

static void what_has_ended_is_not_sent_whoever_notices(void **state)
{
	assert_int_equal(sent(-60, DAY, time(NULL), &authority), 0);
	assert_int_equal(sent(-2 * DAY, -DAY, time(NULL) + DAY, &authority), 0);
}

static void what_another_authority_says_is_not_sent(void **state)
{
	assert_int_equal(sent(-60, DAY, time(NULL) + DAY, &foreign), 0);
}

static void without_one_the_handshake_is_as_ever(void **state)
{
	static const unsigned char status[] = { 0x16, 0, 0, 0 }; /* not to be found: an empty one */
	struct tls_context *context = new_context(&leaf);

	assert_true(
		tls_staple_use(context, (struct span) { NULL, 0 }, 0, (struct span) { NULL, 0 }));
	assert_false(flight_holds(context, bytes(status, sizeof(status))));
	drop_context(context);
}

static void rubbish_is_not_sent_and_does_no_harm(void **state)
{
	struct tls_context *context = new_context(&leaf);

	assert_true(tls_staple_use(context, span_of("no response at all"), time(NULL) + DAY,
				   span_of(authority.chain)));
	assert_false(flight_holds(context, span_of("no response at all")));
	drop_context(context);
}

static void without_an_issuer_there_is_no_context(void **state)
{
	struct tls_context *context = new_context(&leaf);

	assert_false(tls_staple_use(context, span_of("response"), time(NULL) + DAY, span_of("")));
	drop_context(context);
}

/* The DER of the first certificate of a chain. */
static struct span issuer_der(const struct pem_pair *pair, unsigned char *out, size_t size)
{
	return bytes(out, pem_der(pair, out, size));
}

static void the_issuer_within_is_taken_out_and_the_rest_is_sent(void **state)
{
	struct tls_context *context = new_context(&leaf);
	unsigned char room[4096];
	struct span issuer = issuer_der(&authority, room, sizeof(room));
	size_t len, less;
	unsigned char *der = pem_staple(&authority, &leaf, -60, DAY, true, &len);

	assert_non_null(memmem(der, len, issuer.data, issuer.len));
	assert_true(tls_staple_use(context, bytes(der, len), time(NULL) + DAY,
				   span_of(authority.chain)));
	less = tls_staple_trim(der, len, issuer);
	assert_true(less + issuer.len < len);
	assert_null(memmem(der, less, issuer.data, issuer.len));
	assert_true(flight_holds(context, bytes(der, less)));
	assert_int_equal(tls_staple_trim(der, less, issuer), less);
	free(der);
	drop_context(context);
}

static void other_certificates_stay(void **state)
{
	unsigned char room[4096];
	struct span issuer = issuer_der(&authority, room, sizeof(room));
	size_t len;
	unsigned char *der = pem_staple(&foreign, &leaf, -60, DAY, true, &len), *copy;

	copy = malloc(len);
	assert_non_null(copy);
	memcpy(copy, der, len);
	assert_int_equal(tls_staple_trim(der, len, issuer), len);
	assert_memory_equal(der, copy, len);
	free(copy);
	free(der);
}

static void what_is_cut_off_is_left_as_it_is(void **state)
{
	unsigned char room[4096];
	struct span issuer = issuer_der(&authority, room, sizeof(room));
	size_t len;
	unsigned char *der = pem_staple(&authority, &leaf, -60, DAY, true, &len);

	for (size_t cut = 0; cut < len; cut++) {
		char *at = guard_copy(der, cut);

		assert_int_equal(tls_staple_trim((uint8_t *)at, cut, issuer), cut);
		assert_memory_equal(at, der, cut);
		guard_free(at, cut);
	}
	free(der);
}

/* ---- what a handshake of TLS 1.3 leaves behind ---- */

static size_t put(uint8_t *out, size_t at, const void *data, size_t len)
{
	memcpy(out + at, data, len);
	return at + len;
}

/* One that asks for the status, with a share of X25519 or (for a HelloRetryRequest) none, and so many octets of padding (RFC 7685). */
static size_t hello_of_tls13(uint8_t *out, bool share, size_t padding)
{
	static const uint8_t front[] = { 0x16, 3, 3, 0, 0, 1, 0, 0, 0, 3, 3 };
	static const uint8_t suites[] = { 0, 0, 2, 0x13, 0x01, 1, 0, 0, 0 };
	static const uint8_t usual[] = { 0,    5, 0,  5, 1, 0, 0, 0, 0, 0, 10, 0, 4, 0, 2, 0,
					 0x1d, 0, 13, 0, 4, 0, 2, 4, 3, 0, 43, 0, 3, 2, 3, 4 };
	static const uint8_t none[] = { 0, 51, 0, 2, 0, 0 };
	static const uint8_t some[] = { 0, 51, 0, 38, 0, 36, 0, 0x1d, 0, 32, 9 };
	const uint8_t pad[] = { 0, 21, (uint8_t)(padding >> 8), (uint8_t)padding };
	size_t at = put(out, 0, front, sizeof(front)), extensions;

	memset(out + at, 7, 32); /* random */
	at = put(out, at + 32, suites, sizeof(suites));
	extensions = at;
	at = put(out, at, usual, sizeof(usual));
	at = share ? put(out, at, some, sizeof(some)) : put(out, at, none, sizeof(none));
	memset(out + at, 0, 31 + sizeof(pad) + padding);
	at += share ? 31 : 0;
	at = put(out, at, pad, sizeof(pad)) + padding;
	out[3] = (uint8_t)((at - 5) >> 8);
	out[4] = (uint8_t)(at - 5);
	out[7] = (uint8_t)((at - 9) >> 8);
	out[8] = (uint8_t)(at - 9);
	out[extensions - 2] = (uint8_t)((at - extensions) >> 8);
	out[extensions - 1] = (uint8_t)(at - extensions);
	return at;
}

/* As far as the server's flight; the client then goes. */
static void shake13(struct tls_context *context, bool retry, size_t padding)
{
	static const struct tls_accept accept = { .sni = NAME };
	struct tls *tls = tls_accept_new(context, &accept);
	uint8_t data[16384];
	struct buffer in, out;

	assert_non_null(tls);
	buffer_init(&in, 1 << 16);
	buffer_init(&out, 1 << 16);
	for (int i = retry ? 0 : 1; i < 2; i++) {
		size_t len = hello_of_tls13(data, i == 1, padding), before = buffer_len(&out);

		assert_true(buffer_append(&in, data, len));
		assert_int_equal(tls_handshake(tls, &in, &out), TLS_AGAIN);
		assert_true(buffer_len(&out) > before);
	}
	tls_free(tls);
	buffer_cleanup(&in);
	buffer_cleanup(&out);
}

static struct tls_context *stapling_context(size_t *len)
{
	struct tls_context *context = new_context(&leaf);
	unsigned char *der = pem_staple(&authority, &leaf, -60, DAY, false, len);

	assert_true(tls_staple_use(context, bytes(der, *len), time(NULL) + DAY,
				   span_of(authority.chain)));
	free(der);
	return context;
}

static size_t kept(void)
{
	return mallinfo2().uordblks;
}

static void a_handshake_keeps_nothing(bool retry)
{
	size_t len, before = 0;
	struct tls_context *context = stapling_context(&len);

	for (int i = 0; i < 40; i++) {
		if (i == 20) /* what was to be set up is */
			before = kept();
		shake13(context, retry, 0);
	}
	assert_true(kept() < before + len);
	drop_context(context);
}

static void a_handshake_of_tls_1_3_keeps_nothing(void **state)
{
	a_handshake_keeps_nothing(false);
}

static void nor_does_one_with_a_second_hello(void **state)
{
	a_handshake_keeps_nothing(true);
}

/* The library takes a block for the record: one as large as the response must not be taken for it. */
static void nor_does_one_whose_hello_is_as_long_as_the_response(void **state)
{
	size_t len, before = 0, bare;
	struct tls_context *context = stapling_context(&len);
	uint8_t data[1024];

	bare = hello_of_tls13(data, true, 0);
	assert_true(bare + 32 < len);
	for (size_t i = 0; i < 40 * 16; i++) {
		if (i == 20 * 16)
			before = kept();
		shake13(context, false, len - bare - 4 + i % 16);
	}
	assert_true(kept() < before + 10 * len);
	drop_context(context);
}

static int begin(void **state)
{
	authority = pem_authority("P-256");
	foreign = pem_authority("P-256");
	leaf = pem_issue(&authority, "P-256", NAME);
	return tls_init();
}

static int end(void **state)
{
	pem_free(&authority);
	pem_free(&foreign);
	pem_free(&leaf);
	tls_cleanup();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_that_asks_gets_it_each_time),
		cmocka_unit_test(what_has_ended_is_not_sent_whoever_notices),
		cmocka_unit_test(what_another_authority_says_is_not_sent),
		cmocka_unit_test(without_one_the_handshake_is_as_ever),
		cmocka_unit_test(rubbish_is_not_sent_and_does_no_harm),
		cmocka_unit_test(without_an_issuer_there_is_no_context),
		cmocka_unit_test(the_issuer_within_is_taken_out_and_the_rest_is_sent),
		cmocka_unit_test(other_certificates_stay),
		cmocka_unit_test(what_is_cut_off_is_left_as_it_is),
		cmocka_unit_test(a_handshake_of_tls_1_3_keeps_nothing),
		cmocka_unit_test(nor_does_one_with_a_second_hello),
		cmocka_unit_test(nor_does_one_whose_hello_is_as_long_as_the_response),
	};

	return cmocka_run_group_tests_name("tls_staple", tests, begin, end);
}
