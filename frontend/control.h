/* control - what the supervisor and its children tell each other (types of message on the supervisor channel).
 * A child is started as `postern --child KIND INDEX INCARNATION CHANNEL_FD LOG_FD SHARED_FD UID GID LOG_KIND LOG_FORMAT`
 * (SHARED_FD -1: none; UID 0: stay; the last two as enum log_kind and log_format).
 * It gets its configuration as PREPARE, answers READY or FAILED, and begins with COMMIT. A reload is the same again, while
 * it goes on serving what it has: COMMIT puts the new one in its place, ABORT drops it.
 * Certificates travel as a book (book.h), a sealed memory file that the checker makes of the files: BOOK before the PREPARE of a
 * generation, and alone when files have been renewed.
 */
#ifndef FRONTEND_CONTROL_H
#define FRONTEND_CONTROL_H

enum child_kind {
	CHILD_WORKER,
	CHILD_AUTH,
	CHILD_KEEPER,
	CHILD_MONITOR,
	CHILD_TOKEN,
	CHILD_CHECKER,
	CHILD_KINDS
};

enum control_type {
	/* supervisor to child */
	CONTROL_PREPARE =
		1, /* u32 generation, then the child's section of the configuration (config_encode) */
	CONTROL_COMMIT,   /* u32 generation */
	CONTROL_ABORT,    /* u32 generation */
	CONTROL_LISTENER, /* u32 index in the configuration of the last PREPARE; one descriptor (monitor: that of its pages) */
	CONTROL_PEER_UP,  /* u8 kind, u32 index, u32 incarnation; one descriptor */
	CONTROL_PEER_DOWN, /* u8 kind, u32 index, u32 incarnation */
	CONTROL_LOG, /* u8 kind, u8 format; one descriptor: write there from now on (log_target_take) */
	CONTROL_DRAIN, /* stop accepting, end what may end, then exit */
	CONTROL_STOP,  /* exit now */
	/* u8 kind, u32 index, u32 incarnation: begin nothing new there, and close the work channel when nothing is open */
	CONTROL_PEER_RETIRE,
	/* To the checker, before PREPARE: the certificates to judge (certificate_message.h); one descriptor (the old book) or none. */
	CONTROL_CERTIFICATES,
	/* To the checker and the keeper, the answer to WANT (certificate_message.h): descriptors of what could be opened. */
	CONTROL_FILES,
	/* To worker, keeper, token process and monitor: u32 generation; one descriptor. Before PREPARE of that generation; alone, with the one in
	 * force, it takes effect at once, and keeper and token process answer READY when they have the keys. */
	CONTROL_BOOK,
	/* To the keeper and the checker: string path, string why it could not be opened ("": it could); its descriptor or none. Before
	 * PREPARE, and alone when the file of ticket keys has changed (keeper_tickets.h). */
	CONTROL_TICKETS,
	/* To the token process, before PREPARE of what is in force already: a key that is missing is told and tried again, and is no fault. */
	CONTROL_AGAIN,
	CONTROL_AUDIT, /* to the checker, before PREPARE: AUDITED is wanted as well */
	/* child to supervisor */
	/* u32 generation, then warnings as the faults of FAILED; the checker adds a string (the TLS library's version), u32 count and per
	 * certificate that a renewal has refused u32 index and string why, and, as its descriptor, the book */
	CONTROL_READY = 64,
	/* u32 generation, u32 count, then per fault: u8 whether it is a warning, string file, u32 line, string text */
	CONTROL_FAILED,
	CONTROL_SERVING, /* u32 generation: the answer to COMMIT */
	CONTROL_STUCK,   /* u8 kind, u32 index, u32 incarnation: that peer does not answer */
	CONTROL_BUSY,    /* u8 kind: requests wait, and every process of that kind is busy */
	CONTROL_IDLE,    /* it has had nothing to do for a while */
	CONTROL_WANT,    /* checker, keeper: u32 index of a certificate whose files it is to get */
	/* monitor: u32 index of an entry of its latest book, bytes fingerprint of its leaf, bytes of an OCSP response for it */
	CONTROL_STAPLE,
	CONTROL_AUDITED, /* checker, before READY: u32 findings, u32 notes, bytes of the text */
};

#define CONTROL_MESSAGE_MAX (64u << 20) /* the paths of 100,000 certificates */
#define CONTROL_QUEUE_MAX   (96u << 20)
#define WORK_MESSAGE_MAX    65536u /* worker and its peers */
#define WORK_QUEUE_MAX      (1u << 20)

#endif
