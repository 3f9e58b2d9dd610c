/* tls_context - what the library is told once for many sessions: versions, suites, groups, certificate, authorities.
 * Invariants: TLS 1.2 and 1.3, ECDHE and AEAD towards clients; no session cache, no tickets in this version; a certificate is
 * only asked for where it could let somebody in (RFC 8314 4.2). RFC 9325 3 and 4.
 */
#include "frontend/tls_internal.h"
#include "frontend/tls_staple.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Each name is tried alone too: beside a good one the library drops an unknown one without a word. */
static const char *const suites[] = {
	"TLS13-AES128-GCM-SHA256",        "TLS13-AES256-GCM-SHA384",
	"TLS13-CHACHA20-POLY1305-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256",
	"ECDHE-RSA-AES128-GCM-SHA256",    "ECDHE-ECDSA-AES256-GCM-SHA384",
	"ECDHE-RSA-AES256-GCM-SHA384",    "ECDHE-ECDSA-CHACHA20-POLY1305",
	"ECDHE-RSA-CHACHA20-POLY1305",
};

static bool set_suites(WOLFSSL_CTX *ctx)
{
	char list[512];
	size_t len = 0;

	for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
		if (wolfSSL_CTX_set_cipher_list(ctx, suites[i]) != WOLFSSL_SUCCESS)
			return false;
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", i > 0 ? ":" : "",
					suites[i]);
		assert(len < sizeof(list));
	}
	return wolfSSL_CTX_set_cipher_list(ctx, list) == WOLFSSL_SUCCESS;
}

static bool set_server_rules(WOLFSSL_CTX *ctx)
{
	int groups[] = { WOLFSSL_ECC_X25519, WOLFSSL_ECC_SECP256R1 };

	wolfSSL_CTX_set_verify(ctx, WOLFSSL_VERIFY_NONE,
			       NULL); /* RFC 8314 4.2: no CertificateRequest */
	return set_suites(ctx) && wolfSSL_CTX_set_groups(ctx, groups, 2) == WOLFSSL_SUCCESS &&
	       wolfSSL_CTX_SetDevId(ctx, TLS_KEY_DEVICE) == WOLFSSL_SUCCESS;
}

static bool set_common_rules(WOLFSSL_CTX *ctx)
{
	wolfSSL_CTX_SetIORecv(ctx, tls_receive);
	wolfSSL_CTX_SetIOSend(ctx, tls_send);
	wolfSSL_CTX_set_session_cache_mode(ctx, WOLFSSL_SESS_CACHE_OFF);
	wolfSSL_CTX_NoTicketTLSv12(ctx);
	wolfSSL_CTX_no_ticket_TLSv13(ctx);
	return wolfSSL_CTX_SetMinVersion(ctx, WOLFSSL_TLSV1_2) == WOLFSSL_SUCCESS;
}

/* Without a callback the library would not tell us the name. */
static int servername_seen(WOLFSSL *ssl, int *alert, void *unused)
{
	return 0;
}

static struct tls_context *context_new(void)
{
	struct tls_context *context = calloc(1, sizeof(*context));

	if (context != NULL)
		context->references = 1;
	return context;
}

static bool load_chain(struct tls_context *context, struct span chain)
{
	return wolfSSL_CTX_use_certificate_chain_buffer(context->ctx,
							(const unsigned char *)chain.data,
							(long)chain.len) == WOLFSSL_SUCCESS;
}

struct tls_context *tls_context_server(const struct tls_server_settings *settings, char text[256])
{
	struct span chain = settings->certificate->chain;
	struct tls_context *context = context_new();

	snprintf(text, 256, "out of memory");
	if (context == NULL)
		return NULL;
	context->profile = settings->profile;
	context->key = public_key_from_pem((const uint8_t *)chain.data, chain.len, text);
	if (context->key == NULL)
		goto fail;
	snprintf(text, 256, "the TLS library does not take the suites, groups or key device");
	context->ctx = wolfSSL_CTX_new(wolfSSLv23_server_method());
	if (context->ctx == NULL || !set_common_rules(context->ctx) ||
	    !set_server_rules(context->ctx))
		goto fail;
	wolfSSL_CTX_set_servername_callback(context->ctx, servername_seen);
	snprintf(text, 256, "the TLS library does not take the certificate chain");
	if (!load_chain(context, chain) || !tls_key_device_use(context))
		goto fail;
	snprintf(text, 256, "the TLS library does not take the OCSP response");
	if (tls_staple_use(context, settings->certificate->staple,
			   settings->certificate->next_update, settings->certificate->issuer))
		return context;
fail:
	tls_context_drop(context);
	return NULL;
}

struct tls_context *tls_context_client(const struct config_pool *pool, char text[256])
{
	struct tls_context *context = context_new();

	snprintf(text, 256, "out of memory");
	if (context == NULL)
		return NULL;
	context->ctx = wolfSSL_CTX_new(wolfSSLv23_client_method());
	if (context->ctx == NULL || !set_common_rules(context->ctx))
		goto fail;
	context->verify = pool->verify == VERIFY_CA;
	wolfSSL_CTX_set_verify(context->ctx,
			       context->verify ? WOLFSSL_VERIFY_PEER : WOLFSSL_VERIFY_NONE, NULL);
	if (!context->verify ||
	    wolfSSL_CTX_load_verify_buffer(context->ctx, pool->ca_pem.data, (long)pool->ca_pem.len,
					   WOLFSSL_FILETYPE_PEM) == WOLFSSL_SUCCESS)
		return context;
	snprintf(text, 256, "the CA file holds no certificate that can be used");
fail:
	tls_context_drop(context);
	return NULL;
}

struct tls_context *tls_context_keep(struct tls_context *context)
{
	context->references++;
	return context;
}

void tls_context_drop(struct tls_context *context)
{
	if (context == NULL || --context->references > 0)
		return;
	tls_key_device_forget(context);
	wolfSSL_CTX_free(context->ctx);
	public_key_free(context->key);
	tls_staple_free(context->staple);
	free(context);
}
