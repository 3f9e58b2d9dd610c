"""Records of TLS 1.3 by hand behind a real handshake: what no library would send once it has keys.

Python's ssl makes the handshake and tells the client's secret (its key log); from then on Sealed writes the records and
ssl only reads. TLS_AES_128_GCM_SHA256 alone (RFC 8446 5.2, 7.1 to 7.3).
"""
import ctypes
import ctypes.util
import hashlib
import hmac
import os
import select

from support import clients
from support.raw_tls import APPLICATION_DATA, HANDSHAKE, TLS12, message, number, record, vector

KEY_UPDATE = 24
_GET_TAG = 0x10    # of EVP_CIPHER_CTX_ctrl


def _expand(secret, label, length):
    info = number(length, 2) + vector(b"tls13 " + label, 1) + vector(b"", 1)
    return hmac.new(secret, info + b"\1", hashlib.sha256).digest()[:length]


def _library():
    library = ctypes.CDLL(ctypes.util.find_library("crypto"))
    for name in ("EVP_CIPHER_CTX_new", "EVP_aes_128_gcm"):
        getattr(library, name).restype = ctypes.c_void_p
    return library


def _seal(library, key, nonce, data, more):
    """AES-128-GCM: ciphertext and tag."""
    context = ctypes.c_void_p(library.EVP_CIPHER_CTX_new())
    out, tag, length = ctypes.create_string_buffer(len(data) + 16), ctypes.create_string_buffer(16), ctypes.c_int()
    try:
        assert library.EVP_EncryptInit_ex(context, ctypes.c_void_p(library.EVP_aes_128_gcm()), None, key, nonce) == 1
        assert library.EVP_EncryptUpdate(context, None, ctypes.byref(length), more, len(more)) == 1
        assert library.EVP_EncryptUpdate(context, out, ctypes.byref(length), data, len(data)) == 1
        written = length.value
        assert library.EVP_EncryptFinal_ex(context, tag, ctypes.byref(length)) == 1
        assert library.EVP_CIPHER_CTX_ctrl(context, _GET_TAG, 16, tag) == 1
        return out.raw[:written] + tag.raw
    finally:
        library.EVP_CIPHER_CTX_free(context)


def context_with_log(authority, path):
    """For clients whose secrets go to that file; one connection a file."""
    context = clients.tls_context(authority.certificate)
    context.keylog_filename = str(path)
    return context


class Sealed:
    """The writing side of a Wire made with context_with_log(), which has written `sent` records since its handshake."""

    def __init__(self, wire, path, sent=0):
        assert wire.socket.version() == "TLSv1.3" and wire.socket.cipher()[0] == "TLS_AES_128_GCM_SHA256", wire.socket.cipher()
        with open(path, encoding="ascii") as file:
            secret, = [line.split()[2] for line in file if line.startswith("CLIENT_TRAFFIC_SECRET_0 ")]
        self.library = _library()
        self.wire = wire
        self._take(bytes.fromhex(secret))
        self.sequence = sent

    def _take(self, secret):
        self.secret, self.sequence = secret, 0
        self.key, self.iv = _expand(secret, b"key", 16), _expand(secret, b"iv", 12)

    def record(self, content, kind=APPLICATION_DATA, padding=0, inner=None):
        """`inner` in place of content, type and padding."""
        data = content + bytes([kind]) + bytes(padding) if inner is None else inner
        head = record(b"", APPLICATION_DATA, TLS12)[:3] + number(len(data) + 16, 2)
        nonce = number(int.from_bytes(self.iv, "big") ^ self.sequence, 12)
        self.sequence += 1
        return head + _seal(self.library, self.key, nonce, data, head)

    def key_update(self, body=b"\0", data=None):
        """A KeyUpdate, after which the keys are new ones; `data` in place of the message."""
        sealed = self.record(message(KEY_UPDATE, body) if data is None else data, HANDSHAKE)
        self._take(_expand(self.secret, b"traffic upd", 32))
        return sealed

    def send(self, data):
        """Behind ssl's back; the peer may have ended it."""
        view = memoryview(data)
        descriptor = self.wire.socket.fileno()
        while view:
            try:
                view = view[os.write(descriptor, view):]
            except BlockingIOError:    # a socket with a deadline never blocks by itself
                assert select.select([], [descriptor], [], clients.DEADLINE)[1], "the peer takes nothing more"
            except OSError:
                return
