/* config - load a configuration: read, apply, resolve, check; and free it.
 * Invariants: what config_load() returns has no error in it; on any error nothing is returned and all faults are known.
 */
#include "frontend/config_load.h"

#include <stdlib.h>
#include <string.h>

/* For all names together: longer than a resolver waits for a name server that is dead (5 s) before it asks the next, and
 * shorter than what a service manager's watchdog takes for a hang. */
#define LOOKUP_MILLISECONDS 6000

static struct config *config_new(void)
{
	struct arena *arena = arena_new();
	struct config *config = arena_alloc(arena, sizeof *config);

	config->arena = arena;
	return config;
}

/* The section of a worker must fit into one message; it carries the bytes of all authorities. */
static void check_size(struct config_loader *loader)
{
	struct message_writer writer;

	message_begin(&writer, CONTROL_MESSAGE_MAX, CONTROL_PREPARE);
	message_put_u32(&writer, 0);
	config_encode(&writer, loader->config, CHILD_WORKER);
	if (!message_end(&writer, 0))
		config_error_at(loader, NULL, NULL, "CA files are too large together (over %u MiB)",
				CONTROL_MESSAGE_MAX >> 20);
	message_writer_cleanup(&writer);
}

struct config *config_load(const char *path, struct config_faults *faults)
{
	struct config *config = config_new();
	struct config_loader loader = { .config = config, .faults = faults };
	size_t before = faults->errors;

	loader.scratch = arena_new();
	loader.path = arena_string(config->arena, *path == '\0' ? "." : path);
	option_defaults(option_table, config, config->arena);
	config_read_all(&loader);
	if (!loader.incomplete) { /* otherwise much would seem to be missing */
		config_inherit_clients(&loader);
		config_read_files(&loader);
		config_resolve(&loader, LOOKUP_MILLISECONDS);
		config_check(&loader);
	}
	if (faults->errors == before)
		check_size(&loader);
	arena_free(loader.scratch);
	if (faults->errors == before)
		return config;
	config_free(config);
	return NULL;
}

bool config_server_same_name(const struct config_server *a, const struct config_server *b)
{
	return a->port == b->port && strcmp(a->host, b->host) == 0;
}

void config_free(struct config *config)
{
	if (config != NULL)
		arena_free(config->arena);
}
