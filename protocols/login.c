/* login - see login.h: what the three scripts have in common. */
#include "protocols/login.h"

void login_init(struct login *login, const struct login_script *script,
		const struct login_settings *settings, const struct credential *credential)
{
	*login = (struct login) {
		.script = script,
		.settings = settings,
		.credential = credential,
	};
}

enum login_result login_input(struct login *login, const char *data, size_t len, size_t *used,
			      struct output *output)
{
	*used = 0;
	/* A login that has failed stays failed, also when it did so in login_tls_started(). */
	if (login->reason)
		return LOGIN_TEMPORARY;
	return login->script->input(login, data, len, used, output);
}

void login_tls_started(struct login *login, struct output *output)
{
	login->flags = 0;
	login->scanned = 0;
	login->tls = true;
	explicit_bzero(login->capabilities, sizeof(login->capabilities));
	login->script->tls_started(login, output);
}
