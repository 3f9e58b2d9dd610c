/* test_certify - from a list of certificates and their files to a book: start, reload, renewal. */
#include "frontend/certify.h"
#include "frontend/key.h"
#include "frontend/profile.h"
#include "frontend/tls.h"
#include "tests/support/chain.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define ITEMS_MAX 8

static struct made *root, *leaf, *other; /* leaf: a.test, other: b.test, both by root */
static char folder[] = "/tmp/test-certify-XXXXXX";

static int setup(void **state)
{
	assert_int_equal(key_library_init(), 0);
	assert_int_equal(tls_init(), 0);
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chdir(folder), 0);
	root = make_authority("Root", NULL);
	leaf = make_leaf("DNS:a.test", root);
	other = make_leaf("DNS:b.test", root);
	return 0;
}

static int teardown(void **state)
{
	made_free(root);
	made_free(leaf);
	made_free(other);
	tls_cleanup();
	return rmdir(folder);
}

/* ---- files ---- */

static void write_file(const char *name, const void *data, size_t len)
{
	FILE *file = fopen(name, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static void write_text(const char *name, char *text)
{
	write_file(name, text, strlen(text));
	free(text);
}

/* NAME.pem (with its issuer behind it) and NAME.key */
static void write_pair(const char *name, const struct made *made)
{
	char path[64];

	snprintf(path, sizeof(path), "%s.pem", name);
	write_text(path, made_chain(made, root, NULL));
	snprintf(path, sizeof(path), "%s.key", name);
	write_text(path, made_key(made));
}

static void write_response(const char *name, const struct made *about, long ends)
{
	size_t len;
	uint8_t *der = make_response(&(struct response) { .about = about,
							  .issuer = root,
							  .begins = -7200,
							  .ends = ends },
				     &len);

	write_file(name, der, len);
	free(der);
}

static int cleanup_files(void **state)
{
	DIR *all = opendir(".");

	for (struct dirent *entry = readdir(all); entry != NULL; entry = readdir(all))
		if (entry->d_name[0] != '.')
			unlink(entry->d_name);
	closedir(all);
	return 0;
}

static int open_named(const char *path, const char **why)
{
	int fd = path[0] != '\0' && !certificate_is_token(path) ? open(path, O_RDONLY | O_CLOEXEC)
								: -1;

	*why = fd < 0 && path[0] != '\0' ? strerror(errno) : NULL;
	return fd;
}

/* As the supervisor answers. */
static struct certificate_files files_of(const struct certificate_item *item, uint32_t index)
{
	struct certificate_files files = { .index = index };

	files.fds[CERTIFICATE_CHAIN] = open_named(item->chain, &files.why[CERTIFICATE_CHAIN]);
	files.fds[CERTIFICATE_KEY] = open_named(item->key, &files.why[CERTIFICATE_KEY]);
	files.fds[CERTIFICATE_STAPLE] = open_named(item->staple, &files.why[CERTIFICATE_STAPLE]);
	return files;
}

/* ---- one run ---- */

static struct config_listener listeners[2] = {
	{ .set = 0, .profile = PROFILE_MODERN },
	{ .set = 2, .profile = PROFILE_TES },
};
static struct config config = { .listeners = { listeners, 2 } };
static struct config_faults faults;
static char *refusals[ITEMS_MAX]; /* by index; NULL: taken */
static unsigned read_anew;        /* how many items were asked for */

static void forget_findings(void)
{
	config_faults_cleanup(&faults);
	for (size_t i = 0; i < ITEMS_MAX; i++) {
		free(refusals[i]);
		refusals[i] = NULL;
	}
	read_anew = 0;
}

static void note_refusals(const struct certify *certify)
{
	const struct certify_refusal *all;
	size_t count = certify_refusals(certify, &all);

	for (size_t i = 0; i < count; i++) {
		assert_null(refusals[all[i].index]);
		refusals[all[i].index] = strdup(all[i].why);
	}
}

static struct book *run(enum certificate_mode mode, struct certificate_item *items, uint32_t count,
			const struct book *old)
{
	const struct certificate_list list = { mode, count, items };
	struct certify *certify;
	struct book *book;
	uint32_t index;
	int fd;

	forget_findings();
	certify = certify_new(&config, &list, old, &faults);
	assert_non_null(certify);
	while (certify_want(certify, &index)) {
		struct certificate_files files = files_of(&items[index], index);

		read_anew++;
		assert_true(certify_take(certify, &files));
		assert_int_equal(files.fds[CERTIFICATE_KEY], -1);
	}
	assert_true(certify_done(certify));
	fd = certify_finish(certify);
	book = book_map(fd);
	assert_non_null(book);
	close(fd);
	note_refusals(certify);
	certify_free(certify);
	assert_int_equal(book_count(book), count);
	return book;
}

static struct book *start(struct certificate_item *items, uint32_t count)
{
	return run(CERTIFICATE_START, items, count, NULL);
}

#define ITEM(name)                                                                                 \
	{                                                                                          \
		.chain = name ".pem", .key = name ".key", .staple = "", .file = "postern.conf",    \
		.line = 7, .same = CERTIFICATE_READ                                                \
	}

static void assert_no_fault(void)
{
	if (faults.count > 0)
		fail_msg("%s", faults.items[0].text);
}

/* Exactly one, at its place in the configuration, with these words. */
static void assert_fault(bool warning, const char *words)
{
	if (faults.count != 1)
		fail_msg("%zu faults instead of \"%s\"", faults.count, words);
	if (strstr(faults.items[0].text, words) == NULL)
		fail_msg("\"%s\" instead of \"%s\"", faults.items[0].text, words);
	assert_int_equal(faults.items[0].warning, warning);
	assert_string_equal(faults.items[0].file, "postern.conf");
	assert_int_equal(faults.items[0].line, 7);
}

static struct book_entry entry_of(const struct book *book, uint32_t index)
{
	struct book_entry entry;

	book_entry(book, index, &entry);
	return entry;
}

/* ---- start ---- */

static void good_certificates_become_a_book(void **state)
{
	struct certificate_item items[] = { ITEM("a"), ITEM("b"), ITEM("c") };
	struct made *rsa = make_one(&(struct make) {
		.kind = "RSA-2048",
		.name = "c",
		.issuer = root,
		.extensions = { "subjectAltName", "DNS:b.test" },
	});
	struct book *book;
	uint32_t found[4];

	write_pair("a", leaf);
	write_pair("b", other);
	write_pair("c", rsa);
	write_response("b.ocsp", other, 3600);
	items[1].staple = "b.ocsp";
	items[1].is_default = true;
	items[2].set = 2;
	book = start(items, 3);
	assert_no_fault();
	assert_int_equal(read_anew, 3);
	assert_int_equal(book_find(book, 0, "a.test", found, 4), 1);
	assert_int_equal(found[0], 0);
	assert_int_equal(book_default(book, 0, found, 4), 1);
	assert_int_equal(found[0], 1);
	assert_int_equal(book_find(book, 2, "b.test", found, 4), 1);
	assert_int_equal(found[0], 2);
	assert_int_equal(entry_of(book, 0).staple.len, 0);
	assert_int_equal(entry_of(book, 0).flags, 0);
	assert_true(entry_of(book, 1).staple.len > 0);
	assert_true(entry_of(book, 1).next_update - entry_of(book, 1).this_update == 10800);
	assert_int_equal(entry_of(book, 2).flags, BOOK_ALLOW_TLS11);
	assert_int_equal(entry_of(book, 2).kind, BOOK_RSA);
	assert_string_equal(entry_of(book, 2).path, "c.pem");
	assert_string_equal(entry_of(book, 2).file, "postern.conf");
	assert_int_equal(entry_of(book, 2).line, 7);
	book_drop(book);
	made_free(rsa);
}

static void assert_refused(struct certificate_item *item, const char *words)
{
	struct book *book = start(item, 1);

	assert_fault(false, words);
	assert_int_equal(entry_of(book, 0).flags, BOOK_BAD);
	book_drop(book);
}

static void each_file_that_cannot_be_used_is_told_with_its_path(void **state)
{
	struct certificate_item item = ITEM("a");
	char *large = calloc(1, CERTIFY_FILE_MAX + 1);

	write_pair("a", leaf);
	write_pair("b", other);
	item.chain = "gone.pem";
	assert_refused(&item, "gone.pem: it cannot be opened: No such file or directory");
	item.chain = "a.pem";
	item.key = "gone.key";
	assert_refused(&item, "gone.key: it cannot be opened: No such file or directory");
	item.key = "b.key";
	assert_refused(&item, "b.key: the key does not belong to the first certificate");
	item.key = "a.pem";
	assert_refused(&item, "a.pem: the key cannot be read");
	item.key = "a.key";
	item.chain = "a.key";
	assert_refused(&item, "a.key: it holds no certificate in PEM");
	write_file("large.pem", large, CERTIFY_FILE_MAX + 1);
	item.chain = "large.pem";
	assert_refused(&item, "large.pem: it is larger than 1048576 octets");
	write_file("empty.pem", "", 0);
	item.chain = "empty.pem";
	assert_refused(&item, "empty.pem: it holds no certificate in PEM");
	free(large);
}

static void a_certificate_is_judged_by_the_profiles_that_it_is_shown_under(void **state)
{
	struct certificate_item item = ITEM("small");
	struct made *small = make_one(&(struct make) {
		.kind = "RSA-2048",
		.name = "small.test",
		.issuer = root,
	});
	struct book *book;

	write_pair("small", small);
	listeners[0].profile = PROFILE_NCSC;
	assert_refused(&item,
		       "small.pem: the RSA key has 2048 bits; profile \"ncsc\" asks for 3072");
	item.set = 2;
	book = start(&item, 1);
	assert_no_fault();
	book_drop(book);
	listeners[0].profile = PROFILE_MODERN;
	item.set = 0;
	book = start(&item, 1);
	assert_no_fault();
	book_drop(book);
	made_free(small);
}

static void all_faults_of_all_certificates_are_told(void **state)
{
	struct certificate_item items[] = { ITEM("gone"), ITEM("a"), ITEM("gone-too") };
	struct book *book;

	write_pair("a", leaf);
	book = start(items, 3);
	assert_int_equal(faults.errors, 4); /* chain and key of two */
	book_drop(book);
}

static void a_staple_that_cannot_be_used_is_left_out_with_a_warning(void **state)
{
	static const char *const words[] = {
		"stale.ocsp: the OCSP response is not sent: it is stale",
		"other.ocsp: the OCSP response is not sent: it is about another certificate",
		"gone.ocsp: it cannot be opened: No such file",
	};
	static const char *const names[] = { "stale.ocsp", "other.ocsp", "gone.ocsp" };

	write_pair("a", leaf);
	write_response("stale.ocsp", leaf, -60);
	write_response("other.ocsp", other, 3600);
	for (size_t i = 0; i < 3; i++) {
		struct certificate_item item = ITEM("a");
		struct book *book;

		item.staple = names[i];
		book = start(&item, 1);
		assert_fault(true, words[i]);
		assert_int_equal(entry_of(book, 0).staple.len, 0);
		assert_int_equal(entry_of(book, 0).flags, 0);
		book_drop(book);
	}
}

static void must_staple_without_a_staple_is_a_warning(void **state)
{
	struct certificate_item item = ITEM("must");
	struct made *must = make_one(&(struct make) {
		.name = "must.test",
		.issuer = root,
		.extensions = { "tlsfeature", "status_request" },
	});
	struct book *book;

	write_pair("must", must);
	book = start(&item, 1);
	assert_fault(true, "must.pem: the certificate demands an OCSP response (must-staple)");
	assert_int_equal(entry_of(book, 0).flags, BOOK_MUST_STAPLE);
	book_drop(book);
	write_response("must.ocsp", must, 3600);
	item.staple = "must.ocsp";
	book = start(&item, 1);
	assert_no_fault();
	book_drop(book);
	made_free(must);
}

static void a_key_in_a_token_is_named_and_not_read(void **state)
{
	struct certificate_item item = ITEM("a");
	struct book *book;

	write_pair("a", leaf);
	item.key = "pkcs11:object=a";
	book = start(&item, 1);
	assert_fault(true, "its only key is in a token, which serves TLS 1.3 alone");
	assert_int_equal(entry_of(book, 0).flags, BOOK_TOKEN);
	assert_string_equal(entry_of(book, 0).key_source, "pkcs11:object=a");
	book_drop(book);
}

/* One file for both is usual elsewhere. */
static void a_key_beside_the_chain_does_not_get_into_the_book(void **state)
{
	struct certificate_item item = ITEM("both");
	char *chain = made_chain(leaf, root, NULL), *key = made_key(leaf), both[8192];
	struct book *book;

	snprintf(both, sizeof(both), "%s%s", chain, key);
	write_file("both.pem", both, strlen(both));
	item.key = "both.pem";
	book = start(&item, 1);
	assert_no_fault();
	assert_int_equal(entry_of(book, 0).chain.len, strlen(chain));
	assert_memory_equal(entry_of(book, 0).chain.data, chain, strlen(chain));
	book_drop(book);
	free(chain);
	free(key);
}

static void files_come_in_the_order_in_which_they_were_asked_for(void **state)
{
	struct certificate_item items[] = { ITEM("a"), ITEM("a"), ITEM("a"),
					    ITEM("a"), ITEM("a"), ITEM("a") };
	const struct certificate_list list = { CERTIFICATE_START, 6, items };
	struct certify *certify;
	struct certificate_files files;
	uint32_t index;

	write_pair("a", leaf);
	forget_findings();
	certify = certify_new(&config, &list, NULL, &faults);
	files = files_of(&items[0], 0);
	assert_false(certify_take(certify, &files)); /* not asked for yet; closed all the same */
	assert_int_equal(files.fds[CERTIFICATE_CHAIN], -1);
	for (uint32_t i = 0; i < 4; i++) {
		assert_true(certify_want(certify, &index));
		assert_int_equal(index, i);
	}
	assert_false(certify_want(certify, &index));
	files = files_of(&items[1], 1);
	assert_false(certify_take(certify, &files));
	files = files_of(&items[0], 0);
	assert_true(certify_take(certify, &files));
	assert_true(certify_want(certify, &index));
	assert_int_equal(index, 4);
	assert_false(certify_done(certify));
	certify_free(certify);
	assert_no_fault();
}

/* ---- renewal ---- */

static void what_has_not_changed_is_copied_without_its_files(void **state)
{
	struct certificate_item items[] = { ITEM("a"), ITEM("b") };
	struct book *old, *book;
	uint32_t found[2];

	write_pair("a", leaf);
	write_pair("b", other);
	old = start(items, 2);
	unlink("a.key");
	items[0].same = 0;
	write_pair("b", leaf);
	book = run(CERTIFICATE_RENEWAL, items, 2, old);
	assert_no_fault();
	assert_int_equal(read_anew, 1);
	assert_int_equal(book_find(book, 0, "a.test", found, 2), 2);
	assert_int_equal(book_find(book, 0, "b.test", found, 2), 0);
	assert_memory_equal(entry_of(book, 0).fingerprint, entry_of(old, 0).fingerprint,
			    BOOK_ID_LEN);
	book_drop(book);
	book_drop(old);
}

static void a_bad_renewal_keeps_what_was(void **state)
{
	struct certificate_item items[] = { ITEM("new"), ITEM("a"), ITEM("b") };
	struct book *old, *book;
	uint32_t found[2];

	write_pair("a", leaf);
	write_pair("b", other);
	old = start(items + 1, 2);
	write_file("a.pem", "half", 4);
	items[2].same = 1;
	book = run(CERTIFICATE_RENEWAL, items, 3, old);
	assert_no_fault();
	assert_non_null(strstr(refusals[0], "new.pem: it cannot be opened"));
	assert_string_equal(refusals[1], "a.pem: it holds no certificate in PEM");
	assert_null(refusals[2]);
	assert_int_equal(entry_of(book, 0).flags, BOOK_BAD);
	assert_string_equal(entry_of(book, 0).path, "new.pem");
	assert_int_equal(book_find(book, 0, "a.test", found, 2), 1);
	assert_int_equal(found[0], 1);
	book_drop(old);
	old = book;
	/* the bad one is not read again as long as its files are the same */
	for (uint32_t i = 0; i < 3; i++)
		items[i].same = i;
	book = run(CERTIFICATE_RENEWAL, items, 3, old);
	assert_int_equal(read_anew, 0);
	assert_int_equal(entry_of(book, 0).flags, BOOK_BAD);
	book_drop(old);
	book_drop(book);
}

static void a_half_written_staple_leaves_the_one_before(void **state)
{
	struct certificate_item item = ITEM("a");
	struct book *old, *book;

	write_pair("a", leaf);
	write_response("a.ocsp", leaf, 3600);
	item.staple = "a.ocsp";
	old = start(&item, 1);
	assert_no_fault();
	write_file("a.ocsp", "half", 4);
	book = run(CERTIFICATE_RENEWAL, &item, 1, old);
	assert_fault(true, "a.ocsp: the OCSP response is not sent: it is no OCSP response in DER");
	assert_int_equal(entry_of(book, 0).staple.len, entry_of(old, 0).staple.len);
	book_drop(book);
	write_pair("a", other); /* the old response is about another */
	book = run(CERTIFICATE_RENEWAL, &item, 1, old);
	assert_int_equal(entry_of(book, 0).staple.len, 0);
	book_drop(book);
	book_drop(old);
}

/* ---- reload ---- */

static void an_expired_certificate_does_not_stop_a_reload(void **state)
{
	struct certificate_item item = ITEM("over");
	struct made *over = make_one(&(struct make) {
		.name = "over.test",
		.issuer = root,
		.begins = -9,
		.ends = -1,
	});
	struct book *old, *book;

	write_pair("over", over);
	assert_refused(&item, "over.pem: certificate 1 (CN = over.test) expired on ");
	old = run(CERTIFICATE_RELOAD, &item, 1, NULL);
	assert_fault(true, "expired on ");
	assert_int_equal(entry_of(old, 0).flags, 0);
	item.same = 0;
	book = run(CERTIFICATE_RELOAD, &item, 1, old);
	assert_fault(true, "expired on ");
	assert_int_equal(read_anew, 0);
	book_drop(book);
	item.same = CERTIFICATE_READ;
	book = run(CERTIFICATE_RENEWAL, &item, 1, NULL);
	assert_non_null(strstr(refusals[0], "expired on "));
	book_drop(book);
	book_drop(old);
	made_free(over);
}

static void a_reload_judges_what_it_had_by_the_new_profile(void **state)
{
	struct certificate_item item = ITEM("small");
	struct made *small = make_one(&(struct make) {
		.kind = "RSA-2048",
		.name = "small.test",
		.issuer = root,
	});
	struct book *old, *book;

	write_pair("small", small);
	write_response("small.ocsp", small, 3600);
	item.staple = "small.ocsp";
	old = start(&item, 1);
	item.same = 0;
	listeners[0].profile = PROFILE_TES;
	book = run(CERTIFICATE_RELOAD, &item, 1, old);
	assert_no_fault();
	assert_int_equal(entry_of(book, 0).flags, BOOK_ALLOW_TLS11);
	assert_true(entry_of(book, 0).staple.len > 0);
	book_drop(book);
	listeners[0].profile = PROFILE_NCSC;
	book = run(CERTIFICATE_RELOAD, &item, 1, old);
	assert_fault(false, "profile \"ncsc\" asks for 3072");
	assert_int_equal(read_anew, 0);
	book_drop(book);
	listeners[0].profile = PROFILE_MODERN;
	book_drop(old);
	made_free(small);
}

static void a_reload_reads_again_what_was_bad_and_what_the_old_book_does_not_have(void **state)
{
	struct certificate_item item = ITEM("a");
	struct book *old = run(CERTIFICATE_RENEWAL, &item, 1, NULL), *book;

	assert_int_equal(entry_of(old, 0).flags, BOOK_BAD);
	item.same = 0;
	book = run(CERTIFICATE_RELOAD, &item, 1, old);
	assert_int_equal(read_anew, 1);
	assert_int_equal(faults.errors, 2);
	book_drop(book);
	write_pair("a", leaf);
	item.same = 1;
	book = run(CERTIFICATE_RELOAD, &item, 1, old);
	assert_no_fault();
	assert_int_equal(read_anew, 1);
	book_drop(book);
	book_drop(old);
}

#define TEST(name) cmocka_unit_test_teardown(name, cleanup_files)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(good_certificates_become_a_book),
		TEST(each_file_that_cannot_be_used_is_told_with_its_path),
		TEST(a_certificate_is_judged_by_the_profiles_that_it_is_shown_under),
		TEST(all_faults_of_all_certificates_are_told),
		TEST(a_staple_that_cannot_be_used_is_left_out_with_a_warning),
		TEST(must_staple_without_a_staple_is_a_warning),
		TEST(a_key_in_a_token_is_named_and_not_read),
		TEST(a_key_beside_the_chain_does_not_get_into_the_book),
		TEST(files_come_in_the_order_in_which_they_were_asked_for),
		TEST(what_has_not_changed_is_copied_without_its_files),
		TEST(a_bad_renewal_keeps_what_was),
		TEST(a_half_written_staple_leaves_the_one_before),
		TEST(an_expired_certificate_does_not_stop_a_reload),
		TEST(a_reload_judges_what_it_had_by_the_new_profile),
		TEST(a_reload_reads_again_what_was_bad_and_what_the_old_book_does_not_have),
	};
	int failed = cmocka_run_group_tests(tests, setup, teardown);

	forget_findings();
	return failed;
}
