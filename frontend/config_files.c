/* config_files - the files that a configuration names and the supervisor reads: authorities, revocation lists,
 * users of client certificates, master passwords.
 * Invariants: every file is bounded and read once, however many name it; children get its bytes and open nothing; the rights
 * that are judged are those of the file that was read, not of what its name leads to by then.
 */
#include "frontend/client_users.h"
#include "frontend/config_load.h"
#include "protocols/login.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One file that has been read. */
struct loaded {
	struct loaded *next;
	const char *path;
	struct config_blob blob;
	mode_t mode;
};

struct reader {
	struct config_loader *loader;
	struct loaded *files;
};

static bool blob_holds(const struct config_blob *blob, const char *text)
{
	return memmem(blob->data, blob->len, text, strlen(text)) != NULL;
}

/* Reads the file of an option into *out, or takes what was read before; NULL after a fault. */
static const struct loaded *read_blob(struct reader *reader, const char *const *path,
				      const struct config_source *group, const char *option,
				      struct config_blob *out)
{
	struct config_loader *loader = reader->loader;
	const char *why = "";
	struct loaded *file;
	struct stat status;

	for (file = reader->files; file != NULL; file = file->next)
		if (strcmp(file->path, *path) == 0) {
			*out = file->blob;
			return file;
		}
	out->data = config_slurp(loader->config->arena, *path, &status, &out->len, &why);
	if (out->data == NULL) {
		config_error_at(loader, path, group, "\"%s\": %s cannot be read: %s", option, *path,
				why);
		return NULL;
	}
	file = arena_alloc(loader->scratch, sizeof *file);
	*file = (struct loaded) { reader->files, *path, *out, status.st_mode };
	reader->files = file;
	return file;
}

/* ---- master passwords ---- */

enum { MASTER_PASSWORD_MAX = 1024 };

/* Who else could read it could log in as any user. False after a fault. */
static bool master_password_private(struct config_loader *loader, const struct config_pool *pool,
				    const struct stat *status)
{
	const char *path = pool->master_password_file;

	if (status->st_mode & (S_IRWXG | S_IRWXO)) {
		config_error_at(loader, &pool->master_password_file, &pool->source,
				"\"master_password_file\": others than its owner have rights to %s "
				"(mode %04o): chmod 600",
				path, (unsigned)status->st_mode & 07777);
		return false;
	}
	if (status->st_uid != 0 && status->st_uid != geteuid()) {
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
	struct stat status;
	uint8_t *data;
	size_t len = 0;

	if (path == NULL || pool->login != LOGIN_MODE_MASTER)
		return;
	data = config_slurp(loader->config->arena, path, &status, &len, &why);
	if (data == NULL) {
		config_error_at(loader, &pool->master_password_file, &pool->source,
				"\"master_password_file\": %s cannot be read: %s", path, why);
		return;
	}
	if (!master_password_private(loader, pool, &status))
		return; /* the arena wipes what it held */
	len = only_line((const char *)data, len);
	pool->master_password = (struct config_blob) { data, len };
	if (len == 0)
		config_error_at(
			loader, &pool->master_password_file, &pool->source,
			"\"master_password_file\": %s must hold one line of at most %d octets",
			path, MASTER_PASSWORD_MAX);
}

/* ---- client certificates ---- */

static void check_users(struct config_loader *loader, const char *path, struct config_blob text)
{
	const char *why;
	unsigned line;
	struct client_users *users =
		client_users_new((struct span) { (const char *)text.data, text.len }, &line, &why);

	if (users == NULL)
		config_fault(loader->faults, false, path, (int)line, "%s", why);
	client_users_free(users);
}

static void read_clients(struct reader *reader, struct config_listener *listener)
{
	struct config_client_certificates *own = &listener->client_certificates;
	struct config_loader *loader = reader->loader;
	const struct config_source *group = &listener->source;

	if (doubtful(loader, listener) || own->mode == CLIENT_CERTIFICATES_OFF)
		return;
	if (own->ca != NULL && read_blob(reader, &own->ca, group, "ca", &own->ca_pem) &&
	    !blob_holds(&own->ca_pem, "-----BEGIN CERTIFICATE-----"))
		config_error_at(loader, &own->ca, group, "\"ca\": %s holds no certificate (PEM)",
				own->ca);
	if (own->crl != NULL && read_blob(reader, &own->crl, group, "crl", &own->crl_pem) &&
	    !blob_holds(&own->crl_pem, "-----BEGIN X509 CRL-----"))
		config_error_at(loader, &own->crl, group,
				"\"crl\": %s holds no revocation list (PEM)", own->crl);
	if (own->users != NULL && read_blob(reader, &own->users, group, "users", &own->users_text))
		check_users(loader, own->users, own->users_text);
}

void config_read_files(struct config_loader *loader)
{
	struct config *config = loader->config;
	struct reader reader = { loader, NULL };

	for (size_t i = 0; i < config->listeners.count; i++)
		read_clients(&reader, &config->listeners.items[i]);
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
