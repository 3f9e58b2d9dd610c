/* tls_staple - see tls_staple.h.
 * The library asks status_wanted() when a client wants the status, verifies what it gets there and keeps it in the context; what it has
 * kept it sends until the response's own end has come, and asks again then. A callback without stapling enabled, or without the issuer
 * loaded, fails the handshake of every client that asks: so all three are there, or none is.
 */
#include "frontend/tls_internal.h"
#include "frontend/tls_staple.h"
#include <wolfssl/wolfcrypt/asn_public.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ISSUER_MAX 8192 /* octets of DER */

struct tls_staple {
	int64_t next_update;
	size_t len;
	uint8_t response[];
};

/* ---- the certificates within a response (RFC 6960 4.2.1) ---- */

enum der_tag { DER_OCTETS = 0x04, DER_SEQUENCE = 0x30, DER_EXPLICIT_0 = 0xa0 };

/* The next element of *in: its content to *content, all of it to *whole, and *in moves behind it. */
static bool take(struct span *in, struct span *content, struct span *whole)
{
	const uint8_t *data = (const uint8_t *)in->data;
	size_t head = 2, len;

	if (in->len < 2)
		return false;
	len = data[1];
	if (len >= 0x80) {
		size_t octets = len & 0x7f;

		if (octets == 0 || octets > 3 || in->len < 2 + octets)
			return false;
		for (len = 0; head < 2 + octets; head++)
			len = len << 8 | data[head];
	}
	if (len > in->len - head)
		return false;
	*content = (struct span) { in->data + head, len };
	*whole = (struct span) { in->data, head + len };
	*in = span_from(*in, head + len);
	return true;
}

static bool enter(struct span *in, enum der_tag tag)
{
	struct span rest = *in, whole;

	return in->len > 0 && (uint8_t)in->data[0] == tag && take(&rest, in, &whole);
}

/* Writes tag and length in front of the `len` octets at `at`; returns where the element begins. */
static uint8_t *wrap(uint8_t *at, size_t len, uint8_t tag)
{
	unsigned octets = 0;

	if (len < 0x80) {
		*--at = (uint8_t)len;
	} else {
		for (; len > 0; len >>= 8, octets++)
			*--at = (uint8_t)len;
		*--at = (uint8_t)(0x80 | octets);
	}
	*--at = tag;
	return at;
}

/* OCSPResponse ::= SEQUENCE { status, [0] { SEQUENCE { type, OCTET STRING { SEQUENCE { data, algorithm, signature, [0] certificates } } } } }.
 * What stands before the certificates stays as it is, and the lengths around it are written anew: shorter ones, so in place. */
size_t tls_staple_trim(uint8_t *response, size_t len, struct span issuer)
{
	struct span at = { (const char *)response, len }, status, type, piece, kept, first;
	uint8_t *begin, *end;

	if (!enter(&at, DER_SEQUENCE) || !take(&at, &piece, &status) ||
	    !enter(&at, DER_EXPLICIT_0) || !enter(&at, DER_SEQUENCE) || !take(&at, &piece, &type) ||
	    !enter(&at, DER_OCTETS) || !enter(&at, DER_SEQUENCE))
		return len;
	kept.data = at.data;
	for (int i = 0; i < 3; i++)
		if (!take(&at, &piece, &first))
			return len;
	kept.len = (size_t)(at.data - kept.data);
	if (!enter(&at, DER_EXPLICIT_0) || !enter(&at, DER_SEQUENCE) ||
	    !take(&at, &piece, &first) || first.len != issuer.len ||
	    memcmp(first.data, issuer.data, issuer.len) != 0)
		return len;
	begin = response + (kept.data - (const char *)response);
	end = begin + kept.len;
	begin = wrap(begin, (size_t)(end - begin), DER_SEQUENCE);
	begin = wrap(begin, (size_t)(end - begin), DER_OCTETS);
	begin -= type.len;
	memmove(begin, type.data, type.len);
	begin = wrap(begin, (size_t)(end - begin), DER_SEQUENCE);
	begin = wrap(begin, (size_t)(end - begin), DER_EXPLICIT_0);
	begin -= status.len;
	memmove(begin, status.data, status.len);
	begin = wrap(begin, (size_t)(end - begin), DER_SEQUENCE);
	memmove(response, begin, (size_t)(end - begin));
	return (size_t)(end - begin);
}

/* ---- a context ---- */

/* The library frees what it is given. Anything but 0: no status is sent, and the handshake goes on. In TLS 1.2 the library
 * forgets the argument. */
static int status_wanted(WOLFSSL *ssl, void *unused)
{
	const struct tls_staple *staple =
		wolfSSL_CTX_get_ex_data(wolfSSL_get_SSL_CTX(ssl), TLS_DATA_STAPLE);
	uint8_t *copy;

	if (time(NULL) >= staple->next_update)
		return SSL_TLSEXT_ERR_NOACK;
	copy = wolfSSL_Malloc(staple->len + 1); /* not to be taken for the library's copy */
	if (copy == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	memcpy(copy, staple->response, staple->len);
	if (wolfSSL_set_tlsext_status_ocsp_resp(ssl, copy, (int)staple->len) == WOLFSSL_SUCCESS)
		return 0;
	wolfSSL_Free(copy);
	return SSL_TLSEXT_ERR_NOACK;
}

/* In TLS 1.3 the library (5.5.4) forgets to free its copy of the response, which it makes after a look into the certificate; with a
 * HelloRetryRequest two of them. */
void tls_staple_enter(struct tls *tls)
{
	if (tls->context != NULL && tls->context->staple != NULL)
		tls_blocks_note(tls->status, tls->context->staple->len);
}

void tls_staple_leave(void)
{
	tls_blocks_note(NULL, 0);
}

static struct tls_staple *staple_new(struct span response, int64_t next_update, struct span issuer)
{
	struct tls_staple *staple = malloc(sizeof(*staple) + response.len);
	uint8_t der[ISSUER_MAX];
	int len = wc_CertPemToDer((const uint8_t *)issuer.data, (int)issuer.len, der, sizeof(der),
				  CERT_TYPE);

	if (staple == NULL || len <= 0) {
		free(staple);
		return NULL;
	}
	staple->next_update = next_update;
	memcpy(staple->response, response.data, response.len);
	staple->len = tls_staple_trim(staple->response, response.len,
				      (struct span) { (const char *)der, (size_t)len });
	return staple;
}

bool tls_staple_use(struct tls_context *context, struct span response, int64_t next_update,
		    struct span issuer)
{
	if (response.len == 0)
		return true;
	context->staple = staple_new(response, next_update, issuer);
	return context->staple != NULL &&
	       wolfSSL_CTX_load_verify_buffer(context->ctx, (const uint8_t *)issuer.data,
					      (long)issuer.len,
					      WOLFSSL_FILETYPE_PEM) == WOLFSSL_SUCCESS &&
	       wolfSSL_CTX_EnableOCSPStapling(context->ctx) == WOLFSSL_SUCCESS &&
	       wolfSSL_CTX_set_ex_data(context->ctx, TLS_DATA_STAPLE, context->staple) ==
		       WOLFSSL_SUCCESS &&
	       wolfSSL_CTX_set_tlsext_status_cb(context->ctx, status_wanted) == WOLFSSL_SUCCESS;
}

void tls_staple_free(struct tls_staple *staple)
{
	free(staple);
}
