/* certificate_watch - see certificate_watch.h.
 * libev looks at a path itself and not at what a link leads to (lstat), and its inotify stays with what a path led to when it was
 * started; so links are followed here, and whatever leads elsewhere by now is started again by an update.
 * It compares times by the second, so of two changes within one it may tell the first alone: a while after each it is told again.
 * Where the kernel does not tell (its watches have run out, a network file system) libev looks by itself, LOOKS_A_SECOND paths a second
 * at the most.
 */
#include "frontend/certificate_watch.h"
#include <limits.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LATE_SECONDS   1.1
#define LOOKS_A_SECOND 1000
#define INTERVAL_LEAST 5.0
#define LINKS_MAX      16 /* one behind the other */

/* A path that has been looked at, and whether it is to be watched. */
struct place {
	char *path;
	bool watched, link;
};

struct watched {
	char *path;
	ev_stat stat;
};

struct certificate_watch {
	struct ev_loop *loop;
	void (*changed)(void *owner);
	void *owner;
	ev_timer quiet;
	ev_timer late;          /* after what has been told */
	ev_tstamp first;        /* of the changes that have not been told; 0: none */
	struct watched **items; /* by path */
	size_t count;
};

/* What is to be watched, while it is found out. */
struct survey {
	void *seen;            /* tree of struct place */
	struct place **places; /* the same, to go through them */
	size_t count, room;
};

static void *must(void *memory)
{
	if (memory == NULL)
		abort();
	return memory;
}

/* ---- where to look ---- */

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct place *)a)->path, ((const struct place *)b)->path);
}

/* The place of that path; *fresh: it has not been seen before. */
static struct place *place_of(struct survey *survey, const char *path, bool *fresh)
{
	const struct place key = { .path = (char *)(uintptr_t)path };
	struct place *place, **found = tfind(&key, &survey->seen, by_path);

	*fresh = found == NULL;
	if (found != NULL)
		return *found;
	place = must(calloc(1, sizeof(*place)));
	place->path = must(strdup(path));
	must(tsearch(place, &survey->seen, by_path));
	if (survey->count == survey->room) {
		survey->room = survey->room == 0 ? 64 : survey->room * 2;
		survey->places =
			must(reallocarray(survey->places, survey->room, sizeof(struct place *)));
	}
	survey->places[survey->count++] = place;
	return place;
}

/* The folder of a path; NULL when it has none. The caller frees. */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return strcmp(path, ".") == 0 ? NULL : must(strdup("."));
	if (slash == path)
		return path[1] == '\0' ? NULL : must(strdup("/"));
	return must(strndup(path, (size_t)(slash - path)));
}

static char *link_target(const char *path)
{
	char text[PATH_MAX], *folder, *joined;
	ssize_t len = readlink(path, text, sizeof(text) - 1);

	if (len <= 0)
		return NULL;
	text[len] = '\0';
	if (text[0] == '/')
		return must(strdup(text));
	folder = must(folder_of(path));
	if (asprintf(&joined, "%s/%s", folder, text) < 0)
		abort();
	free(folder);
	return joined;
}

static bool is_link(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0 && S_ISLNK(status.st_mode);
}

static void survey_path(struct survey *, const char *path, bool watched, unsigned links);

/* A link is always watched, and what it leads to as much as itself. */
static void survey_link(struct survey *survey, const struct place *place, unsigned links)
{
	bool watched = place->watched;
	char *target = links < LINKS_MAX ? link_target(place->path) : NULL;
	char *folder;

	if (target == NULL)
		return;
	survey_path(survey, target, watched, links + 1);
	folder = folder_of(target);
	if (watched && folder != NULL)
		survey_path(survey, folder, true, links + 1);
	free(folder);
	free(target);
}

static void survey_path(struct survey *survey, const char *path, bool watched, unsigned links)
{
	bool fresh;
	struct place *place = place_of(survey, path, &fresh);
	char *folder;

	if (!fresh && (place->watched || !watched))
		return;
	place->watched = place->watched || watched;
	if (fresh) {
		place->link = is_link(path);
		folder = folder_of(path);
		if (folder != NULL)
			survey_path(survey, folder, false, links);
		free(folder);
	}
	if (place->link)
		survey_link(survey, place, links);
}

static void survey_file(struct survey *survey, const char *path)
{
	char *folder;

	if (*path == '\0' || certificate_is_token(path))
		return;
	survey_path(survey, path, true, 0);
	folder = folder_of(path);
	if (folder != NULL)
		survey_path(survey, folder, true, 0);
	free(folder);
}

static void survey_all(struct survey *survey, const struct certificates *all,
		       const char *const *others)
{
	for (uint32_t i = 0; i < all->list.count; i++) {
		const struct certificate_item *item = &all->list.items[i];

		survey_file(survey, item->chain);
		survey_file(survey, item->key);
		survey_file(survey, item->staple);
	}
	for (size_t i = 0; i < all->folders.count; i++)
		survey_path(survey, all->folders.items[i], true, 0);
	for (; others != NULL && *others != NULL; others++)
		survey_file(survey, *others);
}

static void keep_node(void *node)
{
}

static int by_place(const void *a, const void *b)
{
	return by_path(*(const struct place *const *)a, *(const struct place *const *)b);
}

/* ---- watching ---- */

static void tell(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct certificate_watch *watch = timer->data;

	watch->first = 0;
	watch->changed(watch->owner);
}

static void set_timer(struct certificate_watch *watch, ev_timer *timer, ev_tstamp seconds)
{
	ev_timer_stop(watch->loop, timer);
	ev_timer_set(timer, seconds > 0 ? seconds : 0, 0);
	ev_timer_start(watch->loop, timer);
}

static void wait_for_quiet(struct certificate_watch *watch)
{
	ev_tstamp now = ev_now(watch->loop), left = CERTIFICATE_WATCH_QUIET;

	if (watch->first == 0)
		watch->first = now;
	if (watch->first + CERTIFICATE_WATCH_LONG - now < left)
		left = watch->first + CERTIFICATE_WATCH_LONG - now;
	set_timer(watch, &watch->quiet, left);
	set_timer(watch, &watch->late, LATE_SECONDS);
}

static void on_stat(struct ev_loop *loop, ev_stat *stat, int events)
{
	wait_for_quiet(stat->data);
}

static struct watched *watch_begin(struct certificate_watch *watch, const char *path,
				   ev_tstamp interval)
{
	struct watched *item = must(calloc(1, sizeof(*item)));

	item->path = must(strdup(path));
	ev_stat_init(&item->stat, on_stat, item->path, interval);
	item->stat.data = watch;
	ev_stat_start(watch->loop, &item->stat);
	return item;
}

static void watch_end(struct certificate_watch *watch, struct watched *item)
{
	ev_stat_stop(watch->loop, &item->stat);
	free(item->path);
	free(item);
}

/* Whether the path leads elsewhere than when it was looked at last, without a word about it: then it is begun again. */
static bool watch_again(struct certificate_watch *watch, struct watched *item)
{
	struct stat status;
	bool there = lstat(item->path, &status) == 0;

	if (there == (item->stat.attr.st_nlink != 0) &&
	    (!there ||
	     (status.st_ino == item->stat.attr.st_ino && status.st_dev == item->stat.attr.st_dev)))
		return false;
	ev_stat_stop(watch->loop, &item->stat);
	ev_stat_start(watch->loop, &item->stat);
	return true;
}

/* Both are in the order of their paths. What has changed before its watch began is seen by whoever is told once more. */
static void merge(struct certificate_watch *watch, const struct survey *survey)
{
	struct watched **items = must(calloc(survey->count + 1, sizeof(struct watched *)));
	ev_tstamp interval = (double)survey->count / LOOKS_A_SECOND;
	size_t old = 0, count = 0;
	bool begun = false;

	if (interval < INTERVAL_LEAST)
		interval = INTERVAL_LEAST;
	for (size_t i = 0; i < survey->count; i++) {
		const struct place *place = survey->places[i];

		if (!place->watched && !place->link)
			continue;
		while (old < watch->count && strcmp(watch->items[old]->path, place->path) < 0)
			watch_end(watch, watch->items[old++]);
		if (old < watch->count && strcmp(watch->items[old]->path, place->path) == 0) {
			begun = watch_again(watch, watch->items[old]) || begun;
			items[count++] = watch->items[old++];
		} else {
			items[count++] = watch_begin(watch, place->path, interval);
			begun = true;
		}
	}
	while (old < watch->count)
		watch_end(watch, watch->items[old++]);
	free(watch->items);
	watch->items = items;
	watch->count = count;
	if (begun)
		wait_for_quiet(watch);
}

void certificate_watch_update(struct certificate_watch *watch, const struct certificates *all,
			      const char *const *others)
{
	struct survey survey = { 0 };

	survey_all(&survey, all, others);
	if (survey.count > 0)
		qsort(survey.places, survey.count, sizeof(struct place *), by_place);
	merge(watch, &survey);
	tdestroy(survey.seen, keep_node);
	for (size_t i = 0; i < survey.count; i++) {
		free(survey.places[i]->path);
		free(survey.places[i]);
	}
	free(survey.places);
}

size_t certificate_watch_count(const struct certificate_watch *watch)
{
	return watch->count;
}

struct certificate_watch *certificate_watch_new(struct ev_loop *loop, void (*changed)(void *owner),
						void *owner)
{
	struct certificate_watch *watch = must(calloc(1, sizeof(*watch)));

	watch->loop = loop;
	watch->changed = changed;
	watch->owner = owner;
	ev_init(&watch->quiet, tell);
	ev_init(&watch->late, tell);
	watch->quiet.data = watch->late.data = watch;
	return watch;
}

void certificate_watch_free(struct certificate_watch *watch)
{
	if (watch == NULL)
		return;
	for (size_t i = 0; i < watch->count; i++)
		watch_end(watch, watch->items[i]);
	ev_timer_stop(watch->loop, &watch->quiet);
	ev_timer_stop(watch->loop, &watch->late);
	free(watch->items);
	free(watch);
}
