/* config_version - see config_version.h. The library itself cannot be asked; its header can. */
#include "frontend/config_version.h"
#include <libconfig.h>

#define TEXT(number)   #number
#define NUMBER(number) TEXT(number)

const char *config_library_version(void)
{
	return NUMBER(LIBCONFIG_VER_MAJOR) "." NUMBER(LIBCONFIG_VER_MINOR) "." NUMBER(
		LIBCONFIG_VER_REVISION);
}
