/* address - numeric socket addresses and networks: text to bytes and back, and what is loopback.
 * Invariants: nothing here asks a resolver. An IPv4 address inside IPv6 (::ffff:192.0.2.1) counts as the IPv4 address.
 * RFC 4291 2.2 (text), 2.5.5.2 (mapped).
 */
#include "frontend/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool address_parse(const char *text, unsigned port, struct address *out)
{
	memset(out, 0, sizeof *out);
	if (inet_pton(AF_INET, text, &out->u.v4.sin_addr) == 1) {
		out->u.v4.sin_family = AF_INET;
		out->u.v4.sin_port = htons((uint16_t)port);
		out->len = sizeof out->u.v4;
		return true;
	}
	if (inet_pton(AF_INET6, text, &out->u.v6.sin6_addr) == 1) {
		out->u.v6.sin6_family = AF_INET6;
		out->u.v6.sin6_port = htons((uint16_t)port);
		out->len = sizeof out->u.v6;
		return true;
	}
	return false;
}

bool address_local(const char *path, struct address *out)
{
	size_t len = strlen(path);

	memset(out, 0, sizeof *out);
	if (len == 0 || len >= sizeof out->u.local.sun_path)
		return false;
	out->u.local.sun_family = AF_UNIX;
	memcpy(out->u.local.sun_path, path, len);
	out->len = sizeof out->u.local;
	return true;
}

bool address_equal(const struct address *a, const struct address *b)
{
	return a->len == b->len && memcmp(&a->u, &b->u, a->len) == 0;
}

bool address_sane(const struct address *address)
{
	if (address->len == 0)
		return true;
	if (address->len < sizeof address->u.any.sa_family)
		return false;
	switch (address->u.any.sa_family) {
	case AF_INET:
		return address->len == sizeof address->u.v4;
	case AF_INET6:
		return address->len == sizeof address->u.v6;
	case AF_UNIX:
		return address->len == sizeof address->u.local &&
		       memchr(address->u.local.sun_path, '\0', sizeof address->u.local.sun_path) !=
			       NULL;
	default:
		return false;
	}
}

const char *address_text(const struct sockaddr *address, char out[ADDRESS_TEXT_MAX])
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const void *)address;

		inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
		snprintf(out, ADDRESS_TEXT_MAX, "%s:%u", host, ntohs(v4->sin_port));
	} else if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const void *)address;

		inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
		snprintf(out, ADDRESS_TEXT_MAX, "[%s]:%u", host, ntohs(v6->sin6_port));
	} else if (address->sa_family == AF_UNIX) {
		const struct sockaddr_un *local = (const void *)address;

		snprintf(out, ADDRESS_TEXT_MAX, "%.*s", ADDRESS_TEXT_MAX - 1, local->sun_path);
	} else {
		snprintf(out, ADDRESS_TEXT_MAX, "?");
	}
	return out;
}

/* The bytes that networks are compared with; the family that they belong to, 0 when it has none. */
static uint8_t address_bytes(const struct sockaddr *address, const uint8_t **bytes)
{
	const struct sockaddr_in6 *v6 = (const void *)address;

	if (address->sa_family == AF_INET) {
		*bytes = (const uint8_t *)&((const struct sockaddr_in *)(const void *)address)
				 ->sin_addr;
		return AF_INET;
	}
	if (address->sa_family != AF_INET6)
		return 0;
	*bytes = v6->sin6_addr.s6_addr;
	if (!IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
		return AF_INET6;
	*bytes += 12;
	return AF_INET;
}

struct address_key address_key(const struct sockaddr *address)
{
	struct address_key key = { 0 };
	const uint8_t *bytes;

	key.family = address_bytes(address, &bytes);
	if (key.family != 0)
		memcpy(&key.number, bytes, key.family == AF_INET ? 4 : 8);
	return key;
}

const char *address_host(const struct sockaddr *address, char out[ADDRESS_TEXT_MAX])
{
	const uint8_t *bytes;
	uint8_t family = address_bytes(address, &bytes);

	if (family == 0 || inet_ntop(family, bytes, out, ADDRESS_TEXT_MAX) == NULL)
		snprintf(out, ADDRESS_TEXT_MAX, "-");
	return out;
}

const char *address_prefix(const struct sockaddr *address, bool wide, char out[ADDRESS_TEXT_MAX])
{
	uint8_t kept[16] = { 0 };
	char host[INET6_ADDRSTRLEN];
	const uint8_t *bytes;
	uint8_t family = address_bytes(address, &bytes);
	size_t octets = family == AF_INET ? (wide ? 3 : 4) : (wide ? 6 : 8);

	snprintf(out, ADDRESS_TEXT_MAX, "-");
	if (family == 0)
		return out;
	memcpy(kept, bytes, octets);
	if (inet_ntop(family, kept, host, sizeof host) != NULL)
		snprintf(out, ADDRESS_TEXT_MAX, "%s/%zu", host, octets * 8);
	return out;
}

unsigned address_split(const struct address *address, char out[INET6_ADDRSTRLEN])
{
	const struct in6_addr *v6 = &address->u.v6.sin6_addr;
	sa_family_t family = address->len > 0 ? address->u.any.sa_family : AF_UNSPEC;

	out[0] = '\0';
	if (family == AF_INET) {
		inet_ntop(AF_INET, &address->u.v4.sin_addr, out, INET6_ADDRSTRLEN);
		return ntohs(address->u.v4.sin_port);
	}
	if (family != AF_INET6)
		return 0;
	if (IN6_IS_ADDR_V4MAPPED(v6))
		inet_ntop(AF_INET, &v6->s6_addr[12], out, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, v6, out, INET6_ADDRSTRLEN);
	return ntohs(address->u.v6.sin6_port);
}

bool address_is_loopback(const struct sockaddr *address)
{
	const uint8_t *bytes;

	switch (address_bytes(address, &bytes)) {
	case AF_INET:
		return bytes[0] == 127;
	case AF_INET6:
		return memcmp(bytes, &in6addr_loopback, sizeof in6addr_loopback) == 0;
	default:
		return address->sa_family == AF_UNIX;
	}
}

/* All bits behind the prefix are zero. */
static bool host_bits_clear(const struct config_network *network, unsigned bits)
{
	for (unsigned bit = network->prefix; bit < bits; bit++)
		if (network->bytes[bit / 8] & (0x80u >> bit % 8))
			return false;
	return true;
}

const char *network_parse(const char *text, struct config_network *out)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	char host[INET6_ADDRSTRLEN];
	const char *slash = strchrnul(text, '/');
	size_t len = (size_t)(slash - text);
	unsigned bits = 32;
	unsigned long prefix;
	char *end;

	memset(out, 0, sizeof *out);
	if (len >= sizeof host)
		return "is not a network";
	memcpy(host, text, len);
	host[len] = '\0';
	out->family = AF_INET;
	if (inet_pton(AF_INET, host, out->bytes) != 1) {
		out->family = AF_INET6;
		bits = 128;
		if (inet_pton(AF_INET6, host, out->bytes) != 1)
			return "is not a network";
	}
	prefix = bits;
	if (*slash == '/') {
		if (slash[1] < '0' || slash[1] > '9')
			return "has no number behind the slash";
		prefix = strtoul(slash + 1, &end, 10);
		if (*end != '\0' || prefix > bits)
			return "has a wrong number of bits";
	}
	out->prefix = (uint8_t)prefix;
	if (out->family == AF_INET6 && prefix >= 96 &&
	    memcmp(out->bytes, mapped, sizeof mapped) == 0)
		return "must be written as an IPv4 network"; /* as it is compared */
	return host_bits_clear(out, bits) ? NULL : "has bits set behind its prefix";
}

static bool network_contains(const struct config_network *network, const uint8_t *bytes)
{
	size_t whole = network->prefix / 8u;
	unsigned rest = network->prefix % 8u;

	if (memcmp(network->bytes, bytes, whole) != 0)
		return false;
	return rest == 0 || (network->bytes[whole] ^ bytes[whole]) >> (8 - rest) == 0;
}

bool config_networks_contain(const struct config_networks *networks, const struct sockaddr *address)
{
	const uint8_t *bytes;
	uint8_t family = address_bytes(address, &bytes);

	for (size_t i = 0; family != 0 && i < networks->count; i++)
		if (networks->items[i].family == family &&
		    network_contains(&networks->items[i], bytes))
			return true;
	return false;
}
