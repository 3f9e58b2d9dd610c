/* config_check_tls - what the TLS profile, ALPN and names of listeners and pools say together; listeners get what they inherit.
 * Invariants: what a standard forbids is said at every start, once for each place where it was chosen.
 * RFC 8996, RFC 7301 3.2 (submission has no registered identifier).
 */
#include "frontend/config_load.h"
#include "frontend/certificate_message.h"
#include "frontend/gate.h"
#include "frontend/token_uri.h"
#include <string.h>

/* Where the value that a listener uses is set: in the listener, in tls, or nowhere. */
static const void *place_of(struct config_loader *loader, const int *own, const int *common)
{
	return place_find(loader, own) != NULL ? own : common;
}

static void inherit(struct config_loader *loader, int *own, const int *common)
{
	if (place_find(loader, own) == NULL)
		*own = *common;
}

static void check_alpn(struct config_loader *loader, const struct config_listener *listener)
{
	const struct config *config = loader->config;

	if (listener->alpn == GATE_ALPN_REQUIRE && listener->protocol == PROTOCOL_SUBMISSION)
		config_error_at(
			loader, place_of(loader, &listener->alpn, &config->tls.alpn),
			&listener->source,
			"alpn = \"require\": no identifier is registered for submission, so "
			"no client could name it at %s:%d",
			listener->source.file, listener->source.line);
}

static void check_profile(struct config_loader *loader, const struct config_listener *listener)
{
	const struct profile *profile = profile_find(listener->profile);

	if (profile->warning != NULL && place_find(loader, &listener->profile) != NULL)
		config_warning_at(loader, &listener->profile, &listener->source, "%s",
				  profile->warning);
	if (profile->refuse_unknown && place_find(loader, &listener->unknown_sni) != NULL &&
	    listener->unknown_sni == UNKNOWN_SNI_DEFAULT)
		config_warning_at(loader, &listener->unknown_sni, &listener->source,
				  "unknown_sni has no effect: profile = \"%s\" refuses unknown "
				  "names",
				  profile->name);
}

static void check_keys(struct config_loader *loader, const struct config_certificates *certificates)
{
	for (size_t i = 0; i < certificates->count; i++) {
		const struct config_certificate *item = &certificates->items[i];
		struct token_uri uri;
		char why[256];

		if (item->key == NULL || !certificate_is_token(item->key))
			continue;
		if (!token_uri_parse(item->key, &uri, why))
			config_error_at(loader, &item->key, &item->source, "\"key\": %s", why);
		else if (loader->config->tls.pkcs11.module == NULL)
			config_error_at(loader, &item->key, &item->source,
					"\"key\": one in a token needs \"module\" in tls.pkcs11");
	}
}

void config_check_listener_tls(struct config_loader *loader, struct config_listener *listener)
{
	const struct config *config = loader->config;

	check_profile(loader, listener);
	check_keys(loader, &listener->certificates);
	inherit(loader, &listener->profile, &config->tls.profile);
	inherit(loader, &listener->unknown_sni, &config->tls.unknown_sni);
	inherit(loader, &listener->alpn, &config->tls.alpn);
	check_alpn(loader, listener);
}

void config_check_tls(struct config_loader *loader)
{
	struct config *config = loader->config;
	const struct profile *profile = profile_find(config->tls.profile);
	const struct config_source *place = place_find(loader, &config->tls.ocsp);

	check_keys(loader, &config->tls.certificates);
	if (config->tls.pkcs11.pin_file != NULL && config->tls.pkcs11.module == NULL)
		config_warning_at(loader, &config->tls.pkcs11.pin_file, NULL,
				  "pin_file has no effect: there is no \"module\"");
	config->tls.ocsp_place =
		place != NULL ? *place : (struct config_source) { loader->path, 0 };
	if (profile->warning != NULL)
		config_warning_at(loader, &config->tls.profile, NULL, "%s", profile->warning);
}

void config_check_pool_tls(struct config_loader *loader, const struct config_pool *pool)
{
	const struct profile *profile = profile_find(pool->profile);

	if (pool->tls == BACKEND_TLS_NONE) {
		if (place_find(loader, &pool->profile) != NULL)
			config_warning_at(loader, &pool->profile, &pool->source,
					  "profile has no effect: tls is \"none\"");
		return;
	}
	if (profile->warning != NULL)
		config_warning_at(loader, &pool->profile, &pool->source, "%s", profile->warning);
	if (pool->verify == VERIFY_NONE)
		config_warning_at(
			loader, &pool->verify, &pool->source,
			"verify = \"none\": whoever stands between here and the server can "
			"read passwords");
}
