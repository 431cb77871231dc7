#!/bin/sh
# The two ends of `make demo`, which sets up and builds between them.
# usage: scripts/demo.sh check    says what is wrong with MODEL, PROMPT or the terminal before anything takes time
#        scripts/demo.sh talk     lets the model speak
# MODEL and PROMPT come through the environment, so that no shell reads their text.
# Without PROMPT a chat follows on a terminal; without MODEL our model answers the questions of demo.txt before it.

set -eu

cd "$(dirname "$0")/.."
own=examples/demo-model
model=${MODEL:-$own}
xverse=.build/release/xverse-cli

say() { printf 'demo: %s\n' "$*" >&2; }

die() {
  say "$*"
  exit 2
}

has_terminal() { [ -t 0 ] && [ -t 1 ]; }

check() {
  if [ -n "${PROMPT+given}" ] && [ -z "$PROMPT" ]; then die 'PROMPT is empty: try PROMPT="What is a library?"'; fi
  if [ -n "${MODEL:-}" ]; then
    case $model in
      /*) where="" ;;
      *) where=" in $PWD" ;;
    esac
    [ -e "$model" ] || die "MODEL: there is no $model$where"
    if [ -z "${PROMPT:-}" ] && ! has_terminal; then
      die 'a chat needs a terminal; without one, ask one question: make demo MODEL=... PROMPT="What is a library?"'
    fi
    return
  fi
  for file in config.json generation_config.json tokenizer.json model.safetensors demo.txt; do
    [ -s "$own/$file" ] || die "$own/$file is missing: bring it back with git checkout -- $own," \
      "or use another model: make demo MODEL=DIRECTORY"
  done
}

talk() {
  if [ -n "${PROMPT:-}" ]; then
    say "3/3 asking $model"
    run generate --chat --stats --max-new-tokens 256 -- "$model" "$PROMPT"
    return
  fi
  if [ -n "${MODEL:-}" ]; then
    say "3/3 a chat with $model: Ctrl-C stops an answer, Ctrl-D leaves"
  else
    say "3/3 a conversation with $own"
    run chat --echo --greedy -- "$own" <"$own/demo.txt"
    has_terminal || return 0
    say "your turn: Ctrl-C stops an answer, Ctrl-D leaves"
  fi
  # A process group of its own, so that Ctrl-C reaches the chat and not make, which would call the end an error.
  # Nobody could continue a stopped chat there.
  trap '' TSTP
  set -m 2>/dev/null
  run chat -- "$model"
}

# A reader of our output that has seen enough is no failure.
run() {
  status=0
  "$xverse" "$@" || status=$?
  if [ $status = 141 ]; then exit 0; fi
  if [ $status != 0 ]; then exit $status; fi
}

"$1"
