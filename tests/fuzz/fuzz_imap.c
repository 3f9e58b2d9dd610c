/* fuzz_imap - a client's bytes to the IMAP dialogue; see fuzz_dialogue.h. */
#include "tests/fuzz/fuzz_dialogue.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	return fuzz_dialogue(&protocol_imap, bytes, len);
}
