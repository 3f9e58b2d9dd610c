/* auth_options - see auth_options.h.
 * What the library would do by itself is never left to chance: where a store is asked for and the operator named none, the
 * answer is a name that does not exist.
 */
#include "auth/auth_options.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_SUCH_STORE "postern-has-none"
#define NO_SUCH_PATH  "/nonexistent/postern"

static bool has_word(const char *list, struct span word)
{
	struct span rest = span_of(list ? list : ""), one;

	while ((one = span_word(&rest)).len > 0)
		if (one.len == word.len && memcmp(one.data, word.data, word.len) == 0)
			return true;
	return false;
}

/* ---- made and gone ---- */

static bool mechanism_counts(const struct auth_sasl_settings *settings, const char *name)
{
	return settings->decides || strcmp(name, "PLAIN") == 0 || strcmp(name, "LOGIN") == 0;
}

static char *list_mechanisms(const struct auth_sasl_settings *settings)
{
	size_t size = 1, len = 0;
	char *list;

	for (const char *const *name = settings->mechanisms; *name; name++)
		size += strlen(*name) + 1;
	list = calloc(1, size);
	for (const char *const *name = settings->mechanisms; list && *name; name++)
		if (mechanism_counts(settings, *name) && !has_word(list, span_of(*name)))
			len += (size_t)snprintf(list + len, size - len, "%s%s", len ? " " : "",
						*name);
	return list;
}

static bool copy_options(struct auth_options *options, const struct auth_sasl_settings *settings)
{
	options->items = calloc(settings->option_count + 1, sizeof(*options->items));
	for (size_t i = 0; options->items && i < settings->option_count; i++) {
		struct auth_option *item = &options->items[options->count++];

		item->name = strdup(settings->options[i].name);
		item->value = strdup(settings->options[i].value);
		if (!item->name || !item->value)
			return false;
	}
	return options->items != NULL;
}

static const char *named(const struct auth_options *options, const char *option)
{
	for (size_t i = 0; i < options->count; i++)
		if (strcmp(options->items[i].name, option) == 0)
			return options->items[i].value;
	return NULL;
}

struct auth_options *auth_options_new(const struct auth_sasl_settings *settings)
{
	struct auth_options *options = calloc(1, sizeof(*options));
	const char *stores;

	if (!options)
		return NULL;
	options->references = 1;
	options->decides = settings->decides;
	options->hostname = strdup(settings->hostname);
	options->mechanisms = list_mechanisms(settings);
	if (!options->hostname || !options->mechanisms || !copy_options(options, settings)) {
		auth_options_drop(options);
		return NULL;
	}
	stores = named(options, "auxprop_plugin");
	if (stores && asprintf(&options->stores, "%s " AUTH_OPTIONS_DECOY, stores) < 0) {
		options->stores = NULL;
		auth_options_drop(options);
		return NULL;
	}
	return options;
}

struct auth_options *auth_options_keep(struct auth_options *options)
{
	options->references++;
	return options;
}

static void wipe(const char *text)
{
	if (text)
		explicit_bzero((void *)(uintptr_t)text, strlen(text)); /* our own copy */
	free((void *)(uintptr_t)text);
}

void auth_options_drop(struct auth_options *options)
{
	if (!options || --options->references > 0)
		return;
	for (size_t i = 0; i < options->count; i++) {
		wipe(options->items[i].name);
		wipe(options->items[i].value);
	}
	free(options->items);
	free(options->hostname);
	free(options->mechanisms);
	free(options->stores);
	free(options);
}

/* ---- questions ---- */

static const char *answer_undecided(const char *option)
{
	static const struct auth_option answers[] = {
		{ "pwcheck_method", NO_SUCH_STORE },
		{ "auxprop_plugin", NO_SUCH_STORE },
		{ "sasldb_path", NO_SUCH_PATH },
		{ "saslauthd_path", NO_SUCH_PATH },
		{ "canon_user_plugin", "INTERNAL" },
		{ "auto_transition", "no" },
		{ "authdaemond_path", NO_SUCH_PATH },
		{ "keytab", NO_SUCH_PATH },
		{ "log_level", "1" },
	};

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		if (strcmp(option, answers[i].name) == 0)
			return answers[i].value;
	return NULL;
}

bool auth_options_asks_daemon(const struct auth_options *options)
{
	return options->decides && has_word(named(options, "pwcheck_method"), SPAN("saslauthd"));
}

/* What goes with the stores that are named, where the operator left it to the library. */
static const char *answer_decided(const struct auth_options *options, const char *option)
{
	if (strcmp(option, "pwcheck_method") == 0 && options->stores)
		return "auxprop";
	if (strcmp(option, "sasldb_path") == 0 && auth_options_has_store(options, "sasldb"))
		return "/etc/sasldb2";
	if (strcmp(option, "saslauthd_path") == 0 && auth_options_asks_daemon(options))
		return NULL;
	return answer_undecided(option);
}

const char *auth_options_answer(const struct auth_options *options, const char *option)
{
	const char *value;

	if (strcmp(option, "mech_list") == 0)
		return options->mechanisms;
	if (!options->decides)
		return answer_undecided(option);
	if (strcmp(option, "auxprop_plugin") == 0 && options->stores)
		return options->stores;
	value = named(options, option);
	/* The last answer stands: a daemon that is away must not become the refusal of a store that does not know the user. */
	if (strcmp(option, "pwcheck_method") == 0 && auth_options_asks_daemon(options) &&
	    has_word(value, SPAN("auxprop")))
		return "auxprop saslauthd";
	return value ? value : answer_decided(options, option);
}

bool auth_options_has_store(const struct auth_options *options, const char *name)
{
	struct span rest = span_of(options->stores ? options->stores : ""), one;

	while ((one = span_word(&rest)).len > 0)
		if (span_is(one, name))
			return true;
	return false;
}

bool auth_options_list_mechanism(const struct auth_options *options, struct span name)
{
	return has_word(options->mechanisms, name);
}

/* "libplain." of "libplain.so.2" */
static bool is_one_of(const char *file, const char *const *prefixes)
{
	for (; *prefixes; prefixes++)
		if (strncmp(file, *prefixes, strlen(*prefixes)) == 0)
			return true;
	return false;
}

bool auth_options_want_plugin(const struct auth_options *options, const char *file)
{
	static const char *const captured[] = { "libplain.", "liblogin.", NULL };
	/* Never offered, so never loaded. */
	static const char *const obsolete[] = { "libdigestmd5.", "libcrammd5.", "libntlm.",
						"libanonymous.", NULL };
	/* Stores complain when they are loaded without their options. */
	static const struct {
		const char *file;
		const char *store;
	} stores[] = {
		{ "libsasldb.", "sasldb" },
		{ "libsql.", "sql" },
		{ "libldapdb.", "ldapdb" },
	};

	if (!options->decides)
		return is_one_of(file, captured);
	for (size_t i = 0; i < sizeof(stores) / sizeof(stores[0]); i++)
		if (strncmp(file, stores[i].file, strlen(stores[i].file)) == 0)
			return auth_options_has_store(options, stores[i].store);
	return !is_one_of(file, obsolete);
}

/* Read anew for each exchange; what is not known to be, counts as read once. */
static bool read_anew(const char *option)
{
	static const char *const options[] = { "pwcheck_method", "saslauthd_path",  "sasldb_path",
					       "log_level",      "auto_transition", NULL };

	for (const char *const *one = options; *one; one++)
		if (strcmp(option, *one) == 0)
			return true;
	return false;
}

static bool all_in(const struct auth_options *some, const struct auth_options *others)
{
	for (size_t i = 0; i < some->count; i++) {
		const char *value = named(others, some->items[i].name);

		if (!read_anew(some->items[i].name) &&
		    (!value || strcmp(value, some->items[i].value) != 0))
			return false;
	}
	return true;
}

bool auth_options_same_library(const struct auth_options *one, const struct auth_options *other)
{
	return one->decides == other->decides && all_in(one, other) && all_in(other, one);
}
