/* tls_ticket - see tls_ticket.h.
 * What the library (5.5.4) does with tickets, and what we do about it:
 * - one that is longer than its own ends the handshake, as any of another product may be that served this name before: such a session
 *   gets no callback, and the library ignores the ticket;
 * - of TLS 1.2 it resumes a session without extended master secret in one that has none either (RFC 7627 5.3: should not): without
 *   that extension there are no tickets;
 * - of TLS 1.3 it takes psk_ke, which has no forward secrecy, where the client offers nothing else: no tickets either;
 * - once a ticket has been sent it puts sessions into its cache even where that is off: tls_context.c forbids that, too;
 * - "opened, make a new one" does the same as "opened": in TLS 1.3 a resumed session gets a new one anyway, in TLS 1.2 none, so that a
 *   master secret lives no longer than one ticket (RFC 9325 3.4).
 * The callback stands in a context only while the library is inside the handshake of a session that has tickets.
 */
#include "frontend/tls_ticket.h"
#include "frontend/ticket_seal.h"
#include "frontend/tls_internal.h"
#include <assert.h>

#define TICKET_LEN 174 /* of the library's; that of Debian 12 refuses more than 206 */
#define SCOPE_MAX  (2 + 32 + TLS_NAME_MAX + 1 + KEY_ID_LEN)

_Static_assert(TICKET_NAME_LEN == WOLFSSL_TICKET_NAME_SZ && TICKET_IV_LEN == WOLFSSL_TICKET_IV_SZ &&
		       TICKET_MAC_LEN == WOLFSSL_TICKET_MAC_SZ,
	       "a ticket's fields are as long as the library's");

static struct ticket_keys live;

void tls_tickets_use(const struct ticket_keys *keys)
{
	ticket_keys_wipe(&live);
	if (keys != NULL)
		live = *keys;
}

/* ---- what a ticket is good for -------------------------------------------------------------------------------------- */

static size_t put(uint8_t *out, size_t at, const void *data, size_t len)
{
	assert(at + len <= SCOPE_MAX);
	memcpy(out + at, data, len);
	return at + len;
}

static struct span scope_of(const struct tls *tls, uint8_t out[SCOPE_MAX])
{
	uint16_t version = (uint16_t)wolfSSL_version(tls->ssl);
	const char *profile = tls->context->profile->name;
	size_t len = put(out, 0, &version, sizeof(version));

	len = put(out, len, profile, strlen(profile) + 1);
	len = put(out, len, tls->name, strlen(tls->name) + 1);
	if (tls->name[0] == '\0')
		len = put(out, len, public_key_id(tls->context->key), KEY_ID_LEN);
	return (struct span) { (const char *)out, len };
}

/* ---- the library's callback ----------------------------------------------------------------------------------------- */

/* The library has promised the client a ticket by now. Where the keys have gone meanwhile, it is one that nobody will open. */
static bool seal(struct tls *tls, struct span scope, uint8_t *data, size_t len,
		 struct ticket_label *label)
{
	struct ticket_keys once = { .turn = 0 };
	bool sealed = ticket_seal(&live, scope, data, len, label);

	if (sealed) {
		tls->facts.ticket_issued = true;
		return true;
	}
	sealed = ticket_octets(&once.keys[TICKET_CURRENT], sizeof(once.keys[TICKET_CURRENT])) &&
		 ticket_seal(&once, scope, data, len, label);
	ticket_keys_wipe(&once);
	return sealed;
}

/* The library asks again for each suite in common, with what it has made of the ticket: the first answer counts. */
static bool open_ticket(struct tls *tls, struct span scope, uint8_t *data, size_t len,
			const struct ticket_label *label)
{
	enum ticket_opening opening = ticket_open(&live, scope, label, data, len);

	if (opening == TICKET_OPENED)
		tls->ticket_opened = true;
	else if (!tls->ticket_opened)
		tls->facts.ticket_refused = opening == TICKET_UNKNOWN ? "unknown_key" : "foreign";
	return opening == TICKET_OPENED;
}

static int ticket_callback(WOLFSSL *ssl, unsigned char *name, unsigned char *iv, unsigned char *mac,
			   int enc, unsigned char *data, int len, int *out_len, void *unused)
{
	struct tls *tls = wolfSSL_GetIOReadCtx(ssl);
	uint8_t storage[SCOPE_MAX];
	struct span scope = scope_of(tls, storage);
	struct ticket_label label;

	*out_len = len;
	if (!enc) {
		memcpy(label.name, name, sizeof(label.name));
		memcpy(label.iv, iv, sizeof(label.iv));
		memcpy(label.mac, mac, sizeof(label.mac));
		return open_ticket(tls, scope, data, (size_t)len, &label)
			       ? WOLFSSL_TICKET_RET_OK
			       : WOLFSSL_TICKET_RET_REJECT;
	}
	if (!seal(tls, scope, data, (size_t)len, &label))
		return WOLFSSL_TICKET_RET_FATAL;
	memcpy(name, label.name, sizeof(label.name));
	memcpy(iv, label.iv, sizeof(label.iv));
	memcpy(mac, label.mac, sizeof(label.mac));
	return WOLFSSL_TICKET_RET_OK;
}

/* ---- contexts and sessions ------------------------------------------------------------------------------------------ */

void tls_context_tickets(struct tls_context *context, int lifetime)
{
	context->tickets = true;
	wolfSSL_CTX_set_TicketHint(context->ctx, lifetime);
	wolfSSL_CTX_set_timeout(context->ctx, (unsigned)lifetime);
}

enum tls_ticket_offer tls_ticket_offer(const struct tls_hello *hello, uint16_t version)
{
	bool fit = hello->ticket_len <= TICKET_LEN;

	if (version == PROFILE_TLS13) {
		if (fit && hello->psk_dhe)
			return TLS_TICKET_FIT;
		return hello->psk ? TLS_TICKET_UNFIT : TLS_TICKET_NONE;
	}
	if (fit && hello->ems && hello->ticket)
		return TLS_TICKET_FIT;
	return hello->ticket_len > 0 ? TLS_TICKET_UNFIT : TLS_TICKET_NONE;
}

void tls_ticket_begin(struct tls *tls, enum tls_ticket_offer offer)
{
	tls->tickets = tls->context->tickets && offer == TLS_TICKET_FIT &&
		       ticket_keys_sealing(&live) != NULL;
	if (tls->context->tickets && offer == TLS_TICKET_UNFIT)
		tls->facts.ticket_refused = "unfit";
}

void tls_ticket_enter(const struct tls *tls)
{
	wolfSSL_CTX_set_TicketEncCb(tls->context->ctx, tls->tickets ? ticket_callback : NULL);
}

void tls_ticket_leave(const struct tls *tls)
{
	wolfSSL_CTX_set_TicketEncCb(tls->context->ctx, NULL);
}

void tls_ticket_end(struct tls *tls)
{
	if (tls->ticket_opened && !tls->facts.resumed)
		tls->facts.ticket_refused = "stale";
}
