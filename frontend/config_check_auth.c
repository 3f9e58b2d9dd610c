/* config_check_auth - how users prove who they are: mechanisms, who decides, and the options of Cyrus SASL as far as they can be
 * judged without it. What its plugins make of them is found out by the checking process (auth_check).
 * RFC 4422 3.1 (names), 6331 (DIGEST-MD5 is historic), 5802 (SCRAM).
 */
#include "frontend/account.h"
#include "frontend/config_load.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SASLDB_USUAL   "/etc/sasldb2"
#define DAEMON_USUAL   "/var/run/saslauthd/mux"
#define LOG_LEVEL_MOST 5 /* of Cyrus SASL; beyond it passwords are written */

static const struct config_named *find(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->auth.sasl.count; i++)
		if (strcmp(config->auth.sasl.items[i].name, name) == 0)
			return &config->auth.sasl.items[i];
	return NULL;
}

/* A word of a list separated by blanks, as Cyrus SASL reads them. */
static bool has_word(const struct config_named *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = list == NULL ? "" : list->value; *at != '\0';
	     at += strcspn(at, " \t")) {
		at += strspn(at, " \t");
		if (strcspn(at, " \t") == len && strncasecmp(at, word, len) == 0)
			return true;
	}
	return false;
}

/* ---- mechanisms ---- */

/* Why it is never offered; NULL: it may be. */
static const char *why_never(const char *name)
{
	static const struct {
		const char *name, *why;
	} never[] = {
		{ "DIGEST-MD5", "is obsolete (RFC 6331); use \"SCRAM-SHA-256\"" },
		{ "CRAM-MD5", "is obsolete: what goes over the wire can be guessed at offline, and "
			      "the server must keep the password; use \"SCRAM-SHA-256\"" },
		{ "NTLM", "is obsolete: broken hashes, and it can be relayed; use "
			  "\"SCRAM-SHA-256\"" },
		{ "ANONYMOUS", "proves nothing" },
	};
	size_t len = strlen(name);

	for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
		if (strcmp(name, never[i].name) == 0)
			return never[i].why;
	if (len > 5 && strcmp(name + len - 5, "-PLUS") == 0)
		return "needs channel binding, which is not available in this version";
	if (len > 20 || strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != len)
		return "is not the name of a mechanism (capitals, digits, '-' and '_', at most 20)";
	return NULL;
}

static void check_mechanism(struct config_loader *loader, const char *const *item)
{
	const struct config *config = loader->config;
	bool decides = config->auth.source == AUTH_SOURCE_SASL;
	bool plain = strcmp(*item, "PLAIN") == 0 || strcmp(*item, "LOGIN") == 0;
	const char *why = plain ? NULL : why_never(*item);

	if (why != NULL)
		config_error_at(loader, item, NULL, "auth.mechanisms: \"%s\" %s", *item, why);
	else if (!plain && !decides)
		config_error_at(
			loader, item, NULL,
			"auth.mechanisms: \"%s\" needs source = \"sasl\": with \"backend\" "
			"only \"PLAIN\" and \"LOGIN\" bring the password that the server is "
			"to judge",
			*item);
	else if (strncmp(*item, "SCRAM-", 6) == 0 && find(config, "auxprop_plugin") == NULL)
		config_error_at(loader, item, NULL,
				"auth.mechanisms: \"%s\" needs auth.sasl.auxprop_plugin: it works "
				"with a store that hands out secrets, not with one that only "
				"judges passwords",
				*item);
}

static void check_mechanisms(struct config_loader *loader)
{
	struct config *config = loader->config;
	const struct config_strings *mechanisms = &config->auth.mechanisms;
	const struct config_source *place = place_find(loader, mechanisms);

	config->auth.place = place != NULL ? *place : (struct config_source) { loader->path, 0 };
	for (size_t i = 0; i < mechanisms->count; i++) {
		check_mechanism(loader, &mechanisms->items[i]);
		for (size_t j = 0; j < i; j++)
			if (strcmp(mechanisms->items[i], mechanisms->items[j]) == 0)
				config_error_at(loader, &mechanisms->items[i], NULL,
						"auth.mechanisms: \"%s\" is named twice",
						mechanisms->items[i]);
	}
}

/* ---- options of Cyrus SASL ---- */

static void check_methods(struct config_loader *loader, const struct config_named *methods)
{
	char *copy = arena_string(loader->scratch, methods->value), *rest = NULL;

	for (char *word = strtok_r(copy, " \t", &rest); word != NULL;
	     word = strtok_r(NULL, " \t", &rest)) {
		if (strcmp(word, "auxprop") == 0 && find(loader->config, "auxprop_plugin") == NULL)
			config_error_at(loader, NULL, &methods->source,
					"auth.sasl: pwcheck_method = \"auxprop\" needs "
					"auxprop_plugin");
		else if (strcmp(word, "auxprop") != 0 && strcmp(word, "saslauthd") != 0)
			config_error_at(loader, NULL, &methods->source,
					"auth.sasl: pwcheck_method must be \"auxprop\" or "
					"\"saslauthd\", or both with a blank between, not \"%s\"",
					word);
	}
}

static void check_log_level(struct config_loader *loader, const struct config_named *level)
{
	char *end;
	long value = strtol(level->value, &end, 10);

	if (*level->value == '\0' || *end != '\0' || value < 0 || value > LOG_LEVEL_MOST)
		config_error_at(loader, NULL, &level->source,
				"auth.sasl: log_level must be between 0 and %d, not %s: beyond it "
				"passwords are written",
				LOG_LEVEL_MOST, level->value);
}

/* Relative to the folder of the file that names it. */
static void complete_path(struct config_loader *loader, struct config_named *path)
{
	const char *slash = strrchr(path->source.file, '/');

	if (path->value[0] != '/' && slash != NULL)
		path->value = arena_format(loader->config->arena, "%.*s%s",
					   (int)(slash + 1 - path->source.file), path->source.file,
					   path->value);
}

static bool names_a_password(const char *name)
{
	static const char *const ends[] = { "_passwd", "_password", "_pw" };

	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		size_t len = strlen(name), end = strlen(ends[i]);

		if (len > end && strcmp(name + len - end, ends[i]) == 0)
			return true;
	}
	return false;
}

/* A password within the configuration, which is otherwise no secret. */
static void check_secrecy(struct config_loader *loader, const struct config_named *option)
{
	const char *file = option->source.file;
	struct stat status;

	if (names_a_password(option->name) && stat(file, &status) == 0 &&
	    (status.st_mode & (S_IROTH | S_IWOTH)))
		config_warning_at(loader, NULL, &option->source,
				  "auth.sasl: everybody may read or change %s in this file (mode "
				  "%04o): chmod 600",
				  option->name, (unsigned)status.st_mode & 07777);
}

static void check_option(struct config_loader *loader, struct config_named *option)
{
	check_secrecy(loader, option);
	if (strcmp(option->name, "mech_list") == 0)
		config_error_at(loader, NULL, &option->source,
				"auth.sasl: mech_list is not set here: it is auth.mechanisms");
	else if (strcmp(option->name, "pwcheck_method") == 0)
		check_methods(loader, option);
	else if (strcmp(option->name, "log_level") == 0)
		check_log_level(loader, option);
	else if (strcmp(option->name, "sasldb_path") == 0 ||
		 strcmp(option->name, "saslauthd_path") == 0)
		complete_path(loader, option);
}

/* Opens the file as the processes that will ask it: 0, or errno. -1: their user does not exist, which is a fault of its own. */
static int try_as_asker(const struct config *config, const char *path)
{
	const char *user = account_auth_name(config);
	const struct passwd *entry = user == NULL ? NULL : getpwnam(user);
	struct account account = { 0 };

	if (user != NULL && entry == NULL)
		return -1;
	if (entry != NULL)
		account = (struct account) { entry->pw_uid, entry->pw_gid };
	return account_try_read(&account, path);
}

static void check_sasldb(struct config_loader *loader)
{
	const struct config *config = loader->config;
	const struct config_named *stores = find(config, "auxprop_plugin");
	const struct config_named *named = find(config, "sasldb_path");
	const char *path = named != NULL ? named->value : SASLDB_USUAL;
	const char *user = account_auth_name(config);
	struct stat status;
	int error;

	if (!has_word(stores, "sasldb"))
		return;
	error = try_as_asker(config, path);
	if (named != NULL)
		stores = named;
	if (error > 0)
		config_error_at(loader, NULL, &stores->source,
				"auth.sasl: %s cannot be read%s%s: %s", path,
				user != NULL ? " by " : "", user != NULL ? user : "",
				strerror(error));
	else if (error == 0 && stat(path, &status) == 0 && (status.st_mode & (S_IROTH | S_IWOTH)))
		config_warning_at(loader, NULL, &stores->source,
				  "auth.sasl: everybody may read or change the passwords in %s "
				  "(mode %04o): chmod 640",
				  path, (unsigned)status.st_mode & 07777);
}

/* It may be started later, so this is no error. A socket that could be opened if it were a file says ENXIO. */
static void check_daemon(struct config_loader *loader)
{
	const struct config *config = loader->config;
	const struct config_named *methods = find(config, "pwcheck_method");
	const struct config_named *named = find(config, "saslauthd_path");
	const char *path = named != NULL ? named->value : DAEMON_USUAL;
	const char *user = account_auth_name(config);
	int error;

	if (!has_word(methods, "saslauthd"))
		return;
	error = try_as_asker(config, path);
	if (error > 0 && error != ENXIO)
		config_warning_at(loader, NULL, named != NULL ? &named->source : &methods->source,
				  "auth.sasl: saslauthd cannot be reached at %s%s%s: %s", path,
				  user != NULL ? " by " : "", user != NULL ? user : "",
				  strerror(error));
}

/* Then no password is ever looked at. */
static bool only_external(const struct config *config)
{
	for (size_t i = 0; i < config->auth.mechanisms.count; i++)
		if (strcmp(config->auth.mechanisms.items[i], "EXTERNAL") != 0)
			return false;
	return true;
}

static void check_sasl(struct config_loader *loader)
{
	const struct config *config = loader->config;

	if (find(config, "pwcheck_method") == NULL && find(config, "auxprop_plugin") == NULL &&
	    !only_external(config))
		config_error_at(loader,
				place_find(loader, &config->auth.sasl) != NULL
					? (const void *)&config->auth.sasl
					: (const void *)&config->auth.source,
				NULL,
				"source = \"sasl\" needs auth.sasl with a pwcheck_method or an "
				"auxprop_plugin: nobody else knows the passwords");
	for (size_t i = 0; i < config->auth.sasl.count; i++)
		check_option(loader, &config->auth.sasl.items[i]);
	check_sasldb(loader);
	check_daemon(loader);
}

/* ---- processes ---- */

static void check_processes(struct config_loader *loader)
{
	struct config *config = loader->config;
	int *min = &config->auth.processes_min, *max = &config->auth.processes_max;

	if (*min <= *max)
		return;
	if (place_find(loader, max) == NULL)
		*max = *min;
	else if (place_find(loader, min) == NULL)
		*min = *max;
	else
		config_error_at(loader, min, NULL, "auth.processes: min (%d) is more than max (%d)",
				*min, *max);
}

void config_check_auth(struct config_loader *loader)
{
	const struct config *config = loader->config;

	check_mechanisms(loader);
	check_processes(loader);
	if (config->auth.source == AUTH_SOURCE_SASL)
		check_sasl(loader);
	else if (place_find(loader, &config->auth.sasl) != NULL)
		config_error_at(loader, &config->auth.sasl, NULL,
				"auth.sasl has no meaning with source = \"backend\"");
}
