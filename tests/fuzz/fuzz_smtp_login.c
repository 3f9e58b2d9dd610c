/* fuzz_smtp_login - a backend that says anything. The first byte chooses STARTTLS and the size of the pieces.
 * Checked: no credential before TLS where TLS is required, the password never in clear, no more than one line sent for
 * each reply, acceptance only where a 235 was read.
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

static void check_output(const struct login *login, const struct output *output)
{
	struct span sent = { output->data, output->len };

	check(!output->overflow);
	if (sent.len == 0)
		return;
	check(memmem(sent.data, sent.len, "\r\n", 2) == sent.data + sent.len - 2);
	check(!memmem(sent.data, sent.len, "secret", 6));
	if (login->settings->starttls && !login->tls)
		check(span_begins(sent, "EHLO ") || span_begins(sent, "STARTTLS\r\n"));
}

/* A 235 that ends a reply stands at the end of what was used. */
static bool ends_in_235(struct span read)
{
	struct span last = read;

	for (size_t i = 0; i + 1 < read.len; i++)
		if (read.data[i] == '\n')
			last = span_from(read, i + 1);
	return span_begins(last, "235");
}

static bool one_step(struct login *login, const char *data, size_t shown, size_t *used)
{
	static char storage[OUTPUT_MAX];
	enum login_result result;
	struct output output;

	output_init(&output, storage, sizeof(storage));
	*used = 0;
	result = login_input(login, data, shown, used, &output);
	check(*used <= shown);
	check_output(login, &output);
	switch (result) {
	case LOGIN_MORE:
		return true;
	case LOGIN_START_TLS:
		check(login->settings->starttls && !login->tls && *used == shown);
		login_tls_started(login, &output);
		return true;
	case LOGIN_ACCEPTED:
		check(!login->settings->starttls || login->tls);
		check(ends_in_235((struct span) { data, *used }));
		return false;
	case LOGIN_REFUSED:
	case LOGIN_TEMPORARY:
		check(login->reason != NULL);
		return false;
	}
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct credential *credential;
	struct login_settings settings = { "front.example", false };
	struct login login;
	size_t at = 0, shown = 0, piece;

	if (len < 1 || len > 3 * LOGIN_LINE_MAX)
		return 0;
	credential = credential_new(SPAN("alice"), SPAN("secret"));
	settings.starttls = bytes[0] & 1;
	piece = (size_t)(bytes[0] >> 1) + 1;
	bytes++;
	len--;
	login_init(&login, &smtp_login_script, &settings, credential);
	while (at + shown < len) {
		size_t used;

		/* A piece ends with a line, as packets mostly do; else nothing would get past the greeting. */
		for (size_t i = 0; i < piece && at + shown < len; i++)
			if (bytes[at + shown++] == '\n')
				break;
		if (!one_step(&login, (const char *)bytes + at, shown, &used))
			break;
		at += used;
		shown -= used;
	}
	credential_free(credential);
	return 0;
}
