/* A PKCS#11 library in front of SoftHSM2 that fails as a test wants: files in the folder SHAKY say how.
 * hang: C_Sign does not return. slow: to look for a key takes seconds. forget: the token's sessions are lost, once.
 */
#define CRYPTOKI_COMPAT
#include <p11-kit/pkcs11.h>

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static CK_FUNCTION_LIST *real, ours;

static const char *file(const char *name)
{
	static _Thread_local char path[4096];

	snprintf(path, sizeof(path), "%s/%s", getenv("SHAKY"), name);
	return path;
}

static bool is_wanted(const char *name)
{
	return access(file(name), F_OK) == 0;
}

static CK_RV shaky_sign(CK_SESSION_HANDLE session, CK_BYTE *in, CK_ULONG len, CK_BYTE *out,
			CK_ULONG *out_len)
{
	while (is_wanted("hang"))
		sleep(1);
	return real->C_Sign(session, in, len, out, out_len);
}

static CK_RV shaky_find(CK_SESSION_HANDLE session, CK_ATTRIBUTE *wanted, CK_ULONG count)
{
	CK_SESSION_INFO info;

	if (is_wanted("slow"))
		sleep(4);
	if (unlink(file("forget")) == 0 && real->C_GetSessionInfo(session, &info) == CKR_OK)
		real->C_CloseAllSessions(info.slotID);
	return real->C_FindObjectsInit(session, wanted, count);
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list)
{
	void *library = dlopen(getenv("SHAKY_BEHIND"), RTLD_NOW | RTLD_LOCAL);
	CK_RV (*of_real)(CK_FUNCTION_LIST **);

	if (library == NULL)
		return CKR_GENERAL_ERROR;
	*(void **)&of_real = dlsym(library, "C_GetFunctionList");
	if (of_real == NULL || of_real(&real) != CKR_OK)
		return CKR_GENERAL_ERROR;
	ours = *real;
	ours.C_Sign = shaky_sign;
	ours.C_FindObjectsInit = shaky_find;
	*list = &ours;
	return CKR_OK;
}
