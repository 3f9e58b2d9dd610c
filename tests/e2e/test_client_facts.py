"""What a store gets to know of the client, by its own log: real Dovecot and Postfix that trust Postern, each protocol, both
TLS modes of the client, IPv4 and IPv6, and each way of TLS towards the store."""
import uuid

import pytest

from conftest import HOSTS, MODES, PROTOCOLS, USERS
from support import clients, liars, stores
from support.postern import Backend, all_listeners
from support.wait import wait_for

FAST = {"failure_delay_ms": 10, "failure_delay_max_ms": 20}
# Dovecot's log says nothing of ports unless it is told to.
PORTS = "login_log_format_elements = user=<%u> method=%m rip=%r rport=%{rport} lip=%l lport=%{lport} %c session=<%{session}>\n"
CLIENTS = {"127.0.0.1": "127.0.0.7", "::1": "::1"}   # by the address that they connect to; Postern comes from 127.0.0.1


@pytest.fixture(scope="module")
def trusting(certificate):
    """Stores that believe Postern, set up as the README says."""
    with stores.Dovecot(users=USERS, certificate=certificate, trusted="127.0.0.1",
                        settings="disable_plaintext_auth = yes\n" + PORTS) as dovecot:
        if not stores.is_root() or not stores.program("postfix"):
            yield dovecot, None
            return
        with stores.Postfix(dovecot=dovecot, certificate=certificate, xclient="127.0.0.1",
                            settings="smtpd_client_port_logging = yes\n") as postfix:
            yield dovecot, postfix


def submission_port(trusting):
    if trusting[1] is None:
        pytest.skip("Postfix cannot run here")
    return trusting[1].port


def launch_before(launch, trusting, **more):
    dovecot, postfix = trusting
    pools = {"imap": dovecot.imap_port, "pop3": dovecot.pop3_port}
    if postfix is not None:
        pools["submission"] = postfix.port
    return launch(limits=FAST, **pools, **more)


@pytest.fixture(scope="module")
def front(launch, trusting):
    return launch_before(launch, trusting, hosts=HOSTS)


def enter(front, protocol, mode, context, host="127.0.0.1"):
    source = CLIENTS[host] if host != CLIENTS[host] else None
    return clients.enter(front.port(protocol, mode, host), protocol, mode, context, "alice", USERS["alice"], host=host,
                         source=source)


def line_of(store, *words, since=0):
    """Waits for a line of its log with all of these words, behind that many octets of it."""
    def look():
        return next((line for line in store.log()[since:].split("\n") if all(word in line for word in words)), None)
    return wait_for(look, lambda: "a line with %r\n%s" % (words, store.log()))


def send(wire):
    """One message; its subject."""
    subject = uuid.uuid4().hex
    for line, answer in (("MAIL FROM:<alice@example.test>", "250"), ("RCPT TO:<bob@example.test>", "250"), ("DATA", "354"),
                         ("Subject: %s\r\n\r\nhello\r\n." % subject, "250")):
        assert wire.smtp(line).startswith(answer)
    return subject


def end(front, wire, protocol):
    """Ends the session; its id, as the log has it."""
    client = clients_name(wire)
    wire.reply(protocol, {"imap": "z LOGOUT"}.get(protocol, "QUIT"))
    wire.close()
    return front.wait_event("session_end", client=client)["session"]


def clients_name(wire):
    host, port = wire.socket.getsockname()[:2]
    return "%s:%d" % ("[%s]" % host if ":" in host else host, port)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("protocol", ("imap", "pop3"))
def test_dovecot_logs_the_client_and_our_session(front, trusting, context, protocol, mode, host):
    with enter(front, protocol, mode, context, host) as wire:
        port = wire.socket.getsockname()[1]
        session = end(front, wire, protocol)
    line = line_of(trusting[0], protocol + "-login: Info: Login: user=<alice>", "session=<%s>" % session)
    assert "rip=%s, rport=%d, " % (CLIENTS[host], port) in line, line
    # Of where the client connected to, Dovecot's XCLIENT knows nothing.
    local = (host, front.port(protocol, mode, host)) if protocol == "imap" else ("127.0.0.1", trusting[0].pop3_port)
    assert "lip=%s, lport=%d, " % local in line, line
    # What comes from a trusted network counts as secured, whatever the leg is: with reason, since the client used TLS.
    assert ", secured, " in line, line


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("mode", MODES)
def test_postfix_logs_the_client_and_writes_it_into_the_message(front, trusting, context, mode, host):
    submission_port(trusting)
    with enter(front, "submission", mode, context, host) as wire:
        port = wire.socket.getsockname()[1]
        subject = send(wire)
        wire.smtp("QUIT")
    line_of(trusting[1], "client=unknown[%s]:%d, sasl_method=PLAIN, sasl_username=alice" % (CLIENTS[host], port))
    shown = "IPv6:" + CLIENTS[host] if ":" in host else CLIENTS[host]
    message = trusting[0].wait_message("bob", subject.encode()).decode()
    assert "Received: from client.example.test (unknown [%s]" % shown in message, message


@pytest.mark.parametrize("tls", ("starttls", "implicit"))
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_it_is_told_inside_tls_where_the_store_has_tls(launch_once, trusting, authority, context, protocol, tls):
    dovecot, postfix = trusting
    ports = {"imap": (dovecot.imap_port, dovecot.imaps_port), "pop3": (dovecot.pop3_port, dovecot.pop3s_port)}
    if protocol == "submission":
        submission_port(trusting)
        ports["submission"] = postfix.port, postfix.smtps_port
    port = ports[protocol][tls == "implicit"]
    front = launch_once(limits=FAST, **{protocol: Backend(protocol, port, tls=tls, extra='ca = "%s";' % authority.certificate)})
    since = len(dovecot.log())   # our ids begin anew with each start
    with enter(front, protocol, "implicit", context) as wire:
        if protocol == "submission":
            client = wire.socket.getsockname()
            send(wire)
            wire.smtp("QUIT")
            line_of(postfix, "client=unknown[%s]:%d, sasl_method=PLAIN" % client)
            return
        session = end(front, wire, protocol)
    line = line_of(dovecot, protocol + "-login: Info: Login: user=<alice>", "session=<%s>" % session, since=since)
    assert "rip=127.0.0.7, " in line and ", TLS, " in line, line


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_wrong_password_stays_a_refusal_and_is_told_with_the_client(front, trusting, context, protocol):
    if protocol == "submission":
        submission_port(trusting)
    with clients.reach(front.port(protocol, "implicit"), protocol, "implicit", context, source="127.0.0.9") as wire:
        assert clients.log_in(wire, protocol, "alice", "wrong").startswith(clients.REFUSED[protocol])
        assert clients.log_in(wire, protocol, "alice", USERS["alice"]).startswith(clients.ACCEPTED[protocol])
    if protocol == "submission":
        line_of(trusting[1], "unknown[127.0.0.9]", "SASL PLAIN authentication failed")
    else:
        line_of(trusting[0], protocol + "-login: Info: ", "auth failed", "rip=127.0.0.9, ")


def test_what_a_client_says_of_itself_is_not_passed_on(front, trusting, context):
    with clients.reach(front.port("imap", "implicit"), "imap", "implicit", context, source="127.0.0.7") as wire:
        assert "i OK" in wire.imap('i ID ("x-originating-ip" "192.0.2.99" "x-session-id" "forged")')
        assert clients.log_in(wire, "imap", "alice", USERS["alice"]).startswith("l OK")
        session = end(front, wire, "imap")
    assert "rip=127.0.0.7, " in line_of(trusting[0], "Login: user=<alice>", "session=<%s>" % session)
    assert "192.0.2.99" not in trusting[0].log() and "forged" not in trusting[0].log()
    for protocol, line, answer in (("pop3", "XCLIENT ADDR=192.0.2.99", "-ERR"), ("submission", "XCLIENT ADDR=192.0.2.99", "5")):
        with clients.reach(front.port(protocol, "implicit"), protocol, "implicit", context) as wire:
            assert wire.reply(protocol, line).startswith(answer)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_store_that_does_not_ask_is_told_nothing(real, dovecot, postfix, context, protocol):
    """Neither Dovecot nor Postfix of the other tests trusts Postern."""
    with enter(real, protocol, "implicit", context) as wire:
        if protocol == "submission":
            send(wire)
        wire.reply(protocol, {"imap": "z LOGOUT"}.get(protocol, "QUIT"))
    if protocol == "submission":
        line_of(postfix, "127.0.0.1")
    else:
        line_of(dovecot, protocol + "-login: Info: Login: user=<alice>", "rip=127.0.0.1, ")
    assert "127.0.0.7" not in dovecot.log() + postfix.log()


def test_xclient_that_fails_is_a_failure_of_the_store(launch_once, trusting, context):
    """A Postfix without IPv6 refuses to hear of an IPv6 client."""
    submission_port(trusting)
    if "::1" not in HOSTS:
        pytest.skip("no IPv6 here")
    with stores.Postfix(dovecot=trusting[0], xclient="127.0.0.1", settings="inet_protocols = ipv4\n") as postfix:
        front = launch_once(limits=FAST, submission=postfix.port, hosts=HOSTS, workers=1)
        with clients.reach(front.port("submission", "implicit", "::1"), "submission", "implicit", context, host="::1") as wire:
            assert clients.log_in(wire, "submission", "alice", USERS["alice"]).startswith(clients.TEMPORARY["submission"])
        assert front.wait_event("backend_down")["reason"] == "the backend refused XCLIENT"
        assert not front.events("auth_failed")
        enter(front, "submission", "implicit", context).close()
        front.wait_event("backend_up")


# ---- stores that lie about it

def refuses_xclient_smtp(talk):
    talk.send("220 store\r\n")
    talk.line()
    talk.send("250-store\r\n250-XCLIENT ADDR\r\n250 AUTH PLAIN\r\n")
    talk.line()
    talk.send("535 5.7.8 no\r\n")
    talk.rest()


def refuses_xclient_pop3(talk):
    talk.send("+OK [XCLIENT] ready\r\n")
    talk.line()
    talk.send("-ERR [AUTH] no\r\n")
    talk.rest()


@pytest.mark.parametrize("protocol, script", (("submission", refuses_xclient_smtp), ("pop3", refuses_xclient_pop3)))
def test_a_refused_xclient_is_never_a_failed_login(launch_once, context, protocol, script):
    with liars.Fake(script) as fake:
        front = launch_once(limits=FAST, listeners=[one for one in all_listeners() if one.protocol == protocol],
                            **{protocol: fake.port})
        with clients.reach(front.port(protocol, "implicit"), protocol, "implicit", context) as wire:
            assert clients.log_in(wire, protocol, "alice", "Geheim-1").startswith(clients.TEMPORARY[protocol])
        front.wait_event("auth_temporary")
        assert not front.events("auth_failed")
        assert b"Geheim-1" not in fake.received() and clients.plain("alice", "Geheim-1").encode() not in fake.received()
