/* fuzz_ticket - session tickets as a client may make them up, the keeper's answer and the file of keys.
 * The first byte chooses. Invariants: what was not sealed here does not open, and what was opens only unchanged; what is no answer or no
 * file leaves no key behind; what is one says the same when it is encoded again.
 */
#include "frontend/ticket_seal.h"
#include "tests/fuzz/require.h"

static bool fixed(void *out, size_t len)
{
	static uint8_t octet;

	memset(out, 1 + octet++ % 200, len);
	return true;
}

static void require_no_key(const struct ticket_keys *keys)
{
	REQUIRE(ticket_keys_count(keys) == 0 && ticket_keys_sealing(keys) == NULL);
}

/* The whole label and text are the client's. */
static void open_anything(const uint8_t *data, size_t size, const struct ticket_keys *keys)
{
	struct ticket_label label;
	uint8_t *text;

	if (size < sizeof(label))
		return;
	memcpy(&label, data, sizeof(label));
	if (label.name[0] & 1)
		memcpy(label.name, keys->keys[label.name[0] % TICKET_PLACES].name, TICKET_NAME_LEN);
	size -= sizeof(label);
	text = malloc(size + 1);
	memcpy(text, data + sizeof(label), size);
	REQUIRE(ticket_open(keys, SPAN("modern"), &label, text, size) != TICKET_OPENED);
	free(text);
}

/* Octets of a good one are changed as the input says. */
static void change_good_one(const uint8_t *data, size_t size, const struct ticket_keys *keys)
{
	struct {
		struct ticket_label label;
		uint8_t text[108];
	} made = { .text = { 0 } }, shown;
	uint8_t *octets = (uint8_t *)&shown;
	bool same;

	REQUIRE(ticket_seal(keys, SPAN("modern"), made.text, sizeof(made.text), &made.label));
	shown = made;
	for (size_t i = 0; i + 1 < size; i += 2)
		octets[data[i] % sizeof(shown)] ^= data[i + 1];
	same = memcmp(&shown, &made, sizeof(made)) == 0;
	REQUIRE((ticket_open(keys, SPAN("modern"), &shown.label, shown.text, sizeof(shown.text)) ==
		 TICKET_OPENED) == same);
}

static void read_answer(const uint8_t *data, size_t size)
{
	struct ticket_keys keys;
	uint8_t body[TICKET_BODY_MAX];

	if (!ticket_keys_decode(data, size, &keys)) {
		require_no_key(&keys);
		return;
	}
	REQUIRE(ticket_keys_sealing(&keys) != NULL);
	REQUIRE(ticket_keys_encode(body, &keys) == size && memcmp(body, data, size) == 0);
}

static void read_file(const uint8_t *data, size_t size)
{
	struct ticket_keys keys;
	char why[256] = "";
	int line;

	if (!ticket_keys_parse((struct span) { (const char *)data, size }, &keys, &line, why)) {
		REQUIRE(why[0] != '\0' && line >= 0);
		require_no_key(&keys);
		return;
	}
	REQUIRE(keys.from_file && ticket_keys_sealing(&keys) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ticket_keys keys;

	if (ticket_keys_count(&keys) == 0)
		REQUIRE(ticket_keys_turn(&keys, 1000, 100, fixed));
	if (size == 0)
		return 0;
	switch (data[0] % 4) {
	case 0:
		open_anything(data + 1, size - 1, &keys);
		break;
	case 1:
		change_good_one(data + 1, size - 1, &keys);
		break;
	case 2:
		read_answer(data + 1, size - 1);
		break;
	default:
		read_file(data + 1, size - 1);
		break;
	}
	return 0;
}
