/* tls_library - the TLS library in a process: its memory, its seed, its start and end.
 * Invariants: every block is wiped when it is freed; random numbers come from the kernel without a file being opened.
 */
#include "frontend/tls_internal.h"
#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/curve25519.h>
#include <wolfssl/wolfcrypt/random.h>

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* ---- memory --------------------------------------------------------------------------------------------------------- */

/* Each block begins with its size, so that it can be wiped when it is freed, and with who is to hear of that. */
union block_head {
	struct {
		size_t size;
		struct tls_block *noted_by;
	};
	max_align_t align;
};

/* What wolfSSL 5.5.4 loses in each handshake of TLS 1.3 whose client asks for the status of the certificate, where there is an answer: the
 * parts of a DecodedCert that it frees without FreeDecodedCert(), and its copy of the response. All of it is the session's; a process
 * has one thread that calls the library. */
static struct {
	struct tls_block *blocks; /* to note those of that size in; NULL: none */
	size_t size;
	struct tls_block *awaited; /* a certificate has been taken apart: the next of that size */
	DecodedCert *parsed;       /* the latest, not yet taken apart */
	int (*parse)(DecodedCert *, int, int, void *);
	void (*take_apart)(DecodedCert *);
} lost;

static void *wiping_malloc(size_t size)
{
	union block_head *head = size < SIZE_MAX / 2 ? malloc(sizeof(*head) + size) : NULL;

	if (head == NULL)
		return NULL;
	head->size = size;
	head->noted_by = NULL;
	if (lost.awaited != NULL && size == lost.size) {
		*lost.awaited = (struct tls_block) { head + 1, true };
		head->noted_by = lost.awaited;
		lost.awaited = NULL;
	}
	return head + 1;
}

static void wiping_free(void *block)
{
	union block_head *head = block;

	if (block == NULL)
		return;
	if (block == lost.parsed) {
		lost.parsed = NULL;
		lost.take_apart(block);
	}
	head--;
	if (head->noted_by != NULL)
		head->noted_by->block = NULL;
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

void tls_blocks_note(struct tls_block *blocks, size_t size)
{
	lost.blocks = blocks;
	lost.size = size;
	lost.awaited = NULL;
}

void tls_blocks_free(struct tls_block *blocks)
{
	for (int i = 0; i < TLS_BLOCKS; i++)
		wiping_free(blocks[i].block);
}

static void await_block(void)
{
	int i = 0;

	while (i < TLS_BLOCKS && lost.blocks[i].seen)
		i++;
	lost.awaited = i < TLS_BLOCKS ? &lost.blocks[i] : NULL;
}

/* These two take the place of the library's own, which they call. */
int ParseCert(DecodedCert *certificate, int type, int verify, void *cm)
{
	lost.parsed = certificate;
	if (lost.blocks != NULL)
		await_block();
	return lost.parse(certificate, type, verify, cm);
}

void FreeDecodedCert(DecodedCert *certificate)
{
	if (certificate == lost.parsed)
		lost.parsed = NULL;
	lost.take_apart(certificate);
}

/* ---- points of X25519 ------------------------------------------------------------------------------------------------ */

static int (*check_x25519)(const byte *, word32, int);

/* Takes the place of the library's own, which it calls: that lets through the two points of order 8, with which every exchange comes to
 * zero (RFC 7748 6.1, RFC 8446 7.4.2, RFC 8422 5.11). Least significant octet first, as TLS has them. */
int wc_curve25519_check_public(const byte *pub, word32 pubSz, int endian)
{
	static const byte weak[][CURVE25519_KEYSIZE] = {
		{ 0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3,
		  0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
		  0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00 },
		{ 0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1,
		  0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c,
		  0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57 },
	};

	for (size_t i = 0; i < sizeof(weak) / sizeof(weak[0]); i++)
		if (pubSz == CURVE25519_KEYSIZE && memcmp(pub, weak[i], pubSz) == 0)
			return ECC_BAD_ARG_E;
	return check_x25519(pub, pubSz, endian);
}

/* ---- what is looked up ------------------------------------------------------------------------------------------------ */

static bool find_library(void *pointer, const char *name)
{
	void *symbol = dlsym(RTLD_NEXT, name);

	memcpy(pointer, &symbol, sizeof(symbol)); /* a function's address through a void pointer */
	return symbol != NULL;
}

/* ---- seed ----------------------------------------------------------------------------------------------------------- */

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

/* ---- the process ---------------------------------------------------------------------------------------------------- */

int tls_init(void)
{
	if (!find_library(&lost.parse, "ParseCert") ||
	    !find_library(&lost.take_apart, "FreeDecodedCert") ||
	    !find_library(&check_x25519, "wc_curve25519_check_public"))
		return -1;
	if (wolfSSL_SetAllocators(wiping_malloc, wiping_free, wiping_realloc) != 0)
		return -1;
	if (key_library_init() != 0 || wolfSSL_Init() != WOLFSSL_SUCCESS || !seed_works())
		return -1;
	return tls_key_device_start();
}

void tls_cleanup(void)
{
	tls_key_device_stop();
	wolfSSL_Cleanup();
}

const char *tls_version(void)
{
	static char text[32];

	if (text[0] == '\0')
		snprintf(text, sizeof(text), "wolfSSL-%s", wolfSSL_lib_version());
	return text;
}
