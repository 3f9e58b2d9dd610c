/* gate_alpn - which application protocols a client may name.
 * A client that names another protocol than is spoken here is one that somebody leads astray (cross-protocol attacks,
 * "ALPACA"): refused, however else it behaves. RFC 7301 3.2, RFC 9325 3.8, RFC 8701 (GREASE).
 */
#include "frontend/gate.h"

#include <string.h>

/* https://www.iana.org/assignments/tls-extensiontype-values, ALPN protocol IDs: all that belong to some protocol. */
static const char *const registered[] = {
	"http/0.9",   "http/1.0", "http/1.1",    "spdy/1",
	"spdy/2",     "spdy/3",   "stun.turn",   "stun.nat-discovery",
	"h2",         "h2c",      "webrtc",      "c-webrtc",
	"ftp",        "imap",     "pop3",        "managesieve",
	"coap",       "co",       "xmpp-client", "xmpp-server",
	"acme-tls/1", "mqtt",     "dot",         "ntske/1",
	"sunrpc",     "h3",       "smb",         "irc",
	"nntp",       "nnsp",     "doq",         "sip/2",
	"tds/8.0",    "dicom",    "postgresql",  "radius/1.0",
	"radius/1.1",
};

static bool span_equals(struct span name, const char *text)
{
	return name.len == strlen(text) && memcmp(name.data, text, name.len) == 0;
}

static bool is_registered(struct span name)
{
	for (size_t i = 0; i < sizeof(registered) / sizeof(registered[0]); i++)
		if (span_equals(name, registered[i]))
			return true;
	return false;
}

bool gate_alpn_decide(const struct gate_rules *rules, const struct tls_hello *hello,
		      struct gate_verdict *out)
{
	bool foreign = false;
	struct span name;
	size_t at = 0;

	if (!hello->alpn_present)
		return rules->alpn != GATE_ALPN_REQUIRE;
	while (tls_hello_alpn_next(hello, &at, &name)) {
		if (rules->alpn_id != NULL && span_equals(name, rules->alpn_id)) {
			out->alpn = rules->alpn_id;
			return true;
		}
		foreign = foreign || is_registered(name);
	}
	out->alpn_ignored = rules->alpn == GATE_ALPN_COMPAT && !foreign;
	return out->alpn_ignored;
}
