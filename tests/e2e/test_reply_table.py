"""Every command of every protocol, before TLS, inside TLS and after login, and what is answered.

The table is judged against the expectations here and written to build/reply-table.md. After login IMAP and POP3 belong to
the store, which here repeats what it was told ("store:"); submission is still judged by Postern.
"""
import pathlib

import pytest

from conftest import PROTOCOLS
from support import clients, liars
from support.postern import ROOT

PLAIN = clients.plain("alice", "x")
TLS = " [TLS begins]"
END = " [end]"    # of the session
STORE = "store"

# line: (before TLS, inside TLS, after login)
SUBMISSION = {
    "EHLO c.example.test": ("250", "250", "250"),
    "EHLO": ("501 5.5.4", "501 5.5.4", "501 5.5.4"),
    "HELO c.example.test": ("530 5.7.0", "250", "250"),
    "STARTTLS": ("220" + TLS, "503 5.5.1", "50"),
    "STARTTLS x": ("501 5.5.4", "503 5.5.1", "50"),
    "AUTH PLAIN " + PLAIN: ("538 5.7.11", "235", "503 5.5.1"),
    "AUTH PLAIN": ("538 5.7.11", "334", "503 5.5.1"),
    "AUTH LOGIN": ("538 5.7.11", "334", "503 5.5.1"),
    "AUTH CRAM-MD5": ("538 5.7.11", "504 5.5.4", "503 5.5.1"),
    "AUTH": ("538 5.7.11", "501 5.5.4", "503 5.5.1"),
    "NOOP": ("250", "250", "250"),
    "RSET": ("530 5.7.0", "250", "250"),
    "VRFY alice": ("530 5.7.0", "252", "250"),
    "EXPN list": ("530 5.7.0", "530 5.7.0", "250"),
    "HELP": ("530 5.7.0", "214", "250"),
    "MAIL FROM:<a@example.test>": ("530 5.7.0", "530 5.7.0", "250"),
    "RCPT TO:<a@example.test>": ("530 5.7.0", "530 5.7.0", "250"),
    "DATA": ("530 5.7.0", "530 5.7.0", "354"),
    "BDAT 0 LAST": ("530 5.7.0", "530 5.7.0", "502"),
    "QUIT": ("221" + END, "221" + END, "221" + END),
    "XCLIENT ADDR=192.0.2.1": ("530 5.7.0", "50", "50"),
    "XFORWARD NAME=x": ("530 5.7.0", "50", "50"),
    "ETRN x": ("530 5.7.0", "50", "50"),
    "BURL imap://x LAST": ("530 5.7.0", "50", "50"),
    "FOO": ("530 5.7.0", "500", "500"),
    "": ("500", "500", "500"),
}

NEEDS_TLS, NEEDS_LOGIN = "a NO", "a NO"
IMAP = {
    "a CAPABILITY": ("a OK", "a OK", STORE),
    "a NOOP": ("a OK", "a OK", STORE),
    "a ID NIL": ("a OK", "a OK", STORE),
    'a ID ("name" "x" "x-originating-ip" "192.0.2.1")': ("a OK", "a OK", STORE),
    "a LOGOUT": ("a OK" + END, "a OK" + END, STORE),
    "a STARTTLS": ("a OK" + TLS, "a BAD", STORE),
    "a STARTTLS x": ("a BAD", "a BAD", STORE),
    "a LOGIN alice x": ("a NO [PRIVACYREQUIRED]", "a OK", STORE),
    "a LOGIN {5}": ("a NO [PRIVACYREQUIRED]", "+", STORE),
    "a LOGIN": ("a NO [PRIVACYREQUIRED]", "a BAD", STORE),
    "a AUTHENTICATE PLAIN": ("a NO [PRIVACYREQUIRED]", "+", STORE),
    "a AUTHENTICATE PLAIN " + PLAIN: ("a NO [PRIVACYREQUIRED]", "a OK", STORE),
    "a AUTHENTICATE LOGIN": ("a NO [PRIVACYREQUIRED]", "+", STORE),
    "a AUTHENTICATE CRAM-MD5": ("a NO [PRIVACYREQUIRED]", "a NO [CANNOT]", STORE),
    "a AUTHENTICATE": ("a NO [PRIVACYREQUIRED]", "a BAD", STORE),
    "a FOO": ("a BAD", "a BAD", STORE),
    "a": ("* BAD", "* BAD", STORE),
    "* NOOP": ("* BAD", "* BAD", STORE),
    "": ("* BAD", "* BAD", STORE),
}
IMAP.update({"a " + line: (NEEDS_TLS, NEEDS_LOGIN, STORE) for line in (
    "SELECT INBOX", "EXAMINE INBOX", "CREATE x", "DELETE x", "RENAME x y", "SUBSCRIBE x", "UNSUBSCRIBE x", 'LIST "" *',
    'LSUB "" *', "STATUS INBOX (MESSAGES)", "APPEND INBOX {3}", "CHECK", "CLOSE", "EXPUNGE", "SEARCH ALL", "FETCH 1 ALL",
    "STORE 1 FLAGS ()", "COPY 1 x", "UID FETCH 1 ALL", "IDLE", "ENABLE CONDSTORE", "NAMESPACE", "UNSELECT", "MOVE 1 x",
    "UNAUTHENTICATE", "COMPRESS DEFLATE")})

POP3 = {
    "CAPA": ("+OK", "+OK", STORE),
    "NOOP": ("+OK", "+OK", STORE),
    "STLS": ("+OK" + TLS, "-ERR", STORE),
    "STLS x": ("-ERR", "-ERR", STORE),
    "USER alice": ("-ERR [AUTH]", "+OK", STORE),
    "USER": ("-ERR", "-ERR", STORE),
    "PASS x": ("-ERR", "-ERR", STORE),
    "APOP alice c4c9334bac560ecc979e58001b3e22fb": ("-ERR", "-ERR", STORE),
    "AUTH": ("-ERR [AUTH]", "+OK", STORE),
    "AUTH PLAIN": ("-ERR [AUTH]", "+", STORE),
    "AUTH PLAIN " + PLAIN: ("-ERR [AUTH]", "+OK", STORE),
    "AUTH LOGIN": ("-ERR [AUTH]", "+", STORE),
    "AUTH CRAM-MD5": ("-ERR [AUTH]", "-ERR", STORE),
    "QUIT": ("+OK" + END, "+OK" + END, STORE),
    "FOO": ("-ERR", "-ERR", STORE),
    "": ("-ERR", "-ERR", STORE),
    "XCLIENT ADDR=192.0.2.1": ("-ERR", "-ERR", STORE),
}
POP3.update({line: ("-ERR", "-ERR", STORE) for line in (
    "STAT", "LIST", "RETR 1", "DELE 1", "RSET", "TOP 1 0", "UIDL", "LAST")})

EXPECTED = {"submission": SUBMISSION, "imap": IMAP, "pop3": POP3}
PHASES = ("before TLS", "inside TLS", "after login")


@pytest.fixture(scope="module")
def fakes():
    with liars.Fake(liars.ImapStore(None)) as imap, liars.Fake(liars.Pop3Store(None)) as pop3, \
            liars.Fake(liars.SubmissionStore(None)) as submission:
        yield {"imap": imap, "pop3": pop3, "submission": submission}


@pytest.fixture(scope="module")
def front(launch, fakes):
    return launch(**{name: fake.port for name, fake in fakes.items()}, limits={"max_sessions_per_address": 0})


def open_in(front, protocol, phase, context):
    if phase == 0:
        wire = clients.Wire(front.port(protocol, "starttls"))
        wire.reply(protocol)
        if protocol == "submission":
            wire.smtp("EHLO first.example.test")
        return wire
    if phase == 1:
        return clients.reach(front.port(protocol, "implicit"), protocol, "implicit", context)
    return clients.enter(front.port(protocol, "implicit"), protocol, "implicit", context, "alice", "x")


def ask(wire, protocol, line):
    """The status line of the reply to one command."""
    wire.send(line + "\r\n")
    if protocol == "submission":
        return wire.smtp()
    if protocol == "pop3":
        return wire.line() or ""
    while True:
        answer = wire.line()
        if answer is None:
            return ""
        if not answer.startswith("* ") or answer.startswith("* BAD"):
            return answer


def shown(wire, protocol, phase, line, context):
    """What the table shows for one command: the reply and what becomes of the session."""
    if phase == 2 and protocol != "submission":
        wire.send(line + "\r\n")
        wire.send("zz PROBE\r\n")
        answers = [wire.line()]
        while answers[-1] is not None and "zz PROBE" not in answers[-1]:
            answers.append(wire.line())
        passed = any(answer is not None and answer.endswith("did " + line) for answer in answers)
        ended = protocol == "pop3" and line == "QUIT" and "did QUIT" in answers[0]
        return STORE if passed or ended else "not passed: %r" % answers
    answer = ask(wire, protocol, line)
    begin = {"submission": "220", "imap": "a OK", "pop3": "+OK"}[protocol]
    if phase == 0 and answer.startswith(begin) and "STLS" in line + line.replace("STARTTLS", "STLS"):
        wire.start_tls(context)
        return answer + TLS
    if answer.startswith(("221", "a OK", "+OK")) and line.split(" ")[-1] in ("QUIT", "LOGOUT"):
        assert wire.rest() == ""
        assert wire.ending == ("eof" if phase == 0 else "close_notify")
        return answer + END
    return answer


@pytest.fixture(scope="module")
def table(front, context):
    found = {}
    for protocol in PROTOCOLS:
        for line in EXPECTED[protocol]:
            for phase in range(3):
                with open_in(front, protocol, phase, context) as wire:
                    found[protocol, line, phase] = shown(wire, protocol, phase, line, context)
    return found


def agrees(reply, expected):
    for mark in (TLS, END):
        if expected.endswith(mark):
            return reply.startswith(expected[:-len(mark)]) and reply.endswith(mark)
    return reply.startswith(expected) and not reply.endswith((TLS, END))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_command_in_every_phase_has_the_reply_that_is_promised(table, protocol):
    wrong = ["%r %s: %r, not %r" % (line, PHASES[phase], table[protocol, line, phase], expected[phase])
             for line, expected in EXPECTED[protocol].items() for phase in range(3)
             if not agrees(table[protocol, line, phase], expected[phase])]
    assert not wrong, "\n".join(wrong)


def test_nothing_that_leads_to_a_credential_is_invited_before_tls(table):
    for (protocol, line, phase), reply in table.items():
        words = line.upper().split()
        if phase == 0 and set(words) & {"AUTH", "AUTHENTICATE", "LOGIN", "USER", "PASS", "APOP"}:
            assert not reply.startswith(("+", "334", "235", "a OK")), (protocol, line, reply)


def test_the_table_is_written(table):
    path = pathlib.Path(ROOT) / "build" / "reply-table.md"
    path.parent.mkdir(exist_ok=True)
    rows = ["# What is answered, and when", ""]
    for protocol in PROTOCOLS:
        rows += ["## " + protocol, "", "| command | " + " | ".join(PHASES) + " |", "|---|---|---|---|"]
        for line in EXPECTED[protocol]:
            cells = [line or "(empty line)"] + [table[protocol, line, phase] for phase in range(3)]
            rows.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " / ") for cell in cells) + " |")
        rows.append("")
    path.write_text("\n".join(rows))
    assert path.stat().st_size > 1000
