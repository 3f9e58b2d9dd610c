/* fuzz_login - what the fuzzers of the backend logins share: a backend that says what the input says.
 * First byte: bit 0 requires STARTTLS, bit 1 shows the bytes in small pieces, bits 2-4 choose the credential. Second byte:
 * bit 0 logs in as the master user, bits 1-2 choose the client. Invariants asserted: nothing used beyond what was shown,
 * commands fit, a failure has a reason, with STARTTLS no octet of the credential and no word of the client leaves before
 * the handshake, nothing is accepted before the password has been sent, and by the master user that of the user is
 * neither sent nor refused.
 */
#ifndef TESTS_FUZZ_FUZZ_LOGIN_H
#define TESTS_FUZZ_FUZZ_LOGIN_H

#include "protocols/base64.h"
#include "protocols/login.h"
#include "tests/fuzz/require.h"
#include <stdint.h>
#include <stdlib.h>

struct fuzz_backend {
	struct login login;
	const struct credential *credential;
	bool master;
	char plain[512]; /* the credential as SASL PLAIN sends it */
	size_t plain_len;
	bool sent; /* the password has left us */
};

static bool fuzz_holds(const struct output *output, struct span what)
{
	return memmem(output->data, output->len, what.data, what.len) != NULL;
}

/* A quoted password is escaped, so the passwords of the fuzzer have no two neighbours that an escape would part. */
static void fuzz_sent(struct fuzz_backend *backend, const struct output *output)
{
	struct span plain = { backend->plain, backend->plain_len };
	bool own = fuzz_holds(output, backend->credential->password) ||
		   memmem(output->data, output->len, "pa\\\"ss", 6);
	bool holds = fuzz_holds(output, plain) || own;

	REQUIRE(!backend->master || !own);
	REQUIRE(!output->overflow && output->len <= output->max);
	if (backend->login.settings->starttls && !backend->login.tls)
		REQUIRE(!holds && !fuzz_holds(output, backend->credential->user) &&
			!fuzz_holds(output, SPAN("2001:db8")) &&
			!fuzz_holds(output, SPAN("192.0.2")));
	REQUIRE(!holds || backend->login.credential_sent);
	backend->sent |= holds;
}

/* Shows len bytes in a block of exactly that size. False when the login is over. */
static bool fuzz_say(struct fuzz_backend *backend, const uint8_t *bytes, size_t len, size_t *used)
{
	char storage[OUTPUT_MAX];
	struct output output;
	char *data = malloc(len + (len == 0));

	REQUIRE(data);
	memcpy(data, bytes, len);
	output_init(&output, storage, sizeof(storage));
	enum login_result result = login_input(&backend->login, data, len, used, &output);

	REQUIRE(*used <= len);
	if (result == LOGIN_ACCEPTED)
		REQUIRE(backend->sent && output.len == 0);
	if (result == LOGIN_ACCEPTED && backend->login.settings->starttls)
		REQUIRE(backend->login.tls);
	fuzz_sent(backend, &output);
	REQUIRE((result == LOGIN_TEMPORARY || result == LOGIN_REFUSED || result == LOGIN_DENIED) ==
		(backend->login.reason != NULL));
	REQUIRE(result != (backend->master ? LOGIN_REFUSED : LOGIN_DENIED));
	if (result == LOGIN_START_TLS) {
		REQUIRE(*used == len && backend->login.settings->starttls && !backend->login.tls);
		output_init(&output, storage, sizeof(storage));
		login_tls_started(&backend->login, &output);
		fuzz_sent(backend, &output);
	}
	REQUIRE(memchr(backend->login.capabilities, '\0', sizeof(backend->login.capabilities)));
	REQUIRE(!strpbrk(backend->login.capabilities, "\r\n]"));
	REQUIRE(strlen(backend->login.code) < sizeof(backend->login.code));
	free(data);
	return result == LOGIN_MORE || result == LOGIN_START_TLS;
}

static int fuzz_login(const struct login_script *script, const uint8_t *bytes, size_t len)
{
	static const struct {
		const char *user, *password;
	} credentials[] = {
		{ "alice@example.test", "geheimnis" },
		{ "alice", "pa\"ss" },
		{ "al ice", "gehe imnis" },
		{ "alice", "x\r\nL1 LOGOUT" },
		{ "j\xc3\xbcrgen", "geheimnis" },
		{ "alice", "\xff\xfe\xfd" },
		{ "ali\"ce", "\\\\geheim" },
		{ "alice", "{5}geheim" },
	};
	static const struct login_client clients[] = {
		{ .session = "00a1" },
		{ { "192.0.2.7", 4711 }, { "192.0.2.1", 993 }, "laptop", "00a1" },
		{ { "2001:db8::7", 4711 }, { "2001:db8::1", 993 }, "laptop", "00a1" },
		{ { "2001:db8::7", 0 }, { "", 0 }, "", "00a1" },
	};
	struct login_settings settings = { "mail.example.test", false, LOGIN_MODE_PASSWORD,
					   SPAN("root"), SPAN("key") };
	struct fuzz_backend backend = { .sent = false };
	struct output plain;

	if (len < 2 || len > 20000)
		return 0;
	unsigned options = bytes[0], choice = options >> 2 & 7;
	struct credential *credential = credential_new(span_of(credentials[choice].user),
						       span_of(credentials[choice].password));

	REQUIRE(credential);
	settings.starttls = options & 1;
	backend.master = bytes[1] & 1;
	settings.mode = backend.master ? LOGIN_MODE_MASTER : LOGIN_MODE_PASSWORD;
	backend.credential = credential;
	output_init(&plain, backend.plain, sizeof(backend.plain));
	if (backend.master)
		base64_plain(credential->user, settings.master_user, settings.master_password,
			     &plain);
	else
		base64_plain(SPAN(""), credential->user, credential->password, &plain);
	backend.plain_len = plain.len;
	login_init(&backend.login, script, &settings, credential, &clients[bytes[1] >> 1 & 3]);
	size_t start = 2, shown = 2, piece = options & 2 ? 1 + (options >> 5) : len;
	bool going = true;

	while (going && shown < len) {
		size_t end = shown, used = 0;

		/* A whole line at a time at most: an honest backend waits for our answer. */
		while (end < len && end - shown < piece && (end == shown || bytes[end - 1] != '\n'))
			end++;
		shown = end;
		going = fuzz_say(&backend, bytes + start, shown - start, &used);
		start += used;
	}
	explicit_bzero(&backend, sizeof(backend));
	credential_free(credential);
	return 0;
}

#endif
