/* config_check - the configuration as a whole: host name, users, listeners, limits. What is derived from several
 * values (bind addresses, the number of workers) is made here.
 * Invariants: all faults are reported; items with a fault of their own are left out of comparisons.
 * RFC 3207 4 (port 25), 5321 4.1.2 and 2.3.5 (host name), 8314 3 (ports of implicit TLS).
 */
#include "frontend/config_load.h"
#include "frontend/log_target.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PORT_MX 25
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* ---- host name, users, workers ---- */

/* Labels of letters, digits and hyphens with dots between them, as servers behind judge it in EHLO. */
static bool hostname_valid(const char *name)
{
	const char *at = name;

	for (;;) {
		size_t label = strcspn(at, ".");

		if (label == 0 || label > 63 || at[0] == '-' || at[label - 1] == '-' ||
		    strspn(at, LETTERS "0123456789-") < label)
			return false;
		if (at[label] == '\0')
			return true;
		at += label + 1;
	}
}

static void check_hostname(struct config_loader *loader)
{
	struct config *config = loader->config;
	char name[256] = "";

	if (config->hostname[0] == '\0') {
		if (gethostname(name, sizeof name - 1) != 0)
			name[0] = '\0';
		config->hostname = arena_string(config->arena, name);
	}
	if (!hostname_valid(config->hostname))
		config_error_at(loader, &config->hostname, NULL,
				"hostname: \"%s\" is not a host name", config->hostname);
}

static void check_user(struct config_loader *loader, const char *const *field, const char *option)
{
	const struct passwd *entry;

	if (*field == NULL)
		return;
	if (geteuid() != 0) {
		config_warning_at(loader, field, NULL, "%s is ignored: not started as root",
				  option);
		return;
	}
	entry = getpwnam(*field);
	if (entry == NULL)
		config_error_at(loader, field, NULL, "%s: there is no user \"%s\"", option, *field);
	else if (entry->pw_uid == 0)
		config_error_at(loader, field, NULL, "%s: \"%s\" has the rights of root", option,
				*field);
}

static void count_workers(struct config *config)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (config->workers == 0)
		config->workers = cores < 1 ? 1 : cores > 256 ? 256 : (int)cores;
}

/* ---- listeners ---- */

static void place_folder(const struct config_loader *loader, struct config_folder *folder)
{
	const struct config_source *source = place_find(loader, &folder->path);

	folder->source = source ? *source : (struct config_source) { loader->path, 0 };
}

/* Its own certificates, or else those of tls. What those may be was judged where they stand. */
static void check_listener_certificate(struct config_loader *loader, size_t index)
{
	const struct config *config = loader->config;
	struct config_listener *listener = &config->listeners.items[index];

	if (listener->certificates.count > 0 || listener->certificates_dir.path != NULL)
		listener->set = 1 + (int)index;
	else if (place_find(loader, &config->tls.certificates) == NULL &&
		 place_find(loader, &config->tls.certificates_dir.path) == NULL)
		config_error_at(loader, NULL, &listener->source,
				"no certificate, neither here nor in tls.certificates");
	place_folder(loader, &listener->certificates_dir);
}

/* A port that clients know for the other way of TLS. */
static void check_listener_port(struct config_loader *loader,
				const struct config_listener *listener)
{
	int port = listener->port;
	bool implicit = port == 465 || port == 993 || port == 995;
	bool starttls = port == 587 || port == 143 || port == 110;

	if (port == PORT_MX)
		config_error_at(loader, &listener->port, &listener->source,
				"port 25 belongs to mail between servers, where TLS must not be "
				"required (RFC 3207); submission uses 465 or 587");
	if ((implicit && listener->tls != LISTENER_IMPLICIT) ||
	    (starttls && listener->tls != LISTENER_STARTTLS))
		config_warning_at(loader, &listener->port, &listener->source,
				  "clients expect tls = \"%s\" on port %d",
				  implicit ? "implicit" : "starttls", port);
}

static bool same_address(const struct address *a, const struct address *b)
{
	return a->len == b->len && a->len != 0 && memcmp(&a->u, &b->u, a->len) == 0;
}

static void check_listener_address(struct config_loader *loader, struct config_listener *listener)
{
	struct address *bind = &listener->bind;

	if (!address_parse(listener->address, (unsigned)listener->port, bind))
		config_error_at(loader, &listener->address, &listener->source,
				"\"address\": \"%s\" is not a numeric IPv4 or IPv6 address",
				listener->address);
	else if (bind->u.any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&bind->u.v6.sin6_addr))
		config_error_at(loader, &listener->address, &listener->source,
				"\"address\": write \"%s\" as an IPv4 address", listener->address);
}

static bool is_wildcard(const struct address *address)
{
	return address->u.any.sa_family == AF_INET6
		       ? IN6_IS_ADDR_UNSPECIFIED(&address->u.v6.sin6_addr)
		       : address->u.v4.sin_addr.s_addr == INADDR_ANY;
}

/* Whether one of them is every address, the other's among them ("::" is no IPv4 address). */
static bool one_covers_the_other(const struct address *a, const struct address *b)
{
	return a->len != 0 && a->u.any.sa_family == b->u.any.sa_family &&
	       a->u.v4.sin_port == b->u.v4.sin_port && (is_wildcard(a) || is_wildcard(b));
}

static void check_listener(struct config_loader *loader, size_t index)
{
	struct config_listener *items = loader->config->listeners.items, *listener = &items[index];
	char text[ADDRESS_TEXT_MAX];

	check_listener_address(loader, listener);
	check_listener_port(loader, listener);
	check_listener_certificate(loader, index);
	config_check_listener_tls(loader, listener);
	for (size_t i = 0; i < index && listener->port != 0; i++)
		if (same_address(&items[i].bind, &listener->bind))
			config_error_at(loader, &listener->port, &listener->source,
					"%s has a listener already at %s:%d",
					address_text(&listener->bind.u.any, text),
					items[i].source.file, items[i].source.line);
		else if (one_covers_the_other(&items[i].bind, &listener->bind))
			config_warning_at(loader, &listener->port, &listener->source,
					  "%s cannot be bound beside the listener at %s:%d, unless "
					  "the service manager hands over both sockets",
					  address_text(&listener->bind.u.any, text),
					  items[i].source.file, items[i].source.line);
}

static void check_listeners(struct config_loader *loader)
{
	struct config *config = loader->config;

	place_folder(loader, &config->tls.certificates_dir);
	if (config->listeners.count == 0 && place_find(loader, &config->listeners) == NULL)
		config_error_at(loader, NULL, NULL, "there is no listener: set \"listeners\"");
	config_check_tls(loader);
	for (size_t i = 0; i < config->listeners.count; i++)
		if (!doubtful(loader, &config->listeners.items[i]))
			check_listener(loader, i);
}

/* ---- limits ---- */

/* `lesser` may not exceed `greater`. When only one of them is set, the default of the other gives way. */
static void check_order(struct config_loader *loader, const char *group, int *lesser,
			const char *lesser_name, int *greater, const char *greater_name)
{
	if (*lesser <= *greater)
		return;
	if (place_find(loader, lesser) == NULL)
		*lesser = *greater;
	else if (place_find(loader, greater) == NULL)
		*greater = *lesser;
	else
		config_error_at(loader, lesser, NULL, "%s: %s (%d) must not exceed %s (%d)", group,
				lesser_name, *lesser, greater_name, *greater);
}

static void check_limits(struct config_loader *loader)
{
	struct config_limits *limits = &loader->config->limits;
	struct config_guessing *guessing = &loader->config->guessing;

	check_order(loader, "limits", &limits->handshake_timeout, "handshake_timeout",
		    &limits->preauth_timeout, "preauth_timeout");
	check_order(loader, "limits", &limits->auth_timeout, "auth_timeout",
		    &limits->preauth_timeout, "preauth_timeout");
	/* the greatest, then the least, then the one between: what gives way then stays within both */
	check_order(loader, "limits", &limits->connect_timeout, "connect_timeout",
		    &limits->preauth_timeout, "preauth_timeout");
	check_order(loader, "limits", &limits->connect_timeout, "connect_timeout",
		    &limits->backend_timeout, "backend_timeout");
	check_order(loader, "limits", &limits->backend_timeout, "backend_timeout",
		    &limits->preauth_timeout, "preauth_timeout");
	check_order(loader, "limits", &limits->failure_delay, "failure_delay_ms",
		    &limits->failure_delay_max, "failure_delay_max_ms");
	check_order(loader, "guessing", &guessing->delay, "delay_ms", &guessing->delay_max,
		    "delay_max_ms");
	if (limits->max_sessions != 0 &&
	    place_find(loader, &limits->max_sessions_per_address) != NULL &&
	    limits->max_sessions_per_address > limits->max_sessions)
		config_warning_at(loader, &limits->max_sessions_per_address, NULL,
				  "limits: max_sessions_per_address (%d) exceeds max_sessions (%d)",
				  limits->max_sessions_per_address, limits->max_sessions);
}

/* ---- log ---- */

static void check_log(struct config_loader *loader)
{
	const char *const *target = &loader->config->log.target;
	const char *why = log_target_check(*target);

	if (why != NULL)
		config_error_at(loader, target, NULL, "log.target: \"%s\": %s", *target, why);
}

/* ---- status ---- */

/* Where that setting of the top level stands, or NULL. */
static const struct config_source *top_find(const struct config_loader *loader, const char *name)
{
	for (const struct option *row = option_table; row->name != NULL; row++)
		if (strcmp(row->name, name) == 0 && loader->top[row - option_table].file != NULL)
			return &loader->top[row - option_table];
	return NULL;
}

static void check_status(struct config_loader *loader)
{
	struct config *config = loader->config;
	const struct config_source *source = place_find(loader, &config->status.port);

	config->status.source = source ? *source : (struct config_source) { "", 0 };
	if (config->status.port == 0) {
		source = top_find(loader, "status");
		if (source != NULL)
			config_error_at(loader, NULL, source, "status.port is missing");
		return;
	}
	if (!address_parse(config->status.address, (unsigned)config->status.port,
			   &config->status.bind))
		config_error_at(loader, &config->status.address, NULL,
				"status.address: \"%s\" is not a numeric IPv4 or IPv6 address",
				config->status.address);
	else if (!address_is_loopback(&config->status.bind.u.any) &&
		 config->status.allow.count == 0)
		config_error_at(loader, &config->status.address, NULL,
				"status.address: %s is not a loopback address: set status.allow to "
				"the networks that may connect",
				config->status.address);
	for (size_t i = 0; i < config->listeners.count; i++)
		if (same_address(&config->listeners.items[i].bind, &config->status.bind))
			config_error_at(loader, &config->status.port, NULL,
					"status.port: a listener has this address and port at "
					"%s:%d",
					config->listeners.items[i].source.file,
					config->listeners.items[i].source.line);
}

void config_check(struct config_loader *loader)
{
	struct config *config = loader->config;

	check_hostname(loader);
	check_user(loader, &config->user, "user");
	check_user(loader, &config->auth_user, "auth_user");
	check_user(loader, &config->keeper_user, "keeper_user");
	count_workers(config);
	check_listeners(loader);
	config_check_clients(loader);
	config_check_auth(loader);
	config_check_backends(loader);
	check_limits(loader);
	check_log(loader);
	check_status(loader);
}
