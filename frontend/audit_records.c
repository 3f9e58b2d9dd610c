/* audit_records - see audit_records.h.
 * TLSA 3 1 1 names the key itself (RFC 7671 5.1), so a renewal that keeps the key leaves the record right. SRV: implicit TLS is
 * preferred (RFC 8314 5.1), and a service that is not offered is said not to be (RFC 6186 3.4).
 */
#include "frontend/audit_records.h"
#include "frontend/audit.h"
#include <string.h>

static bool serves(const struct config_listener *listener, const struct book_entry *entry)
{
	return (uint32_t)listener->set == entry->set && listener->port != 0;
}

/* Whether a listener before this one has the same port and certificates: one record stands for both. */
static bool told(const struct config *config, size_t index)
{
	const struct config_listener *items = config->listeners.items;

	for (size_t i = 0; i < index; i++)
		if (items[i].port == items[index].port && items[i].set == items[index].set)
			return true;
	return false;
}

static void print_tlsa(int port, const char *name, const uint8_t *spki, FILE *out)
{
	fprintf(out, "_%d._tcp.%s. IN TLSA 3 1 1 ", port, name);
	for (size_t i = 0; i < BOOK_ID_LEN; i++)
		fprintf(out, "%02x", spki[i]);
	fputc('\n', out);
}

/* Two names of one certificate differ; the same name in two certificates of one key is told twice, which does no harm. */
static bool entry_records(const struct config *config, const struct book_entry *entry, FILE *out)
{
	for (const char *name = NULL; (name = book_next_name(entry, name)) != NULL;) {
		if (strchr(name, '*') != NULL)
			continue; /* the record belongs to a host, not to all of them */
		for (size_t i = 0; i < config->listeners.count; i++) {
			const struct config_listener *listener = &config->listeners.items[i];

			if (!serves(listener, entry) || told(config, i))
				continue;
			if (ftell(out) > (long)AUDIT_TEXT_MAX)
				return false;
			print_tlsa(listener->port, name, entry->spki, out);
		}
	}
	return true;
}

bool audit_tlsa(const struct config *config, const struct book *book, FILE *out)
{
	for (uint32_t i = 0; i < book_count(book); i++) {
		struct book_entry entry;

		book_entry(book, i, &entry);
		if (!(entry.flags & BOOK_BAD) && !entry_records(config, &entry, out))
			return false;
	}
	return true;
}

/* The first listener of that kind with a port of its own; NULL: the service is not offered. */
static const struct config_listener *find(const struct config *config, int protocol, int tls)
{
	for (size_t i = 0; i < config->listeners.count; i++) {
		const struct config_listener *listener = &config->listeners.items[i];

		if (listener->protocol == protocol && listener->tls == tls && listener->port != 0)
			return listener;
	}
	return NULL;
}

void audit_srv(const struct config *config, FILE *out)
{
	static const struct {
		const char *service;
		int protocol, tls, priority;
	} rows[] = {
		{ "_submissions", PROTOCOL_SUBMISSION, LISTENER_IMPLICIT, 0 },
		{ "_submission", PROTOCOL_SUBMISSION, LISTENER_STARTTLS, 10 },
		{ "_imaps", PROTOCOL_IMAP, LISTENER_IMPLICIT, 0 },
		{ "_imap", PROTOCOL_IMAP, LISTENER_STARTTLS, 10 },
		{ "_pop3s", PROTOCOL_POP3, LISTENER_IMPLICIT, 0 },
		{ "_pop3", PROTOCOL_POP3, LISTENER_STARTTLS, 10 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct config_listener *listener =
			find(config, rows[i].protocol, rows[i].tls);

		if (listener != NULL)
			fprintf(out, "%s._tcp IN SRV %d 1 %d %s.\n", rows[i].service,
				rows[i].priority, listener->port, config->hostname);
		else
			fprintf(out, "%s._tcp IN SRV 0 0 0 .\n", rows[i].service);
	}
}
