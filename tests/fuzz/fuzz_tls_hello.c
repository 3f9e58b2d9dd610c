/* fuzz_tls_hello - a client's first message. Input that begins as a handshake record is taken as it is, and behind a first
 * octet of 0 anything is; else the rest is one message, to be cut into records of as many octets as the first says.
 * Invariants: what is in the answer lies within the bytes; a prefix tells the same or wants more; in whatever records a
 * message comes, it says the same.
 */
#include "protocols/tls_hello.h"
#include "tests/fuzz/require.h"
#include <string.h>

static bool within(const void *part, size_t len, const void *whole, size_t size)
{
	return len == 0 || ((uintptr_t)part >= (uintptr_t)whole &&
			    (uintptr_t)part + len <= (uintptr_t)whole + size);
}

static void check_span(const struct tls_hello *hello, struct span span, const uint8_t *data,
		       size_t len)
{
	REQUIRE(within(span.data, span.len, data, len) ||
		within(span.data, span.len, hello->joined, sizeof(hello->joined)));
}

static void check_list(const struct tls_hello *hello, struct tls_hello_list list, bool present,
		       const uint8_t *data, size_t len)
{
	REQUIRE(present == (list.count > 0));
	check_span(hello, (struct span) { (const char *)list.data, 2 * list.count }, data, len);
}

static void check_iterations(const struct tls_hello *hello)
{
	struct span name;
	uint16_t group;
	size_t at = 0, names = 0;

	for (; tls_hello_alpn_next(hello, &at, &name); names++)
		REQUIRE(name.len > 0 &&
			within(name.data, name.len, hello->alpn.data, hello->alpn.len));
	REQUIRE(at == hello->alpn.len && hello->alpn_present == (names > 0));
	for (at = 0; tls_hello_share_next(hello, &at, &group);)
		REQUIRE(at <= hello->shares.len);
	REQUIRE(at == hello->shares.len);
}

static void check_done(const struct tls_hello *hello, const uint8_t *data, size_t len)
{
	REQUIRE(hello->used <= len && hello->used <= TLS_HELLO_MAX &&
		hello->legacy_version >= 0x0300);
	REQUIRE(hello->session_id_len <= 32 && hello->compression.len > 0);
	check_span(hello, hello->compression, data, len);
	check_span(hello, hello->sni_bytes, data, len);
	check_list(hello, hello->suites, true, data, len);
	check_list(hello, hello->versions, hello->versions_present, data, len);
	check_list(hello, hello->groups, hello->groups_present, data, len);
	check_list(hello, hello->sigalgs, hello->sigalgs_present, data, len);
	check_list(hello, hello->sigalgs_cert, hello->sigalgs_cert_present, data, len);
	check_iterations(hello);
	REQUIRE(strlen(hello->sni) <= TLS_HELLO_NAME_MAX);
	REQUIRE((hello->sni[0] != '\0') == hello->sni_valid);
	REQUIRE(!hello->sni_valid || hello->sni_present);
	for (const char *c = hello->sni; *c != '\0'; c++)
		REQUIRE(strchr("abcdefghijklmnopqrstuvwxyz0123456789-_.", *c) != NULL);
}

static enum tls_hello_result parse(const uint8_t *data, size_t len, struct tls_hello *out)
{
	enum tls_hello_result result = tls_hello_parse(data, len, out);

	if (result == TLS_HELLO_DONE)
		check_done(out, data, len);
	REQUIRE((result == TLS_HELLO_NOT_TLS) == (out->instead != TLS_INSTEAD_NOTHING));
	if (result == TLS_HELLO_BROKEN || result == TLS_HELLO_TOO_LONG)
		REQUIRE(out->alert >= TLS_ALERT_UNEXPECTED_MESSAGE);
	return result;
}

static void check_prefixes(const uint8_t *data, size_t len, enum tls_hello_result whole)
{
	static struct tls_hello hello;
	size_t step = len / 256 + 1;

	for (size_t shown = 0; shown < len; shown += step) {
		/* A copy, so that a read past its end is seen. */
		uint8_t *copy = malloc(shown);
		enum tls_hello_result result;

		memcpy(copy, data, shown);
		result = parse(copy, shown, &hello);
		REQUIRE(result == TLS_HELLO_MORE || result == whole);
		free(copy);
	}
}

static size_t cut(uint8_t *out, const uint8_t *message, size_t len, size_t size)
{
	size_t used = 0;

	for (size_t at = 0, piece; at < len; at += piece) {
		piece = len - at < size ? len - at : size;
		memcpy(out + used, (uint8_t[]) { 22, 3, 1, (uint8_t)(piece >> 8), (uint8_t)piece },
		       5);
		memcpy(out + used + 5, message + at, piece);
		used += 5 + piece;
	}
	return used;
}

/* What a hello says, without where it lies. */
static bool same(const struct tls_hello *a, const struct tls_hello *b)
{
	return a->legacy_version == b->legacy_version && a->session_id_len == b->session_id_len &&
	       a->suites.count == b->suites.count && a->versions.count == b->versions.count &&
	       a->groups.count == b->groups.count && a->sigalgs.count == b->sigalgs.count &&
	       a->sigalgs_cert.count == b->sigalgs_cert.count && a->alpn.len == b->alpn.len &&
	       a->shares.len == b->shares.len && strcmp(a->sni, b->sni) == 0 && a->ems == b->ems &&
	       a->status_request == b->status_request && a->ticket == b->ticket &&
	       a->ticket_len == b->ticket_len && a->psk == b->psk && a->psk_dhe == b->psk_dhe &&
	       a->early_data == b->early_data && a->renegotiation_info == b->renegotiation_info &&
	       (a->alpn.len == 0 || memcmp(a->alpn.data, b->alpn.data, a->alpn.len) == 0) &&
	       memcmp(a->suites.data, b->suites.data, 2 * a->suites.count) == 0;
}

/* Whether more follows the message in what is given as one. */
static bool has_more(const uint8_t *message, size_t len)
{
	return len > 4 &&
	       len - 4 > ((size_t)message[1] << 16 | (size_t)message[2] << 8 | message[3]);
}

static void check_records(const uint8_t *message, size_t len, size_t size)
{
	static struct tls_hello one, many;
	static uint8_t whole[TLS_HELLO_MAX], pieces[TLS_HELLO_MAX];
	size_t cut_len = len + 5 * ((len + size - 1) / size);
	enum tls_hello_result result;

	if (len == 0 || cut_len > TLS_HELLO_MAX || has_more(message, len))
		return;
	cut(whole, message, len, SIZE_MAX);
	cut(pieces, message, len, size);
	result = parse(whole, len + 5, &one);
	REQUIRE(parse(pieces, cut_len, &many) == result);
	if (result == TLS_HELLO_DONE)
		REQUIRE(same(&one, &many));
	if (result == TLS_HELLO_BROKEN)
		REQUIRE(one.alert == many.alert);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct tls_hello hello;

	if (len < 1)
		return 0;
	if (data[0] != 0 && data[0] != 22) {
		check_records(data + 1, len - 1, data[0]);
		return 0;
	}
	if (data[0] == 0) {
		data++;
		len--;
	}
	check_prefixes(data, len, parse(data, len, &hello));
	return 0;
}
