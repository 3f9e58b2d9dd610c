/* The table of TLS profiles against what its standards say of each row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "frontend/profile.h"
#include <string.h>

static void test_versions_are_ordered_and_have_suites(void **state)
{
	for (int id = 0; id < PROFILES; id++) {
		const struct profile *profile = profile_find(id);

		assert_true(profile->min <= profile->max);
		for (uint16_t version = profile->min; version <= profile->max; version++) {
			bool found = false;

			for (size_t i = 0; profile->suites[i] != NULL; i++)
				found = found || (profile->suites[i]->min <= version &&
						  profile->suites[i]->max >= version);
			assert_true(found);
		}
	}
}

static void test_every_suite_is_of_a_version_of_its_profile(void **state)
{
	for (int id = 0; id < PROFILES; id++) {
		const struct profile *profile = profile_find(id);

		for (size_t i = 0; profile->suites[i] != NULL; i++) {
			const struct profile_suite *suite = profile->suites[i];

			assert_true(suite->max >= profile->min && suite->min <= profile->max);
			assert_ptr_equal(profile_suite(profile, suite->number), suite);
		}
	}
}

/* RFC 9325 4.1: no NULL, RC4, EXPORT, anonymous, static RSA; listeners have forward secrecy by elliptic curves alone. */
static void test_no_suite_that_no_profile_may_have(void **state)
{
	for (int id = 0; id < PROFILES; id++) {
		const struct profile *profile = profile_find(id);

		for (size_t i = 0; profile->suites[i] != NULL; i++) {
			const struct profile_suite *suite = profile->suites[i];

			assert_null(strstr(suite->iana, "NULL"));
			assert_null(strstr(suite->iana, "RC4"));
			assert_null(strstr(suite->iana, "EXPORT"));
			assert_null(strstr(suite->iana, "anon"));
			assert_null(strstr(suite->iana, "MD5"));
			assert_int_not_equal(strncmp(suite->iana, "TLS_RSA_", 8), 0);
			if (profile->listener && suite->max < PROFILE_TLS13)
				assert_int_equal(strncmp(suite->iana, "TLS_ECDHE_", 10), 0);
			if (profile->listener)
				assert_null(strstr(suite->iana, "3DES"));
			if (profile->listener && id != PROFILE_TES)
				assert_null(strstr(suite->iana, "CBC"));
		}
	}
}

static void test_rows(void **state)
{
	static const struct {
		uint16_t min;
		int bits;
		bool listener, refuse, warns, sha1_signed;
	} rows[PROFILES] = {
		[PROFILE_MODERN] = { PROFILE_TLS12, 2048, true, false, false, false },
		[PROFILE_STRICT] = { PROFILE_TLS13, 2048, true, true, false, false },
		[PROFILE_NIST] = { PROFILE_TLS12, 2048, true, false, false, false },
		[PROFILE_NCSC] = { PROFILE_TLS13, 3072, true, false, false, false },
		[PROFILE_TES] = { PROFILE_TLS11, 2048, true, false, true, false },
		[PROFILE_COMPATIBLE] = { PROFILE_TLS12, 1024, false, false, false, true },
		[PROFILE_LEGACY] = { PROFILE_TLS11, 512, false, false, true, true },
	};

	for (int id = 0; id < PROFILES; id++) {
		const struct profile *profile = profile_find(id);

		assert_int_equal(profile->min, rows[id].min);
		assert_int_equal(profile->max, PROFILE_TLS13);
		assert_int_equal(profile->rsa_bits, rows[id].bits);
		assert_int_equal(profile->listener, rows[id].listener);
		assert_int_equal(profile->refuse_unknown, rows[id].refuse);
		assert_int_equal(profile->warning != NULL, rows[id].warns);
		assert_int_equal(profile_sigalg(profile, 0x0201) != NULL, rows[id].sha1_signed);
		assert_non_null(profile_group(profile, 23));
		assert_non_null(profile_sigalg(profile, 0x0403));
	}
}

/* SP 800-52r2 knows neither X25519 nor ChaCha20 nor Ed25519. */
static void test_nist(void **state)
{
	const struct profile *nist = profile_find(PROFILE_NIST);

	assert_null(profile_group(nist, 29));
	assert_non_null(profile_group(nist, 24));
	assert_null(profile_suite(nist, 0x1303));
	assert_null(profile_suite(nist, 0xcca8));
	assert_null(profile_sigalg(nist, 0x0807));
	assert_false(nist->keys & PROFILE_KEY_ED25519);
}

static void test_look_ups(void **state)
{
	const struct profile *modern = profile_find(PROFILE_MODERN);

	assert_string_equal(profile_suite(modern, 0xc02f)->iana,
			    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
	assert_null(profile_suite(modern, 0xc013));
	assert_null(profile_suite(modern, 0x00ff));
	assert_string_equal(profile_group_named(modern, "SECP256R1")->name, "P-256");
	assert_null(profile_group_named(modern, "SECP521R1"));
	assert_null(profile_group_named(modern, ""));
	assert_null(profile_group(modern, 25));
	assert_null(profile_sigalg(modern, 0x0203));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions_are_ordered_and_have_suites),
		cmocka_unit_test(test_every_suite_is_of_a_version_of_its_profile),
		cmocka_unit_test(test_no_suite_that_no_profile_may_have),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_nist),
		cmocka_unit_test(test_look_ups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
