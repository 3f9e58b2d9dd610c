/* signer - see signer.h. */
#include "tests/support/signer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS_MAX 16

static struct key *keys[KEYS_MAX];
static size_t count;

static int sign(void *unused, const uint8_t id[KEY_ID_LEN], enum key_algorithm algorithm,
		const uint8_t *in, size_t len, uint8_t *out, size_t *out_len)
{
	for (size_t i = 0; i < count; i++) {
		uint8_t name[KEY_ID_LEN];

		key_spki_hash(keys[i], name);
		if (memcmp(name, id, KEY_ID_LEN) == 0)
			return key_sign(keys[i], algorithm, in, len, out, out_len);
	}
	return -1;
}

static void must(bool well, const char *why)
{
	if (well)
		return;
	fprintf(stderr, "signer: %s\n", why);
	abort();
}

static struct tls_context *make(const struct pem_pair *pair, const struct profile *profile,
				uint32_t flags)
{
	const struct book_entry certificate = { .chain = span_of(pair->chain), .flags = flags };
	const struct tls_server_settings settings = { .profile = profile,
						      .certificate = &certificate };
	char why[256] = "too many keys";
	struct tls_context *context;

	must(count < KEYS_MAX, why);
	keys[count] = key_from_pem((const uint8_t *)pair->key, strlen(pair->key), why);
	must(keys[count] != NULL, why);
	count++;
	tls_sign_by(&(struct tls_signer) { .sign = sign });
	context = tls_context_server(&settings, why);
	must(context != NULL, why);
	return context;
}

struct tls_context *signer_context(const struct pem_pair *pair, const struct profile *profile)
{
	return make(pair, profile, 0);
}

struct tls_context *signer_token_context(const struct pem_pair *pair, const struct profile *profile)
{
	return make(pair, profile, BOOK_TOKEN);
}

bool signer_sign(const struct tls_request *request, uint8_t out[KEY_SIGNATURE_MAX], size_t *len)
{
	return sign(NULL, request->id, request->algorithm, request->in, request->len, out, len) ==
	       0;
}

void signer_forget(void)
{
	while (count > 0)
		key_free(keys[--count]);
	tls_sign_by(NULL);
}
