/* config_check_clients - client certificates: what a listener takes from tls, and whether anybody could log in with one.
 * RFC 8314 4.2: a certificate must not be asked for unless it could let somebody in.
 */
#include "frontend/config_load.h"

#include <string.h>

/* A listener's field that is not set is tls's, and so is its place. */
static bool inherits(struct config_loader *loader, const void *field, const void *usual)
{
	const struct config_source *place = place_find(loader, usual);

	if (place_find(loader, field) != NULL)
		return false;
	if (place != NULL)
		place_add(loader, field, *place);
	return true;
}

static void inherit(struct config_loader *loader, struct config_client_certificates *own)
{
	const struct config_client_certificates *usual = &loader->config->tls.client_certificates;

	if (inherits(loader, &own->mode, &usual->mode))
		own->mode = usual->mode;
	if (inherits(loader, &own->identity, &usual->identity))
		own->identity = usual->identity;
	if (inherits(loader, &own->ca, &usual->ca))
		own->ca = usual->ca;
	if (inherits(loader, &own->crl, &usual->crl))
		own->crl = usual->crl;
	if (inherits(loader, &own->users, &usual->users))
		own->users = usual->users;
}

void config_inherit_clients(struct config_loader *loader)
{
	for (size_t i = 0; i < loader->config->listeners.count; i++)
		inherit(loader, &loader->config->listeners.items[i].client_certificates);
}

static const char *const *find_external(const struct config *config)
{
	for (size_t i = 0; i < config->auth.mechanisms.count; i++)
		if (strcmp(config->auth.mechanisms.items[i], "EXTERNAL") == 0)
			return &config->auth.mechanisms.items[i];
	return NULL;
}

static void check_listener(struct config_loader *loader, const struct config_listener *listener)
{
	const struct config_client_certificates *own = &listener->client_certificates;
	const struct config *config = loader->config;

	if (own->ca == NULL)
		config_error_at(loader, &own->mode, &listener->source,
				"client_certificates: \"ca\" is missing: whose certificates are "
				"good?");
	if (config->auth.source != AUTH_SOURCE_SASL)
		config_error_at(loader, &own->mode, &listener->source,
				"client_certificates: nobody could log in with one (RFC 8314 4.2): "
				"with auth.source = \"backend\" it is the server that decides, and "
				"it wants a password");
	else if (find_external(config) == NULL)
		config_error_at(loader, &own->mode, &listener->source,
				"client_certificates: nobody could log in with one (RFC 8314 4.2): "
				"add \"EXTERNAL\" to auth.mechanisms");
}

void config_check_clients(struct config_loader *loader)
{
	struct config *config = loader->config;
	const char *const *external = find_external(config);
	bool asked = false, sure = true;

	for (size_t i = 0; i < config->listeners.count; i++) {
		struct config_listener *listener = &config->listeners.items[i];

		if (doubtful(loader, listener)) {
			sure = false;
			continue;
		}
		if (listener->client_certificates.mode == CLIENT_CERTIFICATES_OFF)
			continue;
		asked = true;
		check_listener(loader, listener);
	}
	if (external != NULL && !asked && sure && config->listeners.count > 0)
		config_error_at(loader, external, NULL,
				"auth.mechanisms: \"EXTERNAL\" is for clients with a certificate, "
				"and no listener asks for one: set client_certificates");
}
