/* fuzz_pop3 - a client's bytes to the POP3 dialogue; see fuzz_dialogue.h. */
#include "tests/fuzz/fuzz_dialogue.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	return fuzz_dialogue(&protocol_pop3, bytes, len);
}
