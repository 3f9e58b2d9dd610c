/* client_users - see client_users.h. The file is the supervisor's to read and to judge, a worker's to look up in. */
#include "frontend/client_users.h"
#include "protocols/credential.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define DIGEST_DIGITS (2 * CLIENT_DIGEST_SIZE)

enum kind { KIND_DIGEST, KIND_ADDRESS, KIND_SUBJECT };

struct entry {
	enum kind kind;
	unsigned line;
	struct span user, subject;        /* into the text */
	char key[CLIENT_ADDRESS_MAX + 1]; /* the digest's digits in lower case, or the address */
};

struct client_users {
	size_t count;
	struct entry entries[];
};

/* ---- addresses ---- */

static bool address_byte(unsigned char byte)
{
	return byte > ' ' && byte < 0x7f && strchr("\"\\(),:;<>[]", byte) == NULL;
}

static bool domain_byte(unsigned char byte)
{
	return isalnum(byte) || byte == '-' || byte == '.';
}

bool client_address_take(struct span name, char out[CLIENT_ADDRESS_MAX + 1])
{
	const char *at = memchr(name.data, '@', name.len);
	size_t local;

	if (at == NULL || name.len > CLIENT_ADDRESS_MAX)
		return false;
	local = (size_t)(at - name.data);
	if (local == 0 || local + 1 == name.len)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		unsigned char byte = (unsigned char)name.data[i];

		if (i < local ? !address_byte(byte) : i > local && !domain_byte(byte))
			return false;
		out[i] = i > local ? (char)tolower(byte) : (char)byte;
	}
	out[name.len] = '\0';
	return true;
}

/* ---- one line ---- */

/* 64 digits, or pairs of them with colons between. */
static bool take_digest(struct span text, char *out)
{
	bool colons = text.len == DIGEST_DIGITS + CLIENT_DIGEST_SIZE - 1;

	if (!colons && text.len != DIGEST_DIGITS)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (colons && i % 3 == 2) {
			if (text.data[i] != ':')
				return false;
		} else if (isxdigit((unsigned char)text.data[i])) {
			*out++ = (char)tolower((unsigned char)text.data[i]);
		} else {
			return false;
		}
	}
	*out = '\0';
	return true;
}

/* "CN=..." */
static bool is_subject(struct span text)
{
	size_t i = 0;

	while (i < text.len && (isalnum((unsigned char)text.data[i]) || text.data[i] == '.'))
		i++;
	return i > 0 && i < text.len && text.data[i] == '=';
}

static bool take_key(struct span key, struct entry *entry)
{
	if (take_digest(key, entry->key)) {
		entry->kind = KIND_DIGEST;
	} else if (is_subject(key)) {
		entry->kind = KIND_SUBJECT;
		entry->subject = key;
	} else if (client_address_take(key, entry->key)) {
		entry->kind = KIND_ADDRESS;
	} else {
		return false;
	}
	return true;
}

static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t';
}

static struct span trimmed(struct span text)
{
	while (text.len > 0 && is_blank(text.data[0]))
		text = span_from(text, 1);
	while (text.len > 0 &&
	       (is_blank(text.data[text.len - 1]) || text.data[text.len - 1] == '\r'))
		text.len--;
	return text;
}

/* NULL, or what is wrong with a line that is neither empty nor a comment. */
static const char *take_line(struct span line, struct entry *entry)
{
	size_t key;

	if (line.len > CLIENT_USERS_LINE_MAX)
		return "the line is too long";
	if (memchr(line.data, '\0', line.len) != NULL)
		return "there is a NUL in the line";
	for (key = line.len; key > 0 && !is_blank(line.data[key - 1]);)
		key--;
	entry->user = span_from(line, key);
	if (key == 0)
		return "a line is what the certificate is known by, blanks, and a user";
	if (!identity_acceptable(entry->user))
		return "this is no name for a user";
	if (!take_key(trimmed((struct span) { line.data, key }), entry))
		return "a certificate is known by the SHA-256 of it (64 hexadecimal digits), by an "
		       "address or by its subject (CN=...)";
	return NULL;
}

/* ---- the file ---- */

static int compare_spans(struct span a, struct span b)
{
	int order = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);

	return order != 0 ? order : a.len < b.len ? -1 : a.len > b.len;
}

static struct span key_of(const struct entry *entry)
{
	return entry->kind == KIND_SUBJECT ? entry->subject : span_of(entry->key);
}

static int compare_keys(const void *one, const void *other)
{
	const struct entry *a = one, *b = other;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return compare_spans(key_of(a), key_of(b));
}

static size_t count_lines(struct span text)
{
	size_t count = 1;

	for (size_t i = 0; i < text.len; i++)
		count += text.data[i] == '\n';
	return count;
}

static bool read_lines(struct client_users *users, struct span text, unsigned *number,
		       const char **why)
{
	*number = 0;
	while (text.len > 0) {
		const char *end = memchr(text.data, '\n', text.len);
		size_t len = end ? (size_t)(end - text.data) : text.len;
		struct span line = trimmed((struct span) { text.data, len });
		struct entry *entry = &users->entries[users->count];

		++*number;
		text = span_from(text, end ? len + 1 : len);
		if (line.len == 0 || line.data[0] == '#')
			continue;
		entry->line = *number;
		*why = users->count < CLIENT_USERS_MAX ? take_line(line, entry)
						       : "there are too many lines";
		if (*why != NULL)
			return false;
		users->count++;
	}
	return true;
}

/* One certificate, one user: a second line about it is a mistake that nobody would find later. */
static bool keys_differ(const struct client_users *users, unsigned *line, const char **why)
{
	for (size_t i = 1; i < users->count; i++) {
		const struct entry *a = &users->entries[i - 1], *b = &users->entries[i];

		if (compare_keys(a, b) != 0)
			continue;
		*line = a->line > b->line ? a->line : b->line;
		*why = "a line above is about the same certificate";
		return false;
	}
	return true;
}

struct client_users *client_users_new(struct span text, unsigned *line, const char **why)
{
	size_t most = count_lines(text);
	struct client_users *users;

	if (most > CLIENT_USERS_MAX)
		most = CLIENT_USERS_MAX;
	users = calloc(1, sizeof(*users) + (most + 1) * sizeof(users->entries[0]));
	*line = 0;
	*why = "out of memory";
	if (users == NULL)
		return NULL;
	if (read_lines(users, text, line, why)) {
		qsort(users->entries, users->count, sizeof(users->entries[0]), compare_keys);
		if (keys_differ(users, line, why))
			return users;
	}
	client_users_free(users);
	return NULL;
}

void client_users_free(struct client_users *users)
{
	free(users);
}

/* ---- who it is ---- */

static struct span find(const struct client_users *users, const struct entry *wanted)
{
	const struct entry *found = bsearch(wanted, users->entries, users->count,
					    sizeof(users->entries[0]), compare_keys);

	return found != NULL ? found->user : SPAN("");
}

static struct span find_text(const struct client_users *users, enum kind kind, const char *text)
{
	struct entry wanted = { .kind = kind, .subject = span_of(text) };

	snprintf(wanted.key, sizeof(wanted.key), "%s", kind == KIND_SUBJECT ? "" : text);
	return find(users, &wanted);
}

/* Addresses that lead to one user, whoever they lead to. False: to two, or there may be more than were kept: that is nobody. */
static bool find_address(const struct client_users *users, const struct client_identity *identity,
			 struct span *user)
{
	*user = SPAN("");
	for (unsigned i = 0; i < identity->address_count; i++) {
		struct span one = find_text(users, KIND_ADDRESS, identity->addresses[i]);

		if (one.len > 0 && user->len > 0 && compare_spans(one, *user) != 0)
			return false;
		if (one.len > 0)
			*user = one;
	}
	return !identity->ambiguous || identity->address_count < CLIENT_ADDRESSES_MAX;
}

struct span client_users_find(const struct client_users *users,
			      const struct client_identity *identity)
{
	char digits[DIGEST_DIGITS + 1];
	struct span user;

	if (users == NULL)
		return identity->address_count == 1 && !identity->ambiguous
			       ? span_of(identity->addresses[0])
			       : SPAN("");
	for (size_t i = 0; i < CLIENT_DIGEST_SIZE; i++)
		snprintf(digits + 2 * i, 3, "%02x", identity->digest[i]);
	user = find_text(users, KIND_DIGEST, digits);
	if (user.len == 0 && !find_address(users, identity, &user))
		return SPAN("");
	if (user.len == 0 && identity->subject[0] != '\0')
		user = find_text(users, KIND_SUBJECT, identity->subject);
	return user;
}
