/* auth_sasl - the one door to Cyrus SASL.
 * Invariants, and why the library is held so tightly:
 * - Its checkpass callback cannot say no: after any refusal the library goes on to pwcheck_method, whose default is a
 *   password database of the system. So the callback only ever captures, CAPTURED never means proven, and every question
 *   for an option is answered here, with names that do not exist where a store is asked for. The library opens no
 *   configuration file, and loads no plugin but those of PLAIN and LOGIN.
 * - A name is judged (identity_acceptable) before the library takes it, for every mechanism; the identity that is answered
 *   is the one the library returned. An authorization identity must be the authentication identity.
 * - Without TLS strength nothing is done at all: SASL_SEC_NOPLAINTEXT is set for ever and lifted only by SASL_SSF_EXTERNAL.
 * - A reason noted by a callback (exchange->why) wins over the library's result, which tells some of them less exactly.
 * - Decoded bytes and captures are wiped; the two plugins erase their own copies.
 * RFC 4422, 4616 (PLAIN), draft-murchison-sasl-login (LOGIN).
 */
#include "auth/auth_sasl.h"
#include "frontend/log.h"
#include "protocols/credential.h"
#include <stdio.h>
#include <stdlib.h>
#include <sasl/sasl.h>
#include <sasl/saslutil.h>

#define DECODED_MAX   (AUTH_RESPONSE_MAX / 4 * 3)
#define CALLBACKS     4
#define NO_SUCH_STORE "postern-has-none"
#define NO_SUCH_PATH  "/nonexistent/postern"

/* The library stores callbacks of all shapes as one type. */
typedef int (*callback)(void);
#define CALLBACK(function) ((callback)(void (*)(void))(function))

struct exchange {
	struct auth_slot slot; /* first, so that a slot is an exchange */
	struct auth_sasl *sasl;
	sasl_conn_t *conn;
	sasl_callback_t callbacks[CALLBACKS];
	bool login;    /* the mechanism is LOGIN: each response is a whole field */
	bool named;    /* LOGIN: the name has been given, the password comes next */
	bool captured; /* sasl->password is this exchange's */
	bool refused;  /* a callback knows why */
	enum auth_refusal why;
	char authcid[CREDENTIAL_USER_MAX + 1];
};

struct auth_sasl {
	char *hostname;
	char mechanisms[32]; /* "PLAIN LOGIN" */
	sasl_callback_t callbacks[5];
	struct auth_table table;
	/* What the last answer points to. */
	char authcid[CREDENTIAL_USER_MAX + 1], authzid[CREDENTIAL_USER_MAX + 1];
	char password[CREDENTIAL_PASSWORD_MAX + 1];
	size_t password_len;
	char challenge[AUTH_RESPONSE_MAX + 1];
};

/* ---- what the library asks ---- */

static int answer_option(void *context, const char *plugin, const char *option, const char **result,
			 unsigned *len)
{
	const struct auth_sasl *sasl = context;
	const struct {
		const char *option, *value;
	} answers[] = {
		{ "pwcheck_method", NO_SUCH_STORE },  { "auxprop_plugin", NO_SUCH_STORE },
		{ "sasldb_path", NO_SUCH_PATH },      { "saslauthd_path", NO_SUCH_PATH },
		{ "mech_list", sasl->mechanisms },    { "canon_user_plugin", "INTERNAL" },
		{ "auto_transition", "no" },          { "log_level", "1" },
		{ "authdaemond_path", NO_SUCH_PATH }, { "keytab", NO_SUCH_PATH },
	};

	*result = NULL; /* the rest keeps its built-in default: there is no other source */
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		if (strcmp(option, answers[i].option) == 0)
			*result = answers[i].value;
	if (len)
		*len = *result ? (unsigned)strlen(*result) : 0;
	return *result ? SASL_OK : SASL_FAIL;
}

static int answer_config_path(void *context, char **path)
{
	static char none[] = NO_SUCH_PATH;

	*path = none; /* the library does not free it */
	return SASL_OK;
}

static int answer_may_use(void *context, const char *file, sasl_verify_type_t type)
{
	const char *name = strrchr(file, '/');

	if (type != SASL_VRFY_PLUGIN)
		return SASL_CONTINUE;
	name = name ? name + 1 : file;
	return strncmp(name, "libplain.", 9) == 0 || strncmp(name, "liblogin.", 9) == 0
		       ? SASL_OK
		       : SASL_CONTINUE;
}

/* Only what the library says of itself; at its other levels there are names of users and worse. */
static int take_log(void *context, int level, const char *text)
{
	if (level == SASL_LOG_ERR)
		log_event(LOG_LEVEL_DEBUG, "sasl", "%s", text);
	return SASL_OK;
}

static int refuse(struct exchange *exchange, enum auth_refusal why, int result)
{
	if (!exchange->refused)
		exchange->why = why;
	exchange->refused = true;
	return result;
}

/* Blanks around a name do not belong to it; the library would trim them too, but calls some such names empty. */
static struct span name_trim(struct span name)
{
	while (name.len > 0 && name.data[0] == ' ')
		name = span_from(name, 1);
	while (name.len > 0 && name.data[name.len - 1] == ' ')
		name.len--;
	return name;
}

static int take_name(sasl_conn_t *conn, void *context, const char *in, unsigned in_len,
		     unsigned flags, const char *realm, char *out, unsigned out_max,
		     unsigned *out_len)
{
	struct exchange *exchange = context;
	struct span name = name_trim((struct span) { in, in_len });

	if (!identity_acceptable(name) || name.len >= out_max)
		return refuse(exchange, AUTH_REFUSED_CREDENTIAL, SASL_BADAUTH);
	if (flags & SASL_CU_AUTHID) {
		memcpy(exchange->authcid, name.data, name.len);
		exchange->authcid[name.len] = '\0';
	} else if (name.len != strlen(exchange->authcid) ||
		   memcmp(name.data, exchange->authcid, name.len) != 0) {
		return refuse(exchange, AUTH_REFUSED_AUTHORIZATION, SASL_NOAUTHZ);
	}
	memmove(out, name.data, name.len); /* `in` may be the same storage */
	out[name.len] = '\0';
	*out_len = (unsigned)name.len;
	return SASL_OK;
}

/* SASL_OK says that a password was decoded, and nothing about whether it is right. */
static int take_password(sasl_conn_t *conn, void *context, const char *user, const char *password,
			 unsigned len, struct propctx *properties)
{
	struct exchange *exchange = context;
	struct auth_sasl *sasl = exchange->sasl;

	if (len == 0 || len > CREDENTIAL_PASSWORD_MAX)
		return refuse(exchange, AUTH_REFUSED_CREDENTIAL, SASL_BADAUTH);
	memcpy(sasl->password, password, len);
	sasl->password_len = len;
	exchange->captured = true;
	return SASL_OK;
}

static int decide_proxy(sasl_conn_t *conn, void *context, const char *wanted, unsigned wanted_len,
			const char *identity, unsigned identity_len, const char *realm,
			unsigned realm_len, struct propctx *properties)
{
	if (wanted_len == identity_len && memcmp(wanted, identity, wanted_len) == 0)
		return SASL_OK;
	return refuse(context, AUTH_REFUSED_AUTHORIZATION, SASL_NOAUTHZ);
}

/* ---- the library as a whole ---- */

static bool mechanism_known(const char *name)
{
	return strcmp(name, "PLAIN") == 0 || strcmp(name, "LOGIN") == 0;
}

static bool mechanism_listed(const struct auth_sasl *sasl, struct span name)
{
	struct span rest = span_of(sasl->mechanisms), word;

	while ((word = span_word(&rest)).len > 0)
		if (word.len == name.len && memcmp(word.data, name.data, name.len) == 0)
			return true;
	return false;
}

static void list_mechanisms(struct auth_sasl *sasl, const char *const *mechanisms)
{
	for (; mechanisms && *mechanisms; mechanisms++) {
		size_t len = strlen(sasl->mechanisms);

		if (mechanism_known(*mechanisms) && !mechanism_listed(sasl, span_of(*mechanisms)))
			snprintf(sasl->mechanisms + len, sizeof(sasl->mechanisms) - len, "%s%s",
				 len ? " " : "", *mechanisms);
	}
}

struct auth_sasl *auth_sasl_new(const struct auth_sasl_settings *settings, const char **why)
{
	struct auth_sasl *sasl = calloc(1, sizeof(*sasl));

	if (!sasl || !(sasl->hostname = strdup(settings->hostname))) {
		*why = "out of memory";
		free(sasl);
		return NULL;
	}
	list_mechanisms(sasl, settings->mechanisms);

	const sasl_callback_t callbacks[5] = {
		{ SASL_CB_GETOPT, CALLBACK(answer_option), sasl },
		{ SASL_CB_GETCONFPATH, CALLBACK(answer_config_path), NULL },
		{ SASL_CB_VERIFYFILE, CALLBACK(answer_may_use), NULL },
		{ SASL_CB_LOG, CALLBACK(take_log), NULL },
		{ SASL_CB_LIST_END, NULL, NULL },
	};

	memcpy(sasl->callbacks, callbacks, sizeof(callbacks));
	if (sasl_server_init(sasl->callbacks, "postern") != SASL_OK) {
		*why = "the SASL library cannot be initialised";
		free(sasl->hostname);
		free(sasl);
		return NULL;
	}
	return sasl;
}

static void exchange_free(struct exchange *exchange)
{
	sasl_dispose(&exchange->conn);
	explicit_bzero(exchange, sizeof(*exchange));
	free(exchange);
}

void auth_sasl_free(struct auth_sasl *sasl)
{
	if (!sasl)
		return;
	while (sasl->table.first) {
		struct exchange *exchange = (struct exchange *)sasl->table.first;

		auth_table_remove(&sasl->table, &exchange->slot);
		exchange_free(exchange);
	}
	sasl_server_done();
	free(sasl->hostname);
	explicit_bzero(sasl, sizeof(*sasl));
	free(sasl);
}

size_t auth_sasl_open_exchanges(const struct auth_sasl *sasl)
{
	return auth_table_count(&sasl->table, NULL);
}

void auth_sasl_peer_gone(struct auth_sasl *sasl, struct auth_peer peer)
{
	struct auth_slot *slot;

	while ((slot = auth_table_take_of(&sasl->table, peer)) != NULL)
		exchange_free((struct exchange *)slot);
}

void auth_sasl_expire(struct auth_sasl *sasl, double now)
{
	struct auth_slot *slot;

	while ((slot = auth_table_take_idle(&sasl->table, now - AUTH_SASL_IDLE)) != NULL)
		exchange_free((struct exchange *)slot);
}

static struct exchange *exchange_find(const struct auth_sasl *sasl, struct auth_peer peer,
				      struct auth_exchange key)
{
	return (struct exchange *)auth_table_find(&sasl->table, peer, key);
}

/* NULL is fine. */
static void exchange_remove(struct exchange *exchange)
{
	if (!exchange)
		return;
	auth_table_remove(&exchange->sasl->table, &exchange->slot);
	exchange_free(exchange);
}

/* ---- one exchange ---- */

/* Empty when it was empty or does not fit; the library then goes without. */
static const char *terminate(struct span span, char *out, size_t size)
{
	if (span.len == 0 || span.len >= size || memchr(span.data, '\0', span.len))
		return NULL;
	memcpy(out, span.data, span.len);
	out[span.len] = '\0';
	return out;
}

static bool exchange_open(struct exchange *exchange, const struct auth_request *request)
{
	const sasl_callback_t callbacks[CALLBACKS] = {
		{ SASL_CB_CANON_USER, CALLBACK(take_name), exchange },
		{ SASL_CB_SERVER_USERDB_CHECKPASS, CALLBACK(take_password), exchange },
		{ SASL_CB_PROXY_POLICY, CALLBACK(decide_proxy), exchange },
		{ SASL_CB_LIST_END, NULL, NULL },
	};
	sasl_security_properties_t properties = {
		.security_flags = SASL_SEC_NOPLAINTEXT | SASL_SEC_NOANONYMOUS,
	};
	sasl_ssf_t strength = request->tls_bits;
	char service[32], local[96], remote[96];

	if (!terminate(request->service, service, sizeof(service)))
		return false;
	memcpy(exchange->callbacks, callbacks, sizeof(callbacks));
	return sasl_server_new(service, exchange->sasl->hostname, NULL,
			       terminate(request->local, local, sizeof(local)),
			       terminate(request->remote, remote, sizeof(remote)),
			       exchange->callbacks, 0, &exchange->conn) == SASL_OK &&
	       sasl_setprop(exchange->conn, SASL_SEC_PROPS, &properties) == SASL_OK &&
	       sasl_setprop(exchange->conn, SASL_SSF_EXTERNAL, &strength) == SASL_OK;
}

static void answer_refused(struct auth_answer *answer, enum auth_refusal why)
{
	answer->type = AUTH_REFUSED;
	answer->refusal = why;
}

/* SASL_NOUSER and SASL_BADAUTH are the same to whoever asks. */
static void answer_failure(const struct exchange *exchange, int result, struct auth_answer *answer)
{
	if (exchange->refused) {
		answer_refused(answer, exchange->why);
		return;
	}
	switch (result) {
	case SASL_BADPROT:
		answer_refused(answer, AUTH_REFUSED_ENCODING);
		break;
	case SASL_NOMECH:
	case SASL_TOOWEAK:
	case SASL_ENCRYPT:
		answer_refused(answer, AUTH_REFUSED_MECHANISM);
		break;
	case SASL_NOAUTHZ:
		answer_refused(answer, AUTH_REFUSED_AUTHORIZATION);
		break;
	case SASL_BADAUTH:
	case SASL_NOUSER:
	case SASL_BADPARAM:
	case SASL_EXPIRED:
	case SASL_DISABLED:
		answer_refused(answer, AUTH_REFUSED_CREDENTIAL);
		break;
	default:
		answer->type = AUTH_TEMPORARY;
	}
}

static void answer_challenge(struct auth_sasl *sasl, const char *data, unsigned len,
			     struct auth_answer *answer)
{
	unsigned encoded;

	if (sasl_encode64(data ? data : "", len, sasl->challenge, sizeof(sasl->challenge),
			  &encoded) != SASL_OK) {
		answer->type = AUTH_TEMPORARY;
		return;
	}
	answer->type = AUTH_CHALLENGE;
	answer->challenge = (struct span) { sasl->challenge, encoded };
}

static bool take_identity(const struct exchange *exchange, int property, char *out,
			  struct span *identity)
{
	const void *value = NULL;

	if (sasl_getprop(exchange->conn, property, &value) != SASL_OK || !value)
		return false;
	*identity = span_of(value);
	if (!identity_acceptable(*identity))
		return false;
	memcpy(out, value, identity->len + 1);
	identity->data = out;
	return true;
}

/* The library is content. That counts only with a password in hand, and then it says: decoded. */
static void answer_captured(struct exchange *exchange, struct auth_answer *answer)
{
	struct auth_sasl *sasl = exchange->sasl;

	if (exchange->refused || !exchange->captured ||
	    !take_identity(exchange, SASL_AUTHUSER, sasl->authcid, &answer->authcid) ||
	    !take_identity(exchange, SASL_USERNAME, sasl->authzid, &answer->authzid)) {
		answer_failure(exchange, SASL_FAIL, answer);
		return;
	}
	if (strcmp(sasl->authcid, sasl->authzid) != 0) {
		answer_refused(answer, AUTH_REFUSED_AUTHORIZATION);
		return;
	}
	answer->type = AUTH_CAPTURED;
	answer->password = (struct span) { sasl->password, sasl->password_len };
}

/* LOGIN: one response is the name, the next the password. They are looked at before the library, which cuts a field at a NUL
 * and forgets to free the password when the name is refused after it. */
static bool login_field_acceptable(struct exchange *exchange, struct span field)
{
	if (!exchange->named) {
		exchange->named = true;
		if (identity_acceptable(name_trim(field)))
			return true;
		refuse(exchange, AUTH_REFUSED_CREDENTIAL, SASL_BADAUTH);
		return false;
	}
	if (field.len == 0)
		refuse(exchange, AUTH_REFUSED_CREDENTIAL, SASL_BADAUTH);
	else if (memchr(field.data, '\0', field.len))
		refuse(exchange, AUTH_REFUSED_ENCODING, SASL_BADPROT);
	return !exchange->refused;
}

static int exchange_step(struct exchange *exchange, const struct auth_request *request,
			 const char *data, unsigned len, struct span *challenge)
{
	const char *out = NULL;
	unsigned out_len = 0;
	char mechanism[32];
	int result;

	if (request->type == AUTH_BEGIN)
		result = terminate(request->mechanism, mechanism, sizeof(mechanism))
				 ? sasl_server_start(exchange->conn, mechanism, data, len, &out,
						     &out_len)
				 : SASL_NOMECH;
	else
		result = sasl_server_step(exchange->conn, data, len, &out, &out_len);
	*challenge = (struct span) { out, out ? out_len : 0 };
	return result;
}

/* A decoded response to the library, and what it says of it. */
static void exchange_respond(struct exchange *exchange, const struct auth_request *request,
			     const char *data, unsigned len, struct auth_answer *answer)
{
	struct span challenge;
	bool is_field = exchange->login && data && (request->type == AUTH_CONTINUE || len > 0);
	int result;

	if (is_field && !login_field_acceptable(exchange, (struct span) { data, len })) {
		answer_failure(exchange, SASL_FAIL, answer);
		return;
	}
	result = exchange_step(exchange, request, data, len, &challenge);
	if (result == SASL_CONTINUE)
		answer_challenge(exchange->sasl, challenge.data, (unsigned)challenge.len, answer);
	else if (result == SASL_OK)
		answer_captured(exchange, answer);
	else
		answer_failure(exchange, result, answer);
}

static void exchange_take_response(struct exchange *exchange, const struct auth_request *request,
				   struct auth_answer *answer)
{
	char decoded[DECODED_MAX + 2]; /* the library wants room behind the last byte */
	bool has_response = request->has_response || request->type == AUTH_CONTINUE;
	unsigned len = 0;
	int result = SASL_OK;

	if (request->response.len > 0)
		result = sasl_decode64(request->response.data, (unsigned)request->response.len,
				       decoded, DECODED_MAX + 1, &len);
	if (result != SASL_OK) {
		answer_refused(answer, AUTH_REFUSED_ENCODING);
	} else {
		decoded[len] = '\0';
		exchange_respond(exchange, request, has_response ? decoded : NULL, len, answer);
	}
	explicit_bzero(decoded, sizeof(decoded));
}

/* IMAP LOGIN and USER/PASS: no mechanism, but the same callbacks. */
static void exchange_check(struct exchange *exchange, const struct auth_request *request,
			   struct auth_answer *answer)
{
	struct span user = name_trim(request->user), password = request->password;
	int result = SASL_FAIL;

	if (!identity_acceptable(user) || password.len == 0 ||
	    password.len > CREDENTIAL_PASSWORD_MAX) {
		refuse(exchange, AUTH_REFUSED_CREDENTIAL, SASL_BADAUTH);
	} else {
		char *copy = strndup(user.data, user.len);

		result = copy ? sasl_checkpass(exchange->conn, copy, (unsigned)user.len,
					       password.data, (unsigned)password.len)
			      : SASL_NOMEM;
		free(copy);
	}
	if (result == SASL_OK)
		answer_captured(exchange, answer);
	else
		answer_failure(exchange, result, answer);
}

static struct exchange *exchange_new(struct auth_sasl *sasl, struct auth_peer peer,
				     const struct auth_request *request)
{
	struct exchange *exchange = calloc(1, sizeof(*exchange));

	if (!exchange)
		return NULL;
	exchange->sasl = sasl;
	exchange->slot.peer = peer;
	exchange->slot.key = request->exchange;
	exchange->login = request->type == AUTH_BEGIN && span_is(request->mechanism, "LOGIN");
	if (exchange_open(exchange, request))
		return exchange;
	exchange_free(exchange);
	return NULL;
}

static void request_begin(struct auth_sasl *sasl, struct auth_peer peer,
			  const struct auth_request *request, struct auth_answer *answer)
{
	struct exchange *exchange;

	exchange_remove(exchange_find(sasl, peer, request->exchange));
	/* The library looks at the strength before a mechanism, but not before sasl_checkpass(). */
	if (request->type == AUTH_CHECK ? request->tls_bits == 0
					: !mechanism_listed(sasl, request->mechanism)) {
		answer_refused(answer, AUTH_REFUSED_MECHANISM);
		return;
	}
	/* Clients that never answer their challenge must not keep others from logging in. */
	if (auth_table_count(&sasl->table, &peer) >= AUTH_SASL_EXCHANGES_MAX)
		exchange_free((struct exchange *)auth_table_take_oldest(&sasl->table, peer));
	exchange = exchange_new(sasl, peer, request);
	if (!exchange) {
		answer->type = AUTH_TEMPORARY;
		return;
	}
	auth_table_add(&sasl->table, &exchange->slot);
	if (request->type == AUTH_CHECK)
		exchange_check(exchange, request, answer);
	else
		exchange_take_response(exchange, request, answer);
}

bool auth_sasl_request(struct auth_sasl *sasl, struct auth_peer peer, double now,
		       const struct auth_request *request, struct auth_answer *answer)
{
	struct exchange *exchange;

	auth_sasl_answered(sasl);
	*answer = (struct auth_answer) {
		.type = AUTH_TEMPORARY,
		.exchange = request->exchange,
	};
	if (request->type == AUTH_BEGIN || request->type == AUTH_CHECK) {
		request_begin(sasl, peer, request, answer);
	} else if (request->type == AUTH_CONTINUE) {
		exchange = exchange_find(sasl, peer, request->exchange);
		if (exchange)
			exchange_take_response(exchange, request, answer);
	}
	exchange = exchange_find(sasl, peer, request->exchange);
	if (exchange && answer->type == AUTH_CHALLENGE)
		exchange->slot.used = now;
	else
		exchange_remove(exchange);
	if (answer->type != AUTH_CAPTURED)
		explicit_bzero(sasl->password, sizeof(sasl->password));
	return request->type != AUTH_CANCEL;
}

void auth_sasl_answered(struct auth_sasl *sasl)
{
	explicit_bzero(sasl->password, sizeof(sasl->password));
	explicit_bzero(sasl->authcid, sizeof(sasl->authcid));
	explicit_bzero(sasl->authzid, sizeof(sasl->authzid));
	explicit_bzero(sasl->challenge, sizeof(sasl->challenge));
	sasl->password_len = 0;
}

const char *auth_sasl_version(void)
{
	const char *version = NULL;

	sasl_version_info(NULL, &version, NULL, NULL, NULL, NULL);
	return version ? version : "unknown";
}
