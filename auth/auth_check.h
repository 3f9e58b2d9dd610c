/* auth_check - asks the SASL library whether it can do what a configuration wants of it. */
#ifndef AUTH_AUTH_CHECK_H
#define AUTH_AUTH_CHECK_H

#include "auth/auth_options.h"
#include "frontend/config.h"

/* Of the auth section; `options` has room for config->auth.sasl.count. Both live as long as the configuration. */
struct auth_sasl_settings auth_settings_of(const struct config *, struct auth_option *options);

/* Initialises the library as an auth process would, and leaves it again. Faults carry the place of the mechanisms or of the option.
 * For a process that ends afterwards: plugins may leave things behind. */
void auth_check(const struct config *, struct config_faults *);

#endif
