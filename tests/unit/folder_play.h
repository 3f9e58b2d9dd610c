/* A throw-away folder that the test fills; included by one test program each. */
#ifndef TESTS_UNIT_FOLDER_PLAY_H
#define TESTS_UNIT_FOLDER_PLAY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

static char folder[] = "/tmp/postern-folder-XXXXXX";

/* The path of that name in it; good for eight calls. */
static inline const char *at(const char *name)
{
	static char paths[8][256];
	static unsigned turn;
	char *path = paths[turn++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static inline void put(const char *name, const char *text)
{
	FILE *file = fopen(at(name), "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

#endif
