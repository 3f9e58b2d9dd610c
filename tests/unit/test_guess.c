/* test_guess - failed logins over workers and time: counting, fading, forgiving, delaying, refusing, giving way. The clock is ours. */
#include "frontend/guess.h"
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#define WORKERS 3
#define WINDOW  600
#define BEGIN   1000000u

static const struct config_guessing usual = {
	.window = WINDOW,
	.delay_from = 5,
	.refuse_from = 20,
	.user_delay_from = 10,
	.delay = 1000,
	.delay_max = 8000,
};

static struct guess_view view; /* worker 0 at BEGIN, before each test */
static int fd;

static int set_up(void **state)
{
	fd = shared_create(WORKERS);
	view = (struct guess_view) { .shared = shared_map(fd, WORKERS, true),
				     .policy = &usual,
				     .now = BEGIN };
	return view.shared ? 0 : -1;
}

static int tear_down(void **state)
{
	shared_unmap((struct shared *)view.shared);
	close(fd);
	return 0;
}

static struct guess_attempt from(const char *text)
{
	struct guess_attempt attempt;
	struct address address;

	assert_true(address_parse(text, 0, &address));
	guess_attempt_init(&attempt, &view, &address.u.any, false);
	return attempt;
}

static struct guess_attempt attempt_of(const char *address, const char *user, const char *password)
{
	struct guess_attempt attempt = from(address);

	guess_attempt_name(&attempt, &view, span_of(user), span_of(password));
	return attempt;
}

/* The workers take turns. */
static bool fails(const char *address, const char *user, const char *password)
{
	struct guess_attempt attempt = attempt_of(address, user, password);
	struct guess_news news[GUESS_NEWS_MAX];
	size_t count;

	view.worker = (view.worker + 1) % WORKERS;
	return guess_failed(&view, &attempt, news, &count);
}

static void fails_often(unsigned times, const char *address, const char *user)
{
	static unsigned serial;
	char password[32];

	while (times-- > 0) {
		snprintf(password, sizeof(password), "wrong-%u", serial++);
		assert_true(fails(address, user, password));
	}
}

static void succeeds(const char *address, const char *user)
{
	struct guess_attempt attempt = attempt_of(address, user, "right");

	guess_succeeded(&view, &attempt);
}

static unsigned count(const char *address)
{
	struct guess_attempt attempt = from(address);

	return guess_count_place(&view, &attempt);
}

static unsigned count_user(const char *user)
{
	struct guess_attempt attempt = attempt_of("192.0.2.200", user, "");

	return guess_count_user(&view, &attempt);
}

static enum guess_answer check(const char *address, const char *user, unsigned *delay)
{
	struct guess_attempt attempt = attempt_of(address, user, "any");

	return guess_check(&view, &attempt, false, delay);
}

static unsigned delay_of(const char *address, const char *user)
{
	unsigned delay;

	assert_int_equal(check(address, user, &delay), GUESS_GO);
	return delay;
}

static void failures_are_counted_over_workers(void **state)
{
	fails_often(4, "192.0.2.1", "alice");
	assert_int_equal(count("192.0.2.1"), 4);
	assert_int_equal(count_user("alice"), 4);
	assert_int_equal(count("192.0.2.2"), 0);
	assert_int_equal(count_user("bob"), 0);
	for (view.worker = 0; view.worker < WORKERS; view.worker++)
		assert_int_equal(count("192.0.2.1"), 4);
}

static void ipv6_counts_by_its_64_and_mapped_addresses_as_ipv4(void **state)
{
	fails_often(3, "2001:db8:0:1::1", "alice");
	fails_often(2, "2001:db8:0:1:ffff::2", "alice");
	assert_int_equal(count("2001:db8:0:1:1234::"), 5);
	assert_int_equal(count("2001:db8:0:2::1"), 0);
	fails_often(2, "::ffff:192.0.2.1", "alice");
	assert_int_equal(count("192.0.2.1"), 2);
}

static void the_delay_doubles_up_to_its_maximum_and_then_comes_the_refusal(void **state)
{
	static const unsigned delays[] = { 0, 0, 0, 0, 0, 1000, 2000, 4000, 8000, 8000 };
	unsigned delay;

	for (unsigned n = 0; n < 20; n++) {
		assert_int_equal(delay_of("192.0.2.1", "x"), n < 10 ? delays[n] : 8000);
		char user[16];

		snprintf(user, sizeof(user), "user-%u", n);
		fails_often(1, "192.0.2.1", user);
	}
	assert_int_equal(check("192.0.2.1", "x", &delay), GUESS_REFUSE);
	assert_int_equal(delay_of("192.0.2.2", "x"), 0); /* the neighbour */
}

static void what_has_failed_fades_with_the_window(void **state)
{
	unsigned delay;

	fails_often(10, "192.0.2.1", "a");
	view.now += WINDOW / 2;
	fails_often(10, "192.0.2.1", "b");
	assert_int_equal(check("192.0.2.1", "c", &delay), GUESS_REFUSE);
	view.now = BEGIN + WINDOW - WINDOW / 6 - 1; /* the first half counts at least so long */
	assert_int_equal(count("192.0.2.1"), 20);
	view.now = BEGIN + WINDOW;
	assert_int_equal(count("192.0.2.1"), 10);
	assert_int_equal(delay_of("192.0.2.1", "c"), 8000);
	view.now += WINDOW / 2;
	assert_int_equal(count("192.0.2.1"), 0);
	assert_int_equal(count_user("a"), 0);
	assert_int_equal(delay_of("192.0.2.1", "c"), 0);
}

static void time_may_wrap(void **state)
{
	view.now = (1u << 26) - 60;
	fails_often(3, "192.0.2.1", "a");
	view.now += 120;
	assert_int_equal(count("192.0.2.1"), 3);
	fails_often(3, "192.0.2.1", "a");
	assert_int_equal(count("192.0.2.1"), 6);
	view.now += WINDOW;
	assert_int_equal(count("192.0.2.1"), 0);
}

static void the_same_wrong_password_counts_once(void **state)
{
	assert_true(fails("192.0.2.1", "alice", "old"));
	for (int i = 0; i < 100; i++) {
		assert_false(fails("192.0.2.1", "alice", "old"));
		assert_false(fails("192.0.2.1", "ALICE", "old"));
		view.now += 60; /* a phone that looks for mail each minute, all day */
	}
	assert_true(count("192.0.2.1") <= 1);
	assert_true(fails("192.0.2.1", "alice", "older"));
	assert_true(fails("192.0.2.1", "bob", "old"));
	assert_true(fails("192.0.2.2", "alice", "old"));
	view.now += WINDOW;
	assert_true(fails("192.0.2.1", "alice", "old"));
}

static void without_a_password_the_responses_are_compared(void **state)
{
	struct guess_news news[GUESS_NEWS_MAX];
	size_t count_news;

	for (int i = 0; i < 2; i++) {
		struct guess_attempt first = from("192.0.2.1"), other = from("192.0.2.1");

		guess_attempt_response(&first, &view, SPAN("YWxpY2U="));
		guess_attempt_response(&first, &view, SPAN("b2xk"));
		assert_int_equal(guess_failed(&view, &first, news, &count_news), i == 0);
		guess_attempt_response(&other, &view, SPAN("YWxpY2U="));
		guess_attempt_response(&other, &view, SPAN("b2xkZXI="));
		assert_int_equal(guess_failed(&view, &other, news, &count_news), i == 0);
	}
	struct guess_attempt nothing = from("192.0.2.1");

	assert_true(guess_failed(&view, &nothing, news, &count_news));
	assert_true(guess_failed(&view, &nothing, news, &count_news));
	assert_int_equal(count("192.0.2.1"), 4);
}

static void a_success_forgives_that_user_there_and_nothing_else(void **state)
{
	fails_often(4, "192.0.2.1", "alice");
	fails_often(6, "192.0.2.1", "mallory");
	fails_often(2, "192.0.2.2", "alice");
	view.worker = 2;
	succeeds("192.0.2.1", "alice");
	assert_int_equal(count("192.0.2.1"), 6);
	assert_int_equal(count_user("alice"), 2);
	assert_int_equal(count_user("mallory"), 6);
	for (int i = 0; i < 10; i++)
		succeeds("192.0.2.1", "alice"); /* there is nothing more to forgive */
	assert_int_equal(count("192.0.2.1"), 6);
	assert_int_equal(delay_of("192.0.2.1", "bob"), 2000);
}

/* Somebody with an account of his own logs in between his guesses. */
static void an_own_account_does_not_help_a_guesser(void **state)
{
	unsigned delay, tried = 0;

	for (; check("192.0.2.1", "victim", &delay) != GUESS_REFUSE && tried < 100; tried++) {
		fails_often(1, "192.0.2.1", "victim");
		succeeds("192.0.2.1", "mallory");
		view.now += 5;
	}
	assert_int_equal(tried, 20);
	assert_int_equal(check("192.0.2.1", "mallory", &delay), GUESS_GO);
}

/* What was forgiven fades with what had failed, and makes no room for more. */
static void forgiving_gives_no_credit(void **state)
{
	fails_often(10, "192.0.2.1", "mallory");
	view.now += WINDOW * 2 / 3;
	succeeds("192.0.2.1", "mallory");
	assert_int_equal(count("192.0.2.1"), 0);
	view.now += WINDOW / 3;
	fails_often(7, "192.0.2.1", "victim");
	assert_int_equal(count("192.0.2.1"), 7);
}

static void who_has_logged_in_from_there_is_not_harmed_by_neighbours(void **state)
{
	unsigned delay;

	succeeds("192.0.2.1", "alice");
	fails_often(25, "192.0.2.1", "mallory");
	assert_int_equal(check("192.0.2.1", "bob", &delay), GUESS_REFUSE);
	assert_int_equal(delay_of("192.0.2.1", "alice"), 0);
	assert_int_equal(delay_of("192.0.2.1", "ALICE"), 0);

	/* But the name alone does not help: a few failures and it is as unknown as any. */
	fails_often(5, "192.0.2.1", "alice");
	assert_int_equal(check("192.0.2.1", "alice", &delay), GUESS_REFUSE);
}

static void nobody_can_lock_a_user_out(void **state)
{
	char address[32];

	succeeds("198.51.100.7", "alice");
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(address, sizeof(address), "10.%u.%u.1", i / 250, i % 250);
		fails_often(1, address, "alice");
	}
	assert_int_equal(delay_of("198.51.100.7", "alice"), 0);   /* has been here */
	assert_int_equal(delay_of("203.0.113.9", "alice"), 8000); /* never refused */
	assert_int_equal(delay_of("203.0.113.9", "bob"), 0);
}

static void a_network_is_delayed_eight_times_as_slowly_and_never_refused(void **state)
{
	char address[32];

	for (unsigned i = 1; i <= 39; i++) {
		snprintf(address, sizeof(address), "192.0.2.%u", i);
		fails_often(1, address, address);
	}
	assert_int_equal(delay_of("192.0.2.99", "x"), 0);
	fails_often(1, "192.0.2.40", "y");
	assert_int_equal(delay_of("192.0.2.99", "x"), 1000);
	assert_int_equal(delay_of("192.0.3.1", "x"), 0);
	for (unsigned i = 41; i <= 250; i++) {
		snprintf(address, sizeof(address), "192.0.2.%u", i);
		fails_often(1, address, address);
	}
	assert_int_equal(delay_of("192.0.2.251", "x"), 8000);

	for (unsigned i = 1; i <= 40; i++) {
		snprintf(address, sizeof(address), "2001:db8:7:%x::1", i);
		fails_often(1, address, address);
	}
	assert_int_equal(delay_of("2001:db8:7:ffff::1", "x"), 1000);
	assert_int_equal(delay_of("2001:db8:8::1", "x"), 0);
}

static void the_exempt_are_not_counted_but_users_there_are(void **state)
{
	struct guess_news news[GUESS_NEWS_MAX];
	size_t count_news;

	for (unsigned i = 0; i < 30; i++) {
		struct address address;
		struct guess_attempt attempt;
		char password[16];

		snprintf(password, sizeof(password), "wrong-%u", i);
		assert_true(address_parse("192.0.2.1", 0, &address));
		guess_attempt_init(&attempt, &view, &address.u.any, true);
		guess_attempt_name(&attempt, &view, SPAN("alice"), span_of(password));
		guess_begin(&view, &attempt);
		assert_true(guess_failed(&view, &attempt, news, &count_news));
		guess_end(&view, &attempt);
	}
	assert_int_equal(count("192.0.2.1"), 0);
	assert_int_equal(count_user("alice"), 30);
	assert_int_equal(delay_of("192.0.2.1", "bob"), 0);
}

static void zero_is_never(void **state)
{
	static const struct config_guessing off = { .window = WINDOW,
						    .delay = 1000,
						    .delay_max = 8000 };

	view.policy = &off;
	fails_often(200, "192.0.2.1", "alice");
	assert_int_equal(delay_of("192.0.2.1", "alice"), 0);
	assert_int_equal(delay_of("192.0.2.1", "bob"), 0);
}

static void many_at_once_do_not_slip_through_together(void **state)
{
	struct guess_attempt attempts[25];
	struct guess_news news[GUESS_NEWS_MAX];
	unsigned delay, let_in = 0;
	size_t count_news;

	fails_often(3, "192.0.2.1", "mallory");
	for (unsigned i = 0; i < 25; i++) {
		char password[16];

		snprintf(password, sizeof(password), "guess-%u", i);
		attempts[i] = attempt_of("192.0.2.1", "victim", password);
		view.worker = i % WORKERS;
		if (guess_check(&view, &attempts[i], false, &delay) != GUESS_GO)
			continue;
		guess_begin(&view, &attempts[i]);
		guess_begin(&view, &attempts[i]); /* nothing twice */
		let_in++;
	}
	assert_int_equal(let_in, 17);
	assert_int_equal(check("192.0.2.1", "bob", &delay), GUESS_WAIT);
	for (unsigned i = 0; i < 17; i++) {
		view.worker = i % WORKERS;
		if (i < 10)
			guess_failed(&view, &attempts[i], news, &count_news);
		guess_end(&view, &attempts[i]);
		guess_end(&view, &attempts[i]);
	}
	assert_int_equal(count("192.0.2.1"), 13);
	assert_int_equal(check("192.0.2.1", "bob", &delay), GUESS_GO);
}

static void a_dead_worker_leaves_its_failures_and_takes_its_open_attempts(void **state)
{
	struct guess_attempt attempts[20];
	unsigned delay;

	fails_often(15, "192.0.2.1", "mallory");
	for (unsigned i = 0; i < 20; i++) {
		attempts[i] = attempt_of("192.0.2.1", "x", "y");
		view.worker = i % WORKERS;
		guess_begin(&view, &attempts[i]);
	}
	assert_int_equal(check("192.0.2.1", "bob", &delay), GUESS_WAIT);
	for (unsigned worker = 0; worker <= WORKERS; worker++)
		shared_worker_died((struct shared *)view.shared, worker);
	assert_int_equal(check("192.0.2.1", "bob", &delay), GUESS_GO);
	assert_int_equal(count("192.0.2.1"), 15);
	view.worker = 0;
	guess_end(&view, &attempts[0]); /* of before: harmless */
	assert_int_equal(check("192.0.2.1", "bob", &delay), GUESS_GO);
}

static void before_the_name_is_known_only_what_holds_for_all_is_said(void **state)
{
	struct guess_attempt nameless = from("192.0.2.1");
	unsigned delay;

	fails_often(20, "192.0.2.1", "mallory");
	assert_int_equal(guess_check(&view, &nameless, true, &delay), GUESS_REFUSE);
	succeeds("192.0.2.1", "alice"); /* now somebody there may be she */
	assert_int_equal(guess_check(&view, &nameless, true, &delay), GUESS_GO);
	assert_int_equal(delay, 0);
	assert_int_equal(guess_check(&view, &nameless, false, &delay), GUESS_REFUSE);
}

static void a_threshold_is_told_once(void **state)
{
	struct guess_news news[GUESS_NEWS_MAX];
	size_t told[3] = { 0 }, news_count;

	for (unsigned i = 0; i < 30; i++) {
		char password[16];

		snprintf(password, sizeof(password), "wrong-%u", i);
		struct guess_attempt attempt = attempt_of("192.0.2.1", "alice", password);

		guess_failed(&view, &attempt, news, &news_count);
		for (size_t n = 0; n < news_count; n++) {
			if (strcmp(news[n].scope, "user") == 0)
				told[2] += news[n].count == 10;
			else if (strcmp(news[n].answer, "refuse") == 0)
				told[1] += news[n].count == 20;
			else
				told[0] += news[n].count == 5;
		}
	}
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(told[i], 1);
}

static void a_crowd_pushes_out_the_least_and_not_the_worst(void **state)
{
	char address[32], user[32];

	view.worker = 0;
	for (unsigned i = 0; i < 19; i++) {
		struct guess_attempt attempt = attempt_of("192.0.2.1", "alice", "");
		struct guess_news news[GUESS_NEWS_MAX];
		size_t news_count;

		guess_failed(&view, &attempt, news, &news_count);
	}
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(address, sizeof(address), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		snprintf(user, sizeof(user), "user-%u", i);
		fails(address, user, "same");
		if (i % 1000 == 0)
			view.now++;
	}
	assert_int_equal(count("192.0.2.1"), 19);
	assert_int_equal(count_user("alice"), 19);
	assert_int_equal(count("10.1.134.159"), 1); /* the latest of the crowd */
}

static void a_full_row_gives_way_to_new_failures_once_it_has_faded(void **state)
{
	char address[32];

	for (unsigned i = 0; i < 60000; i++) {
		snprintf(address, sizeof(address), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		fails(address, address, "a");
		fails(address, address, "b");
	}
	view.now += WINDOW;
	fails_often(3, "192.0.2.1", "alice");
	assert_int_equal(count("192.0.2.1"), 3);
}

static void the_key_is_new_at_each_start(void **state)
{
	struct guess_attempt before = attempt_of("192.0.2.1", "alice", "secret");

	tear_down(state);
	assert_int_equal(set_up(state), 0);

	struct guess_attempt after = attempt_of("192.0.2.1", "alice", "secret");

	assert_true(before.place != after.place && before.user != after.user);
	assert_true(before.pair != after.pair && before.print != after.print);
}

static void no_name_and_no_password_lies_in_the_mapping(void **state)
{
	off_t size = lseek(fd, 0, SEEK_END);
	void *raw = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);

	fails("192.0.2.1", "somebody-rather-long", "a-secret-rather-long");
	succeeds("192.0.2.1", "somebody-rather-long");
	assert_null(memmem(raw, (size_t)size, "somebody", 8));
	assert_null(memmem(raw, (size_t)size, "secret", 6));
	munmap(raw, (size_t)size);
}

static void a_mapping_full_of_nonsense_is_survived(void **state)
{
	off_t size = lseek(fd, 0, SEEK_END);
	uint8_t *raw = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint64_t random = 88172645463325252u;
	unsigned delay;

	for (int round = 0; round < 3; round++) {
		for (off_t i = 0; i < size; i++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			raw[i] = round == 0 ? 0xff : (uint8_t)random;
		}
		struct guess_attempt attempt = attempt_of("192.0.2.1", "alice", "x");

		check("192.0.2.1", "alice", &delay);
		assert_true(delay <= 8000);
		guess_begin(&view, &attempt);
		fails("192.0.2.1", "alice", "x");
		guess_end(&view, &attempt);
		succeeds("192.0.2.1", "alice");
	}
	munmap(raw, (size_t)size);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(failures_are_counted_over_workers),
		TEST(ipv6_counts_by_its_64_and_mapped_addresses_as_ipv4),
		TEST(the_delay_doubles_up_to_its_maximum_and_then_comes_the_refusal),
		TEST(what_has_failed_fades_with_the_window),
		TEST(time_may_wrap),
		TEST(the_same_wrong_password_counts_once),
		TEST(without_a_password_the_responses_are_compared),
		TEST(a_success_forgives_that_user_there_and_nothing_else),
		TEST(an_own_account_does_not_help_a_guesser),
		TEST(forgiving_gives_no_credit),
		TEST(who_has_logged_in_from_there_is_not_harmed_by_neighbours),
		TEST(nobody_can_lock_a_user_out),
		TEST(a_network_is_delayed_eight_times_as_slowly_and_never_refused),
		TEST(the_exempt_are_not_counted_but_users_there_are),
		TEST(zero_is_never),
		TEST(many_at_once_do_not_slip_through_together),
		TEST(a_dead_worker_leaves_its_failures_and_takes_its_open_attempts),
		TEST(before_the_name_is_known_only_what_holds_for_all_is_said),
		TEST(a_threshold_is_told_once),
		TEST(a_crowd_pushes_out_the_least_and_not_the_worst),
		TEST(a_full_row_gives_way_to_new_failures_once_it_has_faded),
		TEST(the_key_is_new_at_each_start),
		TEST(no_name_and_no_password_lies_in_the_mapping),
		TEST(a_mapping_full_of_nonsense_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
