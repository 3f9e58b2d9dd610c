/* main - the command line. */
#include "auth/auth_sasl.h"
#include "frontend/child.h"
#include "frontend/config.h"
#include "frontend/config_version.h"
#include "frontend/supervisor.h"
#include "frontend/syscalls.h"
#include "frontend/tls.h"
#include <ev.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

static void usage(FILE *out)
{
	fputs("usage: postern -c PATH [-t | --audit]\n"
	      "       postern -V | --options[=man] | --syscalls[=keeper] | --help\n"
	      "\n"
	      "  -c PATH    configuration: a file, or a folder whose *.conf are read in name "
	      "order\n"
	      "  -t         check the configuration and end: 0 when it is right, 78 when not\n"
	      "  --audit    say what each listener will offer and which standard it breaks, and "
	      "end: 0\n"
	      "             without a finding, 1 with one, 78 when the configuration is wrong\n"
	      "  -V         show the version, and those of the libraries in use\n"
	      "  --options  show every option of the configuration; --options=man: for a manual "
	      "page\n"
	      "  --syscalls show the system calls that a worker (or the keeper) may make\n"
	      "  -h, --help show this\n"
	      "\n"
	      "SIGHUP reloads; SIGTERM drains and stops; SIGINT or a second SIGTERM stops at "
	      "once;\n"
	      "SIGUSR1 reopens the log.\n",
	      out);
}

static void print_versions(void)
{
	printf("postern %s\n", POSTERN_VERSION);
	printf("%s\n", tls_version());
	printf("libev %d.%d\n", ev_version_major(), ev_version_minor());
	printf("Cyrus SASL %s\n", auth_sasl_version());
	printf("libconfig %s\n", config_library_version());
}

/* Later descriptors must never be taken for 0, 1 or 2. */
static void open_standard_descriptors(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (fd < 0)
			exit(EX_OSERR);
		if (fd < 3)
			fcntl(fd, F_SETFD, 0);
	} while (fd < 3);
	close(fd);
}

static int finish_output(void)
{
	return fflush(stdout) == 0 ? 0 : EX_IOERR;
}

int main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "audit", no_argument, NULL, 'a' },
		{ "options", optional_argument, NULL, 'o' },
		{ "syscalls", optional_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	const char *path = NULL;
	enum supervisor_task task = SUPERVISOR_SERVE;
	int letter;

	if (argc > 1 && strcmp(argv[1], "--child") == 0)
		child_main(argc, argv);
	open_standard_descriptors();
	while ((letter = getopt_long(argc, argv, "c:tVh", long_options, NULL)) != -1) {
		switch (letter) {
		case 'c':
			path = optarg;
			break;
		case 't':
			task = SUPERVISOR_CHECK;
			break;
		case 'a':
			task = SUPERVISOR_AUDIT;
			break;
		case 'V':
			print_versions();
			return finish_output();
		case 'o':
			if (optarg && strcmp(optarg, "man") != 0) {
				usage(stderr);
				return EX_USAGE;
			}
			(optarg ? config_print_manual : config_print_options)(stdout);
			return finish_output();
		case 's':
			if (optarg && strcmp(optarg, "keeper") != 0) {
				usage(stderr);
				return EX_USAGE;
			}
			syscalls_print(stdout, optarg ? SYSCALLS_KEEPER : SYSCALLS_WORKER);
			return finish_output();
		case 'h':
			usage(stdout);
			return finish_output();
		default:
			usage(stderr);
			return EX_USAGE;
		}
	}
	if (!path || optind < argc) {
		usage(stderr);
		return EX_USAGE;
	}
	return supervisor_run(path, task);
}
