/* test_config_codec - a child gets its section whole, nothing that is not its own, and refuses what is malformed. */
#include "frontend/config.h"
#include "tests/support/config_files.h"
#include "tests/support/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char text[] =
	"hostname = \"mail.example.test\"; pid_file = \"/run/secret-place.pid\"; workers = 3;\n"
	"tls: { certificates = ( { chain = \"cert.pem\"; key = \"key.pem\"; } ); };\n"
	"listeners = ( { protocol = \"imap\"; address = \"::1\"; port = 1143; tls = \"starttls\"; "
	"},\n"
	" { protocol = \"submission\"; address = \"127.0.0.1\"; port = 1465; tls = \"implicit\";\n"
	"   certificates = ( { chain = \"cert.pem\"; key = \"key.pem\"; } ); } );\n"
	"auth: { mechanisms = ( \"LOGIN\" ); };\n"
	"backends = ( { name = \"store\"; protocol = \"imap\"; tls = \"starttls\"; ca = "
	"\"ca.pem\";\n"
	"  servers = ( { host = \"127.0.0.1\"; port = 143; name = \"store.example.test\"; }, { "
	"host = \"::1\"; port = 144; } ); },\n"
	" { name = \"relay\"; protocol = \"submission\"; tls = \"none\"; servers = ( { host = "
	"\"/run/relay\"; } );\n"
	"  capabilities = ( \"SIZE 5\", \"DSN\" ); } );\n"
	"routes = ( { imap = \"store\"; submission = \"relay\"; } );\n"
	"limits: { sasl_line = 1024; exempt = ( \"10.0.0.0/8\", \"2001:db8::/32\" ); };\n"
	"log: { level = \"debug\"; target = \"/var/log/secret-place\"; };\n";

struct fixture {
	struct config *config;
	struct message_writer writer;
};

static void encode(struct fixture *f, enum child_kind kind)
{
	message_writer_cleanup(&f->writer);
	message_begin(&f->writer, CONTROL_MESSAGE_MAX, CONTROL_PREPARE);
	config_encode(&f->writer, f->config, kind);
	assert_true(message_end(&f->writer, 0));
}

static int setup(void **state)
{
	static struct fixture f;
	struct config_faults faults = { NULL, 0, 0 };

	files_begin();
	files_write("postern.conf", text);
	f.config = config_load(files_path("postern.conf"), &faults);
	config_faults_print(&faults, stderr);
	config_faults_cleanup(&faults);
	memset(&f.writer, 0, sizeof f.writer);
	*state = &f;
	return f.config == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	message_writer_cleanup(&f->writer);
	config_free(f->config);
	files_end();
	return 0;
}

/* Decodes `len` bytes of fields; *whole says that all of them were used. */
static struct config *decode(const uint8_t *fields, size_t len, enum child_kind kind, bool *whole)
{
	char *copy = guard_copy(fields, len);
	struct message_reader reader = { (const uint8_t *)copy, len, 0, false };
	struct config *config = config_decode(&reader, kind);

	*whole = message_done(&reader);
	guard_free(copy, len); /* nothing of the result may point there */
	return config;
}

static struct config *round_trip(struct fixture *f, enum child_kind kind)
{
	bool whole;
	struct config *config;

	encode(f, kind);
	config = decode(f->writer.data + MESSAGE_HEADER, f->writer.len - MESSAGE_HEADER, kind,
			&whole);
	assert_non_null(config);
	assert_true(whole);
	return config;
}

static bool message_holds(const struct fixture *f, const char *what)
{
	return memmem(f->writer.data, f->writer.len, what, strlen(what)) != NULL;
}

static void a_worker_gets_all_that_it_works_with(void **state)
{
	struct fixture *f = *state;
	struct config *config = round_trip(f, CHILD_WORKER);
	const struct config_listener *listener = &config->listeners.items[1];
	const struct config_pool *pools = config->pools.items;
	char buffer[ADDRESS_TEXT_MAX];

	assert_string_equal(config->hostname, "mail.example.test");
	assert_int_equal(config->workers, 3);
	assert_int_equal(config->listeners.count, 2);
	assert_int_equal(listener->protocol, PROTOCOL_SUBMISSION);
	assert_int_equal(listener->tls, LISTENER_IMPLICIT);
	assert_int_equal(listener->source.line, 4);
	assert_string_equal(listener->source.file, files_path("postern.conf"));
	assert_string_equal(address_text(&listener->bind.u.any, buffer), "127.0.0.1:1465");
	assert_int_equal(config->listeners.items[0].set, 0);
	assert_int_equal(listener->set, 2);
	assert_int_equal(config->pools.count, 2);
	assert_string_equal(pools[0].servers.items[0].name, "store.example.test");
	assert_string_equal(address_text(&pools[0].servers.items[1].address.u.any, buffer),
			    "[::1]:144");
	assert_memory_equal(pools[0].ca_pem.data, "-----BEGIN CERTIFICATE-----\nCACA", 32);
	assert_string_equal(address_text(&pools[1].servers.items[0].address.u.any, buffer),
			    "/run/relay");
	assert_string_equal(pools[1].capabilities.items[1], "DSN");
	assert_null(pools[1].capabilities.items[2]);
	assert_int_equal(config->routes.items[0].pools[PROTOCOL_SUBMISSION], 1);
	assert_int_equal(config->routes.items[0].pools[PROTOCOL_POP3], -1);
	assert_null(config->routes.items[0].names[PROTOCOL_POP3]);
	assert_memory_equal(&config->limits, &f->config->limits,
			    offsetof(struct config_limits, exempt));
	assert_int_equal(config->limits.exempt.count, 2);
	assert_int_equal(config->limits.exempt.items[1].prefix, 32);
	assert_string_equal(config->auth.mechanisms.items[0], "LOGIN");
	assert_int_equal(config->log.level, LOG_LEVEL_DEBUG);
	config_free(config);
}

static void bytes_that_values_share_travel_once_and_stay_shared(void **state)
{
	struct fixture *f = *state;
	struct config_pool *pools = f->config->pools.items;
	struct config *config;
	const uint8_t *first;

	pools[1].ca_pem = pools[0].ca_pem;
	config = round_trip(f, CHILD_WORKER);
	first = memmem(f->writer.data, f->writer.len, "-----BEGIN CERTIFICATE", 22);
	assert_non_null(first);
	assert_null(memmem(first + 1, f->writer.len - (size_t)(first + 1 - f->writer.data),
			   "-----BEGIN CERTIFICATE", 22));
	assert_ptr_equal(config->pools.items[0].ca_pem.data, config->pools.items[1].ca_pem.data);
	config_free(config);
}

static void an_authentication_process_gets_no_key_no_certificate_and_no_backend(void **state)
{
	struct fixture *f = *state;
	struct config *config = round_trip(f, CHILD_AUTH);

	assert_false(message_holds(f, "-----BEGIN"));
	assert_false(message_holds(f, "key.pem"));
	assert_false(message_holds(f, "store"));
	assert_false(message_holds(f, "secret-place"));
	assert_int_equal(config->auth.mechanisms.count, 1);
	assert_int_equal(config->limits.sasl_line, 1024);
	assert_string_equal(config->hostname, "mail.example.test");
	assert_int_equal(config->listeners.count, 0);
	config_free(config);
}

static void a_monitor_gets_the_servers_and_no_key(void **state)
{
	struct fixture *f = *state;
	struct config *config = round_trip(f, CHILD_MONITOR);

	assert_false(message_holds(f, "PRIVATE KEY"));
	assert_false(message_holds(f, "key.pem"));
	assert_false(message_holds(f, "secret-place"));
	assert_int_equal(config->pools.count, 2);
	assert_int_equal(config->pools.items[0].tls, BACKEND_TLS_STARTTLS);
	assert_memory_equal(config->pools.items[0].ca_pem.data, "-----BEGIN CERTIFICATE-----\nCACA",
			    32);
	assert_string_equal(config->pools.items[0].servers.items[0].name, "store.example.test");
	assert_int_equal(config->routes.items[0].pools[PROTOCOL_SUBMISSION], 1);
	config_free(config);
}

static void a_keeper_gets_neither_servers_nor_passwords(void **state)
{
	struct fixture *f = *state;
	struct config *config = round_trip(f, CHILD_KEEPER);

	assert_non_null(config);
	assert_false(message_holds(f, "PRIVATE KEY"));
	assert_false(message_holds(f, "key.pem"));
	assert_false(message_holds(f, "secret-place"));
	assert_false(message_holds(f, "store.example.test"));
	assert_int_equal(config->pools.count, 0);
	assert_true(config->seccomp);
	config_free(config);
}

static void a_worker_does_not_learn_what_the_supervisor_alone_needs(void **state)
{
	struct fixture *f = *state;

	encode(f, CHILD_WORKER);
	assert_false(message_holds(f, "key.pem"));
	assert_false(message_holds(f, "PRIVATE KEY"));
	assert_false(message_holds(f, "secret-place"));
}

static struct config_named sasl_options[] = {
	{ { "auth.conf", 7 }, "sql_passwd", "not for workers" },
	{ { "auth.conf", 8 }, "auxprop_plugin", "sql" },
};

static bool holds(const struct message_writer *writer, const char *text_of_it)
{
	return memmem(writer->data, writer->len, text_of_it, strlen(text_of_it)) != NULL;
}

static void options_of_sasl_travel_to_auth_processes_only(void **state)
{
	struct fixture *f = *state;
	struct config *config;

	f->config->auth.sasl = (struct config_map) { sasl_options, 2 };
	encode(f, CHILD_WORKER);
	assert_false(holds(&f->writer, "not for workers"));
	encode(f, CHILD_MONITOR);
	assert_false(holds(&f->writer, "not for workers"));
	config = round_trip(f, CHILD_AUTH);
	assert_non_null(config);
	assert_int_equal(config->auth.sasl.count, 2);
	assert_string_equal(config->auth.sasl.items[0].name, "sql_passwd");
	assert_string_equal(config->auth.sasl.items[0].value, "not for workers");
	assert_string_equal(config->auth.sasl.items[1].source.file, "auth.conf");
	assert_int_equal(config->auth.sasl.items[1].source.line, 8);
	config_free(config);
}

static void a_checker_sees_what_a_worker_and_an_auth_process_see(void **state)
{
	struct fixture *f = *state;
	struct config *config;

	f->config->auth.sasl = (struct config_map) { sasl_options, 2 };
	config = round_trip(f, CHILD_CHECKER);
	assert_non_null(config);
	assert_int_equal(config->pools.count, 2);
	assert_int_equal(config->auth.sasl.count, 2);
	config_free(config);
}

static void a_section_cut_anywhere_is_refused(void **state)
{
	static const enum child_kind kinds[] = { CHILD_WORKER, CHILD_AUTH, CHILD_KEEPER,
						 CHILD_MONITOR, CHILD_TOKEN };
	struct fixture *f = *state;

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		encode(f, kinds[k]);
		for (size_t len = 0; len < f->writer.len - MESSAGE_HEADER; len++) {
			bool whole;

			assert_null(decode(f->writer.data + MESSAGE_HEADER, len, kinds[k], &whole));
		}
	}
}

/* Whatever one byte is changed to, the result is nothing, or in order. */
static void a_changed_byte_never_gives_a_value_out_of_bounds(void **state)
{
	static const uint8_t values[] = { 0x00, 0x01, 0x02, 0x3f, 0x80, 0xff };
	struct fixture *f = *state;
	size_t refused = 0;

	encode(f, CHILD_WORKER);
	for (size_t i = MESSAGE_HEADER; i < f->writer.len; i++)
		for (size_t v = 0; v < sizeof values; v++) {
			uint8_t kept = f->writer.data[i];
			bool whole;
			struct config *config;

			f->writer.data[i] = values[v];
			config = decode(f->writer.data + MESSAGE_HEADER,
					f->writer.len - MESSAGE_HEADER, CHILD_WORKER, &whole);
			f->writer.data[i] = kept;
			if (config == NULL) {
				refused++;
				continue;
			}
			assert_in_range(config->workers, 0, 256);
			assert_in_range(config->log.level, LOG_LEVEL_DEBUG, LOG_LEVEL_ERROR);
			for (size_t l = 0; l < config->listeners.count; l++)
				assert_in_range(config->listeners.items[l].protocol, 0,
						PROTOCOLS - 1);
			for (size_t l = 0; l < config->listeners.count; l++)
				assert_true(address_sane(&config->listeners.items[l].bind));
			for (int p = 0; p < PROTOCOLS; p++)
				assert_true(config->routes.items[0].pools[p] <
					    (int)config->pools.count);
			config_free(config);
		}
	assert_true(refused > 0);
}

static void a_section_that_does_not_fit_fails_the_writer(void **state)
{
	struct fixture *f = *state;

	message_begin(&f->writer, 200, CONTROL_PREPARE);
	config_encode(&f->writer, f->config, CHILD_WORKER);
	assert_false(message_end(&f->writer, 0));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_worker_gets_all_that_it_works_with),
		TEST(bytes_that_values_share_travel_once_and_stay_shared),
		TEST(an_authentication_process_gets_no_key_no_certificate_and_no_backend),
		TEST(a_monitor_gets_the_servers_and_no_key),
		TEST(a_keeper_gets_neither_servers_nor_passwords),
		TEST(a_worker_does_not_learn_what_the_supervisor_alone_needs),
		TEST(options_of_sasl_travel_to_auth_processes_only),
		TEST(a_checker_sees_what_a_worker_and_an_auth_process_see),
		TEST(a_section_cut_anywhere_is_refused),
		TEST(a_changed_byte_never_gives_a_value_out_of_bounds),
		TEST(a_section_that_does_not_fit_fails_the_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
