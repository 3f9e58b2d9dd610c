"""Every line of README.md's table of events is produced by some test, with those levels and fields and no others. Here are the
events that no other test brings about; the comparison itself is made when all tests have run."""
import os
import resource
import shutil
import signal
import socket
import struct
import subprocess

import pytest

from support import clients, liars, log_lines
from support.events_seen import IN_UNIT_TESTS, table
from support.postern import ROOT, Backend, Configuration, Listener, Postern, command, environment, program


@pytest.fixture(scope="module")
def store():
    with liars.Fake(liars.ImapStore({b"alice": b"right"})) as fake:
        yield fake


@pytest.fixture
def front(tmp_path, certificate, store):
    made = []

    def make(limits="", **settings):
        settings.setdefault("workers", 1)
        made.append(Postern(str(tmp_path), Configuration(certificate, [Backend("imap", store.port)],
                                                         listeners=[Listener("imap", "implicit")],
                                                         limits="drain_timeout = 2; failure_delay_ms = 10; " + limits, **settings)))
        return made[-1].start()
    yield make
    for one in made:
        one.kill()


def test_an_auth_process_that_hangs_is_stuck(front, context):
    one = front("auth_timeout = 1;")
    hung = one.children("auth")
    for pid in hung:
        os.kill(pid, signal.SIGSTOP)
    with clients.reach(one.port("imap", "implicit"), "imap", "implicit", context) as wire:
        assert clients.log_in(wire, "imap", "alice", "right").startswith(clients.TEMPORARY["imap"])
    stuck = one.wait_event("child_stuck", kind="auth")
    one.wait_event("child_died", incarnation=stuck["incarnation"], signal=9)
    for pid in hung:
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass
    one.stop()


def test_a_supervisor_without_descriptors_says_what_it_cannot_start(front):
    one = front()
    soft, hard = resource.prlimit(one.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(one.pid, resource.RLIMIT_NOFILE, (3, hard))    # 0, 1 and 2 are taken
    os.kill(one.children("worker")[0], signal.SIGKILL)
    one.wait_event("supervisor", level="error")
    resource.prlimit(one.pid, resource.RLIMIT_NOFILE, (soft, hard))
    one.wait_event("child_started", kind="worker")
    one.stop()


def test_a_process_that_cannot_be_executed_dies_with_a_status(front, context, tmp_path, monkeypatch):
    copy = tmp_path / ("asan-postern" if "asan" in program() else "postern")
    shutil.copy(program(), copy)
    monkeypatch.setenv("POSTERN", str(copy))
    one = front()
    copy.chmod(0)    # nobody may, root neither
    os.kill(one.children("worker")[0], signal.SIGKILL)
    one.wait_event("child_died", kind="worker", status=os.EX_OSERR)
    copy.chmod(0o755)
    one.wait_event("child_started", kind="worker")
    with clients.enter(one.port("imap", "implicit"), "imap", "implicit", context, "alice", "right"):
        one.stop()


def test_a_reload_that_takes_a_doubtful_configuration_says_so(front):
    one = front()
    with open(one.path, encoding="utf-8") as file:
        text = file.read()
    one.configure(text.replace("drain_timeout = 2;", "drain_timeout = 2; max_sessions = 5; max_sessions_per_address = 6;"))
    one.signal(signal.SIGHUP)
    assert "exceeds max_sessions" in one.wait_event("reload", level="warning", file=one.path)["warning"]
    one.wait_event("reload", result="done")
    one.stop()


def test_a_process_that_gets_nonsense_from_the_supervisor_fails():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reader, writer = os.pipe()
        child = subprocess.Popen(command(*f"--child auth 0 1 {theirs.fileno()} {writer} -1 0 0 0 0".split()), env=environment(),
                                 pass_fds=(theirs.fileno(), writer), stdin=subprocess.DEVNULL)
        os.close(writer)
        theirs.close()
        ours.sendall(struct.pack("=IBBH", 8, 2, 0, 63))
        assert child.wait(60) != 0
        with open(reader, encoding="utf-8") as log:
            line = log.read().strip()
    log_lines.note(line)
    assert log_lines.parse(line)["event"] == "child_failed"


def test_what_is_told_at_level_debug(front, context):
    one = front(log='level = "debug";')
    with clients.enter(one.port("imap", "implicit"), "imap", "implicit", context, "alice", "right"):
        assert one.wait_event("login", user="alice")["backend"]
    with clients.reach(one.port("imap", "implicit"), "imap", "implicit", context) as wire:
        assert wire.imap("a AUTHENTICATE PLAIN " + clients.plain("alice", "right", "bob")).split("\n")[-1].startswith("a NO")
        assert wire.imap("b AUTHENTICATE PLAIN " + clients.plain("alice", "")).split("\n")[-1].startswith("b NO")
    assert "password verifier" in one.wait_event("sasl", level="debug")["message"]    # it looks for one in vain
    assert "right" not in one.log()
    one.stop()
    assert one.events("child_ended", kind="worker", level="debug")


# ---- the comparison


def test_every_event_of_the_table_is_one_of_the_program():
    code = "".join(path.read_text(encoding="utf-8") for folder in ("frontend", "auth") for path in (ROOT / folder).glob("*.c"))
    assert not {name for name in table() if f'"{name}"' not in code}, "no such events"
    for name, path in IN_UNIT_TESTS.items():
        assert f"event={name} " in (ROOT / path).read_text(encoding="utf-8")
