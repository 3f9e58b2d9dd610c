/* notify - tells the service manager (systemd's sd_notify protocol: one datagram to $NOTIFY_SOCKET) how the supervisor is.
 * Invariants: children inherit nothing of it; without a service manager, or when it does not listen, nothing happens.
 */
#ifndef FRONTEND_NOTIFY_H
#define FRONTEND_NOTIFY_H

#include <stddef.h>

/* Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment. */
void notify_init(void);

/* Also ends a reload. The service manager shows how many there are. */
void notify_ready(size_t listeners, unsigned workers);
void notify_reloading(void);
void notify_stopping(void);

double notify_watchdog(void); /* seconds between two notify_alive(); 0: nobody waits for them */
void notify_alive(void);

#endif
