/* fuzz_imap_login - an IMAP backend's bytes to our login; see fuzz_login.h. */
#include "protocols/imap_login.h"
#include "tests/fuzz/fuzz_login.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	return fuzz_login(&imap_login_script, bytes, len);
}
