/* option - one row per option: the table that the reader of files, the codec between processes and the README share.
 * Invariants: a table ends with a row without a name; `offset` is within the struct that the table is of; the items of a
 * list begin with their struct config_source; lists, strings and networks are stored as { items, count }.
 */
#ifndef FRONTEND_OPTION_H
#define FRONTEND_OPTION_H

#include <stdbool.h>
#include <stddef.h>

struct arena;

enum option_type {
	OPTION_STRING,
	OPTION_PATH, /* relative to the folder of the file that names it, unless it is one of `words` (see below) */
	OPTION_INT,
	OPTION_BOOL,
	OPTION_WORD, /* one of `words`, kept as its value */
	OPTION_STRINGS,
	OPTION_NETWORKS,
	OPTION_GROUP, /* `rows` of the same struct */
	OPTION_LIST,  /* of groups: `rows` of a struct of `size` */
	OPTION_MAP, /* a group whose names are not ours: strings, numbers and truth values, as text */
	/* derived values, which only travel between processes */
	OPTION_SOURCE,
	OPTION_BLOB,
	OPTION_ADDRESS,
};

enum option_flag {
	OPTION_REQUIRED = 1,
	OPTION_RESTART = 2,     /* a change needs a restart */
	OPTION_SECRET = 4,      /* never printed */
	OPTION_UNAVAILABLE = 8, /* known, but not available in this version */
	OPTION_INTERNAL = 16,   /* derived: not read from files */
};

/* Who may see the value; none of them: the supervisor alone. SECTION_LOGIN: workers, but not the checker, which builds what
 * they build and logs in nowhere. */
enum option_section {
	SECTION_WORKER = 1,
	SECTION_AUTH = 2,
	SECTION_MONITOR = 4,
	SECTION_LOGIN = 8,
	SECTION_KEEPER = 16,
	SECTION_TOKEN = 32
};

/* `value` of the words of a path: whether ":/path" may follow, or something has to. */
enum option_path_word { OPTION_WORD_ALONE, OPTION_WORD_PATH, OPTION_WORD_PREFIX };

struct option_word {
	const char *name; /* NULL ends the list */
	int value;
	bool unavailable;
};

struct option {
	const char *name;
	enum option_type type;
	size_t offset;
	unsigned flags, sections;
	int min, max;      /* of a number; of the length of a string, list or group of strings */
	int number;        /* default of a number, truth value or word */
	const char *text;  /* default of a string; of strings: separated by blanks; NULL: none */
	const char *shown; /* what the README says of a default that is found out at start */
	const struct option_word *words;
	const struct option *rows;
	size_t size;
	const char *help;
};

struct option_array {
	void *items;
	size_t count;
};

extern const struct option option_table[]; /* of struct config */

/* Sets every default of a table in the struct at base; items of lists have theirs set when they are made. */
void option_defaults(const struct option *rows, void *base, struct arena *);

#endif
