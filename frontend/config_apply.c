/* config_apply - the option table laid over a libconfig tree: defaults, unknown keys, types, ranges.
 * Invariants: every fault is reported, with the line of its value; a value with a fault leaves the default in place; an item
 * with a fault in it is marked as doubtful.
 */
#include "frontend/config_load.h"

#include <assert.h>
#include <libconfig.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct cursor {
	struct config_loader *loader;
	const char *file;
};

static void apply_group(struct cursor *, const struct option *rows, void *base,
			config_setting_t *group);

__attribute__((format(printf, 3, 4))) static void
fault(struct cursor *cursor, const config_setting_t *at, const char *format, ...)
{
	va_list args;
	char *text = NULL;
	int line = (int)config_setting_source_line(at);

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		abort();
	va_end(args);
	config_fault(cursor->loader->faults, false, cursor->file, line, "%s", text);
	free(text);
}

static struct config_source place_of(const struct cursor *cursor, const config_setting_t *setting)
{
	return (struct config_source) { cursor->file, (int)config_setting_source_line(setting) };
}

static void *field_of(const struct option *row, void *base)
{
	return (char *)base + row->offset;
}

/* ---- defaults ---- */

static void default_strings(const char *text, struct arena *arena, struct config_strings *out)
{
	char *copy = arena_string(arena, text == NULL ? "" : text), *rest = NULL;

	out->items = arena_array(arena, strlen(copy) / 2 + 2, sizeof *out->items);
	for (char *word = strtok_r(copy, " ", &rest); word != NULL;
	     word = strtok_r(NULL, " ", &rest))
		out->items[out->count++] = word;
}

void option_defaults(const struct option *rows, void *base, struct arena *arena)
{
	for (const struct option *row = rows; row->name != NULL; row++) {
		void *field = field_of(row, base);

		if (row->flags & OPTION_UNAVAILABLE)
			continue;
		switch (row->type) {
		case OPTION_STRING:
		case OPTION_PATH:
			*(const char **)field = arena_string(arena, row->text);
			break;
		case OPTION_INT:
		case OPTION_WORD:
			*(int *)field = row->number;
			break;
		case OPTION_BOOL:
			*(bool *)field = row->number != 0;
			break;
		case OPTION_STRINGS:
			default_strings(row->text, arena, field);
			break;
		case OPTION_GROUP:
			option_defaults(row->rows, base, arena);
			break;
		default:
			break; /* zero as it is */
		}
	}
}

/* ---- scalars ---- */

/* The string of a setting within the bounds of its row, or NULL after a fault. */
static const char *string_value(struct cursor *cursor, const struct option *row,
				const config_setting_t *setting)
{
	const char *text;

	if (config_setting_type(setting) != CONFIG_TYPE_STRING) {
		fault(cursor, setting, "\"%s\" must be a string", row->name);
		return NULL;
	}
	text = config_setting_get_string(setting);
	if (strlen(text) < (size_t)row->min)
		fault(cursor, setting, "\"%s\" must not be empty", row->name);
	else if (strlen(text) > (size_t)row->max)
		fault(cursor, setting, "\"%s\" is longer than %d characters", row->name, row->max);
	else
		return text;
	return NULL;
}

/* "a", "b" or "c" */
static char *word_list(struct arena *arena, const struct option_word *words)
{
	char *list = arena_string(arena, "");

	for (const struct option_word *word = words; word->name != NULL; word++) {
		const char *comma = ", ";

		if (word->unavailable)
			continue;
		if (word == words)
			comma = "";
		else if (word[1].name == NULL || word[1].unavailable)
			comma = " or ";
		list = arena_format(arena, "%s%s\"%s\"", list, comma, word->name);
	}
	return list;
}

static const struct option_word *word_find(const struct option_word *words, const char *name)
{
	for (; words != NULL && words->name != NULL; words++)
		if (strcmp(words->name, name) == 0)
			return words;
	return NULL;
}

/* The word that stands in place of a path: alone, or before ":" and a path of its own. */
static const struct option_word *path_word(const struct option_word *words, const char *text)
{
	for (; words != NULL && words->name != NULL; words++) {
		size_t len = strlen(words->name);

		if (strncmp(words->name, text, len) == 0 &&
		    ((text[len] == '\0' && words->value != OPTION_WORD_PREFIX) ||
		     (text[len] == ':' && words->value != OPTION_WORD_ALONE)))
			return words;
	}
	return NULL;
}

static void apply_word(struct cursor *cursor, const struct option *row, int *field,
		       const config_setting_t *setting)
{
	const char *list = word_list(cursor->loader->scratch, row->words);
	const struct option_word *word;
	const char *text;

	if (config_setting_type(setting) != CONFIG_TYPE_STRING) {
		fault(cursor, setting, "\"%s\" must be %s", row->name, list);
		return;
	}
	text = config_setting_get_string(setting);
	word = word_find(row->words, text);
	if (word != NULL && !word->unavailable)
		*field = word->value;
	else if (word != NULL)
		fault(cursor, setting, "%s = \"%s\" is not available in this version (use %s)",
		      row->name, text, list);
	else
		fault(cursor, setting, "\"%s\" must be %s, not \"%s\"", row->name, list, text);
}

static void apply_int(struct cursor *cursor, const struct option *row, int *field,
		      const config_setting_t *setting)
{
	int type = config_setting_type(setting);
	long long value;

	if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64) {
		fault(cursor, setting, "\"%s\" must be a whole number", row->name);
		return;
	}
	value = type == CONFIG_TYPE_INT ? config_setting_get_int(setting)
					: config_setting_get_int64(setting);
	if (value >= row->min && value <= row->max)
		*field = (int)value;
	else if (!loader_cut(cursor->loader, (int)config_setting_source_line(setting)))
		fault(cursor, setting, "\"%s\" must be between %d and %d, not %lld", row->name,
		      row->min, row->max, value);
}

static void apply_bool(struct cursor *cursor, const struct option *row, bool *field,
		       const config_setting_t *setting)
{
	if (config_setting_type(setting) != CONFIG_TYPE_BOOL)
		fault(cursor, setting, "\"%s\" must be true or false", row->name);
	else
		*field = config_setting_get_bool(setting) != 0;
}

static void apply_path(struct cursor *cursor, const struct option *row, const char **field,
		       const config_setting_t *setting)
{
	struct arena *arena = cursor->loader->config->arena;
	const char *text = string_value(cursor, row, setting);
	const char *slash = strrchr(cursor->file, '/');
	const struct option_word *word;

	if (text == NULL)
		return;
	word = path_word(row->words, text);
	if (word != NULL && word->unavailable)
		fault(cursor, setting, "%s = \"%s\" is not available in this version", row->name,
		      text);
	else if (word != NULL || text[0] == '/' || slash == NULL)
		*field = arena_string(arena, text);
	else
		*field = arena_format(arena, "%.*s%s", (int)(slash + 1 - cursor->file),
				      cursor->file, text);
}

/* ---- lists ---- */

static bool is_list(const config_setting_t *setting)
{
	int type = config_setting_type(setting);

	return type == CONFIG_TYPE_LIST || type == CONFIG_TYPE_ARRAY;
}

/* Whether the setting is a list of an allowed length. */
static bool list_fits(struct cursor *cursor, const struct option *row,
		      const config_setting_t *setting, const char *what)
{
	int count;

	if (!is_list(setting)) {
		fault(cursor, setting, "\"%s\" must be a list of %s: ( ... )", row->name, what);
		return false;
	}
	count = config_setting_length(setting);
	if (count >= row->min && count <= row->max)
		return true;
	fault(cursor, setting, "\"%s\" must have %d to %d entries, not %d", row->name, row->min,
	      row->max, count);
	return false;
}

/* An entry of a list of strings, or NULL after a fault. */
static const char *entry_value(struct cursor *cursor, const struct option *list,
			       const config_setting_t *entry)
{
	struct option row = { .name = list->name, .min = 1, .max = 255 };

	return string_value(cursor, &row, entry);
}

static void apply_strings(struct cursor *cursor, const struct option *row,
			  struct config_strings *field, config_setting_t *setting)
{
	struct arena *arena = cursor->loader->config->arena;
	unsigned count;

	if (!list_fits(cursor, row, setting, "strings"))
		return;
	count = (unsigned)config_setting_length(setting);
	field->items = arena_array(arena, count + 1, sizeof *field->items);
	field->count = 0;
	for (unsigned i = 0; i < count; i++) {
		const config_setting_t *entry = config_setting_get_elem(setting, i);
		const char *text = entry_value(cursor, row, entry);

		if (text == NULL)
			continue;
		place_add(cursor->loader, &field->items[field->count], place_of(cursor, entry));
		field->items[field->count++] = arena_string(arena, text);
	}
}

static void apply_networks(struct cursor *cursor, const struct option *row,
			   struct config_networks *field, config_setting_t *setting)
{
	unsigned count;

	if (!list_fits(cursor, row, setting, "networks"))
		return;
	count = (unsigned)config_setting_length(setting);
	field->items = arena_array(cursor->loader->config->arena, count + 1, sizeof *field->items);
	field->count = 0;
	for (unsigned i = 0; i < count; i++) {
		const config_setting_t *entry = config_setting_get_elem(setting, i);
		const char *text = entry_value(cursor, row, entry), *why = NULL;

		if (text != NULL)
			why = network_parse(text, &field->items[field->count]);
		if (why != NULL)
			fault(cursor, entry, "\"%s\": \"%s\" %s", row->name, text, why);
		else if (text != NULL)
			field->count++;
	}
}

static void apply_item(struct cursor *cursor, const struct option *row, void *item,
		       config_setting_t *setting)
{
	size_t before = cursor->loader->faults->errors;

	*(struct config_source *)item = place_of(cursor, setting); /* its first field */
	option_defaults(row->rows, item, cursor->loader->config->arena);
	if (config_setting_type(setting) == CONFIG_TYPE_GROUP)
		apply_group(cursor, row->rows, item, setting);
	else
		fault(cursor, setting, "each entry of \"%s\" must be a group: { ... }", row->name);
	if (cursor->loader->faults->errors > before)
		doubt_add(cursor->loader, item);
}

static void apply_list(struct cursor *cursor, const struct option *row, struct option_array *field,
		       config_setting_t *setting)
{
	if (!list_fits(cursor, row, setting, "groups"))
		return;
	field->count = (size_t)config_setting_length(setting);
	field->items = arena_array(cursor->loader->config->arena, field->count + 1, row->size);
	for (size_t i = 0; i < field->count; i++)
		apply_item(cursor, row, (char *)field->items + i * row->size,
			   config_setting_get_elem(setting, (unsigned)i));
}

/* ---- free options ---- */

/* As the library that reads it will see it; NULL after a fault. */
static const char *map_value(struct cursor *cursor, const config_setting_t *setting)
{
	struct arena *arena = cursor->loader->config->arena;
	const struct option row = { .name = config_setting_name(setting), .max = 4096 };
	const char *text;

	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_INT:
		return arena_format(arena, "%d", config_setting_get_int(setting));
	case CONFIG_TYPE_INT64:
		return arena_format(arena, "%lld", config_setting_get_int64(setting));
	case CONFIG_TYPE_BOOL:
		return config_setting_get_bool(setting) ? "yes" : "no";
	case CONFIG_TYPE_STRING:
		text = string_value(cursor, &row, setting);
		return text ? arena_string(arena, text) : NULL;
	default:
		fault(cursor, setting, "\"%s\" must be a string, a number, true or false",
		      row.name);
		return NULL;
	}
}

static void apply_map(struct cursor *cursor, const struct option *row, struct config_map *field,
		      config_setting_t *group)
{
	struct arena *arena = cursor->loader->config->arena;
	int count = config_setting_length(group);

	if (config_setting_type(group) != CONFIG_TYPE_GROUP) {
		fault(cursor, group, "\"%s\" must be a group: { ... }", row->name);
		return;
	}
	if (count > row->max) {
		fault(cursor, group, "\"%s\" must have at most %d entries, not %d", row->name,
		      row->max, count);
		return;
	}
	field->items = arena_array(arena, (size_t)count + 1, sizeof *field->items);
	field->count = 0;
	for (int i = 0; i < count; i++) {
		const config_setting_t *setting = config_setting_get_elem(group, (unsigned)i);
		const char *value = map_value(cursor, setting);

		if (value == NULL)
			continue;
		field->items[field->count++] = (struct config_named) {
			.source = place_of(cursor, setting),
			.name = arena_string(arena, config_setting_name(setting)),
			.value = value,
		};
	}
}

/* ---- groups ---- */

static void apply_setting(struct cursor *cursor, const struct option *row, void *base,
			  config_setting_t *setting)
{
	void *field = field_of(row, base);

	if (row->type != OPTION_GROUP) /* has no field of its own */
		place_add(cursor->loader, field, place_of(cursor, setting));
	switch (row->type) {
	case OPTION_STRING: {
		const char *text = string_value(cursor, row, setting);

		if (text != NULL)
			*(const char **)field = arena_string(cursor->loader->config->arena, text);
		break;
	}
	case OPTION_PATH:
		apply_path(cursor, row, field, setting);
		break;
	case OPTION_INT:
		apply_int(cursor, row, field, setting);
		break;
	case OPTION_BOOL:
		apply_bool(cursor, row, field, setting);
		break;
	case OPTION_WORD:
		apply_word(cursor, row, field, setting);
		break;
	case OPTION_STRINGS:
		apply_strings(cursor, row, field, setting);
		break;
	case OPTION_NETWORKS:
		apply_networks(cursor, row, field, setting);
		break;
	case OPTION_LIST:
		apply_list(cursor, row, field, setting);
		break;
	case OPTION_MAP:
		apply_map(cursor, row, field, setting);
		break;
	case OPTION_GROUP:
		if (config_setting_type(setting) == CONFIG_TYPE_GROUP)
			apply_group(cursor, row->rows, base, setting);
		else
			fault(cursor, setting, "\"%s\" must be a group: { ... }", row->name);
		break;
	default:
		assert(!"an internal option is never looked up");
	}
}

static const struct option *row_find(const struct option *rows, const char *name)
{
	for (const struct option *row = rows; row->name != NULL; row++)
		if (!(row->flags & OPTION_INTERNAL) && strcmp(row->name, name) == 0)
			return row;
	return NULL;
}

/* A top-level setting may stand in one file only. */
static bool set_elsewhere(struct cursor *cursor, const struct option *row,
			  const config_setting_t *setting)
{
	struct config_source *place = &cursor->loader->top[row - option_table];

	assert(row - option_table < CONFIG_TOP_MAX);
	if (place->file != NULL) {
		fault(cursor, setting, "\"%s\" is set already at %s:%d", row->name, place->file,
		      place->line);
		return true;
	}
	*place = place_of(cursor, setting);
	return false;
}

static void apply_group(struct cursor *cursor, const struct option *rows, void *base,
			config_setting_t *group)
{
	for (int i = 0; i < config_setting_length(group); i++) {
		config_setting_t *setting = config_setting_get_elem(group, (unsigned)i);
		const char *name = config_setting_name(setting);
		const struct option *row = row_find(rows, name);

		if (row == NULL)
			fault(cursor, setting, "unknown option \"%s\"", name);
		else if (row->flags & OPTION_UNAVAILABLE)
			fault(cursor, setting, "\"%s\" is not available in this version", name);
		else if (rows != option_table || !set_elsewhere(cursor, row, setting))
			apply_setting(cursor, row, base, setting);
	}
	for (const struct option *row = rows; row->name != NULL; row++)
		if ((row->flags & OPTION_REQUIRED) &&
		    config_setting_get_member(group, row->name) == NULL)
			fault(cursor, group, "\"%s\" is missing here", row->name);
}

void config_apply(struct config_loader *loader, config_setting_t *root, const char *file)
{
	struct cursor cursor = { loader, file };

	apply_group(&cursor, option_table, loader->config, root);
}
