"""Under a service manager: what it is told (sd_notify), and the sockets that it hands over (LISTEN_FDS)."""
import os
import pathlib
import shlex
import signal
import socket
import sys

import pytest
from support import clients, liars, ports
from support.postern import Backend, Configuration, Listener, Postern, check
from support.wait import wait_for

VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")

# Binds sockets as a socket unit would and becomes the program: ADDRESS,PORT,REUSEPORT,V6ONLY[,TYPE] ... [kept] -- PROGRAM
_HAND_OVER = """
import fcntl, os, socket, sys
cut = sys.argv.index("--")
bound = []
kept = sys.argv[cut - 1] == "kept"
for text in sys.argv[1:cut - kept]:
    address, port, reuseport, v6only, *kind = text.split(",")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    one = socket.socket(family, socket.SOCK_DGRAM if kind else socket.SOCK_STREAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if int(reuseport):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(v6only))
    one.bind((address, int(port)))
    if not kind:
        one.listen(16)
    bound.append(fcntl.fcntl(one.fileno(), fcntl.F_DUPFD, 100))
    if kept:
        fcntl.fcntl(one.fileno(), fcntl.F_DUPFD, 300)
for number, fd in enumerate(bound):
    os.dup2(fd, 3 + number)
os.closerange(3 + len(bound), 200)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(bound)), LISTEN_FDNAMES="x")
os.execv(sys.argv[cut + 1], sys.argv[cut + 1:])
"""


@pytest.fixture(scope="module")
def store():
    with liars.Fake(liars.ImapStore({b"alice": b"right"})) as fake:
        yield fake


@pytest.fixture
def make(tmp_path, certificate, store):
    made = []

    def start(listeners, **settings):
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Postern(str(folder), Configuration(certificate, [Backend("imap", store.port)], listeners=listeners,
                                                       limits="drain_timeout = 1;", **settings)))
        return made[-1]
    yield start
    for one in made:
        one.kill()


class Manager:
    """The socket of a service manager."""

    def __init__(self, name):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + name[1:] if name.startswith("@") else name)
        self.socket.settimeout(20)

    def next(self, *wanted):
        """The next message that holds one of these variables, as a dictionary."""
        while True:
            message = dict(line.split("=", 1) for line in self.socket.recv(4096).decode().split("\n"))
            if any(name in message for name in wanted):
                return message


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path, monkeypatch):
    name = str(tmp_path / "notify") if request.param == "path" else f"@postern-{os.getpid()}-{tmp_path.name}"
    one = Manager(name)
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    yield one
    one.socket.close()


@pytest.fixture
def hand_over(monkeypatch):
    """hand_over("127.0.0.1,143,0,0", ...): the next program is started with these sockets; `kept`: open elsewhere too, as a service
    manager has them."""
    def prepare(*sockets, kept=False):
        prefix = [sys.executable, "-B", "-c", _HAND_OVER, *sockets, *["kept"][:kept], "--"]
        monkeypatch.setenv("POSTERN_WRAPPER", shlex.join(prefix) + " " + os.environ.get("POSTERN_WRAPPER", ""))
    return prepare


def environment_of(pid):
    return dict(part.split("=", 1) for part in pathlib.Path(f"/proc/{pid}/environ").read_text("utf-8", "replace").split("\0") if "=" in part)


def sockets_at(port):
    """Inodes of the listening TCP sockets with that port."""
    found = set()
    for name in ("tcp", "tcp6"):
        for line in pathlib.Path("/proc/net/" + name).read_text("ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(fields[9])
    return found


# ---- what is told


def test_ready_reloading_and_stopping_are_told(make, manager):
    one = make([Listener("imap", "implicit")]).start()
    ready = manager.next("READY")
    assert ready == {"READY": "1", "MAINPID": str(one.pid), "STATUS": "Serving: 1 listeners, 2 workers"}
    one.signal(signal.SIGHUP)
    reloading = manager.next("READY", "RELOADING")
    assert reloading["RELOADING"] == "1" and int(reloading["MONOTONIC_USEC"]) > 0
    assert manager.next("READY")["READY"] == "1"
    one.configure("broken")
    one.signal(signal.SIGHUP)
    assert manager.next("READY", "RELOADING")["RELOADING"] == "1"
    assert manager.next("READY", "RELOADING")["READY"] == "1", "a reload that failed has ended as well"
    one.stop()
    assert manager.next("READY", "RELOADING", "STOPPING")["STOPPING"] == "1"


def test_ready_comes_when_connections_are_served(make, manager, context):
    port = ports.free_port()
    make([Listener("imap", "implicit", port=port)]).launch()
    manager.next("READY")
    with clients.enter(port, "imap", "implicit", context, "alice", "right"):
        pass


def test_the_watchdog_is_fed(make, manager, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    one = make([Listener("imap", "implicit")]).start()
    for _ in range(3):
        assert manager.next("WATCHDOG")["WATCHDOG"] == "1"
    one.stop()


def test_a_check_tells_nothing(make, manager):
    one = make([Listener("imap", "implicit")])
    assert check(one.path)[0] == 0
    manager.socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.socket.recv(100)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may look at them: the processes are not dumpable")
def test_children_inherit_nothing_of_the_service_manager(make, manager, hand_over):
    port = ports.free_port()
    hand_over(f"127.0.0.1,{port},0,0")
    one = make([Listener("imap", "implicit", port=port)]).start()
    for pid in one.children():
        assert not set(environment_of(pid)) & set(VARIABLES)
    one.stop()


# ---- sockets that are handed over


@pytest.mark.parametrize("reuseport", [0, 1])
@pytest.mark.parametrize("workers", [1, 3])
def test_a_socket_that_is_handed_over_is_served_by_every_worker(make, hand_over, context, reuseport, workers):
    port = ports.free_port()
    hand_over(f"127.0.0.1,{port},{reuseport},0")
    one = make([Listener("imap", "implicit", port=port)], workers=workers).start()
    assert one.addresses == [("127.0.0.1", port)]
    assert len(sockets_at(port)) == (workers if reuseport else 1)
    workers_alive = one.children("worker")
    for chosen in workers_alive if not reuseport else ():      # any of them may take what comes
        for pid in workers_alive:
            os.kill(pid, signal.SIGCONT if pid == chosen else signal.SIGSTOP)
        with clients.enter(port, "imap", "implicit", context, "alice", "right"):
            pass
    for pid in workers_alive:
        os.kill(pid, signal.SIGCONT)
    with clients.enter(port, "imap", "implicit", context, "alice", "right"):
        pass
    assert not one.events("socket_unused")
    one.stop()


def test_each_listener_finds_its_own_and_the_rest_is_bound(make, hand_over, context):
    first, second, third = ports.free_port(), ports.free_port(), ports.free_port()
    hand_over(f"127.0.0.1,{second},0,0", f"127.0.0.1,{first},0,0")
    one = make([Listener("imap", "implicit", port=number) for number in (first, second, third)]).start()
    assert [number for _, number in one.addresses] == [first, second, third]
    assert [len(sockets_at(number)) for number in (first, second, third)] == [1, 1, 2]
    for number in (first, second, third):
        with clients.enter(number, "imap", "implicit", context, "alice", "right"):
            pass
    one.stop()


def test_a_socket_that_nobody_wants_is_told_and_closed(make, hand_over):
    wanted, other, datagram = ports.free_port(), ports.free_port(), ports.free_port()
    hand_over(f"127.0.0.1,{wanted},0,0", f"127.0.0.1,{other},0,0", f"127.0.0.1,{datagram},0,0,dgram")
    one = make([Listener("imap", "implicit", port=wanted)]).start()
    messages = [event["message"] for event in one.events("socket_unused")]
    assert len(messages) == 2 and str(other) in messages[0] and "no listener" in messages[0]
    assert str(datagram) in messages[1] and "not a listening TCP socket" in messages[1]
    assert sockets_at(wanted) and not sockets_at(other)
    one.stop()


@pytest.mark.skipif(not ports.has_ipv6(), reason="no IPv6 here")
def test_a_socket_that_mixes_the_families_is_not_used(make, hand_over):
    port = ports.free_port("::")
    hand_over(f"::,{port},0,0")
    one = make([Listener("imap", "implicit", "::", port=port)]).launch()
    assert "BindIPv6Only" in one.wait_event("socket_unused")["message"]
    wait_for(lambda: one.status is not None, "its end")
    assert one.status == 75


def test_a_reload_keeps_a_socket_that_was_handed_over(make, hand_over, context):
    port = ports.free_port()
    hand_over(f"127.0.0.1,{port},0,0")
    one = make([Listener("imap", "implicit", port=port)]).start()
    before = sockets_at(port)
    one.signal(signal.SIGHUP)
    one.wait_event("reload", result="done")
    assert sockets_at(port) == before
    with clients.enter(port, "imap", "implicit", context, "alice", "right"):
        pass
    one.stop()


def test_a_listener_that_goes_and_comes_back_gets_its_socket_again(make, hand_over, context, certificate, store):
    kept, other = ports.free_port(), ports.free_port()
    hand_over(f"127.0.0.1,{kept},0,0", f"127.0.0.1,{other},0,0", kept=True)
    all_of_them = [Listener("imap", "implicit", port=kept), Listener("imap", "implicit", port=other)]
    one = make(all_of_them).start()
    for count, listeners in enumerate((all_of_them[:1], all_of_them), 1):
        one.configure(Configuration(certificate, [Backend("imap", store.port)], listeners=listeners, limits="drain_timeout = 1;"))
        one.signal(signal.SIGHUP)
        wait_for(lambda: len([event for event in one.events("reload") if "result" in event]) == count, one.log)
    for port in (kept, other):
        with clients.enter(port, "imap", "implicit", context, "alice", "right"):
            pass
    one.stop()


def test_sockets_meant_for_another_process_are_left_alone(make, monkeypatch):
    monkeypatch.setenv("LISTEN_PID", "1")
    monkeypatch.setenv("LISTEN_FDS", "3")
    one = make([Listener("imap", "implicit")]).start()
    assert not one.events("socket_unused")
    one.stop()
