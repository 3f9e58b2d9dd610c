"""Backends that lie, and TLS towards backends: whatever goes wrong becomes the temporary reply, and no way in opens."""
import pytest

from conftest import PROTOCOLS, USERS
from support import certificates, clients, liars
from support.postern import Backend

USER, SECRET = "alice", "Geheim-Geheim-1"
FAST = {"failure_delay_ms": 10, "failure_delay_max_ms": 20}
PASSES = {"imap": (SECRET.encode(), clients.plain(USER, SECRET).encode()),
          "pop3": (SECRET.encode(), clients.plain(USER, SECRET).encode()),
          "submission": (SECRET.encode(), clients.plain(USER, SECRET).encode(), clients.encoded(SECRET).encode())}


@pytest.fixture(scope="module")
def fakes():
    """One port per protocol; each test sets the script."""
    def nobody(talk):
        raise AssertionError("no script is set")
    with liars.Fake(nobody) as imap, liars.Fake(nobody) as pop3, liars.Fake(nobody) as submission:
        yield {"imap": imap, "pop3": pop3, "submission": submission}


@pytest.fixture(scope="module")
def front(launch, fakes):
    return launch(limits=dict(FAST, backend_timeout=3), **{name: fake.port for name, fake in fakes.items()})


def attempt(front, protocol, context):
    """One login on a fresh connection: (reply, what still works on the session afterwards)."""
    with clients.reach(front.port(protocol, "implicit"), protocol, "implicit", context) as wire:
        answer = clients.log_in(wire, protocol, USER, SECRET)
        if answer.startswith(clients.ACCEPTED[protocol]):
            return answer, None
        return answer, wire.reply(protocol, {"imap": "n NOOP"}.get(protocol, "NOOP"))


def assert_temporary(front, protocol, context):
    answer, noop = attempt(front, protocol, context)
    assert answer.startswith(clients.TEMPORARY[protocol]), answer
    assert noop[:4] in ("250 ", "n OK", "+OK", "+OK "), "the session did not go back to the dialogue: %r" % noop


def assert_unseen(fake, protocol):
    received = fake.received()
    for form in PASSES[protocol]:
        assert form not in received, "the credential was shown to it: %r" % received


# ---- scripts: each is what one bad backend says

def says(*lines, then="+OK fine"):
    """Sends a greeting, then one answer for each line that comes; and whatever comes after that is welcome too."""
    def script(talk):
        talk.send(lines[0] + "\r\n")
        for answer in lines[1:]:
            talk.line()
            talk.send(answer.replace("\n", "\r\n") + "\r\n")
        while True:
            talk.line()
            talk.send(then + "\r\n")
    return script


def smtp_says(*lines):
    return says(*lines, then="235 2.7.0 welcome")


def imap_says(*answers, greeting="* OK ready"):
    """Answers CAPABILITY honestly, then command after command, and at last everything with OK; TAG stands for its tag."""
    def script(talk):
        talk.send(greeting + "\r\n")
        rest = list(answers)
        while True:
            tag, name, _ = liars.imap_command(talk)
            if rest and (name != "CAPABILITY" or rest[0].startswith("* CAPABILITY")):
                answer = rest.pop(0)
            elif name == "CAPABILITY":
                answer = "* CAPABILITY IMAP4rev1\nTAG OK done"
            else:
                answer = "TAG OK [CAPABILITY IMAP4rev1] welcome"
            talk.send(answer.replace("TAG", tag).replace("\n", "\r\n") + "\r\n")
    return script


def only_untagged(talk):
    """Says OK to everything, but to LOGIN without its tag; then closes."""
    talk.send("* OK ready\r\n")
    name = ""
    while name != "LOGIN":
        tag, name, _ = liars.imap_command(talk)
        talk.send("* OK logged in\r\n" if name == "LOGIN" else "* CAPABILITY IMAP4rev1\r\n%s OK done\r\n" % tag)


EHLO_OK = "250-store\n250 AUTH PLAIN LOGIN"

# what it is, script, whether it may have seen the credential
LIES = {
    "imap": {
        "PREAUTH": (imap_says(greeting="* PREAUTH you are in"), False),
        "BYE for a greeting": (imap_says(greeting="* BYE no"), False),
        "a greeting of another protocol": (imap_says(greeting="220 store ESMTP"), False),
        "BAD to LOGIN": (imap_says("TAG BAD what"), True),
        "NO with a code of its own": (imap_says("TAG NO [UNAVAILABLE] later"), True),
        "NO [INUSE]": (imap_says("TAG NO [INUSE] busy"), True),
        "OK under another tag": (imap_says("zzz OK in\nTAG NO [UNAVAILABLE] x"), True),
        "untagged OK only, then the end": (only_untagged, True),
        "UNAUTHENTICATE offered": (liars.ImapStore(None, capability="IMAP4rev1 UNAUTHENTICATE"), None),
        "UNAUTHENTICATE offered in the tagged OK": (liars.ImapStore(None, after="IMAP4rev1 UNAUTHENTICATE"), True),
        "UNAUTHENTICATE offered when asked": (liars.ImapStore(None, after="IMAP4rev1 UNAUTHENTICATE", in_ok=False), True),
        "half a greeting, then the end": (lambda talk: talk.send("* O"), False),
        "a line without end": (lambda talk: (talk.send(b"* OK " + b"x" * 100000), talk.rest()), False),
    },
    "pop3": {
        "-ERR for a greeting": (says("-ERR no"), False),
        "a greeting of another protocol": (says("* OK ready"), False),
        "+OK to USER only, then the end": (lambda talk: (talk.send("+OK\r\n"), talk.line(), talk.send("+OK\r\n"),
                                                         talk.line()), True),
        "two answers to USER": (says("+OK", "+OK\n+OK logged in"), None),
        "a SYS/TEMP": (says("+OK", "+OK", "-ERR [SYS/TEMP] later"), True),
        "a SYS/PERM": (says("+OK", "+OK", "-ERR [SYS/PERM] never"), True),
        "no status at all": (says("+OK", "+OK", "fine"), True),
        "+OK with something glued on": (says("+OK", "+OK", "+OKAY"), True),
    },
    "submission": {
        "EHLO without AUTH": (smtp_says("220 store", "250-store\n250 PIPELINING"), False),
        "AUTH without a mechanism of ours": (smtp_says("220 store", "250-store\n250 AUTH GSSAPI"), False),
        "554 for a greeting": (smtp_says("554 no"), False),
        "235 for a greeting": (smtp_says("235 welcome"), False),
        "235 to EHLO": (smtp_says("220 store", "235 welcome"), False),
        "235 behind the answer to EHLO": (smtp_says("220 store", EHLO_OK + "\n235 welcome"), None),
        "250 to AUTH": (smtp_says("220 store", EHLO_OK, "250 fine"), True),
        "454 to AUTH": (smtp_says("220 store", EHLO_OK, "454 4.7.0 later"), True),
        "421 to AUTH": (smtp_says("220 store", EHLO_OK, "421 4.3.2 bye"), True),
        "504 to AUTH": (smtp_says("220 store", EHLO_OK, "504 5.5.4 not that"), True),
        "530 to AUTH": (smtp_says("220 store", EHLO_OK, "530 5.7.0 TLS"), True),
        "538 to AUTH": (smtp_says("220 store", EHLO_OK, "538 5.7.11 TLS"), True),
        "no reply but text": (smtp_says("220 store", EHLO_OK, "welcome"), True),
        "mixed codes": (smtp_says("220 store", "250-store\n235 AUTH PLAIN"), False),
    },
}


@pytest.mark.parametrize("protocol, lie", [(protocol, lie) for protocol in LIES for lie in LIES[protocol]])
def test_a_lying_backend_lets_nobody_in(front, fakes, context, protocol, lie):
    fake = fakes[protocol]
    fake.forget()
    fake.script, may_see = LIES[protocol][lie]
    answer, noop = attempt(front, protocol, context)
    if protocol == "pop3" and "SYS/PERM" in lie:
        assert answer.startswith("-ERR [SYS/PERM]"), "the code is kept: %r" % answer
    else:
        assert answer.startswith(clients.TEMPORARY[protocol]), answer
    assert noop, "the session ended"
    assert "welcome" not in answer and "logged in" not in answer, "the backend's words passed"
    if may_see is False:
        assert_unseen(fake, protocol)
    if may_see is True:
        assert any(form in fake.received() for form in PASSES[protocol]), "the lie was never told: %r" % fake.received()


REFUSALS = {
    "imap": ["TAG NO wrong", "TAG NO [AUTHENTICATIONFAILED] wrong", "TAG NO [EXPIRED] x", "TAG NO [AUTHORIZATIONFAILED] x"],
    "pop3": ["-ERR wrong", "-ERR [AUTH] wrong"],
    "submission": ["535 5.7.8 wrong", "535 wrong"],
}


@pytest.mark.parametrize("protocol, words", [(protocol, words) for protocol in REFUSALS for words in REFUSALS[protocol]])
def test_what_counts_as_a_wrong_password_in_our_own_words(front, fakes, context, protocol, words):
    fake = fakes[protocol]
    fake.forget()
    fake.script = {"imap": imap_says(words), "pop3": says("+OK", "+OK", words),
                   "submission": smtp_says("220 store", EHLO_OK, words)}[protocol]
    answer, noop = attempt(front, protocol, context)
    assert answer.startswith(clients.REFUSED[protocol]), answer
    assert not answer.endswith("wrong"), "the backend's own words about passwords passed: %r" % answer
    assert noop


def test_a_pop3_refusal_at_user_is_a_refusal(front, fakes, context):
    fakes["pop3"].forget()
    fakes["pop3"].script = liars.Pop3Store(None, to_user="-ERR never heard of")
    assert attempt(front, "pop3", context)[0].startswith(clients.REFUSED["pop3"])


@pytest.mark.parametrize("code", ("IN-USE", "LOGIN-DELAY"))
def test_a_pop3_response_code_is_kept(front, fakes, context, code):
    fakes["pop3"].forget()
    fakes["pop3"].script = says("+OK", "+OK", "-ERR [%s] try again" % code)
    assert attempt(front, "pop3", context)[0].startswith("-ERR [%s]" % code)


def test_temporary_trouble_is_no_failed_attempt(front, fakes, context):
    fakes["imap"].script = imap_says("TAG NO [UNAVAILABLE] x")
    with clients.reach(front.port("imap", "implicit"), "imap", "implicit", context) as wire:
        client = wire.address
        for _ in range(5):
            assert clients.log_in(wire, "imap", USER, SECRET).startswith(clients.TEMPORARY["imap"])
    front.wait_event("session_end", client=client)
    assert len(front.events("auth_temporary", client=client)) == 5
    assert not front.events("auth_failed", client=client)


def test_a_literal_is_not_sent_before_it_is_invited(front, fakes, context):
    """A name that cannot be quoted travels as a literal, and what is inside never precedes the continuation."""
    seen = {}

    def script(talk):
        talk.send("* OK ready\r\n")
        line = talk.line()
        seen["first"] = line
        if line.endswith("}") and not line.endswith("+}"):
            talk.send("x NO nothing invited\r\n")
        talk.rest()

    fakes["imap"].forget()
    fakes["imap"].script = script
    with clients.reach(front.port("imap", "implicit"), "imap", "implicit", context) as wire:
        answer = wire.imap("a AUTHENTICATE PLAIN " + clients.plain("gr\u00fcn", "s\u00fc\u00df"))
        assert answer.startswith("a NO [UNAVAILABLE]"), answer
    if seen["first"].endswith("}"):
        assert "s\u00fc\u00df".encode() not in fakes["imap"].received()


# ---- TLS towards the backend

@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """A certificate for the right name from an authority that nobody trusts."""
    folder = str(tmp_path_factory.mktemp("stranger"))
    return certificates.make_certificate(folder, certificates.make_ca(folder, "Stranger"), ("localhost", "127.0.0.1"))


@pytest.fixture(scope="module")
def misnamed(authority, tmp_path_factory):
    return certificates.make_certificate(str(tmp_path_factory.mktemp("misnamed")), authority, ("other.example.test",))


@pytest.fixture(scope="module")
def expired(authority, tmp_path_factory):
    return certificates.make_certificate(str(tmp_path_factory.mktemp("expired")), authority, ("localhost", "127.0.0.1"), days=-1)


STORES = {"imap": liars.ImapStore, "pop3": liars.Pop3Store, "submission": liars.SubmissionStore}


def secure_fake(protocol, mode, certificate):
    return liars.Fake(STORES[protocol](None, starttls=mode == "starttls"), (certificate.chain, certificate.key),
                      implicit=mode == "implicit")


def pool(protocol, fake, mode, authority, extra="", host="127.0.0.1"):
    return Backend(protocol, fake.port, host=host, tls=mode, extra='ca = "%s"; %s' % (authority.certificate, extra))


@pytest.mark.parametrize("mode", ("starttls", "implicit"))
def test_tls_with_the_right_certificate_carries_the_login(launch_once, authority, certificate, context, mode):
    with secure_fake("imap", mode, certificate) as imap, secure_fake("pop3", mode, certificate) as pop3, \
            secure_fake("submission", mode, certificate) as submission:
        fakes = {"imap": imap, "pop3": pop3, "submission": submission}
        front = launch_once(limits=FAST, **{name: pool(name, fake, mode, authority, host="localhost")
                                            for name, fake in fakes.items()})
        for protocol, fake in fakes.items():
            answer, _ = attempt(front, protocol, context)
            assert answer.startswith(clients.ACCEPTED[protocol]), answer
            talk = fake.conversations[-1]
            assert talk.secure and talk.notes["login"] == (USER.encode(), SECRET.encode())
            assert not any(form in talk.clear for form in PASSES[protocol])


@pytest.mark.parametrize("mode", ("starttls", "implicit"))
@pytest.mark.parametrize("whose", ("stranger", "misnamed", "expired"))
def test_a_certificate_that_does_not_verify_stops_before_any_credential(launch_once, authority, context, request, mode,
                                                                        whose):
    bad = request.getfixturevalue(whose)
    with secure_fake("imap", mode, bad) as imap, secure_fake("pop3", mode, bad) as pop3, \
            secure_fake("submission", mode, bad) as submission:
        fakes = {"imap": imap, "pop3": pop3, "submission": submission}
        front = launch_once(limits=FAST, **{name: pool(name, fake, mode, authority) for name, fake in fakes.items()})
        for protocol, fake in fakes.items():
            assert_temporary(front, protocol, context)
            fake.wait_ended()
            assert_unseen(fake, protocol)
            assert fake.conversations, "it was not even tried"


def test_verify_none_takes_any_certificate(launch_once, authority, context, stranger):
    with secure_fake("imap", "starttls", stranger) as fake:
        front = launch_once(limits=FAST, imap=Backend("imap", fake.port, tls="starttls", extra='verify = "none";'))
        assert attempt(front, "imap", context)[0].startswith("l OK")
        assert fake.conversations[-1].secure


def test_the_name_option_of_a_server_is_the_name_that_must_be_in_the_certificate(launch_once, authority, context, misnamed):
    with secure_fake("imap", "implicit", misnamed) as fake:
        text = 'ca = "%s";' % authority.certificate
        backend = Backend("imap", fake.port, tls="implicit", extra=text)
        whole = backend.text().replace('host = "127.0.0.1";', 'host = "127.0.0.1"; name = "other.example.test";')
        backend.text = lambda: whole
        front = launch_once(limits=FAST, imap=backend)
        assert attempt(front, "imap", context)[0].startswith("l OK")


def withdrawn(protocol):
    """STARTTLS is not offered any more, though the operator says that it must be."""
    return STORES[protocol](None, starttls=False)


def refused(protocol):
    if protocol == "imap":
        return imap_says("* CAPABILITY IMAP4rev1 STARTTLS\nTAG OK done", "TAG NO not now")
    if protocol == "pop3":
        return says("+OK", "+OK\nSTLS\nUSER\n.", "-ERR not now")
    return smtp_says("220 store", "250-store\n250-STARTTLS\n250 AUTH PLAIN", "454 4.7.0 not now")


def injecting(protocol):
    """Says yes to STARTTLS and something more, in clear text, in the same packet."""
    if protocol == "imap":
        def script(talk):
            talk.send("* OK ready\r\n")
            while True:
                tag, name, _ = liars.imap_command(talk)
                if name == "STARTTLS":
                    talk.send("%s OK go\r\n* CAPABILITY IMAP4rev1 EVIL\r\n" % tag)
                    talk.start_tls()
                else:
                    talk.send("* CAPABILITY IMAP4rev1 STARTTLS\r\n%s OK done\r\n" % tag)
    elif protocol == "pop3":
        def script(talk):
            talk.send("+OK ready\r\n")
            while True:
                line = talk.line().upper()
                if line == "STLS":
                    talk.send("+OK go\r\n+OK and more\r\n")
                    talk.start_tls()
                else:
                    talk.send("+OK\r\nSTLS\r\nUSER\r\n.\r\n")
    else:
        def script(talk):
            talk.send("220 store\r\n")
            while True:
                line = talk.line().upper()
                if line == "STARTTLS":
                    talk.send("220 go\r\n250-store\r\n250 AUTH PLAIN\r\n")
                    talk.start_tls()
                else:
                    talk.send("250-store\r\n250 STARTTLS\r\n")
    return script


@pytest.fixture(scope="module")
def strict(launch, authority, certificate):
    """Pools that require STARTTLS; each test sets the scripts."""
    key = (certificate.chain, certificate.key)
    with liars.Fake(None, key) as imap, liars.Fake(None, key) as pop3, liars.Fake(None, key) as submission:
        fakes = {"imap": imap, "pop3": pop3, "submission": submission}
        front = launch(limits=FAST, **{name: pool(name, fake, "starttls", authority) for name, fake in fakes.items()})
        yield front, fakes


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("behaviour", (withdrawn, refused, injecting))
def test_starttls_that_goes_wrong_stops_before_any_credential(strict, context, protocol, behaviour):
    front, fakes = strict
    fakes[protocol].forget()
    fakes[protocol].script = behaviour(protocol)
    assert_temporary(front, protocol, context)
    assert_unseen(fakes[protocol], protocol)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_capabilities_from_before_tls_are_forgotten(strict, context, protocol):
    """Inside TLS the store offers another login than outside; only what is said inside counts."""
    front, fakes = strict
    fake = fakes[protocol]
    fake.forget()
    if protocol != "submission":
        fake.script = STORES[protocol](None, starttls=True)
        assert attempt(front, protocol, context)[0].startswith(clients.ACCEPTED[protocol])
        return

    def script(talk):
        talk.send("220 store\r\n")
        talk.line()
        talk.send("250-store\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n")
        assert talk.line() == "STARTTLS"
        talk.send("220 go\r\n")
        talk.start_tls()
        assert talk.line().startswith("EHLO"), "EHLO was not said anew"
        talk.send("250 store\r\n")
        talk.rest()

    fake.script = script
    assert_temporary(front, protocol, context)
    assert_unseen(fake, protocol)


def test_tls_to_the_real_stores(launch_once, dovecot, postfix, authority, context):
    ca = 'ca = "%s";' % authority.certificate
    for mode, ports in (("starttls", {"imap": dovecot.imap_port, "pop3": dovecot.pop3_port, "submission": postfix.port}),
                        ("implicit", {"imap": dovecot.imaps_port, "pop3": dovecot.pop3s_port,
                                      "submission": getattr(postfix, "smtps_port", 0)})):
        if postfix.certificate is None:    # the stand-in has no TLS
            del ports["submission"]
        front = launch_once(**{name: Backend(name, port, host="localhost", tls=mode, extra=ca) for name, port in ports.items()})
        for protocol in ports:
            with clients.enter(front.port(protocol, "starttls"), protocol, "starttls", context, "alice",
                               USERS["alice"]) as wire:
                assert wire.reply(protocol, {"imap": "b NOOP"}.get(protocol, "NOOP")).startswith(("250", "b OK", "+OK"))
