/* certificate_folder - the certificates that lie in a folder, by the names of their files; see certificates.h for the layouts. */
#ifndef FRONTEND_CERTIFICATE_FOLDER_H
#define FRONTEND_CERTIFICATE_FOLDER_H

#include "frontend/config.h"

struct certificate_finder {
	void *owner;
	/* A pair; its texts live until it returns. False: no more can be taken. */
	bool (*found)(void *owner, const char *chain, const char *key, const char *staple);
	/* A folder in that folder, where files may come. */
	void (*folder)(void *owner, const char *path);
	struct config_faults *faults; /* a certificate without its key: a warning */
};

/* In the order of their names, with symbolic links followed. False with errno when the folder cannot be read, or with 0 when
 * found() has said so. */
bool certificate_folder_read(const struct config_folder *, const struct certificate_finder *);

#endif
