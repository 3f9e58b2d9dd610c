/* certificates - see certificates.h. */
#include "frontend/certificates.h"
#include "frontend/certificate_folder.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MESSAGE_ROOM (CONTROL_MESSAGE_MAX - 4096)
#define ITEM_OCTETS  64 /* of an item in a message, besides its texts */

/* ---- making the list ---- */

struct builder {
	struct certificates *all;
	struct config_faults *faults;
	size_t room, folder_room; /* allocated */
	size_t octets;            /* of the message that it will be */
	uint32_t set;
	struct config_source source; /* of what is added now */
	bool staples;                /* those beside a chain, or named with it, are wanted */
	bool too_many;
};

static void *grow(void *items, size_t *room, size_t count, size_t size)
{
	if (count < *room)
		return items;
	*room = *room == 0 ? 16 : *room * 2;
	items = reallocarray(items, *room, size);
	if (items == NULL)
		abort();
	return items;
}

static bool add_item(struct builder *b, const char *chain, const char *key, const char *staple,
		     bool is_default)
{
	struct certificates *all = b->all;
	struct certificate_list *list = &all->list;

	b->octets +=
		ITEM_OCTETS + strlen(chain) + strlen(key) + strlen(staple) + strlen(b->source.file);
	if (list->count >= CERTIFICATES_MAX || b->octets > MESSAGE_ROOM) {
		b->too_many = true;
		return false;
	}
	list->items = grow(list->items, &b->room, list->count, sizeof(*list->items));
	list->items[list->count++] = (struct certificate_item) {
		.set = b->set,
		.is_default = is_default,
		.chain = arena_string(all->arena, chain),
		.key = arena_string(all->arena, key),
		.staple = arena_string(all->arena, b->staples ? staple : ""),
		.file = arena_string(all->arena, b->source.file),
		.line = (uint32_t)b->source.line,
		.same = CERTIFICATE_READ,
	};
	return true;
}

static void add_explicit(struct builder *b, const struct config_certificates *certificates,
			 uint32_t set)
{
	for (size_t i = 0; i < certificates->count; i++) {
		const struct config_certificate *one = &certificates->items[i];
		char *beside = NULL;

		if (asprintf(&beside, "%s.ocsp", one->chain) < 0)
			abort();
		b->set = set;
		b->source = one->source;
		add_item(b, one->chain, one->key,
			 one->ocsp != NULL           ? one->ocsp
			 : access(beside, F_OK) == 0 ? beside
						     : "",
			 one->is_default);
		free(beside);
	}
}

static bool found_pair(void *owner, const char *chain, const char *key, const char *staple)
{
	return add_item(owner, chain, key, staple, false);
}

static void found_folder(void *owner, const char *path)
{
	struct builder *b = owner;
	struct config_strings *folders = &b->all->folders;

	folders->items =
		grow(folders->items, &b->folder_room, folders->count, sizeof(*folders->items));
	folders->items[folders->count++] = arena_string(b->all->arena, path);
}

static void add_folder(struct builder *b, const struct config_folder *folder, uint32_t set)
{
	const struct certificate_finder finder = { b, found_pair, found_folder, b->faults };

	if (folder->path == NULL)
		return;
	b->set = set;
	b->source = folder->source;
	found_folder(b, folder->path);
	if (!certificate_folder_read(folder, &finder) && !b->too_many)
		config_fault(b->faults, false, folder->source.file, folder->source.line,
			     "\"certificates_dir\": %s cannot be read: %s", folder->path,
			     strerror(errno));
}

/* Each listener has something to show. */
static void check_sets(const struct builder *b, const struct config *config)
{
	bool filled[CONFIG_LISTENERS_MAX + 1] = { false };

	for (uint32_t i = 0; i < b->all->list.count; i++)
		filled[b->all->list.items[i].set] = true;
	for (size_t i = 0; i < config->listeners.count; i++) {
		const struct config_listener *listener = &config->listeners.items[i];
		const struct config_folder *folder = listener->set == 0
							     ? &config->tls.certificates_dir
							     : &listener->certificates_dir;

		if (!filled[listener->set])
			config_fault(b->faults, false, listener->source.file, listener->source.line,
				     "this listener has no certificate: there is none in %s",
				     folder->path);
	}
}

static struct certificate_stamp stamp_of(const char *path)
{
	struct stat status;

	if (*path == '\0' || certificate_is_token(path) || stat(path, &status) != 0)
		return (struct certificate_stamp) { 0 };
	return (struct certificate_stamp) {
		.device = status.st_dev,
		.inode = status.st_ino,
		.size = (uint64_t)status.st_size,
		.modified = status.st_mtim.tv_sec * 1000000000LL + status.st_mtim.tv_nsec,
		.changed = status.st_ctim.tv_sec * 1000000000LL + status.st_ctim.tv_nsec,
	};
}

static const char *path_of(const struct certificate_item *item, int part)
{
	const char *const paths[CERTIFICATE_PARTS] = {
		[CERTIFICATE_CHAIN] = item->chain,
		[CERTIFICATE_KEY] = item->key,
		[CERTIFICATE_STAPLE] = item->staple,
	};

	return paths[part];
}

static void stamp_all(struct certificates *all)
{
	uint32_t count = all->list.count;

	all->stamps = arena_array(all->arena, count + 1, sizeof(*all->stamps));
	all->fetched = arena_array(all->arena, count + 1, sizeof(*all->fetched));
	all->refused = arena_array(all->arena, count + 1, sizeof(*all->refused));
	for (uint32_t i = 0; i < count; i++)
		for (int part = 0; part < CERTIFICATE_PARTS; part++)
			all->stamps[i][part] = stamp_of(path_of(&all->list.items[i], part));
}

struct certificates *certificates_find(const struct config *config, struct config_faults *faults)
{
	struct certificates *all = calloc(1, sizeof(*all));
	struct builder b = { .all = all,
			     .faults = faults,
			     .staples = config->tls.ocsp != OCSP_OFF };
	size_t before = faults->errors;

	if (all == NULL)
		abort();
	all->arena = arena_new();
	all->book_fd = -1;
	add_explicit(&b, &config->tls.certificates, 0);
	for (size_t i = 0; i < config->listeners.count; i++)
		add_explicit(&b, &config->listeners.items[i].certificates, (uint32_t)i + 1);
	add_folder(&b, &config->tls.certificates_dir, 0);
	for (size_t i = 0; i < config->listeners.count; i++)
		add_folder(&b, &config->listeners.items[i].certificates_dir, (uint32_t)i + 1);
	if (b.too_many)
		config_fault(faults, false, b.source.file, b.source.line,
			     "there are too many certificates: %d at most, and fewer when their "
			     "paths are long",
			     CERTIFICATES_MAX);
	else if (faults->errors == before)
		check_sets(&b, config);
	if (faults->errors > before) {
		certificates_free(all);
		return NULL;
	}
	stamp_all(all);
	return all;
}

void certificates_free(struct certificates *all)
{
	if (all == NULL)
		return;
	book_drop(all->book);
	if (all->book_fd >= 0)
		close(all->book_fd);
	free(all->list.items);
	free(all->folders.items);
	arena_free(all->arena);
	free(all);
}

/* ---- comparing ---- */

static int by_files(const void *a, const void *b)
{
	const struct certificate_item *one = *(const struct certificate_item *const *)a;
	const struct certificate_item *other = *(const struct certificate_item *const *)b;
	int order = one->set < other->set ? -1 : one->set > other->set;

	if (order == 0)
		order = strcmp(one->chain, other->chain);
	return order == 0 ? strcmp(one->key, other->key) : order;
}

/* Pointers to its items, sorted. The caller frees. */
static const struct certificate_item **sorted(const struct certificates *all)
{
	const struct certificate_item **items =
		calloc(all->list.count + 1, sizeof(const struct certificate_item *));

	if (items == NULL)
		abort();
	for (uint32_t i = 0; i < all->list.count; i++)
		items[i] = &all->list.items[i];
	qsort(items, all->list.count, sizeof(const struct certificate_item *), by_files);
	return items;
}

static long find_in(const struct certificate_item **items, const struct certificates *all,
		    const struct certificate_item *item)
{
	const struct certificate_item **found =
		bsearch(&item, items, all->list.count, sizeof(const struct certificate_item *),
			by_files);

	return found == NULL ? -1 : *found - all->list.items;
}

void certificates_match(const struct certificates *all, const struct certificates *old, long *out)
{
	const struct certificate_item **items = sorted(old);

	for (uint32_t i = 0; i < all->list.count; i++)
		out[i] = find_in(items, old, &all->list.items[i]);
	free(items);
}

static bool same_files(const struct certificates *a, uint32_t i, const struct certificates *b,
		       uint32_t j)
{
	return strcmp(a->list.items[i].staple, b->list.items[j].staple) == 0 &&
	       memcmp(a->stamps[i], b->stamps[j], sizeof(a->stamps[i])) == 0;
}

static bool is_fetched(const struct certificates *all, const struct certificates *old, long match)
{
	struct book_entry entry;

	if (all->staples == NULL)
		return false;
	book_entry(old->book, (uint32_t)match, &entry);
	return staples_has(all->staples, entry.fingerprint);
}

enum certificates_change certificates_compare(struct certificates *all,
					      const struct certificates *old,
					      struct staples *staples)
{
	bool changed = all->list.count != old->list.count, refused = false;
	long *matches = calloc(all->list.count + 1, sizeof(*matches));

	if (matches == NULL)
		abort();
	certificates_match(all, old, matches);
	all->staples = staples;
	all->fetched_for = old->book;
	for (uint32_t i = 0; i < all->list.count; i++) {
		long match = matches[i];

		all->fetched[i] = CERTIFICATE_READ;
		if (match < 0 || !same_files(all, i, old, (uint32_t)match)) {
			changed = true;
		} else if (old->refused[match]) {
			refused = all->refused[i] = true;
		} else if (is_fetched(all, old, match)) {
			all->fetched[i] = (uint32_t)match;
			changed = true;
		} else {
			all->list.items[i].same = (uint32_t)match;
		}
	}
	free(matches);
	return changed ? CERTIFICATES_CHANGED : refused ? CERTIFICATES_REFUSED : CERTIFICATES_SAME;
}

bool certificates_steady(const struct certificates *all)
{
	for (uint32_t i = 0; i < all->list.count; i++) {
		const struct certificate_item *item = &all->list.items[i];

		if (item->same != CERTIFICATE_READ)
			continue;
		for (int part = 0; part < CERTIFICATE_PARTS; part++) {
			struct certificate_stamp stamp = stamp_of(path_of(item, part));

			if (memcmp(&stamp, &all->stamps[i][part], sizeof(stamp)) != 0)
				return false;
		}
	}
	return true;
}

/* ---- files and the book ---- */

static int open_file(const char *path, const char **why, struct stat *status)
{
	/* a FIFO must not make us wait for who writes to it */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	*why = NULL;
	if (fd >= 0 && fstat(fd, status) == 0 && S_ISREG(status->st_mode))
		return fd;
	if (fd < 0)
		*why = strerror(errno);
	else
		*why = S_ISDIR(status->st_mode) ? "it is a folder" : "it is not a regular file";
	if (fd >= 0)
		close(fd);
	return -1;
}

/* A renewal that tries again what it has refused has told it. */
static void check_key(const struct certificates *all, uint32_t index, const struct stat *status,
		      struct config_faults *faults)
{
	const struct certificate_item *item = &all->list.items[index];
	bool told = all->list.mode == CERTIFICATE_RENEWAL && all->refused[index];

	if (!told && (status->st_mode & (S_IROTH | S_IWOTH)))
		config_fault(faults, true, item->file, (int)item->line,
			     "\"key\": everybody may read or change %s (mode %04o): chmod 600",
			     item->key, (unsigned)status->st_mode & 07777);
}

/* The fetched staple, if there is one, in the place of the file. */
static void open_fetched(const struct certificates *all, uint32_t index,
			 struct certificate_files *out)
{
	struct book_entry entry;
	int fd;

	if (all->staples == NULL || all->fetched[index] == CERTIFICATE_READ)
		return;
	book_entry(all->fetched_for, all->fetched[index], &entry);
	fd = staples_give(all->staples, entry.fingerprint);
	if (fd < 0)
		return;
	if (out->fds[CERTIFICATE_STAPLE] >= 0)
		close(out->fds[CERTIFICATE_STAPLE]);
	out->fds[CERTIFICATE_STAPLE] = fd;
	out->why[CERTIFICATE_STAPLE] = NULL;
}

void certificates_open(const struct certificates *all, uint32_t index, enum child_kind for_whom,
		       struct certificate_files *out, struct config_faults *faults)
{
	const struct certificate_item *item = &all->list.items[index];

	*out = (struct certificate_files) { .index = index, .fds = { -1, -1, -1 } };
	for (int part = 0; part < CERTIFICATE_PARTS; part++) {
		const char *path = path_of(item, part);
		struct stat status = { 0 };

		if (*path == '\0' || (part != CERTIFICATE_KEY && for_whom == CHILD_KEEPER))
			continue;
		if (part == CERTIFICATE_KEY && certificate_is_token(path)) {
			out->token = path;
			continue;
		}
		out->fds[part] = open_file(path, &out->why[part], &status);
		if (part == CERTIFICATE_KEY && out->fds[part] >= 0 && for_whom == CHILD_CHECKER)
			check_key(all, index, &status, faults);
	}
	if (for_whom == CHILD_CHECKER)
		open_fetched(all, index, out);
}

bool certificates_take_book(struct certificates *all, int fd)
{
	struct book *book = book_map(fd);

	if (book == NULL || book_count(book) != all->list.count) {
		book_drop(book);
		return false;
	}
	all->staples = NULL; /* nobody asks any more */
	all->fetched_for = NULL;
	book_drop(all->book);
	if (all->book_fd >= 0)
		close(all->book_fd);
	all->book = book;
	all->book_fd = fd;
	return true;
}

/* They are files of one process's making: the same bytes mean the same. */
static bool same_content(const struct certificates *a, const struct certificates *b)
{
	size_t size = book_size(a->book);
	void *one, *other;
	bool same;

	if (book_size(b->book) != size)
		return false;
	one = mmap(NULL, size, PROT_READ, MAP_SHARED, a->book_fd, 0);
	other = mmap(NULL, size, PROT_READ, MAP_SHARED, b->book_fd, 0);
	same = one != MAP_FAILED && other != MAP_FAILED && memcmp(one, other, size) == 0;
	if (one != MAP_FAILED)
		munmap(one, size);
	if (other != MAP_FAILED)
		munmap(other, size);
	return same;
}

bool certificates_keep_book(struct certificates *all, struct certificates *old)
{
	struct book *book = all->book;
	int fd = all->book_fd;

	if (!same_content(all, old))
		return false;
	all->book = old->book;
	all->book_fd = old->book_fd;
	old->book = book;
	old->book_fd = fd;
	return true;
}
