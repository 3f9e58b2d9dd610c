/* test_certificate_watch - which paths are watched for a list of certificates, and that a link far up the way counts. */
#include "frontend/certificate_watch.h"
#include "tests/unit/folder_play.h"
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define GUARD_SECONDS 20.0

static struct ev_loop *loop;
static struct certificate_watch *watch;
static unsigned told, wanted;

static void changed(void *owner)
{
	if (++told == wanted)
		ev_break(loop, EVBREAK_ALL);
}

static void too_late(struct ev_loop *of, ev_timer *timer, int events)
{
	ev_break(of, EVBREAK_ALL);
}

/* Runs until it has been told that many times. */
static void wait_for(unsigned times)
{
	ev_timer guard;

	told = 0;
	wanted = times;
	ev_timer_init(&guard, too_late, GUARD_SECONDS, 0);
	ev_timer_start(loop, &guard);
	ev_run(loop, 0);
	ev_timer_stop(loop, &guard);
	assert_int_equal(told, times);
}

static int setup(void **state)
{
	memcpy(folder + sizeof(folder) - 7, "XXXXXX", 7);
	if (mkdtemp(folder) == NULL)
		return -1;
	loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	watch = certificate_watch_new(loop, changed, NULL);
	return 0;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	return remove(path);
}

static int teardown(void **state)
{
	certificate_watch_free(watch);
	ev_loop_destroy(loop);
	return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* A list of one certificate. */
static const struct certificates *list_of(const char *chain, const char *key, const char *staple)
{
	static struct certificate_item item;
	static struct certificates all;

	item = (struct certificate_item) { .chain = chain, .key = key, .staple = staple };
	all = (struct certificates) { .list = { .count = 1, .items = &item } };
	return &all;
}

static void each_path_is_watched_once(void **state)
{
	put("a.pem", "chain");
	put("a.key", "key");
	certificate_watch_update(watch, list_of(at("a.pem"), at("a.key"), ""), NULL);
	assert_int_equal(certificate_watch_count(watch), 3); /* both, and their folder */
	certificate_watch_update(watch, list_of(at("a.pem"), at("a.pem"), at("a.pem")), NULL);
	assert_int_equal(certificate_watch_count(watch), 2);
	certificate_watch_update(watch, list_of(at("a.pem"), "pkcs11:object=a", ""), NULL);
	assert_int_equal(certificate_watch_count(watch), 2);
}

static void other_files_are_watched_too(void **state)
{
	const char *const others[] = { at("tickets"), NULL };

	put("a.pem", "chain");
	certificate_watch_update(watch, list_of(at("a.pem"), at("a.pem"), ""), others);
	assert_int_equal(certificate_watch_count(watch), 3);
}

static void what_a_link_leads_to_is_watched_with_its_folder(void **state)
{
	assert_int_equal(mkdir(at("archive"), 0700), 0);
	put("archive/1.pem", "chain");
	assert_int_equal(symlink("archive/1.pem", at("a.pem")), 0);
	certificate_watch_update(watch, list_of(at("a.pem"), at("a.pem"), ""), NULL);
	/* the link, its folder, the file, that one's folder */
	assert_int_equal(certificate_watch_count(watch), 4);
}

static void links_in_a_circle_come_to_an_end(void **state)
{
	assert_int_equal(symlink("b", at("a")), 0);
	assert_int_equal(symlink("a", at("b")), 0);
	assert_int_equal(symlink("itself/further", at("itself")), 0);
	certificate_watch_update(watch, list_of(at("a"), at("itself"), at("itself/x")), NULL);
	assert_true(certificate_watch_count(watch) >= 4);
}

static void a_link_far_up_the_way_is_turned(void **state)
{
	char path[256];

	snprintf(path, sizeof(path), "%s", at("now/a/b/chain.pem"));
	for (int i = 1; i <= 2; i++) {
		char name[64];

		snprintf(name, sizeof(name), "%d", i);
		assert_int_equal(mkdir(at(name), 0700), 0);
		snprintf(name, sizeof(name), "%d/a", i);
		assert_int_equal(mkdir(at(name), 0700), 0);
		snprintf(name, sizeof(name), "%d/a/b", i);
		assert_int_equal(mkdir(at(name), 0700), 0);
		snprintf(name, sizeof(name), "%d/a/b/chain.pem", i);
		put(name, "chain");
	}
	assert_int_equal(symlink("1", at("now")), 0);
	certificate_watch_update(watch, list_of(path, path, ""), NULL);
	wait_for(2); /* what it says when it begins, and late */

	assert_int_equal(symlink("2", at("new")), 0);
	assert_int_equal(rename(at("new"), at("now")), 0);
	wait_for(2);

	/* the path says the same, and leads elsewhere */
	certificate_watch_update(watch, list_of(path, path, ""), NULL);
	wait_for(2);
	put("2/a/b/chain.pem", "another chain");
	wait_for(1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_path_is_watched_once),
		TEST(other_files_are_watched_too),
		TEST(what_a_link_leads_to_is_watched_with_its_folder),
		TEST(links_in_a_circle_come_to_an_end),
		TEST(a_link_far_up_the_way_is_turned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
