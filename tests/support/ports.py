"""Ports on loopback: a free one to give away, and whether one answers."""
import itertools
import random
import socket

# Below the kernel's own choice, which a listener on port 0 or a client gets, and beyond those of our clients (clients.py).
_FIRST, _LAST = 30000, 32767
_steps = itertools.count(random.randint(_FIRST, _LAST))
_given = []    # what holds each of them: a name that no two processes can have


def free_port(address="127.0.0.1"):
    """A TCP port that nobody listens on now, nor will, unless he is told; never the same one twice, whoever asks on this machine."""
    for _ in range(_FIRST, _LAST + 1):
        port = _FIRST + next(_steps) % (_LAST - _FIRST + 1)
        holder = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            holder.bind("\0a free port for tests of Postern: %d" % port)
        except OSError:
            holder.close()
            continue
        if is_free(port, address):
            _given.append(holder)
            return port
        holder.close()
    raise OSError("no port is free")


def is_free(port, address="127.0.0.1"):
    """Whether a server could bind that port now."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def answers(port, address="127.0.0.1"):
    """Whether something accepts connections on that port."""
    try:
        socket.create_connection((address, port), timeout=2).close()
    except OSError:
        return False
    return True


def has_ipv6():
    """Whether ::1 can be bound on this machine."""
    return is_free(0, "::1") if socket.has_ipv6 else False
