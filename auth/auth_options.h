/* auth_options - one configuration as the SASL library is to see it: the answers to its questions for options, and which
 * plugins it may load. Invariants: immutable and counted, so an exchange keeps those that it began with; wiped when the
 * last one lets go (there may be passwords of databases in them). With the backend as judge no option leads to a store.
 */
#ifndef AUTH_AUTH_OPTIONS_H
#define AUTH_AUTH_OPTIONS_H

#include "protocols/span.h"
#include <stdbool.h>

#define AUTH_OPTIONS_DECOY "postern-decoy" /* a store of ours, asked last; see auth_library */

/* Handed on to the library. */
struct auth_option {
	const char *name, *value;
};

struct auth_sasl_settings {
	const char *hostname;
	const char *const *mechanisms; /* upper case, NULL at the end */
	bool decides; /* SASL is the judge; else the backend, and only PLAIN and LOGIN count */
	const struct auth_option *options; /* only where SASL decides */
	size_t option_count;
};

struct auth_options {
	unsigned references;
	bool decides;
	char *hostname;
	char *mechanisms; /* "PLAIN LOGIN" */
	char *stores;     /* auxprop_plugin as the library gets it; NULL: none is named */
	struct auth_option *items;
	size_t count;
};

struct auth_options *auth_options_new(const struct auth_sasl_settings *); /* NULL: no memory */
struct auth_options *auth_options_keep(struct auth_options *);
void auth_options_drop(struct auth_options *); /* NULL is fine */

/* NULL: the library's built-in value. */
const char *auth_options_answer(const struct auth_options *, const char *option);
bool auth_options_list_mechanism(const struct auth_options *, struct span name);
bool auth_options_has_store(const struct auth_options *, const char *name); /* auxprop_plugin */
bool auth_options_asks_daemon(const struct auth_options *); /* about a bare password */
/* The name of a file in the folder of plugins. */
bool auth_options_want_plugin(const struct auth_options *, const char *file);
/* Whether the library that was initialised for one will do for the other: what plugins read when they are loaded is the same. */
bool auth_options_same_library(const struct auth_options *, const struct auth_options *);

#endif
