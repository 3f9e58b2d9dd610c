/* tls_profile - tells the library what a profile allows.
 * Invariants: each suite is looked up alone before the list is set, since the library drops a name that it does not know
 * without a word (of groups and signature algorithms it refuses the list); lists are set once, since it mixes what is left
 * of one into the next; nothing is left to its defaults, which contain anonymous suites.
 * Its server takes no heed of a list of signature algorithms: which of them a client may insist on is for the gate to
 * say (gate.h). The least size of RSA keys is looked at where a certificate is verified. RFC 9325 4, 8446 9.1.
 */
#include "frontend/tls_internal.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

#define LIST_MAX 1024

/* The library numbers groups as IANA does. */
_Static_assert(WOLFSSL_ECC_SECP256R1 == 23 && WOLFSSL_ECC_SECP384R1 == 24 &&
		       WOLFSSL_ECC_SECP521R1 == 25 && WOLFSSL_ECC_X25519 == 29 &&
		       WOLFSSL_ECC_X448 == 30 && WOLFSSL_FFDHE_2048 == 256 &&
		       WOLFSSL_FFDHE_3072 == 257,
	       "numbers of groups");
_Static_assert(WOLFSSL_TLSV1_1 - PROFILE_TLS11 == WOLFSSL_TLSV1_3 - PROFILE_TLS13,
	       "versions in order");

struct name_list {
	char text[LIST_MAX];
	size_t len;
};

static void add_name(struct name_list *list, const char *name)
{
	int len = snprintf(list->text + list->len, sizeof(list->text) - list->len, "%s%s",
			   list->len > 0 ? ":" : "", name);

	list->len += (size_t)len;
	assert(list->len < sizeof(list->text));
}

static bool refuse(char text[256], const struct profile *profile, const char *what)
{
	snprintf(text, 256, "the TLS library does not take %s of profile \"%s\"", what,
		 profile->name);
	return false;
}

static bool set_versions(WOLFSSL_CTX *ctx, const struct profile *profile)
{
	return wolfSSL_CTX_SetMinVersion(ctx, profile->min - PROFILE_TLS11 + WOLFSSL_TLSV1_1) ==
		       WOLFSSL_SUCCESS &&
	       wolfSSL_CTX_set_max_proto_version(ctx, profile->max) == WOLFSSL_SUCCESS;
}

/* Whether the library has the suite, and means the same by its name. */
static bool suite_known(const struct profile_suite *suite)
{
	unsigned char first, second;
	int flags;

	return wolfSSL_get_cipher_suite_from_name(suite->library, &first, &second, &flags) == 0 &&
	       (first << 8 | second) == suite->number;
}

static bool set_suites(WOLFSSL_CTX *ctx, const struct profile *profile, char text[256])
{
	struct name_list list = { .len = 0 };

	for (size_t i = 0; profile->suites[i] != NULL; i++) {
		if (!suite_known(profile->suites[i]))
			return refuse(text, profile, profile->suites[i]->iana);
		add_name(&list, profile->suites[i]->library);
	}
	return wolfSSL_CTX_set_cipher_list(ctx, list.text) == WOLFSSL_SUCCESS ||
	       refuse(text, profile, "the suites");
}

/* A server of TLS 1.2 goes by the names alone; whoever else by the numbers. */
static bool set_groups(WOLFSSL_CTX *ctx, const struct profile *profile, bool server, char text[256])
{
	struct name_list list = { .len = 0 };
	int numbers[WOLFSSL_MAX_GROUP_COUNT], count = 0;

	for (size_t i = 0; profile->groups[i] != NULL; i++) {
		assert(count < WOLFSSL_MAX_GROUP_COUNT);
		numbers[count++] = profile->groups[i]->number;
		add_name(&list, profile->groups[i]->name);
	}
	return ((!server || wolfSSL_CTX_set1_curves_list(ctx, list.text) == WOLFSSL_SUCCESS) &&
		wolfSSL_CTX_set_groups(ctx, numbers, count) == WOLFSSL_SUCCESS) ||
	       refuse(text, profile, "the groups");
}

static bool set_signatures(WOLFSSL_CTX *ctx, const struct profile *profile, char text[256])
{
	struct name_list list = { .len = 0 };

	for (size_t i = 0; profile->sigalgs[i] != NULL; i++)
		add_name(&list, profile->sigalgs[i]->library);
	return wolfSSL_CTX_set1_sigalgs_list(ctx, list.text) == WOLFSSL_SUCCESS ||
	       refuse(text, profile, "the signature algorithms");
}

bool tls_profile_apply(WOLFSSL_CTX *ctx, const struct profile *profile, bool server, char text[256])
{
	if (!set_versions(ctx, profile))
		return refuse(text, profile, "the versions");
	if (wolfSSL_CTX_SetMinRsaKey_Sz(ctx, (short)profile->rsa_bits) != WOLFSSL_SUCCESS)
		return refuse(text, profile, "the size of RSA keys");
	return set_suites(ctx, profile, text) && set_groups(ctx, profile, server, text) &&
	       set_signatures(ctx, profile, text);
}

bool tls_profile_check(const struct profile *profile, char text[256])
{
	WOLFSSL_CTX *ctx = wolfSSL_CTX_new(wolfSSLv23_server_method());
	bool taken;

	snprintf(text, 256, "out of memory");
	taken = ctx != NULL && tls_profile_apply(ctx, profile, true, text);
	wolfSSL_CTX_free(ctx);
	return taken;
}
