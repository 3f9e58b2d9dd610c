/* config_scan - a first look at the text of a configuration file, for what libconfig 1.5 takes without a word: an integer
 * over 32 bits without an L is cut, an escaped NUL ends a string early, @include opens files. It also names the line where
 * an unterminated string or comment begins, since libconfig names the line where it gave up.
 * Invariants: reads only [text, text+len); follows the same lexical rules as libconfig (comments, strings, names, numbers).
 */
#include "frontend/config_load.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX 64 /* characters; a longer one fits no integer */

struct scan {
	struct config_faults *faults;
	const char *file;
	const char *at, *end;
	int line;
	bool usable; /* may be given to the parser */
};

static void refuse(struct scan *scan, int line, const char *text)
{
	config_fault(scan->faults, false, scan->file, line, "%s", text);
	scan->usable = false;
}

static bool begins(const struct scan *scan, const char *prefix)
{
	size_t len = strlen(prefix);

	return (size_t)(scan->end - scan->at) >= len && memcmp(scan->at, prefix, len) == 0;
}

/* The next character, counting lines. */
static void step(struct scan *scan)
{
	if (*scan->at == '\n')
		scan->line++;
	scan->at++;
}

static void skip_line(struct scan *scan)
{
	while (scan->at < scan->end && *scan->at != '\n')
		scan->at++;
}

static void skip_comment(struct scan *scan)
{
	int line = scan->line;

	for (scan->at += 2; scan->at < scan->end; step(scan))
		if (begins(scan, "*/")) {
			scan->at += 2;
			return;
		}
	refuse(scan, line, "the comment that begins here does not end");
}

static void skip_string(struct scan *scan)
{
	int line = scan->line;

	for (scan->at++; scan->at < scan->end; step(scan)) {
		if (*scan->at == '"') {
			scan->at++;
			return;
		}
		if (begins(scan, "\\x00") || begins(scan, "\\X00"))
			refuse(scan, scan->line, "a string cannot hold a NUL");
		if (begins(scan, "\\\"") || begins(scan, "\\\\"))
			scan->at++;
	}
	refuse(scan, line, "the string that begins here does not end");
}

static void skip_name(struct scan *scan)
{
	while (scan->at < scan->end &&
	       (isalnum((unsigned char)*scan->at) || strchr("-_*", *scan->at) != NULL))
		scan->at++;
}

/* The rest of a floating point number: no option takes one, which the table will say. */
static void skip_fraction(struct scan *scan)
{
	while (scan->at < scan->end &&
	       (isdigit((unsigned char)*scan->at) || strchr(".eE+-", *scan->at) != NULL))
		scan->at++;
}

/* digits: NUL-terminated, with sign and suffix. Whether libconfig keeps its value. */
static bool integer_fits(const char *digits)
{
	bool hex = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
	long long value;
	char *end;

	errno = 0;
	value = strtoll(digits, &end, hex ? 16 : 10);
	if (errno == ERANGE)
		return false;
	return *end == 'L' || (value >= INT_MIN && value <= INT_MAX);
}

static void scan_number(struct scan *scan)
{
	const char *start = scan->at;
	char digits[NUMBER_MAX];
	bool hex = begins(scan, "0x") || begins(scan, "0X");
	size_t len;

	scan->at += hex ? 2 : 1; /* behind a sign, too */
	while (scan->at < scan->end &&
	       (hex ? isxdigit((unsigned char)*scan->at) : isdigit((unsigned char)*scan->at)))
		scan->at++;
	if (!hex && scan->at < scan->end && strchr(".eE", *scan->at) != NULL) {
		skip_fraction(scan);
		return;
	}
	while (scan->at < scan->end && *scan->at == 'L')
		scan->at++;
	len = (size_t)(scan->at - start);
	if (len < sizeof digits) {
		memcpy(digits, start, len);
		digits[len] = '\0';
		if (integer_fits(digits))
			return;
	}
	/* its digits may be a password that should have stood in quotation marks */
	config_fault(scan->faults, false, scan->file, scan->line,
		     "a number on this line is too large");
}

static void scan_token(struct scan *scan)
{
	char c = *scan->at;

	if (c == '#' || begins(scan, "//"))
		skip_line(scan);
	else if (begins(scan, "/*"))
		skip_comment(scan);
	else if (c == '"')
		skip_string(scan);
	else if (isalpha((unsigned char)c) || c == '*')
		skip_name(scan);
	else if (isdigit((unsigned char)c) || c == '-' || c == '+')
		scan_number(scan);
	else if (c == '.')
		skip_fraction(scan);
	else {
		if (begins(scan, "@include"))
			refuse(scan, scan->line,
			       "@include is not supported: put the file into the folder");
		step(scan);
	}
}

bool config_scan(struct config_faults *faults, const char *file, const char *text, size_t len)
{
	struct scan scan = { faults, file, text, text + len, 1, true };
	const char *nul = len == 0 ? NULL : memchr(text, '\0', len);

	if (nul != NULL) {
		for (; scan.at < nul; step(&scan))
			;
		refuse(&scan, scan.line, "the file holds a NUL");
		return false;
	}
	if (begins(&scan, "\xef\xbb\xbf")) {
		refuse(&scan, 1, "the file begins with a byte order mark: save it without one");
		return false;
	}
	while (scan.at < scan.end)
		scan_token(&scan);
	return scan.usable;
}
