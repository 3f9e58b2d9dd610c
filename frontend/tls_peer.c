/* tls_peer - see tls_peer.h. The library shows each certificate of a chain to the callback, the client's own last. */
#include "frontend/tls_peer.h"
#include <stdlib.h>
#include <string.h>

static char *copy_of(struct span text)
{
	return text.len > 0 ? strndup(text.data, text.len) : NULL;
}

/* Who it is in the log: the first address, else the subject. */
static struct span name_of(const struct client_identity *identity)
{
	return span_of(identity->address_count > 0 ? identity->addresses[0] : identity->subject);
}

static void judge(const struct client_rules *rules, const WOLFSSL_X509_STORE_CTX *store,
		  struct client_certificate *out)
{
	struct client_identity *identity = calloc(1, sizeof(*identity));
	struct client_chain chain = { .count = 0 };

	out->status = CLIENT_CERTIFICATE_UNVERIFIED;
	out->fault = store->totalCerts > CLIENT_CHAIN_MAX ? "too_long" : "out_of_memory";
	if (identity != NULL && store->totalCerts <= CLIENT_CHAIN_MAX) {
		for (; chain.count < (size_t)store->totalCerts; chain.count++) {
			chain.items[chain.count].data = store->certs[chain.count].buffer;
			chain.items[chain.count].len = store->certs[chain.count].length;
		}
		out->fault = client_trust_judge(rules->trust, &chain, identity);
	}
	if (out->fault == NULL) {
		out->status = CLIENT_CERTIFICATE_VERIFIED;
		out->name = copy_of(name_of(identity));
		out->user = copy_of(client_users_find(rules->users, identity));
	}
	free(identity);
}

static int seen(int fine, WOLFSSL_X509_STORE_CTX *store)
{
	struct tls *tls = store->userCtx;

	if (store->totalCerts == 0) /* the library knows what that means */
		return fine;
	if (store->error_depth > 0)
		return 1;
	judge(tls->rules, store, tls->client);
	return tls->client->fault == NULL || !tls->rules->required;
}

/* Names for clients of TLS 1.2; and for the library, whose alert then tells an expired certificate from a stranger's. Only a
 * few: the names of hundreds would not fit a record. One that the library cannot read is left out: it is the judge's to know. */
static void show_authorities(WOLFSSL_CTX *ctx, const struct client_trust *trust)
{
	unsigned char *der;
	size_t len;

	if (client_trust_authority(trust, CLIENT_AUTHORITIES_SHOWN, &der, &len)) {
		client_trust_der_free(der);
		return;
	}
	for (size_t i = 0; client_trust_authority(trust, i, &der, &len); i++) {
		WOLFSSL_X509 *one =
			wolfSSL_X509_load_certificate_buffer(der, (int)len, WOLFSSL_FILETYPE_ASN1);

		wolfSSL_CTX_load_verify_buffer(ctx, der, (long)len, WOLFSSL_FILETYPE_ASN1);
		if (one != NULL)
			wolfSSL_CTX_add_client_CA(ctx, one);
		wolfSSL_X509_free(one);
		client_trust_der_free(der);
	}
}

bool tls_context_ask_client(struct tls_context *context, const struct client_rules *rules)
{
	int mode = WOLFSSL_VERIFY_PEER;

	if (rules->required)
		mode |= WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	wolfSSL_CTX_set_verify(context->ctx, mode, seen);
	context->rules = rules;
	show_authorities(context->ctx, rules->trust);
	/* Without it the library sends no alert in TLS 1.2. */
	return wolfSSL_CTX_mutual_auth(context->ctx, rules->required) == 0;
}

bool tls_peer_begin(struct tls *tls)
{
	tls->client = calloc(1, sizeof(*tls->client));
	if (tls->client == NULL)
		return false;
	wolfSSL_SetCertCbCtx(tls->ssl, tls);
	return true;
}

const char *tls_peer_failure(const struct tls *tls)
{
	if (tls->client == NULL)
		return NULL;
	if (tls->client->fault != NULL && tls->rules->required)
		return "client_certificate";
	return tls->error == NO_PEER_CERT ? "no_client_certificate" : NULL;
}

struct client_certificate *tls_take_client_certificate(struct tls *tls)
{
	struct client_certificate *client = tls->client;

	tls->client = NULL;
	return client;
}

void client_certificate_free(struct client_certificate *client)
{
	if (client == NULL)
		return;
	free(client->name);
	free(client->user);
	free(client);
}
