/* config_codec - a child's section of the configuration as fields of a message, by the option table.
 * Invariants: only rows of the child's section are written, so an authentication process hears of no server;
 * bytes that several values share travel once; whatever is decoded has its type, range and number checked again.
 */
#include "frontend/arena.h"
#include "frontend/config_load.h"

#include <string.h>

/* Bytes that have travelled already: known by their number from then on. */
struct seen {
	struct seen *next;
	struct config_blob blob;
	uint32_t number; /* from 1 */
};

struct encoder {
	struct message_writer *writer;
	struct arena *scratch;
	struct seen *seen;
	unsigned section;
};

struct decoder {
	struct message_reader *reader;
	struct arena *arena;   /* of the configuration */
	struct arena *scratch; /* as long as the decoder */
	struct seen *seen;
	unsigned section;
	bool malformed;
};

static unsigned section_of(enum child_kind kind)
{
	switch (kind) {
	case CHILD_AUTH:
		return SECTION_AUTH;
	case CHILD_KEEPER:
		return SECTION_KEEPER;
	case CHILD_TOKEN:
		return SECTION_TOKEN;
	case CHILD_MONITOR:
		return SECTION_MONITOR;
	case CHILD_CHECKER:
		return SECTION_WORKER | SECTION_AUTH | SECTION_KEEPER;
	default:
		return SECTION_WORKER | SECTION_LOGIN;
	}
}

/* `section` 0: every row, for the supervisor itself. */
static bool row_travels(const struct option *row, unsigned section)
{
	return (section == 0 || (row->sections & section) != 0) &&
	       !(row->flags & OPTION_UNAVAILABLE);
}

/* ---- encode ---- */

static void encode_rows(struct encoder *, const struct option *rows, const void *base);

static void encode_strings(struct encoder *e, const struct config_strings *strings)
{
	message_put_u32(e->writer, (uint32_t)strings->count);
	for (size_t i = 0; i < strings->count; i++)
		message_put_string(e->writer, strings->items[i]);
}

static void encode_networks(struct encoder *e, const struct config_networks *networks)
{
	message_put_u32(e->writer, (uint32_t)networks->count);
	for (size_t i = 0; i < networks->count; i++) {
		const struct config_network *network = &networks->items[i];

		message_put_u8(e->writer, network->family);
		message_put_u8(e->writer, network->prefix);
		message_put_bytes(e->writer, network->bytes, sizeof network->bytes);
	}
}

static void encode_blob(struct encoder *e, const struct config_blob *blob)
{
	struct seen *seen = e->seen;

	if (blob->data == NULL) {
		message_put_u32(e->writer, 0);
		return;
	}
	while (seen != NULL && seen->blob.data != blob->data)
		seen = seen->next;
	if (seen != NULL) {
		message_put_u32(e->writer, seen->number);
		return;
	}
	seen = arena_alloc(e->scratch, sizeof *seen);
	*seen = (struct seen) { e->seen, *blob, e->seen == NULL ? 1 : e->seen->number + 1 };
	e->seen = seen;
	message_put_u32(e->writer, seen->number);
	message_put_bytes(e->writer, blob->data, blob->len);
}

static void encode_list(struct encoder *e, const struct option *row,
			const struct option_array *list)
{
	message_put_u32(e->writer, (uint32_t)list->count);
	for (size_t i = 0; i < list->count; i++)
		encode_rows(e, row->rows, (const char *)list->items + i * row->size);
}

static void encode_source(struct encoder *e, const struct config_source *source)
{
	message_put_string(e->writer, source->file);
	message_put_u32(e->writer, (uint32_t)source->line);
}

static void encode_map(struct encoder *e, const struct config_map *map)
{
	message_put_u32(e->writer, (uint32_t)map->count);
	for (size_t i = 0; i < map->count; i++) {
		encode_source(e, &map->items[i].source);
		message_put_string(e->writer, map->items[i].name);
		message_put_string(e->writer, map->items[i].value);
	}
}

static void encode_row(struct encoder *e, const struct option *row, const void *base)
{
	const void *field = (const char *)base + row->offset;
	const struct address *address = field;

	switch (row->type) {
	case OPTION_STRING:
	case OPTION_PATH:
		message_put_string(e->writer, *(const char *const *)field);
		break;
	case OPTION_INT:
	case OPTION_WORD:
		message_put_u32(e->writer, (uint32_t) * (const int *)field);
		break;
	case OPTION_BOOL:
		message_put_u8(e->writer, *(const bool *)field);
		break;
	case OPTION_STRINGS:
		encode_strings(e, field);
		break;
	case OPTION_NETWORKS:
		encode_networks(e, field);
		break;
	case OPTION_GROUP:
		encode_rows(e, row->rows, base);
		break;
	case OPTION_LIST:
		encode_list(e, row, field);
		break;
	case OPTION_MAP:
		encode_map(e, field);
		break;
	case OPTION_SOURCE:
		encode_source(e, field);
		break;
	case OPTION_BLOB:
		encode_blob(e, field);
		break;
	case OPTION_ADDRESS:
		message_put_bytes(e->writer, &address->u, address->len);
		break;
	}
}

static void encode_rows(struct encoder *e, const struct option *rows, const void *base)
{
	for (const struct option *row = rows; row->name != NULL; row++)
		if (row_travels(row, e->section))
			encode_row(e, row, base);
}

void config_encode(struct message_writer *writer, const struct config *config, enum child_kind kind)
{
	struct encoder e = { .writer = writer, .section = section_of(kind) };

	e.scratch = arena_new();
	encode_rows(&e, option_table, config);
	arena_free(e.scratch);
}

void config_encode_row(struct message_writer *writer, const struct option *row, const void *base)
{
	struct encoder e = { .writer = writer };

	e.scratch = arena_new();
	encode_row(&e, row, base);
	arena_free(e.scratch);
}

/* ---- decode ---- */

static void decode_rows(struct decoder *, const struct option *rows, void *base);

/* A value that is never missing once the configuration was checked. */
static bool row_always_set(const struct option *row)
{
	return (row->flags & OPTION_REQUIRED) || row->text != NULL;
}

/* A count of entries of at least one byte each, within the bounds of the row; 0 when malformed. */
static size_t decode_count(struct decoder *d, const struct option *row)
{
	uint32_t count = message_get_u32(d->reader);
	uint32_t least = row_always_set(row) ? (uint32_t)row->min : 0;

	if (count <= (uint32_t)row->max && count >= least &&
	    count <= d->reader->len - d->reader->pos)
		return count;
	d->malformed = true;
	return 0;
}

static const char *decode_string(struct decoder *d, bool needed)
{
	const char *text = message_get_string(d->reader);

	if (text == NULL && needed)
		d->malformed = true;
	return arena_string(d->arena, text);
}

static int decode_int(struct decoder *d, const struct option *row)
{
	int value = (int)message_get_u32(d->reader);

	if ((value < row->min || value > row->max) && value != row->number)
		d->malformed = true;
	return value;
}

static int decode_word(struct decoder *d, const struct option *row)
{
	int value = (int)message_get_u32(d->reader);

	for (const struct option_word *word = row->words; word->name != NULL; word++)
		if (word->value == value && !word->unavailable)
			return value;
	d->malformed = true;
	return 0;
}

static bool decode_bool(struct decoder *d)
{
	uint8_t value = message_get_u8(d->reader);

	d->malformed = d->malformed || value > 1;
	return value != 0;
}

static void decode_strings(struct decoder *d, const struct option *row, struct config_strings *out)
{
	size_t count = decode_count(d, row);

	out->items = arena_array(d->arena, count + 1, sizeof *out->items);
	out->count = count;
	for (size_t i = 0; i < count; i++)
		out->items[i] = decode_string(d, true);
}

static void decode_network(struct decoder *d, struct config_network *out)
{
	size_t len;
	const void *bytes;

	out->family = message_get_u8(d->reader);
	out->prefix = message_get_u8(d->reader);
	bytes = message_get_bytes(d->reader, &len);
	if (bytes == NULL || len != sizeof out->bytes ||
	    (out->family != AF_INET && out->family != AF_INET6) ||
	    out->prefix > (out->family == AF_INET ? 32 : 128))
		d->malformed = true;
	else
		memcpy(out->bytes, bytes, len);
}

static void decode_networks(struct decoder *d, const struct option *row,
			    struct config_networks *out)
{
	size_t count = decode_count(d, row);

	out->items = arena_array(d->arena, count + 1, sizeof *out->items);
	out->count = count;
	for (size_t i = 0; i < count && !d->malformed; i++)
		decode_network(d, &out->items[i]);
}

static void decode_blob(struct decoder *d, struct config_blob *out)
{
	uint32_t number = message_get_u32(d->reader);
	uint32_t known = d->seen == NULL ? 0 : d->seen->number;
	struct seen *seen = d->seen;
	const void *bytes;

	if (number == 0)
		return;
	while (seen != NULL && seen->number != number)
		seen = seen->next;
	if (seen != NULL) {
		*out = seen->blob;
		return;
	}
	bytes = message_get_bytes(d->reader, &out->len);
	if (bytes == NULL || number != known + 1) {
		d->malformed = true;
		out->len = 0;
		return;
	}
	out->data = (const uint8_t *)arena_copy(d->arena, bytes, out->len);
	seen = arena_alloc(d->scratch, sizeof *seen);
	*seen = (struct seen) { d->seen, *out, number };
	d->seen = seen;
}

static void decode_address(struct decoder *d, struct address *out)
{
	size_t len;
	const void *bytes = message_get_bytes(d->reader, &len);

	if (bytes == NULL || len > sizeof out->u) {
		d->malformed = true;
		return;
	}
	memcpy(&out->u, bytes, len);
	out->len = (socklen_t)len;
	d->malformed = d->malformed || !address_sane(out);
}

static void decode_list(struct decoder *d, const struct option *row, struct option_array *out)
{
	size_t count = decode_count(d, row);

	out->items = arena_array(d->arena, count + 1, row->size);
	out->count = count;
	for (size_t i = 0; i < count && !d->malformed && !d->reader->failed; i++)
		decode_rows(d, row->rows, (char *)out->items + i * row->size);
}

static void decode_source(struct decoder *d, struct config_source *out)
{
	out->file = decode_string(d, true);
	out->line = (int)message_get_u32(d->reader);
}

static void decode_map(struct decoder *d, const struct option *row, struct config_map *out)
{
	size_t count = decode_count(d, row);

	out->items = arena_array(d->arena, count + 1, sizeof *out->items);
	out->count = count;
	for (size_t i = 0; i < count && !d->malformed && !d->reader->failed; i++) {
		decode_source(d, &out->items[i].source);
		out->items[i].name = decode_string(d, true);
		out->items[i].value = decode_string(d, true);
	}
}

static void decode_row(struct decoder *d, const struct option *row, void *base)
{
	void *field = (char *)base + row->offset;

	switch (row->type) {
	case OPTION_STRING:
	case OPTION_PATH:
		*(const char **)field = decode_string(d, row_always_set(row));
		break;
	case OPTION_INT:
		*(int *)field = decode_int(d, row);
		break;
	case OPTION_WORD:
		*(int *)field = decode_word(d, row);
		break;
	case OPTION_BOOL:
		*(bool *)field = decode_bool(d);
		break;
	case OPTION_STRINGS:
		decode_strings(d, row, field);
		break;
	case OPTION_NETWORKS:
		decode_networks(d, row, field);
		break;
	case OPTION_GROUP:
		decode_rows(d, row->rows, base);
		break;
	case OPTION_LIST:
		decode_list(d, row, field);
		break;
	case OPTION_MAP:
		decode_map(d, row, field);
		break;
	case OPTION_SOURCE:
		decode_source(d, field);
		break;
	case OPTION_BLOB:
		decode_blob(d, field);
		break;
	case OPTION_ADDRESS:
		decode_address(d, field);
		break;
	}
}

static void decode_rows(struct decoder *d, const struct option *rows, void *base)
{
	for (const struct option *row = rows; row->name != NULL; row++)
		if (row_travels(row, d->section) && !d->malformed && !d->reader->failed)
			decode_row(d, row, base);
}

bool config_decode_row(struct message_reader *reader, const struct option *row, void *base,
		       struct arena *arena)
{
	struct decoder d = { .reader = reader, .arena = arena };

	d.scratch = arena_new();
	decode_row(&d, row, base);
	arena_free(d.scratch);
	return !d.malformed && message_done(reader);
}

/* What is relied on beyond single values: routes to pools that exist. */
static bool routes_sane(const struct config *config)
{
	if (config->pools.count == 0 || config->routes.count == 0)
		return false;
	for (size_t i = 0; i < config->routes.count; i++)
		for (int protocol = 0; protocol < PROTOCOLS; protocol++) {
			int pool = config->routes.items[i].pools[protocol];

			if (pool >= 0 && (size_t)pool >= config->pools.count)
				return false;
		}
	return true;
}

struct config *config_decode(struct message_reader *reader, enum child_kind kind)
{
	struct arena *arena = arena_new();
	struct config *config = arena_alloc(arena, sizeof *config);
	struct decoder d = { .reader = reader, .arena = arena, .section = section_of(kind) };

	config->arena = arena;
	d.scratch = arena_new();
	decode_rows(&d, option_table, config);
	arena_free(d.scratch);
	if (!d.malformed && !reader->failed &&
	    (!(d.section & (SECTION_WORKER | SECTION_MONITOR)) || routes_sane(config)) &&
	    (!(d.section & SECTION_WORKER) || config->listeners.count > 0))
		return config;
	config_free(config);
	return NULL;
}
