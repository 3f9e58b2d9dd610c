/* test_config_keep - what a reload cannot change keeps its value, and is named. */
#include "frontend/config.h"
#include "tests/support/config_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define COMMON                                                                                     \
	"tls: { certificates = ( { chain = \"cert.pem\"; key = \"key.pem\"; } ); };\n"             \
	"backends = ( { name = \"store\"; protocol = \"imap\"; tls = \"none\";\n"                  \
	"  servers = ( { host = \"127.0.0.1\"; port = 143; } ); } );\n"                            \
	"routes = ( { imap = \"store\"; } );\n"
#define LISTENER(port)                                                                             \
	"listeners = ( { protocol = \"imap\"; address = \"127.0.0.1\"; port = " port               \
	"; tls = \"implicit\"; } );\n"

static struct config *load(const char *text)
{
	struct config_faults faults = { NULL, 0, 0 };
	struct config *config;

	files_write("postern.conf", text);
	config = config_load(files_path("postern.conf"), &faults);
	config_faults_print(&faults, stderr);
	config_faults_cleanup(&faults);
	assert_non_null(config);
	return config;
}

static int setup(void **state)
{
	files_begin();
	return 0;
}

static int teardown(void **state)
{
	files_end();
	return 0;
}

static void the_same_again_names_nothing(void **state)
{
	struct config *running = load(COMMON LISTENER("1993") "workers = 2;");
	struct config *next = load(COMMON LISTENER("1993") "workers = 2;");

	assert_string_equal(config_keep_running(next, running), "");
	config_free(next);
	config_free(running);
}

static void what_needs_a_restart_keeps_its_value_and_is_named(void **state)
{
	struct config *running =
		load(COMMON LISTENER("1993") "workers = 2; pid_file = \"/run/a\";");
	struct config *next = load(
		COMMON LISTENER("1994") "workers = 5; pid_file = \"/run/b\"; hostname = \"b\";");
	const char *named = config_keep_running(next, running);

	assert_string_equal(named, "workers, pid_file");
	config_free(running); /* nothing of it is kept by reference */
	assert_int_equal(next->workers, 2);
	assert_string_equal(next->pid_file, "/run/a");
	assert_string_equal(next->hostname, "b");
	assert_int_equal(next->listeners.items[0].port, 1994);
	config_free(next);
}

static void a_value_that_is_set_only_now_or_no_more_is_a_change(void **state)
{
	struct config *running = load(COMMON LISTENER("1993") "pid_file = \"/run/a\";");
	struct config *next = load(COMMON LISTENER("1993"));

	assert_string_equal(config_keep_running(next, running), "pid_file");
	assert_string_equal(next->pid_file, "/run/a");
	config_free(next);
	next = load(COMMON LISTENER("1993") "pid_file = \"/run/a\";");
	config_free(running);
	running = load(COMMON LISTENER("1993"));
	assert_string_equal(config_keep_running(next, running), "pid_file");
	assert_null(next->pid_file);
	config_free(next);
	config_free(running);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_again_names_nothing),
		cmocka_unit_test(what_needs_a_restart_keeps_its_value_and_is_named),
		cmocka_unit_test(a_value_that_is_set_only_now_or_no_more_is_a_change),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
