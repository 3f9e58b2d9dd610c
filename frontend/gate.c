/* gate - versions, suites, groups, signatures and names; see gate.h. */
#include "frontend/gate.h"

#define ENTRIES_MAX    16     /* certificates side by side for one name */
#define FALLBACK_SCSV  0x5600 /* RFC 7507 */
#define VERSION_REASON "tls_version"

static bool refuse(struct gate_verdict *out, enum tls_alert alert, const char *reason)
{
	out->alert = alert;
	out->reason = reason;
	return false;
}

/* ---- what both sides speak ---- */

static bool decide_version(const struct profile *profile, const struct tls_hello *hello,
			   struct gate_verdict *out)
{
	for (uint16_t version = profile->max; version >= profile->min; version--) {
		if (!tls_hello_offers(hello, version))
			continue;
		out->version = version;
		/* The client spoke better before, and somebody in between made it doubt. */
		if (version < profile->max && tls_hello_has(hello->suites, FALLBACK_SCSV))
			return refuse(out, TLS_ALERT_INAPPROPRIATE_FALLBACK, VERSION_REASON);
		return true;
	}
	return refuse(out, TLS_ALERT_PROTOCOL_VERSION, VERSION_REASON);
}

/* The library agrees to cut MACs to 10 octets wherever a client asks for it, which RFC 9325 4.6 forbids: then it gets no suite that has
 * one. Of the others the library prefers the first of the profile's, which are those without. */
const struct profile_suite *gate_suite(const struct profile *profile, const struct tls_hello *hello,
				       size_t i, uint16_t version)
{
	const struct profile_suite *suite = profile_suite(profile, tls_hello_at(hello->suites, i));

	if (suite == NULL || suite->min > version || suite->max < version ||
	    (hello->truncated_hmac && profile_suite_has_mac(suite)))
		return NULL;
	return suite;
}

static bool decide_suites(const struct profile *profile, const struct tls_hello *hello,
			  struct gate_verdict *out)
{
	for (size_t i = 0; i < hello->suites.count; i++)
		if (gate_suite(profile, hello, i, out->version) != NULL)
			return true;
	return refuse(out, TLS_ALERT_HANDSHAKE_FAILURE, "no_common_cipher");
}

/* Before TLS 1.3 a client that names no groups leaves them to us (RFC 8422 4). */
static bool decide_groups(const struct profile *profile, const struct tls_hello *hello,
			  struct gate_verdict *out)
{
	if (out->version == PROFILE_TLS13 && (!hello->groups_present || !hello->shares_present))
		return refuse(out, TLS_ALERT_MISSING_EXTENSION, "no_common_group");
	if (!hello->groups_present)
		return true;
	for (size_t i = 0; i < hello->groups.count; i++)
		if (profile_group(profile, tls_hello_at(hello->groups, i)) != NULL)
			return true;
	return refuse(out, TLS_ALERT_HANDSHAKE_FAILURE, "no_common_group");
}

/* TLS 1.1 has no choice; a client of TLS 1.2 that names none means SHA-1, with which no profile signs. */
static bool decide_signatures(const struct profile *profile, const struct tls_hello *hello,
			      struct gate_verdict *out)
{
	if (out->version < PROFILE_TLS12)
		return true;
	if (!hello->sigalgs_present && out->version == PROFILE_TLS13)
		return refuse(out, TLS_ALERT_MISSING_EXTENSION, "no_common_signature");
	for (size_t i = 0; i < hello->sigalgs.count; i++) {
		const struct profile_sigalg *known =
			profile_sigalg(profile, tls_hello_at(hello->sigalgs, i));

		if (known != NULL && (out->version == PROFILE_TLS13 ? known->keys13 : known->keys))
			return true;
	}
	return refuse(out, TLS_ALERT_HANDSHAKE_FAILURE, "no_common_signature");
}

/* ---- who the client means ---- */

/* A name that is none (an address, say) is nobody's: unknown. 0: refused. */
static size_t find_entries(const struct gate_rules *rules, const struct book *book,
			   const struct tls_hello *hello, uint32_t *entries,
			   struct gate_verdict *out)
{
	size_t count = 0;

	if (hello->sni_present) {
		if (hello->sni_valid)
			count = book_find(book, rules->set, hello->sni, entries, ENTRIES_MAX);
		if (count == 0 && (rules->refuse_unknown || rules->profile->refuse_unknown)) {
			refuse(out, TLS_ALERT_UNRECOGNIZED_NAME, "sni");
			return 0;
		}
	}
	if (count == 0)
		count = book_default(book, rules->set, entries, ENTRIES_MAX);
	if (count == 0)
		refuse(out, TLS_ALERT_INTERNAL_ERROR, "no_certificate");
	return count;
}

bool gate_decide(const struct gate_rules *rules, const struct book *book,
		 const struct tls_hello *hello, struct gate_verdict *out)
{
	const struct profile *profile = rules->profile;
	uint32_t entries[ENTRIES_MAX];
	size_t count;

	*out = (struct gate_verdict) { .reason = "" };
	if (!decide_version(profile, hello, out) || !decide_suites(profile, hello, out) ||
	    !decide_groups(profile, hello, out) || !decide_signatures(profile, hello, out))
		return false;
	count = find_entries(rules, book, hello, entries, out);
	if (count == 0)
		return false;
	if (!gate_alpn_decide(rules, hello, out))
		return refuse(out, TLS_ALERT_NO_APPLICATION_PROTOCOL, "alpn");
	if (!gate_certificate_choose(rules, book, hello, entries, count, out))
		return refuse(out, TLS_ALERT_HANDSHAKE_FAILURE, "no_common_certificate");
	return true;
}
