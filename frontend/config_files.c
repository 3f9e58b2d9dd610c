/* config_files - what a configuration names: the bytes of certificates, keys and authorities, and the addresses of servers.
 * Invariants: every file is bounded and read once, however many name it; children get bytes and addresses and open nothing.
 * A name that does not resolve is a warning: the server behind it may be down, and so may its name server.
 */
#include "frontend/config_load.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* One file that has been read. */
struct loaded {
	struct loaded *next;
	const char *path;
	struct config_blob blob;
};

struct reader {
	struct config_loader *loader;
	struct loaded *files;
};

static bool blob_holds(const struct config_blob *blob, const char *text)
{
	return memmem(blob->data, blob->len, text, strlen(text)) != NULL;
}

/* Reads the file of an option into *out, or takes what was read before. False after a fault. */
static bool read_blob(struct reader *reader, const char *const *path,
		      const struct config_source *group, const char *option,
		      struct config_blob *out)
{
	struct config_loader *loader = reader->loader;
	const char *why = "";
	struct loaded *file;

	for (file = reader->files; file != NULL; file = file->next)
		if (strcmp(file->path, *path) == 0) {
			*out = file->blob;
			return true;
		}
	out->data = config_slurp(loader->config->arena, *path, &out->len, &why);
	if (out->data == NULL) {
		config_error_at(loader, path, group, "\"%s\": %s cannot be read: %s", option, *path,
				why);
		return false;
	}
	file = arena_alloc(loader->scratch, sizeof *file);
	*file = (struct loaded) { reader->files, *path, *out };
	reader->files = file;
	return true;
}

static void check_permissions(struct config_loader *loader, const struct config_certificate *cert)
{
	struct stat status;

	if (stat(cert->key, &status) == 0 && (status.st_mode & (S_IROTH | S_IWOTH)))
		config_warning_at(loader, &cert->key, &cert->source,
				  "\"key\": everybody may read or change %s (mode %04o): chmod 600",
				  cert->key, (unsigned)status.st_mode & 07777);
}

static void read_certificate(struct reader *reader, struct config_certificate *cert)
{
	struct config_loader *loader = reader->loader;

	if (doubtful(loader, cert))
		return;
	if (read_blob(reader, &cert->chain, &cert->source, "chain", &cert->chain_pem) &&
	    !blob_holds(&cert->chain_pem, "-----BEGIN CERTIFICATE-----"))
		config_error_at(loader, &cert->chain, &cert->source,
				"\"chain\": %s holds no certificate (PEM)", cert->chain);
	if (!read_blob(reader, &cert->key, &cert->source, "key", &cert->key_pem))
		return;
	check_permissions(loader, cert);
	if (!blob_holds(&cert->key_pem, "PRIVATE KEY-----"))
		config_error_at(loader, &cert->key, &cert->source,
				"\"key\": %s holds no private key (PEM)", cert->key);
	else if (blob_holds(&cert->key_pem, "ENCRYPTED"))
		config_error_at(loader, &cert->key, &cert->source,
				"\"key\": the key in %s is encrypted", cert->key);
}

static void read_certificates(struct reader *reader, struct config_certificates *certificates)
{
	for (size_t i = 0; i < certificates->count; i++)
		read_certificate(reader, &certificates->items[i]);
}

void config_read_files(struct config_loader *loader)
{
	struct config *config = loader->config;
	struct reader reader = { loader, NULL };

	read_certificates(&reader, &config->tls.certificates);
	for (size_t i = 0; i < config->listeners.count; i++)
		read_certificates(&reader, &config->listeners.items[i].certificates);
	for (size_t i = 0; i < config->pools.count; i++) {
		struct config_pool *pool = &config->pools.items[i];

		if (doubtful(loader, pool) || pool->tls == BACKEND_TLS_NONE ||
		    pool->verify != VERIFY_CA)
			continue;
		if (read_blob(&reader, &pool->ca, &pool->source, "ca", &pool->ca_pem) &&
		    !blob_holds(&pool->ca_pem, "-----BEGIN CERTIFICATE-----"))
			config_error_at(loader, &pool->ca, &pool->source,
					"\"ca\": %s holds no certificate (PEM)", pool->ca);
	}
}

/* The first address of a name; the operator's name service orders them. */
static void look_up(struct config_loader *loader, struct config_server *server)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	char service[16];
	int code;

	snprintf(service, sizeof service, "%d", server->port);
	code = getaddrinfo(server->host, service, &hints, &list);
	if (code != 0) {
		config_warning_at(loader, &server->host, &server->source,
				  "the server \"%s\" has no address: %s", server->host,
				  gai_strerror(code));
		return;
	}
	if (list->ai_addrlen <= sizeof server->address.u) {
		memcpy(&server->address.u, list->ai_addr, list->ai_addrlen);
		server->address.len = list->ai_addrlen;
	}
	freeaddrinfo(list);
}

static void resolve_server(struct config_loader *loader, struct config_server *server)
{
	if (server->host[0] == '/') {
		if (!address_local(server->host, &server->address))
			config_error_at(loader, &server->host, &server->source,
					"\"host\": the path of the socket is too long");
		if (server->port != 0)
			config_error_at(loader, &server->port, &server->source,
					"\"port\" has no meaning for a Unix socket");
		return;
	}
	if (server->port == 0)
		config_error_at(loader, &server->host, &server->source,
				"\"port\" is missing for the server \"%s\"", server->host);
	else if (!address_parse(server->host, (unsigned)server->port, &server->address))
		look_up(loader, server);
}

void config_resolve(struct config_loader *loader)
{
	struct config *config = loader->config;

	for (size_t i = 0; i < config->pools.count; i++) {
		struct config_pool *pool = &config->pools.items[i];

		for (size_t j = 0; j < pool->servers.count; j++) {
			struct config_server *server = &pool->servers.items[j];

			if (!doubtful(loader, server))
				resolve_server(loader, server);
		}
	}
}
