/* auth_sasl - the one door to Cyrus SASL.
 * Invariants, and why the library is held so tightly:
 * - Its checkpass callback cannot say no: after any refusal the library goes on to pwcheck_method, whose default is a
 *   password database of the system. So the callback only ever captures, CAPTURED never means proven, and every question
 *   for an option is answered by auth_options. Where SASL decides, there is no such callback.
 * - A name is judged (identity_acceptable) before the library takes it, for every mechanism; the identity that is answered
 *   is the one the library returned. An authorization identity must be the authentication identity.
 * - Without TLS strength nothing is done at all; SASL_SEC_NOPLAINTEXT is a second lock, lifted only by SASL_SSF_EXTERNAL.
 * - A reason noted by a callback (exchange->why) wins over the library's result, which tells some of them less exactly.
 * - What a mechanism says with its success (SCRAM's proof of the server) goes out as a last challenge, since none of the three
 *   protocols carries data there; the response to it must be empty (RFC 4422 5), which the library does not check.
 * - Decoded bytes and captures are wiped; the plugins erase their own copies.
 * RFC 4422, 4616 (PLAIN), 5802 (SCRAM), draft-murchison-sasl-login (LOGIN).
 */
#include "auth/auth_sasl.h"
#include "auth/auth_sasl_library.h"
#include "frontend/log.h"
#include "protocols/credential.h"
#include <stdlib.h>
#include <sasl/sasl.h>
#include <sasl/saslutil.h>

#define DECODED_MAX (AUTH_RESPONSE_MAX / 4 * 3)
#define CALLBACKS   5

/* The library stores callbacks of all shapes as one type. */
typedef int (*callback)(void);
#define CALLBACK(function) ((callback)(void (*)(void))(function))

struct exchange {
	struct auth_slot slot; /* first, so that a slot is an exchange */
	struct auth_sasl *sasl;
	struct auth_options *options; /* that it began with */
	sasl_conn_t *conn;
	sasl_callback_t callbacks[CALLBACKS];
	bool external; /* the mechanism is EXTERNAL: TLS has verified authcid; no store is asked about it */
	bool bare;     /* the client gives its password: the daemon may be asked about it */
	bool login;    /* the mechanism is LOGIN: each response is a whole field */
	bool named;    /* LOGIN: the name has been given, the password comes next */
	bool captured; /* sasl->password is this exchange's */
	bool unknown; /* nobody of that name, so whatever comes is refused; the daemon may know better */
	bool content; /* the library is; its last challenge has been sent */
	bool refused; /* a callback knows why */
	enum auth_refusal why;
	char authcid[CREDENTIAL_USER_MAX + 1];
};

struct auth_sasl {
	struct auth_library *library; /* NULL only after it could not be initialised anew */
	struct auth_options *options;
	struct auth_table table;
	/* What the last answer points to. */
	char authcid[CREDENTIAL_USER_MAX + 1], authzid[CREDENTIAL_USER_MAX + 1];
	char password[CREDENTIAL_PASSWORD_MAX + 1];
	size_t password_len;
	char challenge[AUTH_RESPONSE_MAX + 1];
};

/* ---- what the library asks ---- */

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

/* EXTERNAL needs no store, but the library wants to ask one: it may ask the decoy. */
static int answer_external(void *context, const char *plugin, const char *option,
			   const char **result, unsigned *len)
{
	if (strcmp(option, "auxprop_plugin") != 0)
		return auth_library_answer(context, plugin, option, result, len);
	*result = AUTH_OPTIONS_DECOY;
	if (len)
		*len = sizeof(AUTH_OPTIONS_DECOY) - 1;
	return SASL_OK;
}

/* ---- all exchanges ---- */

static void exchange_free(struct exchange *exchange)
{
	sasl_dispose(&exchange->conn);
	auth_options_drop(exchange->options);
	explicit_bzero(exchange, sizeof(*exchange));
	free(exchange);
}

/* Empty when it was empty or does not fit; the library then goes without. */
static const char *terminate(struct span span, char *out, size_t size)
{
	if (span.len == 0 || span.len >= size || memchr(span.data, '\0', span.len))
		return NULL;
	memcpy(out, span.data, span.len);
	out[span.len] = '\0';
	return out;
}

static void dispose_all(struct auth_sasl *sasl)
{
	while (sasl->table.first) {
		struct exchange *exchange = (struct exchange *)sasl->table.first;

		auth_table_remove(&sasl->table, &exchange->slot);
		exchange_free(exchange);
	}
}

struct auth_sasl *auth_sasl_new(const struct auth_sasl_settings *settings, const char **why)
{
	struct auth_sasl *sasl = calloc(1, sizeof(*sasl));

	if (!sasl || !(sasl->options = auth_options_new(settings))) {
		*why = "out of memory";
		free(sasl);
		return NULL;
	}
	sasl->library = auth_library_new(sasl->options, why);
	if (sasl->library)
		return sasl;
	auth_sasl_free(sasl);
	return NULL;
}

void auth_sasl_free(struct auth_sasl *sasl)
{
	if (!sasl)
		return;
	dispose_all(sasl);
	auth_library_free(sasl->library);
	auth_options_drop(sasl->options);
	explicit_bzero(sasl, sizeof(*sasl));
	free(sasl);
}

static bool all_served(const struct auth_options *options)
{
	struct span rest = span_of(options->mechanisms), word;
	char name[32];

	while ((word = span_word(&rest)).len > 0)
		if (!terminate(word, name, sizeof(name)) || !auth_library_serves(name))
			return false;
	return true;
}

bool auth_sasl_configure(struct auth_sasl *sasl, const struct auth_sasl_settings *settings,
			 const char **why)
{
	struct auth_options *options = auth_options_new(settings);

	if (!options) {
		*why = "out of memory";
		return false;
	}
	if (auth_options_same_library(options, sasl->options) && all_served(options)) {
		auth_library_use(sasl->library, options);
	} else {
		dispose_all(sasl);
		auth_library_free(sasl->library);
		sasl->library = auth_library_new(options, why);
	}
	auth_options_drop(sasl->options);
	sasl->options = options;
	return sasl->library != NULL;
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

static bool exchange_open(struct exchange *exchange, const struct auth_request *request)
{
	/* Where SASL decides the list ends before the capture. */
	const sasl_callback_t callbacks[CALLBACKS] = {
		{ SASL_CB_GETOPT,
		  exchange->external ? CALLBACK(answer_external) : CALLBACK(auth_library_answer),
		  exchange->options },
		{ SASL_CB_CANON_USER, CALLBACK(take_name), exchange },
		{ SASL_CB_PROXY_POLICY, CALLBACK(decide_proxy), exchange },
		{ exchange->options->decides ? SASL_CB_LIST_END : SASL_CB_SERVER_USERDB_CHECKPASS,
		  CALLBACK(take_password), exchange },
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
	return sasl_server_new(service, exchange->options->hostname, NULL,
			       terminate(request->local, local, sizeof(local)),
			       terminate(request->remote, remote, sizeof(remote)),
			       exchange->callbacks, SASL_SUCCESS_DATA,
			       &exchange->conn) == SASL_OK &&
	       sasl_setprop(exchange->conn, SASL_SEC_PROPS, &properties) == SASL_OK &&
	       sasl_setprop(exchange->conn, SASL_SSF_EXTERNAL, &strength) == SASL_OK &&
	       (!exchange->external ||
		sasl_setprop(exchange->conn, SASL_AUTH_EXTERNAL, exchange->authcid) == SASL_OK);
}

static void answer_temporary(const struct exchange *exchange, struct auth_answer *answer)
{
	answer->type = AUTH_TEMPORARY;
	if (exchange->options->decides)
		log_event(LOG_LEVEL_WARNING, "sasl", "%s", sasl_errdetail(exchange->conn));
}

static void answer_refused(struct auth_answer *answer, enum auth_refusal why)
{
	answer->type = AUTH_REFUSED;
	answer->refusal = why;
}

/* SASL_NOUSER and SASL_BADAUTH are the same to whoever asks. What is not about the user is temporary. */
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
	case SASL_NOMECH: /* a mechanism that is listed is there; what is missing then is a store */
		if (exchange->options->decides)
			answer_temporary(exchange, answer);
		else
			answer_refused(answer, AUTH_REFUSED_MECHANISM);
		break;
	case SASL_TOOWEAK:
	case SASL_ENCRYPT:
		answer_refused(answer, AUTH_REFUSED_MECHANISM);
		break;
	case SASL_NOAUTHZ:
		answer_refused(answer, AUTH_REFUSED_AUTHORIZATION);
		break;
	case SASL_BADAUTH:
	case SASL_NOUSER:
	case SASL_NOVERIFY:
	case SASL_BADPARAM:
	case SASL_BADBINDING:
	case SASL_EXPIRED:
	case SASL_DISABLED:
		answer_refused(answer, AUTH_REFUSED_CREDENTIAL);
		break;
	default:
		answer_temporary(exchange, answer);
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

/* The library is content. With the backend as judge that counts only with a password in hand, and then it says: decoded. */
static void answer_content(struct exchange *exchange, struct auth_answer *answer)
{
	struct auth_sasl *sasl = exchange->sasl;
	bool decides = exchange->options->decides;

	if (exchange->refused || exchange->captured == decides ||
	    !take_identity(exchange, SASL_AUTHUSER, sasl->authcid, &answer->authcid) ||
	    !take_identity(exchange, SASL_USERNAME, sasl->authzid, &answer->authzid)) {
		answer_failure(exchange, SASL_FAIL, answer);
		return;
	}
	if (exchange->unknown) {
		answer_refused(answer, AUTH_REFUSED_CREDENTIAL);
		return;
	}
	if (strcmp(sasl->authcid, sasl->authzid) != 0) {
		answer_refused(answer, AUTH_REFUSED_AUTHORIZATION);
		return;
	}
	answer->type = decides ? AUTH_VERIFIED : AUTH_CAPTURED;
	if (!decides)
		answer->password = (struct span) { sasl->password, sasl->password_len };
}

/* Who it is about, for the log and for those who count; the verdicts carry what the library returned. */
static void answer_name(struct exchange *exchange, struct auth_answer *answer)
{
	struct auth_sasl *sasl = exchange->sasl;

	if (answer->type == AUTH_VERIFIED || answer->type == AUTH_CAPTURED)
		return;
	memcpy(sasl->authcid, exchange->authcid, sizeof(sasl->authcid));
	answer->authcid = span_of(sasl->authcid);
	answer->authzid = SPAN("");
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

/* After a call into the library, which takes a database that is not there for one without users. */
static int exchange_note(struct exchange *exchange, int result)
{
	bool known_to_daemon =
		result == SASL_OK && exchange->bare && auth_options_asks_daemon(exchange->options);

	if (auth_library_took_decoy(exchange->sasl->library) && !known_to_daemon &&
	    !exchange->external)
		exchange->unknown = true;
	if ((exchange->unknown || result == SASL_NOUSER) &&
	    !auth_library_store_is_there(exchange->options))
		return SASL_UNAVAIL;
	return result;
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
	return exchange_note(exchange, result);
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
	if (exchange->content) {
		if (len > 0)
			answer_refused(answer, AUTH_REFUSED_ENCODING);
		else
			answer_content(exchange, answer);
		return;
	}
	result = exchange_step(exchange, request, data, len, &challenge);
	exchange->content = result == SASL_OK && challenge.len > 0;
	if (result == SASL_CONTINUE || exchange->content)
		answer_challenge(exchange->sasl, challenge.data, (unsigned)challenge.len, answer);
	else if (result == SASL_OK)
		answer_content(exchange, answer);
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

/* Both end with a NUL, which the library relies on. */
static int check_password(struct exchange *exchange, struct span user, struct span password)
{
	char *name = strndup(user.data, user.len), *copy = strndup(password.data, password.len);
	int result = SASL_NOMEM;

	if (name && copy)
		result = sasl_checkpass(exchange->conn, name, (unsigned)user.len, copy,
					(unsigned)password.len);
	if (copy)
		explicit_bzero(copy, password.len);
	free(copy);
	free(name);
	return exchange_note(exchange, result);
}

/* IMAP LOGIN and USER/PASS: no mechanism, but the same callbacks. */
static void exchange_check(struct exchange *exchange, const struct auth_request *request,
			   struct auth_answer *answer)
{
	struct span user = name_trim(request->user), password = request->password;
	int result = SASL_FAIL;

	if (!identity_acceptable(user) || password.len == 0 ||
	    password.len > CREDENTIAL_PASSWORD_MAX || memchr(password.data, '\0', password.len))
		refuse(exchange, AUTH_REFUSED_CREDENTIAL, SASL_BADAUTH);
	else
		result = check_password(exchange, user, password);
	if (result == SASL_OK)
		answer_content(exchange, answer);
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
	exchange->options = auth_options_keep(sasl->options);
	exchange->slot.peer = peer;
	exchange->slot.key = request->exchange;
	exchange->external = request->type == AUTH_BEGIN && span_is(request->mechanism, "EXTERNAL");
	if (exchange->external) /* before the library, which takes the other identity first */
		terminate(request->external, exchange->authcid, sizeof(exchange->authcid));
	exchange->login = request->type == AUTH_BEGIN && span_is(request->mechanism, "LOGIN");
	exchange->bare = exchange->login || request->type == AUTH_CHECK ||
			 span_is(request->mechanism, "PLAIN");
	if (exchange_open(exchange, request))
		return exchange;
	exchange_free(exchange);
	return NULL;
}

/* A bare password is what PLAIN and LOGIN carry. */
static bool request_is_listed(const struct auth_sasl *sasl, const struct auth_request *request)
{
	const struct auth_options *options = sasl->options;

	if (request->type == AUTH_CHECK)
		return auth_options_list_mechanism(options, SPAN("PLAIN")) ||
		       auth_options_list_mechanism(options, SPAN("LOGIN"));
	return auth_options_list_mechanism(options, request->mechanism);
}

static void request_begin(struct auth_sasl *sasl, struct auth_peer peer,
			  const struct auth_request *request, struct auth_answer *answer)
{
	struct exchange *exchange;

	exchange_remove(exchange_find(sasl, peer, request->exchange));
	if (request->decides != sasl->options->decides)
		return; /* configured anew, and one of us does not know it yet: temporary */
	if (request->tls_bits == 0 || !request_is_listed(sasl, request) ||
	    (span_is(request->mechanism, "EXTERNAL") && !identity_acceptable(request->external))) {
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
	if (exchange)
		answer_name(exchange, answer);
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
