/* tls - one leg of a session behind the one gate to the library. See tls.h for the invariants. */
#include "frontend/tls_peer.h"
#include "protocols/tls_hello.h"
#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the library's I/O ---------------------------------------------------------------------------------------------- */

int tls_receive(WOLFSSL *ssl, char *data, int size, void *arg)
{
	struct tls *tls = arg;
	size_t len = buffer_len(tls->in);

	if (len == 0)
		return WOLFSSL_CBIO_ERR_WANT_READ;
	if (len > (size_t)size)
		len = (size_t)size;
	/* Where the content is empty the library looks for its type in front of the record. */
	if (!tls_record_pass(&tls->records, (const uint8_t *)buffer_data(tls->in), len,
			     wolfSSL_version(ssl) == PROFILE_TLS13)) {
		tls->bad_record = true;
		return WOLFSSL_CBIO_ERR_GENERAL;
	}
	memcpy(data, buffer_data(tls->in), len);
	buffer_consume(tls->in, len);
	return (int)len;
}

/* Takes all, always; the session stops feeding the library long before the queue is full. */
int tls_send(WOLFSSL *ssl, char *data, int size, void *arg)
{
	struct tls *tls = arg;

	tls->spoke = true;
	return buffer_append(tls->out, data, (size_t)size) ? size : WOLFSSL_CBIO_ERR_GENERAL;
}

/* ---- one leg of a session ------------------------------------------------------------------------------------------- */

static struct tls *tls_new(struct tls_context *context, bool server)
{
	struct tls *tls = calloc(1, sizeof(*tls));

	if (tls == NULL)
		return NULL;
	tls->server = server;
	tls->ssl = wolfSSL_new(context->ctx);
	if (tls->ssl == NULL) {
		free(tls);
		return NULL;
	}
	tls->context = tls_context_keep(context);
	tls->profile = context->profile;
	wolfSSL_SetIOReadCtx(tls->ssl, tls);
	wolfSSL_SetIOWriteCtx(tls->ssl, tls);
	tls->rules = context->rules;
	if (tls->rules == NULL || tls_peer_begin(tls))
		return tls;
	tls_free(tls);
	return NULL;
}

/* The library goes by the old field for the version before it looks into supported_versions; RFC 8446 4.2.1 wants it the other way. What
 * was decided by the extension is not to be undone by the field. */
static bool hold_to_version(WOLFSSL *ssl, uint16_t version)
{
	return version == 0 ||
	       wolfSSL_SetMinVersion(ssl, version - PROFILE_TLS11 + WOLFSSL_TLSV1_1) ==
		       WOLFSSL_SUCCESS;
}

struct tls *tls_accept_new(struct tls_context *context, const struct tls_accept *accept)
{
	struct tls *tls = tls_new(context, true);

	if (tls == NULL)
		return NULL;
	snprintf(tls->name, sizeof(tls->name), "%s", accept->sni);
	tls_ticket_begin(tls, (enum tls_ticket_offer)accept->tickets);
	if (hold_to_version(tls->ssl, accept->version) &&
	    /* The library's parameter is not const, and it copies. */
	    (accept->alpn == NULL ||
	     wolfSSL_UseALPN(tls->ssl, (char *)(uintptr_t)accept->alpn,
			     (unsigned)strlen(accept->alpn),
			     WOLFSSL_ALPN_FAILED_ON_MISMATCH) == WOLFSSL_SUCCESS))
		return tls;
	tls_free(tls);
	return NULL;
}

static bool is_address(const char *name)
{
	unsigned char bytes[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

struct tls *tls_connect_new(struct tls_context *context, const char *name)
{
	struct tls *tls = tls_new(context, false);
	bool ready = true;

	if (tls == NULL)
		return NULL;
	snprintf(tls->name, sizeof(tls->name), "%s", name);
	if (is_address(name)) {
		tls->verify_address = context->verify;
	} else {
		ready = wolfSSL_UseSNI(tls->ssl, WOLFSSL_SNI_HOST_NAME, tls->name,
				       (unsigned short)strlen(tls->name)) == WOLFSSL_SUCCESS;
		if (context->verify)
			ready = ready &&
				wolfSSL_check_domain_name(tls->ssl, tls->name) == WOLFSSL_SUCCESS;
	}
	if (ready)
		return tls;
	tls_free(tls);
	return NULL;
}

void tls_free(struct tls *tls)
{
	if (tls == NULL)
		return;
	wolfSSL_free(tls->ssl);
	tls_blocks_free(tls->status);
	tls_key_end(tls);
	tls_context_drop(tls->context);
	client_certificate_free(tls->client);
	explicit_bzero(tls, sizeof(*tls));
	free(tls);
}

/* A second lock: left alone, the library's server of TLS 1.2 takes whatever group the client names. */
static bool group_allowed(const struct tls *tls)
{
	const char *group = wolfSSL_get_curve_name(tls->ssl);

	return !tls->server || group == NULL || profile_group_named(tls->profile, group) != NULL;
}

enum gate_call { GATE_HANDSHAKE, GATE_READ, GATE_WRITE, GATE_SHUTDOWN, GATE_FACTS };

static const char *iana_name(WOLFSSL *ssl)
{
	int suite = wolfSSL_get_current_cipher_suite(ssl);

	return wolfSSL_get_cipher_name_iana_from_suite((unsigned char)(suite >> 8),
						       (unsigned char)suite);
}

static void gather_facts(struct tls *tls)
{
	const char *group = wolfSSL_get_curve_name(tls->ssl);

	tls->facts.version = wolfSSL_get_version(tls->ssl);
	tls->facts.cipher = iana_name(tls->ssl);
	tls->facts.group = group ? group : "";
	tls->facts.resumed = wolfSSL_session_reused(tls->ssl) == 1;
	tls->facts.bits =
		(unsigned)wolfSSL_CIPHER_get_bits(wolfSSL_get_current_cipher(tls->ssl), NULL);
	tls_ticket_end(tls);
}

static void send_alert(struct tls *tls, enum tls_alert alert)
{
	uint8_t record[TLS_ALERT_RECORD_LEN];

	tls_alert_record(record, TLS_ALERT_FATAL, alert);
	buffer_append(tls->out, record, sizeof(record));
}

/* Nothing of the flight with the wrong group has left the queue yet: an alert goes in its place. */
static void refuse_group(struct tls *tls)
{
	buffer_clear(tls->out);
	send_alert(tls, TLS_ALERT_HANDSHAKE_FAILURE);
	tls->error = ECC_CURVE_ERROR;
}

/* Of some hellos the library goes away without a word (RFC 8446 6.2). As long as it has said nothing, the alert goes in clear. */
static void explain(struct tls *tls)
{
	switch (tls->error) {
	case BUFFER_ERROR:
		send_alert(tls, TLS_ALERT_DECODE_ERROR);
		break;
	case MEMORY_E:
	case WC_HW_E:
		send_alert(tls, TLS_ALERT_INTERNAL_ERROR);
		break;
	default:
		send_alert(tls, TLS_ALERT_ILLEGAL_PARAMETER);
	}
}

/* Error 0: the library lost a blocked write (TLS 1.3); the call is simply repeated. Pending: a signature is waited for. */
static bool may_go_on(const struct tls *tls)
{
	return tls->error == WOLFSSL_ERROR_WANT_READ || tls->error == 0 ||
	       tls->error == WC_PENDING_E;
}

static int accept_client(struct tls *tls)
{
	int result;

	tls_ticket_enter(tls);
	tls_staple_enter(tls);
	tls_key_enter(tls);
	result = wolfSSL_accept(tls->ssl);
	tls_key_leave();
	tls_staple_leave();
	tls_ticket_leave(tls);
	return result;
}

static int error_of(const struct tls *tls, int result)
{
	return tls->bad_record ? DECRYPT_ERROR : wolfSSL_get_error(tls->ssl, result);
}

/* The one way into the library for a session: what packs idle sessions away will unpack here. */
static int tls_gate(struct tls *tls, enum gate_call call, void *data, int len)
{
	int result = 0;

	switch (call) {
	case GATE_HANDSHAKE:
		result = tls->server ? accept_client(tls) : wolfSSL_connect(tls->ssl);
		if (!group_allowed(tls)) {
			refuse_group(tls);
			return -1;
		}
		if (result <= 0)
			tls->error = error_of(tls, result);
		if (result <= 0 && tls->server && !tls->spoke && !may_go_on(tls))
			explain(tls);
		return result;
	case GATE_READ:
		result = wolfSSL_read(tls->ssl, data, len);
		break;
	case GATE_WRITE:
		result = wolfSSL_write(tls->ssl, data, len);
		break;
	case GATE_SHUTDOWN:
		result = wolfSSL_shutdown(tls->ssl);
		break;
	case GATE_FACTS:
		gather_facts(tls);
		/* 5 KB a session. Channel bindings would have to be taken before. */
		wolfSSL_FreeArrays(tls->ssl);
		return 0;
	}
	if (result <= 0)
		tls->error = error_of(tls, result);
	return result;
}

static int tls_call(struct tls *tls, enum gate_call call, struct buffer *in, struct buffer *out,
		    void *data, int len)
{
	int result;

	tls->in = in;
	tls->out = out;
	result = tls_gate(tls, call, data, len);
	tls->in = tls->out = NULL;
	return result;
}

static bool peer_address_verified(struct tls *tls)
{
	WOLFSSL_X509 *peer = wolfSSL_get_peer_certificate(tls->ssl);
	bool verified = peer && wolfSSL_X509_check_ip_asc(peer, tls->name, 0) == WOLFSSL_SUCCESS;

	wolfSSL_X509_free(peer);
	if (!verified)
		tls->error = DOMAIN_NAME_MISMATCH;
	return verified;
}

enum tls_result tls_handshake(struct tls *tls, struct buffer *in, struct buffer *out)
{
	int result = tls_call(tls, GATE_HANDSHAKE, in, out, NULL, 0);

	if (result == WOLFSSL_SUCCESS) {
		if (tls->verify_address && !peer_address_verified(tls))
			return TLS_FAILED;
		tls_call(tls, GATE_FACTS, in, out, NULL, 0);
		tls_key_end(tls);
		tls_context_drop(tls->context);
		tls->context = NULL;
		return TLS_DONE;
	}
	if (tls->error == WC_PENDING_E)
		return TLS_PENDING;
	return may_go_on(tls) ? TLS_AGAIN : TLS_FAILED;
}

enum tls_result tls_read(struct tls *tls, struct buffer *in, struct buffer *out, void *data,
			 size_t len, size_t *got)
{
	int size = len > INT32_MAX ? INT32_MAX : (int)len;
	int result = tls_call(tls, GATE_READ, in, out, data, size);

	*got = 0;
	if (result > 0) {
		*got = (size_t)result;
		return TLS_DONE;
	}
	if (tls->error == WOLFSSL_ERROR_WANT_READ)
		return TLS_AGAIN;
	return tls->error == WOLFSSL_ERROR_ZERO_RETURN ? TLS_CLOSED : TLS_FAILED;
}

enum tls_result tls_write(struct tls *tls, struct buffer *in, struct buffer *out, const void *data,
			  size_t len)
{
	assert(len > 0 && len <= INT32_MAX);
	return tls_call(tls, GATE_WRITE, in, out, (void *)(uintptr_t)data, (int)len) == (int)len
		       ? TLS_DONE
		       : TLS_FAILED;
}

void tls_shutdown(struct tls *tls, struct buffer *out)
{
	struct buffer none;

	buffer_init(&none, 0);
	tls_call(tls, GATE_SHUTDOWN, &none, out, NULL, 0);
}

void tls_facts(const struct tls *tls, struct tls_facts *out)
{
	*out = tls->facts;
	out->sni = tls->server ? tls->name : "";
}

const char *tls_failure(const struct tls *tls)
{
	const char *client = tls_peer_failure(tls);

	if (client != NULL)
		return client;
	if (tls_key_failed(tls))
		return "token";
	switch (tls->error) {
	case VERSION_ERROR:
		return "tls_version";
	case ECC_CURVE_ERROR:
		return "no_common_group";
	case MATCH_SUITE_ERROR:
	case UNSUPPORTED_SUITE:
		return "no_common_cipher";
	case SOCKET_ERROR_E:
	case SOCKET_PEER_CLOSED_E:
		return "closed";
	case FATAL_ERROR:
		return "alert_received";
	case UNKNOWN_RECORD_TYPE:
	case LENGTH_ERROR:
	case PARSE_ERROR:
	case INCOMPLETE_DATA:
		return "not_tls";
	case DOMAIN_NAME_MISMATCH:
		return "certificate_name";
	case ASN_NO_SIGNER_E:
	case ASN_SELF_SIGNED_E:
	case ASN_AFTER_DATE_E:
	case ASN_BEFORE_DATE_E:
	case ASN_SIG_CONFIRM_E:
	case VERIFY_CERT_ERROR:
	case NO_PEER_CERT:
		return "certificate";
	default:
		return "handshake";
	}
}
