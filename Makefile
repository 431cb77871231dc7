# make                     builds the library and the tool
# make install             installs them: PREFIX=/usr/local, LIBDIR=$(PREFIX)/lib, DATADIR=$(PREFIX)/share, DESTDIR=,
#                          PC_RPATH=1 for a prefix that the dynamic linker does not search
# make deb                 Debian packages, in dist/: library, development files, tool
# make dist                the installed tree as a tarball that can be unpacked anywhere, in dist/
# make wheel               the Python package with the library in it, in dist/
# make demo                sets the machine up, builds, and shows a conversation; on a terminal you can join it
#                          MODEL=... another model than ours, PROMPT="..." one answer instead of a chat
# make web                 sets up and serves a chat page on 127.0.0.1, PORT=36000; MODEL=... another model than ours
# make test                sets the machine up, builds, and runs the unit tests
# make lint                layout and usual mistakes of Swift, C, shell and Python; make format formats them
# make check               everything to run before a commit; MODEL=... to run the examples on another model than ours
# make check-python        declarations, types and tests of the Python package; make check runs it too
# make check-web           the web demos in a headless Chromium
# make check-data DATA=... the comparison with reference outputs
# make check-dist          makes these packages and looks at what is in them
# make check-packages      installs what deb, dist and wheel made into bare Debian systems and uses it there
# make fuzz                the readers of files on random bytes, a minute each: SECONDS=60, TARGETS="json tokenizer" for some
# make bench               measures this machine and what the library makes of it, on random weights; SIZE=7b for the
#                          shape of XVERSE-7B, TYPES="int8 int4" for some types only, MODEL=... for one model
# make bench-compare       the same beside llama.cpp; Benchmarks/compare/compare.py tells what it needs

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
BINDIR ?= $(PREFIX)/bin
DATADIR ?= $(PREFIX)/share
ZSHDIR ?= $(DATADIR)/zsh/site-functions
DESTDIR ?=
PC_RPATH ?=
RELOCATABLE ?=
DATA ?= ../shared
SIZE ?= 1b
SECONDS ?= 60
PORT ?= 36000
TARGETS ?=
TYPES ?=

# As they were typed, and through the environment, so that neither make nor a shell reads a $ or a quote in them. PROMPT
# only from the command line: some shells export one of their own.
override MODEL := $(value MODEL)
export MODEL
ifeq ($(origin PROMPT),command line)
  override PROMPT := $(value PROMPT)
  export PROMPT
  ifneq ($(filter demo,$(MAKECMDGOALS)),)
    ifneq ($(words $(MAKECMDGOALS)),1)
      $(error put quotes around the words of PROMPT, as in: make demo PROMPT="What is a library?")
    endif
  endif
else
  unexport PROMPT
endif

SWIFT ?= swift
STRIP ?= strip
# The toolchain's crash reporter would wait for a terminal.
export SWIFT_BACKTRACE = enable=no
# The toolchain keeps caches in HOME, which not every account has.
ifneq ($(shell test -w "$$HOME" && echo writable),writable)
  export HOME := $(CURDIR)/.build/home
endif

# The version has one home.
version_part = $(shell sed -n 's/^private let $(1) = \([0-9]*\)$$/\1/p' Sources/XverseCAPI/Library.swift)
VERSION := $(call version_part,major).$(call version_part,minor).$(call version_part,patch)
# Major version of the C ABI, not of the library.
SONAME := libxverse.so.1
REALNAME := libxverse.so.$(VERSION)
COMMIT := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)

BUILT_LIBRARY := .build-lib/release/libxverse.so
BUILT_TOOL := .build/release/xverse-cli
BUILT_BENCH := .build/release/xverse-bench

BUILD := $(SWIFT) build -c release -Xcc '-DXVERSE_COMMIT="$(COMMIT)"'
BUILD_TOOL := $(BUILD) --product xverse-cli --static-swift-stdlib
# A dynamic Swift runtime would install signal handlers in the host; nothing but xverse_* leaves the library; nodelete
# because dlclose cannot stop the compute threads.
LIBRARY_FLAGS := -Xswiftc -static-stdlib -Xlinker -soname=$(SONAME) \
  -Xlinker --version-script=Sources/XverseCAPI/exports.map \
  -Xlinker -z -Xlinker nodelete -Xlinker -z -Xlinker defs -Xlinker -z -Xlinker now

all: lib cli

lib:
	$(BUILD) --scratch-path .build-lib --product xverse $(LIBRARY_FLAGS)

cli:
	$(BUILD_TOOL)

setup:
	@scripts/setup-debian.sh && echo 'setup: all there'

# ---- install ----

# Built here only when missing, so that `sudo make install` after `make` compiles nothing.
$(BUILT_LIBRARY):
	$(MAKE) lib

$(BUILT_TOOL):
	$(MAKE) cli

install: $(BUILT_LIBRARY) $(BUILT_TOOL)
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' LIBDIR='$(LIBDIR)' INCLUDEDIR='$(INCLUDEDIR)' BINDIR='$(BINDIR)' \
	  DATADIR='$(DATADIR)' ZSHDIR='$(ZSHDIR)' PC_RPATH='$(PC_RPATH)' RELOCATABLE='$(RELOCATABLE)' \
	  VERSION='$(VERSION)' SONAME='$(SONAME)' REALNAME='$(REALNAME)' STRIP='$(STRIP)' \
	  BUILT_LIBRARY='$(BUILT_LIBRARY)' BUILT_TOOL='$(BUILT_TOOL)' scripts/install.sh

uninstall:
	rm -f '$(DESTDIR)$(BINDIR)/xverse' '$(DESTDIR)$(LIBDIR)/pkgconfig/xverse.pc'
	rm -f '$(DESTDIR)$(INCLUDEDIR)/xverse.h' '$(DESTDIR)$(INCLUDEDIR)/xverse.hpp'
	rm -f '$(DESTDIR)$(LIBDIR)/libxverse.so' '$(DESTDIR)$(LIBDIR)/$(SONAME)' '$(DESTDIR)$(LIBDIR)/$(REALNAME)'
	rm -rf '$(DESTDIR)$(LIBDIR)/cmake/xverse'
	rm -f '$(DESTDIR)$(DATADIR)/man/man1/xverse.1' '$(DESTDIR)$(DATADIR)/bash-completion/completions/xverse'
	rm -f '$(DESTDIR)$(DATADIR)/fish/vendor_completions.d/xverse.fish' '$(DESTDIR)$(ZSHDIR)/_xverse'
	@if [ -z '$(DESTDIR)' ] && [ "$$(id -u)" = 0 ]; then ldconfig; fi

# ---- packages ----

# For scripts.
version:
	@echo '$(VERSION)'

deb:
	@scripts/make-deb.sh

dist: built
	@VERSION='$(VERSION)' scripts/make-dist.sh

wheel: built
	@VERSION='$(VERSION)' scripts/make-wheel.sh

# What can be seen of them without installing them.
check-dist: deb dist wheel
	@scripts/check-dist.sh

check-packages:
	@scripts/check-packages.sh

# ---- use ----

demo:
	@scripts/demo.sh check
	@echo 'demo: 1/3 packages and Swift' >&2
	@scripts/setup-debian.sh
	@echo 'demo: 2/3 building (a minute the first time)' >&2
	@scripts/build.sh $(BUILD_TOOL)
	@scripts/demo.sh talk

web: built
	@scripts/setup-debian.sh python3-venv
	@scripts/web.sh $(BUILT_LIBRARY) --port '$(PORT)'

# ---- speed ----

bench-program:
	$(BUILD) --product xverse-bench --static-swift-stdlib

bench: bench-program
	@SIZE='$(SIZE)' TYPES='$(TYPES)' scripts/bench.sh $(BUILT_BENCH)

bench-compare: bench-program
	Benchmarks/compare/compare.py --size '$(SIZE)' $(BUILT_BENCH)

# ---- checks ----

test:
	@echo 'test: 1/3 packages and Swift' >&2
	@scripts/setup-debian.sh
	@echo 'test: 2/3 building (two minutes the first time)' >&2
	@scripts/build.sh $(SWIFT) build --build-tests
	@echo 'test: 3/3 running' >&2
	@SWIFT='$(SWIFT)' scripts/test.sh

check: lint test check-neon check-installed check-bindings check-python check-sanitizers

lint:
	@scripts/setup-debian.sh clang-format shellcheck python3-venv
	@SWIFT='$(SWIFT)' scripts/lint.sh

format:
	@SWIFT='$(SWIFT)' scripts/lint.sh fix

# `all` without its messages.
built:
	@scripts/build.sh $(MAKE) all

# Exported symbols, examples, documentation with what it says of the demonstration model, the tool, and what the library does
# to its host.
check-installed: built
	@scripts/check-exports.sh $(BUILT_LIBRARY)
	@scripts/check_abi.py $(BUILT_LIBRARY)
	@scripts/check-examples.sh $(if $(MODEL),"$$MODEL")
	@$(MAKE) -s staged
	@scripts/check_docs.py '$(STAGE)' $(if $(MODEL),"$$MODEL")
	@scripts/check_tool.py '$(STAGE)'
	@scripts/check_batch.py '$(STAGE)'
	@scripts/check_host.py '$(STAGE)'

STAGE = $(CURDIR)/.build/stage

staged:
	@$(MAKE) -s install DESTDIR= PREFIX='$(STAGE)' LIBDIR='$(STAGE)/lib' INCLUDEDIR='$(STAGE)/include' \
	  BINDIR='$(STAGE)/bin' DATADIR='$(STAGE)/share' PC_RPATH=1

# The C++ header and the Swift package.
check-bindings: built
	@scripts/setup-debian.sh clang clang-tidy
	@$(MAKE) -s staged
	@SWIFT='$(SWIFT)' scripts/check-bindings.sh '$(STAGE)'

check-python: built
	@scripts/setup-debian.sh python3-venv
	@scripts/check-python.sh $(BUILT_LIBRARY)

check-web: built
	@scripts/setup-debian.sh python3-venv chromium chromium-driver
	@scripts/check-web.sh $(BUILT_LIBRARY)

# The NEON kernels under emulation, and those of this CPU without OpenMP.
check-neon:
	@scripts/check-neon.sh

check-sanitizers: built
	@scripts/check-sanitizers.sh

# DATA holds reference outputs that this project did not compute; tests that need it are skipped without it.
check-data: built
	@scripts/build.sh $(SWIFT) build --build-tests
	@XVERSE_SHARED_DATA='$(abspath $(DATA))' SWIFT='$(SWIFT)' scripts/test.sh
	@XVERSE_LIBRARY='$(BUILT_LIBRARY)' scripts/check_data.py '$(DATA)'

fuzz:
	@SWIFT='$(SWIFT)' scripts/fuzz.sh '$(SECONDS)' $(TARGETS)

clean:
	rm -rf .build .build-lib .build-asan .build-tsan .build-fuzz

# Each build uses all processors, and two of them would wait for the same lock.
.NOTPARALLEL:

.PHONY: all lib cli setup install uninstall version deb dist wheel check-dist check-packages demo web bench-program bench \
  bench-compare test check lint format built staged check-neon check-installed check-bindings check-python check-web \
  check-sanitizers check-data fuzz clean
