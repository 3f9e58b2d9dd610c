/* test_tls_hello - a client's first message: its records, its fields, and every way to get them wrong. Each case is read
 * whole, at every prefix, and cut into records of many sizes, always against an unreadable page. */
#include "protocols/tls_hello.h"
#include "tests/support/guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

struct bytes {
	size_t len;
	uint8_t data[3 * TLS_HELLO_MAX];
};

static struct tls_hello hello;

/* ---- making hellos -------------------------------------------------------------------------------------------------- */

static void put(struct bytes *to, const void *data, size_t len)
{
	assert_true(to->len + len <= sizeof(to->data));
	memcpy(to->data + to->len, data, len);
	to->len += len;
}

static void put_number(struct bytes *to, size_t value, size_t width)
{
	while (width-- > 0)
		put(to, &(uint8_t) { (uint8_t)(value >> (8 * width)) }, 1);
}

/* Pairs of hexadecimal digits and blanks; what stands in 'quotes' is text. */
static void put_hex(struct bytes *to, const char *hex)
{
	for (bool quoted = false; *hex != '\0'; hex++) {
		char digits[] = { hex[0], hex[1], '\0' };

		if (*hex == '\'') {
			quoted = !quoted;
		} else if (quoted) {
			put(to, hex, 1);
		} else if (*hex != ' ') {
			put_number(to, strtoul(digits, NULL, 16), 1);
			hex++;
		}
	}
}

static void put_vector(struct bytes *to, const char *hex, size_t width)
{
	static struct bytes inner;

	inner.len = 0;
	put_hex(&inner, hex);
	put_number(to, inner.len, width);
	put(to, inner.data, inner.len);
}

struct parts {
	const char *version, *session_id, *suites, *compression;
	const char *extensions; /* NULL: not even their length */
};

#define USUAL(...) ((struct parts) { "0303", "", "1301 c02b", "00", .extensions = __VA_ARGS__ })

static void put_message(struct bytes *to, struct parts parts)
{
	static struct bytes body;

	body.len = 0;
	put_hex(&body, parts.version);
	for (size_t i = 0; i < 32; i++)
		put_number(&body, i, 1);
	put_vector(&body, parts.session_id, 1);
	put_vector(&body, parts.suites, 2);
	put_vector(&body, parts.compression, 1);
	if (parts.extensions != NULL)
		put_vector(&body, parts.extensions, 2);
	put_number(to, 1, 1);
	put_number(to, body.len, 3);
	put(to, body.data, body.len);
}

static void put_records(struct bytes *to, const struct bytes *message, size_t size)
{
	for (size_t at = 0; at < message->len; at += size) {
		size_t len = message->len - at < size ? message->len - at : size;

		put_hex(to, "16 0301");
		put_number(to, len, 2);
		put(to, message->data + at, len);
	}
}

/* ---- reading them --------------------------------------------------------------------------------------------------- */

static enum tls_hello_result parse_prefix(const struct bytes *bytes, size_t len)
{
	char *data = guard_copy(bytes->data, len);
	enum tls_hello_result result;

	/* What is left from before must not be taken for an answer. */
	memset(&hello, 0xa5, sizeof(hello));
	result = tls_hello_parse((const uint8_t *)data, len, &hello);
	guard_free(data, len);
	return result;
}

/* A prefix is either not enough, or enough to tell what the whole is. */
static enum tls_hello_result parse(const struct bytes *bytes)
{
	enum tls_hello_result whole = parse_prefix(bytes, bytes->len), early = TLS_HELLO_MORE;
	enum tls_instead instead = hello.instead;
	enum tls_alert alert = hello.alert;

	for (size_t len = 0; len <= bytes->len; len++) {
		enum tls_hello_result result = parse_prefix(bytes, len);

		assert_true(result == early || result == whole);
		early = result;
		if (result == TLS_HELLO_BROKEN || result == TLS_HELLO_TOO_LONG)
			assert_int_equal(hello.alert, alert);
		if (result == TLS_HELLO_NOT_TLS)
			assert_int_equal(hello.instead, instead);
		if (result == TLS_HELLO_DONE)
			assert_int_equal(len, bytes->len);
	}
	return whole;
}

static enum tls_hello_result parse_hex(const char *hex)
{
	static struct bytes bytes;

	bytes.len = 0;
	put_hex(&bytes, hex);
	return parse(&bytes);
}

/* In one record and in many: the answer is the same. Spans are looked at in what stays of the last one. */
static enum tls_hello_result parse_parts(struct parts parts)
{
	static const size_t sizes[] = { 1, 2, 3, 5, 41, RAND_MAX };
	static struct bytes message, bytes;
	enum tls_hello_result result = TLS_HELLO_MORE;

	message.len = 0;
	put_message(&message, parts);
	for (size_t i = 0; i < COUNT(sizes); i++) {
		enum tls_hello_result was = result;
		enum tls_alert alert = hello.alert;

		bytes.len = 0;
		put_records(&bytes, &message, sizes[i]);
		result = parse(&bytes);
		if (i > 0)
			assert_int_equal(result, was);
		if (i > 0 && result == TLS_HELLO_BROKEN)
			assert_int_equal(hello.alert, alert);
	}
	assert_int_equal(tls_hello_parse(bytes.data, bytes.len, &hello), result);
	assert_true(result != TLS_HELLO_DONE || hello.used == bytes.len);
	return result;
}

static void assert_broken(struct parts parts, enum tls_alert alert)
{
	assert_int_equal(parse_parts(parts), TLS_HELLO_BROKEN);
	assert_int_equal(hello.alert, alert);
}

/* ---- what is no hello ----------------------------------------------------------------------------------------------- */

static void what_is_not_tls_is_told_apart(void **state)
{
	static const struct {
		const char *hex;
		enum tls_instead instead;
	} cases[] = {
		{ "'EHLO client.example.test' 0d0a", TLS_INSTEAD_TEXT },
		{ "'a1 LOGIN'", TLS_INSTEAD_TEXT },
		{ "'G'", TLS_INSTEAD_NOTHING },
		{ "'GE'", TLS_INSTEAD_NOTHING },
		{ "'GET'", TLS_INSTEAD_NOTHING },
		{ "'GET /'", TLS_INSTEAD_HTTP },
		{ "'PRI * HTTP/2.0' 0d0a0d0a", TLS_INSTEAD_HTTP },
		{ "'POST / HTTP/1.1'", TLS_INSTEAD_HTTP },
		{ "'POSTAL'", TLS_INSTEAD_TEXT },
		{ "0d0a", TLS_INSTEAD_TEXT },
		{ "80", TLS_INSTEAD_NOTHING },
		{ "802e", TLS_INSTEAD_NOTHING },
		{ "802e 01 0002 0015 0000 0010", TLS_INSTEAD_SSL2 },
		{ "802e 01 0301", TLS_INSTEAD_SSL2 },
		{ "802e 04 0002", TLS_INSTEAD_OTHER },
		{ "ff ff ff ff", TLS_INSTEAD_OTHER },
		{ "15", TLS_INSTEAD_NOTHING },
		{ "15 0301 0002 0228", TLS_INSTEAD_ALERT },
		{ "15 02", TLS_INSTEAD_OTHER },
		{ "16 02", TLS_INSTEAD_OTHER },
		{ "00", TLS_INSTEAD_OTHER },
		{ "14 0303 0001 01", TLS_INSTEAD_OTHER },
		{ "17 0303 0010", TLS_INSTEAD_OTHER },
		{ "7f", TLS_INSTEAD_OTHER },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		bool more = cases[i].instead == TLS_INSTEAD_NOTHING;

		assert_int_equal(parse_hex(cases[i].hex),
				 more ? TLS_HELLO_MORE : TLS_HELLO_NOT_TLS);
		assert_int_equal(hello.instead, cases[i].instead);
	}
}

/* RFC 8446 5.1. */
static void records_and_the_messages_header_are_checked(void **state)
{
	static const struct {
		const char *hex;
		enum tls_alert alert;
	} cases[] = {
		{ "16 0301 0000", TLS_ALERT_UNEXPECTED_MESSAGE },
		{ "16 0301 4001", TLS_ALERT_RECORD_OVERFLOW },
		{ "16 0301 ffff", TLS_ALERT_RECORD_OVERFLOW },
		{ "16 0301 0001 00", TLS_ALERT_UNEXPECTED_MESSAGE },
		{ "16 0301 0004 02 000000", TLS_ALERT_UNEXPECTED_MESSAGE },
		{ "16 0301 0001 01 16 0301 0000", TLS_ALERT_UNEXPECTED_MESSAGE },
		{ "16 0301 0001 01 17", TLS_ALERT_UNEXPECTED_MESSAGE },
		{ "16 0301 0001 01 15 0301 0002 0100", TLS_ALERT_UNEXPECTED_MESSAGE },
		{ "16 0301 0001 01 14 0303 0001 01", TLS_ALERT_UNEXPECTED_MESSAGE },
		{ "16 0301 0001 01 16 0401", TLS_ALERT_PROTOCOL_VERSION },
		{ "16 0301 0006 01 000001 'xy'", TLS_ALERT_UNEXPECTED_MESSAGE },
		{ "16 0301 0003 01 0000 16 0301 0003 01 'xy'", TLS_ALERT_UNEXPECTED_MESSAGE },
		{ "16 0301 0004 01 000000", TLS_ALERT_DECODE_ERROR },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(parse_hex(cases[i].hex), TLS_HELLO_BROKEN);
		assert_int_equal(hello.alert, cases[i].alert);
	}
	assert_int_equal(parse_hex("16 0301 0004 01 000100"), TLS_HELLO_MORE);
	assert_int_equal(parse_hex("16 0301 4000 00 02 ff"), TLS_HELLO_TOO_LONG);
	assert_int_equal(parse_hex("16 0301 0004 01 003ff8"), TLS_HELLO_TOO_LONG);
	assert_int_equal(parse_hex("16 0301 0004 01 ffffff"), TLS_HELLO_TOO_LONG);
	assert_int_equal(hello.alert, TLS_ALERT_ILLEGAL_PARAMETER);
}

/* A hello with a padding extension (RFC 7685), so that on the wire it takes this much. */
static void make_padded(struct bytes *bytes, size_t total, size_t record)
{
	static struct bytes message, body;
	size_t len = record < RAND_MAX ? total : total - 5;

	message.len = body.len = 0;
	put_hex(&body, "0303 ");
	for (size_t i = 0; i < 32; i++)
		put_number(&body, i, 1);
	put_hex(&body, "00 0002 1301 01 00");
	put_number(&body, len - 4 - body.len - 2, 2);
	put_hex(&body, "0015");
	put_number(&body, len - 4 - body.len - 2, 2);
	while (body.len < len - 4)
		put_number(&body, 0, 1);
	put_number(&message, 1, 1);
	put_number(&message, body.len, 3);
	put(&message, body.data, body.len);
	bytes->len = 0;
	put_records(bytes, &message, record);
}

static void a_hello_has_at_most_16_kib_on_the_wire(void **state)
{
	static struct bytes bytes;

	make_padded(&bytes, TLS_HELLO_MAX, RAND_MAX);
	assert_int_equal(bytes.len, TLS_HELLO_MAX);
	assert_int_equal(parse_prefix(&bytes, bytes.len), TLS_HELLO_DONE);
	assert_int_equal(parse_prefix(&bytes, bytes.len - 1), TLS_HELLO_MORE);
	make_padded(&bytes, TLS_HELLO_MAX + 1, RAND_MAX);
	assert_int_equal(parse_prefix(&bytes, bytes.len), TLS_HELLO_TOO_LONG);
	assert_int_equal(parse_prefix(&bytes, 9), TLS_HELLO_TOO_LONG);

	/* In records of one octet each of them takes six. */
	make_padded(&bytes, TLS_HELLO_MAX / 6, 1);
	assert_int_equal(parse_prefix(&bytes, bytes.len), TLS_HELLO_DONE);
	make_padded(&bytes, TLS_HELLO_MAX / 6 + 1, 1);
	assert_int_equal(parse_prefix(&bytes, bytes.len), TLS_HELLO_TOO_LONG);
}

static void what_comes_behind_the_hellos_records_is_not_looked_at(void **state)
{
	static struct bytes bytes, message;
	size_t used;

	bytes.len = message.len = 0;
	put_message(&message, USUAL("0017 0000"));
	put_records(&bytes, &message, 20);
	used = bytes.len;
	put_hex(&bytes, "14 0303 0001 01 17 ffff");
	for (size_t len = 0; len <= bytes.len; len++)
		assert_int_equal(parse_prefix(&bytes, len),
				 len < used ? TLS_HELLO_MORE : TLS_HELLO_DONE);
	assert_int_equal(hello.used, used);
	assert_true(hello.ems);
}

/* Also where bytes of the next records follow. */
static void many_records_are_made_one(void **state)
{
	static struct bytes message, bytes, one;
	static const char behind[] = "behind";

	message.len = one.len = 0;
	put_message(&message, USUAL("0017 0000 0010 0007 0005 04 'imap'"));
	put_records(&one, &message, RAND_MAX);
	put(&one, behind, sizeof(behind));
	for (size_t size = 1; size <= message.len; size++) {
		size_t dropped;

		bytes.len = 0;
		put_records(&bytes, &message, size);
		put(&bytes, behind, sizeof(behind));
		assert_int_equal(tls_hello_parse(bytes.data, bytes.len, &hello), TLS_HELLO_DONE);
		assert_int_equal(hello.message.len, message.len);
		assert_memory_equal(hello.message.data, message.data, message.len);
		dropped = tls_hello_join(bytes.data, &hello);
		assert_int_equal(bytes.len - dropped, one.len);
		assert_memory_equal(bytes.data + dropped, one.data, one.len);
	}
}

/* ---- fields --------------------------------------------------------------------------------------------------------- */

static void a_hello_without_extensions(void **state)
{
	struct parts parts = { "0302", "'0123456789abcdef0123456789abcdef'", "002f 00ff", "01 00",
			       NULL };

	assert_int_equal(parse_parts(parts), TLS_HELLO_DONE);
	assert_int_equal(hello.legacy_version, 0x0302);
	assert_int_equal(hello.session_id_len, 32);
	assert_int_equal(hello.suites.count, 2);
	assert_int_equal(tls_hello_at(hello.suites, 0), 0x002f);
	assert_true(tls_hello_has(hello.suites, 0x00ff) && !tls_hello_has(hello.suites, 0x2f00));
	assert_true(hello.renegotiation_info);
	assert_int_equal(hello.compression.len, 2);
	assert_false(hello.sni_present || hello.alpn_present || hello.versions_present ||
		     hello.groups_present || hello.sigalgs_present || hello.sigalgs_cert_present ||
		     hello.shares_present || hello.status_request || hello.ticket || hello.psk ||
		     hello.ems || hello.early_data);
	assert_string_equal(hello.sni, "");
	assert_int_equal(hello.groups.count, 0);
	assert_false(tls_hello_alpn_next(&hello, &(size_t) { 0 }, &(struct span) { 0 }));
	assert_false(tls_hello_share_next(&hello, &(size_t) { 0 }, &(uint16_t) { 0 }));
	parts.extensions = "";
	assert_int_equal(parse_parts(parts), TLS_HELLO_DONE);
}

static void all_extensions_that_we_know(void **state)
{
	struct span name;
	uint16_t group;
	size_t at = 0;

	assert_int_equal(parse_parts(USUAL(
				 "dada 0000  0000 0016 0014 00 0011 'Mail.Example.Test'  0017 0000 "
				 "ff01 0001 00 "
				 "000a 0008 0006 2a2a 001d 0017  000b 0002 01 00  0023 0002 abcd "
				 "0010 000d 000b 05 'imap4' 04 'imap'  0005 0005 01 0000 0000 "
				 "000d 0006 0004 0403 0804  0032 0004 0002 0401 "
				 "0033 000e 000c 2a2a 0001 00 0100 0003 'key'  002d 0002 01 01 "
				 "002b 0007 06 3a3a 0304 0303  0015 0003 000000  002a 0000 "
				 "0029 002f 000a 0004 'tick' 00000000 0021 20 "
				 "'binderbinderbinderbinderbinderbi'")),
			 TLS_HELLO_DONE);
	assert_true(hello.sni_present && hello.sni_valid);
	assert_string_equal(hello.sni, "mail.example.test");
	assert_true(span_is(hello.sni_bytes, "Mail.Example.Test"));
	assert_true(hello.ems && hello.renegotiation_info && hello.ticket && hello.status_request);
	assert_true(hello.psk && hello.psk_dhe && hello.early_data);
	assert_int_equal(hello.ticket_len, 2);
	assert_true(hello.groups_present && tls_hello_has(hello.groups, 0x001d));
	assert_int_equal(hello.groups.count, 3);
	assert_true(hello.sigalgs_present && tls_hello_has(hello.sigalgs, 0x0804));
	assert_true(hello.sigalgs_cert_present && hello.sigalgs_cert.count == 1);
	assert_int_equal(tls_hello_at(hello.versions, 0), 0x3a3a);
	assert_true(tls_hello_offers(&hello, 0x0304) && tls_hello_offers(&hello, 0x0303));
	assert_false(tls_hello_offers(&hello, 0x0302) || tls_hello_offers(&hello, 0x0301));
	assert_true(tls_hello_alpn_next(&hello, &at, &name) && span_is(name, "imap4"));
	assert_true(tls_hello_alpn_next(&hello, &at, &name) && span_is(name, "imap"));
	assert_false(tls_hello_alpn_next(&hello, &at, &name));
	at = 0;
	assert_true(tls_hello_share_next(&hello, &at, &group) && group == 0x2a2a);
	assert_true(tls_hello_share_next(&hello, &at, &group) && group == 0x0100);
	assert_false(tls_hello_share_next(&hello, &at, &group));
}

/* RFC 8446 4.2.1 and appendix D. */
static void versions_are_those_of_the_extension_or_all_up_to_the_field(void **state)
{
	static const struct {
		const char *version, *extensions;
		unsigned offered; /* bits: 1.0, 1.1, 1.2, 1.3 */
	} cases[] = {
		{ "0300", NULL, 0 },
		{ "0301", NULL, 1 },
		{ "0302", NULL, 3 },
		{ "0303", NULL, 7 },
		{ "0304", NULL, 7 },
		{ "0505", NULL, 7 },
		{ "0303", "002b 0003 02 0304", 8 },
		{ "0303", "002b 0003 02 0302", 2 },
		{ "0301", "002b 0005 04 0304 0303", 12 },
		{ "0303", "002b 0003 02 7f1c", 0 },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct parts parts = USUAL(cases[i].extensions);

		parts.version = cases[i].version;
		assert_int_equal(parse_parts(parts), TLS_HELLO_DONE);
		for (uint16_t version = 0; version < 4; version++)
			assert_int_equal(tls_hello_offers(&hello, 0x0301 + version),
					 cases[i].offered >> version & 1);
		assert_false(tls_hello_offers(&hello, 0x0305));
	}
}

static void names_are_judged(void **state)
{
	static const struct {
		const char *hex, *name; /* NULL: not a name */
	} cases[] = {
		{ "'localhost'", "localhost" },
		{ "'MAIL.example.TEST.'", "mail.example.test" },
		{ "'xn--bcher-kva.example'", "xn--bcher-kva.example" },
		{ "'_sub.a-b.example'", "_sub.a-b.example" },
		{ "'1.2.3.4.in-addr.arpa'", "1.2.3.4.in-addr.arpa" },
		{ "'a1'", "a1" },
		{ "'127.0.0.1'", NULL },
		{ "'127.0.0.1.'", NULL },
		{ "'12345'", NULL },
		{ "'::1'", NULL },
		{ "'[::1]'", NULL },
		{ "'.'", NULL },
		{ "'a..b'", NULL },
		{ "'a..'", NULL },
		{ "'.example'", NULL },
		{ "'*.example'", NULL },
		{ "'a b'", NULL },
		{ "'mail' 00 '.example'", NULL },
		{ "'b' c3bc 'cher.example'", NULL },
		{ "'a/b'", NULL },
	};
	char extension[256];

	for (size_t i = 0; i < COUNT(cases); i++) {
		static struct bytes name;

		name.len = 0;
		put_hex(&name, cases[i].hex);
		snprintf(extension, sizeof(extension), "0000 %04zx %04zx 00 %04zx %s", name.len + 5,
			 name.len + 3, name.len, cases[i].hex);
		assert_int_equal(parse_parts(USUAL(extension)), TLS_HELLO_DONE);
		assert_true(hello.sni_present);
		assert_int_equal(hello.sni_valid, cases[i].name != NULL);
		assert_string_equal(hello.sni, cases[i].name ? cases[i].name : "");
		assert_int_equal(hello.sni_bytes.len, name.len);
		assert_memory_equal(hello.sni_bytes.data, name.data, name.len);
	}
}

static void judge_name(const char *name, bool valid)
{
	static struct bytes message, bytes;
	size_t len = strlen(name);
	char extension[400];

	snprintf(extension, sizeof(extension), "0000 %04zx %04zx 00 %04zx '%s'", len + 5, len + 3,
		 len, name);
	message.len = bytes.len = 0;
	put_message(&message, USUAL(extension));
	put_records(&bytes, &message, RAND_MAX);
	assert_int_equal(parse_prefix(&bytes, bytes.len), TLS_HELLO_DONE);
	assert_int_equal(hello.sni_valid, valid);
	assert_string_equal(hello.sni, valid ? name : "");
}

/* Labels of 63, names of 253 octets. */
static void names_have_bounds(void **state)
{
	char name[300] = "";

	for (size_t len = 1; len < 260; len++)
		for (size_t label = 62; label < 65; label++) {
			for (size_t i = 0; i < len; i++)
				name[i] = i % (label + 1) == label ? '.' : 'a';
			name[len] = '\0';
			if (name[len - 1] != '.')
				judge_name(name, len <= 253 && (label < 64 || len < 64));
		}
}

/* ---- what is wrong with it ------------------------------------------------------------------------------------------ */

static void the_fixed_part_is_checked(void **state)
{
	static const struct {
		struct parts parts;
		enum tls_alert alert;
	} cases[] = {
		{ { "0200", "", "1301", "00", "" }, TLS_ALERT_PROTOCOL_VERSION },
		{ { "0000", "", "1301", "00", "" }, TLS_ALERT_PROTOCOL_VERSION },
		{ { "0303", "'0123456789abcdef0123456789abcdef!'", "1301", "00", "" },
		  TLS_ALERT_DECODE_ERROR },
		{ { "0303", "", "", "00", "" }, TLS_ALERT_DECODE_ERROR },
		{ { "0303", "", "13", "00", "" }, TLS_ALERT_DECODE_ERROR },
		{ { "0303", "", "1301 c0", "00", "" }, TLS_ALERT_DECODE_ERROR },
		{ { "0303", "", "1301", "", "" }, TLS_ALERT_DECODE_ERROR },
		{ { "0303", "", "1301", "", NULL }, TLS_ALERT_DECODE_ERROR },
		{ { "0303", "", "c02b", "01", "" }, TLS_ALERT_ILLEGAL_PARAMETER },
		{ { "0303", "", "1301", "01 00", "002b 0003 02 0304" },
		  TLS_ALERT_ILLEGAL_PARAMETER },
	};

	for (size_t i = 0; i < COUNT(cases); i++)
		assert_broken(cases[i].parts, cases[i].alert);
}

static const struct {
	const char *extensions;
	enum tls_alert alert;
} bad_extensions[] = {
	/* RFC 8446 4.2 */
	{ "00", TLS_ALERT_DECODE_ERROR },
	{ "0017", TLS_ALERT_DECODE_ERROR },
	{ "0017 00", TLS_ALERT_DECODE_ERROR },
	{ "0017 0001", TLS_ALERT_DECODE_ERROR },
	{ "0017 0000 00", TLS_ALERT_DECODE_ERROR },
	{ "abcd 0002 00", TLS_ALERT_DECODE_ERROR },
	{ "0017 0000 0017 0000", TLS_ALERT_ILLEGAL_PARAMETER },
	{ "dada 0000 0017 0000 dada 0000", TLS_ALERT_ILLEGAL_PARAMETER },
	/* RFC 6066 3 */
	{ "0000 0000", TLS_ALERT_DECODE_ERROR },
	{ "0000 0002 0000", TLS_ALERT_DECODE_ERROR },
	{ "0000 0005 0003 00 0000", TLS_ALERT_DECODE_ERROR },
	{ "0000 0006 0004 00 0002 'a'", TLS_ALERT_DECODE_ERROR },
	{ "0000 0006 0003 00 0001 'a'", TLS_ALERT_DECODE_ERROR },
	{ "0000 0007 0004 00 0001 'a' 00", TLS_ALERT_DECODE_ERROR },
	{ "0000 0007 0005 00 0001 'a' 00", TLS_ALERT_DECODE_ERROR },
	{ "0000 000a 0008 00 0001 'a' 00 0001 'b'", TLS_ALERT_ILLEGAL_PARAMETER },
	/* RFC 6066 8 */
	{ "0005 0000", TLS_ALERT_DECODE_ERROR },
	{ "0005 0001 01", TLS_ALERT_DECODE_ERROR },
	{ "0005 0006 01 0000 0000 00", TLS_ALERT_DECODE_ERROR },
	{ "0005 0005 01 0001 0000", TLS_ALERT_DECODE_ERROR },
	/* RFC 8446 4.2.7, RFC 8422 5.1.2 */
	{ "000a 0000", TLS_ALERT_DECODE_ERROR },
	{ "000a 0002 0000", TLS_ALERT_DECODE_ERROR },
	{ "000a 0003 0001 00", TLS_ALERT_DECODE_ERROR },
	{ "000a 0004 0004 001d", TLS_ALERT_DECODE_ERROR },
	{ "000a 0006 0002 001d 0017", TLS_ALERT_DECODE_ERROR },
	{ "000b 0000", TLS_ALERT_DECODE_ERROR },
	{ "000b 0001 00", TLS_ALERT_DECODE_ERROR },
	/* RFC 8446 4.2.3 */
	{ "000d 0002 0000", TLS_ALERT_DECODE_ERROR },
	{ "000d 0005 0003 040308", TLS_ALERT_DECODE_ERROR },
	{ "0032 0002 0000", TLS_ALERT_DECODE_ERROR },
	/* RFC 7301 3.1 */
	{ "0010 0000", TLS_ALERT_DECODE_ERROR },
	{ "0010 0002 0000", TLS_ALERT_DECODE_ERROR },
	{ "0010 0003 0001 00", TLS_ALERT_DECODE_ERROR },
	{ "0010 0008 0006 04 'imap' 00", TLS_ALERT_DECODE_ERROR },
	{ "0010 0007 0005 05 'imap'", TLS_ALERT_DECODE_ERROR },
	{ "0010 0008 0005 04 'imap' 00", TLS_ALERT_DECODE_ERROR },
	/* RFC 7627 5.1, RFC 5746 3.6 */
	{ "0017 0001 00", TLS_ALERT_DECODE_ERROR },
	{ "ff01 0000", TLS_ALERT_DECODE_ERROR },
	{ "ff01 0002 00 00", TLS_ALERT_DECODE_ERROR },
	{ "ff01 000d 0c 'verification'", TLS_ALERT_HANDSHAKE_FAILURE },
	/* RFC 8446 4.2.1, 4.2.8 to 4.2.11 */
	{ "002b 0001 00", TLS_ALERT_DECODE_ERROR },
	{ "002b 0002 01 03", TLS_ALERT_DECODE_ERROR },
	{ "002b 0004 02 0304 00", TLS_ALERT_DECODE_ERROR },
	{ "0033 0000", TLS_ALERT_DECODE_ERROR },
	{ "0033 0006 0004 001d 0000", TLS_ALERT_DECODE_ERROR },
	{ "0033 0007 0005 001d 0001 'k'", TLS_ALERT_ILLEGAL_PARAMETER },
	{ "0033 0025 0023 001d 001f 'thirty-one octets are too short'",
	  TLS_ALERT_ILLEGAL_PARAMETER },
	{ "0033 0027 0025 001d 0021 'thirty-three octets are too long!'",
	  TLS_ALERT_ILLEGAL_PARAMETER },
	{ "0033 0027 0025 0017 0021 02 'a point in its compressed form..'",
	  TLS_ALERT_ILLEGAL_PARAMETER },
	{ "0033 0047 0045 0017 0041 06 '0123456789abcdef0123456789abcdef0123456789abcdef"
	  "0123456789abcdef'",
	  TLS_ALERT_ILLEGAL_PARAMETER },
	{ "0033 0007 0005 001d 0002 'k'", TLS_ALERT_DECODE_ERROR },
	{ "0033 0008 0006 0100 0001 'k' 00", TLS_ALERT_DECODE_ERROR },
	{ "002d 0001 00", TLS_ALERT_DECODE_ERROR },
	{ "002a 0001 00", TLS_ALERT_DECODE_ERROR },
	{ "0029 0004 0000 0000", TLS_ALERT_DECODE_ERROR },
	{ "0029 000a 0006 'ticket' 0000", TLS_ALERT_DECODE_ERROR },
	{ "0029 000d 0007 'ticket!' 0002 'xy'", TLS_ALERT_DECODE_ERROR },
	{ "0029 002c 0007 'ticket!' 0021 'binderbinderbinderbinderbinderbin' 0017 0000",
	  TLS_ALERT_ILLEGAL_PARAMETER },
	{ "0029 002d 0007 'ticket!' 0021 'binderbinderbinderbinderbinderbin' 00",
	  TLS_ALERT_DECODE_ERROR },
};

static void extensions_are_checked(void **state)
{
	for (size_t i = 0; i < COUNT(bad_extensions); i++)
		assert_broken(USUAL(bad_extensions[i].extensions), bad_extensions[i].alert);
}

static void what_is_unusual_but_allowed(void **state)
{
	assert_int_equal(parse_parts(USUAL("0033 0002 0000")), TLS_HELLO_DONE);
	assert_true(hello.shares_present);
	assert_int_equal(parse_parts(USUAL("0033 0047 0045 0017 0041 04 "
					   "'0123456789abcdef0123456789abcdef'"
					   "'0123456789abcdef0123456789abcdef'")),
			 TLS_HELLO_DONE);
	assert_int_equal(parse_parts(USUAL("0023 0000")), TLS_HELLO_DONE);
	assert_true(hello.ticket && hello.ticket_len == 0);
	assert_int_equal(parse_parts(USUAL("002d 0003 02 0001")), TLS_HELLO_DONE);
	assert_true(hello.psk_dhe);
	assert_int_equal(parse_parts(USUAL("002d 0002 01 00")), TLS_HELLO_DONE);
	assert_false(hello.psk_dhe);
	assert_int_equal(parse_parts(USUAL("0005 0003 02 abcd")), TLS_HELLO_DONE);
	assert_false(hello.status_request);
	assert_int_equal(parse_parts(USUAL("0000 0006 0004 07 0001 'x'")), TLS_HELLO_DONE);
	assert_false(hello.sni_present);
	assert_int_equal(parse_parts(USUAL("0029 002c 0007 'ticket!' 0021 "
					   "'binderbinderbinderbinderbinderbin'")),
			 TLS_HELLO_DONE);
	assert_true(hello.psk);
	/* RFC 8701 */
	assert_int_equal(parse_parts(USUAL("0a0a 0001 00 fafa 0000 ffff 0000 fffe 0000")),
			 TLS_HELLO_DONE);
}

/* The lengths inside the message, each made longer and shorter by one. */
static void no_length_may_be_wrong(void **state)
{
	static struct bytes good, bad, bytes;
	static const size_t lengths[] = { 3, 38, 40, 45, 48, 52, 54, 57 };

	good.len = 0;
	put_message(&good, USUAL("0000 0009 0007 00 0004 'mail'"));
	for (size_t i = 0; i < COUNT(lengths); i++)
		for (int change = -1; change <= 1; change++) {
			bad = good;
			bad.data[lengths[i]] = (uint8_t)(bad.data[lengths[i]] + change);
			bytes.len = 0;
			put_records(&bytes, &bad, RAND_MAX);
			if (change == 0)
				assert_int_equal(parse(&bytes), TLS_HELLO_DONE);
			else
				assert_int_not_equal(parse(&bytes), TLS_HELLO_DONE);
		}
}

static void an_alert_is_seven_octets(void **state)
{
	static const uint8_t expected[] = { 21, 3, 3, 0, 2, 2, 120 };
	uint8_t record[TLS_ALERT_RECORD_LEN];

	tls_alert_record(record, TLS_ALERT_FATAL, TLS_ALERT_NO_APPLICATION_PROTOCOL);
	assert_memory_equal(record, expected, sizeof(expected));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_tls_is_told_apart),
		cmocka_unit_test(records_and_the_messages_header_are_checked),
		cmocka_unit_test(a_hello_has_at_most_16_kib_on_the_wire),
		cmocka_unit_test(what_comes_behind_the_hellos_records_is_not_looked_at),
		cmocka_unit_test(many_records_are_made_one),
		cmocka_unit_test(a_hello_without_extensions),
		cmocka_unit_test(all_extensions_that_we_know),
		cmocka_unit_test(versions_are_those_of_the_extension_or_all_up_to_the_field),
		cmocka_unit_test(names_are_judged),
		cmocka_unit_test(names_have_bounds),
		cmocka_unit_test(the_fixed_part_is_checked),
		cmocka_unit_test(extensions_are_checked),
		cmocka_unit_test(what_is_unusual_but_allowed),
		cmocka_unit_test(no_length_may_be_wrong),
		cmocka_unit_test(an_alert_is_seven_octets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
