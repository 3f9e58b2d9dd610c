/* children_talk - what the supervisor and its children tell each other; private to children*.c. */
#ifndef FRONTEND_CHILDREN_TALK_H
#define FRONTEND_CHILDREN_TALK_H

#include "frontend/children.h"
#include "frontend/log.h"

extern const struct channel_handlers children_talk_handlers; /* of every child's channel */

/* ---- to a child ---- */

void child_tell(struct child *, enum control_type, const int *fds,
		size_t nfds); /* without fields */
void child_tell_generation(struct child *, enum control_type, uint32_t number);
/* The book, PREPARE of that generation, and a worker's listening sockets. */
void child_give(struct child *, const struct children_setup *);
void child_give_check(struct child *, const struct children_checking *);
/* TICKETS, to the keeper or the checker. */
void child_give_tickets(struct child *, const char *path);
/* BOOK alone, for the generation in force. */
void child_give_book(struct child *, const struct certificates *);
/* The list whose files it may ask for; NULL: none. */
const struct certificates *child_certificates(const struct child *);
void child_give_log(struct child *, const struct log_output *); /* CONTROL_LOG */
/* A work channel to every peer that is there; each end is told who the other is. False: none could be made. */
bool child_wire(struct child *);
void child_unwire(struct child *);
/* Its peers begin nothing new with it; it ends when they have let go. */
void child_retire(struct child *);

/* ---- in children.c, for what a child tells ---- */

void child_goes_on(struct child *);
void child_kill(const struct child *);
bool child_is_wired(const struct child *);
void child_answered(struct child *); /* READY for the generation that it was given */
void child_serves(struct child *, uint32_t number);
void child_kept(
	struct children *);       /* READY of the keeper or the token process, of whichever kind */
void child_leave(struct child *); /* its channel has ended, or its process */
void child_gone(struct child *);  /* its channel has ended */
void child_busy(struct children *, enum child_kind); /* one more of that kind would help */
void child_idle(struct child *);
struct child *child_find(struct children *, unsigned kind, unsigned index); /* NULL: no such */
void child_log(enum log_level, const char *event, const struct child *, pid_t, int status);

#endif
