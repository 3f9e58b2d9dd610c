/* config_keep - what a reload cannot change keeps the value that it has.
 * Invariants: works by the option table alone (OPTION_RESTART); two values are the same when they encode to the same bytes.
 */
#include "frontend/config_load.h"

#include <string.h>

#define ROW_MAX (1u << 20)

struct keeper {
	struct config *config;
	const struct config *running;
	const char *changed;
};

static void encode(struct message_writer *writer, const struct option *row,
		   const struct config *config)
{
	message_begin(writer, ROW_MAX, 0);
	config_encode_row(writer, row, config);
	message_end(writer, 0);
}

static void add_name(struct keeper *keeper, const char *prefix, const char *name)
{
	const char *comma = keeper->changed[0] != '\0' ? ", " : "";

	keeper->changed = arena_format(keeper->config->arena, "%s%s%s%s", keeper->changed, comma,
				       prefix, name);
}

static void keep_row(struct keeper *keeper, const struct option *row, const char *prefix)
{
	struct message_writer old, new;
	struct message_header header;
	struct message_reader reader;

	encode(&old, row, keeper->running);
	encode(&new, row, keeper->config);
	if (!old.failed && !new.failed &&
	    (old.len != new.len || memcmp(old.data, new.data, old.len) != 0) &&
	    message_peek(old.data, old.len, ROW_MAX, &header) == 1) {
		message_read(&reader, old.data, &header);
		config_decode_row(&reader, row, keeper->config, keeper->config->arena);
		add_name(keeper, prefix, row->name);
	}
	message_writer_cleanup(&old);
	message_writer_cleanup(&new);
}

static void keep_rows(struct keeper *keeper, const struct option *rows, const char *prefix)
{
	char inner[64];

	for (const struct option *row = rows; row->name != NULL; row++) {
		if (row->flags & OPTION_UNAVAILABLE)
			continue;
		if (row->flags & OPTION_RESTART) {
			keep_row(keeper, row, prefix);
		} else if (row->type == OPTION_GROUP) {
			snprintf(inner, sizeof inner, "%s%s.", prefix, row->name);
			keep_rows(keeper, row->rows, inner);
		}
	}
}

const char *config_keep_running(struct config *config, const struct config *running)
{
	struct keeper keeper = { config, running, "" };

	keep_rows(&keeper, option_table, "");
	return keeper.changed;
}
