/* imap_login - logging a user in to an IMAP backend; see login.h. */
#ifndef PROTOCOLS_IMAP_LOGIN_H
#define PROTOCOLS_IMAP_LOGIN_H

#include "protocols/login.h"

extern const struct login_script imap_login_script;

#endif
