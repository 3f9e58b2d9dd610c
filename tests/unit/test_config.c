/* test_config - what config_load() accepts, and that each fault is found with its file and line. */
#include "frontend/config_load.h"
#include "frontend/gate.h"
#include "tests/support/config_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static struct config_faults faults;

static int setup(void **state)
{
	(void)state;
	files_begin();
	memset(&faults, 0, sizeof faults);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	config_faults_cleanup(&faults);
	files_end();
	return 0;
}

/* A fault whose text holds `text`, in a file whose name ends in `file`, on that line. */
static bool has_fault(bool warning, const char *file, int line, const char *text)
{
	for (size_t i = 0; i < faults.count; i++) {
		const struct config_fault *fault = &faults.items[i];
		size_t len = strlen(fault->file);

		if (fault->warning == warning && fault->line == line &&
		    strstr(fault->text, text) != NULL && len >= strlen(file) &&
		    strcmp(fault->file + len - strlen(file), file) == 0)
			return true;
	}
	return false;
}

struct fault_case {
	enum config_part part; /* stands on line part + 1 */
	const char *text;
	int line; /* within the part, from 0 */
	const char *fault;
	size_t errors; /* in all; 0: a warning, and the configuration is accepted */
};

#define LISTENER(body) "listeners = ( {\n" body "\n} );"
#define IMAP           "protocol = \"imap\"; address = \"127.0.0.1\"; tls = \"starttls\"; port = 1143;"
#define POOL(body)                                                                                 \
	"backends = ( {\nname = \"store\"; protocol = \"imap\"; " body                             \
	"\n}, { name = \"relay\"; protocol = \"submission\"; tls = \"none\";"                      \
	" servers = ( { host = \"::1\"; port = 10587; } ); } );"
#define SERVERS "servers = ( { host = \"127.0.0.1\"; port = 10143; } );"
#define RELAY(capabilities)                                                                        \
	"backends = ( { name = \"store\"; protocol = \"imap\"; tls = \"none\"; " SERVERS " },\n"   \
	"{ name = \"relay\"; protocol = \"submission\"; tls = \"none\";"                           \
	" servers = ( { host = \"::1\"; port = 10587; } );\ncapabilities = ( " capabilities        \
	" ); } );"

#define TEN  "0123456789"
#define LONG TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static const struct fault_case cases[] = {
	/* the table: keys, types, ranges, words */
	{ PART_HOSTNAME, "hostnam = \"x\";", 0, "unknown option \"hostnam\"", 1 },
	{ PART_LIMITS, "limits: {\n idle_time = 5; };", 1, "unknown option \"idle_time\"", 1 },
	{ PART_HOSTNAME, "hostname = 5;", 0, "\"hostname\" must be a string", 1 },
	{ PART_HOSTNAME, "hostname = \"\";", 0, "must not be empty", 1 },
	{ PART_HOSTNAME, "hostname = \"two words\";", 0, "is not a host name", 1 },
	{ PART_HOSTNAME, "hostname = \"mail..test\";", 0, "is not a host name", 1 },
	{ PART_HOSTNAME, "hostname = \"mail-.test\";", 0, "is not a host name", 1 },
	{ PART_HOSTNAME, "hostname = \"mail.test.\";", 0, "is not a host name", 1 },
	{ PART_HOSTNAME, "workers = 257;", 0, "between 0 and 256, not 257", 1 },
	{ PART_HOSTNAME, "workers = -1;", 0, "between 0 and 256, not -1", 1 },
	{ PART_HOSTNAME, "workers = 1.5;", 0, "whole number", 1 },
	{ PART_HOSTNAME, "workers = 5000000000L;", 0, "not 5000000000", 1 },
	{ PART_HOSTNAME, "workers = 4294967298;", 0, "a number on this line is too large", 1 },
	{ PART_LIMITS, "limits = 5;", 0, "\"limits\" must be a group", 1 },
	{ PART_LIMITS, "limits: {\nexempt = ( \"10.0.0.1/8\" ); };", 1, "bits set behind", 1 },
	{ PART_LIMITS, "limits: { exempt = ( \"::1\",\n\"ten\" ); };", 1, "is not a network", 1 },
	{ PART_LIMITS, "limits: { exempt = \"10.0.0.0/8\"; };", 0, "must be a list of networks",
	  1 },
	{ PART_LOG, "log: { level = \"loud\"; };", 0,
	  "must be \"debug\", \"info\", \"warning\" or \"error\"", 1 },
	{ PART_LOG, "log: { level = 3; };", 0, "\"level\" must be \"debug\"", 1 },
	{ PART_AUTH, "auth: { mechanisms = ( ); };", 0, "must have 1 to 16 entries, not 0", 1 },
	{ PART_AUTH, "auth: { mechanisms = ( 1 ); };", 0, "must be a string", 1 },
	{ PART_BACKENDS, POOL("tls = \"none\"; " SERVERS "\nplaintext_ok = 1;"), 2,
	  "must be true or false", 1 },
	{ PART_HOSTNAME, "hostname = \"" LONG LONG LONG "\";", 0, "is longer than 255 characters",
	  1 },
	/* several faults at once, also on one line */
	{ PART_LIMITS, "limits: { idle_timeout = 0; nonsense = 1; pop3_line = 1; };", 0, "nonsense",
	  3 },
	/* syntax */
	{ PART_LIMITS, "limits: {\n idle_timeout = = 5; };", 1, "syntax error", 1 },
	{ PART_LIMITS, "limits: { }; limits: { };", 0, "duplicate setting name", 1 },
	{ PART_LOG, "log: { target = \"stderr; };", 0, "string that begins here", 1 },
	{ PART_LOG, "@include \"more.conf\"", 0, "@include is not supported", 1 },
	/* features that are not there yet */
	{ PART_LOG, "log: { format = \"xml\"; };", 0, "must be \"logfmt\" or \"json\"", 1 },
	{ PART_LOG, "log: { target = \"syslog:dev/log\"; };", 0, "must begin with \"/\"", 1 },
	{ PART_LOG, "log: { target = \"journald:\"; };", 0, "must begin with \"/\"", 1 },
	{ PART_LOG, "log: { target = \"syslog:/" LONG "\"; };", 0, "too long", 1 },
	{ PART_LOG, "log: { }; status: { address = \"::1\"; };", 0, "status.port is missing", 1 },
	{ PART_LOG, "log: { };\nstatus: { };", 1, "status.port is missing", 1 },
	{ PART_LOG, "log: { };\nstatus: { port = 1143; };", 1,
	  "a listener has this address and port at", 1 },
	{ PART_LOG, "log: { }; status: { port = 9587; address = \"192.0.2.1\"; };", 0,
	  "set status.allow", 1 },
	{ PART_LOG, "log: { }; status: { port = 9587; address = \"here\"; };", 0,
	  "is not a numeric", 1 },
	{ PART_HOSTNAME, "keeper_user = \"\";", 0, "must not be empty", 1 },
	{ PART_AUTH, "auth: {\ndelegates = ( ); };", 1, "not available in this version", 1 },
	{ PART_AUTH, "auth: { mechanisms = ( \"PLAIN\",\n\"SCRAM-SHA-256\" ); };", 1,
	  "\"SCRAM-SHA-256\" needs source = \"sasl\"", 1 },
	{ PART_AUTH, "auth: { mechanisms = ( \"PLAIN\", \"PLAIN\" ); };", 0, "named twice", 1 },
	{ PART_TLS,
	  "tls: { certificates = ( { chain = \"cert.pem\"; key = \"key.pem\"; } );\n profile = "
	  "\"old\"; };",
	  1, "\"profile\" must be \"modern\", \"strict\"", 1 },
	{ PART_TLS,
	  "tls: { certificates = ( { chain = \"cert.pem\"; key = \"key.pem\"; } );\n profile = "
	  "\"legacy\"; };",
	  1, "must be \"modern\"", 1 },
	{ PART_TLS,
	  "tls: { certificates = ( { chain = \"cert.pem\"; key = \"key.pem\"; } );\n profile = "
	  "\"tes\"; };",
	  1, "TLS 1.1, which RFC 8996 forbids", 0 },
	{ PART_TLS,
	  "tls: { certificates = ( { chain = \"cert.pem\"; key = \"key.pem\"; } ); alpn = ( ); };",
	  0, "\"alpn\" must be", 1 },
	{ PART_BACKENDS, POOL("tls = \"none\"; " SERVERS "\nlogin = \"external\";"), 2,
	  "not available in this version", 1 },
	{ PART_BACKENDS, POOL("tls = \"none\"; " SERVERS "\nlogin = \"token\";"), 2,
	  "not available in this version", 1 },
	/* logins */
	{ PART_BACKENDS, POOL("tls = \"none\"; " SERVERS "\nlogin = \"master\";"), 2,
	  "needs \"master_user\"", 3 },
	{ PART_BACKENDS, POOL("tls = \"none\"; " SERVERS "\nlogin = \"master\";"), 2,
	  "needs \"master_password_file\"", 3 },
	{ PART_BACKENDS, POOL("tls = \"none\"; " SERVERS "\nlogin = \"master\";"), 2,
	  "must have login = \"password\"", 3 },
	{ PART_BACKENDS, POOL("tls = \"none\"; " SERVERS "\nlogin = \"xclient\";"), 2,
	  "exists for submission only, not for imap", 2 },
	{ PART_BACKENDS, POOL("tls = \"none\"; " SERVERS "\nmaster_user = \"root\";"), 2,
	  "master_user has no effect", 0 },
	{ PART_BACKENDS, POOL("tls = \"none\"; " SERVERS "\nmaster_password_file = \"absent\";"), 2,
	  "master_password_file has no effect", 0 },
	{ PART_BACKENDS,
	  POOL("tls = \"none\"; " SERVERS "\nlogin = \"master\"; master_user = \"\";"), 2,
	  "\"master_user\"", 1 },
	{ PART_BACKENDS, POOL("tls = \"implicit\"; " SERVERS "\nverify = \"dane\";"), 2,
	  "not available in this version", 1 },
	/* certificates */
	{ PART_TLS, "", 1, "no certificate", 2 },
	{ PART_TLS,
	  "tls: { certificates = ( { chain = \"c.pem\";\nkey = \"pkcs11:object=k\"; } ); };", 1,
	  "one in a token needs \"module\" in tls.pkcs11", 1 },
	{ PART_TLS,
	  "tls: { certificates = ( { chain = \"c.pem\";\nkey = \"pkcs11:token=t\"; } ); };", 1,
	  "neither \"object\" nor \"id\"", 1 },
	{ PART_TLS, "tls: {\npkcs11: { module = \"absent.so\"; }; };", 1,
	  "absent.so cannot be read: No such file or directory", 3 },
	{ PART_TLS, "tls: { certificates = ( ); };", 0, "must have 1 to 1024 entries, not 0", 1 },
	{ PART_TLS, "tls: { certificates = 5; };", 0, "must be a list of groups", 1 },
	{ PART_TLS, "tls: { certificates = ( { chain = \"cert.pem\"; } ); };", 0,
	  "\"key\" is missing", 1 },
	{ PART_TLS, "tls: { certificates_dir = \"\"; };", 0, "must not be empty", 1 },
	{ PART_TLS, "tls: {\nunknown_sni = \"drop\"; };", 1, "must be \"default\" or \"refuse\"",
	  3 },
	{ PART_TLS,
	  "tls: { certificates = ( { chain = \"cert.pem\"; key = \"key.pem\";\n"
	  "default = 1; } ); };",
	  1, "must be true or false", 1 },
	/* listeners */
	{ PART_LISTENERS, "", -PART_LISTENERS - 1, "there is no listener", 1 },
	{ PART_LISTENERS, "listeners = ( );", 0, "must have 1 to 64 entries", 1 },
	{ PART_LISTENERS, "listeners = ( 5 );", 0, "must be a group", 1 },
	{ PART_LISTENERS, LISTENER("protocol = \"imap\"; address = \"::\"; port = 1;"), 0,
	  "\"tls\" is missing here", 1 },
	{ PART_LISTENERS,
	  LISTENER("protocol = \"imap\"; address = \"::\"; port = 1; tls = \"none\";"), 1,
	  "must be \"starttls\" or \"implicit\", not \"none\"", 1 },
	{ PART_LISTENERS,
	  LISTENER("protocol = \"imap\"; address = \"::\"; port = 70000; tls = \"implicit\";"), 1,
	  "between 0 and 65535", 1 },
	{ PART_LISTENERS,
	  LISTENER("protocol = \"imap\"; address = \"localhost\"; port = 1; tls = \"implicit\";"),
	  1, "not a numeric", 1 },
	{ PART_LISTENERS,
	  LISTENER("protocol = \"submission\"; address = \"::\"; tls = \"implicit\";\nport = 25;"),
	  2, "RFC 3207", 1 },
	{ PART_LISTENERS,
	  LISTENER("protocol = \"imap\"; address = \"::\"; tls = \"starttls\";\nport = 25;"), 2,
	  "port 25", 1 },
	{ PART_LISTENERS,
	  LISTENER("protocol = \"pop3\"; address = \"::\"; port = 1; tls = \"implicit\";"), 1,
	  "no route serves pop3", 1 },
	{ PART_LISTENERS,
	  LISTENER("protocol = \"imap\"; address = \"::\"; port = 143; tls = \"implicit\";"), 1,
	  "clients expect tls = \"starttls\" on port 143", 0 },
	{ PART_LISTENERS, LISTENER(IMAP "\nunknown_sni = \"none\";"), 2,
	  "must be \"default\" or \"refuse\"", 1 },
	{ PART_LISTENERS, LISTENER(IMAP "\nprofile = \"legacy\";"), 2, "must be \"modern\"", 1 },
	{ PART_LISTENERS, LISTENER(IMAP "\nprofile = \"tes\";"), 2, "RFC 8996 forbids", 0 },
	{ PART_LISTENERS, LISTENER(IMAP " profile = \"strict\";\nunknown_sni = \"default\";"), 2,
	  "unknown_sni has no effect", 0 },
	{ PART_LISTENERS, LISTENER(IMAP "\nalpn = \"none\";"), 2, "must be \"strict\"", 1 },
	{ PART_LISTENERS,
	  LISTENER("protocol = \"submission\"; address = \"::1\"; port = 1587; tls = "
		   "\"starttls\";\nalpn = \"require\";"),
	  2, "no identifier is registered for submission", 1 },
	{ PART_LISTENERS, LISTENER(IMAP "\n},\n{\n" IMAP), 4, "has a listener already at", 1 },
	{ PART_LISTENERS,
	  LISTENER("protocol = \"imap\"; address = \"::\"; port = 993; tls = \"starttls\";"), 1,
	  "clients expect tls = \"implicit\" on port 993", 0 },
	{ PART_LISTENERS,
	  LISTENER("protocol = \"imap\"; address = \"::ffff:127.0.0.1\"; port = 1; tls = "
		   "\"implicit\";"),
	  1, "as an IPv4 address", 1 },
	{ PART_LISTENERS,
	  LISTENER("protocol = \"imap\"; address = \"x\"; tls = \"implicit\"; port = 25;"), 1,
	  "port 25", 2 },
	{ PART_LISTENERS,
	  LISTENER("protocol = \"imap\"; address = \"0.0.0.0\"; port = 1; tls = \"implicit\";\n},"
		   "\n{\nprotocol = \"imap\"; address = \"127.0.0.1\"; port = 1; tls = "
		   "\"implicit\";"),
	  4, "127.0.0.1:1 cannot be bound beside the listener at", 0 },
	{ PART_LISTENERS,
	  LISTENER("protocol = \"imap\"; address = \"::1\"; port = 1; tls = \"implicit\";\n},"
		   "\n{\nprotocol = \"imap\"; address = \"::\"; port = 1; tls = \"implicit\";"),
	  4, "[::]:1 cannot be bound beside", 0 },
	/* backends */
	{ PART_BACKENDS, "", -PART_BACKENDS - 1, "there is no server", 3 },
	{ PART_BACKENDS, POOL("tls = \"starttls\";\nca = \"key.pem\"; " SERVERS), 2,
	  "\"ca\": ", 1 },
	{ PART_BACKENDS, POOL("tls = \"none\"; servers = ( {\nhost = \"/" LONG LONG "\"; } );"), 2,
	  "the path of the socket is too long", 1 },
	{ PART_BACKENDS, "backends = ( { protocol = \"imap\"; tls = \"none\"; " SERVERS " } );", 0,
	  "\"name\" is missing here", 1 },
	{ PART_BACKENDS, POOL("tls = \"none\"; servers = ( );"), 1, "must have 1 to 64 entries",
	  1 },
	{ PART_BACKENDS, POOL(SERVERS), 0, "\"tls\" is missing", 1 },
	{ PART_BACKENDS,
	  POOL("tls = \"none\"; servers = ( {\nhost = \"192.0.2.1\"; port = 143; } );"), 2,
	  "clear text", 1 },
	{ PART_BACKENDS,
	  POOL("tls = \"none\"; servers = ( { host = \"2001:db8::1\"; port = 143; } );"), 1,
	  "[2001:db8::1]:143 is not a loopback address", 1 },
	{ PART_BACKENDS, POOL("tls = \"none\"; servers = ( {\nhost = \"127.0.0.1\"; } );"), 2,
	  "\"port\" is missing", 1 },
	{ PART_BACKENDS,
	  POOL("tls = \"none\"; servers = ( { host = \"/run/imap\";\nport = 143; } );"), 2,
	  "no meaning for a Unix socket", 1 },
	{ PART_BACKENDS,
	  POOL("tls = \"starttls\"; ca = \"ca.pem\"; servers = ( { host = \"/run/imap\"; } );"), 1,
	  "\"name\" is missing", 1 },
	{ PART_BACKENDS, POOL("tls = \"starttls\";\nca = \"none.pem\"; " SERVERS), 2,
	  "cannot be read", 1 },
	{ PART_BACKENDS,
	  POOL("tls = \"starttls\"; ca = \"ca.pem\";\nplaintext_ok = true; " SERVERS), 2,
	  "plaintext_ok has no effect", 0 },
	{ PART_BACKENDS, POOL("tls = \"starttls\";\nverify = \"none\"; " SERVERS), 2,
	  "can read passwords", 0 },
	{ PART_BACKENDS,
	  POOL("tls = \"starttls\"; ca = \"ca.pem\";\nprofile = \"legacy\"; " SERVERS), 2,
	  "RFC 9325 forbid", 0 },
	{ PART_BACKENDS, POOL("tls = \"starttls\"; ca = \"ca.pem\";\nprofile = \"tes\"; " SERVERS),
	  2, "RFC 8996 forbids", 0 },
	{ PART_BACKENDS, POOL("tls = \"none\";\nprofile = \"strict\"; " SERVERS), 2,
	  "profile has no effect", 0 },
	{ PART_BACKENDS, POOL("tls = \"starttls\"; ca = \"ca.pem\";\nprofile = \"old\"; " SERVERS),
	  2, "\"compatible\" or \"legacy\"", 1 },
	{ PART_BACKENDS,
	  POOL("tls = \"none\"; servers = ( {\nhost = \"nowhere.invalid\"; port = 143; } );"), 2,
	  "has no address", 0 },
	{ PART_BACKENDS,
	  POOL("tls = \"none\"; " SERVERS
	       " },\n{ name = \"store\"; protocol = \"imap\"; tls = \"none\"; " SERVERS),
	  2, "the pool \"store\" stands already at", 1 },
	{ PART_BACKENDS,
	  POOL("tls = \"none\"; " SERVERS
	       " },\n{ name = \"spare\"; protocol = \"imap\"; tls = \"none\"; " SERVERS),
	  2, "no route uses the pool \"spare\"", 0 },
	{ PART_BACKENDS,
	  POOL("tls = \"none\"; " SERVERS
	       " },\n{ name = \"a b\"; protocol = \"imap\"; tls = \"none\"; " SERVERS),
	  2, "may hold letters", 1 },
	{ PART_BACKENDS, RELAY("\"BINARYMIME\", \"DSN\""), 2, "\"BINARYMIME\" needs \"CHUNKING\"",
	  1 },
	{ PART_BACKENDS, RELAY("\"XCLIENT\""), 2, "may not be shown", 1 },
	{ PART_BACKENDS, RELAY("\"SIZE\""), 2, "may not be shown", 1 },
	{ PART_BACKENDS, RELAY("\"SIZE 1 2\""), 2, "may not be shown", 1 },
	{ PART_BACKENDS, RELAY("\"SIZE 12345678901234567890\""), 2, "may not be shown", 1 },
	{ PART_BACKENDS, RELAY("\"DSN\", \"DSN\""), 2, "named twice", 1 },
	{ PART_BACKENDS, POOL("tls = \"none\"; " SERVERS "\ncapabilities = ( \"IDLE\" );"), 2,
	  "may not be shown for a pool of imap", 1 },
	/* routes */
	{ PART_ROUTES, "", -PART_ROUTES - 1, "there is no route", 1 },
	{ PART_ROUTES, "routes = ( { imap = \"stor\";\nsubmission = \"relay\"; } );", 0,
	  "there is no pool \"stor\"", 1 },
	{ PART_ROUTES, "routes = ( { imap = \"store\";\nsubmission = \"store\"; } );", 1,
	  "speaks imap, not submission", 1 },
	{ PART_ROUTES,
	  "routes = ( { imap = \"store\"; submission = \"relay\"; },\n{ imap = \"store\"; } );", 1,
	  "several routes are not available in this version", 1 },
	{ PART_ROUTES, "routes = ( { } );", 0, "names no pool", 3 },
	/* limits */
	{ PART_LIMITS, "limits: { preauth_timeout = 5;\nhandshake_timeout = 6; };", 1,
	  "must not exceed", 1 },
	{ PART_LIMITS, "limits: { preauth_timeout = 40;\nconnect_timeout = 50; };", 1,
	  "connect_timeout (50) must not exceed preauth_timeout (40)", 1 },
	{ PART_LIMITS, "limits: { failure_delay_max_ms = 5; failure_delay_ms = 6; };", 0,
	  "must not exceed", 1 },
	{ PART_LIMITS, "limits: { max_sessions = 5;\nmax_sessions_per_address = 6; };", 1,
	  "exceeds max_sessions", 0 },
	{ PART_LIMITS, "guessing: {\nwindow = 5; };", 1, "between 6 and 86400, not 5", 1 },
	{ PART_LIMITS, "guessing: { refuse_from = 4001; };", 0, "between 0 and 4000", 1 },
	{ PART_LIMITS, "guessing: { delay_max_ms = 5;\ndelay_ms = 6; };", 1,
	  "guessing: delay_ms (6) must not exceed delay_max_ms (5)", 1 },
	{ PART_LIMITS, "guessing: { exempt = ( \"ten\" ); };", 0, "is not a network", 1 },
};

static void each_fault_is_found_with_its_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct fault_case *test = &cases[i];
		const char *path = files_write_parts(test->part, test->text);
		int line = (int)test->part + 1 + test->line;
		bool whole = line == 0;
		struct config *config = config_load(path, &faults);

		if (!has_fault(test->errors == 0, "postern.conf", whole ? 0 : line, test->fault) ||
		    faults.errors != test->errors || (config == NULL) != (test->errors > 0)) {
			config_faults_print(&faults, stderr);
			fail_msg("case %zu, line %d: %s", i, line, test->fault);
		}
		config_free(config);
		config_faults_cleanup(&faults);
	}
}

static struct config *load_good(enum config_part part, const char *text)
{
	struct config *config = config_load(files_write_parts(part, text), &faults);

	config_faults_print(&faults, stderr);
	assert_non_null(config);
	assert_int_equal(faults.count, 0);
	return config;
}

static void defaults_are_those_of_the_design(void **state)
{
	struct config *config = load_good(PART_LOG, "");
	const struct config_limits *limits = &config->limits;

	(void)state;
	assert_true(config->workers >= 1);
	assert_null(config->user);
	assert_null(config->pid_file);
	assert_int_equal(limits->handshake_timeout, 15);
	assert_int_equal(limits->preauth_timeout, 60);
	assert_int_equal(limits->backend_timeout, 20);
	assert_int_equal(limits->idle_timeout, 1860);
	assert_int_equal(limits->drain_timeout, 30);
	assert_int_equal(limits->auth_timeout, 10);
	assert_int_equal(limits->max_sessions, 0);
	assert_int_equal(limits->max_sessions_per_address, 100);
	assert_int_equal(limits->max_auth_failures, 3);
	assert_int_equal(limits->max_refused_commands, 10);
	assert_int_equal(limits->failure_delay, 1000);
	assert_int_equal(limits->failure_delay_max, 8000);
	assert_int_equal(limits->smtp_line, 2000);
	assert_int_equal(limits->imap_line, 8192);
	assert_int_equal(limits->pop3_line, 512);
	assert_int_equal(limits->sasl_line, 16384);
	assert_int_equal(limits->imap_literals, 16384);
	assert_int_equal(config->guessing.window, 600);
	assert_int_equal(config->guessing.delay_from, 5);
	assert_int_equal(config->guessing.refuse_from, 20);
	assert_int_equal(config->guessing.user_delay_from, 10);
	assert_int_equal(config->guessing.delay, 1000);
	assert_int_equal(config->guessing.delay_max, 8000);
	assert_int_equal(config->guessing.exempt.count, 0);
	assert_int_equal(config->log.level, LOG_LEVEL_INFO);
	assert_string_equal(config->log.target, "stderr");
	assert_int_equal(config->auth.mechanisms.count, 2);
	assert_string_equal(config->auth.mechanisms.items[1], "LOGIN");
	assert_null(config->auth.mechanisms.items[2]);
	config_free(config);
}

static void hostname_defaults_to_that_of_the_system(void **state)
{
	char name[256] = "";
	struct config *config = load_good(PART_HOSTNAME, "");

	(void)state;
	gethostname(name, sizeof name - 1);
	assert_string_equal(config->hostname, name);
	config_free(config);
}

static void everything_derived_is_made(void **state)
{
	struct config *config =
		load_good(PART_LOG, "log: { target = \"postern.log\"; level = \"debug\"; };");
	const struct config_listener *listeners = config->listeners.items;
	const struct config_certificate *certificate = config->tls.certificates.items;
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	assert_int_equal(config->listeners.count, 2);
	assert_string_equal(address_text(&listeners[0].bind.u.any, text), "127.0.0.1:1143");
	assert_string_equal(address_text(&listeners[1].bind.u.any, text), "[::1]:1465");
	assert_int_equal(listeners[1].protocol, PROTOCOL_SUBMISSION);
	assert_int_equal(listeners[1].tls, LISTENER_IMPLICIT);
	assert_int_equal(listeners[0].source.line, 3);
	assert_string_equal(certificate->chain, files_path("cert.pem"));
	assert_string_equal(config->log.target, files_path("postern.log"));
	assert_int_equal(config->log.level, LOG_LEVEL_DEBUG);
	assert_int_equal(config->routes.items[0].pools[PROTOCOL_IMAP], 0);
	assert_int_equal(config->routes.items[0].pools[PROTOCOL_SUBMISSION], 1);
	assert_int_equal(config->routes.items[0].pools[PROTOCOL_POP3], -1);
	assert_string_equal(address_text(&config->pools.items[1].servers.items[0].address.u.any,
					 text),
			    "127.0.0.1:10587");
	assert_string_equal(config->pools.items[1].servers.items[0].name, "127.0.0.1");
	config_free(config);
}

static void a_default_gives_way_to_the_limit_that_is_set(void **state)
{
	struct config *config =
		load_good(PART_LIMITS,
			  "limits: { preauth_timeout = 2; failure_delay_ms = 9000; };");

	(void)state;
	assert_int_equal(config->limits.handshake_timeout, 2);
	assert_int_equal(config->limits.backend_timeout, 2);
	assert_int_equal(config->limits.failure_delay_max, 9000);
	config_free(config);
	config = load_good(PART_LIMITS, "limits: { connect_timeout = 100; };");
	assert_int_equal(config->limits.backend_timeout, 100);
	assert_int_equal(config->limits.preauth_timeout, 100);
	config_free(config);
}

static void clear_text_passes_to_unix_sockets_and_where_the_pool_says_so(void **state)
{
	struct config *config = load_good(
		PART_BACKENDS,
		POOL("tls = \"none\"; plaintext_ok = true; servers = ( { host = \"192.0.2.1\"; "
		     "port = 143; },"
		     " { host = \"/run/imap\"; }, { host = \"127.9.9.9\"; port = 143; } );"));
	const struct config_pool *pool = &config->pools.items[0];

	(void)state;
	assert_true(pool->plaintext_ok);
	assert_int_equal(pool->servers.count, 3);
	assert_int_equal(pool->servers.items[1].address.u.any.sa_family, AF_UNIX);
	assert_null(pool->ca_pem.data);
	config_free(config);
	config = load_good(PART_BACKENDS,
			   POOL("tls = \"none\"; servers = ( { host = \"/run/imap\"; } );"));
	config_free(config);
}

static void safe_capabilities_are_kept(void **state)
{
	struct config *config =
		load_good(PART_BACKENDS, RELAY("\"SIZE 10240000\", \"8BITMIME\", \"SMTPUTF8\", "
					       "\"DSN\", \"ENHANCEDSTATUSCODES\""));

	(void)state;
	assert_int_equal(config->pools.items[1].capabilities.count, 5);
	assert_string_equal(config->pools.items[1].capabilities.items[0], "SIZE 10240000");
	config_free(config);
}

static void port_zero_may_be_used_twice(void **state)
{
	(void)state;
	config_free(load_good(
		PART_LISTENERS,
		"listeners = ( { protocol = \"imap\"; address = \"::1\"; port = 0; tls = "
		"\"implicit\"; },"
		" { protocol = \"imap\"; address = \"::1\"; port = 0; tls = \"implicit\"; } );"));
}

static void a_listener_may_have_its_own_certificate(void **state)
{
	static const char tls[] = "";
	struct config *config;

	(void)state;
	files_write_parts(PART_TLS, tls);
	files_write("postern.conf",
		    "hostname = \"m\";\n"
		    "listeners = ( { protocol = \"imap\"; address = \"::1\"; port = 1; tls = "
		    "\"implicit\";\n"
		    "certificates = ( { chain = \"cert.pem\"; key = \"key.pem\"; } ); } );\n"
		    "backends = ( { name = \"store\"; protocol = \"imap\"; tls = \"none\"; " SERVERS
		    " } );\n"
		    "routes = ( { imap = \"store\"; } ); # a comment without an end of line");
	config = config_load(files_path("postern.conf"), &faults);
	config_faults_print(&faults, stderr);
	assert_non_null(config);
	assert_int_equal(config->tls.certificates.count, 0);
	assert_int_equal(config->listeners.items[0].certificates.items[0].source.line, 3);
	config_free(config);
}

static void a_listener_without_certificates_uses_what_tls_says(void **state)
{
	struct config *config =
		load_good(PART_TLS,
			  "tls: { certificates_dir = \"live\"; unknown_sni = \"refuse\"; };");

	(void)state;
	assert_string_equal(config->tls.certificates_dir.path, files_path("live"));
	assert_int_equal(config->listeners.items[0].set, 0);
	assert_int_equal(config->listeners.items[1].unknown_sni, UNKNOWN_SNI_REFUSE);
	config_free(config);
}

static void a_listener_has_the_profile_of_tls_or_its_own(void **state)
{
	struct config *config =
		load_good(PART_TLS,
			  "tls: { certificates = ( { chain = \"cert.pem\"; key = \"key.pem\"; } );"
			  " profile = \"nist\"; alpn = \"compat\"; };");

	(void)state;
	assert_int_equal(config->listeners.items[0].profile, PROFILE_NIST);
	assert_int_equal(config->listeners.items[1].alpn, GATE_ALPN_COMPAT);
	config_free(config);

	config =
		load_good(PART_LISTENERS, LISTENER(IMAP "profile = \"ncsc\"; alpn = \"require\";"));
	assert_int_equal(config->tls.profile, PROFILE_MODERN);
	assert_int_equal(config->listeners.items[0].profile, PROFILE_NCSC);
	assert_int_equal(config->listeners.items[0].alpn, GATE_ALPN_REQUIRE);
	assert_int_equal(config->pools.items[0].profile, PROFILE_COMPATIBLE);
	config_free(config);
}

static void a_listener_with_certificates_uses_its_own_set(void **state)
{
	struct config *config = load_good(
		PART_LISTENERS,
		"listeners = ( { " IMAP " unknown_sni = \"refuse\"; certificates_dir = \"live\"; },"
		"{ protocol = \"imap\"; address = \"::1\"; port = 1143; tls = \"starttls\";"
		" certificates = ( { chain = \"cert.pem\"; key = \"key.pem\"; ocsp = \"answer\";"
		" default = true; }, { chain = \"cert.pem\"; key = \"key.pem\"; } ); } );");
	const struct config_listener *listeners = config->listeners.items;
	const struct config_certificate *own = listeners[1].certificates.items;

	(void)state;
	assert_int_equal(listeners[0].set, 1);
	assert_int_equal(listeners[0].unknown_sni, UNKNOWN_SNI_REFUSE);
	assert_int_equal(listeners[1].set, 2);
	assert_int_equal(listeners[1].unknown_sni, UNKNOWN_SNI_DEFAULT);
	assert_string_equal(own[0].ocsp, files_path("answer"));
	assert_true(own[0].is_default);
	assert_null(own[1].ocsp);
	config_free(config);
}

static void a_user_that_does_not_exist_is_refused_when_it_matters(void **state)
{
	const char *path = files_write_parts(PART_HOSTNAME, "user = \"nobody-of-that-name\";");
	struct config *config = config_load(path, &faults);

	(void)state;
	if (geteuid() == 0)
		assert_true(has_fault(false, "postern.conf", 1, "there is no user"));
	else
		assert_true(has_fault(true, "postern.conf", 1, "user is ignored"));
	config_free(config);
}

/* ---- folders ---- */

static void write_folder(void)
{
	static const char *const names[PARTS] = { "00-main.conf",      "10-tls.conf",
						  "20-listeners.conf", "30-auth.conf",
						  "40-backends.conf",  "50-routes.conf",
						  "60-limits.conf",    "70-log.conf" };

	for (int i = 0; i < PARTS; i++)
		files_write(names[i], config_parts[i]);
}

static void a_folder_is_read_in_name_order_and_only_its_conf_files(void **state)
{
	struct config *config;

	(void)state;
	write_folder();
	files_write("70-log.conf.bak", "nonsense");
	files_write(".hidden.conf", "nonsense");
	config = config_load(files_path(""), &faults);
	config_faults_print(&faults, stderr);
	assert_non_null(config);
	assert_string_equal(config->tls.certificates.items[0].source.file,
			    files_path("10-tls.conf"));
	assert_string_equal(config->tls.certificates.items[0].key, files_path("key.pem"));
	config_free(config);
}

static void a_setting_in_two_files_names_both_places(void **state)
{
	(void)state;
	write_folder();
	files_write("80-more.conf", "workers = 1;\n\nlimits: { };");
	assert_null(config_load(files_path(""), &faults));
	assert_int_equal(faults.errors, 1);
	assert_true(has_fault(false, "80-more.conf", 3, "60-limits.conf:1"));
}

static void faults_of_several_files_are_all_told(void **state)
{
	(void)state;
	write_folder();
	files_write("00-main.conf", "hostname = ;");
	files_write("60-limits.conf", "limits: {\n\nidle = 5; };");
	files_write("70-log.conf", "log: { target = \"x");
	assert_null(config_load(files_path(""), &faults));
	assert_int_equal(faults.errors, 3);
	assert_true(has_fault(false, "00-main.conf", 1, "syntax error"));
	assert_true(has_fault(false, "60-limits.conf", 3, "unknown option \"idle\""));
	assert_true(has_fault(false, "70-log.conf", 1, "does not end"));
}

static void a_folder_without_files_and_a_file_that_is_not_there_are_faults(void **state)
{
	(void)state;
	assert_null(config_load(files_path(""), &faults));
	assert_true(has_fault(false, "", 0, "holds no *.conf file"));
	assert_null(config_load(files_path("missing.conf"), &faults));
	assert_true(has_fault(false, "missing.conf", 0, "cannot be read"));
	assert_null(config_load("/dev/null", &faults));
	assert_true(has_fault(false, "/dev/null", 0, "not a regular file"));
}

static void nobody_may_be_root(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip(); /* users are ignored */
	assert_null(config_load(files_write_parts(PART_HOSTNAME, "user = \"root\";"), &faults));
	assert_true(has_fault(false, "postern.conf", 1, "has the rights of root"));
}

static void a_file_over_a_mebibyte_is_not_read(void **state)
{
	size_t len = CONFIG_FILE_MAX;
	char *text = malloc(len + 2);

	(void)state;
	assert_non_null(text);
	memset(text, '#', len);
	text[len] = '\0';
	files_write("postern.conf", text);
	assert_null(config_load(files_path("postern.conf"), &faults));
	assert_true(has_fault(false, "postern.conf", 0, "there is no listener"));
	config_faults_cleanup(&faults);
	text[len] = '#';
	text[len + 1] = '\0';
	files_write("postern.conf", text);
	assert_null(config_load(files_path("postern.conf"), &faults));
	assert_true(has_fault(false, "postern.conf", 0, "larger than 1 MiB"));
	free(text);
}

static void a_fault_is_one_line_whatever_the_file_holds(void **state)
{
	char *text = NULL;
	size_t len = 0, lines = 0;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	assert_null(config_load(files_write_parts(PART_LOG, "log: { level = \"a\\nb\\x1b\"; };"),
				&faults));
	config_faults_print(&faults, out);
	fclose(out);
	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	assert_int_equal(lines, 1);
	assert_non_null(strstr(text, "postern.conf:8: error: "));
	assert_null(strchr(text, 0x1b));
	free(text);
}

static void the_sample_configuration_is_accepted(void **state)
{
	static const char *const names[] = { "00-main",   "10-tls",      "20-listeners",
					     "30-auth",   "40-backends", "50-routes",
					     "60-limits", "70-logging",  "80-monitor" };
	struct config *config;

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		char name[64], text[8192];
		FILE *file;
		size_t len;

		snprintf(name, sizeof name, "conf.d/%s.conf", names[i]);
		file = fopen(name, "r");
		if (file == NULL)
			fail_msg("%s: run from the top folder", name);
		len = fread(text, 1, sizeof text - 1, file);
		text[len] = '\0';
		fclose(file);
		files_write(name + 7, text);
	}
	/* fail2ban's lie in a folder beside them, which is not looked into */
	assert_int_equal(mkdir(files_path("fail2ban"), 0700), 0);
	files_write("fail2ban/jail.conf", "[postern]\n");
	config = config_load(files_path(""), &faults);
	unlink(files_path("fail2ban/jail.conf"));
	rmdir(files_path("fail2ban"));
	config_faults_print(&faults, stderr);
	assert_non_null(config);
	assert_int_equal(faults.count, 0);
	assert_int_equal(config->listeners.count, 6);
	assert_int_equal(config->pools.count, 3);
	config_free(config);
}

static void the_option_table_prints_what_files_may_hold(void **state)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	config_print_options(out);
	fclose(out);
	assert_non_null(
		strstr(text, "\n| `backends[].servers[].port` | number, 1 to 65535 | none | "));
	assert_non_null(strstr(text, "\n| `limits.idle_timeout` | number, 1 to 604800 | 1860 | "));
	assert_non_null(
		strstr(text,
		       "\n| `backends[].tls` | `none`, `starttls`, `implicit` | required | "));
	assert_non_null(strstr(text, "keeper_user"));
	assert_null(strstr(text, "_pem"));
	assert_null(strstr(text, "dane"));
	free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_fault_is_found_with_its_line),
		TEST(defaults_are_those_of_the_design),
		TEST(hostname_defaults_to_that_of_the_system),
		TEST(everything_derived_is_made),
		TEST(a_default_gives_way_to_the_limit_that_is_set),
		TEST(clear_text_passes_to_unix_sockets_and_where_the_pool_says_so),
		TEST(safe_capabilities_are_kept),
		TEST(port_zero_may_be_used_twice),
		TEST(a_listener_may_have_its_own_certificate),
		TEST(a_listener_without_certificates_uses_what_tls_says),
		TEST(a_listener_has_the_profile_of_tls_or_its_own),
		TEST(a_listener_with_certificates_uses_its_own_set),
		TEST(a_user_that_does_not_exist_is_refused_when_it_matters),
		TEST(a_folder_is_read_in_name_order_and_only_its_conf_files),
		TEST(a_setting_in_two_files_names_both_places),
		TEST(faults_of_several_files_are_all_told),
		TEST(a_folder_without_files_and_a_file_that_is_not_there_are_faults),
		TEST(nobody_may_be_root),
		TEST(a_file_over_a_mebibyte_is_not_read),
		TEST(a_fault_is_one_line_whatever_the_file_holds),
		TEST(the_sample_configuration_is_accepted),
		TEST(the_option_table_prints_what_files_may_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
