/* fuzz_smtp_login - a backend that says anything. The first byte chooses STARTTLS and the size of the pieces, the second
 * the mode and the client. Checked: nothing of user and client before TLS where TLS is required, the password never in
 * clear and only where the mode says so, no more than one line sent for each reply, XCLIENT with LOGIN and AUTH never in
 * one session, acceptance only where a 235 was read, or a 250 behind XCLIENT with LOGIN.
 */
#include "protocols/smtp_login.h"
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* What has been sent so far. */
struct sent {
	bool login; /* XCLIENT with LOGIN */
	bool auth;
};

static void check_output(const struct login *login, const struct output *output,
			 struct sent *so_far)
{
	struct span sent = { output->data, output->len };

	check(!output->overflow);
	if (sent.len == 0)
		return;
	check(memmem(sent.data, sent.len, "\r\n", 2) == sent.data + sent.len - 2);
	check(memchr(sent.data, '\n', sent.len) == sent.data + sent.len - 1);
	check(!memmem(sent.data, sent.len, "secret", 6));
	check(!span_begins(sent, "XCLIENT") || sent.len <= 512);
	so_far->login |= memmem(sent.data, sent.len, " LOGIN=", 7) != NULL;
	so_far->auth |= span_begins(sent, "AUTH");
	check(!so_far->login || login->settings->mode == LOGIN_MODE_XCLIENT);
	check(!so_far->auth || login->settings->mode != LOGIN_MODE_XCLIENT);
	if (login->settings->mode != LOGIN_MODE_PASSWORD)
		check(!memmem(sent.data, sent.len, "c2VjcmV0", 8) &&
		      !memmem(sent.data, sent.len, "AHNlY3JldA", 10));
	if (login->settings->starttls && !login->tls)
		check(span_is(sent, "EHLO front.example\r\n") || span_begins(sent, "STARTTLS\r\n"));
}

/* A reply's last line stands at the end of what was used. */
static bool ends_in(struct span read, const char *code)
{
	struct span last = read;

	for (size_t i = 0; i + 1 < read.len; i++)
		if (read.data[i] == '\n')
			last = span_from(read, i + 1);
	return span_begins(last, code);
}

static bool one_step(struct login *login, const char *data, size_t shown, size_t *used,
		     struct sent *sent)
{
	bool trusted = login->settings->mode == LOGIN_MODE_XCLIENT;
	static char storage[OUTPUT_MAX];
	enum login_result result;
	struct output output;

	output_init(&output, storage, sizeof(storage));
	*used = 0;
	result = login_input(login, data, shown, used, &output);
	check(*used <= shown);
	check_output(login, &output, sent);
	switch (result) {
	case LOGIN_MORE:
		return true;
	case LOGIN_START_TLS:
		check(login->settings->starttls && !login->tls && *used == shown);
		login_tls_started(login, &output);
		check_output(login, &output, sent);
		return true;
	case LOGIN_ACCEPTED:
		check(!login->settings->starttls || login->tls);
		check(ends_in((struct span) { data, *used }, trusted ? "250" : "235"));
		check(trusted ? sent->login : sent->auth);
		return false;
	case LOGIN_REFUSED:
	case LOGIN_DENIED:
		check((result == LOGIN_REFUSED) == (login->settings->mode == LOGIN_MODE_PASSWORD));
		check(login->reason != NULL);
		return false;
	case LOGIN_TEMPORARY:
		check(login->reason != NULL);
		return false;
	}
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct credential *credential;
	static const enum login_mode modes[] = { LOGIN_MODE_PASSWORD, LOGIN_MODE_MASTER,
						 LOGIN_MODE_XCLIENT, LOGIN_MODE_PASSWORD };
	static const struct login_client clients[] = {
		{ .name = "" },
		{ { "2001:db8::7", 4711 }, { "192.0.2.1", 587 }, "laptop.example", "00a1" },
		{ { "192.0.2.7", 4711 }, { "", 0 }, "x=+y", "00a1" },
		{ { "192.0.2.7", 0 }, { "2001:db8::1", 587 }, "", "00a1" },
	};
	struct login_settings settings = { "front.example", false, LOGIN_MODE_PASSWORD,
					   SPAN("root"), SPAN("key") };
	struct sent sent = { false, false };
	struct login_client client;
	struct login login;
	size_t at = 0, shown = 0, piece;

	if (len < 2 || len > 3 * LOGIN_LINE_MAX)
		return 0;
	credential = credential_new(SPAN("alice"), SPAN("secret"));
	settings.starttls = bytes[0] & 1;
	piece = (size_t)(bytes[0] >> 1) + 1;
	settings.mode = modes[bytes[1] & 3];
	client = clients[bytes[1] >> 2 & 3];
	if (bytes[1] & 0x80) /* needs several lines */
		memset(client.name, '=', sizeof(client.name) - 1);
	bytes += 2;
	len -= 2;
	login_init(&login, &smtp_login_script, &settings, credential, &client);
	while (at + shown < len) {
		size_t used;

		/* A piece ends with a line, as packets mostly do; else nothing would get past the greeting. */
		for (size_t i = 0; i < piece && at + shown < len; i++)
			if (bytes[at + shown++] == '\n')
				break;
		if (!one_step(&login, (const char *)bytes + at, shown, &used, &sent))
			break;
		at += used;
		shown -= used;
	}
	credential_free(credential);
	return 0;
}
