/* config_version - which libconfig is in use. */
#ifndef FRONTEND_CONFIG_VERSION_H
#define FRONTEND_CONFIG_VERSION_H

const char *config_library_version(void); /* "1.5.0" */

#endif
