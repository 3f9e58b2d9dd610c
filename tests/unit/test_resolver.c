/* test_resolver - names looked up beside the loop. Only names that need no network are asked for. */
#include "frontend/resolver.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

struct seen {
	struct ev_loop *loop;
	unsigned count, wanted;
	uint64_t ids[RESOLVER_WAITING_MAX];
	struct resolver_answer last;
};

static void answered(void *owner, const struct resolver_answer *answer)
{
	struct seen *seen = owner;

	seen->ids[seen->count++] = answer->id;
	seen->last = *answer;
	if (seen->count == seen->wanted)
		ev_break(seen->loop, EVBREAK_ALL);
}

static struct seen *begin(struct resolver **resolver, unsigned wanted)
{
	struct seen *seen = calloc(1, sizeof(*seen));

	assert_non_null(seen);
	seen->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	seen->wanted = wanted;
	*resolver = resolver_new(seen->loop, answered, seen);
	assert_non_null(*resolver);
	return seen;
}

static void end(struct seen *seen, struct resolver *resolver)
{
	resolver_free(resolver);
	ev_loop_destroy(seen->loop);
	free(seen);
}

static void what_was_forgotten_is_not_answered_and_makes_room(void **state)
{
	struct resolver *resolver;
	struct seen *seen = begin(&resolver, 1);

	for (unsigned i = 0; i < RESOLVER_WAITING_MAX; i++)
		assert_int_equal(resolver_ask(resolver, i, "127.0.0.9", 143), 0);
	assert_int_equal(resolver_ask(resolver, 7, "127.0.0.9", 143), -1);
	resolver_forget(resolver);
	assert_int_equal(resolver_ask(resolver, 5000, "127.0.0.9", 143), 0);
	ev_run(seen->loop, 0);
	assert_int_equal(seen->count, 1);
	assert_int_equal(seen->ids[0], 5000);
	end(seen, resolver);
}

static void an_answer_has_the_address_and_the_port(void **state)
{
	struct resolver *resolver;
	struct seen *seen = begin(&resolver, 1);

	assert_int_equal(resolver_ask(resolver, 77, "127.0.0.9", 143), 0);
	assert_int_equal(seen->count, 0);
	ev_run(seen->loop, 0);
	assert_int_equal(seen->ids[0], 77);
	assert_null(seen->last.error);
	assert_int_equal(seen->last.count, 1);
	assert_int_equal(ntohs(seen->last.addresses[0].u.v4.sin_port), 143);
	assert_int_equal(ntohl(seen->last.addresses[0].u.v4.sin_addr.s_addr), 0x7f000009);
	end(seen, resolver);
}

static void what_is_no_name_has_an_error(void **state)
{
	struct resolver *resolver;
	struct seen *seen = begin(&resolver, 1);

	assert_int_equal(resolver_ask(resolver, 1, "not a name at all", 143), 0);
	ev_run(seen->loop, 0);
	assert_non_null(seen->last.error);
	assert_int_equal(seen->last.count, 0);
	end(seen, resolver);
}

static void answers_come_in_order_and_what_waits_is_bounded(void **state)
{
	struct resolver *resolver;
	struct seen *seen = begin(&resolver, RESOLVER_WAITING_MAX);

	for (unsigned i = 0; i < RESOLVER_WAITING_MAX; i++)
		assert_int_equal(resolver_ask(resolver, i, "127.0.0.1", 1), 0);
	assert_int_equal(resolver_ask(resolver, 0, "127.0.0.1", 1), -1);
	ev_run(seen->loop, 0);
	for (unsigned i = 0; i < RESOLVER_WAITING_MAX; i++)
		assert_int_equal(seen->ids[i], i);
	assert_int_equal(resolver_ask(resolver, 0, "127.0.0.1", 1), 0);
	end(seen, resolver); /* with a question open */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_forgotten_is_not_answered_and_makes_room),
		cmocka_unit_test(an_answer_has_the_address_and_the_port),
		cmocka_unit_test(what_is_no_name_has_an_error),
		cmocka_unit_test(answers_come_in_order_and_what_waits_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
