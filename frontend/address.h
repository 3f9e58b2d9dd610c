/* address - numeric socket addresses and networks: text to bytes and back, and what is loopback.
 * Invariants: nothing here asks a resolver; IPv6 scopes ("%eth0") are not accepted.
 */
#ifndef FRONTEND_ADDRESS_H
#define FRONTEND_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_un local;
	} u;
	socklen_t len; /* 0: not known */
};

struct config_network {
	uint8_t family; /* AF_INET or AF_INET6 */
	uint8_t prefix; /* bits */
	uint8_t bytes[16];
};

struct config_networks {
	struct config_network *items;
	size_t count;
};

/* "192.0.2.1" or "2001:db8::1" and a port; false when it is neither. */
bool address_parse(const char *text, unsigned port, struct address *out);
/* A Unix socket; false when the path does not fit. */
bool address_local(const char *path, struct address *out);
bool address_equal(const struct address *, const struct address *);
/* Whether family and length fit each other, for addresses that came in a message. */
bool address_sane(const struct address *);

/* "192.0.2.1:143", "[2001:db8::1]:143"; always terminated */
#define ADDRESS_TEXT_MAX 80
const char *address_text(const struct sockaddr *, char out[ADDRESS_TEXT_MAX]);
/* "192.0.2.1", "2001:db8::1"; an IPv4 address inside IPv6 as the IPv4 address */
const char *address_host(const struct sockaddr *, char out[ADDRESS_TEXT_MAX]);
/* What is counted together: "192.0.2.1/32" or "2001:db8::/64"; wide: "192.0.2.0/24" or "2001:db8::/48" */
const char *address_prefix(const struct sockaddr *, bool wide, char out[ADDRESS_TEXT_MAX]);
/* What counters go by: an IPv4 address, the /64 of an IPv6 one; family 0 for others. */
struct address_key {
	uint64_t family, number;
};
struct address_key address_key(const struct sockaddr *);
/* The address alone, "192.0.2.1" or "2001:db8::1"; returns its port. "" and 0 for a Unix socket or none. */
unsigned address_split(const struct address *, char out[INET6_ADDRSTRLEN]);
bool address_is_loopback(const struct sockaddr *); /* Unix addresses count */

/* "192.0.2.0/24", "2001:db8::/32" or a single address; NULL, or in our words what is wrong with it. */
const char *network_parse(const char *text, struct config_network *out);
bool config_networks_contain(const struct config_networks *, const struct sockaddr *);

#endif
