"""Stand-ins for syslogd and journald: a datagram socket on which Postern's lines arrive."""
import os
import re
import socket
import struct
import threading

SYSLOG = re.compile(r"<(\d+)>postern\[(\d+)\]: ([^\n]*)")


class Daemon:
    """Reads at `path` until stop(); `messages` has (process id as the kernel tells it, datagram). hear(line), when given, gets
    each line of the log."""

    def __init__(self, path, hear=None):
        self.path, self.hear = str(path), hear
        self.messages = []
        self._socket = None
        self._thread = None

    def start(self):
        if os.path.exists(self.path):
            os.unlink(self.path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind(self.path)
        os.chmod(self.path, 0o666)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        return self

    def _read(self):
        while True:
            data, ancillary, _, _ = self._socket.recvmsg(65536, socket.CMSG_SPACE(12))
            if not data:
                return
            sender = struct.unpack("3i", ancillary[0][2])[0]
            self.messages.append((sender, data))
            if self.hear:
                self.hear(self.line(data))

    def stop(self, leave_the_path=False):
        """As the end of such a daemon, the way it should be or (leave_the_path) not."""
        if not self._socket:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(b"", self.path)
        self._thread.join()
        self._socket.close()
        self._socket = None
        if not leave_the_path:
            os.unlink(self.path)

    def __enter__(self):
        return self.start()

    def __exit__(self, *unused):
        self.stop()


class Syslog(Daemon):
    @staticmethod
    def line(data):
        return SYSLOG.fullmatch(data.decode())[3]


class Journal(Daemon):
    @staticmethod
    def fields(data):
        """systemd's native protocol: KEY=value lines, or KEY, a length and bytes."""
        found = {}
        while data:
            head, _, data = data.partition(b"\n")
            key, equals, value = head.partition(b"=")
            if not equals:
                size, = struct.unpack("<Q", data[:8])
                value, data = data[8:8 + size], data[8 + size + 1:]
            assert re.fullmatch(rb"[A-Z][A-Z0-9_]{0,63}", key), key
            found[key.decode()] = value.decode()
        return found

    @classmethod
    def line(cls, data):
        return cls.fields(data)["MESSAGE"]
