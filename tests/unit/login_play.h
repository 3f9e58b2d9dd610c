/* login_play - plays a backend against a login script: what it says, what we must answer, how it must end.
 * Each play runs whole (each turn of the backend in one piece) and byte by byte, always before an unreadable page.
 */
#ifndef TESTS_UNIT_LOGIN_PLAY_H
#define TESTS_UNIT_LOGIN_PLAY_H

#include "protocols/login.h"
#include "tests/support/guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#define TURNS_MAX 12

static const struct login_client login_play_v4 = {
	{ "192.0.2.7", 4711 }, { "198.51.100.1", 993 }, "laptop.example", "00a1"
};
static const struct login_client login_play_v6 = {
	{ "2001:db8::7", 4711 }, { "2001:db8::1", 993 }, "[IPv6:2001:db8::7]", "00a1"
};
/* By way of a Unix socket. */
static const struct login_client login_play_local = { { "", 0 }, { "", 0 }, "laptop", "00a1" };

struct turn {
	const char *backend; /* NULL: the TLS handshake is done */
	const char *ours;    /* NULL: nothing */
};

struct login_play {
	const char *name;
	struct span user, password;
	bool starttls;
	enum login_mode mode;              /* with LOGIN_MODE_MASTER, as "root" with "key" */
	const struct login_client *client; /* NULL: nothing is known of it */
	bool whole_only; /* what is buffered behind a line can only be seen in one piece */
	struct turn turns[TURNS_MAX];
	enum login_result
		result; /* of the last turn; of those before: MORE, or START_TLS before a handshake */
	const char *left; /* bytes of the last turn that do not belong to the login */
	const char *code, *capabilities;
};

static inline void login_play_ours(const struct login_play *play, const char *ours,
				   const struct output *output)
{
	const char *expected = ours ? ours : "";

	if (output->overflow || output->len != strlen(expected) ||
	    memcmp(output->data, expected, output->len) != 0)
		fail_msg("%s: we said \"%.*s\" and not \"%s\"", play->name, (int)output->len,
			 output->data, expected);
}

/* One turn of the backend; returns its result. `step` bytes are added at a time. */
static inline enum login_result login_play_turn(const struct login_play *play, struct login *login,
						const struct turn *turn, bool by_byte)
{
	static char storage[OUTPUT_MAX];
	size_t len = strlen(turn->backend), start = 0, shown = by_byte ? 0 : len - 1;
	enum login_result result = LOGIN_MORE;
	struct output output;

	output_init(&output, storage, sizeof(storage));
	while (result == LOGIN_MORE && shown < len) {
		size_t used = 0, size = ++shown - start;
		char *data = guard_copy(turn->backend + start, size);

		result = login_input(login, data, size, &used, &output);
		assert_true(used <= size);
		guard_free(data, size);
		start += used;
	}
	login_play_ours(play, turn->ours, &output);
	if (result == LOGIN_ACCEPTED)
		assert_string_equal(by_byte ? "" : turn->backend + start,
				    by_byte || !play->left ? "" : play->left);
	else if (result == LOGIN_MORE)
		assert_int_equal(start, len);
	return result;
}

static inline void login_play_run(const struct login_play *play, const struct login_script *script,
				  bool by_byte)
{
	static const struct login_client nobody;
	const struct login_settings settings = { "mail.example.test", play->starttls, play->mode,
						 SPAN("root"), SPAN("key") };
	struct credential *credential = credential_new(play->user, play->password);
	struct login login;
	int count = 0;

	assert_non_null(credential);
	login_init(&login, script, &settings, credential, play->client ? play->client : &nobody);
	while (count < TURNS_MAX && (play->turns[count].backend || play->turns[count].ours))
		count++;
	for (int i = 0; i < count; i++) {
		static char storage[OUTPUT_MAX];
		const struct turn *turn = &play->turns[i];
		struct output output;

		if (!turn->backend) {
			output_init(&output, storage, sizeof(storage));
			login_tls_started(&login, &output);
			login_play_ours(play, turn->ours, &output);
			continue;
		}
		enum login_result expected = i == count - 1                ? play->result
					     : !play->turns[i + 1].backend ? LOGIN_START_TLS
									   : LOGIN_MORE;
		enum login_result result = login_play_turn(play, &login, turn, by_byte);

		if (result != expected)
			fail_msg("%s, turn %d (%s): result %d and not %d: %s", play->name, i + 1,
				 by_byte ? "byte by byte" : "whole", (int)result, (int)expected,
				 login.reason ? login.reason : "");
	}
	assert_int_equal(login.reason != NULL, play->result == LOGIN_TEMPORARY ||
						       play->result == LOGIN_REFUSED ||
						       play->result == LOGIN_DENIED);
	assert_string_equal(login.code, play->code ? play->code : "");
	if (play->capabilities)
		assert_string_equal(login.capabilities, play->capabilities);
	credential_free(credential);
}

static inline void login_play_all(const struct login_play *plays, size_t count,
				  const struct login_script *script)
{
	for (size_t i = 0; i < count; i++) {
		login_play_run(&plays[i], script, false);
		if (!plays[i].whole_only)
			login_play_run(&plays[i], script, true);
	}
}

#endif
