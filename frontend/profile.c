/* profile - the table of TLS profiles.
 * Invariants: what no row may have is not in this file at all: SSL, TLS 1.0, NULL, EXPORT, anonymous, RC4, MD5, and static RSA
 * or Diffie-Hellman.
 */
#include "frontend/profile.h"

#include <assert.h>
#include <string.h>

/* ---- suites: https://www.iana.org/assignments/tls-parameters ---- */

#define KEY_ANY (PROFILE_KEY_RSA | PROFILE_KEY_ECDSA | PROFILE_KEY_ED25519)

#define SUITE13(id, number, iana, library)                                                         \
	static const struct profile_suite id = { number,        iana,          library,            \
						 PROFILE_TLS13, PROFILE_TLS13, KEY_ANY }
#define SUITE12(id, number, iana, library, keys)                                                   \
	static const struct profile_suite id = { number,        iana,          library,            \
						 PROFILE_TLS12, PROFILE_TLS12, keys }
#define SUITE11(id, number, iana, library, keys)                                                   \
	static const struct profile_suite id = { number,        iana,          library,            \
						 PROFILE_TLS11, PROFILE_TLS12, keys }

SUITE13(aes128_13, 0x1301, "TLS_AES_128_GCM_SHA256", "TLS13-AES128-GCM-SHA256");
SUITE13(aes256_13, 0x1302, "TLS_AES_256_GCM_SHA384", "TLS13-AES256-GCM-SHA384");
SUITE13(chacha_13, 0x1303, "TLS_CHACHA20_POLY1305_SHA256", "TLS13-CHACHA20-POLY1305-SHA256");
SUITE12(ecdsa_aes128, 0xc02b, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
	"ECDHE-ECDSA-AES128-GCM-SHA256", PROFILE_KEY_ECDSA);
SUITE12(ecdsa_aes256, 0xc02c, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
	"ECDHE-ECDSA-AES256-GCM-SHA384", PROFILE_KEY_ECDSA);
SUITE12(ecdsa_chacha, 0xcca9, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
	"ECDHE-ECDSA-CHACHA20-POLY1305", PROFILE_KEY_ECDSA);
SUITE12(ecdsa_cbc128_sha256, 0xc023, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
	"ECDHE-ECDSA-AES128-SHA256", PROFILE_KEY_ECDSA);
SUITE12(ecdsa_cbc256_sha384, 0xc024, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384",
	"ECDHE-ECDSA-AES256-SHA384", PROFILE_KEY_ECDSA);
SUITE11(ecdsa_cbc128, 0xc009, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "ECDHE-ECDSA-AES128-SHA",
	PROFILE_KEY_ECDSA);
SUITE11(ecdsa_cbc256, 0xc00a, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "ECDHE-ECDSA-AES256-SHA",
	PROFILE_KEY_ECDSA);
SUITE11(ecdsa_des3, 0xc008, "TLS_ECDHE_ECDSA_WITH_3DES_EDE_CBC_SHA", "ECDHE-ECDSA-DES-CBC3-SHA",
	PROFILE_KEY_ECDSA);
SUITE12(rsa_aes128, 0xc02f, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256",
	PROFILE_KEY_RSA);
SUITE12(rsa_aes256, 0xc030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
	PROFILE_KEY_RSA);
SUITE12(rsa_chacha, 0xcca8, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
	"ECDHE-RSA-CHACHA20-POLY1305", PROFILE_KEY_RSA);
SUITE12(rsa_cbc128_sha256, 0xc027, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
	"ECDHE-RSA-AES128-SHA256", PROFILE_KEY_RSA);
SUITE12(rsa_cbc256_sha384, 0xc028, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384",
	"ECDHE-RSA-AES256-SHA384", PROFILE_KEY_RSA);
SUITE11(rsa_cbc128, 0xc013, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "ECDHE-RSA-AES128-SHA",
	PROFILE_KEY_RSA);
SUITE11(rsa_cbc256, 0xc014, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "ECDHE-RSA-AES256-SHA",
	PROFILE_KEY_RSA);
SUITE11(rsa_des3, 0xc012, "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", "ECDHE-RSA-DES-CBC3-SHA",
	PROFILE_KEY_RSA);
SUITE12(dhe_aes128, 0x009e, "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", "DHE-RSA-AES128-GCM-SHA256",
	PROFILE_KEY_RSA);
SUITE12(dhe_aes256, 0x009f, "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384", "DHE-RSA-AES256-GCM-SHA384",
	PROFILE_KEY_RSA);
SUITE12(dhe_chacha, 0xccaa, "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
	"DHE-RSA-CHACHA20-POLY1305", PROFILE_KEY_RSA);
SUITE12(dhe_cbc128_sha256, 0x0067, "TLS_DHE_RSA_WITH_AES_128_CBC_SHA256", "DHE-RSA-AES128-SHA256",
	PROFILE_KEY_RSA);
SUITE12(dhe_cbc256_sha256, 0x006b, "TLS_DHE_RSA_WITH_AES_256_CBC_SHA256", "DHE-RSA-AES256-SHA256",
	PROFILE_KEY_RSA);
SUITE11(dhe_cbc128, 0x0033, "TLS_DHE_RSA_WITH_AES_128_CBC_SHA", "DHE-RSA-AES128-SHA",
	PROFILE_KEY_RSA);
SUITE11(dhe_cbc256, 0x0039, "TLS_DHE_RSA_WITH_AES_256_CBC_SHA", "DHE-RSA-AES256-SHA",
	PROFILE_KEY_RSA);
SUITE11(dhe_des3, 0x0016, "TLS_DHE_RSA_WITH_3DES_EDE_CBC_SHA", "EDH-RSA-DES-CBC3-SHA",
	PROFILE_KEY_RSA);

/* ---- groups and signature algorithms ---- */

static const struct profile_group x25519 = { 29, "X25519", "X25519" };
static const struct profile_group p256 = { 23, "P-256", "SECP256R1" };
static const struct profile_group p384 = { 24, "P-384", "SECP384R1" };
static const struct profile_group p521 = { 25, "P-521", "SECP521R1" };
static const struct profile_group x448 = { 30, "X448", "X448" };
static const struct profile_group ffdhe2048 = { 256, "ffdhe2048", "FFDHE_2048" };
static const struct profile_group ffdhe3072 = { 257, "ffdhe3072", "FFDHE_3072" };

static const struct profile_sigalg ecdsa_sha256 = { 0x0403, "ecdsa_secp256r1_sha256",
						    "ECDSA+SHA256", PROFILE_KEY_ECDSA,
						    PROFILE_KEY_P256 };
static const struct profile_sigalg ecdsa_sha384 = { 0x0503, "ecdsa_secp384r1_sha384",
						    "ECDSA+SHA384", PROFILE_KEY_ECDSA,
						    PROFILE_KEY_P384 };
static const struct profile_sigalg ecdsa_sha512 = { 0x0603, "ecdsa_secp521r1_sha512",
						    "ECDSA+SHA512", PROFILE_KEY_ECDSA,
						    PROFILE_KEY_P521 };
static const struct profile_sigalg ed25519 = { 0x0807, "ed25519", "ED25519", 0,
					       PROFILE_KEY_ED25519 };
static const struct profile_sigalg pss_sha256 = { 0x0804, "rsa_pss_rsae_sha256", "RSA-PSS+SHA256",
						  PROFILE_KEY_RSA, PROFILE_KEY_RSA };
static const struct profile_sigalg pss_sha384 = { 0x0805, "rsa_pss_rsae_sha384", "RSA-PSS+SHA384",
						  PROFILE_KEY_RSA, PROFILE_KEY_RSA };
static const struct profile_sigalg pss_sha512 = { 0x0806, "rsa_pss_rsae_sha512", "RSA-PSS+SHA512",
						  PROFILE_KEY_RSA, PROFILE_KEY_RSA };
static const struct profile_sigalg rsa_sha256 = { 0x0401, "rsa_pkcs1_sha256", "RSA+SHA256",
						  PROFILE_KEY_RSA, 0 };
static const struct profile_sigalg rsa_sha384 = { 0x0501, "rsa_pkcs1_sha384", "RSA+SHA384",
						  PROFILE_KEY_RSA, 0 };
static const struct profile_sigalg rsa_sha512 = { 0x0601, "rsa_pkcs1_sha512", "RSA+SHA512",
						  PROFILE_KEY_RSA, 0 };
static const struct profile_sigalg ecdsa_sha1 = { 0x0203, "ecdsa_sha1", "ECDSA+SHA1",
						  PROFILE_KEY_ECDSA, 0 };
static const struct profile_sigalg rsa_sha1 = { 0x0201, "rsa_pkcs1_sha1", "RSA+SHA1",
						PROFILE_KEY_RSA, 0 };

/* ---- lists ---- */

#define SUITES(...)  ((const struct profile_suite *const[]) { __VA_ARGS__, NULL })
#define GROUPS(...)  ((const struct profile_group *const[]) { __VA_ARGS__, NULL })
#define SIGALGS(...) ((const struct profile_sigalg *const[]) { __VA_ARGS__, NULL })

#define SUITES_13 &aes128_13, &aes256_13, &chacha_13
/* RFC 9325 4.2: the four with AES-GCM; ChaCha20 (RFC 7905) for clients without AES in hardware. */
#define SUITES_12_AEAD                                                                             \
	&ecdsa_aes128, &rsa_aes128, &ecdsa_aes256, &rsa_aes256, &ecdsa_chacha, &rsa_chacha
#define SUITES_CBC                                                                                 \
	&ecdsa_cbc128_sha256, &rsa_cbc128_sha256, &ecdsa_cbc256_sha384, &rsa_cbc256_sha384,        \
		&ecdsa_cbc128, &rsa_cbc128, &ecdsa_cbc256, &rsa_cbc256
#define SUITES_DHE                                                                                 \
	&dhe_aes128, &dhe_aes256, &dhe_chacha, &dhe_cbc128_sha256, &dhe_cbc256_sha256,             \
		&dhe_cbc128, &dhe_cbc256

#define SIGALGS_ECDSA &ecdsa_sha256, &ecdsa_sha384, &ecdsa_sha512
#define SIGALGS_RSA   &pss_sha256, &pss_sha384, &pss_sha512, &rsa_sha256, &rsa_sha384, &rsa_sha512
/* TLS 1.3 signs with these only; PKCS #1 may stand in certificates (RFC 8446 4.2.3). */
#define KEYS_COMMON (PROFILE_KEY_RSA | PROFILE_KEY_P256 | PROFILE_KEY_P384)

static const struct profile profiles[PROFILES] = {
	/* RFC 9325: 3.1.1 versions, 4.1 and 4.2 suites, 4.2 groups, 4.5 key lengths. P-384 is left to who asks for it: the library
	 * needs milliseconds for it, which strangers would spend for us. */
	[PROFILE_MODERN] = {
		.name = "modern", .standard = "RFC 9325",
		.min = PROFILE_TLS12, .max = PROFILE_TLS13,
		.suites = SUITES(SUITES_13, SUITES_12_AEAD),
		.groups = GROUPS(&x25519, &p256),
		.sigalgs = SIGALGS(SIGALGS_ECDSA, &ed25519, SIGALGS_RSA),
		.rsa_bits = 2048, .keys = KEYS_COMMON | PROFILE_KEY_ED25519,
		.listener = true,
	},
	/* RFC 8446 alone; RFC 9325 3.7 on unknown names (ALPACA). */
	[PROFILE_STRICT] = {
		.name = "strict", .standard = "RFC 9325, TLS 1.3 only",
		.min = PROFILE_TLS13, .max = PROFILE_TLS13,
		.suites = SUITES(SUITES_13),
		.groups = GROUPS(&x25519, &p256),
		.sigalgs = SIGALGS(SIGALGS_ECDSA, &ed25519, SIGALGS_RSA),
		.rsa_bits = 2048, .keys = KEYS_COMMON | PROFILE_KEY_ED25519,
		.refuse_unknown = true, .listener = true,
	},
	/* SP 800-52r2: 3.1 versions, 3.2 keys and hashes, 3.3.1 suites, 3.4 groups. It permits CBC and DHE suites as well, but
	 * prefers these (and leaves out ChaCha20, X25519 and Ed25519, which it does not know). */
	[PROFILE_NIST] = {
		.name = "nist", .standard = "NIST SP 800-52r2",
		.min = PROFILE_TLS12, .max = PROFILE_TLS13,
		.suites = SUITES(&aes128_13, &aes256_13, &ecdsa_aes128, &rsa_aes128, &ecdsa_aes256,
				 &rsa_aes256),
		.groups = GROUPS(&p256, &p384),
		.sigalgs = SIGALGS(SIGALGS_ECDSA, SIGALGS_RSA),
		.rsa_bits = 2048, .keys = KEYS_COMMON,
		.listener = true,
	},
	/* B1-1 versions (since 2.1 TLS 1.2 is only "sufficient"), B2-1 to B2-4 suites, B5-1 groups; RSA of 2048 is only
	 * "sufficient". */
	[PROFILE_NCSC] = {
		.name = "ncsc", .standard = "NCSC-NL IT Security Guidelines for TLS 2.1, \"good\"",
		.min = PROFILE_TLS13, .max = PROFILE_TLS13,
		.suites = SUITES(&aes256_13, &chacha_13, &aes128_13),
		.groups = GROUPS(&x25519, &p256, &p384, &x448),
		.sigalgs = SIGALGS(SIGALGS_ECDSA, &ed25519, SIGALGS_RSA),
		.rsa_bits = 3072, .keys = KEYS_COMMON | PROFILE_KEY_ED25519,
		.listener = true,
	},
	/* Versions newer than the rules are welcome. CBC suites: TLS 1.1 has nothing else, and forward secrecy is kept by ECDHE.
	 * TLS 1.1 signs with MD5 and SHA-1 together and knows no other way (RFC 4346 7.4.3); 1.2 never does here. */
	[PROFILE_TES] = {
		.name = "tes", .standard = "Trusted Email Services, 2016",
		.min = PROFILE_TLS11, .max = PROFILE_TLS13,
		.suites = SUITES(SUITES_13, SUITES_12_AEAD, SUITES_CBC),
		.groups = GROUPS(&x25519, &p256, &p384),
		.sigalgs = SIGALGS(SIGALGS_ECDSA, &ed25519, SIGALGS_RSA),
		.rsa_bits = 2048, .keys = KEYS_COMMON | PROFILE_KEY_ED25519,
		.listener = true,
		.warning = "profile = \"tes\" accepts TLS 1.1, which RFC 8996 forbids",
	},
	/* RFC 9325's versions with all of TLS 1.2 that keeps forward secrecy: stores of ten years ago. */
	[PROFILE_COMPATIBLE] = {
		.name = "compatible", .standard = "TLS 1.2 with forward secrecy",
		.min = PROFILE_TLS12, .max = PROFILE_TLS13,
		.suites = SUITES(SUITES_13, SUITES_12_AEAD, SUITES_CBC, SUITES_DHE),
		.groups = GROUPS(&x25519, &p256, &p384, &p521, &x448, &ffdhe2048, &ffdhe3072),
		.sigalgs = SIGALGS(SIGALGS_ECDSA, &ed25519, SIGALGS_RSA, &ecdsa_sha1, &rsa_sha1),
		.rsa_bits = 1024, .keys = KEY_ANY,
		.sha1 = true,
	},
	/* As low as the library goes: it has no TLS 1.0 and no static RSA. */
	[PROFILE_LEGACY] = {
		.name = "legacy", .standard = "none",
		.min = PROFILE_TLS11, .max = PROFILE_TLS13,
		.suites = SUITES(SUITES_13, SUITES_12_AEAD, SUITES_CBC, SUITES_DHE, &ecdsa_des3,
				 &rsa_des3, &dhe_des3),
		.groups = GROUPS(&x25519, &p256, &p384, &p521, &x448, &ffdhe2048, &ffdhe3072),
		.sigalgs = SIGALGS(SIGALGS_ECDSA, &ed25519, SIGALGS_RSA, &ecdsa_sha1, &rsa_sha1),
		.rsa_bits = 512, .keys = KEY_ANY,
		.sha1 = true,
		.warning = "profile = \"legacy\" goes as low as TLS 1.1, 3DES and small keys, which RFC 8996 "
			   "and RFC 9325 forbid",
	},
};

const struct profile *profile_find(int id)
{
	assert(id >= 0 && id < PROFILES);
	return &profiles[id];
}

bool profile_suite_has_mac(const struct profile_suite *suite)
{
	return strstr(suite->iana, "_CBC_") != NULL;
}

const struct profile_suite *profile_suite(const struct profile *profile, uint16_t number)
{
	for (size_t i = 0; profile->suites[i] != NULL; i++)
		if (profile->suites[i]->number == number)
			return profile->suites[i];
	return NULL;
}

const struct profile_group *profile_group(const struct profile *profile, uint16_t number)
{
	for (size_t i = 0; profile->groups[i] != NULL; i++)
		if (profile->groups[i]->number == number)
			return profile->groups[i];
	return NULL;
}

const struct profile_sigalg *profile_sigalg(const struct profile *profile, uint16_t number)
{
	for (size_t i = 0; profile->sigalgs[i] != NULL; i++)
		if (profile->sigalgs[i]->number == number)
			return profile->sigalgs[i];
	return NULL;
}

const struct profile_group *profile_group_named(const struct profile *profile, const char *library)
{
	for (size_t i = 0; profile->groups[i] != NULL; i++)
		if (strcmp(profile->groups[i]->library, library) == 0)
			return profile->groups[i];
	return NULL;
}
