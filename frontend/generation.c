/* generation - see generation.h. */
#include "frontend/generation.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Octets of a refused message that we read before we give up on the client. */
#define SWALLOW_MAX (256u << 20)

static const struct protocol *const protocols[PROTOCOLS] = {
	[PROTOCOL_SUBMISSION] = &protocol_submission,
	[PROTOCOL_IMAP] = &protocol_imap,
	[PROTOCOL_POP3] = &protocol_pop3,
};

static size_t line_max(const struct config_limits *limits, int protocol)
{
	switch (protocol) {
	case PROTOCOL_SUBMISSION:
		return (size_t)limits->smtp_line;
	case PROTOCOL_IMAP:
		return (size_t)limits->imap_line;
	default:
		return (size_t)limits->pop3_line;
	}
}

static void make_pool(struct generation *g, size_t i, struct config_faults *faults)
{
	const struct config_pool *config = &g->config->pools.items[i];
	struct served_pool *pool = &g->pools[i];
	char why[256] = "out of memory";

	pool->config = config;
	pool->login.hostname = g->config->hostname;
	pool->login.starttls = config->tls == BACKEND_TLS_STARTTLS;
	pool->login.mode = (enum login_mode)config->login;
	pool->login.master_user = span_of(config->master_user);
	pool->login.master_password = (struct span) {
		(const char *)config->master_password.data,
		config->master_password.len,
	};
	if (config->tls != BACKEND_TLS_NONE)
		pool->tls = tls_context_client(config, why);
	if (backends_init(&pool->backends, config) < 0 ||
	    (config->tls != BACKEND_TLS_NONE && pool->tls == NULL))
		config_fault(faults, false, config->source.file, config->source.line, "%s", why);
}

/* What every pool that a client may be led to can do; nothing where one is not known yet. */
static struct extension_set reachable_extensions(const struct generation *g, int protocol)
{
	struct extension_set all = { .set = 0 };
	bool first = true;

	for (size_t i = 0; i < g->config->routes.count; i++) {
		int pool = g->config->routes.items[i].pools[protocol];

		if (pool < 0)
			continue;
		all = first ? g->pools[pool].backends.extensions
			    : extension_meet(all, g->pools[pool].backends.extensions);
		first = false;
	}
	return all;
}

static void show_capabilities(struct generation *g)
{
	for (size_t i = 0; i < g->config->listeners.count; i++) {
		struct served_listener *listener = &g->listeners[i];

		listener->extensions = reachable_extensions(g, listener->config->protocol);
		extension_list(listener->extensions, &listener->shown);
	}
}

static struct gate_rules rules_of(const struct config_listener *config)
{
	/* Submission has no identifier. */
	static const char *const alpn_ids[PROTOCOLS] = {
		[PROTOCOL_IMAP] = "imap",
		[PROTOCOL_POP3] = "pop3",
	};

	return (struct gate_rules) {
		.profile = profile_find(config->profile),
		.set = (uint32_t)config->set,
		.refuse_unknown = config->unknown_sni == UNKNOWN_SNI_REFUSE,
		.alpn = config->alpn,
		.alpn_id = alpn_ids[config->protocol],
	};
}

static bool asks(const struct config_listener *listener)
{
	return listener->client_certificates.mode != CLIENT_CERTIFICATES_OFF;
}

/* The first listener whose contexts would be made of the same; one that asks for certificates has its own. */
static unsigned class_of(const struct generation *g, size_t i)
{
	const struct config_listener *all = g->config->listeners.items;
	size_t first = 0;

	while (first < i &&
	       (all[first].profile != all[i].profile || asks(&all[first]) || asks(&all[i])))
		first++;
	return (unsigned)first;
}

/* ---- client certificates ---- */

static void client_rules_free(struct client_rules *rules)
{
	if (rules == NULL)
		return;
	client_trust_free(rules->trust);
	client_users_free(rules->users);
	free(rules);
}

/* The supervisor has judged the users' file already. NULL and why. */
static struct client_rules *client_rules_new(const struct config_client_certificates *config,
					     char why[256])
{
	struct client_rules *rules = calloc(1, sizeof(*rules));
	struct span text = { (const char *)config->users_text.data, config->users_text.len };
	const char *fault = NULL;
	unsigned line;

	snprintf(why, 256, "out of memory");
	if (rules == NULL)
		return NULL;
	rules->required = config->mode == CLIENT_CERTIFICATES_REQUIRED;
	rules->trust = client_trust_new(config->ca_pem, config->crl_pem, why);
	if (rules->trust != NULL && text.data != NULL) {
		rules->users = client_users_new(text, &line, &fault);
		if (rules->users == NULL)
			snprintf(why, 256, "%s", fault);
	}
	if (rules->trust != NULL && (text.data == NULL || rules->users != NULL))
		return rules;
	client_rules_free(rules);
	return NULL;
}

static void ask_clients(struct served_listener *listener, struct config_faults *faults)
{
	const struct config_source *source = &listener->config->source;
	char why[256];

	listener->clients = client_rules_new(&listener->config->client_certificates, why);
	if (listener->clients == NULL)
		config_fault(faults, false, source->file, source->line, "client_certificates: %s",
			     why);
	else if (client_trust_outdated(listener->clients->trust))
		config_fault(faults, true, source->file, source->line,
			     "client_certificates: a revocation list is out of date: no "
			     "certificate of its authority is good");
}

/* EXTERNAL is only for those who have shown a certificate; the rest is for all. */
static bool set_mechanisms(struct served_listener *listener, const struct config_strings *all)
{
	size_t count = 0;

	listener->mechanisms = calloc(all->count + 1, sizeof(*listener->mechanisms));
	if (listener->mechanisms == NULL)
		return false;
	for (size_t i = 0; i < all->count; i++)
		if (strcmp(all->items[i], "EXTERNAL") != 0)
			listener->mechanisms[count++] = all->items[i];
	listener->dialogue_certified = listener->dialogue;
	listener->dialogue.mechanisms = listener->mechanisms;
	return true;
}

/* ---- listeners ---- */

static void make_listener(struct generation *g, size_t i, struct config_faults *faults)
{
	const struct config *all = g->config;
	const struct config_listener *config = &all->listeners.items[i];
	struct served_listener *listener = &g->listeners[i];
	char why[256];

	listener->config = config;
	listener->protocol = protocols[config->protocol];
	listener->dialogue = (struct dialogue_settings) {
		.hostname = all->hostname,
		.mechanisms = all->auth.mechanisms.items,
		.capabilities = listener->shown.items,
		.line_max = line_max(&all->limits, config->protocol),
		.sasl_line_max = (size_t)all->limits.sasl_line,
		.literals_max = (size_t)all->limits.imap_literals,
	};
	listener->relay = (struct smtp_relay_settings) {
		.hostname = all->hostname,
		.line_max = listener->dialogue.line_max,
		.swallow_max = SWALLOW_MAX,
	};
	address_text(&config->bind.u.any, listener->name);
	listener->rules = rules_of(config);
	listener->tls_class = class_of(g, i);
	if (listener->tls_class == i && !tls_profile_check(listener->rules.profile, why))
		config_fault(faults, false, config->source.file, config->source.line, "%s", why);
	if (!set_mechanisms(listener, &all->auth.mechanisms))
		config_fault(faults, false, config->source.file, config->source.line, "%s",
			     "out of memory");
	if (asks(config))
		ask_clients(listener, faults);
}

struct generation *generation_new(struct config *config, struct book *book,
				  struct config_faults *faults)
{
	struct generation *g = calloc(1, sizeof(*g));
	size_t before = faults->errors;

	if (g == NULL) {
		config_free(config);
		return NULL;
	}
	g->references = 1;
	g->config = config;
	g->pools = calloc(config->pools.count + 1, sizeof(*g->pools));
	g->listeners = calloc(config->listeners.count + 1, sizeof(*g->listeners));
	g->book = book ? book_keep(book) : NULL;
	g->contexts = contexts_new();
	if (g->pools == NULL || g->listeners == NULL || g->contexts == NULL) {
		config_fault(faults, false, "", 0, "out of memory");
	} else {
		for (size_t i = 0; i < config->pools.count; i++)
			make_pool(g, i, faults);
		for (size_t i = 0; i < config->listeners.count; i++)
			make_listener(g, i, faults);
		show_capabilities(g);
	}
	if (faults->errors == before)
		return g;
	generation_drop(g);
	return NULL;
}

struct generation *generation_keep(struct generation *g)
{
	g->references++;
	return g;
}

void generation_drop(struct generation *g)
{
	if (g == NULL || --g->references > 0)
		return;
	for (size_t i = 0; g->pools && i < g->config->pools.count; i++) {
		tls_context_drop(g->pools[i].tls);
		backends_cleanup(&g->pools[i].backends);
	}
	contexts_free(g->contexts);
	for (size_t i = 0; g->listeners && i < g->config->listeners.count; i++) {
		client_rules_free(g->listeners[i].clients);
		free(g->listeners[i].mechanisms);
	}
	book_drop(g->book);
	free(g->pools);
	free(g->listeners);
	config_free(g->config);
	free(g);
}

void generation_take_book(struct generation *g, struct book *book)
{
	book_drop(g->book);
	g->book = book_keep(book);
	contexts_clear(g->contexts);
}

void generation_inherit(struct generation *g, const struct generation *earlier)
{
	for (size_t i = 0; i < g->config->pools.count; i++)
		for (size_t j = 0; j < earlier->config->pools.count; j++)
			backends_inherit(&g->pools[i].backends, &earlier->pools[j].backends);
	show_capabilities(g);
}

void generation_publish(struct generation *g, const struct published_pool *word)
{
	if (word->pool < g->config->pools.count &&
	    backends_publish(&g->pools[word->pool].backends, word))
		show_capabilities(g);
}

struct served_pool *generation_route(const struct generation *g, enum protocol_id protocol,
				     struct span user)
{
	for (size_t i = 0; i < g->config->routes.count; i++) {
		int pool = g->config->routes.items[i].pools[protocol];

		if (pool >= 0)
			return &g->pools[pool];
	}
	return NULL;
}
