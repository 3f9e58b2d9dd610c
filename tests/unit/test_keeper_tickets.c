/* test_keeper_tickets - what the keeper answers workers who ask for the ticket keys: made by itself, or of a file that comes and goes. */
#include "frontend/keeper_tickets.h"
#include "frontend/log.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define A    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v\n"
#define B    "MDEyMzQ1Njc4OTo7PD0+P0BBQkNERUZHSElKS0xNTk9QUVJTVFVWV1hZWltcXV5f\n"
#define PATH "/etc/postern/tickets"

static struct keeper_tickets *tickets;

static int make(void **state)
{
	tickets = keeper_tickets_new();
	return tickets != NULL ? 0 : -1;
}

static int drop(void **state)
{
	keeper_tickets_free(tickets);
	return 0;
}

static int file_of(const char *text, mode_t mode)
{
	int fd = memfd_create("tickets", 0);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	return fd;
}

static void send_fd(const char *path, const char *why, int fd)
{
	struct message_writer writer;
	struct message_header header;
	struct message_reader reader;

	message_begin(&writer, 4096, 1);
	message_put_string(&writer, path);
	message_put_string(&writer, why);
	assert_true(message_end(&writer, 0));
	assert_int_equal(message_peek(writer.data, writer.len, 4096, &header), 1);
	message_read(&reader, writer.data, &header);
	keeper_tickets_message(tickets, &reader, fd);
	message_writer_cleanup(&writer);
}

static void send_text(const char *path, const char *text)
{
	int fd = file_of(text, 0600);

	send_fd(path, "", fd);
	close(fd);
}

static struct config config_with(bool enabled, const char *file)
{
	struct config config = { .hostname = "mail.example.test" };

	config.tls.tickets.enabled = enabled;
	config.tls.tickets.rotate = 43200;
	config.tls.tickets.file = file;
	return config;
}

static void commit(bool enabled, const char *file)
{
	struct config config = config_with(enabled, file);

	keeper_tickets_commit(tickets, &config);
}

static size_t faults_of(const char *file, char text[256], int *line)
{
	struct config config = config_with(true, file);
	struct config_faults faults = { .count = 0 };
	size_t errors;

	keeper_tickets_check(tickets, &config, &faults, false);
	errors = faults.errors;
	if (errors > 0) {
		assert_string_equal(faults.items[0].file, file);
		snprintf(text, 256, "%s", faults.items[0].text);
		*line = faults.items[0].line;
	}
	config_faults_cleanup(&faults);
	return errors;
}

/* False: there are none. */
static bool ask(struct ticket_keys *out)
{
	uint8_t body[TICKET_BODY_MAX];
	size_t len = keeper_tickets_answer(tickets, body);

	if (len > 0)
		assert_true(ticket_keys_decode(body, len, out));
	return len > 0;
}

static void keys_are_made_and_all_workers_get_the_same(void **state)
{
	struct ticket_keys one, other;

	assert_false(ask(&one));
	commit(true, NULL);
	assert_true(ask(&one));
	assert_true(ask(&other));
	assert_memory_equal(one.keys, other.keys, sizeof(one.keys));
	assert_int_equal(ticket_keys_count(&one), 2);
	assert_false(one.from_file);
	assert_in_range(one.wait, 1, 43200 * 1000 + 20);
	commit(false, NULL);
	assert_false(ask(&one));
	commit(true, NULL);
	assert_true(ask(&one));
	assert_memory_not_equal(one.keys, other.keys, sizeof(one.keys[0]));
}

static void a_file_is_in_force_when_the_configuration_is(void **state)
{
	struct ticket_keys keys;
	char why[256];
	int line;

	commit(true, NULL);
	send_text(PATH, A B);
	assert_true(ask(&keys));
	assert_false(keys.from_file);
	assert_int_equal(faults_of(PATH, why, &line), 0);
	commit(true, PATH);
	assert_true(ask(&keys));
	assert_true(keys.from_file);
	assert_int_equal(ticket_keys_count(&keys), 2);
	assert_int_equal(ticket_keys_sealing(&keys)->name[1], 1);
	assert_int_equal(keys.wait, KEEPER_TICKETS_FILE_WAIT);
	commit(true, NULL);
	assert_true(ask(&keys));
	assert_false(keys.from_file);
}

static void a_file_that_changes_is_in_force_at_once_and_a_bad_one_is_not(void **state)
{
	struct ticket_keys keys;
	char line[1024] = "";
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	log_set_output(&(struct log_output) { .fd = ends[1] });
	send_text(PATH, A);
	commit(true, PATH);
	send_text(PATH, B A);
	assert_true(ask(&keys));
	assert_int_equal(ticket_keys_sealing(&keys)->name[0], '0');
	send_text(PATH, "half a li");
	assert_true(ask(&keys));
	assert_int_equal(ticket_keys_count(&keys), 2);
	send_fd(PATH, "No such file or directory", -1);
	assert_true(ask(&keys));
	assert_true(read(ends[0], line, sizeof(line) - 1) > 0);
	assert_non_null(strstr(line, "event=ticket_file_refused"));
	assert_non_null(strstr(line, "line=1"));
	log_set_descriptor(-1);
	close(ends[0]);
	send_text("/elsewhere", A);
	assert_true(ask(&keys));
	assert_int_equal(ticket_keys_count(&keys), 2);
}

static void a_configuration_with_a_bad_file_has_a_fault(void **state)
{
	char why[256];
	int line, fd;

	assert_int_equal(faults_of(PATH, why, &line), 1);
	assert_non_null(strstr(why, "not handed over"));
	send_fd(PATH, "No such file or directory", -1);
	assert_int_equal(faults_of(PATH, why, &line), 1);
	assert_non_null(strstr(why, "No such file"));
	send_text(PATH, A "\nx\n");
	assert_int_equal(faults_of(PATH, why, &line), 1);
	assert_int_equal(line, 3);
	fd = file_of(A, 0640);
	send_fd(PATH, "", fd);
	close(fd);
	assert_int_equal(faults_of(PATH, why, &line), 1);
	assert_non_null(strstr(why, "0640"));
	send_text(PATH, A);
	assert_int_equal(faults_of(PATH, why, &line), 0);
}

static void a_file_without_end_is_refused(void **state)
{
	char text[TICKET_FILE_MAX + 1], why[256];
	int line;

	memset(text, '\n', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	send_text(PATH, text);
	assert_int_equal(faults_of(PATH, why, &line), 1);
	assert_non_null(strstr(why, "too large"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(keys_are_made_and_all_workers_get_the_same, make,
						drop),
		cmocka_unit_test_setup_teardown(a_file_is_in_force_when_the_configuration_is, make,
						drop),
		cmocka_unit_test_setup_teardown(
			a_file_that_changes_is_in_force_at_once_and_a_bad_one_is_not, make, drop),
		cmocka_unit_test_setup_teardown(a_configuration_with_a_bad_file_has_a_fault, make,
						drop),
		cmocka_unit_test_setup_teardown(a_file_without_end_is_refused, make, drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
