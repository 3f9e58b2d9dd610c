/* guard - copies of test data that end right before an unreadable page: one byte too far is a crash, not luck. */
#ifndef TESTS_SUPPORT_GUARD_H
#define TESTS_SUPPORT_GUARD_H

#include <stddef.h>

/* Writable; never NULL (aborts when memory is out). len may be 0: then every read of it faults. */
char *guard_copy(const void *data, size_t len);
void guard_free(char *, size_t len);

#endif
