/* session_may_relay(), the single gate: of all combinations only those with proof open it. */
#include "frontend/generation.h"
#include "frontend/session.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static bool may_relay(int source, enum login_mode mode, bool verified, bool accepted, bool tls)
{
	static char anything;
	struct config config = { .auth = { .source = source } };
	struct generation generation = { .config = &config };
	struct served_pool pool = { .login = { .mode = mode } };
	struct session session = {
		.generation = &generation,
		.pool = &pool,
		.verified = verified,
		.backend_accepted = accepted,
		.client = { .tls = tls ? (struct tls *)(void *)&anything : NULL },
	};

	return session_may_relay(&session);
}

static void only_proof_and_acceptance_together_open_the_relay(void **state)
{
	static const enum login_mode modes[] = { LOGIN_MODE_PASSWORD, LOGIN_MODE_MASTER,
						 LOGIN_MODE_XCLIENT };
	unsigned open = 0;

	for (unsigned bits = 0; bits < 16; bits++)
		for (size_t i = 0; i < 3; i++) {
			int source = bits & 1 ? AUTH_SOURCE_SASL : AUTH_SOURCE_BACKEND;
			bool verified = bits & 2, accepted = bits & 4, tls = bits & 8;

			open += may_relay(source, modes[i], verified, accepted, tls);
		}
	assert_int_equal(open, 3);
	/* the backend accepted the user's own password */
	assert_true(may_relay(AUTH_SOURCE_BACKEND, LOGIN_MODE_PASSWORD, false, true, true));
	/* SASL verified the user, and the backend accepted our login for him */
	assert_true(may_relay(AUTH_SOURCE_SASL, LOGIN_MODE_MASTER, true, true, true));
	assert_true(may_relay(AUTH_SOURCE_SASL, LOGIN_MODE_XCLIENT, true, true, true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_proof_and_acceptance_together_open_the_relay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
