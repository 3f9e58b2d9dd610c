/* auth_check - see auth_check.h. With the backend as judge there is nothing to ask: PLAIN and LOGIN are looked for all the same. */
#include "auth/auth_check.h"
#include "auth/auth_sasl_library.h"
#include <stdlib.h>
#include <string.h>

struct auth_sasl_settings auth_settings_of(const struct config *config, struct auth_option *options)
{
	const struct config_map *map = &config->auth.sasl;

	for (size_t i = 0; options && i < map->count; i++)
		options[i] = (struct auth_option) { map->items[i].name, map->items[i].value };
	return (struct auth_sasl_settings) {
		.hostname = config->hostname,
		.mechanisms = config->auth.mechanisms.items,
		.decides = config->auth.source == AUTH_SOURCE_SASL,
		.options = options,
		.option_count = map->count,
	};
}

static void check_mechanisms(const struct config *config, struct config_faults *faults)
{
	const struct config_source *place = &config->auth.place;

	for (const char *const *name = (const char *const *)config->auth.mechanisms.items; *name;
	     name++)
		if (!auth_library_serves(*name))
			config_fault(faults, false, place->file, place->line,
				     "auth.mechanisms: no installed plugin of Cyrus SASL serves "
				     "\"%s\"",
				     *name);
}

static void check_stores(const struct config_named *list, struct config_faults *faults)
{
	struct span rest = span_of(list->value), word;
	char name[64];

	while ((word = span_word(&rest)).len > 0) {
		snprintf(name, sizeof(name), "%.*s", (int)word.len, word.data);
		if (!auth_library_has_store(name))
			config_fault(faults, false, list->source.file, list->source.line,
				     "auth.sasl: auxprop_plugin \"%s\" is not installed, or does "
				     "not take its options",
				     name);
	}
}

void auth_check(const struct config *config, struct config_faults *faults)
{
	struct auth_option *list = calloc(config->auth.sasl.count + 1, sizeof(*list));
	const struct auth_sasl_settings settings = auth_settings_of(config, list);
	struct auth_options *options = list ? auth_options_new(&settings) : NULL;
	const char *why = "out of memory";
	struct auth_library *library = options ? auth_library_new(options, &why) : NULL;

	if (library) {
		check_mechanisms(config, faults);
		for (size_t i = 0; i < config->auth.sasl.count; i++)
			if (strcmp(config->auth.sasl.items[i].name, "auxprop_plugin") == 0)
				check_stores(&config->auth.sasl.items[i], faults);
	} else {
		config_fault(faults, false, config->auth.place.file, config->auth.place.line, "%s",
			     why);
	}
	auth_library_free(library);
	auth_options_drop(options);
	free(list);
}
