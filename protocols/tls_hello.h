/* tls_hello - what a TLS client says first: its ClientHello, read before the TLS library sees it.
 * Invariants: takes nothing from the bytes; every length is checked against what stands around it; whatever the order of
 * the bytes, a call costs no more than the number of bytes shown. Spans point into the caller's bytes, or into the struct
 * itself where the hello came in several records: so it is not to be copied, and lives no longer than those bytes.
 * RFC 8446 4.1.2, 4.2, 5.1 and appendix D; RFC 5246 7.4.1.2; RFC 6066 3 and 8; RFC 7301 3.1; RFC 5746 3.6.
 */
#ifndef PROTOCOLS_TLS_HELLO_H
#define PROTOCOLS_TLS_HELLO_H

#include "protocols/span.h"
#include <stdint.h>

#define TLS_HELLO_MAX        16384 /* octets on the wire, record headers among them */
#define TLS_HELLO_NAME_MAX   253   /* of a host name, RFC 1035 2.3.4 */
#define TLS_ALERT_RECORD_LEN 7

enum tls_hello_result {
	TLS_HELLO_MORE,
	TLS_HELLO_DONE,
	TLS_HELLO_NOT_TLS,  /* see `instead`; any alert would be wasted but for TLS_INSTEAD_SSL2 */
	TLS_HELLO_BROKEN,   /* to be answered with `alert` */
	TLS_HELLO_TOO_LONG, /* the same */
};

/* What came in place of a hello. */
enum tls_instead {
	TLS_INSTEAD_NOTHING,
	TLS_INSTEAD_TEXT,
	TLS_INSTEAD_HTTP,
	TLS_INSTEAD_SSL2,  /* a hello of SSL 2.0, whatever versions it names */
	TLS_INSTEAD_ALERT, /* a client that gave up before it began */
	TLS_INSTEAD_OTHER,
};

/* RFC 8446 6, RFC 6066 9, RFC 7301 3.2. */
enum tls_alert_level { TLS_ALERT_WARNING = 1, TLS_ALERT_FATAL = 2 };
enum tls_alert {
	TLS_ALERT_UNEXPECTED_MESSAGE = 10,
	TLS_ALERT_RECORD_OVERFLOW = 22,
	TLS_ALERT_HANDSHAKE_FAILURE = 40,
	TLS_ALERT_ILLEGAL_PARAMETER = 47,
	TLS_ALERT_DECODE_ERROR = 50,
	TLS_ALERT_PROTOCOL_VERSION = 70,
	TLS_ALERT_INTERNAL_ERROR = 80,
	TLS_ALERT_INAPPROPRIATE_FALLBACK = 86,
	TLS_ALERT_MISSING_EXTENSION = 109,
	TLS_ALERT_UNRECOGNIZED_NAME = 112,
	TLS_ALERT_NO_APPLICATION_PROTOCOL = 120,
};

/* 16-bit values as they came; none: count is 0. */
struct tls_hello_list {
	const uint8_t *data;
	size_t count;
};

struct tls_hello {
	enum tls_instead instead; /* of TLS_HELLO_NOT_TLS */
	enum tls_alert alert;     /* of TLS_HELLO_BROKEN and TLS_HELLO_TOO_LONG */

	/* All below only of TLS_HELLO_DONE. */
	size_t used;         /* octets on the wire; behind them come the client's next records */
	struct span message; /* all of it, in one piece */
	uint16_t legacy_version;
	size_t session_id_len;
	struct tls_hello_list suites;
	struct span compression; /* methods; none (0) is always among them */
	struct tls_hello_list versions, groups, sigalgs, sigalgs_cert;
	bool versions_present, groups_present, sigalgs_present, sigalgs_cert_present;
	bool shares_present, alpn_present, sni_present;
	bool sni_valid;                   /* a DNS name, so `sni` holds it */
	struct span sni_bytes;            /* as sent */
	char sni[TLS_HELLO_NAME_MAX + 1]; /* in lower case, without a dot at its end; else "" */
	struct span alpn, shares;         /* bodies of the lists: see the _next functions */
	bool status_request;              /* for OCSP */
	bool ticket, psk, ems, early_data;
	size_t ticket_len; /* octets of it; 0: the client only asks for one */
	bool psk_dhe;      /* it would combine a key of an earlier session with a fresh exchange */
	bool truncated_hmac;     /* RFC 6066 7 */
	bool renegotiation_info; /* the extension or its signalling suite */

	uint8_t joined
		[TLS_HELLO_MAX]; /* the message, when it came in several records; else not touched */
};

/* The bytes that the client has sent since it connected or since the reply to STARTTLS, always from the first on. */
enum tls_hello_result tls_hello_parse(const uint8_t *data, size_t len, struct tls_hello *out);

/* Of a hello that came in several records, makes one of them in the caller's bytes, since the TLS library joins them only as
 * long as the message's own header is in the first. Returns how many octets in front are then to be dropped. What the hello
 * says, and every hash of it, stays the same (RFC 8446 4.4.1). */
size_t tls_hello_join(uint8_t *data, const struct tls_hello *);

/* A version as 0x0301 to 0x0304: by supported_versions, which overrides the rest; else all up to legacy_version, but never
 * TLS 1.3 (RFC 8446 4.2.1). */
bool tls_hello_offers(const struct tls_hello *, uint16_t version);

static inline uint16_t tls_hello_at(struct tls_hello_list list, size_t i)
{
	return (uint16_t)(list.data[2 * i] << 8 | list.data[2 * i + 1]);
}

bool tls_hello_has(struct tls_hello_list, uint16_t value);

/* One after the other; *at is 0 at first. False: no more. */
bool tls_hello_alpn_next(const struct tls_hello *, size_t *at, struct span *name);
bool tls_hello_share_next(const struct tls_hello *, size_t *at, uint16_t *group);

/* A record that holds one alert, for a client to whom no version has been named yet. */
void tls_alert_record(uint8_t out[TLS_ALERT_RECORD_LEN], enum tls_alert_level, enum tls_alert);

#endif
