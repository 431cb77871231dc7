#!/usr/bin/env bash
# Runs the tests that are built. Of the hundreds of kilobytes that `swift test` prints it shows how far it is, every
# failure in full, and the last line; .build/test.log has all of it.
# usage: scripts/test.sh [OPTION ...]      options of `swift test`, for instance --filter SUITE
#   SWIFT   the toolchain's swift

set -euo pipefail

cd "$(dirname "$0")/.."
log=.build/test.log
# The toolchain's crash reporter would wait for a terminal.
export SWIFT_BACKTRACE=enable=no

say() { printf 'test: %s\n' "$*" >&2; }

# A line about a test begins with a symbol. A failure is a line with a cross and all lines up to the next symbol.
status=0
"${SWIFT:-swift}" test --skip-build "$@" 2>&1 | tee "$log" | awk '
  /^(◇|✔|➜|⚠)/ { is_failure = 0 }
  /^✘/ { is_failure = 1 }
  /^➜/ { skipped++ }
  /^(✔|✘) Test run with / {
    if (skipped) print "test: " skipped " suites and tests skipped, the log tells which"
    print
    next
  }
  is_failure || /^error: |Fatal error: / { print; fflush() }
  /^◇ Test / { started++ }
  /^(✔|✘) Test .* after [0-9.]+ seconds/ { done++ }
  /^(◇|✔|✘) Test / && (started + done) % 500 == 0 {
    print "test: " started " cases begun, " done + 0 " tests done"
    fflush()
  }
' || status=$?
if [ $status = 0 ]; then exit; fi

if ! grep -qE '^(✔|✘) Test run with ' "$log"; then
  say "the tests did not come to an end; the last lines of the log:"
  tail -n 30 "$log" | sed -E 's/^(.{300}).+/\1 .../' >&2
fi
say "failed; all that was printed is in $PWD/$log"
exit $status
