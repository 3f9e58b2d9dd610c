/* control - what the supervisor and its children tell each other (types of message on the supervisor channel).
 * A child is started as `postern --child KIND INDEX INCARNATION CHANNEL_FD LOG_FD SHARED_FD UID GID LOG_KIND LOG_FORMAT`
 * (SHARED_FD -1: none; UID 0: stay; the last two as enum log_kind and log_format).
 * It gets its configuration as PREPARE, answers READY or FAILED, and begins with COMMIT. A reload is the same again, while
 * it goes on serving what it has: COMMIT puts the new one in its place, ABORT drops it.
 */
#ifndef FRONTEND_CONTROL_H
#define FRONTEND_CONTROL_H

enum child_kind { CHILD_WORKER, CHILD_AUTH, CHILD_MONITOR, CHILD_CHECKER, CHILD_KINDS };

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
	/* child to supervisor */
	CONTROL_READY =
		64, /* u32 generation; the checker adds a string: the TLS library's version */
	CONTROL_FAILED, /* u32 generation, u32 count, then per fault: string file, u32 line, string text */
	CONTROL_SERVING, /* u32 generation: the answer to COMMIT */
	CONTROL_STUCK,   /* u8 kind, u32 index, u32 incarnation: that peer does not answer */
	CONTROL_BUSY,    /* u8 kind: requests wait, and every process of that kind is busy */
	CONTROL_IDLE,    /* it has had nothing to do for a while */
};

#define CONTROL_MESSAGE_MAX (8u << 20)
#define CONTROL_QUEUE_MAX   (32u << 20)
#define WORK_MESSAGE_MAX    65536u /* worker and its peers */
#define WORK_QUEUE_MAX      (1u << 20)

#endif
