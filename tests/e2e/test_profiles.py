"""TLS profiles as clients and servers meet them: what each accepts, what each refuses, and with which alert."""
import ssl
import subprocess

import pytest

from conftest import USERS
from support import certificates, clients, liars
from support.postern import Backend, Listener

VERSIONS = {"1.1": ssl.TLSVersion.TLSv1_1, "1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
PROFILES = {"modern": ("1.2", "1.3"), "strict": ("1.3",), "nist": ("1.2", "1.3"), "ncsc": ("1.3",), "tes": ("1.1", "1.2", "1.3")}
GCM = ["ECDHE-%s-AES%s" % (kind, rest) for kind in ("ECDSA", "RSA") for rest in ("128-GCM-SHA256", "256-GCM-SHA384")]
CHACHA = ["ECDHE-%s-CHACHA20-POLY1305" % kind for kind in ("ECDSA", "RSA")]
CBC = ["ECDHE-%s-AES%s" % (kind, rest) for kind in ("ECDSA", "RSA") for rest in ("128-SHA", "256-SHA", "128-SHA256", "256-SHA384")]
NEVER = ["DHE-RSA-AES128-GCM-SHA256", "DHE-RSA-AES128-SHA", "AES128-GCM-SHA256", "AES128-SHA", "ECDHE-RSA-NULL-SHA", "ADH-AES128-SHA256",
         "AECDH-AES128-SHA"]
SUITES_12 = {"modern": GCM + CHACHA, "nist": GCM, "tes": GCM + CHACHA + CBC}
SUITES_13 = {"TLS_AES_128_GCM_SHA256": PROFILES, "TLS_AES_256_GCM_SHA384": PROFILES,
             "TLS_CHACHA20_POLY1305_SHA256": ("modern", "strict", "ncsc", "tes"), "TLS_AES_128_CCM_SHA256": ()}
GROUPS = {"X25519": ("modern", "strict", "ncsc", "tes"), "P-256": PROFILES, "P-384": ("nist", "ncsc", "tes"), "X448": ("ncsc",),
          "P-521": ()}
ALPN = {"strict": 'alpn = "strict";', "require": 'alpn = "require";', "compat": 'alpn = "compat";'}

VERSION_ALERT, NO_CIPHER_ALERT, NAME_ALERT, ALPN_ALERT = ("tlsv1 alert protocol version", "sslv3 alert handshake failure",
                                                          "tlsv1 unrecognized name", "tlsv1 alert no application protocol")

pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")


@pytest.fixture(scope="module")
def pair(authority, certificate, tmp_path_factory):
    """ECDSA and RSA side by side, so that no suite is refused for want of a certificate."""
    return [certificate, certificates.make_certificate(str(tmp_path_factory.mktemp("rsa")), authority, certificate.names, key="rsa")]


class Ports(dict):
    """Of one Postern, by profile, and by protocol with mode of ALPN."""

    def __init__(self, front, names):
        super().__init__(zip(names, (port for _, port in front.addresses)))
        self.front = front


@pytest.fixture(scope="module")
def ports(launch, fakes, pair):
    names = list(PROFILES) + [(protocol, mode) for protocol in fakes for mode in ALPN if (protocol, mode) != ("submission", "require")]
    own = 'certificates = ( { chain = "%s"; key = "%s"; } );' % (pair[0].chain, pair[0].key)    # its RSA keys have 3072 bits
    listeners = [Listener("imap", "implicit", extra='profile = "%s"; %s' % (name, own if name == "ncsc" else "")) if isinstance(name, str)
                 else Listener(name[0], "implicit", extra=ALPN[name[1]]) for name in names]
    return Ports(launch(certificate=pair, listeners=listeners, **fakes), names)


def client_context(version=None, ciphers="ALL:@SECLEVEL=0", alpn=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version, context.maximum_version = (VERSIONS[version],) * 2 if version else (VERSIONS["1.1"], VERSIONS["1.3"])
    context.set_ciphers(ciphers)
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


def shake(port, context, name="localhost", front=None):
    """(version, suite, ALPN) that came out; or the alert that did, and with a front the reason in its log."""
    raw = clients.Wire(port)
    client = raw.address
    try:
        with context.wrap_socket(raw.socket, server_hostname=name) as secure:
            return secure.version(), secure.cipher()[0], secure.selected_alpn_protocol()
    except ssl.SSLError as error:
        alert = str(error).partition("] ")[2].partition(" (")[0]
        return alert if front is None else (alert, front.wait_event("refused", client=client)["reason"])
    finally:
        raw.close()


def openssl(port, *options):
    """Whether they agreed, and what s_client said."""
    done = clients.openssl_client(port, "-brief", *options)
    assert "Ciphersuite: " in done.stdout or "error" in done.stdout, done.stdout
    return "Ciphersuite: " in done.stdout, done.stdout


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("version", VERSIONS)
def test_versions(ports, profile, version):
    out = shake(ports[profile], client_context(version), front=ports.front)
    if version in PROFILES[profile]:
        assert out[0] == "TLSv" + version
    else:
        assert out == (VERSION_ALERT, "tls_version")


@pytest.mark.parametrize("profile", SUITES_12)
def test_suites_of_tls_1_2(ports, profile):
    for suite in GCM + CHACHA + CBC + NEVER:
        out = shake(ports[profile], client_context("1.2", suite + ":@SECLEVEL=0"))
        if suite in SUITES_12[profile]:
            assert out[1] == suite
        else:
            assert out == NO_CIPHER_ALERT, suite


@pytest.mark.parametrize("suite", SUITES_13)
def test_suites_of_tls_1_3(ports, suite):
    for profile in PROFILES:
        agreed, text = openssl(ports[profile], "-tls1_3", "-ciphersuites", suite)
        assert agreed == (profile in SUITES_13[suite]), text


@pytest.mark.parametrize("group", GROUPS)
def test_groups(ports, group):
    for profile, versions in PROFILES.items():
        for version in {"1.2", "1.3"} & set(versions):
            agreed, text = openssl(ports[profile], "-tls1_" + version[-1], "-groups", group)
            assert agreed == (profile in GROUPS[group]), (profile, version, group, text)


def test_nist_agrees_with_a_client_that_would_rather_have_x25519(ports):
    """In TLS 1.2 the server chooses, and may not take what the client likes best."""
    for version in ("-tls1_2", "-tls1_3"):
        agreed, text = openssl(ports["nist"], version, "-groups", "X25519:P-256")
        assert agreed and ("prime256v1" in text or "P-256" in text), text


@pytest.mark.parametrize("profile, refused", [("modern", False), ("strict", True)])
def test_unknown_names(ports, profile, refused):
    out = shake(ports[profile], client_context(), "unknown.example.test", ports.front)
    assert out == (NAME_ALERT, "sni") if refused else out[0] == "TLSv1.3"
    assert openssl(ports[profile], "-noservername")[0]


def test_a_client_that_fell_back_is_told_so(ports):
    agreed, text = openssl(ports["modern"], "-tls1_2", "-fallback_scsv")
    assert not agreed and "inappropriate fallback" in text
    assert openssl(ports["modern"], "-fallback_scsv")[0]


def test_a_login_by_tls_1_1(ports):
    context = client_context("1.1")
    for ciphers in ("ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0", "ECDHE-RSA-AES256-SHA:@SECLEVEL=0"):
        context.set_ciphers(ciphers)
        raw = clients.Wire(ports["tes"])
        with context.wrap_socket(raw.socket, server_hostname="localhost") as secure:
            client = "%s:%d" % secure.getsockname()[:2]
            secure.sendall(b"a LOGIN alice " + USERS["alice"].encode() + b"\r\nb LOGOUT\r\n")
            heard = b""
            while b"b OK" not in heard:
                block = secure.recv(4096)
                assert block, heard
                heard += block
        assert ports.front.wait_event("session_end", client=client)["tls"] == "TLSv1.1"


# ---- ALPN

def test_alpn(ports):
    ours = {"imap": ["imap"], "pop3": ["pop3"]}
    foreign = (["h2", "http/1.1"], ["ftp"], ["xmpp-client"])
    for (protocol, mode), port in ((key, port) for key, port in ports.items() if isinstance(key, tuple)):
        own = ours.get(protocol)
        for names, accepted in [(None, mode != "require"), (["x-mail"], mode == "compat"), (["imap" if protocol != "imap" else "pop3"], False),
                                (["x-mail", "http/1.1"], False)] + [(one, False) for one in foreign]:
            out = shake(port, client_context(alpn=names), front=ports.front)
            assert out[2] is None if accepted else out == (ALPN_ALERT, "alpn"), (protocol, mode, names, out)
        if own:
            assert shake(port, client_context(alpn=["h2"] + own))[2] == own[0]
            assert shake(port, client_context("1.2", alpn=own))[2] == own[0]


# ---- what is said at the start

def test_what_a_standard_forbids_is_said_at_every_start(launch_once, fakes):
    front = launch_once(listeners=[Listener("imap", "implicit", extra='profile = "tes";')],
                        imap=Backend("imap", fakes["imap"], tls="starttls", extra='verify = "none"; profile = "legacy";'))
    text = front.log()
    assert 'warning: profile = "tes" accepts TLS 1.1, which RFC 8996 forbids' in text, text
    assert 'warning: profile = "legacy" goes as low as TLS 1.1' in text, text


# ---- towards backends

def server_context(pem=None, version=None, ciphers=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if version:
        context.minimum_version = context.maximum_version = VERSIONS[version]
    context.set_ciphers((ciphers or "ALL") + ":@SECLEVEL=0")
    if pem:
        context.load_cert_chain(pem.chain, pem.key)
    return context


def log_in(launch_once, authority, store_context, profile):
    """What the client hears, and what the store has got."""
    with liars.Fake(liars.ImapStore(None), implicit=True) as fake:
        fake.context = store_context
        front = launch_once(limits={"failure_delay_ms": 10, "failure_delay_max_ms": 20},
                            imap=Backend("imap", fake.port, tls="implicit", extra='ca = "%s"; profile = "%s";'
                                         % (authority.certificate, profile)))
        trust = clients.tls_context(authority.certificate)
        with clients.reach(front.port("imap", "implicit"), "imap", "implicit", trust) as wire:
            return clients.log_in(wire, "imap", "alice", USERS["alice"]), fake.received()


@pytest.fixture(scope="module")
def small(authority, tmp_path_factory):
    return certificates.make_certificate(str(tmp_path_factory.mktemp("small")), authority, ("localhost", "127.0.0.1"), key="rsa-1024")


@pytest.mark.parametrize("profile", ("compatible", "legacy"))
def test_a_store_without_a_certificate_gets_no_password(launch_once, authority, tmp_path, profile):
    """Suites without authentication (aNULL): nobody would know whom the password goes to."""
    numbers = str(tmp_path / "dh.pem")
    subprocess.run(["openssl", "genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048", "-out", numbers],
                   check=True, capture_output=True)
    context = server_context(None, "1.2", "aNULL")
    context.load_dh_params(numbers)
    answer, received = log_in(launch_once, authority, context, profile)
    assert answer.startswith(clients.TEMPORARY["imap"]), answer
    assert USERS["alice"].encode() not in received


@pytest.mark.parametrize("profile, version, key, accepted", [
    ("modern", "1.3", "ec", True), ("strict", "1.2", "ec", False), ("modern", "1.2", "rsa-1024", False), ("compatible", "1.2", "rsa-1024", True),
    ("compatible", "1.1", "ec", False), ("legacy", "1.1", "rsa-1024", True)])
def test_stores(launch_once, authority, certificate, small, profile, version, key, accepted):
    pem = small if key == "rsa-1024" else certificate
    answer, received = log_in(launch_once, authority, server_context(pem, version), profile)
    assert answer.startswith(clients.ACCEPTED["imap"] if accepted else clients.TEMPORARY["imap"]), answer
    assert (USERS["alice"].encode() in received) == accepted


@pytest.mark.parametrize("ciphers, profile, accepted", [
    ("ECDHE-ECDSA-AES128-SHA", "modern", False), ("ECDHE-ECDSA-AES128-SHA", "compatible", True)])
def test_suites_of_stores(launch_once, authority, certificate, ciphers, profile, accepted):
    answer, _ = log_in(launch_once, authority, server_context(certificate, "1.2", ciphers), profile)
    assert answer.startswith(clients.ACCEPTED["imap"] if accepted else clients.TEMPORARY["imap"]), answer
