/* fuzz_probe - a server that says what the input says, to the probes of the three protocols.
 * First byte: bits 0-1 choose the protocol, bit 2 requires STARTTLS, bits 3-7 the size of the pieces that are shown. Invariants:
 * nothing used beyond what was shown; what we say fits, ends with CRLF and holds no other line end than those; a failure has a
 * reason; done with STARTTLS means TLS; what was found stays within the protocol's list.
 */
#include "protocols/probe.h"
#include "tests/fuzz/require.h"
#include <stdlib.h>

static const struct {
	const struct probe_script *script;
	unsigned known;
} protocols[] = {
	{ &smtp_probe_script, EXTENSIONS_SUBMISSION },
	{ &imap_probe_script, 0 },
	{ &pop3_probe_script, EXTENSIONS_POP3 },
};

static void check_said(const struct output *output)
{
	REQUIRE(!output->overflow);
	REQUIRE(output->len == 0 || (output->len > 2 && output->data[output->len - 1] == '\n'));
	for (size_t i = 0; i < output->len; i++)
		REQUIRE(output->data[i] != '\n' || (i > 0 && output->data[i - 1] == '\r'));
}

static enum probe_result show(struct probe *probe, const uint8_t *bytes, size_t len, size_t *used)
{
	char storage[PROBE_SAYS_MAX];
	struct output output;
	char *data = malloc(len + (len == 0));
	enum probe_result result;

	REQUIRE(data);
	memcpy(data, bytes, len);
	output_init(&output, storage, sizeof(storage));
	result = probe_input(probe, data, len, used, &output);
	REQUIRE(*used <= len);
	check_said(&output);
	REQUIRE((result == PROBE_FAILED) == (probe->reason != NULL));
	if (result == PROBE_START_TLS) {
		REQUIRE(*used == len && probe->starttls && !probe->tls);
		output_init(&output, storage, sizeof(storage));
		probe_tls_started(probe, &output);
		check_said(&output);
		result = PROBE_MORE;
	}
	if (result == PROBE_DONE)
		REQUIRE(probe->tls || !probe->starttls);
	free(data);
	return result;
}

static void check_list(const struct probe_facts *facts, unsigned known)
{
	struct extension_list list;
	size_t count = 0;

	REQUIRE((facts->extensions.set & ~known) == 0);
	extension_list(facts->extensions, &list);
	while (list.items[count])
		REQUIRE(!strpbrk(list.items[count++], "\r\n"));
	REQUIRE(count <= EXTENSIONS);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	enum probe_result result = PROBE_MORE;
	size_t start = 1, shown = 1, used;
	struct probe probe;

	if (len == 0 || len > 20000)
		return 0;
	unsigned which = (bytes[0] & 3) % 3, piece = 1 + (bytes[0] >> 3) * 16u;

	probe_init(&probe, protocols[which].script, "mail.example.test", bytes[0] & 4);
	while (result == PROBE_MORE && shown < len) {
		shown = len - shown < piece ? len : shown + piece;
		result = show(&probe, bytes + start, shown - start, &used);
		start += used;
	}
	check_list(&probe.facts, protocols[which].known);
	return 0;
}
