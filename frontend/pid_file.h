/* pid_file - one supervisor per pid file.
 * Invariants: who holds the lock on the file owns it; the file is removed before the lock is given up.
 */
#ifndef FRONTEND_PID_FILE_H
#define FRONTEND_PID_FILE_H

/* The descriptor that holds the lock, or -1 with errno; EWOULDBLOCK: a live process has it. */
int pid_file_open(const char *path);
void pid_file_close(const char *path, int fd); /* removes it; fd -1 is fine */

#endif
