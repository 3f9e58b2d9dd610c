/* fuzz_pop3_login - a POP3 backend's bytes to our login; see fuzz_login.h. */
#include "protocols/pop3_login.h"
#include "tests/fuzz/fuzz_login.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	return fuzz_login(&pop3_login_script, bytes, len);
}
