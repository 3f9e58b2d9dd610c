"""TLS as clients meet it: versions, suites, groups, renegotiation, close_notify, and hellos that are none."""
import subprocess
import threading

import pytest

from conftest import MODES, PROTOCOLS, USERS
from support import certificates, clients


@pytest.fixture(scope="module")
def front(launch, fakes):
    return launch(**fakes)


@pytest.fixture(scope="module")
def with_rsa(launch, fakes, authority, tmp_path_factory):
    """A certificate with an RSA key: only so does a refusal of RSA suites prove anything."""
    pair = certificates.make_certificate(str(tmp_path_factory.mktemp("rsa")), authority, ("localhost", "127.0.0.1"), key="rsa")
    return launch(certificate=pair, imap=fakes["imap"])


def hello(version, suites=(0xc02b, 0xc02f, 0xc02c, 0xc030, 0xc009, 0xc013, 0x002f, 0x0035, 0x000a)):
    """A ClientHello of an old client by hand, in a TLS 1.0 record; without supported_versions."""
    groups = b"\x00\x0a\x00\x04\x00\x02\x00\x17" b"\x00\x0b\x00\x02\x01\x00"
    signatures = b"\x00\x0d\x00\x06\x00\x04\x04\x03\x08\x04"
    extensions = groups + signatures + b"\xff\x01\x00\x01\x00"
    listed = b"".join(suite.to_bytes(2, "big") for suite in suites)
    body = (version.to_bytes(2, "big") + b"r" * 32 + b"\x00" + len(listed).to_bytes(2, "big") + listed + b"\x01\x00"
            + len(extensions).to_bytes(2, "big") + extensions)
    shake = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(shake).to_bytes(2, "big") + shake


def test_the_hand_made_hello_is_a_good_one(front):
    """Else the refusals below would prove nothing."""
    for mode in MODES:
        with clients.before_tls(front.port("imap", mode), "imap", mode) as wire:
            wire.send(hello(0x0303))
            assert wire.exactly(6)[5] == 2, "no ServerHello"


@pytest.mark.parametrize("version", (0x0302, 0x0301, 0x0300))
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("mode", MODES)
def test_versions_before_tls_1_2_are_refused(front, protocol, mode, version):
    with clients.before_tls(front.port(protocol, mode), protocol, mode) as wire:
        client = wire.address
        wire.send(hello(version))
        answer = wire.rest().encode("latin-1")
        assert answer[:1] == b"\x15" and answer[5:7] == b"\x02\x46", "no fatal protocol_version: %r" % answer
    assert front.wait_event("refused", client=client)["reason"] == "tls_version"


def test_a_hello_octet_by_octet_is_answered(front):
    with clients.before_tls(front.port("imap", "implicit"), "imap", "implicit") as wire:
        for octet in hello(0x0303):
            wire.send(bytes([octet]))
        assert wire.exactly(6)[5] == 2


def test_no_common_suite_is_logged_as_such(front):
    with clients.before_tls(front.port("imap", "implicit"), "imap", "implicit") as wire:
        client = wire.address
        wire.send(hello(0x0303, suites=(0x002f, 0x0035)))
        answer = wire.rest().encode("latin-1")
        assert answer[:1] == b"\x15" and answer[5:7] == b"\x02\x28", answer
    assert front.wait_event("refused", client=client)["reason"] == "no_common_cipher"


@pytest.mark.parametrize("garbage", [b"\0" * 4000, b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"x" * 70000,
                                     b"\x80\x2e\x01\x03\x01" + b"x" * 50, b"\x16\x03\x03\x00\x00" * 50, b"\x17\x03\x03\x00\x10" + b"x" * 16],
                         ids=lambda data: repr(data[:8]))
def test_garbage_for_a_hello_ends_the_session_and_harms_nobody(front, context, garbage):
    before = front.children("worker")
    with clients.before_tls(front.port("imap", "implicit"), "imap", "implicit") as wire:
        client = wire.address
        wire.try_send(garbage)
        wire.half_close()
        wire.rest()
    front.wait_event("session_end", client=client)
    with clients.enter(front.port("imap", "implicit"), "imap", "implicit", context, "a", "b"):
        assert front.children("worker") == before


# ---- suites and groups, with the openssl command line at its most permissive

def negotiated(port, *options):
    """The suite that came out, None when there was none."""
    done = clients.openssl_client(port, *options, "-brief")
    for line in done.stdout.splitlines():
        if line.startswith("Ciphersuite: "):
            return line.split(": ")[1]
    assert "error" in done.stdout, "neither agreement nor failure:\n" + done.stdout
    return None


REFUSED_ECDSA = ["ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA", "ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA384",
                 "ECDHE-ECDSA-AES128-CCM8", "AECDH-AES128-SHA", "AECDH-NULL-SHA", "ECDHE-ECDSA-NULL-SHA"]
REFUSED_RSA = ["AES128-SHA", "AES256-SHA", "AES128-SHA256", "AES256-SHA256", "AES128-GCM-SHA256", "AES256-GCM-SHA384",
               "DHE-RSA-AES128-SHA", "DHE-RSA-AES128-GCM-SHA256", "DHE-RSA-AES256-GCM-SHA384", "DHE-RSA-CHACHA20-POLY1305",
               "ECDHE-RSA-AES128-SHA", "ECDHE-RSA-AES256-SHA384", "ADH-AES128-GCM-SHA256", "NULL-SHA256", "CAMELLIA128-SHA"]


@pytest.mark.parametrize("suite", REFUSED_ECDSA)
def test_suites_that_must_not_be_agreed_on(front, suite):
    assert negotiated(front.port("imap", "implicit"), "-tls1_2", "-cipher", suite + "@SECLEVEL=0") is None


@pytest.mark.parametrize("suite", REFUSED_RSA)
def test_suites_that_must_not_be_agreed_on_with_an_rsa_key(with_rsa, suite):
    assert negotiated(with_rsa.port("imap", "implicit"), "-tls1_2", "-cipher", suite + "@SECLEVEL=0") is None


@pytest.mark.parametrize("suite", ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"])
def test_suites_that_are_agreed_on(front, suite):
    assert negotiated(front.port("imap", "implicit"), "-tls1_2", "-cipher", suite) == suite


@pytest.mark.parametrize("suite", ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"])
def test_suites_that_are_agreed_on_with_an_rsa_key(with_rsa, suite):
    assert negotiated(with_rsa.port("imap", "implicit"), "-tls1_2", "-cipher", suite) == suite


@pytest.mark.parametrize("suite", ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"])
def test_suites_of_tls_1_3(front, with_rsa, suite):
    for one in (front, with_rsa):
        assert negotiated(one.port("imap", "implicit"), "-tls1_3", "-ciphersuites", suite) == suite


def test_the_choice_among_suites_is_ours(front):
    pair = ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"]
    chosen = {negotiated(front.port("imap", "implicit"), "-tls1_2", "-cipher", ":".join(order)) for order in (pair, pair[::-1])}
    assert len(chosen) == 1, chosen


@pytest.mark.parametrize("group, agreed", [("X25519", True), ("P-256", True), ("P-384", False), ("P-521", False), ("X448", False)])
@pytest.mark.parametrize("version", ("-tls1_2", "-tls1_3"))
def test_groups(with_rsa, version, group, agreed):
    """With an RSA key, so that in TLS 1.2 the group is that of the key exchange and nothing else."""
    assert (negotiated(with_rsa.port("imap", "implicit"), version, "-groups", group) is not None) == agreed


def test_x25519_is_preferred_and_logged(front, context):
    with clients.enter(front.port("imap", "implicit"), "imap", "implicit", context, "a", "b") as wire:
        client = wire.address
        wire.imap("z LOGOUT")
    assert front.wait_event("session_end", client=client)["group"].upper() == "X25519"


# ---- within a session

@pytest.mark.parametrize("version", ("-tls1_2", "-tls1_3"))
def test_a_client_is_not_asked_for_a_certificate_and_compression_is_off(front, version):
    text = clients.openssl_client(front.port("imap", "implicit"), version, "-msg").stdout
    assert "ServerHello" in text and "CertificateRequest" not in text
    assert "Compression: NONE" in text
    if version == "-tls1_2":
        assert "Secure Renegotiation IS supported" in text and "Extended master secret: yes" in text


def test_renegotiation_is_refused(front):
    process = subprocess.Popen(["openssl", "s_client", "-connect", "127.0.0.1:%d" % front.port("imap", "implicit"), "-tls1_2", "-msg"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    seen = []
    asked, ended = threading.Event(), threading.Event()

    def read():
        for line in process.stdout:
            seen.append(line)
            if "RENEGOTIATING" in line:
                asked.set()
            if "no_renegotiation" in line or "no renegotiation" in line or "closed" in line:
                ended.set()
        ended.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        process.stdin.write("R\n")
        process.stdin.flush()
        assert asked.wait(20), "".join(seen)
        assert ended.wait(20), "neither an alert nor an end:\n" + "".join(seen)
        assert sum("ServerHello" in line and "Done" not in line for line in seen) == 1, "".join(seen)
    finally:
        process.kill()
        process.wait()
        reader.join(5)
        process.stdin.close()
        process.stdout.close()


@pytest.mark.parametrize("protocol, line", [("submission", "QUIT"), ("imap", "a LOGOUT"), ("pop3", "QUIT")])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("old", (False, True), ids=("TLSv1.3", "TLSv1.2"))
def test_close_notify_comes_after_goodbye(front, context, old_context, protocol, line, mode, old):
    trust = old_context if old else context
    with clients.reach(front.port(protocol, mode), protocol, mode, trust) as wire:
        wire.reply(protocol, line)
        wire.rest()
        assert wire.ending == "close_notify"


@pytest.mark.parametrize("protocol, line", [("submission", "QUIT"), ("imap", "a LOGOUT"), ("pop3", "QUIT")])
def test_close_notify_comes_after_the_goodbye_of_the_store(real, context, protocol, line):
    with clients.enter(real.port(protocol, "implicit"), protocol, "implicit", context, "alice", USERS["alice"]) as wire:
        assert wire.reply(protocol, line).split("\n")[-1].startswith(("221", "a OK", "+OK"))
        assert wire.rest() == "" and wire.ending == "close_notify"


def test_a_close_notify_of_the_client_ends_the_session_in_order(front, context):
    with clients.enter(front.port("imap", "implicit"), "imap", "implicit", context, "a", "b") as wire:
        client = wire.address
        wire.socket.unwrap()    # sends ours and awaits theirs; raises when theirs does not come
    assert front.wait_event("session_end", client=client)["reason"] == "client_closed"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("logged_in", (False, True), ids=("before login", "after login"))
def test_an_end_without_close_notify_is_told_apart(front, context, protocol, logged_in):
    more = ("a", "b") if logged_in else ()
    with (clients.enter if logged_in else clients.reach)(front.port(protocol, "implicit"), protocol, "implicit", context,
                                                         *more) as wire:
        client = wire.address
        wire.half_close()
        wire.rest()
    assert front.wait_event("session_end", client=client)["reason"] == "client_truncated"


@pytest.mark.parametrize("first, reason", [
    (b"EHLO client.example.test\r\n", "plaintext"),
    (b"\x15\x03\x01\x00\x02\x02\x28", "alert_received"),    # a client that could not even say hello
    (b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10", "tls_version"),    # SSLv2
])
def test_the_log_tells_what_came_in_place_of_a_hello(front, first, reason):
    with clients.Wire(front.port("submission", "implicit")) as wire:
        client = wire.address
        wire.send(first)
        wire.rest()
    assert front.wait_event("refused", client=client)["reason"] == reason
