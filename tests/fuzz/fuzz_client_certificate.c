/* fuzz_client_certificate - any bytes as the chain of a client: each certificate is two octets of length, then that many of DER.
 * Invariants: what is good has bounded names that could stand for a user; the rest has a word why not. The authority's key has
 * been thrown away, so a good one must be the corpus' own.
 */
#include "frontend/client_certificate.h"
#include "tests/fuzz/require.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char authority[] =
#include "tests/fuzz/client_authority.h"
	;

static struct client_trust *trust;

static void check(const struct client_identity *identity)
{
	char again[CLIENT_ADDRESS_MAX + 1];

	REQUIRE(identity->address_count <= CLIENT_ADDRESSES_MAX);
	for (unsigned i = 0; i < identity->address_count; i++) {
		REQUIRE(client_address_take(span_of(identity->addresses[i]), again));
		REQUIRE(strcmp(again, identity->addresses[i]) == 0);
	}
	REQUIRE(memchr(identity->subject, '\0', sizeof(identity->subject)) != NULL);
	REQUIRE(client_users_find(NULL, identity).len <= CLIENT_ADDRESS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct client_chain chain = { .count = 0 };
	struct client_identity identity;
	char why[256];

	if (trust == NULL)
		trust = client_trust_new((struct config_blob) { (const uint8_t *)authority,
								sizeof(authority) - 1 },
					 (struct config_blob) { NULL, 0 }, why);
	REQUIRE(trust != NULL);
	while (size >= 2 && chain.count < CLIENT_CHAIN_MAX) {
		size_t len = (size_t)data[0] << 8 | data[1];

		data += 2;
		size -= 2;
		len = len > size ? size : len;
		chain.items[chain.count].data = data;
		chain.items[chain.count++].len = len;
		data += len;
		size -= len;
	}
	if (client_trust_judge(trust, &chain, &identity) == NULL)
		check(&identity);
	return 0;
}
