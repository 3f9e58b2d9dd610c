"""/metrics and /healthz: what they say, who may ask, and that the library for them stays out of every other process."""
import http.client
import os
import re
import signal
import socket
import subprocess
import tempfile

import pytest

from support import clients, liars, ports, process
from support.postern import Backend, check, Configuration, Listener, Postern
from support.wait import wait_for

FAST = {"failure_delay_ms": 10, "failure_delay_max_ms": 20, "connect_timeout": 1, "backend_timeout": 8}
SAMPLE = re.compile(r'^(postern_[a-z_]+)(\{[a-z_]+="[^"\n]*"(?:,[a-z_]+="[^"\n]*")*\})? (\d+(?:\.\d+)?)$')


def ask(port, path, method="GET", host="127.0.0.1", source=None):
    connection = http.client.HTTPConnection(host, port, timeout=20, source_address=source)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def metrics(port):
    """Every sample by its name and labels; fails on a line that is none."""
    status, text = ask(port, "/metrics")
    assert status == 200
    found, typed = {}, set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            typed.add(line.split()[2])
        elif not line.startswith("# HELP "):
            sample = SAMPLE.match(line)
            assert sample, line
            assert sample[1] in typed, line
            assert sample[1] + (sample[2] or "") not in found, "twice: " + line
            found[sample[1] + (sample[2] or "")] = float(sample[3])
    return found


@pytest.fixture
def served(launch_once):
    def start(status="", **settings):
        port = ports.free_port()
        settings.setdefault("monitor", "interval = 1; retry = 1;")
        front = launch_once(limits=FAST, top="status: { port = %d; %s };" % (port, status), **settings)
        return front, port
    return start


def attempt(front, protocol, context, user, password):
    with clients.reach(front.port(protocol, "implicit"), protocol, "implicit", context) as wire:
        return clients.log_in(wire, protocol, user, password)


def test_logins_sessions_refusals_and_bytes_are_counted_over_all_workers(served, context):
    with liars.Fake(liars.ImapStore({b"alice": b"right"})) as fake:
        front, port = served(imap=fake.port, workers=2)
        for _ in range(5):
            attempt(front, "imap", context, "alice", "right")
        for _ in range(3):
            attempt(front, "imap", context, "alice", "wrong")
        with socket.create_connection(("127.0.0.1", front.port("imap", "implicit"))) as sock:
            sock.sendall(b"a LOGIN x y\r\n")
            sock.recv(100)
        front.wait_event("session_end", count=9)
        found = wait_for(lambda: (lambda m: m if m['postern_sessions{protocol="imap",state="closed"}'] == 0 else None)(metrics(port)))
        assert found['postern_logins_total{protocol="imap",result="accepted"}'] == 5
        assert found['postern_logins_total{protocol="imap",result="refused"}'] == 3
        assert found['postern_sessions_total{protocol="imap"}'] == 9
        assert found['postern_refused_total{reason="plaintext"}'] == 1
        assert found['postern_handshakes_total{version="TLSv1.3"}'] == 8
        assert found['postern_received_bytes_total{protocol="imap"}'] > 100
        assert found['postern_sent_bytes_total{protocol="imap"}'] > 100
        assert sum(value for name, value in found.items() if name.startswith("postern_sessions{")) == 0
        assert "alice" not in ask(port, "/metrics")[1]
        with clients.enter(front.port("imap", "implicit"), "imap", "implicit", context, "alice", "right"):
            assert metrics(port)['postern_sessions{protocol="imap",state="relay"}'] == 1


def test_a_dead_worker_leaves_no_session_behind_and_counters_go_on(served, context):
    with liars.Fake(liars.ImapStore({b"alice": b"right"})) as fake:
        front, port = served(imap=fake.port, workers=1)
        with clients.enter(front.port("imap", "implicit"), "imap", "implicit", context, "alice", "right"):
            os.kill(front.children("worker")[0], signal.SIGKILL)
            front.wait_event("child_started", kind="worker")
        found = metrics(port)
        assert found['postern_sessions{protocol="imap",state="relay"}'] == 0
        assert found['postern_logins_total{protocol="imap",result="accepted"}'] == 1
        assert found['postern_child_deaths_total{kind="worker"}'] == 1


def test_health_follows_the_servers(served):
    port = ports.free_port()
    front, http_port = served(imap=port)
    front.wait_event("backend_down")
    assert ask(http_port, "/healthz") == (503, "down: old-imap\n")
    assert metrics(http_port)['postern_backend_up{pool="old-imap",host="127.0.0.1",address="127.0.0.1:%d"}' % port] == 0
    with liars.Fake(liars.ImapStore(None), port=port):
        front.wait_event("backend_up")
        assert ask(http_port, "/healthz") == (200, "ok\n")
        found = metrics(http_port)
        assert found['postern_backend_up{pool="old-imap",host="127.0.0.1",address="127.0.0.1:%d"}' % port] == 1
        assert found["postern_config_generation"] == 1


def test_only_these_pages_and_only_to_read(served):
    _, port = served(imap=ports.free_port())
    assert ask(port, "/")[0] == 404 and ask(port, "/metrics/")[0] == 404 and ask(port, "/../etc/passwd")[0] == 404
    assert ask(port, "/metrics", "HEAD") == (200, "")
    assert ask(port, "/metrics", "POST")[0] == 405 and ask(port, "/healthz", "DELETE")[0] == 405


def test_curl_can_read_it(served):
    _, port = served(imap=ports.free_port())
    done = subprocess.run(["curl", "-sS", f"http://127.0.0.1:{port}/metrics"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "postern_sessions_total" in done.stdout, done.stderr


def test_who_is_not_allowed_gets_no_answer(served):
    _, port = served('allow = ( "127.0.0.2/32" );', imap=ports.free_port())
    assert ask(port, "/healthz", source=("127.0.0.2", 0))[0] in (200, 503)
    with pytest.raises((http.client.HTTPException, OSError)):
        ask(port, "/healthz")


def test_a_request_without_end_is_bounded(served):
    _, port = served(imap=ports.free_port())
    with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
        try:
            sock.sendall(b"GET /metrics?" + b"x" * 200000)
            first = sock.recv(100)
        except OSError:
            first = b""
        assert not first.startswith(b"HTTP/1.1 200")
    assert ask(port, "/metrics")[0] == 200


def test_reload_moves_the_pages(served):
    front, port = served(imap=ports.free_port())
    other = ports.free_port()
    with open(front.path, encoding="utf-8") as file:
        text = file.read()
    front.configure(text.replace("port = %d;  };" % port, "port = %d;  };" % other))
    front.signal(signal.SIGHUP)
    wait_for(lambda: ports.answers(other), "the new port")
    assert ask(other, "/metrics")[0] == 200 and metrics(other)["postern_config_generation"] == 2
    wait_for(lambda: not ports.answers(port), "the old port to close")


def test_no_other_process_maps_a_second_tls_library(served):
    front, port = served(imap=ports.free_port())
    assert ask(port, "/metrics")[0] == 200

    def maps(pid):
        with open(f"/proc/{pid}/maps", encoding="utf-8") as file:
            return file.read()

    if os.geteuid() != 0:
        pytest.skip("the maps of our processes are for root to read")
    monitor, = front.children("monitor")
    assert "libmicrohttpd" in maps(monitor)
    for pid in [front.pid, *front.children("worker"), *front.children("auth")]:
        assert "libmicrohttpd" not in maps(pid) and "libgnutls" not in maps(pid), process.command_line(pid)


@pytest.mark.parametrize("text, words", [
    ('status: { address = "127.0.0.1"; };', "status.port is missing"),
    ('status: { port = 9587; address = "192.0.2.1"; };', "set status.allow"),
    ('status: { port = 9587; address = "localhost"; };', "is not a numeric"),
])
def test_a_wrong_configuration_is_told_with_its_line(tmp_path, certificate, text, words):
    front = Postern(str(tmp_path), Configuration(certificate, [Backend("imap", 10143)], top=text))
    status, said = check(front.path)
    line = next(number for number, line in enumerate(open(front.path, encoding="utf-8"), 1) if line.startswith("status"))
    assert status == 78 and f"{front.path}:{line}: error: " in said and words in said, said


def test_a_missing_library_is_told_at_the_check_with_its_line(tmp_path, certificate, monkeypatch):
    front = Postern(str(tmp_path), Configuration(certificate, [Backend("imap", 10143)], listeners=[Listener("imap", "implicit")],
                                                  top="status: { port = 9587; };"))
    assert check(front.path)[0] == 0
    with tempfile.TemporaryDirectory(prefix="postern-") as folder:
        os.chmod(folder, 0o755)    # the checking process is another user
        with open(os.path.join(folder, "libmicrohttpd.so.12"), "wb"):
            pass
        monkeypatch.setenv("LD_LIBRARY_PATH", folder)
        status, said = check(front.path)
    assert status == 78 and re.search(r"postern\.conf:\d+: error: status: the library for it is not there", said), said
