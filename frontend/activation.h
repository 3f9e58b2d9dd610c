/* activation - listening sockets that a service manager has bound for us (systemd's LISTEN_FDS).
 * Invariants: children inherit nothing of it; what no listener wants at the start is closed and told. What one has wanted is kept: it
 * cannot be bound again while the manager has it, and a later reload may bring the listener back.
 */
#ifndef FRONTEND_ACTIVATION_H
#define FRONTEND_ACTIVATION_H

#include "frontend/address.h"
#include <stdbool.h>

/* Takes LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES out of the environment, and the descriptors from 3 on that they tell of. To be
 * called before anything else is opened. Sockets that are no listening TCP sockets, or that mix IPv4 into IPv6, are closed, with an event. */
void activation_init(void);

/* A descriptor of the socket bound to that address, or -1. *shareable: it was bound with SO_REUSEPORT, so others may join it. The
 * caller closes it. */
int activation_take(const struct address *, bool *shareable);

/* Closes what nobody took, with an event for each. */
void activation_close_unused(void);
/* Closes what is kept. */
void activation_end(void);

#endif
