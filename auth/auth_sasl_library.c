/* auth_sasl_library - see auth_sasl_library.h.
 * The decoy is a store of ours, asked after the operator's: it gives a user whom they do not know a random password. A store
 * that fails is not made good by it, since the library lets a failure stand.
 */
#include "auth/auth_sasl_library.h"
#include "frontend/log.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>
#include <sasl/sasl.h>
#include <sasl/saslplug.h>

#define NO_SUCH_PATH "/nonexistent/postern"
#define LOG_MOST     SASL_LOG_DEBUG /* beyond it there are passwords */

/* The library stores callbacks of all shapes as one type. */
typedef int (*callback)(void);
#define CALLBACK(function) ((callback)(void (*)(void))(function))

struct auth_library {
	struct auth_options *options;
	sasl_callback_t callbacks[5];
	sasl_auxprop_plug_t decoy;
	char password[2 * 24 + 1];
	bool took_decoy;
};

/* ---- what the library asks ---- */

int auth_library_answer(void *options, const char *plugin, const char *option, const char **result,
			unsigned *len)
{
	*result = auth_options_answer(options, option); /* there is no other source */
	if (len)
		*len = *result ? (unsigned)strlen(*result) : 0;
	return *result ? SASL_OK : SASL_FAIL;
}

static int answer_globally(void *context, const char *plugin, const char *option,
			   const char **result, unsigned *len)
{
	const struct auth_library *library = context;

	return auth_library_answer(library->options, plugin, option, result, len);
}

static int answer_config_path(void *context, char **path)
{
	static char none[] = NO_SUCH_PATH;

	*path = none; /* the library does not free it */
	return SASL_OK;
}

static int answer_may_use(void *context, const char *file, sasl_verify_type_t type)
{
	const struct auth_library *library = context;
	const char *name = strrchr(file, '/');

	if (type == SASL_VRFY_PASSWD) /* sasldb will not work without */
		return library->options->decides ? SASL_OK : SASL_CONTINUE;
	if (type != SASL_VRFY_PLUGIN)
		return SASL_CONTINUE;
	return auth_options_want_plugin(library->options, name ? name + 1 : file) ? SASL_OK
										  : SASL_CONTINUE;
}

/* At the levels beyond errors there are names of users; the operator asks for them. */
static int take_log(void *context, int level, const char *text)
{
	const struct auth_library *library = context;
	const char *most = auth_options_answer(library->options, "log_level");
	bool error = level == SASL_LOG_ERR;

	if (level <= LOG_MOST && (error || level <= atoi(most ? most : "")))
		log_event(error && library->options->decides ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG,
			  "sasl", "%s", text);
	return SASL_OK;
}

/* ---- the decoy ---- */

static int decoy_lookup(void *context, sasl_server_params_t *params, unsigned flags,
			const char *user, unsigned len)
{
	struct auth_library *library = context;
	const struct propval *wanted = params->utils->prop_get(params->propctx);

	if (!wanted || !wanted->name)
		return SASL_OK; /* EXTERNAL wants to know nothing of the user, and only this store is asked */
	if (flags & SASL_AUXPROP_AUTHZID)
		return SASL_NOUSER;
	for (; wanted && wanted->name; wanted++) {
		if (strcmp(wanted->name, SASL_AUX_PASSWORD) != 0 ||
		    (wanted->values && wanted->values[0]))
			continue;
		library->took_decoy = true;
		return params->utils->prop_set(params->propctx, SASL_AUX_PASSWORD,
					       library->password, -1);
	}
	return SASL_NOUSER;
}

static struct auth_library *current; /* the library hands no context to a plugin that begins */

static int decoy_init(const sasl_utils_t *utils, int max_version, int *out_version,
		      sasl_auxprop_plug_t **plugin, const char *name)
{
	*out_version = SASL_AUXPROP_PLUG_VERSION;
	*plugin = &current->decoy;
	return SASL_OK;
}

static bool make_decoy(struct auth_library *library)
{
	static char name[] = AUTH_OPTIONS_DECOY;
	unsigned char bytes[sizeof(library->password) / 2];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return false;
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(library->password + 2 * i, 3, "%02x", bytes[i]);
	explicit_bzero(bytes, sizeof(bytes));
	library->decoy.glob_context = library;
	library->decoy.auxprop_lookup = decoy_lookup;
	library->decoy.name = name;
	current = library;
	return sasl_auxprop_add_plugin(AUTH_OPTIONS_DECOY, decoy_init) == SASL_OK;
}

bool auth_library_took_decoy(struct auth_library *library)
{
	bool took = library->took_decoy;

	library->took_decoy = false;
	return took;
}

/* ---- as a whole ---- */

static struct auth_library *library_alloc(struct auth_options *options)
{
	struct auth_library *library = calloc(1, sizeof(*library));

	if (!library)
		return NULL;

	const sasl_callback_t callbacks[5] = {
		{ SASL_CB_GETOPT, CALLBACK(answer_globally), library },
		{ SASL_CB_GETCONFPATH, CALLBACK(answer_config_path), NULL },
		{ SASL_CB_VERIFYFILE, CALLBACK(answer_may_use), library },
		{ SASL_CB_LOG, CALLBACK(take_log), library },
		{ SASL_CB_LIST_END, NULL, NULL },
	};

	memcpy(library->callbacks, callbacks, sizeof(callbacks));
	library->options = auth_options_keep(options);
	return library;
}

static void library_release(struct auth_library *library)
{
	auth_options_drop(library->options);
	explicit_bzero(library, sizeof(*library));
	free(library);
}

struct auth_library *auth_library_new(struct auth_options *options, const char **why)
{
	struct auth_library *library = library_alloc(options);

	if (!library) {
		*why = "out of memory";
		return NULL;
	}
	if (sasl_server_init(library->callbacks, "postern") != SASL_OK) {
		*why = "the SASL library cannot be initialised";
		library_release(library);
		return NULL;
	}
	if (options->decides && !make_decoy(library)) {
		*why = "the SASL library takes no store of ours";
		auth_library_free(library);
		return NULL;
	}
	return library;
}

void auth_library_free(struct auth_library *library)
{
	if (!library)
		return;
	sasl_server_done();
	library_release(library);
}

void auth_library_use(struct auth_library *library, struct auth_options *options)
{
	struct auth_options *before = library->options;

	library->options = auth_options_keep(options);
	auth_options_drop(before);
}

bool auth_library_serves(const char *mechanism)
{
	const char **served = sasl_global_listmech();

	for (; served && *served; served++)
		if (strcmp(*served, mechanism) == 0)
			return true;
	return false;
}

bool auth_library_store_is_there(const struct auth_options *options)
{
	const char *path = auth_options_answer(options, "sasldb_path");

	if (!auth_options_has_store(options, "sasldb") || access(path, R_OK) == 0)
		return true;
	log_event(LOG_LEVEL_WARNING, "sasl", "%s: %s", path, strerror(errno));
	return false;
}

struct search {
	const char *name;
	bool found;
};

static void look_at_store(sasl_auxprop_plug_t *store, sasl_info_callback_stage_t stage, void *rock)
{
	struct search *search = rock;

	if (stage == SASL_INFO_LIST_MECH && store->name &&
	    strcasecmp(store->name, search->name) == 0)
		search->found = true;
}

bool auth_library_has_store(const char *name)
{
	struct search search = { name, false };

	auxprop_plugin_info(NULL, look_at_store, &search);
	return search.found;
}
