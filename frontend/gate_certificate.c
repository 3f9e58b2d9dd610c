/* gate_certificate - which of several certificates for one name a client gets.
 * The cheapest for us that it can verify: ECDSA with P-256, Ed25519, ECDSA with P-384, RSA. Among those whose chain it can verify
 * as well, if there is such a one: whether it can is only guessed by the leaf's signature, and RFC 8446 4.4.2.2 wants a chain
 * to be sent rather than none.
 * RFC 8422 5.1 and 5.3 (before TLS 1.3 the certificate's curve is among the client's groups), RFC 8446 4.2.3.
 */
#include "frontend/gate.h"

#include <limits.h>
#include <string.h>

static unsigned key_of_kind(enum book_kind kind)
{
	static const unsigned keys[BOOK_KINDS] = {
		[BOOK_P256] = PROFILE_KEY_P256,
		[BOOK_P384] = PROFILE_KEY_P384,
		[BOOK_RSA] = PROFILE_KEY_RSA,
		[BOOK_ED25519] = PROFILE_KEY_ED25519,
	};

	return keys[kind];
}

static unsigned cost_of_kind(enum book_kind kind)
{
	static const unsigned costs[BOOK_KINDS] = {
		[BOOK_P256] = 0,
		[BOOK_ED25519] = 1,
		[BOOK_P384] = 2,
		[BOOK_RSA] = 3,
	};

	return costs[kind];
}

/* ---- the handshake's signature ---- */

static bool signature_known(const struct profile *profile, const struct tls_hello *hello,
			    uint16_t version, unsigned key)
{
	if (version < PROFILE_TLS12)
		return key != PROFILE_KEY_ED25519;
	for (size_t i = 0; i < hello->sigalgs.count; i++) {
		const struct profile_sigalg *known =
			profile_sigalg(profile, tls_hello_at(hello->sigalgs, i));

		if (known != NULL &&
		    (key & (version == PROFILE_TLS13 ? known->keys13 : known->keys)))
			return true;
	}
	return false;
}

static bool suite_known(const struct profile *profile, const struct tls_hello *hello,
			uint16_t version, unsigned key)
{
	for (size_t i = 0; i < hello->suites.count; i++) {
		const struct profile_suite *suite = gate_suite(profile, hello, i, version);

		if (suite != NULL && (suite->keys & key))
			return true;
	}
	return false;
}

static bool curve_known(const struct tls_hello *hello, uint16_t version, unsigned key)
{
	uint16_t group = key == PROFILE_KEY_P256 ? 23 : 24;

	return version == PROFILE_TLS13 || !(key & PROFILE_KEY_ECDSA) || !hello->groups_present ||
	       tls_hello_has(hello->groups, group);
}

static bool usable(const struct gate_rules *rules, const struct tls_hello *hello, uint16_t version,
		   const struct book_entry *entry)
{
	const struct profile *profile = rules->profile;
	unsigned key = key_of_kind(entry->kind);

	if ((entry->flags & BOOK_BAD) || !(profile->keys & key))
		return false;
	/* The TLS library cannot wait for a token's signature before that. */
	if ((entry->flags & BOOK_TOKEN) && version < PROFILE_TLS13)
		return false;
	if (entry->kind == BOOK_RSA && entry->bits < (uint32_t)profile->rsa_bits)
		return false;
	return signature_known(profile, hello, version, key) &&
	       suite_known(profile, hello, version, key) && curve_known(hello, version, key);
}

/* ---- the chain's signatures ---- */

/* The contents of the DER element at *rest, which moves behind it; false when it is not of that tag. */
static bool der_take(struct span *rest, uint8_t tag, struct span *out)
{
	const uint8_t *data = (const uint8_t *)rest->data;
	size_t octets, len = 0, head = 2;

	if (rest->len < 2 || data[0] != tag)
		return false;
	octets = data[1] & 0x80 ? data[1] & 0x7f : 0;
	if (octets > 3 || rest->len < head + octets)
		return false;
	if (data[1] < 0x80)
		len = data[1];
	for (size_t i = 0; i < octets; i++)
		len = len << 8 | data[head + i];
	head += octets;
	if (len > rest->len - head)
		return false;
	*out = (struct span) { rest->data + head, len };
	*rest = span_from(*rest, head + len);
	return true;
}

/* As TLS numbers it; 0: another. RFC 5280 4.1.1.2, RFC 8410, 5758, 4055. */
static uint16_t leaf_signature(struct span leaf)
{
	static const struct {
		struct span oid;
		uint16_t number;
	} known[] = {
		{ SPAN("\x2a\x86\x48\xce\x3d\x04\x03\x02"), 0x0403 },
		{ SPAN("\x2a\x86\x48\xce\x3d\x04\x03\x03"), 0x0503 },
		{ SPAN("\x2a\x86\x48\xce\x3d\x04\x03\x04"), 0x0603 },
		{ SPAN("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"), 0x0401 },
		{ SPAN("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c"), 0x0501 },
		{ SPAN("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d"), 0x0601 },
		{ SPAN("\x2b\x65\x70"), 0x0807 },
	};
	struct span certificate, tbs, algorithm, oid;

	if (!der_take(&leaf, 0x30, &certificate) || !der_take(&certificate, 0x30, &tbs) ||
	    !der_take(&certificate, 0x30, &algorithm) || !der_take(&algorithm, 0x06, &oid))
		return 0;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (oid.len == known[i].oid.len &&
		    memcmp(oid.data, known[i].oid.data, oid.len) == 0)
			return known[i].number;
	return 0;
}

static bool chain_known(const struct tls_hello *hello, const struct book_entry *entry)
{
	struct tls_hello_list list =
		hello->sigalgs_cert_present ? hello->sigalgs_cert : hello->sigalgs;
	uint16_t signature = leaf_signature(entry->leaf);

	return signature == 0 || list.count == 0 || tls_hello_has(list, signature);
}

bool gate_certificate_choose(const struct gate_rules *rules, const struct book *book,
			     const struct tls_hello *hello, const uint32_t *entries, size_t count,
			     struct gate_verdict *out)
{
	unsigned best = UINT_MAX;

	for (size_t i = 0; i < count; i++) {
		struct book_entry entry;
		unsigned cost;

		book_entry(book, entries[i], &entry);
		if (!usable(rules, hello, out->version, &entry))
			continue;
		cost = cost_of_kind(entry.kind) +
		       (chain_known(hello, &entry) ? 0 : (unsigned)BOOK_KINDS);
		if (cost >= best)
			continue;
		best = cost;
		out->entry = entries[i];
	}
	return best != UINT_MAX;
}
