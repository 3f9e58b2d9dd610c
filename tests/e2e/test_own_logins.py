"""Postern's own logins at real stores, in place of the user's: as a master user, and by XCLIENT. What the store gets to know
and to see, and that its refusal is never held against the user."""
import os

import pytest

from conftest import MASTER, PROTOCOLS
from support import clients, liars, stores
from support.postern import Backend, Configuration, Postern, all_listeners
from support.wait import wait_for

HOSTNAME = "mail.example.test"
PASSWORD = "Geheim-des-Nutzers-1"
LONG = "a-long-name-" * 16
LIMITS = "drain_timeout = 2; failure_delay_ms = 10; failure_delay_max_ms = 20;"


@pytest.fixture(scope="module")
def users(public):
    """alice and a long name, as options of auth.sasl."""
    return stores.sasldb(os.path.join(public, "users-of-own-logins.db"), {"alice": PASSWORD, LONG: PASSWORD}, HOSTNAME)


@pytest.fixture
def launch(tmp_path, certificate, users):
    started = []

    def begin(*backends):
        listeners = [one for one in all_listeners() if one.protocol in [pool.protocol for pool in backends]]
        front = Postern(str(tmp_path / str(len(started))), Configuration(
            certificate, list(backends), listeners=listeners, hostname=HOSTNAME, limits=LIMITS, workers=1,
            auth='source = "sasl"; mechanisms = ( "PLAIN" ); sasl: { %s };' % users,
            top='user = "nobody";' if stores.is_root() else ""))
        started.append(front)
        return front.start()
    for number in range(9):
        (tmp_path / str(number)).mkdir()
    yield begin
    for front in started:
        front.stop()


def master(protocol, port, tmp_path, password=MASTER):
    secret = tmp_path / "master.secret"
    secret.write_text(password + "\n")
    secret.chmod(0o600)
    return Backend(protocol, port, login='login = "master"; master_user = "postern"; master_password_file = "%s";' % secret)


def attempt(front, protocol, context, password=PASSWORD):
    with clients.reach(front.port(protocol, "implicit"), protocol, "implicit", context, source="127.0.0.7") as wire:
        answer = clients.log_in(wire, protocol, "alice", password)
        if protocol == "submission" and answer.startswith("235"):
            assert wire.smtp("MAIL FROM:<alice@example.test>").startswith("250")
            assert wire.smtp("RCPT TO:<bob@example.test>").startswith("250")
        return answer


def assert_logged(store, *words):
    wait_for(lambda: any(all(word in line for word in words) for line in store.log().split("\n")),
             lambda: "a line with %r\n%s" % (words, store.log()))


@pytest.mark.parametrize("protocol", ("imap", "pop3"))
def test_dovecot_lets_the_master_user_in_as_the_user_and_knows_the_client(launch, master_dovecot, context, tmp_path, protocol):
    port = {"imap": master_dovecot.imap_port, "pop3": master_dovecot.pop3_port}[protocol]
    front = launch(master(protocol, port, tmp_path))
    assert attempt(front, protocol, context).startswith(clients.ACCEPTED[protocol])
    assert_logged(master_dovecot, protocol + "-login: Info: Login: user=<alice>", "rip=127.0.0.7, ")
    assert MASTER not in front.log()


def test_postfix_takes_the_master_user_by_way_of_dovecot(launch, master_postfix, context, tmp_path):
    front = launch(master("submission", master_postfix.port, tmp_path))
    assert attempt(front, "submission", context).startswith("235")
    assert_logged(master_postfix, "client=unknown[127.0.0.7]", "sasl_method=PLAIN, sasl_username=alice")


def test_postfix_takes_our_word_for_the_user(launch, master_postfix, context):
    front = launch(Backend("submission", master_postfix.port, login='login = "xclient";'))
    assert attempt(front, "submission", context).startswith("235")
    assert_logged(master_postfix, "client=unknown[127.0.0.7]", "sasl_method=XCLIENT, sasl_username=alice")


def test_postfix_takes_our_word_also_when_it_needs_several_lines(launch, master_postfix, context):
    front = launch(Backend("submission", master_postfix.port, login='login = "xclient";'))
    with clients.reach(front.port("submission", "implicit"), "submission", "implicit", context, source="127.0.0.7") as wire:
        assert wire.smtp("EHLO " + ".".join(["x" * 60] * 4)).startswith("250")
        assert clients.log_in(wire, "submission", LONG, PASSWORD).startswith("235")
        assert wire.smtp("MAIL FROM:<alice@example.test>").startswith("250")
        assert wire.smtp("RCPT TO:<bob@example.test>").startswith("250")
    assert_logged(master_postfix, "client=unknown[127.0.0.7]", "sasl_method=XCLIENT, sasl_username=" + LONG)
    assert_logged(master_postfix, "unknown[127.0.0.7]", "xclient=0/2")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_refused_master_is_the_operators_trouble_and_not_the_users(launch, request, master_dovecot, context, tmp_path, protocol):
    port = {"imap": master_dovecot.imap_port, "pop3": master_dovecot.pop3_port}.get(protocol)
    port = port or request.getfixturevalue("master_postfix").port
    front = launch(master(protocol, port, tmp_path, "not-" + MASTER))
    for _ in range(4):   # more than max_auth_failures
        assert attempt(front, protocol, context).startswith(clients.TEMPORARY[protocol])
    event = front.wait_event("login_denied", count=4)
    assert (event["user"], event["level"], event["protocol"]) == ("alice", "error", protocol)
    assert event["backend"] == "old-%s/127.0.0.1:%d" % (protocol, port)
    assert len(front.wait_event("auth_temporary", count=4)) and not front.events("auth_failed")
    assert not front.events("backend_down"), "the server itself works"
    assert attempt(front, protocol, context, "wrong").startswith(clients.REFUSED[protocol])
    assert len(front.events("login_denied")) == 4, "the store was asked for a user whose password was wrong"
    assert MASTER not in front.log()


def test_a_store_that_does_not_take_our_word_is_a_failure_of_the_store(launch, context):
    with liars.Fake(liars.SubmissionStore(None)) as fake:
        front = launch(Backend("submission", fake.port, login='login = "xclient";'))
        assert attempt(front, "submission", context).startswith(clients.TEMPORARY["submission"])
        assert front.wait_event("backend_down")["reason"] == "the backend does not offer XCLIENT with LOGIN"
        assert b"AUTH" not in fake.received() and b"alice" not in fake.received()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_users_password_never_reaches_the_store(launch, context, tmp_path, protocol):
    store = {"imap": liars.ImapStore, "pop3": liars.Pop3Store, "submission": liars.SubmissionStore}[protocol](None)
    with liars.Fake(store) as fake:
        front = launch(master(protocol, fake.port, tmp_path))
        attempt(front, protocol, context)
        for form in (PASSWORD.encode(), clients.encoded(PASSWORD).encode(), clients.plain("alice", PASSWORD).encode()):
            assert form not in fake.received()
