# make                     builds the library and the tool
# make install             installs them: PREFIX=/usr/local, LIBDIR=$(PREFIX)/lib, DESTDIR=, PC_RPATH=1 for a prefix that
#                          the dynamic linker does not search
# make demo MODEL=...      sets the machine up, builds, and lets the model speak
# make test                unit tests
# make check               everything to run before a commit; MODEL=... to run the examples on
# make check-data DATA=... the comparison with reference outputs

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
BINDIR ?= $(PREFIX)/bin
DESTDIR ?=
PC_RPATH ?=
DATA ?= ../shared
PROMPT ?= Tell me a short story.

SWIFT ?= swift
STRIP ?= strip
# The toolchain's crash reporter would wait for a terminal.
export SWIFT_BACKTRACE = enable=no

# The version has one home.
version_part = $(shell sed -n 's/^private let $(1) = \([0-9]*\)$$/\1/p' Sources/XverseCAPI/Library.swift)
VERSION_MAJOR := $(call version_part,major)
VERSION := $(VERSION_MAJOR).$(call version_part,minor).$(call version_part,patch)
# Major version of the C ABI, not of the library.
SONAME := libxverse.so.1
REALNAME := libxverse.so.$(VERSION)
COMMIT := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)

BUILT_LIBRARY := .build-lib/release/libxverse.so
BUILT_TOOL := .build/release/xverse-cli

BUILD := $(SWIFT) build -c release -Xcc '-DXVERSE_COMMIT="$(COMMIT)"'
# A dynamic Swift runtime would install signal handlers in the host; nothing but xverse_* leaves the library; nodelete
# because dlclose cannot stop the compute threads.
LIBRARY_FLAGS := -Xswiftc -static-stdlib -Xlinker -soname=$(SONAME) \
  -Xlinker --version-script=Sources/XverseCAPI/exports.map \
  -Xlinker -z -Xlinker nodelete -Xlinker -z -Xlinker defs -Xlinker -z -Xlinker now

all: lib cli

lib:
	$(BUILD) --scratch-path .build-lib --product xverse $(LIBRARY_FLAGS)

cli:
	$(BUILD) --product xverse-cli --static-swift-stdlib

setup:
	@scripts/setup-debian.sh

# ---- install ----

# Built here only when missing, so that `sudo make install` after `make` compiles nothing.
$(BUILT_LIBRARY):
	$(MAKE) lib

$(BUILT_TOOL):
	$(MAKE) cli

SUBSTITUTE = sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' \
  -e 's|@VERSION@|$(VERSION)|' -e 's|@VERSION_MAJOR@|$(VERSION_MAJOR)|' -e 's|@SONAME@|$(SONAME)|' \
  -e "s|@INCLUDEDIR_FROM_LIBDIR@|$$(realpath -m --relative-to='$(LIBDIR)' '$(INCLUDEDIR)')|" \
  -e 's|@RPATH@|$(if $(PC_RPATH),-Wl$(comma)-rpath$(comma)$(LIBDIR))|'
comma := ,

install: $(BUILT_LIBRARY) $(BUILT_TOOL)
	install -d '$(DESTDIR)$(LIBDIR)/pkgconfig' '$(DESTDIR)$(LIBDIR)/cmake/xverse' '$(DESTDIR)$(INCLUDEDIR)' \
	  '$(DESTDIR)$(BINDIR)'
	install -m 755 $(BUILT_LIBRARY) '$(DESTDIR)$(LIBDIR)/$(REALNAME)'
	install -m 755 $(BUILT_TOOL) '$(DESTDIR)$(BINDIR)/xverse'
	$(STRIP) -s '$(DESTDIR)$(LIBDIR)/$(REALNAME)' '$(DESTDIR)$(BINDIR)/xverse'
	ln -sf $(REALNAME) '$(DESTDIR)$(LIBDIR)/$(SONAME)'
	ln -sf $(SONAME) '$(DESTDIR)$(LIBDIR)/libxverse.so'
	install -m 644 include/xverse.h '$(DESTDIR)$(INCLUDEDIR)/xverse.h'
	$(SUBSTITUTE) pkgconfig/xverse.pc.in > '$(DESTDIR)$(LIBDIR)/pkgconfig/xverse.pc'
	$(SUBSTITUTE) cmake/xverse-config.cmake.in > '$(DESTDIR)$(LIBDIR)/cmake/xverse/xverse-config.cmake'
	$(SUBSTITUTE) cmake/xverse-config-version.cmake.in > '$(DESTDIR)$(LIBDIR)/cmake/xverse/xverse-config-version.cmake'
	@if [ -z '$(DESTDIR)' ] && [ "$$(id -u)" = 0 ]; then ldconfig; fi

uninstall:
	rm -f '$(DESTDIR)$(BINDIR)/xverse' '$(DESTDIR)$(INCLUDEDIR)/xverse.h' '$(DESTDIR)$(LIBDIR)/pkgconfig/xverse.pc'
	rm -f '$(DESTDIR)$(LIBDIR)/libxverse.so' '$(DESTDIR)$(LIBDIR)/$(SONAME)' '$(DESTDIR)$(LIBDIR)/$(REALNAME)'
	rm -rf '$(DESTDIR)$(LIBDIR)/cmake/xverse'
	@if [ -z '$(DESTDIR)' ] && [ "$$(id -u)" = 0 ]; then ldconfig; fi

# ---- use ----

demo: setup cli
	@if [ -z '$(MODEL)' ]; then echo 'usage: make demo MODEL=DIRECTORY [PROMPT="..."]'; exit 2; fi
	@$(BUILT_TOOL) info '$(MODEL)'
	@echo
	@$(BUILT_TOOL) generate --chat --stats --max-new-tokens 128 -- '$(MODEL)' "$$PROMPT"
# Through the environment, so that the shell does not read the text.
demo: export PROMPT := $(PROMPT)

bench: cli
	@if [ -z '$(MODEL)' ]; then echo 'usage: make bench MODEL=DIRECTORY'; exit 2; fi
	$(BUILT_TOOL) bench '$(MODEL)'

# ---- checks ----

test: setup
	$(SWIFT) test

check: test check-installed check-sanitizers

# Layout, exported symbols, examples and documentation, with MODEL to run them on.
check-installed: all
	scripts/check-format.sh
	scripts/check-exports.sh $(BUILT_LIBRARY)
	scripts/check-examples.sh $(if $(MODEL),'$(MODEL)')
	$(MAKE) -s install DESTDIR= PREFIX='$(STAGE)' LIBDIR='$(STAGE)/lib' INCLUDEDIR='$(STAGE)/include' \
	  BINDIR='$(STAGE)/bin' PC_RPATH=1
	scripts/check_docs.py '$(STAGE)' $(if $(MODEL),'$(MODEL)')

STAGE = $(CURDIR)/.build/stage

check-sanitizers: all
	scripts/check-sanitizers.sh

# DATA holds reference outputs that this project did not compute; tests that need it are skipped without it.
check-data: all
	XVERSE_SHARED_DATA='$(abspath $(DATA))' $(SWIFT) test
	XVERSE_LIBRARY='$(BUILT_LIBRARY)' scripts/check_data.py '$(DATA)'

clean:
	rm -rf .build .build-lib .build-asan .build-tsan

# Each build uses all processors, and two of them would wait for the same lock.
.NOTPARALLEL:

.PHONY: all lib cli setup install uninstall demo bench test check check-installed check-sanitizers check-data clean
