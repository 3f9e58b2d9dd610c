/* tls_context - what the library is told once for many sessions: versions, suites, groups, certificate, authorities.
 * Invariants: nothing but what the profile of the listener or pool allows (tls_profile.c); no session cache, tickets where
 * they are wanted; a certificate is only asked for where it could let somebody in (RFC 8314 4.2). RFC 9325 3 and 4.
 */
#include "frontend/tls_peer.h"
#include "frontend/tls_staple.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void set_common_rules(WOLFSSL_CTX *ctx)
{
	wolfSSL_CTX_SetIORecv(ctx, tls_receive);
	wolfSSL_CTX_SetIOSend(ctx, tls_send);
	/* Off alone is not off: the library caches sessions that have had a ticket all the same. */
	wolfSSL_CTX_set_session_cache_mode(ctx, WOLFSSL_SESS_CACHE_OFF);
	wolfSSL_CTX_set_session_cache_mode(ctx, WOLFSSL_SESS_CACHE_NO_INTERNAL);
	wolfSSL_CTX_set_TicketEncCb(ctx,
				    NULL); /* it has one of its own, with a key for each context */
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
	context->ctx = wolfSSL_CTX_new(wolfSSLv23_server_method());
	if (context->ctx == NULL)
		goto fail;
	set_common_rules(context->ctx);
	/* RFC 8314 4.2: no CertificateRequest */
	wolfSSL_CTX_set_verify(context->ctx, WOLFSSL_VERIFY_NONE, NULL);
	context->key = public_key_from_pem((const uint8_t *)chain.data, chain.len, text);
	if (context->key == NULL || !tls_profile_apply(context->ctx, context->profile, true, text))
		goto fail;
	context->token = (settings->certificate->flags & BOOK_TOKEN) != 0;
	snprintf(text, 256, "the TLS library does not take the version");
	/* In TLS 1.2 the library cannot wait for a signature (wolfSSL 5.5.4); the gate does not choose such a certificate there. */
	if (context->token &&
	    wolfSSL_CTX_SetMinVersion(context->ctx, WOLFSSL_TLSV1_3) != WOLFSSL_SUCCESS)
		goto fail;
	snprintf(text, 256, "the TLS library does not take the key device");
	if (wolfSSL_CTX_SetDevId(context->ctx, TLS_KEY_DEVICE) != WOLFSSL_SUCCESS)
		goto fail;
	wolfSSL_CTX_set_servername_callback(context->ctx, servername_seen);
	snprintf(text, 256, "the TLS library does not take the certificate chain");
	if (!load_chain(context, chain) || !tls_key_device_use(context))
		goto fail;
	snprintf(text, 256, "the TLS library does not take the authorities of clients");
	if (settings->clients != NULL && !tls_context_ask_client(context, settings->clients))
		goto fail;
	if (settings->ticket_lifetime > 0 && settings->clients == NULL)
		tls_context_tickets(context, settings->ticket_lifetime);
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
	context->profile = profile_find(pool->profile);
	context->ctx = wolfSSL_CTX_new(wolfSSLv23_client_method());
	if (context->ctx == NULL)
		goto fail;
	set_common_rules(context->ctx);
	if (!tls_profile_apply(context->ctx, context->profile, false, text))
		goto fail;
	snprintf(text, 256, "the TLS library does not take the key device");
	if (wolfSSL_CTX_SetDevId(context->ctx, TLS_KEY_DEVICE) != WOLFSSL_SUCCESS)
		goto fail;
	wolfSSL_CTX_NoTicketTLSv12(context->ctx);
	wolfSSL_CTX_no_ticket_TLSv13(context->ctx);
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
