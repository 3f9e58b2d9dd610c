/* test_tls_profile - what the library makes of each profile: what it offers as a client, and what two of them agree on. */
#include "frontend/tls.h"
#include "protocols/tls_hello.h"
#include "tests/support/signer.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#define SCSV_RENEGOTIATION 0x00ff

static struct pem_pair authority;

static void the_library_takes_every_profile_of_listeners(void **state)
{
	char why[256];

	for (int id = 0; profile_find(id)->listener; id++)
		if (!tls_profile_check(profile_find(id), why))
			fail_msg("%s", why);
}

static struct tls_context *client_context(int profile)
{
	const struct config_pool pool = {
		.verify = VERIFY_CA,
		.profile = profile,
		.ca_pem = { (const uint8_t *)authority.chain, strlen(authority.chain) },
	};
	char why[256];
	struct tls_context *context = tls_context_client(&pool, why);

	assert_non_null(context);
	return context;
}

/* ---- what a client of ours offers ---- */

static void check_hello(const struct profile *profile, const struct tls_hello *hello)
{
	size_t count = 0;

	for (uint16_t version = 0x0301; version <= 0x0304; version++)
		assert_int_equal(tls_hello_offers(hello, version),
				 version >= profile->min && version <= profile->max);
	for (size_t i = 0; i < hello->suites.count; i++)
		if (tls_hello_at(hello->suites, i) != SCSV_RENEGOTIATION)
			assert_non_null(profile_suite(profile, tls_hello_at(hello->suites, i)));
	for (; profile->suites[count] != NULL; count++)
		assert_true(tls_hello_has(hello->suites, profile->suites[count]->number));
	for (size_t i = 0; i < hello->groups.count; i++)
		assert_non_null(profile_group(profile, tls_hello_at(hello->groups, i)));
	for (size_t i = 0; profile->groups[i] != NULL; i++)
		assert_int_equal(tls_hello_at(hello->groups, i), profile->groups[i]->number);
	for (size_t i = 0; i < hello->sigalgs.count; i++) {
		uint16_t number = tls_hello_at(hello->sigalgs, i);

		/* The library names RSA-PSS twice, for keys that are marked for it (0x0809 on) as well. */
		assert_non_null(profile_sigalg(profile, number >= 0x0809 && number <= 0x080b
								? (uint16_t)(number - 5)
								: number));
	}
	for (size_t i = 0; profile->sigalgs[i] != NULL; i++)
		assert_true(tls_hello_has(hello->sigalgs, profile->sigalgs[i]->number));
}

/* Above all no anonymous suite, of which the library's own list has some: no certificate would be asked for. */
static void a_client_offers_its_profile_and_nothing_else(void **state)
{
	static struct tls_hello hello;

	for (int id = 0; id < PROFILES; id++) {
		struct tls_context *context = client_context(id);
		struct tls *tls = tls_connect_new(context, "mail.example.test");
		struct buffer in, out;

		buffer_init(&in, 1 << 16);
		buffer_init(&out, 1 << 16);
		assert_int_equal(tls_handshake(tls, &in, &out), TLS_AGAIN);
		assert_int_equal(tls_hello_parse((uint8_t *)buffer_data(&out), buffer_len(&out),
						 &hello),
				 TLS_HELLO_DONE);
		check_hello(profile_find(id), &hello);
		tls_free(tls);
		tls_context_drop(context);
		buffer_cleanup(&in);
		buffer_cleanup(&out);
	}
}

/* ---- what they agree on ---- */

/* The facts of the client; false when one of them refused. */
static bool agree(struct tls_context *server_context, struct tls_context *client,
		  struct tls_facts *out)
{
	static const struct tls_accept accept = { .sni = "" };
	struct tls *here = tls_connect_new(client, "mail.example.test");
	struct tls *there = tls_accept_new(server_context, &accept);
	enum tls_result a = TLS_AGAIN, b = TLS_AGAIN;
	struct buffer to_here, to_there;

	buffer_init(&to_here, 1 << 20);
	buffer_init(&to_there, 1 << 20);
	for (int i = 0; i < 10 && a != TLS_FAILED && b != TLS_FAILED; i++) {
		if (a == TLS_AGAIN)
			a = tls_handshake(here, &to_here, &to_there);
		if (b == TLS_AGAIN)
			b = tls_handshake(there, &to_there, &to_here);
	}
	if (a == TLS_DONE && b == TLS_DONE)
		tls_facts(here, out);
	tls_free(here);
	tls_free(there);
	buffer_cleanup(&to_here);
	buffer_cleanup(&to_there);
	return a == TLS_DONE && b == TLS_DONE;
}

/* Each profile of listeners before each of pools: all have TLS 1.3 and P-256 in common, and the first group is the server's choice. */
static void profiles_agree(void **state)
{
	struct pem_pair pem = pem_issue(&authority, "P-256", "mail.example.test");

	for (int server = 0; profile_find(server)->listener; server++) {
		struct tls_context *context = signer_context(&pem, profile_find(server));

		for (int client = 0; client < PROFILES; client++) {
			struct tls_context *other = client_context(client);
			struct tls_facts facts = { .version = "" };

			assert_true(agree(context, other, &facts));
			assert_string_equal(facts.version, "TLSv1.3");
			assert_non_null(profile_group_named(profile_find(server), facts.group));
			assert_non_null(profile_group_named(profile_find(client), facts.group));
			tls_context_drop(other);
		}
		tls_context_drop(context);
	}
	signer_forget();
	pem_free(&pem);
}

/* Keys of servers that are too small for the profile. */
static void small_keys(void **state)
{
	struct pem_pair pem = pem_issue(&authority, "RSA-2048", "mail.example.test");
	struct tls_context *context = signer_context(&pem, profile_find(PROFILE_MODERN));
	struct tls_context *modern = client_context(PROFILE_MODERN);
	struct tls_context *ncsc = client_context(PROFILE_NCSC);
	struct tls_facts facts;

	assert_true(agree(context, modern, &facts));
	assert_false(agree(context, ncsc, &facts));
	tls_context_drop(context);
	tls_context_drop(modern);
	tls_context_drop(ncsc);
	signer_forget();
	pem_free(&pem);
}

/* ---- a server that lies ---- */

/* What a client of ours makes of a ServerHello of TLS 1.3 with that share; the profile's first group is the one it has a share of. */
static enum tls_result answer_share(int profile, unsigned group, const uint8_t *point, size_t len)
{
	uint8_t data[256] = {
		0x16, 3, 3, 0, (uint8_t)(57 + len), 2, 0, 0, (uint8_t)(53 + len), 3, 3
	};
	const uint8_t rest[] = { 0, 0x13,
				 1, 0,
				 0, (uint8_t)(14 + len),
				 0, 43,
				 0, 2,
				 3, 4,
				 0, 51,
				 0, (uint8_t)(4 + len),
				 0, (uint8_t)group,
				 0, (uint8_t)len };
	struct tls_context *context = client_context(profile);
	struct tls *tls = tls_connect_new(context, "mail.example.test");
	struct buffer in, out;
	enum tls_result result;
	size_t at = 11 + 32;

	memset(data + 11, 7, 32);
	memcpy(data + at, rest, sizeof(rest));
	memcpy(data + at + sizeof(rest), point, len);
	at += sizeof(rest) + len;
	data[4] = (uint8_t)(at - 5);
	data[8] = (uint8_t)(at - 9);
	buffer_init(&in, 1 << 16);
	buffer_init(&out, 1 << 16);
	assert_int_equal(tls_handshake(tls, &in, &out), TLS_AGAIN);
	assert_true(buffer_append(&in, data, at));
	result = tls_handshake(tls, &in, &out);
	tls_free(tls);
	tls_context_drop(context);
	buffer_cleanup(&in);
	buffer_cleanup(&out);
	return result;
}

/* RFC 8446 4.2.8.2 and 7.4.2: the same for servers. */
static void a_store_s_point_is_checked(void **state)
{
	static const uint8_t order_eight[32] = {
		0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3,
		0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
		0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
	};
	static const uint8_t base_point[32] = { 9 };
	uint8_t p256[65] = {
		0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5,
		0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4,
		0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a,
		0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33,
		0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5
	}; /* its base point */

	assert_int_equal(answer_share(PROFILE_MODERN, 29, base_point, 32), TLS_AGAIN);
	assert_int_equal(answer_share(PROFILE_MODERN, 29, order_eight, 32), TLS_FAILED);
	assert_int_equal(answer_share(PROFILE_NIST, 23, p256, sizeof(p256)), TLS_AGAIN);
	p256[64] ^= 1;
	assert_int_equal(answer_share(PROFILE_NIST, 23, p256, sizeof(p256)), TLS_FAILED);
}

static int start(void **state)
{
	if (tls_init() != 0)
		return -1;
	authority = pem_authority("P-256");
	return 0;
}

static int stop(void **state)
{
	pem_free(&authority);
	tls_cleanup();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_library_takes_every_profile_of_listeners),
		cmocka_unit_test(a_client_offers_its_profile_and_nothing_else),
		cmocka_unit_test(profiles_agree),
		cmocka_unit_test(small_keys),
		cmocka_unit_test(a_store_s_point_is_checked),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
