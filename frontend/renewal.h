/* renewal - certificates in place of those in force when their files have changed, without a command.
 * Steps: the files' list is made anew; the checker reads what has changed and makes the next book; the keeper fetches its keys; then workers
 * and monitor get it. A bad or half-written pair keeps the certificate that was there, is told once for each state of its files, and
 * looked at again when they change, and after 1, 2, 4 ... 60 s. An OCSP response that the monitor has fetched goes the same way, as if it
 * were the file beside the chain.
 * Invariants: files that change while they are read are read again before anything of them is used; one at a time, and never while a
 * reload goes on.
 */
#ifndef FRONTEND_RENEWAL_H
#define FRONTEND_RENEWAL_H

#include "frontend/certificate_watch.h"
#include "frontend/children.h"

enum renewal_step { RENEWAL_NONE, RENEWAL_CHECKING, RENEWAL_KEEPER };

struct renewal {
	struct children *children;
	struct certificates **certificates; /* in force */
	struct config **config;             /* in force */
	bool (*may_begin)(const struct renewal *);
	void (*ended)(struct renewal *); /* something else may begin */

	enum renewal_step step;
	bool again;   /* something has changed meanwhile */
	bool anew;    /* what was refused is to be looked at again */
	double pause; /* before that; 0: nothing was refused */
	struct certificates *next;
	struct config_faults told; /* of the list, sorted: not told again while they stand */
	struct certificate_watch *watch;
	struct staples *staples; /* that the monitor has fetched, until they are in a book */
	ev_timer gather;         /* so that many of them make one book */
	ev_timer retry, deadline, daily;
};

/* The caller has zeroed it and set the first group of members. */
void renewal_init(struct renewal *);
void renewal_start(struct renewal *); /* from now on files are watched */
void renewal_end(struct renewal *);   /* for good; may be called twice */
/* What had to wait may go on, after a reload. */
void renewal_resume(struct renewal *);
bool renewal_active(const struct renewal *);

/* An OCSP response has come for a certificate in force. */
void renewal_staple(struct renewal *, const struct children_staple *);

/* What the children tell; nothing happens where it is not about a renewal. */
void renewal_checked(struct renewal *, const struct children_checked *);
void renewal_warned(struct renewal *, const struct config_faults *);
void renewal_failed(struct renewal *, const struct config_faults *);
void renewal_checker_over(struct renewal *);
void renewal_busy(struct renewal *); /* the keeper fetches keys: it is waited for */
void renewal_kept(struct renewal *);

#endif
