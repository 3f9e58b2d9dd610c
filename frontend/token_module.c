/* token_module - see token_module.h. */
#include "frontend/token_module.h"
#define CRYPTOKI_COMPAT
#include <p11-kit/pkcs11.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define SLOTS_MAX   64
#define OBJECTS_MAX 16 /* keys that one URI may mean */

/* A token in use: while this session is open, whoever has logged in stays so. */
struct slot {
	LIST_ENTRY(slot) link;
	CK_SLOT_ID id;
	CK_SESSION_HANDLE session;
	bool logged_in;
	CK_RV refused; /* of the PIN; CKR_OK: it was not */
};

struct token_module {
	char *path;
	void *library;
	CK_FUNCTION_LIST *call;
	LIST_HEAD(, slot) slots;
};

static bool fault(char why[256], const char *what, CK_RV rv)
{
	static const struct {
		CK_RV rv;
		const char *text;
	} known[] = {
		{ CKR_PIN_INCORRECT, "the PIN is wrong" },
		{ CKR_PIN_LOCKED, "the PIN is locked" },
		{ CKR_PIN_LEN_RANGE, "no PIN is that long" },
		{ CKR_USER_PIN_NOT_INITIALIZED, "it has no user PIN" },
		{ CKR_MECHANISM_INVALID, "it has no such mechanism" },
		{ CKR_KEY_FUNCTION_NOT_PERMITTED, "the key may not sign" },
		{ CKR_USER_NOT_LOGGED_IN, "nobody has logged in" },
		{ CKR_TOKEN_NOT_PRESENT, "it has gone" },
		{ CKR_DEVICE_REMOVED, "it has gone" },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].rv == rv) {
			snprintf(why, 256, "%s: %s", what, known[i].text);
			return false;
		}
	snprintf(why, 256, "%s: PKCS#11 says 0x%lx", what, (unsigned long)rv);
	return false;
}

/* ---- the library ---- */

static bool begin(struct token_module *module, char why[256])
{
	CK_C_INITIALIZE_ARGS arguments = { .flags = CKF_OS_LOCKING_OK };
	CK_RV (*list)(CK_FUNCTION_LIST **);
	CK_RV rv;

	module->library = dlopen(module->path, RTLD_NOW | RTLD_LOCAL);
	if (module->library == NULL) {
		snprintf(why, 256, "%s", dlerror());
		return false;
	}
	*(void **)&list = dlsym(module->library, "C_GetFunctionList");
	if (list == NULL || list(&module->call) != CKR_OK) {
		snprintf(why, 256, "%s is no PKCS#11 library", module->path);
		return false;
	}
	rv = module->call->C_Initialize(&arguments);
	if (rv == CKR_OK || rv == CKR_CRYPTOKI_ALREADY_INITIALIZED)
		return true;
	module->call = NULL;
	return fault(why, "the library does not start", rv);
}

struct token_module *token_module_open(const char *path, char why[256])
{
	struct token_module *module = calloc(1, sizeof(*module));

	snprintf(why, 256, "out of memory");
	if (module == NULL)
		return NULL;
	LIST_INIT(&module->slots);
	module->path = strdup(path);
	if (module->path != NULL && begin(module, why))
		return module;
	token_module_close(module);
	return NULL;
}

void token_module_close(struct token_module *module)
{
	struct slot *slot, *next;

	if (module == NULL)
		return;
	for (slot = LIST_FIRST(&module->slots); slot != NULL; slot = next) {
		next = LIST_NEXT(slot, link);
		free(slot);
	}
	if (module->call != NULL) /* ends the sessions too */
		module->call->C_Finalize(NULL);
	free(module->path);
	free(module);
}

const char *token_module_path(const struct token_module *module)
{
	return module->path;
}

void token_module_retry(struct token_module *module)
{
	struct slot *slot;

	LIST_FOREACH (slot, &module->slots, link)
		slot->refused = CKR_OK;
}

/* ---- tokens ---- */

/* A token that was taken out, or was started anew, has forgotten the session, and who had logged in. That its PIN was refused stays. */
static bool slot_reopen(struct token_module *module, struct slot *slot, char why[256])
{
	CK_SESSION_INFO info;
	CK_RV rv = module->call->C_GetSessionInfo(slot->session, &info);

	if (rv == CKR_OK)
		return true;
	rv = module->call->C_OpenSession(slot->id, CKF_SERIAL_SESSION, NULL, NULL, &slot->session);
	slot->logged_in = false;
	return rv == CKR_OK || fault(why, "the token gives no session", rv);
}

static struct slot *slot_open(struct token_module *module, CK_SLOT_ID id, char why[256])
{
	struct slot *slot;
	CK_RV rv;

	LIST_FOREACH (slot, &module->slots, link)
		if (slot->id == id)
			return slot_reopen(module, slot, why) ? slot : NULL;
	slot = calloc(1, sizeof(*slot));
	snprintf(why, 256, "out of memory");
	if (slot == NULL)
		return NULL;
	slot->id = id;
	rv = module->call->C_OpenSession(id, CKF_SERIAL_SESSION, NULL, NULL, &slot->session);
	if (rv != CKR_OK) {
		free(slot);
		fault(why, "the token gives no session", rv);
		return NULL;
	}
	LIST_INSERT_HEAD(&module->slots, slot, link);
	return slot;
}

/* A mistake with the last try would lock it for good. */
static bool may_log_in(const CK_TOKEN_INFO *info, char why[256])
{
	snprintf(why, 256,
		 "the token's PIN is locked, or would be by one more mistake: it is not "
		 "tried");
	return (info->flags & (CKF_USER_PIN_FINAL_TRY | CKF_USER_PIN_LOCKED)) == 0;
}

static bool log_in(struct token_module *module, struct slot *slot, const CK_TOKEN_INFO *info,
		   struct span pin, char why[256])
{
	if (slot->logged_in || pin.data == NULL || !(info->flags & CKF_LOGIN_REQUIRED))
		return true;
	if (slot->refused == CKR_OK) {
		CK_RV rv;

		if (!may_log_in(info, why))
			return false;
		/* the library's parameter is not const */
		rv = module->call->C_Login(slot->session, CKU_USER,
					   (CK_UTF8CHAR *)(uintptr_t)pin.data, pin.len);
		slot->logged_in = rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN;
		slot->refused = slot->logged_in ? CKR_OK : rv;
	}
	return slot->logged_in || fault(why, "the token does not let us log in", slot->refused);
}

static bool is_meant(const struct token_uri *uri, const CK_TOKEN_INFO *info)
{
	return (info->flags & CKF_TOKEN_INITIALIZED) &&
	       token_uri_fits(uri, TOKEN_URI_TOKEN, info->label, sizeof(info->label)) &&
	       token_uri_fits(uri, TOKEN_URI_MANUFACTURER, info->manufacturerID,
			      sizeof(info->manufacturerID)) &&
	       token_uri_fits(uri, TOKEN_URI_MODEL, info->model, sizeof(info->model)) &&
	       token_uri_fits(uri, TOKEN_URI_SERIAL, info->serialNumber,
			      sizeof(info->serialNumber));
}

/* ---- keys ---- */

/* What is signed once, to see whose key it is: a block as of TLS 1.2, or a digest. */
static size_t sample(const struct public_key *public, uint8_t out[KEY_SIGNATURE_MAX])
{
	static const uint8_t sha256[] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60,
					  0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
					  0x01, 0x05, 0x00, 0x04, 0x20 };
	size_t len = public_key_bits(public) / 8, digest = sizeof(sha256) + 32;

	memset(out, 0x5a, KEY_SIGNATURE_MAX);
	if (public_key_type(public) != KEY_RSA)
		return len;
	len = (public_key_bits(public) + 7) / 8;
	memset(out, 0xff, len - digest);
	out[0] = 0;
	out[1] = 1;
	out[len - digest - 1] = 0;
	memcpy(out + len - digest, sha256, sizeof(sha256));
	return len;
}

static CK_RV sign(const struct token_key *key, CK_SESSION_HANDLE session, const uint8_t *in,
		  size_t len, uint8_t out[KEY_SIGNATURE_MAX], size_t *out_len)
{
	CK_FUNCTION_LIST *call = key->module->call;
	CK_MECHANISM mechanism = { key->type == KEY_RSA ? CKM_RSA_X_509 : CKM_ECDSA, NULL, 0 };
	uint8_t made[KEY_SIGNATURE_MAX];
	CK_ULONG made_len = sizeof(made);
	CK_RV rv = call->C_SignInit(session, &mechanism, key->object);

	if (rv == CKR_OK) /* the library's parameter is not const */
		rv = call->C_Sign(session, (CK_BYTE *)(uintptr_t)in, len, made, &made_len);
	if (rv != CKR_OK)
		return rv;
	if (key->type == KEY_EC)
		return public_key_ecdsa_der(made, made_len, out, out_len) ? CKR_OK
									  : CKR_GENERAL_ERROR;
	memcpy(out, made, made_len);
	*out_len = made_len;
	return CKR_OK;
}

static bool fits(const struct token_key *key, CK_SESSION_HANDLE session,
		 const struct public_key *public, char why[256])
{
	uint8_t in[KEY_SIGNATURE_MAX], out[KEY_SIGNATURE_MAX];
	size_t len = sample(public, in), out_len = 0;
	CK_RV rv = sign(key, session, in, len, out, &out_len);

	if (rv != CKR_OK)
		return fault(why,
			     key->type == KEY_RSA
				     ? "the token does not sign with the key (CKM_RSA_X_509)"
				     : "the token does not sign with the key (CKM_ECDSA)",
			     rv);
	snprintf(why, 256, "the key in the token does not belong to the certificate");
	return public_key_verifies(public, in, len, out, out_len);
}

static size_t find_objects(struct token_module *module, CK_SESSION_HANDLE session,
			   const struct token_uri *uri, enum key_type type,
			   CK_OBJECT_HANDLE objects[OBJECTS_MAX])
{
	const struct token_uri_value *label = &uri->values[TOKEN_URI_OBJECT];
	const struct token_uri_value *id = &uri->values[TOKEN_URI_ID];
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_KEY_TYPE kind = type == KEY_RSA ? CKK_RSA : CKK_EC;
	CK_ATTRIBUTE wanted[4] = { { CKA_CLASS, &class, sizeof(class) },
				   { CKA_KEY_TYPE, &kind, sizeof(kind) } };
	CK_ULONG count = 2, found = 0;

	/* the library's pointers are not const */
	if (label->set)
		wanted[count++] =
			(CK_ATTRIBUTE) { CKA_LABEL, (void *)(uintptr_t)label->data, label->len };
	if (id->set)
		wanted[count++] = (CK_ATTRIBUTE) { CKA_ID, (void *)(uintptr_t)id->data, id->len };
	if (module->call->C_FindObjectsInit(session, wanted, count) != CKR_OK)
		return 0;
	if (module->call->C_FindObjects(session, objects, OBJECTS_MAX, &found) != CKR_OK)
		found = 0;
	module->call->C_FindObjectsFinal(session);
	return found;
}

static bool find_in(struct token_module *module, const struct slot *slot,
		    const struct token_uri *uri, const struct public_key *public,
		    struct token_key *out, char why[256])
{
	CK_OBJECT_HANDLE objects[OBJECTS_MAX];
	size_t count = find_objects(module, slot->session, uri, public_key_type(public), objects);

	if (count == 0)
		snprintf(why, 256, "the token has no such private key of %s",
			 public_key_type(public) == KEY_RSA ? "RSA" : "ECDSA");
	for (size_t i = 0; i < count; i++) {
		*out = (struct token_key) { module, slot->id, objects[i], public_key_type(public) };
		if (fits(out, slot->session, public, why))
			return true;
	}
	return false;
}

static bool try_slot(struct token_module *module, CK_SLOT_ID id, const struct token_uri *uri,
		     struct span pin, const struct public_key *public, struct token_key *out,
		     char why[256])
{
	CK_TOKEN_INFO info;
	struct slot *slot;

	if (module->call->C_GetTokenInfo(id, &info) != CKR_OK || !is_meant(uri, &info))
		return false;
	slot = slot_open(module, id, why);
	return slot != NULL && log_in(module, slot, &info, pin, why) &&
	       find_in(module, slot, uri, public, out, why);
}

bool token_key_find(struct token_module *module, const struct token_uri *uri, struct span pin,
		    const struct public_key *public, struct token_key *out, char why[256])
{
	CK_SLOT_ID ids[SLOTS_MAX];
	CK_ULONG count = SLOTS_MAX;
	CK_RV rv;

	snprintf(why, 256, "keys of Ed25519 cannot be used in a token");
	if (public_key_type(public) == KEY_ED25519)
		return false;
	rv = module->call->C_GetSlotList(CK_TRUE, ids, &count);
	if (rv != CKR_OK)
		return fault(why, "the library names no tokens", rv);
	snprintf(why, 256, "there is no such token");
	for (CK_ULONG i = 0; i < count; i++)
		if (try_slot(module, ids[i], uri, pin, public, out, why))
			return true;
	return false;
}

/* ---- signing ---- */

bool token_session_open(struct token_module *module, unsigned long slot, unsigned long *session)
{
	return module->call->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, session) == CKR_OK;
}

void token_session_close(struct token_module *module, unsigned long session)
{
	module->call->C_CloseSession(session);
}

static enum token_result result_of(CK_RV rv)
{
	switch (rv) {
	case CKR_OK:
		return TOKEN_SIGNED;
	case CKR_DEVICE_ERROR:
	case CKR_DEVICE_REMOVED:
	case CKR_KEY_HANDLE_INVALID:
	case CKR_OBJECT_HANDLE_INVALID:
	case CKR_SESSION_CLOSED:
	case CKR_SESSION_HANDLE_INVALID:
	case CKR_TOKEN_NOT_PRESENT:
	case CKR_USER_NOT_LOGGED_IN:
		return TOKEN_LOST;
	default:
		return TOKEN_FAILED;
	}
}

enum token_result token_sign(const struct token_key *key, unsigned long session, const uint8_t *in,
			     size_t len, uint8_t out[KEY_SIGNATURE_MAX], size_t *out_len)
{
	return result_of(sign(key, session, in, len, out, out_len));
}
