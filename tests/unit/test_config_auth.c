/* config_check_auth: what an operator may say of auth, each fault at its line. */
#include "frontend/config.h"
#include "tests/support/config_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <pwd.h>
#include <unistd.h>
#include <cmocka.h>

#define STORE  "auxprop_plugin = \"sasldb\"; sasldb_path = \"users.db\";"
#define DAEMON "saslauthd_path = \"users.db\";"

struct fault_case {
	const char *text;
	int line; /* of the text, from 0; -1: nothing about auth is wrong */
	const char *fault;
};

static const struct fault_case cases[] = {
	/* fine */
	{ "auth: { source = \"sasl\"; sasl: { " STORE " }; };", -1, NULL },
	{ "auth: { source = \"sasl\"; mechanisms = ( \"SCRAM-SHA-256\", \"PLAIN\" ); sasl: { " STORE
	  " log_level = 3; auto_transition = false; sql_select = \"SELECT %p\"; }; };",
	  -1, NULL },
	{ "auth: { source = \"sasl\"; sasl: { pwcheck_method = \"saslauthd\"; " DAEMON " }; };", -1,
	  NULL },
	{ "auth: { source = \"sasl\"; sasl: { pwcheck_method = \"saslauthd auxprop\"; " STORE DAEMON
	  " }; };",
	  -1, NULL },
	{ "auth: { source = \"sasl\"; mechanisms = ( \"GSSAPI\" ); sasl: { " STORE " }; };", -1,
	  NULL },
	{ "auth: { processes: { min = 3; }; };", -1, NULL },
	{ "auth: { processes: { max = 1; }; };", -1, NULL },
	/* who decides */
	{ "auth: {\nsource = \"sasl\"; };", 1, "needs auth.sasl with a pwcheck_method" },
	{ "auth: { source = \"sasl\";\nsasl: { log_level = 1; }; };", 1,
	  "needs auth.sasl with a pwcheck_method" },
	{ "auth: {\nsasl: { " STORE " }; };", 1, "no meaning with source = \"backend\"" },
	{ "auth: { source = \"pam\"; };", 0, "must be \"backend\" or \"sasl\"" },
	/* mechanisms */
	{ "auth: { mechanisms = ( \"PLAIN\",\n\"SCRAM-SHA-1\" ); };", 1,
	  "needs source = \"sasl\"" },
	{ "auth: { source = \"sasl\"; sasl: { " STORE " }; mechanisms = (\n\"DIGEST-MD5\" ); };", 1,
	  "RFC 6331" },
	{ "auth: { source = \"sasl\"; sasl: { " STORE " }; mechanisms = (\n\"CRAM-MD5\" ); };", 1,
	  "\"CRAM-MD5\" is obsolete" },
	{ "auth: { source = \"sasl\"; sasl: { " STORE " }; mechanisms = (\n\"NTLM\" ); };", 1,
	  "\"NTLM\" is obsolete" },
	{ "auth: { source = \"sasl\"; sasl: { " STORE " }; mechanisms = (\n\"ANONYMOUS\" ); };", 1,
	  "proves nothing" },
	{ "auth: { source = \"sasl\"; sasl: { " STORE " }; mechanisms = (\n\"EXTERNAL\" ); };", 1,
	  "no listener asks for one" },
	{ "auth: { source = \"sasl\"; mechanisms = (\n\"EXTERNAL\" ); };", 1,
	  "no listener asks for one" },
	{ "auth: { mechanisms = ( \"PLAIN\",\n\"EXTERNAL\" ); };", 1, "needs source = \"sasl\"" },
	{ "auth: {\nsource = \"sasl\"; mechanisms = ( \"EXTERNAL\", \"PLAIN\" ); };", 1,
	  "needs auth.sasl with a pwcheck_method" },
	{ "auth: { source = \"sasl\"; sasl: { " STORE
	  " }; mechanisms = (\n\"SCRAM-SHA-256-PLUS\" ); };",
	  1, "channel binding, which is not available in this version" },
	{ "auth: { source = \"sasl\"; sasl: { " STORE " }; mechanisms = (\n\"scram\" ); };", 1,
	  "not the name of a mechanism" },
	{ "auth: { source = \"sasl\"; sasl: { " STORE " }; mechanisms = (\n\"A B\" ); };", 1,
	  "not the name of a mechanism" },
	{ "auth: { source = \"sasl\"; sasl: { " STORE
	  " }; mechanisms = ( \"PLAIN\",\n\"PLAIN\" ); };",
	  1, "named twice" },
	{ "auth: { source = \"sasl\"; sasl: { pwcheck_method = \"saslauthd\"; " DAEMON
	  " }; mechanisms = (\n"
	  "\"SCRAM-SHA-256\" ); };",
	  1, "needs auth.sasl.auxprop_plugin" },
	/* options of the library */
	{ "auth: { source = \"sasl\"; sasl: { pwcheck_method = \"saslauthd\";\nsaslauthd_path = "
	  "\"none\"; }; };",
	  1, "saslauthd cannot be reached at" },
	{ "auth: { source = \"sasl\"; sasl: { " STORE "\nmech_list = \"PLAIN\"; }; };", 1,
	  "it is auth.mechanisms" },
	{ "auth: { source = \"sasl\"; sasl: {\npwcheck_method = \"auxprop\"; }; };", 1,
	  "needs auxprop_plugin" },
	{ "auth: { source = \"sasl\"; sasl: {\npwcheck_method = \"alwaystrue\"; }; };", 1,
	  "not \"alwaystrue\"" },
	{ "auth: { source = \"sasl\"; sasl: { " STORE "\nlog_level = 7; }; };", 1,
	  "passwords are written" },
	{ "auth: { source = \"sasl\"; sasl: { " STORE "\nlog_level = \"all\"; }; };", 1,
	  "between 0 and 5" },
	{ "auth: { source = \"sasl\"; sasl: { " STORE "\nsql_hostnames = ( \"a\" ); }; };", 1,
	  "\"sql_hostnames\" must be a string, a number, true or false" },
	{ "auth: { source = \"sasl\";\nsasl = \"sasldb\"; };", 1, "\"sasl\" must be a group" },
	{ "auth: { source = \"sasl\"; sasl: { auxprop_plugin = \"sasldb\";\n"
	  "sasldb_path = \"nowhere.db\"; }; };",
	  1, "nowhere.db cannot be read" },
	/* processes */
	{ "auth: { processes: { max = 2;\nmin = 3; }; };", 1, "min (3) is more than max (2)" },
	{ "auth: { processes: {\nmin = 0; }; };", 1, "between 1 and 64" },
	{ "auth: { processes: {\nidle = 0; }; };", 1, "between 1 and" },
};

static const char rest[] =
	"hostname = \"mail.example.test\"; user = \"nobody\";\n"
	"tls: { certificates = ( { chain = \"cert.pem\"; key = \"key.pem\"; } ); };\n"
	"listeners = ( { protocol = \"imap\"; address = \"::1\"; port = 1143; tls = \"starttls\"; "
	"} );"
	"\nbackends = ( { name = \"store\"; protocol = \"imap\"; tls = \"none\"; servers = ( { "
	"host = "
	"\"127.0.0.1\"; port = 143; } ); } );\n"
	"routes = ( { imap = \"store\"; } );\n";

static struct config *load(const char *auth, struct config_faults *faults)
{
	char text[4096];

	snprintf(text, sizeof(text), "%s\n%s", auth, rest);
	files_write("postern.conf", text);
	return config_load(files_path("postern.conf"), faults);
}

static bool found(const struct config_faults *faults, const struct fault_case *test)
{
	for (size_t i = 0; i < faults->count; i++) {
		bool ours = strstr(faults->items[i].text, "auth.") != NULL &&
			    strstr(faults->items[i].text, "pool") == NULL;

		if (test->line < 0 && ours)
			return false;
		if (test->line >= 0 && faults->items[i].line == test->line + 1 &&
		    strstr(faults->items[i].text, test->fault))
			return true;
	}
	return test->line < 0;
}

static void each_fault_is_found_with_its_line(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config_faults faults = { NULL, 0, 0 };

		config_free(load(cases[i].text, &faults));
		if (!found(&faults, &cases[i])) {
			config_faults_print(&faults, stderr);
			fail_msg("case %zu: %s", i, cases[i].text);
		}
		config_faults_cleanup(&faults);
	}
}

static void a_database_that_everybody_may_read_is_a_warning(void **state)
{
	const struct fault_case test = { "auth: { source = \"sasl\"; sasl: {\n" STORE " }; };", 1,
					 "everybody may read or change the passwords" };
	struct config_faults faults = { NULL, 0, 0 };

	assert_int_equal(chmod(files_path("users.db"), 0644), 0);
	config_free(load(test.text, &faults));
	assert_true(found(&faults, &test));
	config_faults_cleanup(&faults);
}

static void a_password_in_a_file_that_everybody_may_read_is_a_warning(void **state)
{
	static const char text[] = "auth: { source = \"sasl\"; sasl: { auxprop_plugin = \"sql\";\n"
				   "sql_passwd = \"secret\"; }; };";
	const struct fault_case test = { text, 1, "everybody may read or change sql_passwd" };
	struct config_faults faults = { NULL, 0, 0 };
	mode_t before = umask(022);

	config_free(load(text, &faults));
	assert_true(found(&faults, &test));
	config_faults_cleanup(&faults);
	files_end();
	files_begin();
	umask(077);
	config_free(load(text, &faults));
	assert_false(found(&faults, &test));
	config_faults_cleanup(&faults);
	umask(before);
}

static int setup(void **state)
{
	const struct passwd *entry = getpwnam("nobody"); /* whom root's processes become */

	files_begin();
	files_write("users.db", "");
	if (geteuid() == 0 && (!entry || chown(files_path("users.db"), entry->pw_uid, 0) != 0 ||
			       chmod(files_path(""), 0711) != 0))
		return -1;
	return chmod(files_path("users.db"), 0600);
}

static int teardown(void **state)
{
	files_end();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_fault_is_found_with_its_line, setup, teardown),
		cmocka_unit_test_setup_teardown(a_database_that_everybody_may_read_is_a_warning,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_password_in_a_file_that_everybody_may_read_is_a_warning, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
