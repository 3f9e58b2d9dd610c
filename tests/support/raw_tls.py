"""TLS hellos and records by hand: what libraries no longer send, or never would.

Nothing here encrypts: it is what a client says before there are keys. Numbers are those of IANA's registries.
"""
HANDSHAKE, ALERT, CHANGE_CIPHER_SPEC, APPLICATION_DATA, HEARTBEAT = 22, 21, 20, 23, 24
SSL3, TLS10, TLS11, TLS12, TLS13 = 0x0300, 0x0301, 0x0302, 0x0303, 0x0304
WARNING, FATAL = 1, 2
CLOSE_NOTIFY, UNEXPECTED_MESSAGE, BAD_RECORD_MAC, RECORD_OVERFLOW, HANDSHAKE_FAILURE = 0, 10, 20, 22, 40
ILLEGAL_PARAMETER, DECODE_ERROR, PROTOCOL_VERSION, USER_CANCELED, NO_RENEGOTIATION, MISSING_EXTENSION = 47, 50, 70, 90, 100, 109

SERVER_NAME, STATUS_REQUEST, GROUPS, POINT_FORMATS, SIGNATURES, HEARTBEATS, ALPN = 0, 5, 10, 11, 13, 15, 16
EXTENDED_MASTER_SECRET, TICKET, VERSIONS, KEY_SHARE, RENEGOTIATION = 23, 35, 43, 51, 0xff01

GOOD_TLS12 = (0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8)
GOOD_TLS13 = (0x1301, 0x1302, 0x1303)
# What no server may agree to any more (RFC 9325 4.1 and 4.2), each a family of its own.
BAD_SUITES = {
    "RC4": (0x0004, 0x0005, 0xc007, 0xc011),
    "3DES": (0x000a, 0x0016, 0xc008, 0xc012),
    "DES": (0x0009, 0x0015),
    "NULL": (0x0001, 0x0002, 0x003b, 0xc006, 0xc010),
    "EXPORT": (0x0003, 0x0006, 0x0008, 0x0014, 0x0062, 0x0064),
    "anonymous": (0x0018, 0x001b, 0x0034, 0x006c, 0x00a6, 0xc017, 0xc018, 0xc019),
    "static RSA": (0x002f, 0x0035, 0x003c, 0x003d, 0x009c, 0x009d),
    "static ECDH": (0xc004, 0xc005, 0xc00e, 0xc00f, 0xc02d, 0xc031),
    "CBC": (0xc009, 0xc00a, 0xc013, 0xc014, 0xc023, 0xc024, 0xc027, 0xc028),
    "DHE": (0x0033, 0x0039, 0x0067, 0x006b, 0x009e, 0x009f, 0xccaa),
    "CCM with a short tag": (0xc0a2, 0xc0a3, 0xc0ae, 0xc0af),
    "PSK": (0x008c, 0x00a8, 0xc035, 0xccac, 0xd001),
    "IDEA, SEED, CAMELLIA, ARIA": (0x0007, 0x0096, 0x0041, 0xc072, 0xc05c),
}


def number(value, width):
    return value.to_bytes(width, "big")


def vector(data, width):
    return number(len(data), width) + data


def words(values):
    return b"".join(number(value, 2) for value in values)


def extension(kind, body=b""):
    return number(kind, 2) + vector(body, 2)


def server_name(name):
    return extension(SERVER_NAME, vector(b"\0" + vector(name.encode(), 2), 2))


def groups(*ids):
    return extension(GROUPS, vector(words(ids), 2))


def signatures(*ids):
    return extension(SIGNATURES, vector(words(ids), 2))


def alpn(*names):
    return extension(ALPN, vector(b"".join(vector(name.encode(), 1) for name in names), 2))


def versions(*ids):
    return extension(VERSIONS, vector(words(ids), 1))


def key_shares(*shares):
    return extension(KEY_SHARE, vector(b"".join(number(group, 2) + vector(key, 2) for group, key in shares), 2))


X25519, P256 = 0x001d, 0x0017
# Public keys as good as any other, as long as nothing is to be decrypted: RFC 7748 4.1, SP 800-186 3.2.1.3.
BASE_POINT = b"\x09" + b"\0" * 31
P256_BASE_POINT = b"\4" + bytes.fromhex("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
                                         "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5")


def usual_extensions():
    return [groups(X25519, P256), extension(POINT_FORMATS, b"\x01\0"), signatures(0x0403, 0x0804, 0x0401),
            extension(RENEGOTIATION, b"\0"), extension(EXTENDED_MASTER_SECRET)]


def message(kind, body=b""):
    return bytes([kind]) + vector(body, 3)


def hello(version=TLS12, suites=GOOD_TLS12, session_id=b"", compression=b"\0", extensions=None):
    """A ClientHello; `extensions` is a list, None for the usual ones of TLS 1.2, bytes for what stands there with its length."""
    if extensions is None:
        extensions = usual_extensions()
    if not isinstance(extensions, bytes):
        extensions = vector(b"".join(extensions), 2)
    return message(1, number(version, 2) + bytes(range(32)) + vector(session_id, 1) + vector(words(suites), 2)
                   + vector(compression, 1) + extensions)


def hello13(*more, suites=GOOD_TLS13, session_id=b"s" * 32, compression=b"\0"):
    """A ClientHello of TLS 1.3 alone, with `more` extensions."""
    return hello(TLS12, suites, session_id, compression,
                 usual_extensions() + [versions(TLS13), key_shares((X25519, BASE_POINT))] + list(more))


def record(content, kind=HANDSHAKE, version=TLS10):
    return bytes([kind]) + number(version, 2) + vector(content, 2)


def records(content, size, kind=HANDSHAKE, version=TLS10):
    return b"".join(record(content[at:at + size], kind, version) for at in range(0, len(content), size))


def alert(level, description, version=TLS10):
    return record(bytes([level, description]), ALERT, version)


def ssl2_hello(version, specs=(0x010080, 0x0700c0, 0x000035)):
    """CLIENT-HELLO of SSL 2.0, which may name a later version (RFC 5246 appendix E.2)."""
    body = (b"\x01" + number(version, 2) + number(3 * len(specs), 2) + number(0, 2) + number(16, 2)
            + b"".join(number(spec, 3) for spec in specs) + bytes(range(16)))
    return number(0x8000 | len(body), 2) + body
