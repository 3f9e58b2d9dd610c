/* config_files - what a configuration names: the bytes of certificates, keys, authorities and master passwords, and the
 * addresses of servers.
 * Invariants: every file is bounded and read once, however many name it; children get bytes and addresses and open nothing.
 * A name that does not resolve is a warning: the server behind it may be down, and so may its name server.
 */
#include "frontend/config_load.h"
#include "protocols/login.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* ---- master passwords ---- */

enum { MASTER_PASSWORD_MAX = 1024 };

/* Who else could read it could log in as any user. False after a fault. */
static bool master_password_private(struct config_loader *loader, const struct config_pool *pool)
{
	const char *path = pool->master_password_file;
	struct stat status;

	if (stat(path, &status) != 0)
		return true; /* reading it will say why */
	if (status.st_mode & (S_IRWXG | S_IRWXO)) {
		config_error_at(loader, &pool->master_password_file, &pool->source,
				"\"master_password_file\": others than its owner have rights to %s "
				"(mode %04o): chmod 600",
				path, (unsigned)status.st_mode & 07777);
		return false;
	}
	if (status.st_uid != 0 && status.st_uid != geteuid()) {
		config_error_at(loader, &pool->master_password_file, &pool->source,
				"\"master_password_file\": %s belongs neither to root nor to who "
				"starts Postern",
				path);
		return false;
	}
	return true;
}

/* The length of the one line that a text is, without its end; 0 when it is empty, more than a line or too long. */
static size_t only_line(const char *text, size_t len)
{
	if (len > 0 && text[len - 1] == '\n')
		len--;
	if (len > 0 && text[len - 1] == '\r')
		len--;
	if (len > MASTER_PASSWORD_MAX || memchr(text, '\n', len) || memchr(text, '\r', len) ||
	    memchr(text, '\0', len))
		return 0;
	return len;
}

static void read_master_password(struct config_loader *loader, struct config_pool *pool)
{
	const char *why = "", *path = pool->master_password_file;
	struct config_blob *blob = &pool->master_password;

	if (path == NULL || pool->login != LOGIN_MODE_MASTER ||
	    !master_password_private(loader, pool))
		return;
	blob->data = config_slurp(loader->config->arena, path, &blob->len, &why);
	if (blob->data == NULL) {
		config_error_at(loader, &pool->master_password_file, &pool->source,
				"\"master_password_file\": %s cannot be read: %s", path, why);
		return;
	}
	blob->len = only_line((const char *)blob->data, blob->len);
	if (blob->len == 0)
		config_error_at(
			loader, &pool->master_password_file, &pool->source,
			"\"master_password_file\": %s must hold one line of at most %d octets",
			path, MASTER_PASSWORD_MAX);
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

		if (doubtful(loader, pool))
			continue;
		read_master_password(loader, pool);
		if (pool->tls == BACKEND_TLS_NONE || pool->verify != VERIFY_CA)
			continue;
		if (read_blob(&reader, &pool->ca, &pool->source, "ca", &pool->ca_pem) &&
		    !blob_holds(&pool->ca_pem, "-----BEGIN CERTIFICATE-----"))
			config_error_at(loader, &pool->ca, &pool->source,
					"\"ca\": %s holds no certificate (PEM)", pool->ca);
	}
}

/* One entry per address that the name has, in the order of the operator's name service; 0: none, and a warning. */
static size_t look_up(struct config_loader *loader, const struct config_server *server,
		      struct config_server *out, size_t max)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	size_t count = 0;
	char service[16];
	int code;

	snprintf(service, sizeof service, "%d", server->port);
	code = getaddrinfo(server->host, service, &hints, &list);
	if (code != 0) {
		config_warning_at(loader, &server->host, &server->source,
				  "the server \"%s\" has no address: %s", server->host,
				  gai_strerror(code));
		return 0;
	}
	for (const struct addrinfo *one = list; one != NULL && count < max; one = one->ai_next) {
		if (one->ai_addrlen > sizeof server->address.u)
			continue;
		out[count] = *server;
		memcpy(&out[count].address.u, one->ai_addr, one->ai_addrlen);
		out[count++].address.len = one->ai_addrlen;
	}
	freeaddrinfo(list);
	return count;
}

/* Writes 1 to max entries for that server; without an address it stays as it was. */
static size_t resolve_server(struct config_loader *loader, struct config_server *server,
			     struct config_server *out, size_t max)
{
	size_t count = 0;

	if (doubtful(loader, server)) {
		/* its faults are known */
	} else if (server->host[0] == '/') {
		if (!address_local(server->host, &server->address))
			config_error_at(loader, &server->host, &server->source,
					"\"host\": the path of the socket is too long");
		if (server->port != 0)
			config_error_at(loader, &server->port, &server->source,
					"\"port\" has no meaning for a Unix socket");
	} else if (server->port == 0) {
		config_error_at(loader, &server->host, &server->source,
				"\"port\" is missing for the server \"%s\"", server->host);
	} else if (!address_parse(server->host, (unsigned)server->port, &server->address)) {
		count = look_up(loader, server, out, max);
	}
	if (count == 0)
		out[count++] = *server;
	return count;
}

/* A name with several addresses becomes as many servers, tried in that order. */
static void resolve_pool(struct config_loader *loader, struct config_pool *pool)
{
	size_t left = pool->servers.count, count = 0;
	struct config_server *all;

	if (left == 0)
		return;
	all = arena_array(loader->config->arena, CONFIG_SERVERS_MAX, sizeof(*all));
	for (size_t i = 0; i < pool->servers.count; i++, left--)
		count += resolve_server(loader, &pool->servers.items[i], &all[count],
					CONFIG_SERVERS_MAX - count - (left - 1));
	if (count == pool->servers.count) { /* where they stand, faults still find their lines */
		memcpy(pool->servers.items, all, count * sizeof(*all));
		return;
	}
	pool->servers.items = all;
	pool->servers.count = count;
}

void config_resolve(struct config_loader *loader)
{
	struct config *config = loader->config;

	for (size_t i = 0; i < config->pools.count; i++)
		resolve_pool(loader, &config->pools.items[i]);
}
