/* test_publication - what the monitor and the workers tell each other, and what a worker makes of it. */
#include "frontend/backends.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define MAX       65536
#define BIT(name) (1u << EXTENSION_##name)

static struct address address_of(const char *text, unsigned port)
{
	struct address address;

	assert_true(address_parse(text, port, &address));
	return address;
}

/* ---- the codec ---- */

static struct published_pool sample(void)
{
	struct published_pool pool = {
		.generation = 7,
		.pool = 2,
		.known = true,
		.extensions = { BIT(SIZE) | BIT(DSN), 1000 },
		.count = 3,
	};

	pool.targets[0] = (struct published_target) { 0, address_of("192.0.2.1", 143), HEALTH_UP };
	pool.targets[1] =
		(struct published_target) { 0, address_of("2001:db8::1", 143), HEALTH_DOWN };
	pool.targets[2].server = 1;
	assert_true(address_local("/run/imap", &pool.targets[2].address));
	return pool;
}

/* A reader of the first `len` bytes of the fields. */
static struct message_reader reader_of(const struct message_writer *writer, size_t len)
{
	return (struct message_reader) { .data = writer->data + MESSAGE_HEADER, .len = len };
}

static void a_pool_comes_back_as_it_was_and_no_part_of_it_is_taken(void **state)
{
	struct published_pool pool = sample(), back;
	struct message_writer writer;
	struct message_reader reader;

	message_begin(&writer, MAX, PUBLICATION_POOL);
	publication_put_pool(&writer, &pool);
	assert_true(message_end(&writer, 0));
	reader = reader_of(&writer, writer.len - MESSAGE_HEADER);
	assert_true(publication_get_pool(&reader, &back));
	assert_int_equal(back.generation, 7);
	assert_int_equal(back.pool, 2);
	assert_true(back.known && extension_equal(back.extensions, pool.extensions));
	assert_int_equal(back.count, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(back.targets[i].server, pool.targets[i].server);
		assert_int_equal(back.targets[i].health, pool.targets[i].health);
		assert_true(address_equal(&back.targets[i].address, &pool.targets[i].address));
	}
	for (size_t len = 0; len < writer.len - MESSAGE_HEADER; len++) {
		reader = reader_of(&writer, len);
		assert_false(publication_get_pool(&reader, &back));
	}
	message_put_u8(&writer, 0);
	reader = reader_of(&writer, writer.len - MESSAGE_HEADER);
	assert_false(publication_get_pool(&reader, &back));
	message_writer_cleanup(&writer);
}

static bool takes(const struct published_pool *pool)
{
	struct message_writer writer;
	struct message_reader reader;
	struct published_pool back;
	bool taken;

	message_begin(&writer, MAX, PUBLICATION_POOL);
	publication_put_pool(&writer, pool);
	assert_true(message_end(&writer, 0));
	reader = reader_of(&writer, writer.len - MESSAGE_HEADER);
	taken = publication_get_pool(&reader, &back);
	message_writer_cleanup(&writer);
	return taken;
}

static void values_out_of_range_are_refused(void **state)
{
	struct published_pool pool = sample();

	pool.extensions.set = EXTENSIONS_ALL + 1;
	assert_false(takes(&pool));
	pool = sample();
	pool.targets[1].health = HEALTH_DOWN + 1;
	assert_false(takes(&pool));
	pool = sample();
	pool.targets[1].address.len--;
	assert_false(takes(&pool));
	pool = sample();
	pool.targets[1].address.len = 0;
	assert_false(takes(&pool));
	pool = sample();
	pool.count = 0;
	assert_true(takes(&pool));
}

static void a_list_longer_than_a_pool_is_refused(void **state)
{
	struct message_writer writer;
	struct message_reader reader;
	struct published_pool back;

	message_begin(&writer, MAX, PUBLICATION_POOL);
	for (int i = 0; i < 2; i++)
		message_put_u32(&writer, 1);
	message_put_u8(&writer, 1);
	message_put_u32(&writer, 0);
	message_put_u64(&writer, 0);
	message_put_u32(&writer, CONFIG_SERVERS_MAX + 1);
	for (int i = 0; i < 4096; i++)
		message_put_u32(&writer, 0);
	reader = reader_of(&writer, writer.len - MESSAGE_HEADER);
	assert_false(publication_get_pool(&reader, &back));
	message_writer_cleanup(&writer);
}

static void a_suspect_comes_back_as_it_was(void **state)
{
	struct published_suspect suspect = { 3, 1, address_of("127.0.0.1", 25) }, back;
	struct message_writer writer;
	struct message_reader reader;

	message_begin(&writer, MAX, PUBLICATION_SUSPECT);
	publication_put_suspect(&writer, &suspect);
	assert_true(message_end(&writer, 0));
	for (size_t len = 0; len < writer.len - MESSAGE_HEADER; len++) {
		reader = reader_of(&writer, len);
		assert_false(publication_get_suspect(&reader, &back));
	}
	reader = reader_of(&writer, writer.len - MESSAGE_HEADER);
	assert_true(publication_get_suspect(&reader, &back));
	assert_int_equal(back.generation, 3);
	assert_int_equal(back.pool, 1);
	assert_true(address_equal(&back.address, &suspect.address));
	message_writer_cleanup(&writer);
}

/* ---- what a worker makes of it ---- */

static struct config_server servers[3];
static struct config_pool pool_config;

static int make_config(void **state)
{
	static const char *const none[] = { NULL };

	pool_config = (struct config_pool) {
		.name = "pool",
		.protocol = PROTOCOL_SUBMISSION,
		.servers = { servers, 3 },
		.tls = BACKEND_TLS_NONE,
		.capabilities = { (const char **)none, 0 },
	};
	for (unsigned i = 0; i < 3; i++)
		servers[i] = (struct config_server) {
			.host = "127.0.0.1",
			.name = "name",
			.address = address_of("127.0.0.1", 1 + i),
		};
	return 0;
}

/* The ports in the order in which a login would try them. */
static const char *order(struct backends *backends, double now)
{
	static char text[CONFIG_SERVERS_MAX * 6 + 1];
	struct backend_plan *plan = backends_plan(backends, now, 10);
	size_t len = 0;

	assert_non_null(plan);
	text[0] = '\0';
	for (size_t i = 0; i < plan->count; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%u", i ? " " : "",
					ntohs(plan->choices[i].address.u.v4.sin_port));
	free(plan);
	return text;
}

static struct published_pool word_of(enum health first, enum health second, enum health third)
{
	const enum health healths[] = { first, second, third };
	struct published_pool word = { .count = 3 };

	for (unsigned i = 0; i < 3; i++)
		word.targets[i] = (struct published_target) { i, servers[i].address, healths[i] };
	return word;
}

static void the_order_is_the_configuration_s_and_who_is_down_comes_last(void **state)
{
	struct published_pool word = word_of(HEALTH_DOWN, HEALTH_UP, HEALTH_UP);
	struct backends backends;

	assert_int_equal(backends_init(&backends, &pool_config), 0);
	assert_string_equal(order(&backends, 0), "1 2 3");
	assert_true(backends_publish(&backends, &word));
	assert_string_equal(order(&backends, 0), "2 3 1");
	word = word_of(HEALTH_DOWN, HEALTH_DOWN, HEALTH_DOWN);
	assert_true(backends_publish(&backends, &word));
	assert_string_equal(order(&backends, 0), "1 2 3");
	backends_cleanup(&backends);
}

static void a_server_that_failed_is_held_back_and_then_tried_by_one_login_at_a_time(void **state)
{
	struct backends backends;

	assert_int_equal(backends_init(&backends, &pool_config), 0);
	assert_true(backends_failed(&backends, &servers[0].address, 10));
	assert_false(backends_failed(&backends, &servers[0].address, 10)); /* no news */
	assert_string_equal(order(&backends, 9), "2 3 1");
	assert_string_equal(order(&backends, 11), "1 2 3");
	assert_string_equal(order(&backends, 12), "2 3 1"); /* another one is trying it */
	assert_string_equal(order(&backends, 22), "1 2 3");
	assert_true(backends_worked(&backends, &servers[0].address));
	assert_false(backends_worked(&backends, &servers[0].address));
	assert_string_equal(order(&backends, 22), "1 2 3");
	assert_string_equal(order(&backends, 22), "1 2 3");
	backends_cleanup(&backends);
}

static void who_is_held_comes_before_who_is_down(void **state)
{
	struct published_pool word = word_of(HEALTH_DOWN, HEALTH_UP, HEALTH_UP);
	struct backends backends;

	assert_int_equal(backends_init(&backends, &pool_config), 0);
	assert_true(backends_publish(&backends, &word));
	assert_true(backends_failed(&backends, &servers[1].address, 10));
	assert_true(backends_failed(&backends, &servers[2].address, 10));
	assert_string_equal(order(&backends, 1), "2 3 1");
	backends_cleanup(&backends);
}

static void one_user_s_failures_are_no_word_about_the_server(void **state)
{
	const struct address *first = &servers[0].address;
	struct published_pool word = word_of(HEALTH_UP, HEALTH_UP, HEALTH_UP);
	struct backends backends;

	assert_int_equal(backends_init(&backends, &pool_config), 0);
	assert_false(backends_doubted(&backends, first, 7));
	assert_false(backends_doubted(&backends, first, 7));
	backends_worked(&backends, first);
	assert_false(backends_doubted(&backends, first, 8));
	assert_true(backends_publish(&backends, &word)); /* does not make it forget */
	assert_false(backends_doubted(&backends, &servers[1].address, 9));
	assert_true(backends_doubted(&backends, first, 9));
	backends_cleanup(&backends);
}

static void coming_back_up_ends_the_hold_and_merely_being_up_does_not(void **state)
{
	struct published_pool up = word_of(HEALTH_UP, HEALTH_UP, HEALTH_UP);
	struct published_pool down = word_of(HEALTH_DOWN, HEALTH_UP, HEALTH_UP);
	struct backends backends;

	assert_int_equal(backends_init(&backends, &pool_config), 0);
	assert_true(backends_publish(&backends, &up));
	assert_true(backends_failed(&backends, &servers[0].address, 10));
	assert_true(backends_publish(&backends, &up));
	assert_string_equal(order(&backends, 1), "2 3 1");
	assert_true(backends_publish(&backends, &down));
	assert_false(backends_failed(&backends, &servers[0].address, 10)); /* that is known */
	assert_true(backends_publish(&backends, &up));
	assert_string_equal(order(&backends, 1), "1 2 3");
	backends_cleanup(&backends);
}

static void clear_text_goes_to_loopback_alone_wherever_an_address_came_from(void **state)
{
	struct published_pool word = word_of(HEALTH_UP, HEALTH_UP, HEALTH_UP);
	struct backends backends;

	servers[1].address = address_of("192.0.2.1", 2);
	assert_int_equal(backends_init(&backends, &pool_config), 0);
	assert_string_equal(order(&backends, 0), "1 3");
	word.targets[2].address = address_of("192.0.2.1", 2);
	assert_true(backends_publish(&backends, &word));
	assert_string_equal(order(&backends, 0), "1 2");
	backends_cleanup(&backends);
	pool_config.plaintext_ok = true;
	assert_int_equal(backends_init(&backends, &pool_config), 0);
	assert_string_equal(order(&backends, 0), "1 2 3");
	backends_cleanup(&backends);
}

static void a_server_that_the_pool_does_not_have_is_dropped(void **state)
{
	struct published_pool word = word_of(HEALTH_UP, HEALTH_UP, HEALTH_UP);
	struct backends backends;

	assert_int_equal(backends_init(&backends, &pool_config), 0);
	word.targets[0].server = 3;
	assert_true(backends_publish(&backends, &word));
	assert_string_equal(order(&backends, 0), "2 3");
	word.targets[1].server = word.targets[2].server = 3;
	assert_false(backends_publish(&backends, &word));
	assert_string_equal(order(&backends, 0), "2 3");
	backends_cleanup(&backends);
}

static void what_the_operator_states_is_not_replaced_by_what_was_found(void **state)
{
	static const char *stated[] = { "SIZE 55", "8BITMIME", NULL };
	struct published_pool word = word_of(HEALTH_UP, HEALTH_UP, HEALTH_UP);
	struct backends backends;

	word.known = true;
	word.extensions = (struct extension_set) { BIT(DSN), 0 };
	assert_int_equal(backends_init(&backends, &pool_config), 0);
	assert_int_equal(backends.extensions.set, 0);
	assert_true(backends_publish(&backends, &word));
	assert_int_equal(backends.extensions.set, BIT(DSN));
	backends_cleanup(&backends);
	pool_config.capabilities = (struct config_strings) { stated, 2 };
	assert_int_equal(backends_init(&backends, &pool_config), 0);
	assert_true(backends_publish(&backends, &word));
	assert_int_equal(backends.extensions.set, BIT(SIZE) | BIT(8BITMIME));
	assert_int_equal(backends.extensions.size, 55);
	backends_cleanup(&backends);
}

static void a_monitor_that_has_just_begun_takes_nothing_away(void **state)
{
	struct published_pool word = word_of(HEALTH_DOWN, HEALTH_UP, HEALTH_UP);
	struct published_pool begun = word_of(HEALTH_UNKNOWN, HEALTH_UNKNOWN, HEALTH_UNKNOWN);
	struct backends backends;

	word.known = true;
	word.extensions = (struct extension_set) { BIT(DSN), 0 };
	assert_int_equal(backends_init(&backends, &pool_config), 0);
	assert_true(backends_publish(&backends, &word));
	assert_true(backends_publish(&backends, &begun));
	assert_string_equal(order(&backends, 0), "2 3 1");
	assert_int_equal(backends.extensions.set, BIT(DSN));
	begun.count = 0; /* its names have not been looked up */
	assert_false(backends_publish(&backends, &begun));
	assert_string_equal(order(&backends, 0), "2 3 1");
	begun = word_of(HEALTH_UNKNOWN, HEALTH_UNKNOWN, HEALTH_UNKNOWN);
	for (unsigned i = 0; i < 3; i++)
		begun.targets[i].address = address_of("127.0.0.2", 1 + i);
	assert_true(backends_publish(&backends, &begun)); /* other servers altogether */
	assert_string_equal(order(&backends, 0), "1 2 3");
	assert_int_equal(backends.extensions.set, 0);
	backends_cleanup(&backends);
}

static void a_name_that_does_not_resolve_any_more_keeps_its_addresses(void **state)
{
	struct published_pool word = word_of(HEALTH_UP, HEALTH_DOWN, HEALTH_UP);
	struct config_server fewer[2] = { servers[0], servers[2] };
	struct config_pool next = pool_config;
	struct backends earlier, later;

	servers[0].host = servers[1].host = fewer[0].host = "store.example.test";
	fewer[0].address.len = 0;
	servers[2].port = fewer[1].port = 5;
	next.servers.items = fewer;
	next.servers.count = 2;
	assert_int_equal(backends_init(&earlier, &pool_config), 0);
	assert_int_equal(backends_init(&later, &next), 0);
	assert_true(backends_publish(&earlier, &word));
	assert_string_equal(order(&later, 0), "3");
	backends_inherit(&later, &earlier);
	assert_string_equal(order(&later, 0), "1 3 2");
	assert_int_equal(later.targets[0].server, 0);
	assert_int_equal(later.targets[1].server, 0);
	assert_int_equal(later.targets[2].server, 1);
	backends_cleanup(&earlier);
	backends_cleanup(&later);
}

static void the_next_configuration_begins_with_what_was_known(void **state)
{
	struct published_pool word = word_of(HEALTH_UP, HEALTH_DOWN, HEALTH_UP);
	struct config_pool other = pool_config;
	struct backends earlier, later, foreign;

	word.known = true;
	word.extensions = (struct extension_set) { BIT(DSN), 0 };
	other.name = "other";
	assert_int_equal(backends_init(&earlier, &pool_config), 0);
	assert_int_equal(backends_init(&later, &pool_config), 0);
	assert_int_equal(backends_init(&foreign, &other), 0);
	assert_true(backends_publish(&earlier, &word));
	assert_true(backends_failed(&earlier, &servers[0].address, 10));
	backends_inherit(&later, &earlier);
	backends_inherit(&foreign, &earlier);
	assert_string_equal(order(&later, 1), "3 1 2");
	assert_int_equal(later.extensions.set, BIT(DSN));
	assert_string_equal(order(&foreign, 1), "1 2 3");
	assert_int_equal(foreign.extensions.set, 0);
	backends_cleanup(&earlier);
	backends_cleanup(&later);
	backends_cleanup(&foreign);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pool_comes_back_as_it_was_and_no_part_of_it_is_taken),
		cmocka_unit_test(values_out_of_range_are_refused),
		cmocka_unit_test(a_list_longer_than_a_pool_is_refused),
		cmocka_unit_test(a_suspect_comes_back_as_it_was),
		cmocka_unit_test_setup(the_order_is_the_configuration_s_and_who_is_down_comes_last,
				       make_config),
		cmocka_unit_test_setup(
			a_server_that_failed_is_held_back_and_then_tried_by_one_login_at_a_time,
			make_config),
		cmocka_unit_test_setup(who_is_held_comes_before_who_is_down, make_config),
		cmocka_unit_test_setup(one_user_s_failures_are_no_word_about_the_server,
				       make_config),
		cmocka_unit_test_setup(coming_back_up_ends_the_hold_and_merely_being_up_does_not,
				       make_config),
		cmocka_unit_test_setup(
			clear_text_goes_to_loopback_alone_wherever_an_address_came_from,
			make_config),
		cmocka_unit_test_setup(a_server_that_the_pool_does_not_have_is_dropped,
				       make_config),
		cmocka_unit_test_setup(what_the_operator_states_is_not_replaced_by_what_was_found,
				       make_config),
		cmocka_unit_test_setup(a_monitor_that_has_just_begun_takes_nothing_away,
				       make_config),
		cmocka_unit_test_setup(a_name_that_does_not_resolve_any_more_keeps_its_addresses,
				       make_config),
		cmocka_unit_test_setup(the_next_configuration_begins_with_what_was_known,
				       make_config),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
