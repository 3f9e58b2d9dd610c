# Postern. `make` builds build/postern; `make demo` and `make check` also install what is missing (Debian 12).
# CC=clang builds with clang; CONFIG=asan builds with the sanitizers into build/asan. `make help` lists the targets.

CC	?= gcc
ifeq ($(origin CC),default)
CC	= gcc
endif
PREFIX	?= /usr/local
DESTDIR	?=
CONFIG	?= release
PYTHON	= /usr/bin/python3
VERSION	= 0.1.0
JOBS	?= $(shell nproc 2>/dev/null || echo 2)

ifeq ($(PREFIX),/usr)
sysconfdir	?= /etc
else
sysconfdir	?= $(PREFIX)/etc
endif

ifeq ($(CONFIG),release)
out	= build
else
out	= build/$(CONFIG)
endif

# ---- what we build with ----------------------------------------------------------------------------------------------

packages	= wolfssl libsasl2 libconfig libcrypto libseccomp
cppflags	= -I. -D_GNU_SOURCE -DPOSTERN_VERSION='"$(VERSION)"'
warnings	= -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
		  -Wwrite-strings -Wformat=2 -Wvla -Wundef -Wno-unused-parameter
cflags		= -std=gnu11 -g -O2 -fno-strict-aliasing $(warnings)
ldflags		=
hardening	= -fPIE -fstack-protector-strong -fstack-clash-protection
ifeq ($(CONFIG),release)
hardening	+= -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
endif
ldhardening	= -pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack
ifeq ($(CONFIG),asan)
cflags		+= -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
ldflags		+= -fsanitize=address,undefined
endif
ifeq ($(CONFIG),fuzz)
CC		= clang
cflags		+= -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
ldflags		+= -fsanitize=address,undefined
endif

# of p11-kit the header of PKCS#11 alone
pkg_cflags	:= $(shell pkg-config --cflags $(packages) p11-kit-1 2>/dev/null)
pkg_libs	:= $(shell pkg-config --libs $(packages) 2>/dev/null)
libs		= $(pkg_libs) -lev

compile		= $(CC) $(cppflags) $(cflags) $(hardening) $(pkg_cflags) $(CFLAGS)
link		= $(CC) $(cflags) $(ldflags) $(ldhardening) $(LDFLAGS)

# V=1 shows the whole commands.
ifeq ($(V),1)
say		= @:
quiet		=
else
say		= @echo
quiet		= @
endif

sources		= $(wildcard frontend/*.c auth/*.c protocols/*.c)
objects		= $(sources:%.c=$(out)/obj/%.o)
library		= $(out)/libpostern.a

unit_sources	= $(wildcard tests/unit/test_*.c)
unit_programs	= $(unit_sources:tests/unit/%.c=$(out)/unit/%)
fuzz_sources	= $(wildcard tests/fuzz/fuzz_*.c)
fuzz_programs	= $(fuzz_sources:tests/fuzz/%.c=$(out)/%)
fuzz_runs	= $(fuzz_sources:tests/fuzz/%.c=run-%)
bench_sources	= $(wildcard tests/bench/*.c)
bench_programs	= $(bench_sources:tests/bench/%.c=$(out)/bench/%)
support_sources	= $(wildcard tests/support/*.c)
support_objects	= $(support_sources:%.c=$(out)/obj/%.o)
test_sources	= $(wildcard tests/unit/*.c) $(fuzz_sources) $(bench_sources) $(support_sources)
all_text	= $(sources) $(test_sources) $(wildcard frontend/*.h auth/*.h protocols/*.h tests/*/*.h)

FUZZ_SECONDS	?= 60
E2E		?= tests/e2e
E2E_JOBS	?= 3
VALGRIND_E2E	?= tests/e2e/test_clients.py
valgrind	= valgrind -q --vgdb=no --suppressions=$(CURDIR)/tests/support/valgrind.supp --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all demo check sample unit e2e asan valgrind fuzz bench soak audit audit-dual tidy format format-check install uninstall system clean help \
	needs compile-commands objects program unit-programs clang-objects $(fuzz_runs) FORCE

all: needs $(out)/postern compile-commands

# ---- objects and programs --------------------------------------------------------------------------------------------

$(out)/postern: $(out)/obj/frontend/main.o $(library)
	$(say) "  LINK $@"
	$(quiet)$(link) -o $@ $^ $(libs)

$(library): $(filter-out $(out)/obj/frontend/main.o,$(objects))
	$(quiet)rm -f $@
	$(quiet)ar rcs $@ $^

$(out)/obj/%.o: %.c $(out)/flags | needs
	@mkdir -p $(@D)
	$(say) "  CC   $<"
	$(quiet)$(compile) -MMD -MP -c -o $@ $<

# Their client is OpenSSL.
$(out)/unit/test_tls_ticket $(out)/unit/test_tls_pending: libs += -lssl

$(out)/bench/%: $(out)/obj/tests/bench/%.o $(library)
	@mkdir -p $(@D)
	$(say) "  LINK $@"
	$(quiet)$(link) -o $@ $^ $(libs)

$(out)/unit/%: $(out)/obj/tests/unit/%.o $(support_objects) $(library)
	@mkdir -p $(@D)
	$(say) "  LINK $@"
	$(quiet)$(link) -o $@ $^ -lcmocka $(libs)

$(out)/fuzz_%: $(out)/obj/tests/fuzz/fuzz_%.o $(support_objects) $(library)
	$(say) "  LINK $@"
	$(quiet)$(link) -fsanitize=fuzzer -o $@ $^ $(libs)

# Changes only when the compiler or its flags do, so that objects of two kinds are never linked together.
$(out)/flags: FORCE
	$(shell mkdir -p $(@D))$(file >$@.new,$(compile) / $(link))
	@cmp -s $@.new $@ && rm -f $@.new || mv -f $@.new $@

-include $(wildcard $(out)/obj/*/*.d $(out)/obj/*/*/*.d)

objects: $(objects)

program: $(out)/postern

unit-programs: $(unit_programs)

clang-objects:
	@$(MAKE) --no-print-directory CC=clang out=build/clang objects

compile-commands: build/compile_commands.json

quoted		= $(subst ",\",$(subst \,\\,$1))
entry		= {"directory": "$(CURDIR)", "file": "$(file)", "command": "$(call quoted,$(compile)) -c $(file)"}
comma		= ,

build/compile_commands.json: $(out)/flags $(sources) $(test_sources)
	$(shell mkdir -p $(@D))$(file >$@,[$(subst } {,}$(comma) {,$(foreach file,$(sources) $(test_sources),$(entry)))])
	@:

# Says which Debian package brings what is missing. libev has no .pc file there, and of libmicrohttpd and libcurl the headers are enough.
needs:
	@missing=; \
	command -v $(firstword $(CC)) >/dev/null || missing="$$missing $(notdir $(firstword $(CC)))"; \
	command -v ar >/dev/null || missing="$$missing binutils"; \
	if command -v pkg-config >/dev/null; then \
		for pair in wolfssl:libwolfssl-dev libsasl2:libsasl2-dev libconfig:libconfig-dev libcrypto:libssl-dev \
			libseccomp:libseccomp-dev p11-kit-1:libp11-kit-dev; do \
			pkg-config --exists $${pair%:*} || missing="$$missing $${pair#*:}"; \
		done; \
	else \
		missing="$$missing pkg-config libwolfssl-dev libsasl2-dev libconfig-dev libssl-dev libseccomp-dev libp11-kit-dev"; \
	fi; \
	for pair in stdio:libc6-dev ev:libev-dev microhttpd:libmicrohttpd-dev curl/curl:libcurl4-gnutls-dev; do \
		echo "#include <$${pair%:*}.h>" | $(CC) -E - >/dev/null 2>&1 || missing="$$missing $${pair#*:}"; \
	done; \
	if [ -n "$$missing" ]; then \
		echo "Missing, by the name of the Debian package:$$missing" >&2; \
		echo "Install with: apt-get install$$missing   (make demo and make check do it themselves)" >&2; \
		exit 1; \
	fi

# ---- the two commands ------------------------------------------------------------------------------------------------
# They call make again after the installation, since pkg-config may only be there then.

demo:
	@tests/support/install-deps.sh demo
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@POSTERN=$(abspath $(out)/postern) $(PYTHON) -B tests/demo/demo.py $(if $(ONCE),--once) $(if $(PORT_BASE),--port-base $(PORT_BASE))

check:
	@tests/support/install-deps.sh test
	@$(MAKE) --no-print-directory -j$(JOBS) all unit-programs
	@$(MAKE) --no-print-directory -j$(JOBS) clang-objects
	@$(MAKE) --no-print-directory format-check
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory e2e
	@echo "make check: all passed"

# ---- tests -----------------------------------------------------------------------------------------------------------

unit: $(unit_programs)
	@tests/support/run-unit.sh $(unit_programs)

e2e: $(out)/postern
	@rm -rf $(out)/seen
	POSTERN=$(abspath $(out)/postern) POSTERN_SEEN=$(abspath $(out)/seen) $(PYTHON) -B -m pytest -q -p no:cacheprovider \
		-n $(E2E_JOBS) --dist loadfile -o faulthandler_timeout=180 $(PYTEST_FLAGS) $(E2E)
	@$(PYTHON) -B tests/support/events_seen.py $(out)/seen

asan:
	@$(MAKE) --no-print-directory -j$(JOBS) CONFIG=asan program unit-programs
	@$(MAKE) --no-print-directory CONFIG=asan unit
	@$(MAKE) --no-print-directory CONFIG=asan e2e

# Every process of Postern writes its findings to a file of its own; any file that is not empty is a failure.
valgrind: $(out)/postern $(unit_programs)
	@WRAPPER="$(valgrind) --error-exitcode=99" tests/support/run-unit.sh $(unit_programs)
	@rm -rf $(out)/valgrind && mkdir -p $(out)/valgrind && chmod 1777 $(out)/valgrind
	POSTERN_WRAPPER="$(valgrind) --trace-children=yes --log-file=$(abspath $(out))/valgrind/%p.log" \
		$(MAKE) --no-print-directory e2e E2E="$(VALGRIND_E2E)"
	@found=$$(find $(out)/valgrind -type f -size +0); [ -z "$$found" ] || { cat $$found; exit 1; }

fuzz:
	@$(MAKE) --no-print-directory -j$(JOBS) CONFIG=fuzz $(fuzz_runs)

# New inputs go to the build folder; tests/fuzz/corpus is only read.
$(fuzz_runs): run-fuzz_%: $(out)/fuzz_%
	@mkdir -p $(out)/corpus/$* $(out)/found
	@echo "fuzz_$*: $(FUZZ_SECONDS) s, output in $(out)/$*.log"
	@$< -max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1 -artifact_prefix=$(out)/found/$*- \
		$(addprefix -dict=,$(wildcard tests/fuzz/$*.dict)) $(out)/corpus/$* $(wildcard tests/fuzz/corpus/$*) \
		>$(out)/$*.log 2>&1 || { tail -60 $(out)/$*.log; echo "fuzz_$*: FAILED"; exit 1; }
	@sed -n 's/^stat::number_of_executed_units: */fuzz_$*: passed, inputs tried: /p' $(out)/$*.log

# The sample configuration with a throw-away certificate, so that it runs as it stands.
sample: build/conf.d/cert.pem

build/conf.d/cert.pem: $(wildcard conf.d/*.conf)
	@mkdir -p build/conf.d && cp conf.d/*.conf build/conf.d
	@cd build/conf.d && umask 077 && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
		-subj /CN=mail.example.test -addext subjectAltName=DNS:mail.example.test,DNS:localhost,IP:127.0.0.1 \
		-keyout key.pem -out cert.pem 2>/dev/null
	@echo "build/conf.d is ready: build/postern -c build/conf.d -t"

bench: $(out)/postern $(bench_programs)
	@for program in $(wildcard tests/bench/bench_*.py); do \
		echo "== $$program"; POSTERN=$(abspath $(out)/postern) $(PYTHON) -B $$program || exit 1; \
	done

# Scanners of TLS at all six listeners, and which certificate the clients of others get; minutes, and never part of check.
audit: audit-dual
	POSTERN=$(abspath $(out)/postern) $(PYTHON) -B tests/audit/audit.py $(if $(KEEP),--keep $(KEEP))

audit-dual: $(out)/postern
	@tests/support/install-deps.sh audit
	POSTERN=$(abspath $(out)/postern) $(PYTHON) -B tests/audit/dual.py

# Minutes each: sessions through reloads, logins through killed processes.
soak: $(out)/postern
	@for program in $(wildcard tests/bench/soak_*.py); do \
		echo "== $$program"; POSTERN=$(abspath $(out)/postern) $(PYTHON) -B $$program || exit 1; \
	done

# ---- style -----------------------------------------------------------------------------------------------------------

tidy: needs
	@mkdir -p build
	@printf '%s\n' $(sources) $(support_sources) | xargs -P $(JOBS) -n 1 sh -c \
		'clang-tidy --quiet "$$@" -- -std=gnu11 $(subst ',,$(subst ",\",$(cppflags))) $(pkg_cflags) 2>build/tidy.$$$$ || \
		{ cat build/tidy.$$$$; rm -f build/tidy.$$$$; exit 1; }; rm -f build/tidy.$$$$' tidy
	@echo "tidy: clean"

format:
	clang-format -i $(all_text)

format-check:
	@clang-format --dry-run -Werror $(all_text)
	@echo "format-check: $(words $(all_text)) files as .clang-format wants them"

# ---- installation ----------------------------------------------------------------------------------------------------

# What is shipped beside the program, with the paths of this installation filled in.
sbindir		= $(PREFIX)/sbin
mandir		= $(PREFIX)/share/man
unitdir		= $(PREFIX)/lib/systemd/system
sysusersdir	= $(PREFIX)/lib/sysusers.d
sharedir	= $(PREFIX)/share/postern
system_files	= $(addprefix $(out)/system/,postern.service postern.8 postern.conf.5)
placeholders	= -e 's|@sbindir@|$(sbindir)|g' -e 's|@sysconfdir@|$(sysconfdir)|g' -e 's|@version@|$(VERSION)|g'

system: $(system_files)

$(out)/system/%: conf.d/system/%.in $(out)/postern FORCE
	@mkdir -p $(@D) && $(out)/postern --options=man >$@.options
	@sed $(placeholders) -e '/^@options@$$/{r $@.options' -e 'd}' $< >$@ && rm $@.options

# A configuration that is there already is never overwritten.
install: all system
	install -D -m 755 $(out)/postern $(DESTDIR)$(sbindir)/postern
	install -D -m 644 $(out)/system/postern.8 $(DESTDIR)$(mandir)/man8/postern.8
	install -D -m 644 $(out)/system/postern.conf.5 $(DESTDIR)$(mandir)/man5/postern.conf.5
	install -D -m 644 $(out)/system/postern.service $(DESTDIR)$(unitdir)/postern.service
	install -D -m 644 conf.d/system/postern.socket $(DESTDIR)$(unitdir)/postern.socket
	install -D -m 644 conf.d/system/postern.sysusers $(DESTDIR)$(sysusersdir)/postern.conf
	install -D -m 644 conf.d/fail2ban/filter.d/postern.conf $(DESTDIR)$(sharedir)/fail2ban/filter.d/postern.conf
	install -D -m 644 conf.d/fail2ban/jail.d/postern.conf $(DESTDIR)$(sharedir)/fail2ban/jail.d/postern.conf
	@$(call keep,conf.d/system/postern.logrotate,$(sysconfdir)/logrotate.d/postern)
	@$(foreach file,$(wildcard conf.d/*.conf),$(call keep,$(file),$(sysconfdir)/postern/$(notdir $(file))) && ):

keep		= { if [ -e $(DESTDIR)$2 ]; then echo "kept $(DESTDIR)$2"; else \
		  echo "install $(DESTDIR)$2" && install -D -m 644 $1 $(DESTDIR)$2; fi; }
forget		= { if cmp -s $1 $(DESTDIR)$2; then rm -f $(DESTDIR)$2; fi; }

# A configuration that was changed stays.
uninstall:
	rm -f $(DESTDIR)$(sbindir)/postern $(DESTDIR)$(mandir)/man8/postern.8 $(DESTDIR)$(mandir)/man5/postern.conf.5 \
		$(DESTDIR)$(unitdir)/postern.service $(DESTDIR)$(unitdir)/postern.socket $(DESTDIR)$(sysusersdir)/postern.conf
	@$(call forget,conf.d/system/postern.logrotate,$(sysconfdir)/logrotate.d/postern)
	@$(foreach file,$(wildcard conf.d/*.conf),$(call forget,$(file),$(sysconfdir)/postern/$(notdir $(file))); )
	rm -rf $(DESTDIR)$(sharedir)/fail2ban
	@rmdir $(DESTDIR)$(sharedir) $(DESTDIR)$(sysconfdir)/postern 2>/dev/null || true

clean:
	rm -rf build

help:
	@echo "make               build build/postern (CC=clang, CONFIG=asan, V=1 for whole commands)"
	@echo "make needs         names the Debian packages that are missing for it"
	@echo "make demo          install what is missing, show Postern before a real Dovecot and Postfix (ONCE=1, PORT_BASE=n)"
	@echo "make check         install what is missing, build with gcc and clang, run unit, format-check and e2e"
	@echo "make unit          unit tests (cmocka)"
	@echo "make e2e           end-to-end tests (pytest, E2E_JOBS=3 at a time; PYTEST_FLAGS=..., E2E=file)"
	@echo "make asan          unit and end-to-end tests with the address and undefined-behaviour sanitizers"
	@echo "make valgrind      unit tests and the mail clients' tests under valgrind"
	@echo "make fuzz          each fuzz target for FUZZ_SECONDS (60)"
	@echo "make sample        build/conf.d: the sample configuration with a throw-away certificate"
	@echo "make bench         measurements"
	@echo "make audit         audit-dual, then testssl.sh and sslscan at six listeners; minutes (KEEP=folder keeps their reports)"
	@echo "make audit-dual    which of two certificates OpenSSL, GnuTLS, Java and Node get"
	@echo "make soak          live sessions through reloads, logins through killed processes; minutes"
	@echo "make tidy          clang-tidy; must be clean"
	@echo "make format        clang-format in place"
	@echo "make format-check  fails where clang-format would change something"
	@echo "make build/compile_commands.json   for editors and language servers"
	@echo "make system        build/system: unit file and manual pages with the paths of PREFIX"
	@echo "make install       to DESTDIR, PREFIX (/usr/local): program, sample configuration, unit files, manual pages, logrotate"
	@echo "make uninstall     the reverse; a changed configuration stays"
	@echo "make clean         remove build/"
