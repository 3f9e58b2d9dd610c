/* ticket_file - the operator's file of ticket keys, as the supervisor deals with it: opened and handed on, never read; watched.
 */
#ifndef FRONTEND_TICKET_FILE_H
#define FRONTEND_TICKET_FILE_H

#include "frontend/certificate_watch.h"
#include <sys/stat.h>

struct ticket_file {
	struct config **config;       /* in force */
	void (*changed)(void *owner); /* it may be another one now */
	void *owner;
	struct certificate_watch *watch;
	struct stat last; /* of what was there when it was looked at last; zeros: nothing */
};

/* -1 and why: none that could be handed on. Else the caller closes it. */
int ticket_file_open(const char *path, const char **why);
/* NULL: this configuration has none. */
const char *ticket_file_path(const struct config *);

/* The caller has zeroed it and set the first group of members. */
void ticket_file_start(struct ticket_file *, struct ev_loop *);
void ticket_file_update(struct ticket_file *); /* another configuration is in force */
void ticket_file_end(struct ticket_file *);    /* may be called twice */

#endif
