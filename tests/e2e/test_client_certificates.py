"""Client certificates: who is asked for one, which are good, and what a good one is good for: EXTERNAL at real stores, with no
password anywhere."""
import os
import ssl
import subprocess

import pytest

from conftest import MASTER, MODES, PROTOCOLS
from support import certificates, clients, stores
from support.postern import Backend, Configuration, Listener, Postern, all_listeners, check, command

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
PASSWORD = "Geheim-des-Nutzers-3"
ALICE = "alice@Example.Test"
LIMITS = "drain_timeout = 2; failure_delay_ms = 10; failure_delay_max_ms = 20;"


class Clients:
    """The operator's authority and certificates of all kinds that clients may come with."""

    def __init__(self, folder):
        self.folder = folder
        make = certificates.make_client_certificate
        self.ca = certificates.make_ca(folder, "The client CA")
        self.other = certificates.make_ca(folder, "A foreign CA")
        self.alice = make(folder, self.ca, (ALICE,))
        self.rsa = make(folder, self.ca, (ALICE,), key="rsa")
        self.below = certificates.make_intermediate(folder, self.ca)
        self.behind = make(folder, self.below, (ALICE,), chain=(self.below.certificate,))
        self.mapped = make(folder, self.ca, ("someone@example.test",), name="Mapped by digest")
        self.named = make(folder, self.ca, (), name="Mapped by name")
        self.nobody = make(folder, self.ca, (), name="Nobody")
        self.two = make(folder, self.ca, ("one@example.test", "two@example.test"))
        self.revoked = make(folder, self.ca, (ALICE,))
        self.bad = {
            "unknown_authority": make(folder, self.other, (ALICE,)),
            "expired": make(folder, self.ca, (ALICE,), days=-1),
            "purpose": make(folder, self.ca, (ALICE,), usage="serverAuth,emailProtection"),
            "weak": make(folder, self.ca, (ALICE,), key="rsa-1024"),
        }
        self.crl = certificates.make_crl(folder, self.ca, (self.revoked,))
        self.stale = certificates.make_crl(folder, self.ca, (), end="-1 day")

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def users(self):
        return self.write("users", "# who is who\n%s bob\nalice@example.test  alice\nCN=Mapped by name carol\n"
                                   "one@example.test dave\n" % certificates.fingerprint(self.mapped))


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return Clients(str(tmp_path_factory.mktemp("people")))


@pytest.fixture(scope="module")
def sasl(public):
    """Options of auth.sasl: a sasldb with alice's password."""
    return stores.sasldb(os.path.join(public, "users-with-certificates.db"), {"alice": PASSWORD})


@pytest.fixture(scope="module")
def master(tmp_path_factory):
    """The login of a pool as the master user."""
    secret = tmp_path_factory.mktemp("secret") / "master"
    secret.write_text(MASTER + "\n")
    secret.chmod(0o600)
    return 'login = "master"; master_user = "postern"; master_password_file = "%s";' % secret


def group(mode, people, users=True, **paths):
    paths = {"ca": people.ca.certificate, **({"users": people.users()} if users else {}), **paths}
    return 'client_certificates: { mode = "%s"; %s };' % (
        mode, " ".join('%s = "%s";' % pair for pair in paths.items()))


def configuration(certificate, backends, sasl, clients_group, listeners=None, mechanisms='"PLAIN", "EXTERNAL"'):
    listeners = listeners or [one for one in all_listeners() if one.protocol in [pool.protocol for pool in backends]]
    text = Configuration(certificate, backends, listeners=listeners, limits=LIMITS, workers=1,
                         auth='source = "sasl"; mechanisms = ( %s ); sasl: { %s };' % (mechanisms, sasl),
                         top='user = "nobody";' if stores.is_root() else "").text()
    return text.replace("tls: { ", "tls: { " + clients_group + " ", 1)


@pytest.fixture(scope="module")
def launch(tmp_path_factory, certificate, sasl, master):
    started = []

    def begin(clients_group, *backends, listeners=None, **settings):
        backends = backends or (Backend("imap", 1, login=master),)
        listeners = listeners or [one for one in all_listeners() if one.protocol in [pool.protocol for pool in backends]]
        front = Postern(str(tmp_path_factory.mktemp("postern")),
                        configuration(certificate, list(backends), sasl, clients_group, listeners, **settings), listeners)
        started.append(front)
        return front.start()
    yield begin
    for front in started:
        front.stop()


@pytest.fixture(scope="module")
def fronts(launch, people):
    """By mode: one before nothing but an address where nobody listens."""
    made = {}

    def front(mode, **settings):
        key = (mode, str(settings))
        if key not in made:
            made[key] = launch(group(mode, people, **settings))
        return made[key]
    return front


def context_of(authority, own=None, version=None):
    context = clients.tls_context(authority.certificate, version)
    if own is not None:
        context.load_cert_chain(own.chain, own.key)
    return context


def s_client(port, *arguments):
    """What `openssl s_client` says of a handshake and a LOGOUT behind it."""
    done = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % port, "-ign_eof", *arguments],
                          input=b"a LOGOUT\r\n", capture_output=True, timeout=30, check=False)
    return (done.stdout + done.stderr).decode("latin-1")


def capability(front, context, mode="implicit"):
    """(what IMAP shows inside TLS, and the end of that session in the log)"""
    with clients.reach(front.port("imap", mode), "imap", mode, context) as wire:
        shown = wire.imap("c CAPABILITY")
        own = wire.address
        wire.imap("z LOGOUT")
    return shown, front.wait_event("session_end", client=own)


def refusal(front, context):
    """The alert of a handshake that is refused, the reason in the log, and who was refused."""
    with clients.Wire(front.port("imap", "implicit")) as wire:
        client = wire.address
        with pytest.raises((ssl.SSLError, ConnectionResetError)) as caught:
            wire.start_tls(context)
            wire.socket.recv(1)
    return getattr(caught.value, "reason", "reset"), front.wait_event("refused", client=client)["reason"], client


# ---- who is asked


@pytest.mark.parametrize("version", ("-tls1_2", "-tls1_3"))
@pytest.mark.parametrize("mode, asked", (("off", False), ("optional", True), ("required", True)))
def test_only_who_is_told_to_asks_for_a_certificate(fronts, launch, people, mode, asked, version):
    if mode == "off":
        front = launch("", mechanisms='"PLAIN"')
    else:
        front = fronts(mode)
    said = s_client(front.port("imap", "implicit"), "-msg", version)
    assert ("CertificateRequest" in said) == asked, said
    assert "ServerHello" in said


def test_a_client_of_tls_1_2_is_told_whose_certificates_are_good(fronts):
    said = s_client(fronts("optional").port("imap", "implicit"), "-tls1_2")
    assert "Acceptable client certificate CA names\nCN = The client CA\n" in said


# ---- which are good


ALERTS = {"unknown_authority": "TLSV1_ALERT_UNKNOWN_CA", "expired": "SSLV3_ALERT_CERTIFICATE_EXPIRED",
          "purpose": "SSLV3_ALERT_BAD_CERTIFICATE", "weak": "SSLV3_ALERT_BAD_CERTIFICATE"}


@pytest.mark.parametrize("version", VERSIONS)
def test_without_a_certificate_a_required_one_is_missed(fronts, authority, version):
    alert, reason, _ = refusal(fronts("required"), context_of(authority, None, version))
    assert reason == "no_client_certificate"
    assert alert == ("TLSV13_ALERT_CERTIFICATE_REQUIRED" if version == ssl.TLSVersion.TLSv1_3 else "SSLV3_ALERT_HANDSHAKE_FAILURE")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("fault", ("unknown_authority", "expired", "purpose", "weak"))
def test_a_bad_certificate_is_refused_where_one_is_required_and_ignored_where_not(fronts, people, authority, fault, version):
    context = context_of(authority, people.bad[fault], version) if fault != "weak" else weak_context(authority, people, version)
    alert, reason, client = refusal(fronts("required"), context)
    assert (reason, alert) == ("client_certificate", ALERTS[fault])
    end = fronts("required").wait_event("session_end", client=client)
    assert (end["client_certificate"], end["certificate_fault"]) == ("unverified", fault)
    shown, end = capability(fronts("optional"), context)
    assert "AUTH=PLAIN" in shown and "EXTERNAL" not in shown
    assert (end["client_certificate"], end["certificate_fault"]) == ("unverified", fault)
    assert "certificate_name" not in end and "certificate_user" not in end


def weak_context(authority, people, version):
    context = clients.tls_context(authority.certificate, version)
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.load_cert_chain(people.bad["weak"].chain, people.bad["weak"].key)
    return context


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("mode", ("optional", "required"))
@pytest.mark.parametrize("kind", ("alice", "rsa", "behind"))
def test_a_good_certificate_offers_external(fronts, people, authority, kind, mode, version):
    for tls in MODES:
        shown, end = capability(fronts(mode), context_of(authority, getattr(people, kind), version), tls)
        assert "AUTH=PLAIN" in shown and "AUTH=EXTERNAL" in shown
        assert (end["client_certificate"], end["certificate_name"], end["certificate_user"]) == (
            "verified", "alice@example.test", "alice")
        assert "certificate_fault" not in end and end["resumed"] == "no"


@pytest.mark.parametrize("tls", MODES)
def test_without_a_certificate_external_is_not_listed_and_not_there(fronts, authority, tls):
    with clients.reach(fronts("optional").port("imap", tls), "imap", tls, context_of(authority)) as wire:
        assert "EXTERNAL" not in wire.imap("c CAPABILITY")
        assert wire.imap("a AUTHENTICATE EXTERNAL =").split("\n")[-1].startswith("a NO [CANNOT]")
        own = wire.address
        wire.imap("z LOGOUT")
    end = fronts("optional").wait_event("session_end", client=own)
    assert end["client_certificate"] == "none" and "certificate_fault" not in end


def test_the_holder_of_two_addresses_is_nobody_unless_the_file_says(fronts, people, authority):
    shown, end = capability(fronts("optional", users=False), context_of(authority, people.two))
    assert "EXTERNAL" not in shown
    assert (end["client_certificate"], end["certificate_name"]) == ("verified", "one@example.test")
    assert "certificate_user" not in end
    assert capability(fronts("optional"), context_of(authority, people.two))[1]["certificate_user"] == "dave"


@pytest.mark.parametrize("kind, user", (("mapped", "bob"), ("named", "carol"), ("alice", "alice"), ("nobody", None)))
def test_a_file_names_the_users(fronts, people, authority, kind, user):
    shown, end = capability(fronts("required"), context_of(authority, getattr(people, kind)))
    assert end.get("certificate_user") == user and ("EXTERNAL" in shown) == (user is not None)
    assert end["client_certificate"] == "verified"


def test_without_a_file_the_address_is_the_user(fronts, people, authority):
    assert capability(fronts("optional", users=False), context_of(authority, people.alice))[1]["certificate_user"] == "alice@example.test"


@pytest.mark.parametrize("version", VERSIONS)
def test_who_is_asked_gets_no_ticket(fronts, people, authority, version):
    for own in (people.alice, None):
        with clients.reach(fronts("optional").port("imap", "implicit"), "imap", "implicit", context_of(authority, own, version)) as wire:
            assert "BYE" in wire.imap("z LOGOUT")
            assert not wire.socket.session.has_ticket


# ---- revocation


@pytest.mark.parametrize("version", VERSIONS)
def test_a_revoked_certificate_is_refused(fronts, people, authority, version):
    front = fronts("required", crl=people.crl)
    assert refusal(front, context_of(authority, people.revoked, version))[1] == "client_certificate"
    assert "EXTERNAL" in capability(front, context_of(authority, people.alice, version))[0]
    assert "EXTERNAL" in capability(fronts("required"), context_of(authority, people.revoked, version))[0], "no list, no questions"
    assert capability(fronts("optional", crl=people.crl), context_of(authority, people.revoked, version))[1]["certificate_fault"] == "revoked"


def test_an_authority_without_a_list_is_not_trusted_where_there_are_lists(fronts, people, authority):
    front = fronts("optional", crl=people.crl)
    assert capability(front, context_of(authority, people.behind))[1]["certificate_fault"] == "revocation_unknown"
    with open(people.crl, encoding="ascii") as one, open(certificates.make_crl(people.folder, people.below), encoding="ascii") as other:
        both = people.write("both.pem", one.read() + other.read())
    assert "EXTERNAL" in capability(fronts("optional", crl=both), context_of(authority, people.behind))[0]


def test_a_list_that_is_out_of_date_lets_nobody_in(fronts, people, authority):
    front = fronts("optional", crl=people.stale)
    assert capability(front, context_of(authority, people.alice))[1]["certificate_fault"] == "revocation_unknown"
    status, said = check(front.path)
    assert status == 0 and "a revocation list is out of date" in said


# ---- logins


@pytest.fixture(scope="module")
def real(launch, people, master_dovecot, master_postfix, master):
    return launch(group("optional", people), Backend("imap", master_dovecot.imap_port, login=master),
                  Backend("pop3", master_dovecot.pop3_port, login=master),
                  Backend("submission", master_postfix.port, login='login = "xclient";'))


UNAUTHORIZED = {"submission": "535 5.7.8 ", "imap": "l NO [AUTHORIZATIONFAILED] ", "pop3": "-ERR [AUTH] "}


def offers(wire, protocol):
    return wire.reply(protocol, {"submission": "EHLO client.example.test", "imap": "c CAPABILITY", "pop3": "CAPA"}[protocol])


def external(wire, protocol, authzid=""):
    """The reply to EXTERNAL with that identity in the command."""
    command = {"submission": "AUTH", "imap": "l AUTHENTICATE", "pop3": "AUTH"}[protocol]
    return wire.reply(protocol, "%s EXTERNAL %s" % (command, clients.encoded(authzid) or "=")).split("\n")[-1]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_certificate_logs_in_at_the_real_stores(real, people, authority, protocol, mode, version):
    context = context_of(authority, people.alice, version)
    with clients.reach(real.port(protocol, mode), protocol, mode, context) as wire:
        own = wire.address
        assert "EXTERNAL" in offers(wire, protocol)
        assert external(wire, protocol).startswith(clients.ACCEPTED[protocol])
        if protocol == "submission":
            assert wire.smtp("MAIL FROM:<alice@example.test>").startswith("250")
            assert wire.smtp("RCPT TO:<bob@example.test>").startswith("250")
    end = real.wait_event("session_end", client=own)
    assert (end["user"], end["mechanism"], end["client_certificate"], end["certificate_user"]) == ("alice", "EXTERNAL", "verified", "alice")
    assert end["backend"].startswith("old-" + protocol)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nobody_is_let_in_as_another(real, people, authority, protocol):
    context = context_of(authority, people.alice)
    with clients.reach(real.port(protocol, "implicit"), protocol, "implicit", context) as wire:
        assert external(wire, protocol, "bob").startswith(UNAUTHORIZED[protocol])
        assert external(wire, protocol, "alice").startswith(clients.ACCEPTED[protocol])


@pytest.mark.parametrize("own", ("alice", "nobody", None))
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_password_is_as_good_as_before(real, people, authority, protocol, own):
    context = context_of(authority, getattr(people, own) if own else None)
    for password, answers in (("wrong", clients.REFUSED), (PASSWORD, clients.ACCEPTED)):
        with clients.reach(real.port(protocol, "implicit"), protocol, "implicit", context) as wire:
            assert clients.log_in(wire, protocol, "alice", password).startswith(answers[protocol])


def test_curl_logs_in_by_its_certificate(real, people, authority):
    done = subprocess.run(["curl", "-sS", "--cacert", authority.certificate, "--cert", people.alice.chain, "--key", people.alice.key,
                           "--login-options", "AUTH=EXTERNAL", "--user", "alice:",
                           "imaps://localhost:%d/" % real.port("imap", "implicit")], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0 and "INBOX" in done.stdout, done.stderr


# ---- the configuration


@pytest.mark.parametrize("text, mechanisms_list, complaint", [
    ('client_certificates: { mode = "required"; };', '"EXTERNAL"', '"ca" is missing'),
    ('client_certificates: { mode = "optional"; ca = "CA"; };', '"PLAIN"', 'add "EXTERNAL" to auth.mechanisms'),
    ("", '"PLAIN", "EXTERNAL"', "no listener asks for one"),
    ('client_certificates: { mode = "optional"; ca = "LEAF"; };', '"EXTERNAL"', "none at the top"),
    ('client_certificates: { mode = "optional"; ca = "KEY"; };', '"EXTERNAL"', "holds no certificate"),
    ('client_certificates: { mode = "optional"; ca = "CA"; crl = "CA"; };', '"EXTERNAL"', "holds no revocation list"),
    ('client_certificates: { mode = "optional"; ca = "CA"; users = "BAD"; };', '"EXTERNAL"', "/bad:2: error: this is no name"),
    ('client_certificates: { mode = "optional"; ca = "CA"; users = "/nonexistent/users"; };', '"EXTERNAL"', '"users": /nonexistent/users'),
    ('client_certificates: { mode = "optional"; ca = "CA"; identity = "san_uri"; };', '"EXTERNAL"', "not available in this version"),
])
def test_what_cannot_work_is_refused(tmp_path, certificate, people, sasl, master, text, mechanisms_list, complaint):
    for name, path in (("CA", people.ca.certificate), ("LEAF", people.alice.chain), ("KEY", people.alice.key),
                       ("BAD", people.write("bad", "# one\nalice@example.test al\x01ice\n"))):
        text = text.replace('"%s"' % name, '"%s"' % path)
    path = tmp_path / "postern.conf"
    path.write_text(configuration(certificate, [Backend("imap", 1, login=master)], sasl, text, mechanisms=mechanisms_list))
    status, said = check(path)
    assert status == 78 and complaint in said, said


def test_the_audit_says_who_is_asked(tmp_path, certificate, people, sasl, master):
    listeners = [Listener("imap", "implicit", extra='client_certificates: { mode = "required"; };'), Listener("imap", "starttls")]
    path = tmp_path / "postern.conf"
    path.write_text(configuration(certificate, [Backend("imap", 1, login=master)], sasl, group("off", people, crl=people.crl), listeners))
    done = subprocess.run(command("-c", str(path), "--audit"), capture_output=True, text=True, timeout=60, check=False)
    asked, not_asked = done.stdout.split("\n[")[1:3]
    assert "  clients      asked for a certificate, required; with revocation lists; users by a file\n" in asked, done.stdout + done.stderr
    assert "  tickets      off\n" in asked
    assert "  clients      asked for no certificate\n" in not_asked and "  tickets      a new key" in not_asked


def test_where_the_server_decides_no_certificate_is_asked_for(tmp_path, certificate, people):
    path = tmp_path / "postern.conf"
    path.write_text(Configuration(certificate, [Backend("imap", 1)], listeners=[Listener("imap", "implicit")]).text().replace(
        "tls: { ", "tls: { " + group("optional", people) + " ", 1))
    status, said = check(path)
    assert status == 78 and "nobody could log in with one (RFC 8314 4.2)" in said


def test_a_listener_may_differ_from_the_others(tmp_path, certificate, people, sasl, master, authority):
    """What it does not set is as in tls."""
    listeners = [Listener("imap", "implicit", extra='client_certificates: { mode = "required"; };'), Listener("imap", "starttls")]
    text = configuration(certificate, [Backend("imap", 1, login=master)], sasl, group("off", people), listeners)
    front = Postern(str(tmp_path), text, listeners).start()
    try:
        assert refusal(front, context_of(authority))[1] == "no_client_certificate"
        assert capability(front, context_of(authority, people.mapped))[1]["certificate_user"] == "bob"
        end = capability(front, context_of(authority, people.mapped), "starttls")[1]
        assert "client_certificate" not in end
    finally:
        front.stop()
