"""Cyrus SASL decides: users of a sasldb, whose passwords the stores do not know, come to Dovecot by its master user and to Postfix by
XCLIENT LOGIN; and a saslauthd that is slow, silent or away."""
import os
import pwd
import shutil
import uuid

import pytest

from conftest import MODES, PROTOCOLS
from support import clients, scram, stores
from support.postern import Backend, Configuration, Postern, check
from support.saslauthd import Saslauthd
from support.wait import wait_for

HOSTNAME = "mail.example.test"
PASSWORDS = {"alice": "in-wonderland", "bob": "the builder, \u00e4=x"}
MASTER = "master-of-mail"
FAST = {"failure_delay_ms": 10, "failure_delay_max_ms": 20, "max_auth_failures": 100, "max_refused_commands": 100}
MECHANISMS = ("PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512")
FAILED = {"submission": "535 5.7.8 ", "imap": "l NO [AUTHENTICATIONFAILED] ", "pop3": "-ERR [AUTH] "}


def quoted(names):
    return ", ".join('"%s"' % name for name in names)


def auth(sasl, mechanisms=MECHANISMS, processes=""):
    return f'source = "sasl"; mechanisms = ( {quoted(mechanisms)} ); sasl: {{ {sasl} }}; processes: {{ {processes} }};'


class Users:
    """A sasldb."""

    def __init__(self, path):
        self.path = path
        self.options = stores.sasldb(path, PASSWORDS, HOSTNAME)


@pytest.fixture(scope="module")
def users(public):
    return Users(os.path.join(public, "users.db"))


@pytest.fixture(scope="module")
def masters(public):
    """Dovecot with a master user, and Postfix that takes Postern's word; (dovecot, postfix or None)."""
    settings = stores.masters(os.path.join(public, "masters-of-sasl"), MASTER) + "auth_verbose = yes\n"
    with stores.Dovecot(users={name: "other-" + name for name in PASSWORDS}, settings=settings) as dovecot:
        if stores.is_root() and stores.program("postfix"):
            with stores.Postfix(dovecot=dovecot, xclient="127.0.0.1") as postfix:
                yield dovecot, postfix
        else:
            yield dovecot, None


@pytest.fixture(scope="module")
def pools(masters, tmp_path_factory):
    dovecot, postfix = masters
    secret = tmp_path_factory.mktemp("master") / "password"
    secret.write_text(MASTER + "\n")
    secret.chmod(0o600)
    master = f'login = "master"; master_user = "postern"; master_password_file = "{secret}";'
    return [Backend("imap", dovecot.imap_port, login=master), Backend("pop3", dovecot.pop3_port, login=master),
            Backend("submission", postfix.port if postfix else dovecot.imap_port, login='login = "xclient";')]


def configuration(certificate, pools, how, limits=None, **settings):
    limits = " ".join("%s = %s;" % pair for pair in {"drain_timeout": 2, **FAST, **(limits or {})}.items())
    return Configuration(certificate, pools, hostname=HOSTNAME, limits=limits, auth=how, top='user = "nobody";'
                         if stores.is_root() else "", **settings)


@pytest.fixture(scope="module")
def front(tmp_path_factory, certificate, pools, users):
    with Postern(str(tmp_path_factory.mktemp("postern")), configuration(certificate, pools, auth(users.options))) as one:
        yield one


def reach(front, protocol, context, mode="implicit"):
    return clients.reach(front.port(protocol, mode), protocol, mode, context)


def skip_without_postfix(masters, protocol):
    if protocol == "submission" and masters[1] is None:
        pytest.skip("Postfix cannot run here")


def assert_in(wire, protocol, masters, user):
    """That the store serves this very user now."""
    dovecot, postfix = masters
    if protocol == "submission":
        subject = uuid.uuid4().hex
        for line, answer in (("MAIL FROM:<%s@example.test>" % user, "250"), ("RCPT TO:<bob@example.test>", "250"), ("DATA", "354"),
                             ("Subject: %s\r\n\r\nhello\r\n." % subject, "250")):
            assert wire.smtp(line).startswith(answer)
        dovecot.wait_message("bob", subject.encode())
        assert "sasl_username=%s" % user in postfix.log()
    elif protocol == "imap":
        name = "of-" + uuid.uuid4().hex
        assert wire.imap("c CREATE " + name).startswith("c OK")
        assert os.path.isdir(dovecot.path("mail", user, "Maildir", "." + name))
    else:
        assert wire.pop3("STAT").startswith("+OK")
        wait_for(lambda: "pop3-login: Info: Login: user=<%s>" % user in dovecot.log(), "a login of %s" % user)


# ---- ways in

@pytest.mark.parametrize("at_once", (True, False), ids=("initial", "asked"))
@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_mechanism_leads_to_the_store(front, context, masters, protocol, mechanism, at_once):
    skip_without_postfix(masters, protocol)
    with reach(front, protocol, context) as wire:
        client = wire.address
        answer = scram.log_in(wire, protocol, mechanism, "alice", PASSWORDS["alice"], at_once=at_once)
        assert answer.startswith(clients.ACCEPTED[protocol]), answer
        assert_in(wire, protocol, masters, "alice")
    event = front.wait_event("session_end", client=client)
    assert (event["user"], event["mechanism"]) == ("alice", mechanism)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_protocols_own_commands_lead_there_too(front, context, masters, protocol, mode):
    skip_without_postfix(masters, protocol)
    with clients.enter(front.port(protocol, mode), protocol, mode, context, "alice", PASSWORDS["alice"]) as wire:
        assert_in(wire, protocol, masters, "alice")


def test_what_is_offered_is_what_is_taken(front, context):
    with reach(front, "imap", context) as wire:
        shown = wire.imap("a CAPABILITY")
        assert all(" AUTH=" + name in shown for name in MECHANISMS) and "LOGINDISABLED" not in shown
        assert wire.imap("l AUTHENTICATE DIGEST-MD5", tag="l").startswith("l NO [CANNOT]")
    with reach(front, "submission", context) as wire:
        assert "AUTH " + " ".join(MECHANISMS) in wire.smtp("EHLO client.example.test")
        assert wire.smtp("AUTH CRAM-MD5").startswith("504 5.5.4")
    with reach(front, "pop3", context) as wire:
        assert "SASL " + " ".join(MECHANISMS) in wire.pop3("CAPA", many=True)


# ---- real clients

@pytest.mark.skipif(not stores.program("gsasl"), reason="gsasl is not installed")
@pytest.mark.parametrize("mechanism", ("SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"))
@pytest.mark.parametrize("protocol", ("imap", "submission"))
def test_gsasl_logs_in(front, authority, masters, protocol, mechanism):
    skip_without_postfix(masters, protocol)
    done = clients.run("gsasl", "--imap" if protocol == "imap" else "--smtp", "--connect",
                       "localhost:%d" % front.port(protocol, "starttls"), "--starttls", "--x509-ca-file", authority.certificate,
                       "--no-cb", "--mechanism", mechanism, "--authentication-id", "alice", "--authorization-id", "",
                       "--password", PASSWORDS["alice"], data="\n")
    assert "l OK" in done.stdout or " OK " in done.stdout or "235 2.7.0" in done.stdout, done.stdout


def test_curl_logs_in(front, authority):
    for scheme, protocol in (("imaps", "imap"), ("pop3s", "pop3")):
        done = clients.curl(authority.certificate, "%s://localhost:%d/" % (scheme, front.port(protocol, "implicit")),
                            "--login-options", "AUTH=PLAIN", user="bob:" + PASSWORDS["bob"])
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("mechanism", ("PLAIN", "LOGIN"))
def test_swaks_sends(front, authority, masters, mechanism):
    skip_without_postfix(masters, "submission")
    subject = uuid.uuid4().hex
    done = clients.swaks(authority.certificate, front.port("submission", "starttls"), "alice", PASSWORDS["alice"],
                         "alice@example.test", "bob@example.test", subject, "--auth", mechanism)
    assert done.returncode == 0, done.stdout
    masters[0].wait_message("bob", subject.encode())


# ---- refused

@pytest.mark.parametrize("mechanism", MECHANISMS + (None,))
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_wrong_password_and_an_unknown_user_sound_the_same(front, context, protocol, mechanism):
    answers = set()
    for user, password in (("alice", "wrong"), ("nobody-of-that-name", "wrong"), ("alice", "other-alice")):
        with reach(front, protocol, context) as wire:
            client = wire.address
            if mechanism:
                answers.add(scram.log_in(wire, protocol, mechanism, user, password))
            else:
                answers.add(clients.log_in(wire, protocol, user, password))
        assert front.wait_event("auth_failed", client=client)["user"] == user
    assert len(answers) == 1, answers
    assert answers.pop().startswith(FAILED[protocol])


@pytest.mark.parametrize("mechanism", ("PLAIN", "SCRAM-SHA-256"))
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nobody_acts_for_somebody_else(front, context, protocol, mechanism):
    with reach(front, protocol, context) as wire:
        answer = scram.log_in(wire, protocol, mechanism, "alice", PASSWORDS["alice"], authzid="bob")
        assert answer.startswith({"submission": "535 5.7.8", "imap": "l NO [AUTHORIZATIONFAILED]", "pop3": "-ERR [AUTH]"}[protocol])


def test_the_last_response_must_be_empty(front, context):
    with reach(front, "imap", context) as wire:
        client = scram.Scram("SCRAM-SHA-256", "alice", PASSWORDS["alice"])
        answer = wire.imap("l AUTHENTICATE SCRAM-SHA-256 " + clients.encoded(client.step(None)), tag="l")
        answer = wire.imap(clients.encoded(client.step(scram._decoded(answer[2:].strip()))), tag="l")
        assert answer.startswith("+ ")
        assert wire.imap(clients.encoded("more"), tag="l").startswith("l BAD")
        assert not wire.imap("c CREATE x").startswith("c OK")


def test_a_database_that_cannot_be_read_is_no_wrong_password(front, context, users):
    os.rename(users.path, users.path + ".away")
    try:
        for protocol in PROTOCOLS:
            with reach(front, protocol, context) as wire:
                client = wire.address
                assert clients.log_in(wire, protocol, "alice", "wrong").startswith(clients.TEMPORARY[protocol])
            front.wait_event("auth_temporary", client=client, user="alice")
        front.wait_event("sasl", level="warning")
    finally:
        os.rename(users.path + ".away", users.path)
    with reach(front, "imap", context) as wire:
        assert clients.log_in(wire, "imap", "alice", PASSWORDS["alice"]).startswith("l OK")


# ---- reload

def test_an_exchange_outlives_a_reload_and_keeps_its_options(tmp_path, certificate, pools, users, context):
    with Postern(str(tmp_path), configuration(certificate, pools, auth(users.options))) as front:
        with reach(front, "imap", context) as wire:
            client = scram.Scram("SCRAM-SHA-256", "alice", PASSWORDS["alice"])
            answer = wire.imap("l AUTHENTICATE SCRAM-SHA-256 " + clients.encoded(client.step(None)), tag="l")
            front.configure(configuration(certificate, pools, auth(users.options, ("PLAIN",))))
            front.signal(1)
            front.wait_event("reload")
            while answer.startswith("+ "):
                answer = wire.imap(clients.encoded(client.step(scram._decoded(answer[2:].strip()))), tag="l")
            assert answer.split("\n")[-1].startswith("l OK") and client.proven
        with reach(front, "imap", context) as wire:
            assert "SCRAM" not in wire.imap("a CAPABILITY")
            assert clients.log_in(wire, "imap", "alice", PASSWORDS["alice"]).startswith("l OK")


# ---- saslauthd: slow, silent, away

@pytest.fixture
def daemon():
    with Saslauthd(PASSWORDS) as one:
        yield one


def start_before(daemon, tmp_path, certificate, pools, processes, **limits):
    how = auth(f'pwcheck_method = "saslauthd"; saslauthd_path = "{daemon.path}";', ("PLAIN", "LOGIN"), processes)
    return Postern(str(tmp_path), configuration(certificate, pools, how, limits, workers=1))


def test_a_process_that_hangs_is_replaced_and_only_its_own_exchange_suffers(daemon, tmp_path, certificate, pools, context):
    daemon.hung.add("alice")
    with start_before(daemon, tmp_path, certificate, pools, "min = 2; max = 2;", auth_timeout=2) as front:
        with reach(front, "imap", context) as victim:
            victim.send("l LOGIN alice %s\r\n" % PASSWORDS["alice"])
            wait_for(lambda: "alice" in daemon.asked, "the daemon is asked")
            for _ in range(20):
                with reach(front, "pop3", context) as wire:
                    assert clients.log_in(wire, "pop3", "bob", "wrong").startswith(clients.REFUSED["pop3"])
            assert victim.imap(tag="l").split("\n")[-1].startswith(clients.TEMPORARY["imap"])
            stuck = front.wait_event("child_stuck", kind="auth")
            front.wait_event("child_started", kind="auth", index=stuck["index"])
            daemon.hung.clear()
            assert clients.log_in(victim, "imap", "alice", PASSWORDS["alice"]).startswith("l OK")
        assert len(front.events("auth_temporary")) == 1
        assert len(front.events("child_stuck")) == 1


def test_processes_come_while_logins_wait_and_go_when_they_are_idle(daemon, tmp_path, certificate, pools, context):
    daemon.hung.add("alice")
    with start_before(daemon, tmp_path, certificate, pools, "min = 1; max = 3; idle = 1;", auth_timeout=30) as front:
        assert len(front.children("auth")) == 1
        wires = [reach(front, "imap", context) for _ in range(6)]
        for wire in wires:
            wire.send("l LOGIN alice %s\r\n" % PASSWORDS["alice"])
        wait_for(lambda: len(front.children("auth")) == 3 and len(daemon.asked) == 3, front.log)
        daemon.release()
        for wire in wires:
            assert wire.imap(tag="l").split("\n")[-1].startswith("l OK")
            wire.close()
        wait_for(lambda: len(front.children("auth")) == 1, front.log)
        assert not front.events("child_stuck") and not front.events("auth_temporary")


def test_a_daemon_that_is_away_is_no_wrong_password(daemon, tmp_path, certificate, pools, context):
    with start_before(daemon, tmp_path, certificate, pools, "min = 1;") as front:
        daemon.stop()
        for protocol in PROTOCOLS:
            with reach(front, protocol, context) as wire:
                assert clients.log_in(wire, protocol, "alice", "wrong").startswith(clients.TEMPORARY[protocol])
        daemon.start()
        with reach(front, "imap", context) as wire:
            assert clients.log_in(wire, "imap", "alice", PASSWORDS["alice"]).startswith("l OK")


def test_a_store_and_a_daemon_together(daemon, tmp_path, certificate, pools, users, context):
    """Whoever one of them knows is in, by every way, in whatever order they are named; and a daemon that is away is no wrong password."""
    daemon.users.update({"bob": "another", "alice": "another"})
    daemon.users["postmaster"] = "of-the-daemon"    # unknown to the sasldb
    for order in ("auxprop saslauthd", "saslauthd auxprop"):
        how = auth(users.options + f'pwcheck_method = "{order}"; saslauthd_path = "{daemon.path}";', MECHANISMS, "min = 1;")
        with Postern(str(tmp_path), configuration(certificate, pools, how, workers=1)) as front:
            for way in ("PLAIN", "LOGIN", None):
                def attempt(user, password, way=way):
                    with reach(front, "imap", context) as wire:
                        return scram.log_in(wire, "imap", way, user, password) if way else clients.log_in(wire, "imap", user, password)
                assert attempt("alice", PASSWORDS["alice"]).startswith("l OK")
                assert attempt("alice", "another").startswith("l OK")
                assert attempt("postmaster", "of-the-daemon").startswith("l OK")
                for user in "alice", "postmaster", "nobody":
                    assert attempt(user, "wrong").startswith(clients.REFUSED["imap"])
                daemon.stop()
                assert attempt("alice", PASSWORDS["alice"]).startswith("l OK")
                assert attempt("postmaster", "of-the-daemon").startswith(clients.TEMPORARY["imap"])
                daemon.start()
            with reach(front, "imap", context) as wire:
                assert scram.log_in(wire, "imap", "SCRAM-SHA-256", "postmaster", "of-the-daemon").startswith(clients.REFUSED["imap"])


# ---- what -t finds

def test_the_configuration_in_the_readme_is_accepted(tmp_path, certificate, users):
    with open(os.path.join(os.path.dirname(__file__), "../../README.md"), encoding="utf-8") as file:
        text = file.read().split("## Let Cyrus SASL decide")[1].split("```")[1]
    for source, name in ((certificate.chain, "cert.pem"), (certificate.key, "key.pem")):
        shutil.copy(source, tmp_path / name)
    (tmp_path / "master.secret").write_text(MASTER + "\n")
    (tmp_path / "master.secret").chmod(0o600)
    (tmp_path / "postern.conf").write_text(text.replace('"users.db"', '"%s"' % users.path)
                                           + ('user = "nobody";' if stores.is_root() else ""))
    assert check(tmp_path / "postern.conf") == (0, "configuration ok\n")


@pytest.mark.parametrize("sasl, mechanisms, line, words", [
    ('auxprop_plugin = "sasldb";\nsasldb_path = "nowhere.db";', ("PLAIN",), 1, "nowhere.db cannot be read"),
    ('auxprop_plugin = "no-such-store";', ("PLAIN",), 0, 'auxprop_plugin "no-such-store" is not installed'),
    ('pwcheck_method = "saslauthd";', ("PLAIN", "KERBEROS_V4"), 0, 'no installed plugin of Cyrus SASL serves "KERBEROS_V4"'),
])
def test_the_check_finds_what_cyrus_sasl_cannot_do(tmp_path, certificate, pools, sasl, mechanisms, line, words):
    text = configuration(certificate, pools, auth(sasl, mechanisms)).text()
    path = tmp_path / "postern.conf"
    path.write_text(text)
    status, output = check(path)
    first = text[:text.index("auth: {")].count("\n") + 1
    assert status == 78, output
    assert f"{path}:{first + line}: error: " in output and words in output, output


@pytest.mark.skipif(not stores.is_root(), reason="needs another user")
def test_the_check_looks_with_the_eyes_of_the_auth_user(tmp_path, certificate, pools, users):
    os.chown(users.path, 0, 0)
    try:
        path = tmp_path / "postern.conf"
        path.write_text(configuration(certificate, pools, auth(users.options)).text())
        status, output = check(path)
        assert status == 78 and "users.db cannot be read by nobody: Permission denied" in output, output
    finally:
        os.chown(users.path, pwd.getpwnam("nobody").pw_uid, -1)
    assert check(path)[0] == 0


@pytest.mark.skipif(not stores.is_root(), reason="needs another user")
def test_the_check_warns_of_a_daemon_that_the_auth_user_cannot_reach(daemon, tmp_path, certificate, pools):
    path = tmp_path / "postern.conf"
    path.write_text(configuration(certificate, pools, auth(f'pwcheck_method = "saslauthd"; saslauthd_path = "{daemon.path}";', ("PLAIN",))).text())
    status, output = check(path)
    assert status == 0 and "saslauthd" not in output, output
    os.chmod(os.path.dirname(daemon.path), 0o710)
    status, output = check(path)
    assert status == 0 and f"warning: auth.sasl: saslauthd cannot be reached at {daemon.path} by nobody: Permission denied" in output, output
    daemon.stop()
    os.chmod(os.path.dirname(daemon.path), 0o755)
    assert f"saslauthd cannot be reached at {daemon.path} by nobody: No such file" in check(path)[1]
