/* monitor_link - a worker's end of the channel to the monitor.
 * Invariants: without a monitor, or with one that does not look at servers, a worker knows of its own logins alone, and says so itself;
 * a word about a configuration that the worker does not have is dropped.
 */
#ifndef FRONTEND_MONITOR_LINK_H
#define FRONTEND_MONITOR_LINK_H

#include "frontend/channel.h"
#include "frontend/publication.h"

struct worker;

struct monitor_link {
	struct channel channel;
	unsigned incarnation; /* of the monitor at the other end; 0: none */
};

void monitor_link_init(struct monitor_link *);
/* Takes fd. An earlier monitor is forgotten. */
void monitor_link_up(struct monitor_link *, struct worker *, unsigned incarnation, int fd);
void monitor_link_down(struct monitor_link *, unsigned incarnation);
void monitor_link_cleanup(struct monitor_link *);
/* A login failed there. False: nobody was told. */
bool monitor_link_suspect(struct monitor_link *, const struct published_suspect *);

#endif
