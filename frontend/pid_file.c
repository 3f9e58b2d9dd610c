/* pid_file - see pid_file.h. A file left behind by a killed process holds no lock and is taken over. */
#include "frontend/pid_file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Between open and lock the owner before may have removed the file: then the lock is on a file without a name. */
static bool still_there(const char *path, int fd)
{
	struct stat named, locked;

	return stat(path, &named) == 0 && fstat(fd, &locked) == 0 &&
	       named.st_dev == locked.st_dev && named.st_ino == locked.st_ino;
}

int pid_file_open(const char *path)
{
	for (;;) {
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);

		if (fd < 0)
			return -1;
		if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
			if (still_there(path, fd)) {
				if (ftruncate(fd, 0) == 0 && dprintf(fd, "%d\n", getpid()) > 0)
					return fd;
			} else {
				close(fd);
				continue;
			}
		}

		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
}

void pid_file_close(const char *path, int fd)
{
	if (fd < 0)
		return;
	unlink(path);
	close(fd);
}
