"""The monitor: servers are asked what they can do and whether they are there, names are looked up again, and logins pass over
servers that do not answer."""
import os
import signal
import time

import pytest

from conftest import USERS
from support import clients, liars, ports
from support.postern import Backend
from support.wait import at_once, wait_for

FAST = {"failure_delay_ms": 10, "failure_delay_max_ms": 20, "connect_timeout": 1, "backend_timeout": 8}
QUICK = "interval = 1; retry = 1;"
SELDOM = "interval = 600; retry = 600;"


def pool(protocol, *servers, extra=""):
    """A pool of several ports on loopback."""
    backend = Backend(protocol, servers[0], extra=extra)
    listed = ", ".join('{ host = "127.0.0.1"; port = %d; }' % port for port in servers)
    text = backend.text()
    begin, end = text.index("servers = ("), text.index("); tls")
    whole = text[:begin] + "servers = ( " + listed + " " + text[end:]
    backend.text = lambda: whole
    return backend


def shown(front, protocol, context):
    """What a client is offered inside TLS, before login."""
    with clients.reach(front.port(protocol, "implicit"), protocol, "implicit", context) as wire:
        if protocol == "submission":
            return set(line[4:] for line in wire.smtp("EHLO client.example.test").split("\n")[1:])
        return set(wire.pop3("CAPA", many=True).split("\n"))


def hang(talk):
    """Accepts, says nothing."""
    talk.rest()


def log_in(front, protocol, context, user="alice"):
    with clients.reach(front.port(protocol, "implicit"), protocol, "implicit", context) as wire:
        return clients.log_in(wire, protocol, user, USERS.get(user, "x"))


# ---- capabilities

def test_real_stores_are_found_and_their_capabilities_shown_before_login(launch_once, context, dovecot, postfix):
    front = launch_once(limits=FAST, monitor=SELDOM, imap=dovecot.imap_port, pop3=dovecot.pop3_port, submission=postfix.port)
    for name in ("old-imap", "old-pop3", "old-submission"):
        wait_for(lambda: [e for e in front.events("backend_up") if e["backend"].startswith(name + "/")], name + " to be up")
    wait_for(lambda: "8BITMIME" in shown(front, "submission", context), "8BITMIME to be shown")
    assert any(one.startswith("SIZE ") for one in shown(front, "submission", context))
    assert {"TOP", "UIDL", "RESP-CODES"} <= shown(front, "pop3", context)
    assert not front.events("backend_down")


def test_nothing_known_yet_shows_only_our_own(launch_once, context):
    front = launch_once(limits=FAST, monitor=SELDOM, submission=ports.free_port())
    front.wait_event("backend_down")
    assert not {"8BITMIME", "DSN", "SMTPUTF8"} & shown(front, "submission", context)


def test_the_least_of_all_servers_is_shown_and_it_changes_while_sessions_are_open(launch_once, context):
    rich = liars.SubmissionStore(None, extensions=("SIZE 9000", "8BITMIME", "DSN", "X-SECRET"))
    poor = liars.SubmissionStore(None, extensions=("SIZE 700", "8BITMIME"))
    with liars.Fake(rich) as one, liars.Fake(poor) as two:
        front = launch_once(limits=FAST, monitor=QUICK, workers=1, submission=pool("submission", one.port, two.port))
        wait_for(lambda: "SIZE 700" in shown(front, "submission", context), "the lesser size")
        found = shown(front, "submission", context)
        assert "8BITMIME" in found and "DSN" not in found and "X-SECRET" not in found
        with clients.reach(front.port("submission", "implicit"), "submission", "implicit", context) as wire:
            assert "DSN" not in wire.smtp("EHLO a.example.test")
            poor.extensions = ("SIZE 800", "8BITMIME", "DSN")
            wait_for(lambda: "DSN" in wire.smtp("EHLO a.example.test"), "DSN in an open session")
            assert "SIZE 800" in wire.smtp("EHLO a.example.test")


def test_what_the_operator_states_wins(launch_once, context):
    with liars.Fake(liars.SubmissionStore(None, extensions=("SIZE 9000", "8BITMIME", "DSN"))) as fake:
        front = launch_once(limits=FAST, monitor=QUICK,
                            submission=pool("submission", fake.port, extra='capabilities = ( "SIZE 55" );'))
        front.wait_event("backend_up")
        found = shown(front, "submission", context)
        assert "SIZE 55" in found and "DSN" not in found


def test_a_pool_that_cannot_be_told_the_client_is_warned_about_once(launch_once):
    with liars.Fake(liars.SubmissionStore(None)) as fake, liars.Fake(liars.ImapStore(None, capability="IMAP4rev1 ID")) as imap:
        front = launch_once(limits=FAST, monitor=QUICK, submission=fake.port, imap=imap.port)
        front.wait_event("backend_identity", backend="old-submission")
        fake.wait(lambda f: len(f.conversations) >= 4)
        assert len(front.events("backend_identity")) == 1


# ---- health

def test_down_and_up_are_told_once_for_the_house(launch_once, context):
    kinds = {"imap": liars.ImapStore, "pop3": liars.Pop3Store, "submission": liars.SubmissionStore}
    places = {protocol: ports.free_port() for protocol in kinds}
    front = launch_once(limits=FAST, monitor=QUICK, workers=2, **places)

    def goes_and_comes(protocol):
        name = "old-%s/127.0.0.1:%d" % (protocol, places[protocol])
        front.wait_event("backend_down", backend=name)
        for _ in range(4):
            assert log_in(front, protocol, context).startswith(clients.TEMPORARY[protocol])
        with liars.Fake(kinds[protocol](None), port=places[protocol]) as fake:
            front.wait_event("backend_up", backend=name)
            fake.wait(lambda f: len(f.conversations) >= 3)    # and it is asked on
            assert log_in(front, protocol, context).startswith(clients.ACCEPTED[protocol])
        front.wait_event("backend_down", count=2, backend=name)

    at_once(goes_and_comes, ((protocol,) for protocol in kinds))
    assert len(front.events("backend_down")) == 6 and len(front.events("backend_up")) == 3


def test_a_server_with_unauthenticate_counts_as_down(launch_once):
    with liars.Fake(liars.ImapStore(None, capability="IMAP4rev1 UNAUTHENTICATE")) as fake:
        front = launch_once(limits=FAST, monitor=QUICK, imap=fake.port)
        assert "UNAUTHENTICATE" in front.wait_event("backend_down")["reason"]


def test_a_certificate_that_does_not_verify_is_down(launch_once, certificate, tmp_path_factory):
    from support import certificates
    folder = str(tmp_path_factory.mktemp("stranger"))
    stranger = certificates.make_ca(folder, "Stranger")
    with liars.Fake(liars.ImapStore(None), (certificate.chain, certificate.key), implicit=True) as fake:
        front = launch_once(limits=FAST, monitor=QUICK,
                            imap=Backend("imap", fake.port, tls="implicit", extra='ca = "%s";' % stranger.certificate))
        assert "TLS failed" in front.wait_event("backend_down")["reason"]


@pytest.mark.parametrize("mode", ("starttls", "implicit"))
def test_servers_are_asked_over_tls(launch_once, authority, certificate, mode):
    stores = {"imap": liars.ImapStore, "pop3": liars.Pop3Store, "submission": liars.SubmissionStore}
    fakes = {name: liars.Fake(store(None, starttls=mode == "starttls"), (certificate.chain, certificate.key),
                              implicit=mode == "implicit") for name, store in stores.items()}
    try:
        front = launch_once(limits=FAST, monitor=SELDOM, **{
            name: Backend(name, fake.port, tls=mode, extra='ca = "%s";' % authority.certificate)
            for name, fake in fakes.items()})
        front.wait_event("backend_up", count=3)
        assert all(fake.conversations[0].secure for fake in fakes.values())
    finally:
        for fake in fakes.values():
            fake.close()


def test_a_server_that_sends_each_line_as_a_tls_record_is_up(launch_once, authority, certificate):
    def capable(talk):
        talk.socket.sendall(b"+OK\r\n")
        talk.line()
        for line in ("+OK", *("X-%d" % number for number in range(200)), "TOP", "."):
            talk.socket.sendall(line.encode() + b"\r\n")
        talk.rest()
    with liars.Fake(capable, (certificate.chain, certificate.key), implicit=True) as fake:
        front = launch_once(limits=FAST, monitor=SELDOM,
                            pop3=Backend("pop3", fake.port, tls="implicit", extra='ca = "%s";' % authority.certificate))
        wait_for(lambda: front.events("backend_up") + front.events("backend_down"), "the first look")
        assert not front.events("backend_down")
        assert front.events("backend_up")[0]["capabilities"] == "TOP"


def test_a_server_that_does_not_hang_up_is_looked_at_again_all_the_same(launch_once, context):
    def lingers(talk):
        talk.send("* OK store\r\n")
        talk.line(), talk.send("* CAPABILITY IMAP4rev1\r\nC1 OK\r\n")
        talk.note("asked")
        try:
            talk.rest()
        except liars.Gone:
            talk.ended.wait(5)    # our side stays open
            raise
    with liars.Fake(lingers) as fake:
        front = launch_once(limits=FAST, monitor=SELDOM, workers=1, imap=fake.port)
        front.wait_event("backend_up")
        fake.script = lambda talk: talk.send("* BYE full\r\n")
        assert log_in(front, "imap", context).startswith(clients.TEMPORARY["imap"])
        front.wait_event("backend_down")


# ---- several servers

@pytest.mark.parametrize("protocol", ("submission", "imap", "pop3"))
@pytest.mark.parametrize("monitor", ("interval = 0;", SELDOM))
def test_one_dead_one_hung_one_good_all_logins_succeed(launch_once, context, protocol, monitor):
    store = {"imap": liars.ImapStore, "pop3": liars.Pop3Store, "submission": liars.SubmissionStore}[protocol]
    with liars.Fake(hang) as hung, liars.Fake(store(None)) as good:
        front = launch_once(limits=FAST, monitor=monitor, workers=1,
                            **{protocol: pool(protocol, ports.free_port(), hung.port, good.port)})
        begun = time.monotonic()
        for _ in range(6):
            assert log_in(front, protocol, context).startswith(clients.ACCEPTED[protocol])
        assert time.monotonic() - begun < 2 * FAST["connect_timeout"] + 2, "the hung server cost more than one login"
        assert sum(1 for talk in hung.conversations) <= 2
        front.wait_event("session_end", backend="old-%s/127.0.0.1:%d" % (protocol, good.port))
        down = {e["backend"].rpartition(":")[2] for e in front.events("backend_down")}
        if monitor != SELDOM:
            assert str(hung.port) in down


def test_a_server_that_greets_badly_or_without_tls_is_passed_over(launch_once, context, authority, certificate):
    tls = (certificate.chain, certificate.key)
    with liars.Fake(lambda talk: (talk.send("* BYE full\r\n"))) as full, liars.Fake(liars.ImapStore(None)) as plain, \
            liars.Fake(liars.ImapStore(None, starttls=True), tls) as good:
        backend = pool("imap", full.port, plain.port, good.port, extra='ca = "%s";' % authority.certificate)
        text = backend.text().replace('tls = "none"', 'tls = "starttls"')
        backend.text = lambda: text
        front = launch_once(limits=FAST, imap=backend)
        assert log_in(front, "imap", context).startswith("l OK")
        assert b"LOGIN" not in full.received() + plain.received()


def test_a_pop3_code_in_the_greeting_is_about_the_server(launch_once, context):
    with liars.Fake(lambda talk: talk.send("-ERR [SYS/TEMP] full\r\n")) as full, liars.Fake(liars.Pop3Store(None)) as good:
        front = launch_once(limits=FAST, pop3=pool("pop3", full.port, good.port))
        assert log_in(front, "pop3", context).startswith("+OK")


def test_after_the_credential_there_is_no_second_try(launch_once, context):
    def fails(talk):
        talk.send("+OK\r\n")
        talk.line(), talk.send("+OK\r\n")
        talk.line()
    with liars.Fake(fails) as first, liars.Fake(liars.Pop3Store(None)) as second:
        front = launch_once(limits=FAST, workers=1, pop3=pool("pop3", first.port, second.port))
        assert log_in(front, "pop3", context).startswith(clients.TEMPORARY["pop3"])
        first.wait_ended()
        assert not second.conversations


@pytest.mark.parametrize("protocol", ("submission", "imap", "pop3"))
def test_one_user_s_trouble_moves_nobody_else_and_two_users_trouble_is_the_server_s(launch_once, context, protocol):
    store = {"imap": liars.ImapStore, "pop3": liars.Pop3Store, "submission": liars.SubmissionStore}[protocol]
    trouble = {"imap": "[UNAVAILABLE] not now", "pop3": "-ERR [X] not now", "submission": "454 4.3.0 not now"}[protocol]
    with liars.Fake(store({b"carol": USERS["carol"].encode()}, refuse=trouble)) as first, liars.Fake(store(None)) as second:
        front = launch_once(limits=FAST, workers=1, **{protocol: pool(protocol, first.port, second.port)})
        for _ in range(3):
            assert log_in(front, protocol, context).startswith(clients.TEMPORARY[protocol])
        assert log_in(front, protocol, context, "carol").startswith(clients.ACCEPTED[protocol])
        assert log_in(front, protocol, context, "bob").startswith(clients.TEMPORARY[protocol])
        assert not second.conversations and not front.events("backend_down")
        assert log_in(front, protocol, context).startswith(clients.TEMPORARY[protocol])
        assert front.wait_event("backend_down")["backend"].endswith(":%d" % first.port)
        assert log_in(front, protocol, context).startswith(clients.ACCEPTED[protocol]), "it is tried last now"
        assert second.conversations


# ---- the monitor's own life

def test_without_its_monitor_the_house_goes_on_and_the_next_one_takes_over(launch_once, context):
    store = liars.SubmissionStore(None, extensions=("SIZE 700", "8BITMIME"))
    with liars.Fake(store) as fake:
        front = launch_once(limits=FAST, monitor=SELDOM, workers=2, submission=fake.port)
        wait_for(lambda: "SIZE 700" in shown(front, "submission", context), "the size to be shown")
        store.extensions = ("SIZE 800",)
        os.kill(front.children("monitor")[0], signal.SIGKILL)
        assert log_in(front, "submission", context).startswith("235")
        front.wait_event("child_started", kind="monitor")
        wait_for(lambda: "SIZE 800" in shown(front, "submission", context), "what the next monitor found")
        assert not front.events("backend_down") and not front.events("bug")


def test_a_reload_keeps_what_is_known_and_asks_anew(launch_once, context):
    with liars.Fake(liars.SubmissionStore(None, extensions=("SIZE 700", "8BITMIME"))) as fake:
        front = launch_once(limits=FAST, monitor=SELDOM, workers=1, submission=fake.port)
        wait_for(lambda: "SIZE 700" in shown(front, "submission", context), "the size to be shown")
    front.signal(signal.SIGHUP)    # the store is gone now
    front.wait_event("backend_down")
    assert {"SIZE 700", "8BITMIME"} <= shown(front, "submission", context)


def test_a_suspicion_makes_the_monitor_look_at_once(launch_once, context):
    with liars.Fake(liars.ImapStore(None)) as fake:
        front = launch_once(limits=FAST, monitor=SELDOM, imap=fake.port)
        front.wait_event("backend_up")
    assert log_in(front, "imap", context).startswith(clients.TEMPORARY["imap"])
    front.wait_event("backend_down")    # its next regular look is minutes away
