/* config_files - the files that a configuration names and the supervisor reads: authorities, revocation lists,
 * users of client certificates, master passwords, the tokens' PIN.
 * Invariants: every file is bounded and read once, however many name it; children get its bytes and open nothing; the rights
 * that are judged are those of the file that was read, not of what its name leads to by then.
 */
#include "frontend/client_users.h"
#include "frontend/config_load.h"
#include "protocols/login.h"

#include <errno.h>
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

/* ---- passwords and PINs ---- */

enum { SECRET_MAX = 1024 };

/* A file of one line that nobody else may have. */
struct secret {
	const char *option;
	const char *const *path;
	const struct config_source *group;
};

/* Who else could read it could log in as we do. False after a fault. */
static bool secret_private(struct config_loader *loader, const struct secret *secret,
			   const struct stat *status)
{
	if (status->st_mode & (S_IRWXG | S_IRWXO)) {
		config_error_at(loader, secret->path, secret->group,
				"\"%s\": others than its owner have rights to %s (mode %04o): "
				"chmod 600",
				secret->option, *secret->path, (unsigned)status->st_mode & 07777);
		return false;
	}
	if (status->st_uid != 0 && status->st_uid != geteuid()) {
		config_error_at(loader, secret->path, secret->group,
				"\"%s\": %s belongs neither to root nor to who starts Postern",
				secret->option, *secret->path);
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
	if (len > SECRET_MAX || memchr(text, '\n', len) || memchr(text, '\r', len) ||
	    memchr(text, '\0', len))
		return 0;
	return len;
}

/* What it holds without the line's end. */
static void read_secret(struct config_loader *loader, const struct secret *secret,
			struct config_blob *out)
{
	const char *why = "";
	struct stat status;
	uint8_t *data;
	size_t len = 0;

	data = config_slurp(loader->config->arena, *secret->path, &status, &len, &why);
	if (data == NULL) {
		config_error_at(loader, secret->path, secret->group,
				"\"%s\": %s cannot be read: %s", secret->option, *secret->path,
				why);
		return;
	}
	if (!secret_private(loader, secret, &status))
		return; /* the arena wipes what it held */
	len = only_line((const char *)data, len);
	*out = (struct config_blob) { data, len };
	if (len == 0)
		config_error_at(loader, secret->path, secret->group,
				"\"%s\": %s must hold one line of at most %d octets",
				secret->option, *secret->path, SECRET_MAX);
}

static void read_master_password(struct config_loader *loader, struct config_pool *pool)
{
	const struct secret secret = { "master_password_file", &pool->master_password_file,
				       &pool->source };

	if (pool->master_password_file != NULL && pool->login == LOGIN_MODE_MASTER)
		read_secret(loader, &secret, &pool->master_password);
}

static void read_pin(struct config_loader *loader)
{
	struct config *config = loader->config;
	const char *const *module = &config->tls.pkcs11.module;
	const struct secret secret = { "pin_file", &config->tls.pkcs11.pin_file, NULL };

	if (*module == NULL)
		return;
	if (access(*module, R_OK) != 0)
		config_error_at(loader, module, NULL, "\"module\": %s cannot be read: %s", *module,
				strerror(errno));
	if (config->tls.pkcs11.pin_file != NULL)
		read_secret(loader, &secret, &config->tls.pkcs11.pin);
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

	read_pin(loader);
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
