"""Servers that are given by name: every address of a name is tried, in the order of the name service."""
import os
import shlex
import shutil
import signal
import subprocess
import time

import pytest

from conftest import USERS
from support import clients, ports
from support.postern import Backend

NAME = "store.example.test"


def own_hosts(path):
    """A prefix that runs a program with its own /etc/hosts, in a mount namespace; None where that is not allowed."""
    if os.geteuid() != 0 or not shutil.which("unshare") or not os.path.exists("/etc/hosts"):
        return None
    prefix = ["unshare", "-m", "sh", "-c", f'mount --bind {shlex.quote(str(path))} /etc/hosts && exec "$@"', "sh"]
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        return None
    return prefix


@pytest.fixture
def named(launch, monkeypatch, tmp_path):
    """Starts a Postern that reads these lines as its /etc/hosts."""

    def start(hosts, **settings):
        path = tmp_path / "hosts"
        path.write_text(hosts)
        prefix = own_hosts(path)
        if prefix is None:
            pytest.skip("needs root and mount namespaces")
        monkeypatch.setenv("POSTERN_WRAPPER", shlex.join(prefix) + " " + os.environ.get("POSTERN_WRAPPER", ""))
        return launch(**settings)

    return start


def log_in(front, context):
    with clients.enter(front.port("imap", "implicit"), "imap", "implicit", context, "alice", USERS["alice"]) as wire:
        wire.imap("z LOGOUT")
    return front.wait_event("session_end", user="alice")


@pytest.mark.parametrize("order", ("first", "last"))
def test_an_address_where_nobody_listens_is_passed_over(named, dovecot, context, order):
    lines = ["127.0.0.1 " + NAME, "127.0.0.77 " + NAME]
    front = named("\n".join(lines if order == "first" else lines[::-1]) + "\n",
                  imap=Backend("imap", dovecot.imap_port, host=NAME))
    assert log_in(front, context)["backend"] == f"old-imap/127.0.0.1:{dovecot.imap_port}"


def test_both_families_of_a_name_are_tried(named, dovecot, context):
    if not ports.has_ipv6():
        pytest.skip("no IPv6 here")
    front = named(f"::1 {NAME}\n127.0.0.1 {NAME}\n", imap=Backend("imap", dovecot.imap_port, host=NAME))
    assert log_in(front, context)["backend"] == f"old-imap/127.0.0.1:{dovecot.imap_port}"


def test_a_name_without_an_address_is_a_warning_and_its_logins_are_temporary_failures(named, context):
    front = named("127.0.0.1 localhost\n", imap=Backend("imap", 10143, host="nobody.invalid"))
    assert "nobody.invalid" in front.log() and "warning" in front.log()
    wire = clients.reach(front.port("imap", "implicit"), "imap", "implicit", context)
    assert "[UNAVAILABLE]" in wire.imap("a LOGIN alice wonderland")
    front.wait_event("auth_temporary")


def test_a_name_that_changes_its_address_is_followed_and_the_last_answer_outlives_a_failing_name_service(
        named, dovecot, context, tmp_path):
    front = named("127.0.0.77 " + NAME + "\n", imap=Backend("imap", dovecot.imap_port, host=NAME),
                  monitor="interval = 1; retry = 1;")
    hosts = tmp_path / "hosts"    # the file that is mounted: rewritten in place
    front.wait_event("backend_down", backend=f"old-imap/127.0.0.77:{dovecot.imap_port}")
    hosts.write_text("127.0.0.1 " + NAME + "\n")
    assert front.wait_event("backend_resolved")["addresses"] == f"127.0.0.1:{dovecot.imap_port}"
    front.wait_event("backend_up", backend=f"old-imap/127.0.0.1:{dovecot.imap_port}")
    assert log_in(front, context)["backend"] == f"old-imap/127.0.0.1:{dovecot.imap_port}"
    hosts.write_text("127.0.0.1 localhost\n")
    failed = front.wait_event("backend_resolved", count=2)
    assert failed["level"] == "warning" and failed["addresses"] == f"127.0.0.1:{dovecot.imap_port}"
    log_in(front, context)


def test_a_name_that_comes_to_lead_off_this_machine_gets_no_clear_text(named, dovecot, context, tmp_path):
    front = named("127.0.0.1 " + NAME + "\n", imap=Backend("imap", dovecot.imap_port, host=NAME),
                  monitor="interval = 1; retry = 1;")
    front.wait_event("backend_up")
    (tmp_path / "hosts").write_text("192.0.2.77 " + NAME + "\n")
    assert "clear text" in front.wait_event("backend_resolved")["reason"]
    assert log_in(front, context)["backend"] == f"old-imap/127.0.0.1:{dovecot.imap_port}"


def test_a_reload_while_the_name_service_fails_keeps_the_last_answer(named, dovecot, context, tmp_path):
    front = named("127.0.0.1 " + NAME + "\n", imap=Backend("imap", dovecot.imap_port, host=NAME), workers=1,
                  monitor="interval = 1; retry = 1;")
    front.wait_event("backend_up")
    (tmp_path / "hosts").write_text("127.0.0.1 localhost\n")
    front.signal(signal.SIGHUP)
    front.wait_event("reload", result="done")
    assert log_in(front, context)["backend"] == f"old-imap/127.0.0.1:{dovecot.imap_port}"
    front.wait_event("backend_resolved", level="warning")
    front.signal(signal.SIGHUP)
    front.wait_event("reload", count=2, result="done")
    assert log_in(front, context)["backend"] == f"old-imap/127.0.0.1:{dovecot.imap_port}"


def test_the_next_monitor_looks_names_up_at_once(named, dovecot, context, tmp_path):
    front = named("127.0.0.77 " + NAME + "\n", imap=Backend("imap", dovecot.imap_port, host=NAME),
                  monitor="interval = 600; retry = 600;")
    front.wait_event("backend_down")
    (tmp_path / "hosts").write_text("127.0.0.1 " + NAME + "\n")
    os.kill(front.children("monitor")[0], signal.SIGKILL)
    assert front.wait_event("backend_resolved")["addresses"] == f"127.0.0.1:{dovecot.imap_port}"
    front.wait_event("backend_up")
    assert log_in(front, context)["backend"] == f"old-imap/127.0.0.1:{dovecot.imap_port}"


def test_addresses_over_the_bound_of_a_pool_are_not_told_again_and_again(named):
    port = ports.free_port()
    backend = Backend("imap", port, host="first.example.test")
    text = backend.text().replace("servers = (", 'servers = ( { host = "second.example.test"; port = %d; },' % port)
    backend.text = lambda: text
    front = named("".join("127.0.1.%d %s.example.test\n" % (last, "first" if last < 41 else "second") for last in range(1, 81)),
                  imap=backend, monitor="interval = 1; retry = 600;", limits={"connect_timeout": 1})
    front.wait_event("backend_down", count=64)
    time.sleep(3)    # some look-ups
    assert not front.events("backend_resolved") and len(front.events("backend_down")) == 64


HANGING = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **list)
{
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = dlsym(RTLD_NEXT, "getaddrinfo");

	while (node != NULL && strcmp(node, "localhost") == 0 && access(HANGS, F_OK) == 0)
		usleep(20000);
	return real(node, service, hints, list);
}
"""


def test_a_name_service_that_hangs_takes_no_server_away_and_holds_up_no_end(launch_once, dovecot, context, tmp_path_factory, monkeypatch):
    if "asan" in os.environ.get("POSTERN", "") or os.environ.get("POSTERN_WRAPPER"):
        pytest.skip("a second library cannot be put before that one's own")
    folder = tmp_path_factory.mktemp("hanging")
    hangs = folder / "hangs"
    for each in (folder, *folder.parents[:2]):
        os.chmod(each, 0o755)    # the monitor is another user
    (folder / "hanging.c").write_text(HANGING)
    subprocess.run(["gcc", "-shared", "-fPIC", f'-DHANGS="{hangs}"', "-o", str(folder / "hanging.so"), str(folder / "hanging.c"), "-ldl"],
                   check=True)
    monkeypatch.setenv("LD_PRELOAD", str(folder / "hanging.so"))
    front = launch_once(imap=Backend("imap", dovecot.imap_port, host="localhost"), workers=1, monitor="interval = 1; retry = 1;")
    front.wait_event("backend_up", backend=f"old-imap/127.0.0.1:{dovecot.imap_port}")
    hangs.write_text("")
    front.signal(signal.SIGHUP)
    front.wait_event("reload", result="done")
    os.kill(front.children("monitor")[0], signal.SIGKILL)
    front.wait_event("child_started", kind="monitor")
    assert log_in(front, context)["backend"] == f"old-imap/127.0.0.1:{dovecot.imap_port}"
    front.stop()
