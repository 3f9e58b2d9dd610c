/* certificate_folder - see certificate_folder.h.
 * Invariants: a name that begins with a dot is never looked at: among them are the ones that Kubernetes mounts a secret by, and those of
 * files that are still being written.
 */
#include "frontend/certificate_folder.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHAIN_NAME "fullchain.pem"
#define KEY_NAME   "privkey.pem"

struct look {
	const struct config_folder *folder;
	const struct certificate_finder *finder;
	bool full;
};

static char *join(const char *folder, const char *name, const char *suffix)
{
	char *path;

	if (asprintf(&path, "%s/%s%s", folder, name, suffix) < 0)
		abort();
	return path;
}

static bool is_kind(const char *path, mode_t kind)
{
	struct stat status;

	return stat(path, &status) == 0 && (status.st_mode & S_IFMT) == kind;
}

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

/* What lies at those names, if it is a pair. */
static void take_pair(struct look *look, const char *chain, const char *key, const char *staple)
{
	if (!exists(chain))
		return;
	if (exists(key))
		look->full = !look->finder->found(look->finder->owner, chain, key,
						  exists(staple) ? staple : "");
	else
		config_fault(look->finder->faults, true, look->folder->source.file,
			     look->folder->source.line,
			     "\"certificates_dir\": %s is passed over: there is no key at %s",
			     chain, key);
}

/* A folder of its own for each name, as certbot has them. */
static void look_into(struct look *look, const char *path)
{
	char *chain = join(path, CHAIN_NAME, ""), *key = join(path, KEY_NAME, "");
	char *staple = join(path, CHAIN_NAME, ".ocsp");

	look->finder->folder(look->finder->owner, path);
	take_pair(look, chain, key, staple);
	free(chain);
	free(key);
	free(staple);
}

/* The length of a name without its suffix; 0 when it has another one or is nothing else. */
static size_t stem(const char *name, const char *suffix)
{
	size_t len = strlen(name), tail = strlen(suffix);

	return len > tail && strcmp(name + len - tail, suffix) == 0 ? len - tail : 0;
}

/* Files side by side. Of NAME.pem and NAME.crt the first is taken. */
static void look_at_file(struct look *look, const char *name)
{
	const char *folder = look->folder->path;
	size_t pem = stem(name, ".pem"), len = pem > 0 ? pem : stem(name, ".crt");
	char *base, *chain, *key, *staple, *other;

	if (len == 0)
		return;
	base = strndup(name, len);
	if (base == NULL)
		abort();
	chain = join(folder, name, "");
	key = join(folder, base, ".key");
	staple = join(folder, base, ".ocsp");
	other = join(folder, base, ".pem");
	if (pem > 0 || !exists(other))
		take_pair(look, chain, key, staple);
	free(base);
	free(chain);
	free(key);
	free(staple);
	free(other);
}

static void look_at(struct look *look, const char *name)
{
	char *path = join(look->folder->path, name, "");

	if (is_kind(path, S_IFDIR))
		look_into(look, path);
	else
		look_at_file(look, name);
	free(path);
}

static int not_hidden(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* By bytes: the order is the same wherever it runs. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

bool certificate_folder_read(const struct config_folder *folder,
			     const struct certificate_finder *finder)
{
	struct look look = { folder, finder, false };
	struct dirent **names;
	int count = scandir(folder->path, &names, not_hidden, by_name);

	if (count < 0)
		return false;
	for (int i = 0; i < count; i++) {
		if (!look.full)
			look_at(&look, names[i]->d_name);
		free(names[i]);
	}
	free(names);
	errno = 0;
	return !look.full;
}
