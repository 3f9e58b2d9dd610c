/* test_certificates - the list of certificates that a configuration and its folders make, and what has changed since the last one. */
#include "frontend/certificates.h"
#include "frontend/book_write.h"
#include "tests/unit/folder_play.h"
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static struct config_faults faults;
static struct config_certificate explicit[2];
static struct config_listener listeners[2];
static struct config config;

static void put_folder(const char *name)
{
	assert_int_equal(mkdir(at(name), 0700), 0);
}

static int setup(void **state)
{
	memcpy(folder + sizeof(folder) - 7, "XXXXXX", 7);
	if (mkdtemp(folder) == NULL)
		return -1;
	memset(&config, 0, sizeof(config));
	memset(listeners, 0, sizeof(listeners));
	memset(explicit, 0, sizeof(explicit));
	config.listeners.items = listeners;
	config.listeners.count = 1;
	listeners[0].source = (struct config_source) { "postern.conf", 20 };
	config.tls.certificates_dir.source = (struct config_source) { "postern.conf", 7 };
	return 0;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	return remove(path);
}

static int teardown(void **state)
{
	config_faults_cleanup(&faults);
	return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* The i-th of tls. */
static void name_explicit(size_t i, const char *chain, const char *key)
{
	static char paths[2][2][256];

	snprintf(paths[i][0], sizeof(paths[i][0]), "%s", at(chain));
	snprintf(paths[i][1], sizeof(paths[i][1]), "%s", at(key));
	explicit[i] = (struct config_certificate) { .source = { "postern.conf", 3 + (int)i },
						    .chain = paths[i][0],
						    .key = paths[i][1] };
	config.tls.certificates = (struct config_certificates) { explicit, i + 1 };
}

static void use_folder(void)
{
	config.tls.certificates_dir.path = folder;
}

static struct certificates *find(void)
{
	struct certificates *all = certificates_find(&config, &faults);

	config_faults_print(&faults, stderr);
	assert_non_null(all);
	return all;
}

static const struct certificate_item *item(const struct certificates *all, uint32_t index)
{
	assert_true(index < all->list.count);
	return &all->list.items[index];
}

static void both_layouts_of_a_folder_are_found_in_the_order_of_their_names(void **state)
{
	struct certificates *all;

	put_folder("b.test");
	put("b.test/fullchain.pem", "chain");
	put("b.test/privkey.pem", "key");
	put("b.test/fullchain.pem.ocsp", "staple");
	put("a.pem", "chain");
	put("a.key", "key");
	put("c.crt", "chain");
	put("c.key", "key");
	put("c.ocsp", "staple");
	use_folder();
	all = find();
	assert_int_equal(all->list.count, 3);
	assert_string_equal(item(all, 0)->chain, at("a.pem"));
	assert_string_equal(item(all, 0)->key, at("a.key"));
	assert_string_equal(item(all, 0)->staple, "");
	assert_string_equal(item(all, 1)->chain, at("b.test/fullchain.pem"));
	assert_string_equal(item(all, 1)->key, at("b.test/privkey.pem"));
	assert_string_equal(item(all, 1)->staple, at("b.test/fullchain.pem.ocsp"));
	assert_string_equal(item(all, 2)->chain, at("c.crt"));
	assert_string_equal(item(all, 2)->staple, at("c.ocsp"));
	assert_int_equal(item(all, 2)->line, 7);
	assert_int_equal(faults.count, 0);
	certificates_free(all);
}

static void what_is_no_certificate_is_passed_over(void **state)
{
	struct certificates *all;

	put("README", "not one");
	put(".hidden.pem", "chain");
	put(".hidden.key", "key");
	put("a.key", "key");
	put("a.pem", "chain");
	put("a.crt", "chain");
	put(".pem", "chain");
	put_folder("empty");
	put_folder("..2026");
	put("..2026/fullchain.pem", "chain");
	put("..2026/privkey.pem", "key");
	use_folder();
	all = find();
	assert_int_equal(all->list.count, 1);
	assert_string_equal(item(all, 0)->chain, at("a.pem"));
	assert_int_equal(faults.count, 0);
	assert_int_equal(all->folders.count, 2); /* itself, and where files may come */
	certificates_free(all);
}

static void a_chain_without_its_key_is_a_warning(void **state)
{
	struct certificates *all;

	put("a.pem", "chain");
	put("b.pem", "chain");
	put("b.key", "key");
	use_folder();
	all = find();
	assert_int_equal(all->list.count, 1);
	assert_int_equal(faults.count, 1);
	assert_true(faults.items[0].warning);
	assert_int_equal(faults.items[0].line, 7);
	assert_non_null(strstr(faults.items[0].text, "a.key"));
	certificates_free(all);
}

static void symbolic_links_are_followed(void **state)
{
	struct certificates *all;

	put_folder(".archive");
	put(".archive/fullchain1.pem", "chain");
	put(".archive/privkey1.pem", "key");
	put_folder("live");
	assert_int_equal(symlink("../.archive/fullchain1.pem", at("live/fullchain.pem")), 0);
	assert_int_equal(symlink("../.archive/privkey1.pem", at("live/privkey.pem")), 0);
	assert_int_equal(symlink("nowhere", at("broken.pem")), 0);
	use_folder();
	all = find();
	assert_int_equal(all->list.count, 1);
	assert_int_equal(all->stamps[0][CERTIFICATE_CHAIN].size, 5);
	certificates_free(all);
}

static void explicit_ones_stand_first_and_sets_are_kept_apart(void **state)
{
	struct certificates *all;

	put("x.chain", "chain");
	put("x.private", "key");
	put("x.chain.ocsp", "staple");
	put("a.pem", "chain");
	put("a.key", "key");
	name_explicit(0, "x.chain", "x.private");
	listeners[1] =
		(struct config_listener) { .source = { "postern.conf", 21 },
					   .certificates_dir = { folder, { "postern.conf", 22 } },
					   .set = 2 };
	config.listeners.count = 2;
	all = find();
	assert_int_equal(all->list.count, 2);
	assert_int_equal(item(all, 0)->set, 0);
	assert_string_equal(item(all, 0)->staple, at("x.chain.ocsp"));
	assert_int_equal(item(all, 0)->line, 3);
	assert_int_equal(item(all, 1)->set, 2);
	assert_int_equal(item(all, 1)->line, 22);
	certificates_free(all);
}

static void a_listener_without_any_is_a_fault(void **state)
{
	use_folder();
	assert_null(certificates_find(&config, &faults));
	assert_int_equal(faults.errors, 1);
	assert_int_equal(faults.items[0].line, 20);
}

static void a_folder_that_cannot_be_read_is_a_fault(void **state)
{
	put("not-a-folder", "");
	config.tls.certificates_dir.path = at("not-a-folder");
	assert_null(certificates_find(&config, &faults));
	assert_int_equal(faults.errors, 1);
	assert_non_null(strstr(faults.items[0].text, "cannot be read: Not a directory"));
}

static void only_what_has_changed_is_to_be_read_again(void **state)
{
	struct certificates *old, *now;

	put("a.pem", "chain");
	put("a.key", "key");
	put("c.pem", "chain");
	put("c.key", "key");
	use_folder();
	old = find();
	now = find();
	assert_int_equal(certificates_compare(now, old, NULL), CERTIFICATES_SAME);
	assert_int_equal(item(now, 0)->same, 0);
	assert_int_equal(item(now, 1)->same, 1);
	certificates_free(now);

	put("b.pem", "chain");
	put("b.key", "key");
	put("c.key", "another");
	now = find();
	assert_int_equal(certificates_compare(now, old, NULL), CERTIFICATES_CHANGED);
	assert_int_equal(item(now, 0)->same, 0);
	assert_int_equal(item(now, 1)->same, CERTIFICATE_READ);
	assert_int_equal(item(now, 2)->same, CERTIFICATE_READ);
	certificates_free(now);

	assert_int_equal(remove(at("b.pem")), 0);
	assert_int_equal(remove(at("b.key")), 0);
	assert_int_equal(remove(at("c.pem")), 0);
	assert_int_equal(remove(at("c.key")), 0);
	now = find();
	assert_int_equal(certificates_compare(now, old, NULL), CERTIFICATES_CHANGED);
	assert_int_equal(item(now, 0)->same, 0);
	certificates_free(now);
	certificates_free(old);
}

static void a_staple_that_comes_is_a_change(void **state)
{
	struct certificates *old, *now;

	put("a.pem", "chain");
	put("a.key", "key");
	use_folder();
	old = find();
	put("a.ocsp", "staple");
	now = find();
	assert_int_equal(certificates_compare(now, old, NULL), CERTIFICATES_CHANGED);
	certificates_free(now);
	certificates_free(old);
}

static void what_was_refused_is_read_again_but_is_no_change(void **state)
{
	struct certificates *old, *now;

	put("a.pem", "chain");
	put("a.key", "key");
	use_folder();
	old = find();
	old->refused[0] = true;
	now = find();
	assert_int_equal(certificates_compare(now, old, NULL), CERTIFICATES_REFUSED);
	assert_int_equal(item(now, 0)->same, CERTIFICATE_READ);
	assert_true(now->refused[0]);
	certificates_free(now);
	put("a.key", "the other half");
	now = find();
	assert_int_equal(certificates_compare(now, old, NULL), CERTIFICATES_CHANGED);
	assert_false(now->refused[0]);
	certificates_free(now);
	certificates_free(old);
}

static void a_file_that_changes_while_it_is_read_is_noticed(void **state)
{
	struct certificates *old, *now;

	put("a.pem", "chain");
	put("a.key", "key");
	use_folder();
	old = find();
	put("a.pem", "a longer chain");
	now = find();
	certificates_compare(now, old, NULL);
	assert_true(certificates_steady(now));
	put("a.pem", "a chain that is longer still");
	assert_false(certificates_steady(now));
	certificates_free(now);
	certificates_free(old);
}

static void files_are_opened_for_who_asks(void **state)
{
	struct certificate_files files;
	struct certificates *all;

	put("a.pem", "chain");
	put("a.key", "key");
	chmod(at("a.key"), 0600);
	use_folder();
	all = find();
	certificates_open(all, 0, CHILD_CHECKER, &files, &faults);
	assert_true(files.fds[CERTIFICATE_CHAIN] >= 0 && files.fds[CERTIFICATE_KEY] >= 0);
	assert_int_equal(files.fds[CERTIFICATE_STAPLE], -1);
	assert_int_equal(faults.count, 0);
	certificate_files_close(&files);
	certificates_open(all, 0, CHILD_KEEPER, &files, &faults);
	assert_int_equal(files.fds[CERTIFICATE_CHAIN], -1);
	assert_true(files.fds[CERTIFICATE_KEY] >= 0);
	certificate_files_close(&files);
	chmod(at("a.key"), 0644);
	certificates_open(all, 0, CHILD_CHECKER, &files, &faults);
	assert_int_equal(faults.count, 1);
	assert_non_null(strstr(faults.items[0].text, "everybody may read or change"));
	certificate_files_close(&files);
	all->refused[0] =
		true; /* a reload tells it all the same, a renewal that tries again does not */
	all->list.mode = CERTIFICATE_RELOAD;
	certificates_open(all, 0, CHILD_CHECKER, &files, &faults);
	assert_int_equal(faults.count, 2);
	certificate_files_close(&files);
	all->list.mode = CERTIFICATE_RENEWAL;
	certificates_open(all, 0, CHILD_CHECKER, &files, &faults);
	assert_int_equal(faults.count, 2);
	certificate_files_close(&files);
	certificates_free(all);
}

static void what_is_no_file_is_not_opened_and_a_fifo_does_not_make_it_wait(void **state)
{
	struct certificate_files files;
	struct certificates *all;

	assert_int_equal(mkfifo(at("fifo"), 0600), 0);
	put_folder("dir");
	name_explicit(0, "fifo", "dir");
	name_explicit(1, "fifo", "absent");
	all = find();
	certificates_open(all, 0, CHILD_CHECKER, &files, &faults);
	assert_string_equal(files.why[CERTIFICATE_CHAIN], "it is not a regular file");
	assert_string_equal(files.why[CERTIFICATE_KEY], "it is a folder");
	certificates_open(all, 1, CHILD_CHECKER, &files, &faults);
	assert_string_equal(files.why[CERTIFICATE_KEY], "No such file or directory");
	certificates_free(all);
}

static int book_of(uint32_t entries)
{
	struct book_writer *writer = book_writer_new();
	const struct book_entry bad = { .flags = BOOK_BAD };
	int fd;

	for (uint32_t i = 0; i < entries; i++)
		assert_true(book_writer_add(writer, &bad, false));
	fd = book_writer_finish(writer);
	book_writer_free(writer);
	assert_true(fd >= 0);
	return fd;
}

static void a_book_must_have_an_entry_for_each(void **state)
{
	struct certificates *all;
	int two = book_of(2), one = book_of(1), none = open("/dev/null", O_RDONLY);

	put("a.pem", "chain");
	put("a.key", "key");
	use_folder();
	all = find();
	assert_false(certificates_take_book(all, none));
	assert_false(certificates_take_book(all, two));
	assert_true(certificates_take_book(all, one));
	assert_int_equal(book_count(all->book), 1);
	close(two);
	close(none);
	certificates_free(all);
}

/* The entries of book_of() have fingerprints of zeros. */
static void a_fetched_staple_stands_in_for_the_file_once(void **state)
{
	static const uint8_t id[BOOK_ID_LEN];
	struct staples *staples = staples_new();
	struct certificates *old, *now;
	struct certificate_files files;
	char got[16] = "";

	put("a.pem", "chain");
	put("a.key", "key");
	put("a.ocsp", "file");
	use_folder();
	old = find();
	assert_true(certificates_take_book(old, book_of(1)));
	now = find();
	assert_int_equal(certificates_compare(now, old, staples), CERTIFICATES_SAME);
	certificates_free(now);
	assert_true(staples_put(staples, id, "fetched", 7));
	now = find();
	assert_int_equal(certificates_compare(now, old, staples), CERTIFICATES_CHANGED);
	assert_int_equal(item(now, 0)->same, CERTIFICATE_READ);
	certificates_open(now, 0, CHILD_CHECKER, &files, &faults);
	assert_int_equal(read(files.fds[CERTIFICATE_STAPLE], got, sizeof(got)), 7);
	assert_string_equal(got, "fetched");
	certificate_files_close(&files);
	certificates_free(now);
	staples_sweep(staples, old->book);
	assert_false(staples_has(staples, id));

	assert_true(staples_put(staples, id, "fetched", 7));
	put("a.pem", "another chain"); /* what was fetched is not about it */
	now = find();
	assert_int_equal(certificates_compare(now, old, staples), CERTIFICATES_CHANGED);
	certificates_open(now, 0, CHILD_CHECKER, &files, &faults);
	assert_int_equal(read(files.fds[CERTIFICATE_STAPLE], got, sizeof(got)), 4);
	certificate_files_close(&files);
	certificates_free(now);
	certificates_free(old);
	staples_free(staples);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(both_layouts_of_a_folder_are_found_in_the_order_of_their_names),
		TEST(what_is_no_certificate_is_passed_over),
		TEST(a_chain_without_its_key_is_a_warning),
		TEST(symbolic_links_are_followed),
		TEST(explicit_ones_stand_first_and_sets_are_kept_apart),
		TEST(a_listener_without_any_is_a_fault),
		TEST(a_folder_that_cannot_be_read_is_a_fault),
		TEST(only_what_has_changed_is_to_be_read_again),
		TEST(a_staple_that_comes_is_a_change),
		TEST(a_fetched_staple_stands_in_for_the_file_once),
		TEST(what_was_refused_is_read_again_but_is_no_change),
		TEST(a_file_that_changes_while_it_is_read_is_noticed),
		TEST(files_are_opened_for_who_asks),
		TEST(what_is_no_file_is_not_opened_and_a_fifo_does_not_make_it_wait),
		TEST(a_book_must_have_an_entry_for_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
