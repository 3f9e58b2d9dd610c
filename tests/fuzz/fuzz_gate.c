/* fuzz_gate - what becomes of any first message, by every profile and mode of ALPN. The corpus is that of tls_hello.
 * Invariants: who is let on speaks a version and gets a certificate that the profile allows and the hello offers; who is
 * refused hears an alert and is told apart in the log; what a narrower profile lets on, the wider one does too, in the same version.
 */
#include "frontend/gate.h"
#include "tests/support/book_made.h"
#include "tests/fuzz/require.h"
#include <string.h>

static const struct {
	enum book_kind kind;
	uint32_t bits, flags;
	const char *name;
} entries[] = {
	{ BOOK_RSA, 2048, 0, "mail.example.test" },
	{ BOOK_P256, 256, 0, "mail.example.test" },
	{ BOOK_P384, 384, 0, "mail.example.test" },
	{ BOOK_ED25519, 256, 0, "mail.example.test" },
	{ BOOK_RSA, 1024, 0, "small.example.test" },
	{ BOOK_P256, 256, BOOK_BAD, "bad.example.test" },
	{ BOOK_RSA, 4096, 0, "*.wild.example.test" },
};

static struct book *make_book(void)
{
	struct book_writer *writer = book_writer_new();

	for (uint8_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		uint8_t id[BOOK_ID_LEN] = { (uint8_t)(i + 1) };
		struct book_entry entry = {
			.kind = entries[i].kind,
			.bits = entries[i].bits,
			.flags = entries[i].flags,
			.spki = id,
			.leaf = SPAN(
				"\x30\x0e\x30\x00\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"),
			.chain = SPAN("chain"),
			.names = { entries[i].name, strlen(entries[i].name) + 1 },
			.file = "postern.conf",
			.path = "chain.pem",
		};

		REQUIRE(book_writer_add(writer, &entry, false));
	}
	return book_made(writer);
}

static void check_accepted(const struct gate_rules *rules, const struct tls_hello *hello,
			   const struct gate_verdict *verdict)
{
	const struct profile *profile = rules->profile;
	enum book_kind kind;

	REQUIRE(verdict->version >= profile->min && verdict->version <= profile->max);
	REQUIRE(tls_hello_offers(hello, verdict->version));
	REQUIRE(verdict->entry < sizeof(entries) / sizeof(entries[0]));
	kind = entries[verdict->entry].kind;
	REQUIRE(entries[verdict->entry].flags == 0);
	REQUIRE(kind != BOOK_RSA || entries[verdict->entry].bits >= (uint32_t)profile->rsa_bits);
	REQUIRE(kind != BOOK_ED25519 ||
		(verdict->version == PROFILE_TLS13 && (profile->keys & PROFILE_KEY_ED25519)));
	REQUIRE(verdict->alpn == NULL || verdict->alpn == rules->alpn_id);
	REQUIRE(!verdict->alpn_ignored ||
		(rules->alpn == GATE_ALPN_COMPAT && hello->alpn_present && verdict->alpn == NULL));
	REQUIRE(rules->alpn != GATE_ALPN_REQUIRE || verdict->alpn != NULL);
}

static bool decide(struct gate_rules rules, int profile, const struct book *book,
		   const struct tls_hello *hello, struct gate_verdict *out)
{
	bool accepted;

	rules.profile = profile_find(profile);
	accepted = gate_decide(&rules, book, hello, out);
	if (accepted)
		check_accepted(&rules, hello, out);
	else
		REQUIRE(out->alert != 0 && out->reason[0] != '\0');
	return accepted;
}

static void check_wider(const struct gate_rules *rules, int narrow, int wide,
			const struct book *book, const struct tls_hello *hello)
{
	struct gate_verdict one, other;

	if (!decide(*rules, narrow, book, hello, &one))
		return;
	REQUIRE(decide(*rules, wide, book, hello, &other));
	REQUIRE(one.version == other.version);
	/* before TLS 1.3 further suites may go with a better kind of key */
	REQUIRE(one.version < PROFILE_TLS13 || one.entry == other.entry);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const ids[] = { "imap", "pop3", NULL };
	static struct tls_hello hello;
	static struct book *book;
	struct gate_verdict verdict;

	if (book == NULL)
		book = make_book();
	if (tls_hello_parse(data, len, &hello) != TLS_HELLO_DONE)
		return 0;
	for (size_t i = 0; i < 18; i++) {
		const struct gate_rules rules = {
			.refuse_unknown = i % 2,
			.alpn = (int)(i / 2 % 3),
			.alpn_id = ids[i / 6],
		};

		for (int profile = 0; profile_find(profile)->listener; profile++)
			decide(rules, profile, book, &hello, &verdict);
		check_wider(&rules, PROFILE_MODERN, PROFILE_TES, book, &hello);
		check_wider(&rules, PROFILE_STRICT, PROFILE_MODERN, book, &hello);
	}
	return 0;
}
