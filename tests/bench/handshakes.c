/* handshakes - full TLS handshakes of a server, counted by the processor time that they take: with the key in the TLS library, with
 * libcrypto in the same process, and in a keeper of its own. For bench_handshakes.py.
 * usage: handshakes wolfcrypt|libcrypto|keeper CHAIN KEY COUNT LISTENING_FD
 * Prints the seconds of processor time, the keeper's among them, that COUNT connections took.
 */
#include "frontend/tls_internal.h"
#include "frontend/keeper_client.h"
#include "frontend/keeper_peers.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FILE_MAX 65536

struct file {
	uint8_t data[FILE_MAX];
	size_t len;
};

static struct file chain, key_file;
static struct keeper_client client;
static pid_t keeper = -1;

static void must(bool well, const char *what)
{
	if (well)
		return;
	fprintf(stderr, "handshakes: %s\n", what);
	exit(1);
}

static void load(const char *path, struct file *out)
{
	FILE *file = fopen(path, "r");

	must(file != NULL, path);
	out->len = fread(out->data, 1, FILE_MAX, file);
	fclose(file);
}

static struct key *the_key(void)
{
	char why[256];
	struct key *key = key_from_pem(key_file.data, key_file.len, why);

	must(key != NULL, why);
	return key;
}

/* ---- who signs ---- */

static int sign_here(void *key, const uint8_t id[KEY_ID_LEN], enum key_algorithm algorithm,
		     const uint8_t *in, size_t len, uint8_t *out, size_t *out_len)
{
	return key_sign(key, algorithm, in, len, out, out_len);
}

static int sign_there(void *unused, const uint8_t id[KEY_ID_LEN], enum key_algorithm algorithm,
		      const uint8_t *in, size_t len, uint8_t *out, size_t *out_len)
{
	return keeper_sign(&client, id, algorithm, in, len, out, out_len);
}

static void ended(void *loop)
{
	ev_break(loop, EVBREAK_ALL);
}

static void keep(int fd)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct keeper_keys *keys = keeper_keys_new();
	struct keeper_tickets *tickets = keeper_tickets_new();
	struct keeper_peers *peers = keeper_peers_new(loop, keys, tickets, ended, loop);

	must(peers && keeper_keys_add(keys, the_key()) && keeper_peers_up(peers, 0, 1, fd),
	     "the keeper");
	ev_run(loop, 0);
	_exit(0);
}

static void start_keeper(void)
{
	int fds[2];

	must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) == 0, "socketpair");
	keeper = fork();
	must(keeper >= 0, "fork");
	if (keeper == 0) {
		close(fds[0]);
		keep(fds[1]);
	}
	close(fds[1]);
	keeper_client_init(&client, NULL, NULL);
	keeper_client_up(&client, 1, fds[0]);
	tls_sign_by(&(struct tls_signer) { .sign = sign_there });
}

/* The same context for the library, but for who has the key. */
static void give_key_to_library(struct tls_context *context)
{
	WOLFSSL_CTX *ctx = wolfSSL_CTX_new(wolfSSLv23_server_method());
	char why[256];

	must(ctx != NULL && tls_profile_apply(ctx, context->profile, true, why), "the profile");
	wolfSSL_CTX_SetIORecv(ctx, tls_receive);
	wolfSSL_CTX_SetIOSend(ctx, tls_send);
	wolfSSL_CTX_set_session_cache_mode(ctx, WOLFSSL_SESS_CACHE_OFF);
	wolfSSL_CTX_set_TicketEncCb(ctx, NULL);
	must(wolfSSL_CTX_use_certificate_chain_buffer(ctx, chain.data, (long)chain.len) ==
			     WOLFSSL_SUCCESS &&
		     wolfSSL_CTX_use_PrivateKey_buffer(ctx, key_file.data, (long)key_file.len,
						       WOLFSSL_FILETYPE_PEM) == WOLFSSL_SUCCESS,
	     "the key in the TLS library");
	wolfSSL_CTX_free(context->ctx);
	context->ctx = ctx;
}

static struct tls_context *make_context(const char *mode)
{
	const struct book_entry certificate = { .chain = { (const char *)chain.data, chain.len } };
	const struct tls_server_settings settings = { .profile = profile_find(PROFILE_MODERN),
						      .certificate = &certificate };
	char why[256];
	struct tls_context *context;

	if (strcmp(mode, "keeper") == 0)
		start_keeper();
	must(tls_init() == 0, "the TLS library");
	context = tls_context_server(&settings, why);
	must(context != NULL, why);
	if (strcmp(mode, "libcrypto") == 0)
		tls_sign_by(&(struct tls_signer) { sign_here, the_key() });
	if (strcmp(mode, "wolfcrypt") == 0)
		give_key_to_library(context);
	return context;
}

/* ---- handshakes ---- */

static void flush(int fd, struct buffer *out)
{
	while (buffer_len(out) > 0) {
		ssize_t sent = send(fd, buffer_data(out), buffer_len(out), MSG_NOSIGNAL);

		must(sent > 0, "send");
		buffer_consume(out, (size_t)sent);
	}
}

static void shake(int fd, struct tls_context *context)
{
	static const struct tls_accept accept_as = { .sni = "" };
	struct tls *tls = tls_accept_new(context, &accept_as);
	struct buffer in, out;
	enum tls_result result;

	must(tls != NULL, "memory");
	buffer_init(&in, 1 << 16);
	buffer_init(&out, 1 << 20);
	while ((result = tls_handshake(tls, &in, &out)) == TLS_AGAIN) {
		char *room = buffer_reserve(&in, 4096);
		ssize_t got;

		flush(fd, &out);
		got = recv(fd, room, 4096, 0);
		must(got > 0, "recv");
		buffer_filled(&in, (size_t)got);
	}
	must(result == TLS_DONE, "handshake");
	tls_shutdown(tls, &out);
	flush(fd, &out);
	tls_free(tls);
	buffer_cleanup(&in);
	buffer_cleanup(&out);
	close(fd);
}

static double seconds_of(clockid_t clock)
{
	struct timespec time;

	must(clock_gettime(clock, &time) == 0, "clock");
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double processor_time(void)
{
	clockid_t clock;
	double total = seconds_of(CLOCK_PROCESS_CPUTIME_ID);

	if (keeper < 0)
		return total;
	must(clock_getcpuclockid(keeper, &clock) == 0, "the keeper's clock");
	return total + seconds_of(clock);
}

int main(int argc, char **argv)
{
	struct tls_context *context;
	double begin;
	long count;
	int listening;

	must(argc == 6, "usage: handshakes wolfcrypt|libcrypto|keeper CHAIN KEY COUNT FD");
	load(argv[2], &chain);
	load(argv[3], &key_file);
	count = strtol(argv[4], NULL, 10);
	listening = (int)strtol(argv[5], NULL, 10);
	must(key_library_init() == 0, "libcrypto");
	context = make_context(argv[1]);
	shake(accept(listening, NULL, NULL), context); /* caches warm up */
	begin = processor_time();
	for (long i = 0; i < count; i++)
		shake(accept(listening, NULL, NULL), context);
	printf("%.6f\n", processor_time() - begin);
	if (keeper > 0) {
		kill(keeper, SIGKILL);
		waitpid(keeper, NULL, 0);
	}
	return 0;
}
