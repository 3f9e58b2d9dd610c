/* config_check_backends - pools and routes, and whether each listener leads somewhere. Routes get the indexes of their pools.
 * Invariants: clear text to a backend passes only over loopback or Unix addresses, or where the pool says plaintext_ok;
 * what is shown of a pool before login is on the safe list.
 * RFC 1870, 6152, 6531, 3461, 3030, 2034 (extensions of submission), 2449 (of POP3).
 */
#include "frontend/config_load.h"
#include "protocols/login.h"

#include <string.h>

static const char *const protocol_names[PROTOCOLS] = { "submission", "imap", "pop3" };

/* ---- capabilities ---- */

static bool one_of(const char *name, const char *const *list)
{
	for (; *list != NULL; list++)
		if (strcmp(*list, name) == 0)
			return true;
	return false;
}

/* "SIZE" and a number of at most 19 digits (RFC 1870 3 allows 20; those would not fit a signed counter). */
static bool is_size(const char *name)
{
	size_t digits = strspn(name + 5, "0123456789");

	return name[5 + digits] == '\0' && digits >= 1 && digits <= 19;
}

static bool capability_safe(int protocol, const char *name)
{
	static const char *const submission[] = { "8BITMIME", "SMTPUTF8",   "DSN",
						  "CHUNKING", "BINARYMIME", "ENHANCEDSTATUSCODES",
						  NULL };
	static const char *const pop3[] = { "TOP", "UIDL", "RESP-CODES", NULL };

	if (protocol == PROTOCOL_SUBMISSION)
		return one_of(name, submission) ||
		       (strncmp(name, "SIZE ", 5) == 0 && is_size(name));
	return protocol == PROTOCOL_POP3 && one_of(name, pop3);
}

static bool has_item(const struct config_strings *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i], name) == 0)
			return true;
	return false;
}

static void check_capabilities(struct config_loader *loader, const struct config_pool *pool)
{
	const struct config_strings *list = &pool->capabilities;

	for (size_t i = 0; i < list->count; i++) {
		const char *name = list->items[i];

		if (!capability_safe(pool->protocol, name))
			config_error_at(
				loader, &list->items[i], &pool->source,
				"\"capabilities\": \"%s\" may not be shown for a pool of %s", name,
				protocol_names[pool->protocol]);
		if (strcmp(name, "BINARYMIME") == 0 && !has_item(list, "CHUNKING"))
			config_error_at(loader, &list->items[i], &pool->source,
					"\"capabilities\": \"BINARYMIME\" needs \"CHUNKING\"");
		for (size_t j = 0; j < i; j++)
			if (strcmp(name, list->items[j]) == 0)
				config_error_at(loader, &list->items[i], &pool->source,
						"\"capabilities\": \"%s\" is named twice", name);
	}
}

/* ---- pools ---- */

static void check_server(struct config_loader *loader, const struct config_pool *pool,
			 struct config_server *server)
{
	const struct address *address = &server->address;
	char text[ADDRESS_TEXT_MAX];

	if (server->name[0] == '\0') {
		if (server->host[0] == '/' && pool->tls != BACKEND_TLS_NONE &&
		    pool->verify != VERIFY_NONE)
			config_error_at(
				loader, &server->host, &server->source,
				"\"name\" is missing: what should the certificate behind this "
				"socket be for?");
		server->name = server->host;
	}
	if (pool->tls == BACKEND_TLS_NONE && !pool->plaintext_ok && address->len != 0 &&
	    !address_is_loopback(&address->u.any))
		config_error_at(
			loader, &server->host, &server->source,
			"%s is not a loopback address: passwords would cross the network in "
			"clear text (set tls, or plaintext_ok = true)",
			address_text(&address->u.any, text));
}

static void check_pool_name(struct config_loader *loader, size_t index)
{
	const struct config_pool *items = loader->config->pools.items, *pool = &items[index];

	if (strspn(pool->name,
		   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") !=
	    strlen(pool->name))
		config_error_at(loader, &pool->name, &pool->source,
				"\"name\": \"%s\" may hold letters, digits, '-', '_' and '.' only",
				pool->name);
	for (size_t i = 0; i < index; i++)
		if (items[i].name != NULL && strcmp(items[i].name, pool->name) == 0)
			config_error_at(loader, &pool->name, &pool->source,
					"the pool \"%s\" stands already at %s:%d", pool->name,
					items[i].source.file, items[i].source.line);
}

static void check_master(struct config_loader *loader, const struct config_pool *pool)
{
	if (pool->master_user == NULL)
		config_error_at(loader, &pool->login, &pool->source,
				"login = \"master\" needs \"master_user\"");
	else if (!identity_acceptable(span_of(pool->master_user)))
		config_error_at(loader, &pool->master_user, &pool->source,
				"\"master_user\" is not valid UTF-8 or holds control characters");
	if (pool->master_password_file == NULL)
		config_error_at(loader, &pool->login, &pool->source,
				"login = \"master\" needs \"master_password_file\"");
}

static void check_login(struct config_loader *loader, const struct config_pool *pool)
{
	if (pool->login == LOGIN_MODE_MASTER) {
		check_master(loader, pool);
		return;
	}
	if (pool->login == LOGIN_MODE_XCLIENT && pool->protocol != PROTOCOL_SUBMISSION)
		config_error_at(loader, &pool->login, &pool->source,
				"login = \"xclient\" exists for submission only, not for %s",
				protocol_names[pool->protocol]);
	if (pool->master_user != NULL)
		config_warning_at(loader, &pool->master_user, &pool->source,
				  "master_user has no effect: login is not \"master\"");
	if (pool->master_password_file != NULL)
		config_warning_at(loader, &pool->master_password_file, &pool->source,
				  "master_password_file has no effect: login is not \"master\"");
}

static void check_pool(struct config_loader *loader, size_t index)
{
	struct config_pool *pool = &loader->config->pools.items[index];

	check_pool_name(loader, index);
	check_capabilities(loader, pool);
	check_login(loader, pool);
	if (pool->plaintext_ok && pool->tls != BACKEND_TLS_NONE)
		config_warning_at(loader, &pool->plaintext_ok, &pool->source,
				  "plaintext_ok has no effect: tls is not \"none\"");
	config_check_pool_tls(loader, pool);
	for (size_t i = 0; i < pool->servers.count; i++)
		check_server(loader, pool, &pool->servers.items[i]);
}

/* ---- routes ---- */

/* The index of the pool of that name, -1: none; a pool without a name has its own fault, and may be the one. */
static int pool_find(const struct config *config, const char *name, bool *unsure)
{
	*unsure = false;
	for (size_t i = 0; i < config->pools.count; i++) {
		if (config->pools.items[i].name == NULL)
			*unsure = true;
		else if (strcmp(config->pools.items[i].name, name) == 0)
			return (int)i;
	}
	return -1;
}

static void check_route(struct config_loader *loader, struct config_route *route)
{
	const struct config *config = loader->config;
	int served = 0;
	bool unsure;

	for (int protocol = 0; protocol < PROTOCOLS; protocol++) {
		const char *const *name = &route->names[protocol];
		const struct config_pool *pool;
		int index;

		if (*name == NULL)
			continue;
		served++;
		index = pool_find(config, *name, &unsure);
		route->pools[protocol] = index;
		pool = index < 0 ? NULL : &config->pools.items[index];
		if (pool == NULL && !unsure)
			config_error_at(loader, name, &route->source, "there is no pool \"%s\"",
					*name);
		else if (pool != NULL && !doubtful(loader, pool) && pool->protocol != protocol)
			config_error_at(loader, name, &route->source,
					"the pool \"%s\" speaks %s, not %s", *name,
					protocol_names[pool->protocol], protocol_names[protocol]);
	}
	if (served == 0 && !doubtful(loader, route))
		config_error_at(loader, NULL, &route->source, "this route names no pool");
}

static bool route_serves(const struct config *config, int protocol)
{
	for (size_t i = 0; i < config->routes.count; i++)
		if (config->routes.items[i].names[protocol] != NULL)
			return true;
	return false;
}

static bool pool_used(const struct config *config, int index)
{
	for (size_t i = 0; i < config->routes.count; i++)
		for (int protocol = 0; protocol < PROTOCOLS; protocol++)
			if (config->routes.items[i].pools[protocol] == index)
				return true;
	return false;
}

/* Who decides on the password has to be who is shown it: with "backend" the server must be, with "sasl" it is not. */
static void check_source(struct config_loader *loader, const struct config_pool *pool)
{
	bool backend = loader->config->auth.source == AUTH_SOURCE_BACKEND;

	if (doubtful(loader, pool) || backend == (pool->login == LOGIN_MODE_PASSWORD))
		return;
	if (backend)
		config_error_at(loader, &pool->login, &pool->source,
				"auth.source = \"backend\" makes the server decide on the user's "
				"password: the pool \"%s\" must have login = \"password\"",
				pool->name);
	else
		config_error_at(loader, &pool->login, &pool->source,
				"auth.source = \"sasl\" keeps the user's password from the server: "
				"the pool \"%s\" must have login = \"master\" or \"xclient\"",
				pool->name);
}

static void check_sources(struct config_loader *loader)
{
	const struct config *config = loader->config;

	for (size_t i = 0; i < config->pools.count; i++)
		if (pool_used(config, (int)i))
			check_source(loader, &config->pools.items[i]);
}

/* Listeners that lead nowhere, pools that nothing leads to. */
static void check_reach(struct config_loader *loader)
{
	const struct config *config = loader->config;

	for (size_t i = 0; i < config->listeners.count; i++) {
		const struct config_listener *listener = &config->listeners.items[i];

		if (!doubtful(loader, listener) && !route_serves(config, listener->protocol))
			config_error_at(loader, &listener->protocol, &listener->source,
					"no route serves %s", protocol_names[listener->protocol]);
	}
	for (size_t i = 0; i < config->pools.count; i++)
		if (!doubtful(loader, &config->pools.items[i]) && !pool_used(config, (int)i))
			config_warning_at(loader, NULL, &config->pools.items[i].source,
					  "no route uses the pool \"%s\"",
					  config->pools.items[i].name);
}

static void check_routes(struct config_loader *loader)
{
	const struct config *config = loader->config;
	bool sure = config->routes.count > 0;

	for (size_t i = 0; i < config->routes.count; i++) {
		check_route(loader, &config->routes.items[i]);
		sure = sure && !doubtful(loader, &config->routes.items[i]);
	}
	if (config->routes.count > 1)
		config_error_at(
			loader, NULL, &config->routes.items[1].source,
			"several routes are not available in this version: the first serves "
			"everyone");
	if (sure)
		check_reach(loader);
	check_sources(loader);
}

void config_check_backends(struct config_loader *loader)
{
	const struct config *config = loader->config;

	if (config->pools.count == 0 && place_find(loader, &config->pools) == NULL)
		config_error_at(loader, NULL, NULL, "there is no server: set \"backends\"");
	if (config->routes.count == 0 && place_find(loader, &config->routes) == NULL)
		config_error_at(loader, NULL, NULL, "there is no route: set \"routes\"");
	for (size_t i = 0; i < config->pools.count; i++)
		if (!doubtful(loader, &config->pools.items[i]))
			check_pool(loader, i);
	check_routes(loader);
}
