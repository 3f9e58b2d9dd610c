/* certificate_message - see certificate_message.h. */
#include "frontend/certificate_message.h"
#include <string.h>
#include <unistd.h>

#define ITEM_LEAST 29 /* octets of an item on the wire, four empty texts without their NUL */

bool certificate_is_token(const char *key)
{
	return strncmp(key, "pkcs11:", 7) == 0;
}

/* ---- the list ---- */

void certificate_put_list(struct message_writer *writer, const struct certificate_list *list)
{
	message_put_u8(writer, (uint8_t)list->mode);
	message_put_u32(writer, list->count);
	for (uint32_t i = 0; i < list->count; i++) {
		const struct certificate_item *item = &list->items[i];

		message_put_u32(writer, item->set);
		message_put_u8(writer, item->is_default);
		message_put_string(writer, item->chain);
		message_put_string(writer, item->key);
		message_put_string(writer, item->staple);
		message_put_string(writer, item->file);
		message_put_u32(writer, item->line);
		message_put_u32(writer, item->same);
	}
}

static bool get_text(struct message_reader *reader, struct arena *arena, const char **out)
{
	*out = arena_string(arena, message_get_string(reader));
	return *out != NULL;
}

static bool get_item(struct message_reader *reader, struct arena *arena,
		     struct certificate_item *out)
{
	uint8_t is_default;

	out->set = message_get_u32(reader);
	is_default = message_get_u8(reader);
	out->is_default = is_default != 0;
	if (is_default > 1 || !get_text(reader, arena, &out->chain) ||
	    !get_text(reader, arena, &out->key) || !get_text(reader, arena, &out->staple) ||
	    !get_text(reader, arena, &out->file))
		return false;
	out->line = message_get_u32(reader);
	out->same = message_get_u32(reader);
	return !reader->failed;
}

bool certificate_get_list(struct message_reader *reader, struct arena *arena,
			  struct certificate_list *out)
{
	uint8_t mode = message_get_u8(reader);

	out->mode = (enum certificate_mode)mode;
	out->count = message_get_u32(reader);
	if (reader->failed || mode >= CERTIFICATE_MODES ||
	    out->count > (reader->len - reader->pos) / ITEM_LEAST)
		return false;
	out->items = arena_array(arena, out->count, sizeof(*out->items));
	for (uint32_t i = 0; i < out->count; i++)
		if (!get_item(reader, arena, &out->items[i]))
			return false;
	return message_done(reader);
}

/* ---- asking for files, and getting them ---- */

void certificate_put_want(struct message_writer *writer, uint32_t index)
{
	message_put_u32(writer, index);
}

bool certificate_get_want(struct message_reader *reader, uint32_t *index)
{
	*index = message_get_u32(reader);
	return message_done(reader);
}

size_t certificate_put_files(struct message_writer *writer, const struct certificate_files *files,
			     int fds[CERTIFICATE_PARTS])
{
	uint8_t which = 0;
	size_t count = 0;

	for (int part = 0; part < CERTIFICATE_PARTS; part++) {
		if (files->fds[part] < 0)
			continue;
		which |= (uint8_t)(1u << part);
		fds[count++] = files->fds[part];
	}
	message_put_u32(writer, files->index);
	message_put_u8(writer, which);
	for (int part = 0; part < CERTIFICATE_PARTS; part++)
		message_put_string(writer, files->why[part]);
	message_put_string(writer, files->token);
	return count;
}

bool certificate_get_files(struct message_reader *reader, int *fds, size_t nfds,
			   struct certificate_files *out)
{
	uint8_t which;
	size_t count = 0;

	out->index = message_get_u32(reader);
	which = message_get_u8(reader);
	for (int part = 0; part < CERTIFICATE_PARTS; part++) {
		out->fds[part] = -1;
		out->why[part] = message_get_string(reader);
		count += (which >> part) & 1;
	}
	out->token = message_get_string(reader);
	if (!message_done(reader) || which >= 1u << CERTIFICATE_PARTS || count != nfds)
		return false;
	for (int part = 0; part < CERTIFICATE_PARTS; part++) {
		if (!(which >> part & 1))
			continue;
		out->fds[part] = *fds;
		*fds++ = -1;
	}
	return true;
}

void certificate_files_close(struct certificate_files *files)
{
	for (int part = 0; part < CERTIFICATE_PARTS; part++) {
		if (files->fds[part] >= 0)
			close(files->fds[part]);
		files->fds[part] = -1;
	}
}
