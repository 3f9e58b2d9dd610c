/* tls - wolfSSL behind one gate, with our own I/O, allocator and private-key device.
 * The only file that includes wolfSSL's headers. See tls.h for the invariants.
 */
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/error-ssl.h>
#include <wolfssl/wolfcrypt/cryptocb.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/error-crypt.h>
#include <wolfssl/wolfcrypt/random.h>
#include <wolfssl/wolfcrypt/rsa.h>

#include "frontend/key.h"
#include "frontend/tls.h"
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define KEY_DEVICE   1 /* of the library's crypto callback */
#define NAME_MAX_LEN 255

struct tls_context {
	WOLFSSL_CTX *ctx;
	struct key *key; /* of a server; NULL for a client */
	bool verify;     /* of a client: the backend's certificate and name */
};

struct tls {
	WOLFSSL *ssl;
	bool server, verify_address;
	struct buffer *in, *out; /* only while a call is under way */
	int error;
	struct tls_facts facts;
	char name[NAME_MAX_LEN + 1]; /* server: the client's SNI; client: the name to verify */
};

/* ---- the library's allocator -------------------------------------------------------------------------------------- */

/* Each block begins with its size, so that it can be wiped when it is freed. */
union block_head {
	size_t size;
	max_align_t align;
};

static void *wiping_malloc(size_t size)
{
	union block_head *head = size < SIZE_MAX / 2 ? malloc(sizeof(*head) + size) : NULL;

	if (head == NULL)
		return NULL;
	head->size = size;
	return head + 1;
}

static void wiping_free(void *block)
{
	union block_head *head = block;

	if (block == NULL)
		return;
	head--;
	explicit_bzero(head, sizeof(*head) + head->size);
	free(head);
}

static void *wiping_realloc(void *block, size_t size)
{
	void *fresh = wiping_malloc(size);
	size_t old = block ? ((union block_head *)block - 1)->size : 0;

	if (fresh == NULL)
		return NULL;
	if (block != NULL)
		memcpy(fresh, block, old < size ? old : size);
	wiping_free(block);
	return fresh;
}

/* ---- the library's seed --------------------------------------------------------------------------------------------- */

static bool seed_is_ours;

/* Takes the place of the library's own function, which opens /dev/urandom for each session and each certificate: a
 * confined worker opens nothing. */
int wc_GenerateSeed(OS_Seed *os, byte *seed, word32 sz)
{
	seed_is_ours = true;
	for (word32 done = 0; done < sz;) {
		ssize_t got = getrandom(seed + done, sz - done, 0);

		if (got < 0 && errno != EINTR)
			return RAN_BLOCK_E;
		done += got > 0 ? (word32)got : 0;
	}
	return 0;
}

/* Whether the library, as it was built, calls ours. */
static bool seed_works(void)
{
	WC_RNG rng;

	return wc_InitRng(&rng) == 0 && wc_FreeRng(&rng) == 0 && seed_is_ours;
}

/* ---- private keys: the library asks, key_sign() answers ------------------------------------------------------------- */

static const struct key *key_of_id(const byte *id, int len)
{
	unsigned number;

	if (len != (int)sizeof(number))
		return NULL;
	memcpy(&number, id, sizeof(number));
	return key_by_id(number);
}

static int device_result(int done, const uint8_t *result, size_t len, byte *out, word32 *out_len)
{
	if (done != 0 || len > *out_len)
		return WC_HW_E;
	memcpy(out, result, len);
	*out_len = (word32)len;
	return 0;
}

static int device_ecdsa(wc_CryptoInfo *info)
{
	const struct key *key = key_of_id(info->pk.eccsign.key->id, info->pk.eccsign.key->idLen);
	uint8_t result[KEY_SIGNATURE_MAX];
	size_t len;
	int done;

	if (key == NULL)
		return CRYPTOCB_UNAVAILABLE;
	done = key_sign(key, KEY_SIGN_ECDSA, info->pk.eccsign.in, info->pk.eccsign.inlen, result,
			&len);
	return device_result(done, result, len, info->pk.eccsign.out, info->pk.eccsign.outlen);
}

static int device_rsa(wc_CryptoInfo *info)
{
	const struct key *key = key_of_id(info->pk.rsa.key->id, info->pk.rsa.key->idLen);
	uint8_t result[KEY_SIGNATURE_MAX];
	size_t len;
	int done;

	if (key == NULL)
		return CRYPTOCB_UNAVAILABLE;
	switch (info->pk.rsa.type) {
	case RSA_PRIVATE_ENCRYPT:
		done = key_sign(key, KEY_SIGN_RSA, info->pk.rsa.in, info->pk.rsa.inLen, result,
				&len);
		break;
	case RSA_PUBLIC_DECRYPT:
	case RSA_PUBLIC_ENCRYPT:
		done = key_rsa_public(key, info->pk.rsa.in, info->pk.rsa.inLen, result, &len);
		break;
	default: /* no suite of ours decrypts with the key */
		return WC_HW_E;
	}
	return device_result(done, result, len, info->pk.rsa.out, info->pk.rsa.outLen);
}

static int device_callback(int id, wc_CryptoInfo *info, void *unused)
{
	if (info->algo_type != WC_ALGO_TYPE_PK)
		return CRYPTOCB_UNAVAILABLE;
	if (info->pk.type == WC_PK_TYPE_ECDSA_SIGN)
		return device_ecdsa(info);
	if (info->pk.type == WC_PK_TYPE_RSA)
		return device_rsa(info);
	return CRYPTOCB_UNAVAILABLE;
}

/* ---- the library's I/O ---------------------------------------------------------------------------------------------- */

static int library_receive(WOLFSSL *ssl, char *data, int size, void *arg)
{
	struct tls *tls = arg;
	size_t len = buffer_len(tls->in);

	if (len == 0)
		return WOLFSSL_CBIO_ERR_WANT_READ;
	if (len > (size_t)size)
		len = (size_t)size;
	memcpy(data, buffer_data(tls->in), len);
	buffer_consume(tls->in, len);
	return (int)len;
}

/* Takes all, always; the session stops feeding the library long before the queue is full. */
static int library_send(WOLFSSL *ssl, char *data, int size, void *arg)
{
	struct tls *tls = arg;

	return buffer_append(tls->out, data, (size_t)size) ? size : WOLFSSL_CBIO_ERR_GENERAL;
}

/* ---- the process ---------------------------------------------------------------------------------------------------- */

int tls_init(void)
{
	if (wolfSSL_SetAllocators(wiping_malloc, wiping_free, wiping_realloc) != 0)
		return -1;
	if (key_library_init() != 0 || wolfSSL_Init() != WOLFSSL_SUCCESS || !seed_works())
		return -1;
	return wc_CryptoCb_RegisterDevice(KEY_DEVICE, device_callback, NULL) == 0 ? 0 : -1;
}

void tls_cleanup(void)
{
	wc_CryptoCb_UnRegisterDevice(KEY_DEVICE);
	wolfSSL_Cleanup();
}

const char *tls_version(void)
{
	static char text[32];

	if (text[0] == '\0')
		snprintf(text, sizeof(text), "wolfSSL-%s", wolfSSL_lib_version());
	return text;
}

/* ---- contexts ------------------------------------------------------------------------------------------------------- */

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
	       wolfSSL_CTX_SetDevId(ctx, KEY_DEVICE) == WOLFSSL_SUCCESS;
}

static bool set_common_rules(WOLFSSL_CTX *ctx)
{
	wolfSSL_CTX_SetIORecv(ctx, library_receive);
	wolfSSL_CTX_SetIOSend(ctx, library_send);
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

static bool load_chain(struct tls_context *context, const struct config_certificate *certificate)
{
	unsigned id = key_id(context->key);

	return wolfSSL_CTX_use_certificate_chain_buffer(context->ctx, certificate->chain_pem.data,
							(long)certificate->chain_pem.len) ==
		       WOLFSSL_SUCCESS &&
	       wolfSSL_CTX_use_PrivateKey_Id(context->ctx, (const unsigned char *)&id, sizeof(id),
					     KEY_DEVICE) == WOLFSSL_SUCCESS;
}

struct tls_context *tls_context_server(const struct config_certificate *certificate, char text[256])
{
	struct tls_context *context = calloc(1, sizeof(*context));

	snprintf(text, 256, "out of memory");
	if (context == NULL)
		return NULL;
	context->key = key_new(certificate->key_pem.data, certificate->key_pem.len,
			       certificate->chain_pem.data, certificate->chain_pem.len, text);
	if (context->key == NULL)
		goto fail;
	snprintf(text, 256, "the TLS library does not take the suites, groups or key device");
	context->ctx = wolfSSL_CTX_new(wolfSSLv23_server_method());
	if (context->ctx == NULL || !set_common_rules(context->ctx) ||
	    !set_server_rules(context->ctx))
		goto fail;
	wolfSSL_CTX_set_servername_callback(context->ctx, servername_seen);
	snprintf(text, 256, "the TLS library does not take the certificate chain");
	if (load_chain(context, certificate))
		return context;
fail:
	tls_context_free(context);
	return NULL;
}

struct tls_context *tls_context_client(const struct config_pool *pool, char text[256])
{
	struct tls_context *context = calloc(1, sizeof(*context));

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
	tls_context_free(context);
	return NULL;
}

void tls_context_free(struct tls_context *context)
{
	if (context == NULL)
		return;
	wolfSSL_CTX_free(context->ctx);
	key_free(context->key);
	free(context);
}

/* ---- one leg of a session ------------------------------------------------------------------------------------------- */

static struct tls *tls_new(const struct tls_context *context, bool server)
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
	wolfSSL_SetIOReadCtx(tls->ssl, tls);
	wolfSSL_SetIOWriteCtx(tls->ssl, tls);
	return tls;
}

struct tls *tls_accept_new(const struct tls_context *context)
{
	return tls_new(context, true);
}

static bool is_address(const char *name)
{
	unsigned char bytes[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

struct tls *tls_connect_new(const struct tls_context *context, const char *name)
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
	explicit_bzero(tls, sizeof(*tls));
	free(tls);
}

/* In TLS 1.2 the library takes whatever group the client names, whatever it was told to offer. */
static bool group_allowed(const struct tls *tls)
{
	const char *group = wolfSSL_get_curve_name(tls->ssl);

	return !tls->server || group == NULL || strcmp(group, "X25519") == 0 ||
	       strcmp(group, "SECP256R1") == 0;
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
	void *name = NULL;
	unsigned short len;

	tls->facts.version = wolfSSL_get_version(tls->ssl);
	tls->facts.cipher = iana_name(tls->ssl);
	tls->facts.group = group ? group : "";
	tls->facts.resumed = wolfSSL_session_reused(tls->ssl) == 1;
	tls->facts.bits =
		(unsigned)wolfSSL_CIPHER_get_bits(wolfSSL_get_current_cipher(tls->ssl), NULL);
	if (!tls->server)
		return;
	len = wolfSSL_SNI_GetRequest(tls->ssl, WOLFSSL_SNI_HOST_NAME, &name);
	if (name != NULL && len <= NAME_MAX_LEN)
		memcpy(tls->name, name, len);
}

/* Nothing of the flight with the wrong group has left the queue yet: an alert goes in its place. */
static void refuse_group(struct tls *tls)
{
	static const unsigned char handshake_failure[] = { 21, 3, 3, 0, 2, 2, 40 };

	buffer_clear(tls->out);
	buffer_append(tls->out, handshake_failure, sizeof(handshake_failure));
	tls->error = ECC_CURVE_ERROR;
}

/* The one way into the library for a session: what packs idle sessions away will unpack here. */
static int tls_gate(struct tls *tls, enum gate_call call, void *data, int len)
{
	int result = 0;

	switch (call) {
	case GATE_HANDSHAKE:
		result = tls->server ? wolfSSL_accept(tls->ssl) : wolfSSL_connect(tls->ssl);
		if (!group_allowed(tls)) {
			refuse_group(tls);
			return -1;
		}
		break;
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
		tls->error = wolfSSL_get_error(tls->ssl, result);
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
		return TLS_DONE;
	}
	/* Error 0: the library lost a blocked write (TLS 1.3); the call is simply repeated. */
	if (tls->error == WOLFSSL_ERROR_WANT_READ || tls->error == 0)
		return TLS_AGAIN;
	return TLS_FAILED;
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
