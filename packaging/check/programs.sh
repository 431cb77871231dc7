#!/bin/sh
# Puts the programs of this folder into a new one, with the README's programs as readme.c, readme.cpp and readme.py.
# usage: programs.sh FOLDER

set -eu

folder=$1
here=$(dirname "$0")

# Prints the first block of README.md in language $1 that contains $2.
block() {
  awk -v begin="\`\`\`$1" -v wanted="$2" '
    $0 == begin { inside = 1; text = ""; next }
    inside && $0 == "```" { inside = 0; if (index(text, wanted)) { printf "%s", text; exit } }
    inside { text = text $0 "\n" }' "$here/../../README.md"
}

cp -r "$here" "$folder"
block c xverse_session_generate >"$folder/readme.c"
block cpp session.generate >"$folder/readme.cpp"
block python "Model(" >"$folder/readme.py"
[ -s "$folder/readme.c" ] && [ -s "$folder/readme.cpp" ] && [ -s "$folder/readme.py" ]
