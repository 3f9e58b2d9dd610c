/* config_read - the files of a configuration: one file, or a folder's *.conf in name order, each parsed from memory.
 * Invariants: only regular files up to a bound are read; a file that cannot be read or parsed is a fault, and the others are
 * looked at all the same; libconfig can open nothing (its folder for @include does not exist).
 */
#include "frontend/config_load.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libconfig.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Everything of fd that fits into data[max]; -1 with errno. */
static ssize_t read_whole(int fd, uint8_t *data, size_t max)
{
	size_t len = 0;

	while (len < max) {
		ssize_t got = read(fd, data + len, max - len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		len += (size_t)got;
	}
	return (ssize_t)len;
}

static uint8_t *slurp_descriptor(struct arena *arena, int fd, struct stat *status, size_t *len,
				 const char **why)
{
	uint8_t *data;
	ssize_t got;

	if (fstat(fd, status) != 0) {
		*why = strerror(errno);
		return NULL;
	}
	if (!S_ISREG(status->st_mode)) {
		*why = S_ISDIR(status->st_mode) ? "it is a folder" : "it is not a regular file";
		return NULL;
	}
	if (status->st_size > (off_t)CONFIG_FILE_MAX) {
		*why = "it is larger than 1 MiB";
		return NULL;
	}
	data = arena_alloc(arena, (size_t)status->st_size + 1);
	got = read_whole(fd, data, (size_t)status->st_size);
	if (got < 0) {
		*why = strerror(errno);
		return NULL;
	}
	*len = (size_t)got;
	return data;
}

uint8_t *config_slurp(struct arena *arena, const char *path, struct stat *status, size_t *len,
		      const char **why)
{
	/* non-blocking: a FIFO must not hold us up before it is recognised */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	uint8_t *data;

	if (fd < 0) {
		*why = strerror(errno);
		return NULL;
	}
	data = slurp_descriptor(arena, fd, status, len, why);
	close(fd);
	return data;
}

/* libconfig takes a comment for one only when a line break ends it, so one is put behind the text. */
static void parse_text(struct config_loader *loader, const char *file, const char *text)
{
	char *whole = arena_format(loader->scratch, "%s\n", text);
	config_t tree;

	config_init(&tree);
	config_set_include_dir(&tree, "/dev/null");
	if (config_read_string(&tree, whole)) {
		config_apply(loader, config_root_setting(&tree), file);
	} else {
		config_fault(loader->faults, false, file, config_error_line(&tree), "%s",
			     config_error_text(&tree));
		loader->incomplete = true;
	}
	config_destroy(&tree);
}

static void read_file(struct config_loader *loader, const char *name)
{
	const char *file = arena_string(loader->config->arena, name);
	const char *why = "";
	struct stat status;
	size_t len = 0;
	uint8_t *data = config_slurp(loader->scratch, file, &status, &len, &why);
	bool usable;

	if (data == NULL) {
		config_fault(loader->faults, false, file, 0, "cannot be read: %s", why);
		loader->incomplete = true;
		return;
	}
	loader->scan_begin = loader->faults->count;
	usable = config_scan(loader->faults, file, (const char *)data, len);
	loader->scan_end = loader->faults->count;
	if (usable)
		parse_text(loader, file, (const char *)data);
	else
		loader->incomplete = true;
}

static int is_fragment(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && len > 5 && strcmp(entry->d_name + len - 5, ".conf") == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void read_folder(struct config_loader *loader)
{
	struct dirent **entries = NULL;
	int count = scandir(loader->path, &entries, is_fragment, by_name);
	size_t len = strlen(loader->path);
	const char *slash = loader->path[len - 1] == '/' ? "" : "/";

	if (count < 0) {
		config_fault(loader->faults, false, loader->path, 0, "cannot be read: %s",
			     strerror(errno));
		loader->incomplete = true;
		return;
	}
	if (count == 0) {
		config_fault(loader->faults, false, loader->path, 0, "holds no *.conf file");
		loader->incomplete = true;
	}
	for (int i = 0; i < count; i++) {
		read_file(loader, arena_format(loader->scratch, "%s%s%s", loader->path, slash,
					       entries[i]->d_name));
		free(entries[i]);
	}
	free(entries);
}

void config_read_all(struct config_loader *loader)
{
	struct stat status;

	if (stat(loader->path, &status) == 0 && S_ISDIR(status.st_mode))
		read_folder(loader);
	else
		read_file(loader, loader->path);
}
