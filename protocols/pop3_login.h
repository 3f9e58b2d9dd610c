/* pop3_login - logging a user in to a POP3 backend; see login.h. */
#ifndef PROTOCOLS_POP3_LOGIN_H
#define PROTOCOLS_POP3_LOGIN_H

#include "protocols/login.h"

extern const struct login_script pop3_login_script;

#endif
