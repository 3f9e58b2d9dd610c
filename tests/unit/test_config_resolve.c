/* test_config_resolve - names of servers become addresses, and a name service that does not answer holds nobody up.
 * The name service is this file's.
 */
#include "frontend/config_load.h"

#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

enum { SERVERS = 4 };

struct fixture {
	struct config *config;
	struct config_faults faults;
	struct config_loader loader;
};

/* "slow": never in a test's time. "two": two addresses. All others are unknown. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		struct addrinfo **out)
{
	static struct sockaddr_in v4 = { .sin_family = AF_INET };
	static struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	static struct addrinfo second = { .ai_addr = (struct sockaddr *)&v6,
					  .ai_addrlen = sizeof(v6) };
	static struct addrinfo first = { .ai_addr = (struct sockaddr *)&v4,
					 .ai_addrlen = sizeof(v4),
					 .ai_next = &second };

	(void)service;
	(void)hints;
	if (strcmp(node, "slow") == 0)
		sleep(600);
	if (strcmp(node, "two") != 0)
		return EAI_NONAME;
	v4.sin_addr.s_addr = htonl(0xc0000207);
	v6.sin6_addr = in6addr_loopback;
	*out = &first;
	return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
	(void)list;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct arena *arena = arena_new();

	f->config = arena_alloc(arena, sizeof(*f->config));
	f->config->arena = arena;
	f->config->pools.items = arena_array(arena, 1, sizeof(struct config_pool));
	f->config->pools.count = 1;
	f->config->pools.items->servers.items =
		arena_array(arena, SERVERS, sizeof(struct config_server));
	f->loader = (struct config_loader) {
		.config = f->config,
		.faults = &f->faults,
		.path = "postern.conf",
		.scratch = arena_new(),
	};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	config_faults_cleanup(&f->faults);
	arena_free(f->loader.scratch);
	config_free(f->config);
	free(f);
	return 0;
}

static struct config_server *add_server(struct fixture *f, const char *host, int port)
{
	struct config_pool *pool = &f->config->pools.items[0];
	struct config_server *server = &pool->servers.items[pool->servers.count++];

	server->source = (struct config_source) { "postern.conf", (int)pool->servers.count };
	server->host = host;
	server->port = port;
	return server;
}

static void each_address_of_a_name_becomes_a_server(void **state)
{
	static const char *const expected[] = { "127.0.0.1:143", "192.0.2.7:144", "[::1]:144",
						"192.0.2.7:145", "[::1]:145" };
	struct fixture *f = *state;
	const struct config_pool *pool = &f->config->pools.items[0];
	char text[ADDRESS_TEXT_MAX];

	add_server(f, "127.0.0.1", 143);
	add_server(f, "two", 144);
	add_server(f, "two", 145);
	config_resolve(&f->loader, 10000);
	assert_int_equal(f->faults.count, 0);
	assert_int_equal(pool->servers.count, 5);
	for (size_t i = 0; i < 5; i++)
		assert_string_equal(address_text(&pool->servers.items[i].address.u.any, text),
				    expected[i]);
}

static void an_unknown_name_is_a_warning_at_its_line(void **state)
{
	struct fixture *f = *state;

	add_server(f, "127.0.0.1", 143);
	add_server(f, "nowhere", 144);
	config_resolve(&f->loader, 10000);
	assert_int_equal(f->faults.errors, 0);
	assert_int_equal(f->faults.count, 1);
	assert_int_equal(f->faults.items[0].line, 2);
	assert_non_null(strstr(f->faults.items[0].text, "the server \"nowhere\" has no address"));
	assert_int_equal(f->config->pools.items[0].servers.count, 2);
}

static void a_name_service_that_hangs_is_waited_for_no_longer_than_allowed(void **state)
{
	struct fixture *f = *state;
	struct timespec begin, end;

	add_server(f, "two", 143);
	add_server(f, "slow", 144);
	add_server(f, "nowhere", 145);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	config_resolve(&f->loader, 300);
	clock_gettime(CLOCK_MONOTONIC, &end);
	assert_true(end.tv_sec - begin.tv_sec < 60);
	assert_int_equal(f->faults.errors, 0);
	assert_int_equal(f->faults.count, 2);
	assert_non_null(strstr(f->faults.items[0].text, "has not answered in time"));
	/* what was found out before is kept, and nobody is left behind */
	assert_int_equal(f->config->pools.items[0].servers.count, 4);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void where_all_is_numeric_nobody_is_asked(void **state)
{
	struct fixture *f = *state;

	add_server(f, "::1", 143);
	add_server(f, "/run/imap", 0);
	config_resolve(&f->loader, 0);
	assert_int_equal(f->faults.count, 0);
	assert_int_equal(f->config->pools.items[0].servers.items[1].address.u.any.sa_family,
			 AF_UNIX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_address_of_a_name_becomes_a_server),
		TEST(an_unknown_name_is_a_warning_at_its_line),
		TEST(a_name_service_that_hangs_is_waited_for_no_longer_than_allowed),
		TEST(where_all_is_numeric_nobody_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
