"""Private instances of Dovecot and Postfix: own folder, own ports on 127.0.0.1, nothing shared with the system's.

They play the old mail store behind Postern: plaintext logins allowed, TLS only when a certificate is given. Both are run
in the foreground as our child, log to a file in their folder, and are ended by process id. `start_stores` picks what this
machine and user can run. Postfix needs root; `stand_in.SubmissionStandIn` takes its place for an ordinary user."""
import atexit
import base64
import grp
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile

from . import process
from .ports import answers, free_port
from .wait import wait_for

_SYSTEM_PATH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
_LONGEST_FOLDER = 60  # sockets live below, and their whole path has to fit in 107 octets
USERS = {"alice": "wonderland", "bob": "builder"}
DOMAIN = "example.test"


def is_root():
    return os.geteuid() == 0


def program(name):
    """Full path of a program that may stand in an sbin; None when it is not installed."""
    return shutil.which(name, path=_SYSTEM_PATH)


def user_name():
    """Of who runs this; processes that must not be root use `nobody`."""
    return pwd.getpwuid(os.geteuid()).pw_name


def masters(path, password):
    """Settings of a Dovecot that takes the master user "postern", whose file is made."""
    with open(path, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o644)) as file:
        file.write("postern:{PLAIN}%s\n" % password)
    return "passdb {\n  driver = passwd-file\n  args = %s\n  master = yes\n}\n" % path


def sasldb(path, passwords, host="mail.example.test"):
    """A sasldb with those users, which the authentication processes can read, also when they are not root; or adds them to it.
    As options of auth.sasl."""
    for user, password in passwords.items():
        subprocess.run([program("saslpasswd2"), "-p", "-c", "-u", host, "-f", path, user], check=True, input=password.encode())
    os.chmod(path, 0o600)
    if is_root():
        os.chown(path, pwd.getpwnam("nobody").pw_uid, -1)
    return 'auxprop_plugin = "sasldb"; sasldb_path = "%s";' % path


class Store:
    """What both servers share: a folder that their unprivileged processes can reach, start, stop, log."""

    name = "store"
    command = ()

    def __init__(self, folder=None):
        self._own = None
        self.folder = self._usable(folder)
        self.log_path = os.path.join(self.folder, f"{self.name}.log")
        self._process = None
        self._output = None

    def _usable(self, folder):
        """A sub-folder of the given one, or one of our own in /tmp when that is too deep or closed to others."""
        if folder is not None:
            folder = os.path.abspath(folder)
            if len(folder) <= _LONGEST_FOLDER and _others_may_enter(folder):
                path = os.path.join(folder, self.name)
                os.makedirs(path, exist_ok=True)
                os.chmod(path, 0o755)
                return path
        self._own = tempfile.mkdtemp(prefix=f"{self.name}-")
        os.chmod(self._own, 0o755)
        return self._own

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def write(self, text, *parts, mode=0o644):
        path = self.path(*parts)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def configure(self):
        """Writes the configuration; done anew at each start, so that changed attributes take effect."""
        raise NotImplementedError

    def all_ports(self):
        raise NotImplementedError

    @property
    def pid(self):
        return self._process.pid if self._process else None

    def start(self):
        """Returns self once every port answers."""
        self.configure()
        self._output = open(self.path("output.log"), "ab")
        # A session of its own: both masters end their whole process group when they stop.
        self._process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=self._output, stderr=self._output,
                                         start_new_session=True)
        atexit.register(self.stop)
        try:
            wait_for(self._is_up, lambda: f"{self.name} answers on {self.all_ports()}\n{self.log()}")
        except BaseException:
            self.stop(keep=True)
            raise
        return self

    def _is_up(self):
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.name} ended at start with {self._process.returncode}\n{self.log()}")
        return all(map(answers, self.all_ports()))

    def stop(self, keep=False):
        """Ends it and all that it started; `keep` leaves the folder (a later start() uses the same ports)."""
        atexit.unregister(self.stop)
        if self._process:
            # Dovecot's login processes live on while a client is connected: no reason to wait for those.
            process.end(self._process, grace=0.3)
            self._process = None
        if self._output:
            self._output.close()
            self._output = None
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def restart(self):
        self.stop(keep=True)
        return self.start()

    def pause(self):
        """Stops the processes (SIGSTOP) without closing anything: a backend that is silent."""
        self._signal(signal.SIGSTOP)

    def resume(self):
        self._signal(signal.SIGCONT)

    def _signal(self, number):
        for who in [process.identity(self.pid), *process.descendants(self.pid)]:
            if who and process.is_alive(who):
                os.kill(who[0], number)

    def log(self):
        """All that it logged or printed, for a message on failure."""
        text = ""
        for path in (self.log_path, self.path("output.log")):
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as file:
                    text += file.read()
        return text

    def __enter__(self):
        return self if self._process else self.start()

    def __exit__(self, *_):
        self.stop()


def _others_may_enter(folder):
    """Whether a process of another user can reach the folder."""
    while os.path.exists(folder):
        if is_root() and not os.stat(folder).st_mode & 0o001:
            return False
        if folder == "/":
            return True
        folder = os.path.dirname(folder)
    return False


class Dovecot(Store):
    """Dovecot 2.3 with IMAP, POP3, LMTP and a SASL socket.

    users: name -> password (str, or bytes for what is no UTF-8; any byte but NUL, tab, CR, LF and 1,
    which Dovecot itself refuses). Names are taken as they are; a name
    must not hold a colon, a slash or a line end. With a certificate: STARTTLS on the plain ports, and imaps_port,
    pop3s_port; require_tls refuses logins without TLS (not from the address it listens on itself, which Dovecot trusts).
    `trusted`: networks whose ID and XCLIENT are believed. `settings` is appended to the configuration."""

    name = "dovecot"

    def __init__(self, folder=None, users=None, certificate=None, require_tls=False, trusted="", settings=""):
        super().__init__(folder)
        self.users = dict(USERS if users is None else users)
        self.certificate, self.require_tls = certificate, require_tls
        self.trusted, self.settings = trusted, settings
        self.imap_port, self.pop3_port, self.lmtp_port = free_port(), free_port(), free_port()
        self.imaps_port, self.pop3s_port = (free_port(), free_port()) if certificate else (0, 0)
        self.auth_socket = self.path("sasl")
        self.command = [program("dovecot"), "-F", "-c", self.path("dovecot.conf")]

    def all_ports(self):
        ports = [self.imap_port, self.pop3_port, self.lmtp_port]
        return ports + ([self.imaps_port, self.pop3s_port] if self.certificate else [])

    def configure(self):
        mailer = pwd.getpwnam("nobody" if is_root() else user_name())
        os.makedirs(self.path("mail"), exist_ok=True)
        if is_root():
            os.chown(self.path("mail"), mailer.pw_uid, mailer.pw_gid)
        passwords = self.write("".join(self._password_lines()), "passwd", mode=0o640)
        if is_root():
            os.chown(passwords, 0, grp.getgrnam("dovecot").gr_gid)
        text = f"""
base_dir = {self.path("run")}
state_dir = {self.path("state")}
log_path = {self.log_path}
protocols = imap pop3 lmtp
listen = 127.0.0.1
disable_plaintext_auth = no
login_trusted_networks = {self.trusted}
auth_mechanisms = plain login
auth_username_chars =
auth_username_format = %u
auth_failure_delay = 0
mail_location = maildir:~/Maildir
mail_max_userip_connections = 2000
first_valid_uid = 1
first_valid_gid = 1
postmaster_address = postmaster@{DOMAIN}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN.b64 username_format=%u {passwords}
}}
userdb {{
  driver = static
  args = uid={mailer.pw_uid} gid={mailer.pw_gid} home={self.path("mail")}/%u
}}
service auth {{
  unix_listener {self.auth_socket} {{
    mode = 0666
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
service imap-login {{
  service_count = 0
  inet_listener imap {{
    port = {self.imap_port}
  }}
  inet_listener imaps {{
    port = {self.imaps_port}
    ssl = yes
  }}
}}
service pop3-login {{
  service_count = 0
  inet_listener pop3 {{
    port = {self.pop3_port}
  }}
  inet_listener pop3s {{
    port = {self.pop3s_port}
    ssl = yes
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {self.lmtp_port}
  }}
}}
protocol lmtp {{
  auth_username_format = %n
}}
"""
        self.write(text + self._tls() + ("" if is_root() else as_ordinary_user())
                   + self.settings, "dovecot.conf")

    def _password_lines(self):
        for user, password in self.users.items():
            raw = password.encode() if isinstance(password, str) else password
            # A lookup in a passwd-file is by the name with these escaped.
            name = re.sub(r"""(['"\\])""", r"\\\1", user)
            yield f"{name}:{{PLAIN.b64}}{base64.b64encode(raw).decode()}\n"

    def _tls(self):
        if not self.certificate:
            return "ssl = no\n"
        return (f"ssl = {'required' if self.require_tls else 'yes'}\nssl_cert = <{self.certificate.chain}\n"
                f"ssl_key = <{self.certificate.key}\n")

    def messages(self, user):
        """The messages of a user as they lie in the inbox (bytes), oldest first."""
        found = []
        for kind in ("cur", "new"):
            folder = self.path("mail", user, "Maildir", kind)
            if os.path.isdir(folder):
                found += [os.path.join(folder, name) for name in os.listdir(folder)]
        texts = []
        for path in sorted(found, key=os.path.basename):
            try:
                with open(path, "rb") as file:
                    texts.append(file.read())
            except FileNotFoundError:  # moved from new to cur meanwhile: the next look sees it
                pass
        return texts

    def wait_message(self, user, predicate=lambda text: True):
        """The first message that pleases the predicate (a function of bytes, or bytes to be contained)."""
        wanted = predicate if callable(predicate) else (lambda text: predicate in text)
        return wait_for(lambda: next(filter(wanted, self.messages(user)), None),
                        lambda: f"a message for {user}\n{self.log()}")


def as_ordinary_user(*chrooted):
    """What a Dovecot needs, besides free ports, to run without root: every process is ours, and none changes its root;
    `chrooted` names further services that would."""
    group = grp.getgrgid(os.getegid()).gr_name
    text = f"default_internal_user = {user_name()}\ndefault_login_user = {user_name()}\ndefault_internal_group = {group}\n"
    return text + "".join(f"service {name} {{\n  chroot =\n}}\n"
                          for name in ("anvil", "imap-login", "pop3-login", "stats", *chrooted))


class Postfix(Store):
    """Postfix with a submission service: SASL by that Dovecot, local delivery into it by LMTP, everything else refused.

    It is lenient where old stores are: bare line ends pass, so that a test sees what Postern lets through. With a
    certificate: STARTTLS on the port, and smtps_port; require_tls offers AUTH only inside TLS. `xclient` is the list of
    hosts that may send XCLIENT, also about IPv6 clients; `settings` is appended to main.cf."""

    name = "postfix"

    def __init__(self, folder=None, dovecot=None, certificate=None, require_tls=False, xclient="", settings=""):
        super().__init__(folder)
        self.dovecot = dovecot
        self.certificate, self.require_tls = certificate, require_tls
        self.xclient, self.settings = xclient, settings
        self.port = free_port()
        self.smtps_port = free_port() if certificate else 0

    def all_ports(self):
        return [self.port] + ([self.smtps_port] if self.certificate else [])

    def configure(self):
        for name in ("spool", "data"):
            os.makedirs(self.path(name), exist_ok=True)
        owner = pwd.getpwnam("postfix")
        os.chown(self.path("data"), owner.pw_uid, owner.pw_gid)
        level = "none" if not self.certificate else "encrypt" if self.require_tls else "may"
        self.write(f"""
compatibility_level = 3.6
queue_directory = {self.path("spool")}
data_directory = {self.path("data")}
maillog_file = {self.log_path}
maillog_file_prefixes = {self.folder}
myhostname = store.{DOMAIN}
mydestination =
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = {"all" if self.xclient else "ipv4"}
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = {DOMAIN}
virtual_transport = lmtp:inet:127.0.0.1:{self.dovecot.lmtp_port}
default_transport = error:no mail leaves this machine
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {self.dovecot.auth_socket}
smtpd_sasl_security_options = noanonymous
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
smtpd_tls_security_level = {level}
smtpd_authorized_xclient_hosts = {self.xclient}
smtpd_forbid_bare_newline = no
smtpd_forbid_unauth_pipelining = no
smtpd_error_sleep_time = 0
smtpd_client_connection_count_limit = 0
smtpd_peername_lookup = no
message_size_limit = 104857600
mailbox_size_limit = 0
virtual_mailbox_limit = 0
minimal_backoff_time = 1s
queue_run_delay = 1s
{self._tls()}{self.settings}
""", "etc", "main.cf")
        self.write(f"""
127.0.0.1:{self.port} inet n - n - - smtpd
{f"127.0.0.1:{self.smtps_port} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes" if self.certificate else ""}
""" + _POSTFIX_SERVICES, "etc", "master.cf")

        self._prepare()

    def _prepare(self):
        """Has Postfix make its queue folders, and asks it where its master program is: that one is our child."""
        subprocess.run([program("postfix"), "-c", self.path("etc"), "check"], capture_output=True, check=False)
        folder = subprocess.run([program("postconf"), "-c", self.path("etc"), "-hx", "daemon_directory"],
                                capture_output=True, text=True, check=True).stdout.strip()
        self.command = [os.path.join(folder, "master"), "-c", self.path("etc"), "-d"]

    def _tls(self):
        if not self.certificate:
            return ""
        return (f"smtpd_tls_cert_file = {self.certificate.chain}\nsmtpd_tls_key_file = {self.certificate.key}\n"
                f"smtpd_tls_auth_only = {'yes' if self.require_tls else 'no'}\n")

    def queue(self):
        """What waits in the queue (one JSON object per line, as Postfix says it); empty when nothing does."""
        return subprocess.run([program("postqueue"), "-c", self.path("etc"), "-j"], capture_output=True, text=True,
                              check=False).stdout


_POSTFIX_SERVICES = """
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
showq unix n - n - - showq
flush unix n - n 1000? 0 flush
postlog unix-dgram n - n - 1 postlogd
"""


def start_stores(folder=None, users=None, certificate=None, require_tls=False):
    """Dovecot and, before it, a submission server with a `port`: Postfix where it can run, else the stand-in (which says
    so in its `name`). Returns (dovecot, submission), both started; stop them in the other order."""
    from .stand_in import SubmissionStandIn

    dovecot = Dovecot(folder, users, certificate, require_tls).start()
    try:
        if is_root() and program("postfix"):
            submission = Postfix(folder, dovecot, certificate, require_tls)
        else:
            submission = SubmissionStandIn(dovecot)
        return dovecot, submission.start()
    except BaseException:
        dovecot.stop()
        raise
