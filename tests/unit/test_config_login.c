/* test_config_login - how Postern logs in to servers, as the configuration says it: which login goes with which source, and
 * the master password's file.
 */
#include "frontend/config_load.h"
#include "protocols/login.h"
#include "tests/support/config_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* A configuration of one pool, as it is after its files were read and applied. */
struct fixture {
	struct config *config;
	struct config_faults faults;
	struct config_loader loader;
	struct config_server server;
	struct config_pool pool;
	struct config_route route;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct arena *arena = arena_new();

	files_begin();
	f->config = arena_alloc(arena, sizeof(*f->config));
	f->config->arena = arena;
	option_defaults(option_table, f->config, arena);
	f->loader = (struct config_loader) {
		.config = f->config,
		.faults = &f->faults,
		.path = "postern.conf",
		.scratch = arena_new(),
	};
	f->server = (struct config_server) { .host = "127.0.0.1", .port = 143, .name = "store" };
	address_parse("127.0.0.1", 143, &f->server.address);
	f->pool = (struct config_pool) {
		.source = { "postern.conf", 3 },
		.name = "store",
		.protocol = PROTOCOL_SUBMISSION,
		.servers = { &f->server, 1 },
		.master_user = "root",
		.master_password_file = arena_string(arena, files_path("master")),
	};
	f->route.source = (struct config_source) { "postern.conf", 4 };
	f->route.names[PROTOCOL_SUBMISSION] = "store";
	for (int i = 0; i < PROTOCOLS; i++)
		f->route.pools[i] = -1;
	f->config->pools.items = &f->pool;
	f->config->pools.count = 1;
	f->config->routes.items = &f->route;
	f->config->routes.count = 1;
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
	files_end();
	return 0;
}

static bool told(const struct fixture *f, const char *text)
{
	for (size_t i = 0; i < f->faults.count; i++)
		if (strstr(f->faults.items[i].text, text))
			return true;
	return false;
}

static void who_decides_on_the_password_is_shown_it(void **state)
{
	static const struct {
		int source, login;
		const char *fault; /* NULL: fine */
	} cases[] = {
		{ AUTH_SOURCE_BACKEND, LOGIN_MODE_PASSWORD, NULL },
		{ AUTH_SOURCE_BACKEND, LOGIN_MODE_MASTER, "must have login = \"password\"" },
		{ AUTH_SOURCE_BACKEND, LOGIN_MODE_XCLIENT, "must have login = \"password\"" },
		{ AUTH_SOURCE_SASL, LOGIN_MODE_PASSWORD, "must have login = \"master\"" },
		{ AUTH_SOURCE_SASL, LOGIN_MODE_MASTER, NULL },
		{ AUTH_SOURCE_SASL, LOGIN_MODE_XCLIENT, NULL },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT(cases); i++) {
		f->config->auth.source = cases[i].source;
		f->pool.login = cases[i].login;
		config_check_backends(&f->loader);
		assert_int_equal(f->faults.errors, cases[i].fault != NULL);
		if (cases[i].fault)
			assert_true(told(f, cases[i].fault));
		config_faults_cleanup(&f->faults);
	}
}

static void a_pool_that_no_route_uses_may_log_in_as_it_likes(void **state)
{
	struct fixture *f = *state;

	f->config->auth.source = AUTH_SOURCE_SASL;
	f->route.names[PROTOCOL_SUBMISSION] = NULL;
	f->pool.login = LOGIN_MODE_PASSWORD;
	config_check_backends(&f->loader);
	assert_false(told(f, "must have login"));
}

static void xclient_is_for_submission_alone(void **state)
{
	struct fixture *f = *state;

	f->config->auth.source = AUTH_SOURCE_SASL;
	f->pool.login = LOGIN_MODE_XCLIENT;
	f->pool.protocol = PROTOCOL_POP3;
	f->route.names[PROTOCOL_SUBMISSION] = NULL;
	f->route.names[PROTOCOL_POP3] = "store";
	config_check_backends(&f->loader);
	assert_int_equal(f->faults.errors, 1);
	assert_true(told(f, "exists for submission only, not for pop3"));
}

static void a_master_user_is_one_that_a_server_may_be_told(void **state)
{
	struct fixture *f = *state;

	f->config->auth.source = AUTH_SOURCE_SASL;
	f->pool.login = LOGIN_MODE_MASTER;
	f->pool.master_user = "ro\tot";
	config_check_backends(&f->loader);
	assert_int_equal(f->faults.errors, 1);
	assert_true(told(f, "control characters"));
}

/* ---- the file ---- */

static void write_master(const void *text, size_t len, mode_t mode)
{
	FILE *file = fopen(files_path("master"), "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	fclose(file);
	assert_int_equal(chmod(files_path("master"), mode), 0);
}

static void the_password_is_the_only_line_of_its_file(void **state)
{
	static char longest[1026], longer[1026];
	static const struct {
		const char *text;
		size_t len;
		const char *password; /* NULL: refused */
	} cases[] = {
		{ "secret", 6, "secret" },
		{ "secret\n", 7, "secret" },
		{ "secret\r\n", 8, "secret" },
		{ " two words \n", 12, " two words " },
		{ "", 0, NULL },
		{ "\n", 1, NULL },
		{ "\r\n", 2, NULL },
		{ "secret\n\n", 8, NULL },
		{ "one\ntwo", 7, NULL },
		{ "one\rtwo\n", 8, NULL },
		{ "se\0cret\n", 8, NULL },
		{ longest, 1025, longest },
		{ longer, 1026, NULL },
	};
	struct fixture *f = *state;

	memset(longest, 'x', 1024);
	longest[1024] = '\n';
	memset(longer, 'x', 1025);
	longer[1025] = '\n';
	f->pool.login = LOGIN_MODE_MASTER;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct config_blob *blob = &f->pool.master_password;

		write_master(cases[i].text, cases[i].len, 0600);
		f->pool.master_password = (struct config_blob) { NULL, 0 };
		config_read_files(&f->loader);
		assert_int_equal(f->faults.errors, cases[i].password == NULL);
		if (cases[i].password) {
			assert_int_equal(blob->len, strcspn(cases[i].password, "\n"));
			assert_memory_equal(blob->data, cases[i].password, blob->len);
		} else {
			assert_true(told(f, "must hold one line"));
			assert_false(told(f, "secret"));
		}
		config_faults_cleanup(&f->faults);
	}
}

static void nobody_else_may_have_a_right_to_the_file(void **state)
{
	static const mode_t modes[] = { 0640, 0620, 0610, 0604, 0602, 0601, 0644, 0777 };
	struct fixture *f = *state;

	f->pool.login = LOGIN_MODE_MASTER;
	for (size_t i = 0; i < COUNT(modes); i++) {
		write_master("secret\n", 7, modes[i]);
		config_read_files(&f->loader);
		assert_int_equal(f->faults.errors, 1);
		assert_int_equal(f->faults.items[0].line, 3);
		assert_true(told(f, "chmod 600"));
		assert_null(f->pool.master_password.data);
		config_faults_cleanup(&f->faults);
	}
	write_master("secret\n", 7, 0400);
	config_read_files(&f->loader);
	assert_int_equal(f->faults.errors, 0);
}

static void the_file_belongs_to_root_or_to_us(void **state)
{
	struct fixture *f = *state;

	if (geteuid() != 0)
		skip(); /* cannot give it away */
	f->pool.login = LOGIN_MODE_MASTER;
	write_master("secret\n", 7, 0600);
	assert_int_equal(chown(files_path("master"), 65534, (gid_t)-1), 0);
	config_read_files(&f->loader);
	assert_int_equal(f->faults.errors, 1);
	assert_true(told(f, "belongs neither to root"));
}

/* Not the link's own rights, which are open to all. */
static void behind_a_link_the_rights_of_the_file_count(void **state)
{
	struct fixture *f = *state;

	f->pool.login = LOGIN_MODE_MASTER;
	write_master("secret\n", 7, 0644);
	assert_int_equal(rename(files_path("master"), files_path("real")), 0);
	assert_int_equal(symlink("real", files_path("master")), 0);
	config_read_files(&f->loader);
	assert_int_equal(f->faults.errors, 1);
	assert_true(told(f, "mode 0644"));
	assert_null(f->pool.master_password.data);
	config_faults_cleanup(&f->faults);
	assert_int_equal(chmod(files_path("real"), 0600), 0);
	config_read_files(&f->loader);
	assert_int_equal(f->faults.errors, 0);
	assert_int_equal(f->pool.master_password.len, 6);
}

static void what_is_no_file_is_refused_at_once(void **state)
{
	struct fixture *f = *state;

	f->pool.login = LOGIN_MODE_MASTER;
	assert_int_equal(mkfifo(files_path("master"), 0600), 0);
	config_read_files(&f->loader);
	assert_int_equal(f->faults.errors, 1);
	assert_true(told(f, "not a regular file"));
}

static void a_file_that_is_not_there_is_a_fault_where_it_is_needed(void **state)
{
	struct fixture *f = *state;

	f->pool.login = LOGIN_MODE_XCLIENT;
	config_read_files(&f->loader);
	assert_int_equal(f->faults.errors, 0);
	f->pool.login = LOGIN_MODE_MASTER;
	config_read_files(&f->loader);
	assert_int_equal(f->faults.errors, 1);
	assert_true(told(f, "cannot be read"));
}

/* ---- who gets to see it ---- */

static bool section_holds(const struct config *config, enum child_kind kind, const char *text)
{
	struct message_writer writer;
	bool found;

	message_begin(&writer, CONTROL_MESSAGE_MAX, CONTROL_PREPARE);
	config_encode(&writer, config, kind);
	assert_true(message_end(&writer, 0));
	found = memmem(writer.data, writer.len, text, strlen(text)) != NULL;
	message_writer_cleanup(&writer);
	return found;
}

static void only_a_worker_gets_the_master_password(void **state)
{
	struct fixture *f = *state;

	f->pool.login = LOGIN_MODE_MASTER;
	write_master("of-the-master\n", 14, 0600);
	config_read_files(&f->loader);
	assert_true(section_holds(f->config, CHILD_WORKER, "of-the-master"));
	assert_false(section_holds(f->config, CHILD_AUTH, "of-the-master"));
	assert_false(section_holds(f->config, CHILD_MONITOR, "of-the-master"));
	assert_false(section_holds(f->config, CHILD_CHECKER, "of-the-master"));
}

static void only_the_token_process_gets_the_pin(void **state)
{
	static const enum child_kind others[] = { CHILD_WORKER, CHILD_AUTH, CHILD_KEEPER,
						  CHILD_MONITOR, CHILD_CHECKER };
	struct fixture *f = *state;

	f->config->tls.pkcs11.module = "/dev/null";
	f->config->tls.pkcs11.pin_file = f->pool.master_password_file;
	write_master("of-the-token\n", 13, 0600);
	config_read_files(&f->loader);
	assert_int_equal(f->faults.errors, 0);
	assert_int_equal(f->config->tls.pkcs11.pin.len, 12);
	assert_true(section_holds(f->config, CHILD_TOKEN, "of-the-token"));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(section_holds(f->config, others[i], "of-the-token"));
}

static void a_pin_that_others_may_read_is_a_fault(void **state)
{
	struct fixture *f = *state;

	f->config->tls.pkcs11.module = "/dev/null";
	f->config->tls.pkcs11.pin_file = f->pool.master_password_file;
	write_master("of-the-token\n", 13, 0640);
	config_read_files(&f->loader);
	assert_int_equal(f->faults.errors, 1);
	assert_non_null(strstr(f->faults.items[0].text, "\"pin_file\": others than its owner"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(who_decides_on_the_password_is_shown_it),
		TEST(only_the_token_process_gets_the_pin),
		TEST(a_pin_that_others_may_read_is_a_fault),
		TEST(a_pool_that_no_route_uses_may_log_in_as_it_likes),
		TEST(xclient_is_for_submission_alone),
		TEST(a_master_user_is_one_that_a_server_may_be_told),
		TEST(the_password_is_the_only_line_of_its_file),
		TEST(nobody_else_may_have_a_right_to_the_file),
		TEST(the_file_belongs_to_root_or_to_us),
		TEST(behind_a_link_the_rights_of_the_file_count),
		TEST(what_is_no_file_is_refused_at_once),
		TEST(a_file_that_is_not_there_is_a_fault_where_it_is_needed),
		TEST(only_a_worker_gets_the_master_password),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
