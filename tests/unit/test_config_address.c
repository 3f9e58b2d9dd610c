/* test_config_address - numeric addresses, networks, loopback; RFC 4291 2.2, 2.5.3, 2.5.5.2. */
#include "frontend/address.h"
#include "frontend/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void numeric_addresses_go_to_bytes_and_back(void **state)
{
	static const struct {
		const char *text, *shown;
		bool loopback;
	} cases[] = {
		{ "127.0.0.1", "127.0.0.1:143", true },
		{ "127.255.0.9", "127.255.0.9:143", true },
		{ "0.0.0.0", "0.0.0.0:143", false },
		{ "128.0.0.1", "128.0.0.1:143", false },
		{ "::1", "[::1]:143", true },
		{ "::", "[::]:143", false },
		{ "2001:db8:0:0::1", "[2001:db8::1]:143", false },
		{ "::ffff:127.0.0.1", "[::ffff:127.0.0.1]:143", true },
		{ "::ffff:192.0.2.1", "[::ffff:192.0.2.1]:143", false },
		{ "localhost", NULL, false },
		{ "127.1", NULL, false },
		{ "127.0.0.1 ", NULL, false },
		{ "fe80::1%lo", NULL, false },
		{ "", NULL, false },
	};
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct address address;

		assert_int_equal(address_parse(cases[i].text, 143, &address),
				 cases[i].shown != NULL);
		assert_true(address_sane(&address));
		if (cases[i].shown == NULL)
			continue;
		assert_string_equal(address_text(&address.u.any, text), cases[i].shown);
		assert_int_equal(address_is_loopback(&address.u.any), cases[i].loopback);
	}
}

static void unix_sockets_are_loopback_and_bounded(void **state)
{
	struct address address;
	char path[200], text[ADDRESS_TEXT_MAX];

	(void)state;
	assert_true(address_local("/run/imap", &address));
	assert_true(address_is_loopback(&address.u.any));
	assert_string_equal(address_text(&address.u.any, text), "/run/imap");
	assert_false(address_local("", &address));
	memset(path, 'x', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	assert_false(address_local(path, &address));
	path[sizeof address.u.local.sun_path] = '\0';
	assert_false(address_local(path, &address));
	path[sizeof address.u.local.sun_path - 1] = '\0';
	assert_true(address_local(path, &address));
	assert_int_equal(strlen(address_text(&address.u.any, text)), ADDRESS_TEXT_MAX - 1);
}

static void what_is_counted_together_has_one_key_and_one_text(void **state)
{
	static const struct {
		const char *address, *host, *prefix, *wide, *same, *other;
	} known[] = {
		{ "192.0.2.1", "192.0.2.1", "192.0.2.1/32", "192.0.2.0/24", "::ffff:192.0.2.1",
		  "192.0.2.2" },
		{ "::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1/32", "192.0.2.0/24", "192.0.2.1",
		  "192.0.3.1" },
		{ "2001:db8:1:2:3::4", "2001:db8:1:2:3::4", "2001:db8:1:2::/64", "2001:db8:1::/48",
		  "2001:db8:1:2::", "2001:db8:1:3:3::4" },
	};
	struct address address = { .u.any.sa_family = AF_UNIX }, other;
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	assert_string_equal(address_host(&address.u.any, text), "-");
	assert_string_equal(address_prefix(&address.u.any, false, text), "-");
	assert_int_equal(address_key(&address.u.any).family, 0);
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		assert_true(address_parse(known[i].address, 25, &address));
		assert_string_equal(address_host(&address.u.any, text), known[i].host);
		assert_string_equal(address_prefix(&address.u.any, false, text), known[i].prefix);
		assert_string_equal(address_prefix(&address.u.any, true, text), known[i].wide);

		const struct address_key key = address_key(&address.u.any);

		assert_true(address_parse(known[i].same, 0, &other));
		assert_true(address_key(&other.u.any).number == key.number);
		assert_true(address_key(&other.u.any).family == key.family);
		assert_true(address_parse(known[i].other, 0, &other));
		assert_true(address_key(&other.u.any).number != key.number);
	}
}

static void an_address_whose_length_does_not_fit_its_family_is_not_sane(void **state)
{
	struct address address;

	(void)state;
	assert_true(address_parse("127.0.0.1", 1, &address));
	address.len = sizeof address.u.v6;
	assert_false(address_sane(&address));
	address.len = 1;
	assert_false(address_sane(&address));
	assert_true(address_local("/x", &address));
	memset(address.u.local.sun_path, 'x', sizeof address.u.local.sun_path);
	assert_false(address_sane(&address));
	address.u.any.sa_family = AF_APPLETALK;
	assert_false(address_sane(&address));
}

static void networks_hold_what_their_prefix_says(void **state)
{
	static const struct {
		const char *network, *address;
		bool inside;
	} cases[] = {
		{ "10.0.0.0/8", "10.255.255.255", true },
		{ "10.0.0.0/8", "11.0.0.0", false },
		{ "192.0.2.128/25", "192.0.2.127", false },
		{ "192.0.2.128/25", "192.0.2.200", true },
		{ "192.0.2.1", "192.0.2.1", true },
		{ "192.0.2.1", "192.0.2.2", false },
		{ "192.0.2.1/32", "192.0.2.1", true },
		{ "0.0.0.0/0", "203.0.113.9", true },
		{ "0.0.0.0/0", "2001:db8::1", false },
		{ "0.0.0.0/0", "::ffff:203.0.113.9", true },
		{ "::/0", "203.0.113.9", false },
		{ "::/0", "2001:db8::1", true },
		{ "2001:db8::/33", "2001:db8:7fff::1", true },
		{ "2001:db8::/33", "2001:db8:8000::1", false },
		{ "::1", "::1", true },
		{ "::1/128", "::2", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct config_network network;
		struct config_networks networks = { &network, 1 };
		struct address address;

		assert_null(network_parse(cases[i].network, &network));
		assert_true(address_parse(cases[i].address, 1, &address));
		if (config_networks_contain(&networks, &address.u.any) != cases[i].inside)
			fail_msg("%s in %s", cases[i].address, cases[i].network);
	}
}

static void unix_sockets_are_in_no_network(void **state)
{
	struct config_network network;
	struct config_networks networks = { &network, 1 };
	struct address address;

	(void)state;
	assert_null(network_parse("0.0.0.0/0", &network));
	assert_true(address_local("/run/x", &address));
	assert_false(config_networks_contain(&networks, &address.u.any));
}

static void broken_networks_are_refused(void **state)
{
	static const char *const cases[] = {
		"",
		"::ffff:192.0.2.0/120",
		"/",
		"/8",
		"10.0.0.0/",
		"10.0.0.0/33",
		"10.0.0.0/-1",
		"10.0.0.0/ 8",
		"10.0.0.0/8x",
		"10.0.0.1/8",
		"10.0.0",
		"::/129",
		"::1/64",
		"2001:db8::/32/8",
		"10.0.0.0/99999999999999999999",
		"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct config_network network;

		if (network_parse(cases[i], &network) == NULL)
			fail_msg("accepted: \"%s\"", cases[i]);
	}
}

static void an_arena_gives_zeroed_memory_of_any_size(void **state)
{
	struct arena *arena = arena_new();
	static const size_t sizes[] = { 0, 1, 17, 16384, 16385, 1000000, 3 };

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		unsigned char *piece = arena_alloc(arena, sizes[i]);

		assert_int_equal((uintptr_t)piece % _Alignof(max_align_t), 0);
		for (size_t j = 0; j < sizes[i]; j++)
			assert_int_equal(piece[j], 0);
		memset(piece, 0xff, sizes[i]);
	}
	assert_string_equal(arena_format(arena, "%d-%s", 5, "x"), "5-x");
	assert_null(arena_string(arena, NULL));
	assert_string_equal(arena_copy(arena, "abc", 2), "ab");
	arena_free(arena);
	arena_free(NULL);
}

static void a_host_is_told_without_its_port_and_ipv4_in_ipv6_as_ipv4(void **state)
{
	static const struct {
		const char *text, *host;
	} cases[] = {
		{ "192.0.2.7", "192.0.2.7" },
		{ "2001:db8::7", "2001:db8::7" },
		{ "::ffff:192.0.2.7", "192.0.2.7" },
		{ "::1", "::1" },
	};
	char host[INET6_ADDRSTRLEN];
	struct address address;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_true(address_parse(cases[i].text, 4711, &address));
		assert_int_equal(address_split(&address, host), 4711);
		assert_string_equal(host, cases[i].host);
	}
	assert_true(address_local("/run/x", &address));
	assert_int_equal(address_split(&address, host), 0);
	assert_string_equal(host, "");
	address.len = 0;
	assert_int_equal(address_split(&address, host), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numeric_addresses_go_to_bytes_and_back),
		cmocka_unit_test(a_host_is_told_without_its_port_and_ipv4_in_ipv6_as_ipv4),
		cmocka_unit_test(unix_sockets_are_loopback_and_bounded),
		cmocka_unit_test(what_is_counted_together_has_one_key_and_one_text),
		cmocka_unit_test(an_address_whose_length_does_not_fit_its_family_is_not_sane),
		cmocka_unit_test(networks_hold_what_their_prefix_says),
		cmocka_unit_test(unix_sockets_are_in_no_network),
		cmocka_unit_test(broken_networks_are_refused),
		cmocka_unit_test(an_arena_gives_zeroed_memory_of_any_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
