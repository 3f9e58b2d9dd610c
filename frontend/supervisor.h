/* supervisor - the first process: checks, binds, starts the others and keeps them alive.
 * Invariants: speaks to no client; touches neither the TLS library nor SASL.
 */
#ifndef FRONTEND_SUPERVISOR_H
#define FRONTEND_SUPERVISOR_H

#include <stdbool.h>

/* Runs in the foreground until it is stopped; only_check: checks the configuration, binds nothing, and says so.
 * Returns the exit status (sysexits.h). */
int supervisor_run(const char *path, bool only_check);

#endif
