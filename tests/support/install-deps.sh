#!/bin/sh
# Installs what is missing on Debian 12: install-deps.sh build|demo|test|audit
#   build  compiler and libraries
#   demo   these, and the servers and clients that the demonstration shows
#   test   these, and what the tests, the sanitizers and the checks of style need
#   audit  the build, and what `make audit` scans and connects with
# As root it uses apt, and no service is started by that. As an ordinary user it names what is missing and stops.
set -eu

build="gcc make libc6-dev pkg-config libwolfssl-dev libsasl2-dev libconfig-dev libev-dev libssl-dev libseccomp-dev libmicrohttpd-dev
	libcurl4-gnutls-dev libp11-kit-dev libsasl2-modules"
demo="$build python3 openssl curl swaks libnet-ssleay-perl msmtp
	dovecot-core dovecot-imapd dovecot-pop3d dovecot-lmtpd postfix"
test="$demo sasl2-bin libsasl2-modules-db gsasl libcmocka-dev python3-pytest python3-pytest-xdist gnutls-bin isync fetchmail valgrind logrotate
	systemd procps groff-base clang clang-format clang-tidy libclang-rt-14-dev fail2ban softhsm2 opensc"

# What Postern takes the place of, for the tests of moving from there.
test="$test nginx libnginx-mod-mail dovecot-submissiond dovecot-sqlite"

audit="$build python3 openssl testssl.sh sslscan gnutls-bin openjdk-17-jdk-headless nodejs"

case "${1:-}" in
build) wanted=$build ;;
demo) wanted=$demo ;;
test) wanted=$test ;;
audit) wanted=$audit ;;
*)
	echo "usage: $0 build|demo|test|audit" >&2
	exit 64
	;;
esac

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	echo "This is no Debian: nothing is installed. There, these packages would be wanted:" $wanted >&2
	exit 0
fi

# Postfix runs only for root; a stand-in takes its place otherwise.
if [ "$(id -u)" != 0 ]; then
	wanted=$(echo " "$wanted" " | sed "s/ postfix / /")
fi

installed()
{
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=
for package in $wanted; do
	installed "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "Missing packages:$missing" >&2
	echo "Install them as root, then try again:" >&2
	echo "    apt-get install --no-install-recommends$missing" >&2
	exit 1
fi

# Debian starts a server when it is installed, unless this file says no. One that is there already is left as it is.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	trap 'rm -f $policy' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod 755 $policy
fi

echo "Installing:$missing"
export DEBIAN_FRONTEND=noninteractive
case $missing in
*" postfix"*)
	# The system's own Postfix is not our matter: it gets no configuration.
	echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections
	;;
esac
apt-get -q -o Acquire::Retries=3 update
apt-get -q -o Acquire::Retries=3 install -y --no-install-recommends $missing
