"""What no client may get or do in TLS: old versions and suites, hellos that are broken, messages out of place, floods.

Each session ends in order or goes on as if nothing had been; the worker is the same afterwards, and the session of
somebody else goes on (`nobody_else_notices`). Hellos and records are made by hand: libraries do not send them any more.
"""
import os
import pathlib

import pytest

from support import certificates, clients, liars, raw_tls, sealed_tls
from support.postern import program
from support.process import resident_memory
from support.raw_tls import extension, hello, hello13, message, record, records, vector

DECODE, ILLEGAL, UNEXPECTED = raw_tls.DECODE_ERROR, raw_tls.ILLEGAL_PARAMETER, raw_tls.UNEXPECTED_MESSAGE
OVERFLOW = raw_tls.RECORD_OVERFLOW
PLACES = (("imap", "implicit"), ("submission", "starttls"))
NOT_OURS = {"handshake", "not_tls"}    # what the TLS library found wrong
GROWTH = 4 << 20    # octets of memory that a flood of many times as much may cost


@pytest.fixture(scope="module")
def front(launch):
    with liars.Fake(liars.ImapStore(None)) as imap, liars.Fake(liars.SubmissionStore(None)) as submission:
        yield launch(imap=imap.port, submission=submission.port, workers=1)


@pytest.fixture(scope="module")
def with_rsa(launch, authority, tmp_path_factory):
    """A certificate with an RSA key: only so does a refusal of RSA suites prove anything."""
    pair = certificates.make_certificate(str(tmp_path_factory.mktemp("rsa")), authority, ("localhost",), key="rsa")
    with liars.Fake(liars.ImapStore(None)) as imap, liars.Fake(liars.SubmissionStore(None)) as submission:
        yield launch(certificate=pair, imap=imap.port, submission=submission.port, workers=1)


@pytest.fixture(scope="module")
def bystander(front, context):
    with clients.enter(front.port("imap", "implicit"), "imap", "implicit", context, "a", "b") as wire:
        yield wire


@pytest.fixture(autouse=True)
def nobody_else_notices(front, bystander):
    before = front.children("worker")
    yield
    assert front.children("worker") == before
    assert "OK" in bystander.imap("by NOOP")


def answered(front, place, data, stay=False):
    """What came back until the end, as (type, content) of records, and the reason in the log; `stay`: the end is ours."""
    with clients.before_tls(front.port(*place), *place) as wire:
        client = wire.address
        wire.try_send(data)
        if stay:
            wire.half_close()
        answer = wire.rest().encode("latin-1")
    found = []
    while answer:
        length = int.from_bytes(answer[3:5], "big")
        found.append((answer[0], answer[5:5 + length]))
        answer = answer[5 + length:]
    return found, front.wait_event("session_end", client=client)["reason"]


def is_hello(found):
    return bool(found) and found[0][0] == raw_tls.HANDSHAKE and found[0][1][0] == 2


def assert_refused(front, place, data, alert, reason):
    """At once, by us, with that fatal alert (None: without any) and nothing else."""
    found, given = answered(front, place, data)
    assert found == ([] if alert is None else [(raw_tls.ALERT, bytes([raw_tls.FATAL, alert]))])
    assert given == reason


# ---- versions and suites that are over

@pytest.mark.parametrize("place", PLACES, ids=lambda place: place[1])
def test_the_hellos_made_here_are_good_ones(front, with_rsa, place):
    """Else the refusals below would prove nothing."""
    for data in (record(hello()), record(hello13()), record(hello(raw_tls.TLS12, (0x0004, 0xc02f, 0xc02b)))):
        for one in (front, with_rsa):
            found, reason = answered(one, place, data, stay=True)
            assert is_hello(found) and reason == "handshake_aborted"


VERSIONS = {
    "SSLv3": record(hello(raw_tls.SSL3, (0x0035, 0x002f, 0x000a, 0xc013), extensions=b""), version=raw_tls.SSL3),
    "TLSv1.0": record(hello(raw_tls.TLS10, (0xc02b, 0xc009, 0xc013, 0x0035))),
    "TLSv1.1": record(hello(raw_tls.TLS11, (0xc02b, 0xc009, 0xc013, 0x0035))),
    "TLSv1.1 by extension": record(hello(extensions=raw_tls.usual_extensions() + [raw_tls.versions(raw_tls.TLS11)])),
}


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place[1])
@pytest.mark.parametrize("version", VERSIONS)
def test_an_old_version_is_refused(front, with_rsa, place, version):
    for one in (front, with_rsa):
        assert_refused(one, place, VERSIONS[version], raw_tls.PROTOCOL_VERSION, "tls_version")


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place[1])
@pytest.mark.parametrize("named", (0x0002, raw_tls.SSL3, raw_tls.TLS12), ids=("SSLv2", "naming SSLv3", "naming TLSv1.2"))
def test_a_hello_of_ssl_2_is_refused(front, place, named):
    assert_refused(front, place, raw_tls.ssl2_hello(named), raw_tls.PROTOCOL_VERSION, "tls_version")


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place[1])
@pytest.mark.parametrize("family", raw_tls.BAD_SUITES)
def test_old_suites_are_refused(front, with_rsa, place, family):
    for one in (front, with_rsa):
        assert_refused(one, place, record(hello(suites=raw_tls.BAD_SUITES[family])), raw_tls.HANDSHAKE_FAILURE, "no_common_cipher")


@pytest.mark.parametrize("suite", (0x1304, 0x1305, 0xc0b4), ids=("CCM", "CCM_8", "NULL"))
def test_suites_of_tls_1_3_that_are_not_ours_are_refused(front, with_rsa, suite):
    for one in (front, with_rsa):
        for place in PLACES:
            assert_refused(one, place, record(hello13(suites=(suite,))), raw_tls.HANDSHAKE_FAILURE, "no_common_cipher")


@pytest.mark.parametrize("unwanted", (0x000e, 0x0019, 0x0018, 0x001e), ids=("sect571r1", "P-521", "P-384", "X448"))
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place[1])
def test_a_group_of_ours_is_taken_wherever_it_stands(with_rsa, place, unwanted):
    """Old clients name the largest first. ServerKeyExchange: curve_type, then the group (RFC 8422 5.4)."""
    data = hello(suites=(0xc02f,), extensions=[raw_tls.groups(unwanted, raw_tls.P256), raw_tls.signatures(0x0804)])
    found, _ = answered(with_rsa, place, record(data), stay=True)
    exchange = next(content for kind, content in found if kind == raw_tls.HANDSHAKE and content[0] == 12)
    assert exchange[4:7] == b"\3\0\x17"


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place[1])
def test_compression_is_not_agreed_on(front, place):
    found, _ = answered(front, place, record(hello(compression=b"\1\0")), stay=True)
    body = found[0][1][4:]
    assert is_hello(found) and body[35 + body[34] + 2] == 0, "the server chose to compress"
    assert_refused(front, place, record(hello(compression=b"\1")), ILLEGAL, "bad_hello")
    assert_refused(front, place, record(hello13(compression=b"\1\0")), ILLEGAL, "bad_hello")


# ---- hellos that are broken

def with_extension(kind, body=b""):
    return record(hello(extensions=raw_tls.usual_extensions() + [extension(kind, body)]))


HALVES = record(hello()[:60]), record(hello()[60:])
BROKEN = {
    "no compression methods": (record(hello(compression=b"")), DECODE),
    "no suites": (record(hello(suites=())), DECODE),
    "an odd list of suites": (record(hello().replace(b"\0\x0c\xc0\x2b", b"\0\x0b\xc0\x2b")), DECODE),
    "a session id of 33": (record(hello(session_id=b"s" * 33)), DECODE),
    "an octet behind the extensions": (record(message(1, hello()[4:] + b"x")), DECODE),
    "an extension twice": (with_extension(raw_tls.EXTENDED_MASTER_SECRET), ILLEGAL),
    "an empty server_name": (with_extension(raw_tls.SERVER_NAME), DECODE),
    "two host names": (with_extension(raw_tls.SERVER_NAME, vector(b"\0\0\1a\0\0\1b", 2)), ILLEGAL),
    "an empty ALPN list": (with_extension(raw_tls.ALPN, b"\0\0"), DECODE),
    "an empty name in ALPN": (with_extension(raw_tls.ALPN, vector(b"\0", 2)), DECODE),
    "a list of versions cut short": (with_extension(raw_tls.VERSIONS, b"\4\3\4"), DECODE),
    "SSL 2.0 within TLS": (record(hello(0x0200)), raw_tls.PROTOCOL_VERSION),
    "garbage for a body": (record(message(1, b"x" * 16000)), DECODE),
    "a length of 100,000": (record(b"\1" + (100000).to_bytes(3, "big") + b"x" * 16000), ILLEGAL),
    "two hellos in a record": (record(hello() * 2), UNEXPECTED),
    "an empty record before it": (record(b"") + record(hello()), UNEXPECTED),
    "a storm of empty records": (record(b"") * 20000, UNEXPECTED),
    "an empty record within it": (HALVES[0] + record(b"") + HALVES[1], UNEXPECTED),
    "application data within it": (HALVES[0] + record(b"xx", raw_tls.APPLICATION_DATA) + HALVES[1], UNEXPECTED),
    "a record of 16,385": (record(b"\1" * 0x4001), OVERFLOW),
    "a record of 18,433": (record(b"\1" * 0x4801), OVERFLOW),
    "a record of 65,535": (record(b"\1" * 0xffff), OVERFLOW),
    "an alert within it": (HALVES[0] + raw_tls.alert(raw_tls.WARNING, raw_tls.USER_CANCELED) + HALVES[1], UNEXPECTED),
    "ChangeCipherSpec within it": (HALVES[0] + record(b"\1", raw_tls.CHANGE_CIPHER_SPEC) + HALVES[1], UNEXPECTED),
    "ServerHello": (record(message(2, hello()[4:])), UNEXPECTED),
    "HelloRequest": (record(message(0)), UNEXPECTED),
    "Certificate": (record(message(11, b"\0\0\0")), UNEXPECTED),
    "ClientKeyExchange": (record(message(16, vector(raw_tls.BASE_POINT, 1))), UNEXPECTED),
    "Finished": (record(message(20, b"f" * 12)), UNEXPECTED),
    "KeyUpdate": (record(message(24, b"\1")), UNEXPECTED),
    "a message that does not exist": (record(message(99, b"x" * 40)), UNEXPECTED),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_hello_is_refused(front, case):
    data, alert = BROKEN[case]
    for place in PLACES:
        assert_refused(front, place, data, alert, "bad_hello")


FOREIGN = {
    "application data": record(b"x" * 100, raw_tls.APPLICATION_DATA),
    "a heartbeat": record(b"\1\x40\0", raw_tls.HEARTBEAT),
    "a record of no kind": record(b"x" * 40, 30),
    "a storm of ChangeCipherSpec": record(b"\1", raw_tls.CHANGE_CIPHER_SPEC) * 20000,
}


@pytest.mark.parametrize("case", FOREIGN)
def test_another_record_in_place_of_a_hello_is_refused(front, case):
    for place in PLACES:
        assert_refused(front, place, FOREIGN[case], None, "injection" if place[1] == "starttls" else "not_tls")


@pytest.mark.parametrize("case, data", [
    ("fatal", raw_tls.alert(raw_tls.FATAL, raw_tls.HANDSHAKE_FAILURE)),
    ("close_notify", raw_tls.alert(raw_tls.WARNING, raw_tls.CLOSE_NOTIFY)),
    ("flood of warnings", raw_tls.alert(raw_tls.WARNING, raw_tls.USER_CANCELED) * 20000),
    ("flood of no_renegotiation", raw_tls.alert(raw_tls.WARNING, raw_tls.NO_RENEGOTIATION) * 20000),
    ("cut short", record(b"\1", raw_tls.ALERT)),
], ids=lambda value: value if isinstance(value, str) else "")
def test_alerts_in_place_of_a_hello_are_refused(front, case, data):
    for place in PLACES:
        assert_refused(front, place, data, None, "alert_received")


NOT_ON_THE_CURVE = b"\4" + b"k" * 64
ORDER_EIGHT = (bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),    # RFC 7748 6.1
               bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"))
SHARES = {
    "of order one": (raw_tls.X25519, bytes(32)),
    "of order eight": (raw_tls.X25519, ORDER_EIGHT[0]),
    "of order eight, the other": (raw_tls.X25519, ORDER_EIGHT[1]),
    "one octet short": (raw_tls.X25519, b"k" * 31),
    "one octet long": (raw_tls.X25519, b"k" * 33),
    "not on the curve": (raw_tls.P256, NOT_ON_THE_CURVE),
    "a point cut short": (raw_tls.P256, NOT_ON_THE_CURVE[:-1]),
}


def hello_with_share(group, key):
    return record(hello(suites=raw_tls.GOOD_TLS13, extensions=[
        raw_tls.groups(group), raw_tls.signatures(0x0403, 0x0804), raw_tls.versions(raw_tls.TLS13), raw_tls.key_shares((group, key))]))


@pytest.mark.parametrize("case", SHARES)
def test_a_bad_share_is_refused(front, case):
    """RFC 8446 4.2.8.2, 7.4.2. The library alone would go on with a point that is not on the curve, or is of order eight."""
    reason = "bad_hello" if "octet" in case or "cut" in case else "handshake"
    assert_refused(front, PLACES[0], hello_with_share(*SHARES[case]), ILLEGAL, reason)


@pytest.mark.parametrize("version", (raw_tls.TLS11, raw_tls.TLS13 + 1, raw_tls.TLS13), ids=("TLSv1.1", "TLS 3.5", "TLSv1.3"))
def test_the_old_field_does_not_undo_what_the_extension_says(front, version):
    """RFC 8446 4.2.1. The library would speak TLS 1.2, or older, with a client that the gate has let in to TLS 1.3."""
    data = hello(version, raw_tls.GOOD_TLS13 + raw_tls.GOOD_TLS12, b"", b"\0", [
        raw_tls.groups(raw_tls.X25519), raw_tls.signatures(0x0403, 0x0804), raw_tls.versions(raw_tls.TLS13, raw_tls.TLS12),
        raw_tls.key_shares((raw_tls.X25519, raw_tls.BASE_POINT))])
    assert_refused(front, PLACES[0], record(data), raw_tls.PROTOCOL_VERSION, "tls_version")


WITHOUT_A_WORD = {
    "a cookie for nothing": extension(44, vector(b"x", 2)),
    "post_handshake_auth with a body": extension(49, b"x"),
}


@pytest.mark.parametrize("case", WITHOUT_A_WORD)
def test_a_hello_that_the_library_does_not_like_gets_an_alert(front, case):
    """RFC 8446 6.2. The library alone would go away without a word."""
    assert_refused(front, PLACES[0], record(hello13(WITHOUT_A_WORD[case])), ILLEGAL, "handshake")


@pytest.mark.parametrize("without", ("groups", "signatures", "shares"))
def test_a_hello_of_tls_1_3_lacks_nothing(front, without):
    """RFC 8446 9.2."""
    parts = {"groups": raw_tls.groups(raw_tls.X25519), "signatures": raw_tls.signatures(0x0403),
             "shares": raw_tls.key_shares((raw_tls.X25519, raw_tls.BASE_POINT))}
    del parts[without]
    data = hello(suites=raw_tls.GOOD_TLS13, extensions=[*parts.values(), raw_tls.versions(raw_tls.TLS13)])
    reason = "no_common_signature" if without == "signatures" else "no_common_group"
    assert_refused(front, PLACES[0], record(data), raw_tls.MISSING_EXTENSION, reason)


@pytest.mark.parametrize("group, key", [(raw_tls.X25519, raw_tls.BASE_POINT), (raw_tls.P256, raw_tls.P256_BASE_POINT)],
                         ids=("X25519", "P-256"))
def test_a_good_share_is_answered(front, group, key):
    found, reason = answered(front, PLACES[0], hello_with_share(group, key), stay=True)
    assert is_hello(found) and reason == "handshake_aborted"


@pytest.mark.parametrize("group, point, reasons", [
    (raw_tls.P256, NOT_ON_THE_CURVE, NOT_OURS), (raw_tls.P256, raw_tls.P256_BASE_POINT, {"handshake_aborted"}),
    (raw_tls.X25519, ORDER_EIGHT[0], NOT_OURS), (raw_tls.X25519, ORDER_EIGHT[1], NOT_OURS),
    (raw_tls.X25519, raw_tls.BASE_POINT, {"handshake_aborted"}),
], ids=("P-256, not on the curve", "P-256", "X25519, of order eight", "X25519, the other of order eight", "X25519"))
def test_a_point_of_tls_1_2_is_checked(front, group, point, reasons):
    named = dict.fromkeys((group, raw_tls.P256))    # that of the certificate too
    first = record(hello(extensions=[raw_tls.groups(*named), raw_tls.signatures(0x0403)]))
    found, reason = answered(front, PLACES[0], first + out_of_place(raw_tls.HANDSHAKE, message(16, vector(point, 1))),
                             stay="handshake_aborted" in reasons)
    assert is_hello(found) and reason in reasons


@pytest.mark.parametrize("size", (1, 2, 3, 5, 40, 300))
@pytest.mark.parametrize("data", (hello(), hello13()), ids=("TLSv1.2", "TLSv1.3"))
def test_a_hello_in_fragments_is_answered(front, data, size):
    """wolfSSL alone would take a message only when its own header comes in one piece."""
    found, reason = answered(front, PLACES[0], records(data, size), stay=True)
    assert is_hello(found) and reason == "handshake_aborted"


@pytest.mark.parametrize("data", [
    record(hello(), version=0x0301), record(hello(), version=0x0309), record(hello(0x0309)),
    with_extension(0x0a0a, b"\0"), with_extension(0x00ff), with_extension(raw_tls.HEARTBEATS, b"\1"),
    record(hello(suites=(0x0a0a, 0xc02b, 0xc02f, 0xffff))), record(hello13(extension(0xfafa), suites=(0x1301, 0x5a5a)))],
    ids=("records of 1.0", "records of 3.9", "TLS 3.9", "GREASE", "an extension of no kind", "heartbeats", "odd suites", "GREASE, 1.3"))
def test_what_is_strange_but_allowed_is_answered(front, data):
    found, reason = answered(front, PLACES[0], data, stay=True)
    assert is_hello(found) and reason == "handshake_aborted"
    assert b"\0\x0f\0\1" not in found[0][1], "heartbeats agreed on"


# ---- in the middle of a handshake

def out_of_place(kind, content, count=1):
    return record(content, kind, raw_tls.TLS12) * count


KEY_EXCHANGE = message(16, vector(raw_tls.BASE_POINT, 1))
BEHIND = {
    "a second hello": out_of_place(raw_tls.HANDSHAKE, hello()),
    "Finished": out_of_place(raw_tls.HANDSHAKE, message(20, b"f" * 12)),
    "KeyUpdate": out_of_place(raw_tls.HANDSHAKE, message(24, b"\1")),
    "application data": out_of_place(raw_tls.APPLICATION_DATA, b"x" * 60),
    "short application data": out_of_place(raw_tls.APPLICATION_DATA, b"x" * 5),
    "empty application data": out_of_place(raw_tls.APPLICATION_DATA, b""),
    "a heartbeat": out_of_place(raw_tls.HEARTBEAT, b"\1\x40\0" + b"x" * 16),
    "an empty key exchange": out_of_place(raw_tls.HANDSHAKE, message(16)),
    "a key exchange cut short": out_of_place(raw_tls.HANDSHAKE, message(16, b"\x21" + b"k" * 32)),
    "a key of order one": out_of_place(raw_tls.HANDSHAKE, message(16, vector(bytes(32), 1))),
    "a key of order eight": out_of_place(raw_tls.HANDSHAKE, message(16, vector(ORDER_EIGHT[0], 1))),
    "ChangeCipherSpec of two octets": out_of_place(raw_tls.CHANGE_CIPHER_SPEC, b"\1\1"),
    "a Finished that does not decrypt": out_of_place(raw_tls.HANDSHAKE, KEY_EXCHANGE) + out_of_place(
        raw_tls.CHANGE_CIPHER_SPEC, b"\1") + out_of_place(raw_tls.HANDSHAKE, b"f" * 40),
    "an oversize record": b"\x17\3\3\x45\1" + b"x" * 0x4501,
    "a storm of ChangeCipherSpec": out_of_place(raw_tls.CHANGE_CIPHER_SPEC, b"\1", 20000),
    "a storm of empty records": out_of_place(raw_tls.HANDSHAKE, b"", 20000),
    "a flood of warnings": out_of_place(raw_tls.ALERT, b"\1\x5a", 20000),
    "a storm of KeyUpdate": out_of_place(raw_tls.HANDSHAKE, message(24, b"\1"), 20000),
}


@pytest.mark.parametrize("first", (hello(), hello13()), ids=("TLSv1.2", "TLSv1.3"))
@pytest.mark.parametrize("case", BEHIND)
def test_what_does_not_belong_behind_a_hello_ends_the_handshake(front, case, first):
    found, reason = answered(front, PLACES[0], record(first) + BEHIND[case])
    assert is_hello(found) and reason in NOT_OURS


# ---- within a session, with good keys

@pytest.fixture
def sealed(front, authority, tmp_path):
    """sealed(logged_in): a Wire, and the records that can be written on it."""
    wires = []

    def start(logged_in):
        path = tmp_path / "secrets"
        wire = clients.reach(front.port("imap", "implicit"), "imap", "implicit", sealed_tls.context_with_log(authority, path))
        wires.append(wire)
        if logged_in:
            assert wire.imap("l LOGIN a b").startswith("l OK")
        return wire, sealed_tls.Sealed(wire, path, sent=int(logged_in))

    yield start
    for wire in wires:
        wire.close()


def handshake(kind, body=b""):
    return lambda seal: seal.record(message(kind, body), raw_tls.HANDSHAKE)


def clear(data):
    return lambda seal: data


NOOP = b"a NOOP\r\n"
ENDS = {
    "KeyUpdate of value 2": lambda seal: seal.key_update(b"\2"),
    "KeyUpdate without a value": lambda seal: seal.key_update(b""),
    "KeyUpdate of two octets": lambda seal: seal.key_update(b"\0\0"),
    "KeyUpdate twice in a record": lambda seal: seal.key_update(data=message(24, b"\0") * 2),
    "another record within KeyUpdate": lambda seal: seal.record(b"\x18\0", raw_tls.HANDSHAKE) + seal.record(NOOP),
    "a record of zeros": lambda seal: seal.record(b"", inner=bytes(100)),
    "a record of nothing": lambda seal: seal.record(b"", inner=b""),
    "a content of 16,385": lambda seal: seal.record(b"x" * 16385),
    "a record of 16,717": lambda seal: seal.record(b"x" * 16700),
    "a wrong tag": lambda seal: seal.record(NOOP)[:-1] + b"x",
    "a record shorter than a tag": clear(record(b"x" * 5, raw_tls.APPLICATION_DATA, raw_tls.TLS12)),
    "an empty record": clear(record(b"", raw_tls.APPLICATION_DATA, raw_tls.TLS12)),
    "a record in clear": clear(record(NOOP * 5, raw_tls.APPLICATION_DATA, raw_tls.TLS12)),
    "an alert in clear": clear(raw_tls.alert(raw_tls.WARNING, raw_tls.USER_CANCELED, raw_tls.TLS12)),
    "ChangeCipherSpec in clear": clear(record(b"\1", raw_tls.CHANGE_CIPHER_SPEC, raw_tls.TLS12)),
    "a hello in clear": clear(record(hello13())),
    "a heartbeat in clear": clear(record(b"\1\x40\0", raw_tls.HEARTBEAT, raw_tls.TLS12)),
    "a hello": lambda seal: seal.record(hello13(), raw_tls.HANDSHAKE),
    "HelloRequest": handshake(0),
    "NewSessionTicket": handshake(4, b"t" * 50),
    "EndOfEarlyData": handshake(5),
    "CertificateRequest": handshake(13, b"\0\0\0"),
    "Certificate": handshake(11, b"\0\0\0\0"),
    "Finished": handshake(20, b"f" * 32),
    "a message that does not exist": handshake(99, b"x"),
    "a message of 16 MiB": lambda seal: seal.record(b"\x18\xff\xff\xff", raw_tls.HANDSHAKE) + b"".join(
        seal.record(b"x" * 16000, raw_tls.HANDSHAKE) for _ in range(20)),
    "an empty message": lambda seal: seal.record(b"", raw_tls.HANDSHAKE),
    "ChangeCipherSpec": lambda seal: seal.record(b"\1", raw_tls.CHANGE_CIPHER_SPEC),
    "a heartbeat": lambda seal: seal.record(b"\1\x40\0", raw_tls.HEARTBEAT),
    "a content of no kind": lambda seal: seal.record(b"x", 99),
    "half an alert": lambda seal: seal.record(b"\1", raw_tls.ALERT),
    "an empty alert": lambda seal: seal.record(b"", raw_tls.ALERT),
    "two alerts in one": lambda seal: seal.record(b"\1\x5a\1\x5a", raw_tls.ALERT),
    "a fatal alert": lambda seal: seal.record(b"\2\x28", raw_tls.ALERT),
    "a flood of warnings": lambda seal: b"".join(seal.record(b"\1\x5a", raw_tls.ALERT) for _ in range(2000)),
}


@pytest.mark.parametrize("logged_in", (False, True), ids=("before login", "after login"))
@pytest.mark.parametrize("case", ENDS)
def test_what_does_not_belong_in_a_session_ends_it(front, sealed, case, logged_in):
    wire, seal = sealed(logged_in)
    client = wire.address
    seal.send(ENDS[case](seal) + seal.record(b"n NOOP\r\n"))
    assert "n OK" not in wire.rest() and wire.ending != "close_notify"
    wire.close()
    assert front.wait_event("session_end", client=client)["reason"] in {"tls_record", "client_reset"}


def test_a_record_sent_twice_is_taken_once(front, sealed):
    wire, seal = sealed(True)
    client = wire.address
    seal.send(seal.record(NOOP) * 2 + seal.record(b"n NOOP\r\n"))
    assert "n OK" not in wire.rest()
    wire.close()
    assert front.wait_event("session_end", client=client)["reason"] in {"tls_record", "client_reset"}


GOES_ON = {
    "nothing": lambda seal: b"",
    "a KeyUpdate": lambda seal: seal.key_update(),
    "an empty content": lambda seal: seal.record(b""),
    "a padded one": lambda seal: seal.record(NOOP, padding=1000),
    "a command octet by octet": lambda seal: b"".join(seal.record(bytes([octet])) for octet in NOOP * 20),
    "a warning": lambda seal: seal.record(b"\1\x5a", raw_tls.ALERT),
}


@pytest.mark.parametrize("logged_in", (False, True), ids=("before login", "after login"))
@pytest.mark.parametrize("case", GOES_ON)
def test_what_is_strange_but_allowed_in_a_session_goes_on(sealed, case, logged_in):
    wire, seal = sealed(logged_in)
    seal.send(GOES_ON[case](seal) + seal.record(b"n NOOP\r\n"))
    assert wire.imap(tag="n").split("\n")[-1].startswith("n OK")


# How often, and what; each is some megabytes or thousands of messages that the library has to work on.
STORMS = {
    "KeyUpdates": (4000, lambda seal: seal.key_update()),
    "KeyUpdates that ask for an answer": (4000, lambda seal: seal.key_update(b"\1")),
    "empty contents": (8000, lambda seal: seal.record(b"")),
    "padding": (600, lambda seal: seal.record(b"", padding=16000)),
}


@pytest.mark.parametrize("logged_in", (False, True), ids=("before login", "after login"))
@pytest.mark.parametrize("case", STORMS)
def test_a_storm_costs_no_memory_and_the_session_goes_on(front, sealed, case, logged_in):
    count, make = STORMS[case]
    worker, = front.children("worker")
    wire, seal = sealed(logged_in)
    before = resident_memory(worker)
    for _ in range(count // 200):
        seal.send(b"".join(make(seal) for _ in range(200)))
    seal.send(seal.record(b"n NOOP\r\n"))
    assert wire.imap(tag="n").split("\n")[-1].startswith("n OK")
    if not (os.environ.get("POSTERN_WRAPPER") or b"__asan_init" in pathlib.Path(program()).read_bytes()):
        assert resident_memory(worker) < before + GROWTH
