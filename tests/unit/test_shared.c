/* test_shared - the shared mapping: sizes, sections, seals, the key. And the keyed hash, by its authors' vectors. */
#include "frontend/limit.h"
#include "frontend/shared.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static void the_mapping_cannot_be_cut_short(void **state)
{
	int fd = shared_create(1);

	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, 1 << 30), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1); /* nor shut to the others */
	close(fd);
}

static void a_mapping_for_another_number_of_workers_is_refused(void **state)
{
	int fd = shared_create(2), empty = memfd_create("empty", MFD_CLOEXEC);

	assert_null(shared_map(fd, 1, true));
	assert_int_equal(errno, EINVAL);
	assert_null(shared_map(fd, 3, true));
	assert_null(shared_map(fd, 0, true));
	assert_null(shared_map(fd, SHARED_WORKER_MAX + 1, true));
	assert_null(shared_map(empty, 2, true));
	assert_null(shared_map(-1, 2, true));
	close(empty);
	close(fd);
	assert_int_equal(shared_create(0), -1);
	assert_int_equal(shared_create(SHARED_WORKER_MAX + 1), -1);
}

static void sections_are_aligned_zero_and_apart(void **state)
{
	int fd = shared_create(3);
	struct shared *shared = shared_map(fd, 3, true);
	unsigned char *end = NULL;

	assert_int_equal(shared_workers(shared), 3);
	for (unsigned i = 0; i < SHARED_SECTIONS; i++) {
		unsigned char *section = shared_section(shared, (enum shared_section)i);

		assert_int_equal((uintptr_t)section % 4096, 0);
		assert_int_equal(*section, 0);
		assert_true(end == NULL || section > end);
		end = section;
	}
	assert_true(limit_size(3) > 2 * limit_size(1));
	shared_unmap(shared);
	close(fd);
}

static void the_key_is_the_same_for_all_and_new_at_each_start(void **state)
{
	int fd = shared_create(1), other = shared_create(1);
	struct shared *first = shared_map(fd, 1, true), *second = shared_map(fd, 1, false);
	struct shared *third = shared_map(other, 1, true);

	assert_memory_equal(shared_key(first), shared_key(second), sizeof(struct hash_key));
	assert_memory_not_equal(shared_key(first), shared_key(third), sizeof(struct hash_key));
	assert_int_not_equal(hash_bytes(shared_key(first), "a", 1),
			     hash_bytes(shared_key(third), "a", 1));
	shared_unmap(first);
	shared_unmap(second);
	shared_unmap(third);
	close(fd);
	close(other);
}

/* A store to a mapping that is only to be read ends the process. */
static void a_reader_cannot_write(void **state)
{
	int fd = shared_create(1), status;
	struct shared *reader = shared_map(fd, 1, false);
	pid_t pid = fork();

	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		*(volatile char *)shared_section(reader, SHARED_LIMITS) = 1;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
	shared_unmap(reader);
	close(fd);
}

/* Appendix A of the paper, and the first of the reference implementation's vectors. */
static void the_hash_gives_its_authors_values(void **state)
{
	static const struct hash_key key = { { 0x0706050403020100, 0x0f0e0d0c0b0a0908 } };
	static const uint64_t expected[] = {
		0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d,
		0xcf2794e0277187b7, 0x18765564cd99a68d, 0xcbc9466e58fee3ce, 0xab0200f58b01d137,
		0x93f5f5799a932462, 0x9e0082df0ba9e4b0,
	};
	unsigned char data[15];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)i;
	for (size_t len = 0; len < sizeof(expected) / sizeof(expected[0]); len++)
		assert_true(hash_bytes(&key, data, len) == expected[len]);
	assert_true(hash_bytes(&key, data, sizeof(data)) == 0xa129ca6149be45e5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_mapping_cannot_be_cut_short),
		cmocka_unit_test(a_mapping_for_another_number_of_workers_is_refused),
		cmocka_unit_test(sections_are_aligned_zero_and_apart),
		cmocka_unit_test(the_key_is_the_same_for_all_and_new_at_each_start),
		cmocka_unit_test(a_reader_cannot_write),
		cmocka_unit_test(the_hash_gives_its_authors_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
