/* syscalls - the system calls that a worker, or the keeper, may still make once it has its configuration.
 * Invariants: whatever is not in the table ends the process (signal SIGSYS); no file is opened, no program run, no process made, traced
 * or signalled, no memory made executable; a worker's sockets are streams of IPv4, IPv6 or Unix only, the keeper makes none; it makes
 * threads.
 */
#ifndef FRONTEND_SYSCALLS_H
#define FRONTEND_SYSCALLS_H

#include <stdio.h>

enum syscalls_role { SYSCALLS_WORKER, SYSCALLS_KEEPER };

/* Confines this process for good; its libraries must have opened by then what they need. 0, or -1 with errno when the kernel does not take
 * the filter. In a build with the address sanitizer, which needs more, nothing is done. */
int syscalls_confine(enum syscalls_role);

/* One line for each call: its name, and the arguments it may have. */
void syscalls_print(FILE *, enum syscalls_role);

#endif
