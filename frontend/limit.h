/* limit - how many sessions there may be, in all and from one address, counted over all workers.
 * Invariants: one shared mapping without locks: each worker writes only its own column and readers add up; the supervisor
 * clears the column of a dead worker; fixed size, the least entry gives way when a row is full; IPv6 is keyed by its
 * /64. Values read are taken with care (another process wrote them): they only ever make us refuse or admit.
 */
#ifndef FRONTEND_LIMIT_H
#define FRONTEND_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct limit_map;

/* Supervisor: a memfd of the right size for that many workers; -1 with errno. */
int limit_create(unsigned workers);
/* Maps it; the descriptor may be closed then. NULL with errno when it does not fit. */
struct limit_map *limit_map(int fd, unsigned workers);
void limit_unmap(struct limit_map *);
void limit_clear(struct limit_map *, unsigned worker); /* that worker has died */

enum limit_verdict { LIMIT_ADMITTED, LIMIT_SESSIONS, LIMIT_ADDRESS };

/* Counts a session of `worker` from that address, unless a maximum (0: none) is reached. exempt: only counted. */
enum limit_verdict limit_enter(struct limit_map *, unsigned worker, const struct sockaddr *,
			       unsigned max_sessions, unsigned max_per_address, bool exempt);
void limit_leave(struct limit_map *, unsigned worker, const struct sockaddr *);
unsigned limit_sessions(const struct limit_map *); /* over all workers */
unsigned limit_sessions_of(const struct limit_map *,
			   const struct sockaddr *); /* the same, of one address */

#endif
