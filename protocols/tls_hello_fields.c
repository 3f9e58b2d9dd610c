/* tls_hello_fields - what a whole ClientHello says: its fields and extensions. See tls_hello.h.
 * Invariant: a list is kept only when it was walked to its end, so that what iterates over it later cannot run out of it.
 */
#include "protocols/tls_hello_fields.h"
#include <ctype.h>

#define MESSAGE_HEADER 4
#define RANDOM_LEN     32
#define SESSION_ID_MAX 32
#define LABEL_MAX      63
#define PSK_DHE_KE     1

/* The signalling suite of RFC 5746 3.3. */
#define SUITE_RENEGOTIATION_INFO 0x00ff

/* What is left of some bytes. */
struct reader {
	const uint8_t *data;
	size_t len;
};

/* For faults that are none of the encoding; those are in out->alert from the start. */
static bool fail(struct tls_hello *out, enum tls_alert alert)
{
	out->alert = alert;
	return false;
}

/* ---- fields --------------------------------------------------------------------------------------------------------- */

static bool take(struct reader *from, size_t len, struct reader *out)
{
	if (from->len < len)
		return false;
	*out = (struct reader) { from->data, len };
	from->data += len;
	from->len -= len;
	return true;
}

/* A vector whose length stands before it in `width` octets. */
static bool take_vector(struct reader *from, size_t width, struct reader *out)
{
	struct reader head;

	return take(from, width, &head) &&
	       take(from, width == 1 ? head.data[0] : tls_u16(head.data), out);
}

/* The same, and nothing behind it. */
static bool take_last(struct reader from, size_t width, struct reader *out)
{
	return take_vector(&from, width, out) && from.len == 0;
}

static bool read_list(struct reader vector, struct tls_hello_list *out)
{
	*out = (struct tls_hello_list) { vector.data, vector.len / 2 };
	return vector.len > 0 && vector.len % 2 == 0;
}

static struct span span_of_reader(struct reader bytes)
{
	return (struct span) { (const char *)bytes.data, bytes.len };
}

/* ---- server_name ---------------------------------------------------------------------------------------------------- */

/* Letters, digits, hyphen and the underscore that some put there, in labels of 1 to 63; not a number at the end, since
 * that is an address (RFC 6066 3). */
static bool is_dns_name(struct span name)
{
	size_t label = 0;
	bool number = false;

	if (name.len > TLS_HELLO_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		unsigned char c = (unsigned char)name.data[i];

		if (c == '.') {
			if (label == 0)
				return false;
			label = 0;
			continue;
		}
		if (c >= 0x80 || (!isalnum(c) && c != '-' && c != '_') || label == LABEL_MAX)
			return false;
		number = (label == 0 || number) && isdigit(c);
		label++;
	}
	return label > 0 && !number;
}

static void keep_name(struct reader bytes, struct tls_hello *out)
{
	struct span name = span_of_reader(bytes);

	out->sni_present = true;
	out->sni_bytes = name;
	if (name.data[name.len - 1] == '.')
		name.len--;
	out->sni_valid = is_dns_name(name);
	for (size_t i = 0; out->sni_valid && i < name.len; i++)
		out->sni[i] = (char)tolower((unsigned char)name.data[i]);
	out->sni[out->sni_valid ? name.len : 0] = '\0';
}

static bool read_server_name(struct reader body, struct tls_hello *out)
{
	struct reader list, type, name;

	if (!take_last(body, 2, &list) || list.len == 0)
		return false;
	while (list.len > 0) {
		if (!take(&list, 1, &type) || !take_vector(&list, 2, &name) || name.len == 0)
			return false;
		if (type.data[0] != 0)
			continue;
		if (out->sni_present)
			return fail(out, TLS_ALERT_ILLEGAL_PARAMETER);
		keep_name(name, out);
	}
	return true;
}

/* ---- the other extensions -------------------------------------------------------------------------------------------- */

static bool read_versions(struct reader body, struct tls_hello *out)
{
	struct reader vector;

	out->versions_present = true;
	return take_last(body, 1, &vector) && read_list(vector, &out->versions);
}

static bool read_groups(struct reader body, struct tls_hello *out)
{
	struct reader vector;

	out->groups_present = true;
	return take_last(body, 2, &vector) && read_list(vector, &out->groups);
}

static bool read_sigalgs(struct reader body, struct tls_hello *out)
{
	struct reader vector;

	out->sigalgs_present = true;
	return take_last(body, 2, &vector) && read_list(vector, &out->sigalgs);
}

static bool read_sigalgs_cert(struct reader body, struct tls_hello *out)
{
	struct reader vector;

	out->sigalgs_cert_present = true;
	return take_last(body, 2, &vector) && read_list(vector, &out->sigalgs_cert);
}

/* RFC 8446 4.2.8.1 and 4.2.8.2: of the groups that anybody uses; points are never compressed. */
static bool check_share(uint16_t group, struct reader key)
{
	static const struct {
		uint16_t group;
		uint8_t len;
		bool point;
	} known[] = {
		{ 0x0017, 65, true },  { 0x0018, 97, true },  { 0x0019, 133, true },
		{ 0x001d, 32, false }, { 0x001e, 56, false },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].group == group)
			return key.len == known[i].len && (!known[i].point || key.data[0] == 4);
	return true;
}

/* An empty list asks for a HelloRetryRequest (RFC 8446 4.2.8). */
static bool read_shares(struct reader body, struct tls_hello *out)
{
	struct reader list, group, key;

	if (!take_last(body, 2, &list))
		return false;
	out->shares_present = true;
	out->shares = span_of_reader(list);
	while (list.len > 0) {
		if (!take(&list, 2, &group) || !take_vector(&list, 2, &key) || key.len == 0)
			return false;
		if (!check_share(tls_u16(group.data), key))
			return fail(out, TLS_ALERT_ILLEGAL_PARAMETER);
	}
	return true;
}

static bool read_alpn(struct reader body, struct tls_hello *out)
{
	struct reader list, name;

	if (!take_last(body, 2, &list) || list.len == 0)
		return false;
	out->alpn_present = true;
	out->alpn = span_of_reader(list);
	while (list.len > 0)
		if (!take_vector(&list, 1, &name) || name.len == 0)
			return false;
	return true;
}

static bool read_status_request(struct reader body, struct tls_hello *out)
{
	struct reader type, ids, extensions;

	if (!take(&body, 1, &type))
		return false;
	if (type.data[0] != 1)
		return true;
	out->status_request = true;
	return take_vector(&body, 2, &ids) && take_last(body, 2, &extensions);
}

static bool read_ticket(struct reader body, struct tls_hello *out)
{
	out->ticket = true;
	out->ticket_len = body.len;
	return true;
}

static bool read_ems(struct reader body, struct tls_hello *out)
{
	out->ems = true;
	return body.len == 0;
}

static bool read_early_data(struct reader body, struct tls_hello *out)
{
	out->early_data = true;
	return body.len == 0;
}

static bool read_truncated_hmac(struct reader body, struct tls_hello *out)
{
	out->truncated_hmac = true;
	return body.len == 0;
}

/* RFC 5746 3.6: this is no renegotiation, so there is nothing to tell. */
static bool read_renegotiation_info(struct reader body, struct tls_hello *out)
{
	struct reader verify;

	out->renegotiation_info = true;
	if (!take_last(body, 1, &verify))
		return false;
	return verify.len == 0 || fail(out, TLS_ALERT_HANDSHAKE_FAILURE);
}

/* The least lengths are those of RFC 8446 4.2.11; what stands in there is for the library. */
static bool read_psk(struct reader body, struct tls_hello *out)
{
	struct reader identities, binders;

	out->psk = true;
	return take_vector(&body, 2, &identities) && identities.len >= 7 &&
	       take_last(body, 2, &binders) && binders.len >= 33;
}

static bool check_point_formats(struct reader body, struct tls_hello *out)
{
	struct reader list;

	return take_last(body, 1, &list) && list.len > 0;
}

/* psk_key_exchange_modes, RFC 8446 4.2.9. */
static bool read_psk_modes(struct reader body, struct tls_hello *out)
{
	struct reader list;

	if (!take_last(body, 1, &list) || list.len == 0)
		return false;
	out->psk_dhe = memchr(list.data, PSK_DHE_KE, list.len) != NULL;
	return true;
}

/* IANA, TLS ExtensionType Values. All others, those of RFC 8701 among them, mean nothing to us. */
static const struct extension {
	uint16_t type;
	bool (*read)(struct reader, struct tls_hello *);
} extensions[] = {
	{ 0, read_server_name },     { 4, read_truncated_hmac },
	{ 5, read_status_request },  { 10, read_groups },
	{ 11, check_point_formats }, { 13, read_sigalgs },
	{ 16, read_alpn },           { 23, read_ems },
	{ 35, read_ticket },         { 41, read_psk },
	{ 42, read_early_data },     { 43, read_versions },
	{ 45, read_psk_modes },      { 50, read_sigalgs_cert },
	{ 51, read_shares },         { 0xff01, read_renegotiation_info },
};

static bool read_extension(uint16_t type, struct reader body, struct tls_hello *out)
{
	for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++)
		if (extensions[i].type == type)
			return extensions[i].read(body, out);
	return true;
}

static bool read_extensions(struct reader list, struct tls_hello *out)
{
	uint8_t seen[(UINT16_MAX + 1) / 8] = { 0 };
	struct reader head, body;

	while (list.len > 0) {
		uint16_t type;

		if (!take(&list, 2, &head) || !take_vector(&list, 2, &body))
			return false;
		type = tls_u16(head.data);
		/* RFC 8446 4.2: none twice; 4.2.11: none behind pre_shared_key. */
		if ((seen[type / 8] & 1 << type % 8) || out->psk)
			return fail(out, TLS_ALERT_ILLEGAL_PARAMETER);
		seen[type / 8] |= (uint8_t)(1 << type % 8);
		if (!read_extension(type, body, out))
			return false;
	}
	return true;
}

/* ---- the message ---------------------------------------------------------------------------------------------------- */

/* RFC 5246 7.4.1.2: none is always there; RFC 8446 4.1.2: alone, where TLS 1.3 is offered. */
static bool check_compression(struct tls_hello *out)
{
	if (memchr(out->compression.data, 0, out->compression.len) == NULL ||
	    (out->compression.len > 1 && tls_hello_offers(out, 0x0304)))
		return fail(out, TLS_ALERT_ILLEGAL_PARAMETER);
	return true;
}

bool tls_hello_read_message(struct tls_hello *out)
{
	struct reader message = { (const uint8_t *)out->message.data, out->message.len };
	struct reader part, version, random, session_id, list = { NULL, 0 };

	if (!take(&message, MESSAGE_HEADER, &part) || !take(&message, 2, &version) ||
	    !take(&message, RANDOM_LEN, &random) || !take_vector(&message, 1, &session_id) ||
	    session_id.len > SESSION_ID_MAX)
		return false;
	out->legacy_version = tls_u16(version.data);
	out->session_id_len = session_id.len;
	if (version.data[0] < 3)
		return fail(out, TLS_ALERT_PROTOCOL_VERSION);
	if (!take_vector(&message, 2, &part) || !read_list(part, &out->suites) ||
	    !take_vector(&message, 1, &part) || part.len == 0)
		return false;
	out->compression = span_of_reader(part);
	if (message.len > 0 && !take_last(message, 2, &list))
		return false;
	if (!read_extensions(list, out) || !check_compression(out))
		return false;
	out->renegotiation_info |= tls_hello_has(out->suites, SUITE_RENEGOTIATION_INFO);
	return true;
}

/* ---- looking at it --------------------------------------------------------------------------------------------------- */

bool tls_hello_has(struct tls_hello_list list, uint16_t value)
{
	for (size_t i = 0; i < list.count; i++)
		if (tls_hello_at(list, i) == value)
			return true;
	return false;
}

bool tls_hello_offers(const struct tls_hello *hello, uint16_t version)
{
	if (hello->versions_present)
		return tls_hello_has(hello->versions, version);
	return version <= hello->legacy_version && version < 0x0304;
}

bool tls_hello_alpn_next(const struct tls_hello *hello, size_t *at, struct span *name)
{
	if (*at >= hello->alpn.len)
		return false;
	name->data = hello->alpn.data + *at + 1;
	name->len = (unsigned char)hello->alpn.data[*at];
	*at += 1 + name->len;
	return true;
}

bool tls_hello_share_next(const struct tls_hello *hello, size_t *at, uint16_t *group)
{
	const uint8_t *share;

	if (*at >= hello->shares.len)
		return false;
	share = (const uint8_t *)hello->shares.data + *at;
	*group = tls_u16(share);
	*at += 4 + (size_t)tls_u16(share + 2);
	return true;
}
