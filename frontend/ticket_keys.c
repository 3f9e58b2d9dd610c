/* ticket_keys - see ticket_keys.h. */
#include "frontend/ticket_keys.h"
#include "frontend/ticket_seal.h"
#include <stdio.h>

#define HEADER_LEN  6 /* u8 from_file, u32 wait, u8 which places follow */
#define LINE_LEN    64
#define LINE_OCTETS (TICKET_NAME_LEN + TICKET_SECRET_LEN)

_Static_assert(sizeof(struct ticket_key) == LINE_OCTETS, "a key is its octets");
_Static_assert(HEADER_LEN + TICKET_PLACES * LINE_OCTETS <= TICKET_BODY_MAX, "a body holds them");

static bool is_there(const struct ticket_key *key)
{
	static const struct ticket_key none;

	return memcmp(key->name, none.name, TICKET_NAME_LEN) != 0;
}

void ticket_keys_wipe(struct ticket_keys *keys)
{
	explicit_bzero(keys, sizeof(*keys));
}

static bool make(struct ticket_key *key, ticket_random random)
{
	return random(key, sizeof(*key)) && is_there(key);
}

static bool turn_once(struct ticket_keys *keys, ticket_random random)
{
	keys->keys[TICKET_PREVIOUS] = keys->keys[TICKET_CURRENT];
	keys->keys[TICKET_CURRENT] = keys->keys[TICKET_NEXT];
	return make(&keys->keys[TICKET_NEXT], random);
}

/* Rotations are at multiples of `rotate`, so they stay where they are when a keeper dies. */
static int64_t next_turn(int64_t now, int rotate)
{
	return (now / rotate + 1) * rotate;
}

bool ticket_keys_turn(struct ticket_keys *keys, int64_t now, int rotate, ticket_random random)
{
	bool fine = true;
	int64_t due = 0;

	if (keys->from_file)
		ticket_keys_wipe(keys);
	if (!is_there(&keys->keys[TICKET_CURRENT]))
		fine = make(&keys->keys[TICKET_CURRENT], random) &&
		       make(&keys->keys[TICKET_NEXT], random);
	else if (now >= keys->turn)
		due = 1 + (now - keys->turn) / rotate;
	for (int64_t i = 0; i < due && i < TICKET_PLACES && fine; i++)
		fine = turn_once(keys, random);
	keys->turn = next_turn(now, rotate);
	if (!fine)
		ticket_keys_wipe(keys);
	return fine;
}

const struct ticket_key *ticket_keys_find(const struct ticket_keys *keys,
					  const uint8_t name[TICKET_NAME_LEN])
{
	for (unsigned i = 0; i < TICKET_PLACES; i++)
		if (is_there(&keys->keys[i]) &&
		    memcmp(keys->keys[i].name, name, TICKET_NAME_LEN) == 0)
			return &keys->keys[i];
	return NULL;
}

const struct ticket_key *ticket_keys_sealing(const struct ticket_keys *keys)
{
	return is_there(&keys->keys[TICKET_CURRENT]) ? &keys->keys[TICKET_CURRENT] : NULL;
}

unsigned ticket_keys_count(const struct ticket_keys *keys)
{
	unsigned count = 0;

	for (unsigned i = 0; i < TICKET_PLACES; i++)
		count += is_there(&keys->keys[i]);
	return count;
}

void ticket_keys_take(struct ticket_keys *held, const struct ticket_keys *fresh)
{
	static const enum ticket_place order[] = { TICKET_CURRENT, TICKET_PREVIOUS };
	struct ticket_keys taken = *fresh;
	bool keeps = !held->from_file && !fresh->from_file;

	for (unsigned i = 0; i < 2 && keeps && !is_there(&taken.keys[TICKET_PREVIOUS]); i++) {
		const struct ticket_key *old = &held->keys[order[i]];

		if (is_there(old) && ticket_keys_find(fresh, old->name) == NULL)
			taken.keys[TICKET_PREVIOUS] = *old;
	}
	ticket_keys_wipe(held);
	*held = taken;
	ticket_keys_wipe(&taken);
}

/* ---- between keeper and worker -------------------------------------------------------------------------------------- */

size_t ticket_keys_encode(uint8_t out[TICKET_BODY_MAX], const struct ticket_keys *keys)
{
	size_t len = HEADER_LEN;

	out[0] = keys->from_file;
	memcpy(out + 1, &keys->wait, sizeof(keys->wait));
	out[HEADER_LEN - 1] = 0;
	for (unsigned i = 0; i < TICKET_PLACES; i++) {
		if (!is_there(&keys->keys[i]))
			continue;
		out[HEADER_LEN - 1] |= (uint8_t)(1u << i);
		memcpy(out + len, &keys->keys[i], LINE_OCTETS);
		len += LINE_OCTETS;
	}
	return len;
}

bool ticket_keys_decode(const uint8_t *data, size_t len, struct ticket_keys *out)
{
	size_t at = HEADER_LEN;
	bool fine = len >= HEADER_LEN && data[0] <= 1 && data[HEADER_LEN - 1] < 1u << TICKET_PLACES;

	*out = (struct ticket_keys) { .wait = 0 };
	if (!fine)
		return false;
	out->from_file = data[0];
	memcpy(&out->wait, data + 1, sizeof(out->wait));
	for (unsigned i = 0; i < TICKET_PLACES && fine; i++) {
		if ((data[HEADER_LEN - 1] & 1u << i) == 0)
			continue;
		fine = len - at >= LINE_OCTETS;
		if (!fine)
			break;
		memcpy(&out->keys[i], data + at, LINE_OCTETS);
		fine = is_there(&out->keys[i]);
		at += LINE_OCTETS;
	}
	fine = fine && at == len && ticket_keys_sealing(out) != NULL;
	if (!fine)
		ticket_keys_wipe(out);
	return fine;
}

/* ---- a file --------------------------------------------------------------------------------------------------------- */

/* NULL: it is a key like no other before it. */
static const char *parse_line(struct span line, const struct ticket_keys *before,
			      struct ticket_key *out)
{
	static const struct ticket_key none;

	if (line.len != LINE_LEN || !ticket_base64(line.data, (uint8_t *)out))
		return "64 characters of base64 are expected, of 48 octets";
	if (!is_there(out) || memcmp(out->secret, none.secret, TICKET_SECRET_LEN) == 0)
		return "these octets are not random";
	if (ticket_keys_find(before, out->name) != NULL)
		return "a key of that name stands above";
	return NULL;
}

static struct span cut_line(struct span *text)
{
	const char *end = memchr(text->data, '\n', text->len);
	struct span line = { text->data, end ? (size_t)(end - text->data) : text->len };

	text->data += line.len + (end != NULL);
	text->len -= line.len + (end != NULL);
	if (line.len > 0 && line.data[line.len - 1] == '\r')
		line.len--;
	return line;
}

static const char *parse_lines(struct span text, struct ticket_keys *out, int *number)
{
	struct ticket_key key;
	const char *fault = NULL;
	unsigned count = 0;

	for (*number = 1; text.len > 0 && fault == NULL; ++*number) {
		struct span line = cut_line(&text);

		if (line.len == 0 || line.data[0] == '#')
			continue;
		fault = count < TICKET_PLACES ? parse_line(line, out, &key)
					      : "three keys are the most";
		if (fault != NULL)
			break;
		out->keys[count++] = key;
	}
	explicit_bzero(&key, sizeof(key));
	if (fault == NULL && count == 0) {
		*number = 0;
		fault = "there is no key in it";
	}
	return fault;
}

bool ticket_keys_parse(struct span text, struct ticket_keys *out, int *line, char why[256])
{
	const char *fault;

	*out = (struct ticket_keys) { .from_file = true };
	fault = parse_lines(text, out, line);
	if (fault == NULL)
		return true;
	ticket_keys_wipe(out);
	snprintf(why, 256, "%s", fault);
	return false;
}
