/* config_load - what the steps of config_load() share: read and scan the files, apply the table, read files that are
 * named and resolve names, check the whole. Private to config*.c.
 */
#ifndef FRONTEND_CONFIG_LOAD_H
#define FRONTEND_CONFIG_LOAD_H

#include "frontend/arena.h"
#include "frontend/config.h"
#include "frontend/option.h"

struct config_setting_t;
struct stat;

#define CONFIG_FILE_MAX (1u << 20) /* of a configuration, certificate, key or CA file */
#define CONFIG_TOP_MAX  64         /* rows of the top table */

struct config_loader {
	struct config *config;
	struct config_faults *faults;
	const char *path;
	struct arena *scratch;                    /* lives as long as the loader */
	struct config_place *places;              /* where each value stands, the latest first */
	struct config_mark *doubts;               /* items with a fault in them */
	struct config_source top[CONFIG_TOP_MAX]; /* by row of option_table: where it is set */
	bool incomplete;                          /* a file could not be parsed */
	size_t scan_begin, scan_end; /* the faults that config_scan() found in the current file */
};

/* ---- faults and places (config_fault.c) ---- */

/* config_scan() found a number on that line of the current file that libconfig has cut: what is left of it says nothing. */
bool loader_cut(const struct config_loader *, int line);
void place_add(struct config_loader *, const void *field, struct config_source);
/* Where that field is set, or NULL when it has its default. */
const struct config_source *place_find(const struct config_loader *, const void *field);
/* An item of a list with a fault in it: checks that rely on its values would only confuse. */
void doubt_add(struct config_loader *, const void *item);
bool doubtful(const struct config_loader *, const void *item);

/* A fault where the field is set, otherwise at `group`, otherwise (NULL) about the configuration as a whole. */
__attribute__((format(printf, 4, 5))) void config_error_at(struct config_loader *,
							   const void *field,
							   const struct config_source *group,
							   const char *format, ...);
__attribute__((format(printf, 4, 5))) void config_warning_at(struct config_loader *,
							     const void *field,
							     const struct config_source *group,
							     const char *format, ...);

/* ---- files (config_read.c, config_scan.c) ---- */

/* Reads a regular file of at most CONFIG_FILE_MAX bytes into the arena (a NUL stands behind them). NULL, and why. The
 * status is that of the very file that was read. */
uint8_t *config_slurp(struct arena *, const char *path, struct stat *status, size_t *len,
		      const char **why);
/* Reads every file of loader->path and applies it. */
void config_read_all(struct config_loader *);
/* Finds in the text of a file what libconfig would take without a word: integers that it would cut, NULs, @include; and the
 * line where an unterminated string or comment begins. False: the text must not be parsed. */
bool config_scan(struct config_faults *, const char *file, const char *text, size_t len);

/* ---- table (config.c, config_apply.c) ---- */

/* The top level of one file, over what other files have set. */
void config_apply(struct config_loader *, struct config_setting_t *root, const char *file);

/* ---- one row by the codec (config_codec.c) ---- */

void config_encode_row(struct message_writer *, const struct option *, const void *base);
bool config_decode_row(struct message_reader *, const struct option *, void *base, struct arena *);

/* ---- what the configuration names (config_files.c), and the check of the whole (config_check*.c) ---- */

/* First of all: what a listener does not say of client certificates is as in tls. */
void config_inherit_clients(struct config_loader *);
void config_read_files(struct config_loader *);
/* Looks up the names of servers (config_resolve.c), for so long at the most. */
void config_resolve(struct config_loader *, int milliseconds);
void config_check(struct config_loader *);
void config_check_tls(struct config_loader *);
void config_check_listener_tls(struct config_loader *, struct config_listener *);
void config_check_pool_tls(struct config_loader *, const struct config_pool *);
void config_check_auth(struct config_loader *);
void config_check_clients(struct config_loader *);
void config_check_backends(struct config_loader *); /* pools, routes and what they say together */

#endif
