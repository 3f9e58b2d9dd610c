/* config_files - a throw-away folder with configuration files for tests of the configuration. */
#include "tests/support/config_files.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const config_parts[PARTS] = {
	"hostname = \"mail.example.test\";",
	"tls: { certificates = ( { chain = \"cert.pem\"; key = \"key.pem\"; } ); };",
	"listeners = ( { protocol = \"imap\"; address = \"127.0.0.1\"; port = 1143; tls = "
	"\"starttls\"; },"
	" { protocol = \"submission\"; address = \"::1\"; port = 1465; tls = \"implicit\"; } );",
	"auth: { source = \"backend\"; };",
	"backends = ( { name = \"store\"; protocol = \"imap\"; servers = ( { host = \"127.0.0.1\"; "
	"port = 10143; } ); tls = \"none\"; },"
	" { name = \"relay\"; protocol = \"submission\"; servers = ( { host = \"127.0.0.1\"; port "
	"= 10587; } ); tls = \"none\"; } );",
	"routes = ( { imap = \"store\"; submission = \"relay\"; } );",
	"limits: { };",
	"log: { };",
};

static char folder[] = "/tmp/postern-config-XXXXXX";

void files_begin(void)
{
	memcpy(folder + sizeof folder - 7, "XXXXXX", 7);
	if (mkdtemp(folder) == NULL)
		abort();
	files_write("cert.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
	files_write("ca.pem", "-----BEGIN CERTIFICATE-----\nCACA\n-----END CERTIFICATE-----\n");
	files_write("key.pem", "-----BEGIN PRIVATE KEY-----\nBBBB\n-----END PRIVATE KEY-----\n");
	chmod(files_path("key.pem"), 0600);
}

void files_end(void)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	if (dir == NULL)
		abort();
	while ((entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			remove(files_path(entry->d_name));
	closedir(dir);
	rmdir(folder);
}

const char *files_path(const char *name)
{
	static char paths[4][512];
	static unsigned turn;
	char *path = paths[turn++ % 4];

	snprintf(path, sizeof paths[0], "%s%s%s", folder, *name == 0 ? "" : "/", name);
	return path;
}

void files_write(const char *name, const char *text)
{
	FILE *file = fopen(files_path(name), "w");

	if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0)
		abort();
}

const char *files_write_parts(enum config_part part, const char *text)
{
	const char *path = files_path("postern.conf");
	FILE *file = fopen(path, "w");

	if (file == NULL)
		abort();
	for (int i = 0; i < PARTS; i++) {
		const char *line = i == (int)part ? text : config_parts[i];

		fprintf(file, "%s\n", line == NULL ? "" : line);
	}
	if (fclose(file) != 0)
		abort();
	return path;
}
