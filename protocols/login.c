/* login - see login.h: what the three scripts have in common. */
#include "protocols/login.h"
#include "protocols/base64.h"
#include <assert.h>

void login_init(struct login *login, const struct login_script *script,
		const struct login_settings *settings, const struct credential *credential,
		const struct login_client *client)
{
	*login = (struct login) {
		.script = script,
		.settings = settings,
		.credential = credential,
		.client = *client,
	};
	if (settings->mode == LOGIN_MODE_PASSWORD && credential->password.len == 0)
		login->reason = "there is no password to log in with";
}

enum login_result login_input(struct login *login, const char *data, size_t len, size_t *used,
			      struct output *output)
{
	enum login_result result;

	*used = 0;
	/* A login that has failed stays failed, also when it did so in login_tls_started(). */
	if (login->reason)
		return LOGIN_TEMPORARY;
	result = login->script->input(login, data, len, used, output);
	/* The master user's password may be wrong, or that user not be known: backends do not tell these apart. */
	if (result == LOGIN_REFUSED && login->settings->mode != LOGIN_MODE_PASSWORD) {
		login->reason = "the backend refused our login for this user";
		return LOGIN_DENIED;
	}
	return result;
}

void login_tls_started(struct login *login, struct output *output)
{
	login->flags = 0;
	login->scanned = 0;
	login->tls = true;
	explicit_bzero(login->capabilities, sizeof(login->capabilities));
	login->script->tls_started(login, output);
}

struct plain {
	struct span authorization, authentication, password;
};

static struct plain plain_of(const struct login *login)
{
	const struct login_settings *settings = login->settings;

	assert(settings->mode != LOGIN_MODE_XCLIENT); /* has nothing to put into it */
	if (settings->mode == LOGIN_MODE_MASTER)
		return (struct plain) { login->credential->user, settings->master_user,
					settings->master_password };
	return (struct plain) { { "", 0 }, login->credential->user, login->credential->password };
}

static bool holds_nul(struct span text)
{
	return text.len > 0 && memchr(text.data, '\0', text.len) != NULL;
}

bool login_plain_fits(const struct login *login)
{
	struct plain plain = plain_of(login);

	return !holds_nul(plain.authorization) && !holds_nul(plain.authentication) &&
	       !holds_nul(plain.password);
}

size_t login_plain_size(const struct login *login)
{
	struct plain plain = plain_of(login);
	size_t octets =
		plain.authorization.len + 1 + plain.authentication.len + 1 + plain.password.len;

	return (octets + 2) / 3 * 4;
}

void login_plain(const struct login *login, struct output *output)
{
	struct plain plain = plain_of(login);

	base64_plain(plain.authorization, plain.authentication, plain.password, output);
}
