"""The law: no password and no mail crosses the client's wire in clear text. Every way to try, octet by octet."""
import pytest

from conftest import PROTOCOLS
from support import clients, liars

SECRET = "Hunter2-Hunter2"
USER = "erika.exposed"


@pytest.fixture(scope="module")
def stores():
    """Fakes that accept anyone: whatever gets through would be logged in."""
    with liars.Fake(liars.ImapStore(None)) as imap, liars.Fake(liars.Pop3Store(None)) as pop3, \
            liars.Fake(liars.SubmissionStore(None)) as submission:
        yield {"imap": imap, "pop3": pop3, "submission": submission}


@pytest.fixture(scope="module")
def front(launch, stores):
    return launch(**{name: fake.port for name, fake in stores.items()})


def open_plain(front, protocol):
    wire = clients.Wire(front.port(protocol, "starttls"))
    wire.reply(protocol)
    return wire


# protocol, the lines, the beginning of each answer, the user that the event may name
EXPOSURES = [
    ("submission", ["EHLO c.example.test", "AUTH PLAIN " + clients.plain(USER, SECRET)], ["250", "538 5.7.11"], None),
    ("submission", ["AUTH PLAIN " + clients.plain(USER, SECRET)], ["538 5.7.11"], None),
    ("submission", ["auth plain " + clients.plain(USER, SECRET)], ["538 5.7.11"], None),
    ("submission", ["AUTH LOGIN " + clients.encoded(USER)], ["538 5.7.11"], None),
    ("submission", ["AUTH XOAUTH2 " + clients.encoded("user=%s\1auth=Bearer %s\1\1" % (USER, SECRET))], ["538 5.7.11"], None),
    ("imap", ["a LOGIN %s %s" % (USER, SECRET)], ["a NO [PRIVACYREQUIRED]"], USER),
    ("imap", ['a login "%s" "%s"' % (USER, SECRET)], ["a NO [PRIVACYREQUIRED]"], USER),
    ("imap", ["a LOGIN {%d+}\r\n%s %s" % (len(USER), USER, SECRET)], ["a NO [PRIVACYREQUIRED]"], USER),
    ("imap", ["a LOGIN %s {%d+}\r\n%s" % (USER, len(SECRET), SECRET)], ["a NO [PRIVACYREQUIRED]"], USER),
    ("imap", ["a AUTHENTICATE PLAIN " + clients.plain(USER, SECRET)], ["a NO [PRIVACYREQUIRED]"], None),
    ("pop3", ["USER " + USER, "PASS " + SECRET], ["-ERR [AUTH]", "-ERR"], USER),
    ("pop3", ["PASS " + SECRET], ["-ERR"], None),
    ("pop3", ["AUTH PLAIN " + clients.plain(USER, SECRET)], ["-ERR [AUTH]"], None),
]


@pytest.mark.parametrize("protocol, lines, answers, user", EXPOSURES, ids=lambda value: str(value)[:40])
def test_a_password_before_tls_is_refused_not_forwarded_not_logged(front, stores, protocol, lines, answers, user):
    before = len(stores[protocol].conversations)
    with open_plain(front, protocol) as wire:
        for line, answer in zip(lines, answers):
            assert wire.reply(protocol, line).startswith(answer)
        client = wire.address
    front.wait_event("session_end", client=client)
    exposed = [event for event in front.events("password_exposed") if event["client"] == client]
    assert exposed, "no event password_exposed"
    assert exposed[0]["protocol"] == protocol and exposed[0]["level"] == "warning"
    assert exposed[0]["user"] in (("-",) if user is None else (user,))
    assert len(stores[protocol].conversations) == before, "the backend was asked"
    log = front.log()
    for secret in (SECRET, clients.plain(USER, SECRET), clients.encoded(SECRET)):
        assert secret not in log, "a password stands in the log"


def test_apop_is_neither_offered_nor_taken(front, stores, context):
    with open_plain(front, "pop3") as wire:
        assert wire.pop3("APOP %s c4c9334bac560ecc979e58001b3e22fb" % USER).startswith("-ERR")
    with clients.Wire(front.port("pop3", "implicit"), tls=context) as wire:
        assert "<" not in wire.line(), "a greeting with a timestamp offers APOP"
        assert wire.pop3("APOP %s c4c9334bac560ecc979e58001b3e22fb" % USER).startswith("-ERR")


def test_a_synchronising_literal_of_login_before_tls_is_not_invited(front):
    for command in ("a LOGIN {%d}" % len(USER), "a LOGIN %s {%d}" % (USER, len(SECRET))):
        with open_plain(front, "imap") as wire:
            answer = wire.imap(command)
            assert answer.startswith("a NO [PRIVACYREQUIRED]"), answer
            assert wire.imap("b NOOP").startswith("b OK"), "the line after it is a command again"


def test_a_user_command_before_tls_stops_the_client_before_it_sends_the_password(front, authority):
    done = clients.run("curl", "-sv", "--max-time", "20", "--user", "%s:%s" % (USER, SECRET),
                       "pop3://127.0.0.1:%d/" % front.port("pop3", "starttls"))
    assert done.returncode != 0
    assert "PASS" not in done.stdout, done.stdout


@pytest.mark.parametrize("protocol, url", [("imap", "imap://127.0.0.1:%d/INBOX"), ("submission", "smtp://127.0.0.1:%d")])
def test_a_careless_curl_finds_no_login_before_tls(front, protocol, url):
    options = ["-X", "NOOP"] if protocol == "imap" else ["--mail-from", "a@example.test", "--mail-rcpt", "b@example.test",
                                                          "--upload-file", "-"]
    done = clients.run("curl", "-sv", "--max-time", "20", "--user", "%s:%s" % (USER, SECRET), *options,
                       url % front.port(protocol, "starttls"), data="Subject: x\r\n\r\nx\r\n")
    assert done.returncode != 0
    sent = [line for line in done.stdout.splitlines() if line.startswith("> ")]
    assert not any("LOGIN" in line or "AUTH " in line or "DATA" in line for line in sent), done.stdout


def test_what_is_offered_before_tls_holds_no_login(front):
    with open_plain(front, "submission") as wire:
        lines = wire.smtp("EHLO c.example.test").split("\n")
        assert "250-STARTTLS" in lines or "250 STARTTLS" in lines
        assert not any("AUTH" in line for line in lines), lines
    with open_plain(front, "imap") as wire:
        words = wire.imap("a CAPABILITY").split("\n")[0].split()
        assert {"IMAP4rev1", "STARTTLS", "LOGINDISABLED"} <= set(words)
        assert not any(word.startswith(("AUTH=", "SASL-IR")) for word in words), words
    with open_plain(front, "pop3") as wire:
        lines = wire.pop3("CAPA", many=True).split("\n")
        assert "STLS" in lines
        assert not any(line.startswith(("USER", "SASL")) for line in lines), lines


def test_what_is_offered_inside_tls_holds_no_second_tls(front, context):
    for mode in ("starttls", "implicit"):
        with clients.reach(front.port("submission", mode), "submission", mode, context) as wire:
            lines = wire.smtp("EHLO c.example.test").split("\n")
            assert any(line[4:] == "AUTH PLAIN LOGIN" for line in lines), lines
            assert not any("STARTTLS" in line or "CHUNKING" in line for line in lines), lines
        with clients.reach(front.port("imap", mode), "imap", mode, context) as wire:
            words = wire.imap("a CAPABILITY").split("\n")[0].split()
            assert {"IMAP4rev1", "SASL-IR", "AUTH=PLAIN", "AUTH=LOGIN"} <= set(words), words
            assert not {"STARTTLS", "LOGINDISABLED"} & set(words), words
        with clients.reach(front.port("pop3", mode), "pop3", mode, context) as wire:
            lines = wire.pop3("CAPA", many=True).split("\n")
            assert {"USER", "SASL PLAIN LOGIN"} <= set(lines), lines
            assert "STLS" not in lines and not any("APOP" in line for line in lines), lines


@pytest.mark.parametrize("protocol, behind", [
    ("submission", "NOOP\r\n"), ("submission", "MAIL FROM:<a@example.test>\r\n"), ("submission", "x"),
    ("imap", "a NOOP\r\n"), ("imap", "a LOGIN x y\r\n"), ("imap", " "),
    ("pop3", "NOOP\r\n"), ("pop3", "USER x\r\n"), ("pop3", "\0"),
])
def test_octets_behind_starttls_in_the_same_packet_end_the_session(front, protocol, behind):
    with open_plain(front, protocol) as wire:
        client = wire.address
        if protocol == "submission":
            assert wire.smtp("EHLO c.example.test").startswith("250")
        wire.send(clients.STARTTLS[protocol] + "\r\n" + behind)
        text = wire.rest()
        assert text.count("\r\n") <= 1, "the injected command was answered: %r" % text
    assert front.wait_event("refused", client=client)["reason"] == "injection"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_clear_text_in_place_of_the_handshake_ends_the_session(front, protocol):
    with open_plain(front, protocol) as wire:
        client = wire.address
        assert wire.reply(protocol, clients.STARTTLS[protocol]).startswith(clients.STARTED[protocol])
        wire.send({"submission": "EHLO c.example.test", "imap": "a CAPABILITY", "pop3": "CAPA"}[protocol] + "\r\n")
        assert "2.0.0" not in wire.rest()
    assert front.wait_event("refused", client=client)["reason"] == "injection"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_was_said_before_tls_is_forgotten(front, context, protocol):
    with open_plain(front, protocol) as wire:
        if protocol == "submission":
            assert wire.smtp("EHLO c.example.test").startswith("250")
        assert wire.reply(protocol, clients.STARTTLS[protocol]).startswith(clients.STARTED[protocol])
        wire.start_tls(context)
        if protocol == "submission":
            assert wire.smtp("AUTH PLAIN " + clients.plain("a", "b")).startswith("503 5.5.1"), "EHLO was remembered"
            assert wire.smtp("EHLO c.example.test").startswith("250")
        if protocol == "pop3":
            assert wire.pop3("PASS x").startswith("-ERR")
        assert wire.reply(protocol, clients.STARTTLS[protocol]).startswith(
            {"submission": "503 5.5.1", "imap": "s BAD", "pop3": "-ERR"}[protocol]), "TLS inside TLS"


@pytest.mark.parametrize("protocol, line, answer", [
    ("submission", "STARTTLS now", "501 5.5.4"), ("imap", "s STARTTLS now", "s BAD"), ("pop3", "STLS now", "-ERR")])
def test_starttls_with_an_argument_is_refused_and_the_session_goes_on(front, context, protocol, line, answer):
    with open_plain(front, protocol) as wire:
        if protocol == "submission":
            wire.smtp("EHLO c.example.test")
        assert wire.reply(protocol, line).startswith(answer)
        assert wire.reply(protocol, clients.STARTTLS[protocol]).startswith(clients.STARTED[protocol])
        wire.start_tls(context)
        if protocol == "submission":
            wire.smtp("EHLO c.example.test")
        assert clients.log_in(wire, protocol, "any", "one").startswith(clients.ACCEPTED[protocol])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_starttls_octet_by_octet_works(front, context, protocol):
    with open_plain(front, protocol) as wire:
        for octet in (("EHLO c.example.test\r\n" if protocol == "submission" else "")):
            wire.send(octet)
        if protocol == "submission":
            assert wire.smtp().startswith("250")
        for octet in clients.STARTTLS[protocol] + "\r\n":
            wire.send(octet)
        answer = wire.smtp() if protocol == "submission" else wire.line()
        assert answer.startswith(clients.STARTED[protocol])
        wire.start_tls(context)
        if protocol == "submission":
            wire.smtp("EHLO c.example.test")
        assert clients.log_in(wire, protocol, "any", "one").startswith(clients.ACCEPTED[protocol])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_clear_text_on_an_implicit_port_gets_no_word_of_the_protocol(front, protocol):
    with clients.Wire(front.port(protocol, "implicit")) as wire:
        wire.try_send(b"a LOGIN %s %s\r\n" % (USER.encode(), SECRET.encode()) * 3)
        answer = wire.rest()
        assert len(answer) == 0 or answer[0] == "\x15", "neither silence nor a TLS alert: %r" % answer
    assert SECRET not in front.log()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_implicit_port_says_nothing_before_the_hello(front, protocol, context):
    with clients.Wire(front.port(protocol, "implicit")) as wire:
        wire.socket.settimeout(0.2)
        with pytest.raises(clients.Silence):
            wire.line()
        wire.socket.settimeout(20)
        wire.start_tls(context)
        assert wire.reply(protocol)
