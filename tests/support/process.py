"""Processes as /proc shows them: who descends from whom, and how to end exactly those and no other.

A process is named by its id and its start time, so that an id given again to a stranger is never taken for ours."""
import os
import signal
import subprocess

from .wait import Timeout, wait_for


def _stat(pid):
    """(state, parent, start time) of a process, None when it has gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return fields[0].decode(), int(fields[1]), int(fields[19])


def identity(pid):
    """(pid, start time), None when there is no such process."""
    stat = _stat(pid)
    return (pid, stat[2]) if stat else None


def is_alive(who):
    """Whether that very process (see identity) still runs; a zombie does not."""
    stat = _stat(who[0])
    return stat is not None and stat[2] == who[1] and stat[0] not in "ZX"


def descendants(pid):
    """Identities of all children of a process, and theirs, at this moment."""
    children = {}
    for name in os.listdir("/proc"):
        stat = _stat(int(name)) if name.isdigit() else None
        if stat:
            children.setdefault(stat[1], []).append((int(name), stat[2]))
    found, open_ends = [], [pid]
    while open_ends:
        for child in children.get(open_ends.pop(), ()):
            found.append(child)
            open_ends.append(child[0])
    return found


def resident_memory(pid):
    """Resident bytes of a process."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_descriptors(pid):
    """How many descriptors a process holds."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def command_line(pid):
    """Arguments of a process, as a list."""
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return [part.decode(errors="replace") for part in file.read().split(b"\0")[:-1]]


def end(popen, deadline=10.0, grace=5.0):
    """SIGTERM to a process that we started; SIGKILL when it is still there after the deadline, and to those of its
    children that outlive it by more than the grace. Returns the exit status."""
    family = []
    if popen.poll() is None:
        family = descendants(popen.pid)
        popen.send_signal(signal.SIGTERM)
        try:
            popen.wait(deadline)
        except subprocess.TimeoutExpired:
            popen.kill()
    status = popen.wait()
    try:
        wait_for(lambda: not any(map(is_alive, family)), deadline=grace)
    except Timeout:
        kill(family)
    return status


def kill(family):
    """SIGKILL to those of the given identities that still run."""
    for who in filter(is_alive, family):
        try:
            os.kill(who[0], signal.SIGKILL)
        except ProcessLookupError:
            pass
