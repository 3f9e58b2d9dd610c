/* smtp_login - logging in to a submission backend as the user. See login.h. */
#ifndef PROTOCOLS_SMTP_LOGIN_H
#define PROTOCOLS_SMTP_LOGIN_H

#include "protocols/login.h"

extern const struct login_script smtp_login_script;

#endif
