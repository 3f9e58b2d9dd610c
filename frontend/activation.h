/* activation - listening sockets that a service manager has bound for us (systemd's LISTEN_FDS).
 * Invariants: children inherit nothing of it; a socket is given out once; what no listener wants is closed and told.
 */
#ifndef FRONTEND_ACTIVATION_H
#define FRONTEND_ACTIVATION_H

#include "frontend/address.h"
#include <stdbool.h>

/* Takes LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES out of the environment, and the descriptors from 3 on that they tell of. To be
 * called before anything else is opened. Sockets that are no listening TCP sockets, or that mix IPv4 into IPv6, are closed, with an event. */
void activation_init(void);

/* The socket bound to that address, or -1. *shareable: it was bound with SO_REUSEPORT, so others may join it. The caller closes it. */
int activation_take(const struct address *, bool *shareable);

/* Closes what nobody took, with an event for each. */
void activation_end(void);

#endif
