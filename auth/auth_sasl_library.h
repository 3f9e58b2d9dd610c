/* auth_sasl_library - Cyrus SASL as a whole: initialised once for a process, with every question for an option answered by
 * auth_options. Invariants: the library opens no configuration file of its own and loads only the plugins that the options
 * want. One at a time per process, since its state is global.
 */
#ifndef AUTH_AUTH_SASL_LIBRARY_H
#define AUTH_AUTH_SASL_LIBRARY_H

#include "auth/auth_options.h"

struct auth_library;

/* NULL when it cannot; *why then says so, a literal. */
struct auth_library *auth_library_new(struct auth_options *, const char **why);
void auth_library_free(struct auth_library *); /* no exchange may be open; NULL is fine */
/* From now on these answer what is asked outside of any exchange. */
void auth_library_use(struct auth_library *, struct auth_options *);

/* Whether a plugin that was loaded serves it. */
bool auth_library_serves(const char *mechanism);
bool auth_library_has_store(const char *name);

/* False, with a line in the log, where sasldb is asked and its file cannot be read: the library would say that there is no
 * such user. */
bool auth_library_store_is_there(const struct auth_options *);

/* The callback for SASL_CB_GETOPT; its context is a struct auth_options. */
int auth_library_answer(void *options, const char *plugin, const char *option, const char **result,
			unsigned *len);

/* An unknown user has a password, too: one that nobody knows. So he gets a challenge like anybody else, and his refusal takes as
 * long. Whether that password was used since the last call. */
bool auth_library_took_decoy(struct auth_library *);

#endif
