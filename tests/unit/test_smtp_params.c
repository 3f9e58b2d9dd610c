/* test_smtp_params - parameters of MAIL and RCPT: which pass to a server that has an extension, which to one that has not. */
#include "protocols/smtp_params.h"
#include "tests/support/guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define ALL 0xFFFFu

typedef const char *judge_fn(struct span, const struct smtp_params_rules *, struct smtp_params *);

/* What is kept, joined by blanks; or the first characters of the refusal. */
static const char *outcome(judge_fn *judge, const char *text, unsigned met, uint64_t size_max,
			   bool binary)
{
	static char kept[1200];
	const struct smtp_params_rules rules = { met, size_max, binary };
	size_t len = strlen(text), at = 0;
	char *copy = guard_copy(text, len);
	struct smtp_params params;
	const char *refusal = judge((struct span) { copy, len }, &rules, &params);

	kept[0] = '\0';
	if (refusal)
		snprintf(kept, sizeof(kept), "%.9s", refusal);
	for (size_t i = 0; !refusal && i < params.count; i++)
		at += (size_t)sprintf(kept + at, "%s%.*s", i ? " " : "", (int)params.kept[i].len,
				      params.kept[i].data);
	guard_free(copy, len);
	return kept;
}

static void mail(const char *text, const char *able, const char *unable)
{
	assert_string_equal(outcome(smtp_params_mail, text, ALL, 1000, true), able);
	assert_string_equal(outcome(smtp_params_mail, text, SMTP_PIPELINING, 1000, false), unable);
}

static void rcpt(const char *text, const char *able, const char *unable)
{
	assert_string_equal(outcome(smtp_params_rcpt, text, ALL, 0, true), able);
	assert_string_equal(outcome(smtp_params_rcpt, text, SMTP_PIPELINING, 0, false), unable);
}

static void what_only_asks_for_care_is_left_out(void **state)
{
	mail("", "", "");
	mail("SIZE=1000", "SIZE=1000", "");
	mail("body=8bitmime  Size=0", "body=8bitmime Size=0", "");
	mail("BODY=7BIT", "BODY=7BIT", "");
}

static void what_promises_something_is_refused(void **state)
{
	mail("SMTPUTF8", "SMTPUTF8", "555 5.5.4");
	mail("SIZE=5 RET=HDRS ENVID=a+3Db", "SIZE=5 RET=HDRS ENVID=a+3Db", "555 5.5.4");
	mail("RET=full", "RET=full", "555 5.5.4");
	mail("BODY=BINARYMIME", "BODY=BINARYMIME", "555 5.6.1");
	rcpt("NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;a+2Bb@c",
	     "NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;a+2Bb@c", "555 5.5.4");
	rcpt("NOTIFY=never", "NOTIFY=never", "555 5.5.4");
	rcpt("ORCPT=utf-8;\xc3\xbc@c", "ORCPT=utf-8;\xc3\xbc@c", "555 5.5.4");
}

static void nobody_is_vouched_for(void **state)
{
	mail("AUTH=<>", "AUTH=<>", "");
	mail("AUTH=root@example.test", "AUTH=<>", "");
	mail("AUTH=a+", "501 5.5.4", "501 5.5.4");
}

static void what_nobody_knows_is_refused(void **state)
{
	mail("REQUIRETLS", "555 5.5.4", "555 5.5.4");
	mail("XVERP=+-", "555 5.5.4", "555 5.5.4");
	mail("NOTIFY=NEVER", "555 5.5.4", "555 5.5.4");
	mail("SIZE=1 BODY=8BITMIME MT-PRIORITY=3", "555 5.5.4", "555 5.5.4");
	rcpt("SIZE=1", "555 5.5.4", "555 5.5.4");
	rcpt("RRVS=2014-04-03T23:01:00Z", "555 5.5.4", "555 5.5.4");
}

static void what_is_malformed_is_refused(void **state)
{
	static const char *const bad[] = {
		"SIZE",
		"SIZE=",
		"SIZE=-1",
		"SIZE=1x",
		"SIZE=123456789012345678901",
		"SIZE=1 SIZE=1",
		"BODY=9BIT",
		"BODY",
		"BODY=8BITMIME body=8bitmime",
		"SMTPUTF8=yes",
		"RET=ALL",
		"RET",
		"ENVID=",
		"ENVID",
		"ENVID=a=b",
		"ENVID=a+3d",
		"ENVID=\xc3\xbc",
		"AUTH",
		"=",
		"-X",
		"A_B",
		"<b>",
		"\"b>",
		"SIZE =1",
		"\xc3\xbc",
	};
	static const char *const bad_rcpt[] = {
		"NOTIFY",        "NOTIFY=",         "NOTIFY=NEVER,DELAY",
		"NOTIFY=DELAY,", "NOTIFY=,DELAY",   "NOTIFY=X",
		"ORCPT=",        "ORCPT=a@b",       "ORCPT=;a",
		"ORCPT=rfc822;", "ORCPT=rfc822;a+", "ORCPT=rfc822;\xc3\xbc",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		mail(bad[i], "501 5.5.4", "501 5.5.4");
	for (size_t i = 0; i < sizeof(bad_rcpt) / sizeof(bad_rcpt[0]); i++)
		rcpt(bad_rcpt[i], "501 5.5.4", "501 5.5.4");
}

static void a_size_over_the_one_shown_is_refused(void **state)
{
	mail("SIZE=1001", "552 5.3.4", "552 5.3.4");
	mail("SIZE=99999999999999999999", "552 5.3.4", "552 5.3.4");
	assert_string_equal(outcome(smtp_params_mail, "SIZE=99999999999999999999", ALL, 0, false),
			    "SIZE=99999999999999999999");
}

static void long_values_have_a_bound(void **state)
{
	char text[600] = "ENVID=";

	memset(text + 6, 'x', 500);
	assert_string_equal(outcome(smtp_params_mail, text, ALL, 0, false), text);
	text[506] = 'x';
	assert_string_equal(outcome(smtp_params_mail, text, ALL, 0, false), "501 5.5.4");
}

/* Every beginning of a long list, before an unreadable page. */
static void every_prefix_is_judged(void **state)
{
	static const char text[] = "SIZE=10 BODY=8BITMIME SMTPUTF8 RET=FULL ENVID=a+2Bb AUTH=<>";
	const struct smtp_params_rules rules = { ALL, 0, false };

	for (size_t len = 0; len < sizeof(text); len++) {
		char *copy = guard_copy(text, len);
		struct smtp_params params;

		smtp_params_mail((struct span) { copy, len }, &rules, &params);
		assert_true(params.count <= SMTP_PARAMS_MAX);
		guard_free(copy, len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_only_asks_for_care_is_left_out),
		cmocka_unit_test(what_promises_something_is_refused),
		cmocka_unit_test(nobody_is_vouched_for),
		cmocka_unit_test(what_nobody_knows_is_refused),
		cmocka_unit_test(what_is_malformed_is_refused),
		cmocka_unit_test(a_size_over_the_one_shown_is_refused),
		cmocka_unit_test(long_values_have_a_bound),
		cmocka_unit_test(every_prefix_is_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
