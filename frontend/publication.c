/* publication - see publication.h. */
#include "frontend/publication.h"
#include <string.h>

static void put_address(struct message_writer *writer, const struct address *address)
{
	message_put_bytes(writer, &address->u, address->len);
}

/* False when it is none that can be connected to. */
static bool get_address(struct message_reader *reader, struct address *out)
{
	size_t len;
	const void *bytes = message_get_bytes(reader, &len);

	memset(out, 0, sizeof(*out));
	if (bytes == NULL || len == 0 || len > sizeof(out->u))
		return false;
	memcpy(&out->u, bytes, len);
	out->len = (socklen_t)len;
	return address_sane(out);
}

void publication_put_pool(struct message_writer *writer, const struct published_pool *pool)
{
	message_put_u32(writer, pool->generation);
	message_put_u32(writer, pool->pool);
	message_put_u8(writer, pool->known);
	message_put_u32(writer, pool->extensions.set);
	message_put_u64(writer, pool->extensions.size);
	message_put_u32(writer, (uint32_t)pool->count);
	for (size_t i = 0; i < pool->count; i++) {
		message_put_u32(writer, pool->targets[i].server);
		message_put_u8(writer, (uint8_t)pool->targets[i].health);
		put_address(writer, &pool->targets[i].address);
	}
}

static bool get_target(struct message_reader *reader, struct published_target *out)
{
	out->server = message_get_u32(reader);
	out->health = (enum health)message_get_u8(reader);
	return get_address(reader, &out->address) && out->health <= HEALTH_DOWN;
}

bool publication_get_pool(struct message_reader *reader, struct published_pool *out)
{
	uint8_t known;
	uint32_t count;

	out->generation = message_get_u32(reader);
	out->pool = message_get_u32(reader);
	known = message_get_u8(reader);
	out->known = known != 0;
	out->extensions.set = message_get_u32(reader);
	out->extensions.size = message_get_u64(reader);
	count = message_get_u32(reader);
	out->count = count;
	if (reader->failed || known > 1 || count > CONFIG_SERVERS_MAX ||
	    (out->extensions.set & ~EXTENSIONS_ALL) != 0)
		return false;
	for (uint32_t i = 0; i < count; i++)
		if (!get_target(reader, &out->targets[i]))
			return false;
	return message_done(reader);
}

void publication_put_suspect(struct message_writer *writer, const struct published_suspect *suspect)
{
	message_put_u32(writer, suspect->generation);
	message_put_u32(writer, suspect->pool);
	put_address(writer, &suspect->address);
}

bool publication_get_suspect(struct message_reader *reader, struct published_suspect *out)
{
	out->generation = message_get_u32(reader);
	out->pool = message_get_u32(reader);
	return get_address(reader, &out->address) && message_done(reader);
}
