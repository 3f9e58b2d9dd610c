/* config_files - a throw-away folder with configuration files for tests of the configuration. */
#ifndef TESTS_SUPPORT_CONFIG_FILES_H
#define TESTS_SUPPORT_CONFIG_FILES_H

/* The top-level settings of a configuration without a fault, one line each. */
enum config_part {
	PART_HOSTNAME,
	PART_TLS,
	PART_LISTENERS,
	PART_AUTH,
	PART_BACKENDS,
	PART_ROUTES,
	PART_LIMITS,
	PART_LOG,
	PARTS
};
extern const char *const config_parts[PARTS];

/* Makes a folder with cert.pem, key.pem and ca.pem (which only look like it); all functions abort on failure. */
void files_begin(void);
void files_end(void); /* removes it */
const char *
files_path(const char *name); /* good until the next but three calls; "": the folder itself */
void files_write(const char *name, const char *text);
/* postern.conf of all parts, each on its line, but for `part`, which is `text` (NULL: left empty). */
const char *files_write_parts(enum config_part part, const char *text);

#endif
