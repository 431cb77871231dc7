#!/usr/bin/env python3
"""Checks what the tool says: help, manual page, completions of the shells, JSON, colors, progress and exit statuses.

    check_tool.py [--model MODEL] PREFIX [PART...]

PREFIX is where libxverse is installed. zsh, fish, mandoc and man are used where they are installed; bash must be.
"""

import argparse
import contextlib
import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Far more than anything takes, on a machine that is busy with other things too.
PATIENCE = 120
COMMANDS = ["generate", "chat", "info", "tokenize", "score", "perplexity", "convert", "bench", "completion", "help"]
# What the examples of the help read.
FILES = {
    "prompts.jsonl": '{"prompt": "Once upon a time", "max_new_tokens": 5}\n{"prompt": "A spider"}\n',
    "texts.jsonl": '{"text": "A spider has eight legs."}\n{"prompt": "A spider", "completion": " has"}\n',
    "text.txt": "A spider has eight legs. A penguin has two legs.\n",
}

# What is typed behind "xverse ", and some of what must be offered; "!" before what must not be.
OFFERS = [
    ("gen", "generate"),
    ("he", "help"),
    ("generate --max-new", "--max-new-tokens"),
    ("generate --threading ", "auto openmp pthread !--chat"),
    ("generate --threading=o", "openmp"),
    ("chat --do-sample=", "0 1"),
    ("chat --resume te", "text.txt texts.jsonl"),
    ("generate te", "text.txt texts.jsonl"),
    ("convert --quantize ", "none int8 int4"),
    ("convert --format g", "gguf"),
    ("help conv", "convert"),
    ("completion ", "bash zsh fish"),
    ("generate --seed te", "!text.txt"),
    ("tokenize --de", "--decode !--deadline-ms"),
    ("info --", "--json --help !--threads"),
]


class Checker:
    def __init__(self, arguments, work):
        self.prefix, self.model = Path(arguments.prefix).resolve(), Path(arguments.model).resolve()
        self.work = Path(work)
        self.tool = self.prefix / "bin/xverse"
        self.environment = dict(os.environ, PATH=f"{self.prefix}/bin:{os.environ['PATH']}", TERM="xterm")
        for name in ("NO_COLOR", "XVERSE_LOG"):
            self.environment.pop(name, None)
        self.checked = 0
        for name, text in FILES.items():
            (self.work / name).write_text(text)

    def check(self, holds, message):
        self.checked += 1
        if not holds:
            sys.exit(f"check-tool: {message}")

    def equal(self, found, expected, what):
        self.check(found == expected, f"{what}: found {found!r:.2000}, expected {expected!r:.2000}")

    def run(self, *words, status=0, **others):
        """Runs the tool, which must end with `status`; returns standard output and standard error."""
        others = {"stdin": subprocess.DEVNULL, "env": self.environment, "cwd": self.work, **others}
        command = [str(word) for word in (self.tool, *words)]
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False, **others)
        output, error = done.stdout.decode(), done.stderr.decode()
        self.check(done.returncode == status, f"exit status {done.returncode}, expected {status}: {words}\n{error}")
        return output, error

    def shell(self, command, shell="bash", **others):
        words = [shell, "-c", command]
        others = {"stdin": subprocess.DEVNULL, "env": self.environment, "cwd": self.work, **others}
        done = subprocess.run(words, capture_output=True, timeout=PATIENCE, check=False, **others)
        error = done.stderr.decode()
        self.check(done.returncode == 0, f"exit status {done.returncode} of {shell}: {command}\n{error}")
        return done.stdout.decode()

    @contextlib.contextmanager
    def terminal(self, *words, **variables):
        """Runs a program on a terminal of its own; gives the process and the terminal's other end."""
        master, slave = pty.openpty()
        with subprocess.Popen([str(word) for word in words], stdin=slave, stdout=slave, stderr=slave, cwd=self.work,
                              env=self.environment | variables, start_new_session=True) as process:  # fmt: skip
            os.close(slave)
            try:
                yield process, master
            finally:
                process.kill()
                os.close(master)

    def read(self, master, end=None):
        """What the terminal shows until the regular expression `end` matches, or until the program ends."""
        shown = b""
        while end is None or not re.search(end, shown):
            ready, _, _ = select.select([master], [], [], PATIENCE)
            self.check(ready, f"the terminal stays silent after {shown!r}")
            try:
                more = os.read(master, 65536)
            except OSError:
                more = b""
            if not more:
                break
            shown += more
        return shown

    def show(self, *words, **variables):
        """What the tool shows on a terminal."""
        with self.terminal(self.tool, *words, **variables) as (process, master):
            shown = self.read(master)
            self.equal(process.wait(PATIENCE), 0, f"exit status of {words}")
        return shown.decode()

    # ---- texts ----

    def help(self):
        """Every text fits 80 columns and names every option; the examples in it work."""
        overview, _ = self.run("help")
        self.equal(self.run("--help")[0], overview, "--help")
        self.equal(self.run(status=2)[1], overview, "what the tool says without a command")
        self.equal(re.findall(r"^  ([a-z]+)  ", overview.split("Examples:")[0], re.MULTILINE), COMMANDS, "commands")
        self.examples("overview", overview)
        for command in COMMANDS:
            text, _ = self.run("help", command)
            for way in ("--help", "-h"):
                self.equal(self.run(command, way)[0], text, f"{command} {way}")
            self.narrow(command, text)
            self.examples(command, text)
            options = re.findall(r"^  (?:-\w, )?--([a-z-]+)", text, re.MULTILINE)
            self.equal(len(options), len(set(options)), f"options of {command}, each once")
            self.check("help" in options, f"options of {command}")
        self.check("[1 to 2^24]" in self.run("help", "chat")[0], "no bounds of --context")
        self.check("[default: f32]" in self.run("help", "chat")[0], "no default of --kv-type")
        _, error = self.run("help", "chatt", status=2)
        self.check("did you mean 'chat'?" in error, error)

    def narrow(self, name, text):
        self.equal([line for line in text.split("\n") if len(line) > 80], [], f"lines of {name} beyond 80 columns")

    def examples(self, name, text):
        self.narrow(name, text)
        found = re.search(r"^Examples:\n((?:  .*\n)+)", text, re.MULTILINE)
        self.check(found, f"{name} has no examples")
        for line in found.group(1).split("\n")[1::2]:
            for made in ("answers.jsonl", "scores.jsonl", "model.gguf", "int4-model"):
                if made in line:
                    path = self.work / made
                    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            line = line.strip()
            if line.startswith("xverse bench"):
                # check_docs.py measures; here the options need only be right, but for the last one.
                _, error = self.run(*shlex.split(line)[1:], "--context", "0", status=2)
                self.check("context" in error, f"{line} says {error!r}")
                continue
            if "man -l" in line and not shutil.which("man"):
                continue
            if line.endswith("fish | source"):
                if shutil.which("fish"):
                    self.shell(line, "fish")
            elif "completion zsh" in line:
                if shutil.which("zsh"):
                    self.shell(f"autoload -U compinit; compinit -u -D; {line}", "zsh")
            else:
                self.shell(f"set -o pipefail; {line.replace('XVERSE-7B-Chat', str(self.model))}")

    def manual(self):
        """The manual page has no mistakes and names every command and option."""
        page, _ = self.run("help", "--man", env=self.environment | {"SOURCE_DATE_EPOCH": "86400"})
        self.check('.TH XVERSE 1 "1970-01-02"' in page, "the date of SOURCE_DATE_EPOCH is not in the page")
        path = self.work / "xverse.1"
        path.write_text(page)
        installed = (self.prefix / "share/man/man1/xverse.1").read_text()
        self.equal(installed.split("\n")[1:], page.split("\n")[1:], "the installed page")
        for option in {x for command in COMMANDS for x in self.options(command)}:
            self.check(f"--{option}".replace("-", "\\-") in page, f"--{option} is not in the page")
        for checker in (["mandoc", "-T", "lint", "-W", "warning"], ["man", "--warnings", "-l"]):
            if not shutil.which(checker[0]):
                print(f"note: no {checker[0]} here to check the manual page")
                continue
            done = subprocess.run([*checker, path], check=False, capture_output=True, text=True,
                                  env=self.environment | {"LC_ALL": "C.UTF-8", "MANWIDTH": "80"})  # fmt: skip
            self.equal(done.returncode, 0, f"exit status of {checker}: {done.stdout[:500]}")
            self.equal(done.stderr, "", f"errors of {checker}")
            if checker[0] == "mandoc":
                self.equal(done.stdout, "", f"warnings of {checker}")
            else:
                self.check("Once upon a time" in done.stdout, done.stdout)
        self.run("help", "chat", "--man", status=2)

    def options(self, command):
        return re.findall(r"^  (?:-\w, )?--([a-z-]+)", self.run("help", command)[0], re.MULTILINE)

    # ---- completions ----

    def completions(self):
        """Each shell loads its file and offers what the table says."""
        share = self.prefix / "share"
        files = {
            "bash": share / "bash-completion/completions/xverse",
            "zsh": share / "zsh/site-functions/_xverse",
            "fish": share / "fish/vendor_completions.d/xverse.fish",
        }
        for shell, path in files.items():
            self.equal(self.run("completion", shell)[0], path.read_text(), f"the installed completions of {shell}")
        self.run("completion", "tcsh", status=2)
        for typed, offers in OFFERS:
            self.offered(
                "bash", typed, offers, self.shell(f"{self.bash_words(typed)}; source {files['bash']}; {BASH_OFFERS}")
            )
        self.typed("bash", ["--norc", "--noprofile", "-i"], f"source {files['bash']}")
        if shutil.which("fish"):
            for typed, offers in OFFERS:
                text = self.shell(f"source {files['fish']}; complete -C 'xverse {typed}'", "fish")
                # A value is offered with the option before it.
                lines = [line.split("\t")[0].split("=")[-1] for line in text.split("\n")]
                self.offered("fish", typed, offers, "\n".join(lines))
        else:
            print("note: no fish here to check the completions")
        if shutil.which("zsh"):
            # Found by compinit, as when it is installed.
            self.typed(
                "zsh", ["-f", "-i"], f"fpath=({files['zsh'].parent} $fpath); autoload -U compinit; compinit -u -D"
            )
            self.typed("zsh", ["-f", "-i"], f"autoload -U compinit; compinit -u -D; source {files['zsh']}")
        else:
            print("note: no zsh here to check the completions")

    def bash_words(self, typed):
        """COMP_WORDS as bash splits them: '=' is a word of its own."""
        words = [part for word in typed.split(" ") for part in re.split("(=)", word)]
        if words[-2:] == ["=", ""]:
            words.pop()
        return f"COMP_WORDS=(xverse {' '.join(repr(word) for word in words)}); COMP_CWORD={len(words)}"

    def offered(self, shell, typed, offers, text):
        found = text.split()
        for offer in offers.split():
            if offer.startswith("!"):
                self.check(offer[1:] not in found, f"{shell} offers {offer[1:]} for '{typed}': {found}")
            else:
                self.check(offer in found, f"{shell} does not offer {offer} for '{typed}': {found}")

    def typed(self, shell, options, setup):
        """A shell on a terminal completes what is typed."""
        cases = {
            "gen": "generate", "generate --max-new": "generate --max-new-tokens",
            "generate --threading=o": "generate --threading=openmp", "convert --format gg": "convert --format gguf",
            "perplexity model text.t": "perplexity model text.txt", "completion fi": "completion fish",
        }  # fmt: skip
        with self.terminal(shell, *options, PS1="ready>", HISTFILE="", HOME=str(self.work)) as (_, master):
            self.read(master, rb"ready>")
            os.write(master, f"{setup}; printf 'set'; printf 'up\\n'\r".encode())
            self.read(master, rb"setup\r?\n[^>]*ready>")
            for typed, expected in cases.items():
                # Ctrl-A and Ctrl-E: the completed line becomes the argument of a command that prints it.
                os.write(master, f"xverse {typed}\t\x01printf '(%s)\\n' '\x05'\r".encode())
                shown = self.read(master, rb"[\r\n]\(xverse [^\n]*\)\r?\n").decode()
                found = re.search(r"[\r\n]\(xverse ([^\n]*)\)\r?\n", shown).group(1)
                self.equal(found.strip(), expected, f"'{typed}' completed by {shell}")

    # ---- JSON ----

    def json(self):
        """One document on standard output; errors as an object on standard error."""
        info = json.loads(self.run("info", self.model, "--json")[0])
        self.equal(json.loads(self.run("info", "--json")[0])["version"], self.run("--version")[0].split()[1], "version")
        text = "A spider 法国 \U0001f994"
        tokens = json.loads(self.run("tokenize", self.model, text, "--json")[0])
        ids = [str(x) for x in tokens["tokens"]]
        self.equal(self.run("tokenize", self.model, text, "--ids")[0].split(), ids, "ids")
        pieces = tokens["pieces"]
        self.equal(len(pieces), len(ids), "pieces")
        self.check(text.encode() in b"".join(bytes(x["bytes"]) for x in pieces), f"bytes of {pieces}")
        for piece in pieces:
            if piece["text"] is not None:
                self.equal(piece["text"].encode(), bytes(piece["bytes"]), "text of a piece")
        decoded = json.loads(self.run("tokenize", self.model, "--decode", *ids, "--json")[0])
        self.equal(decoded, {"tokens": tokens["tokens"], "text": text}, "decoded")
        options = ["--greedy", "--max-new-tokens", "4", "--json"]
        answer = json.loads(self.run("generate", self.model, "Once", *options)[0])
        self.equal(len(answer["tokens"]), answer["stats"]["generated_tokens"], "generated tokens")
        done = json.loads(self.run("convert", self.model, "converted", "--quantize", "int8", "--json")[0])
        self.equal(done["destination"], "converted", "destination")
        self.equal(done["model"]["n_params"], info["n_params"], "parameters")
        self.check(done["model"]["weight_bytes"] < info["weight_bytes"], "int8 is not smaller")
        done = json.loads(self.run("perplexity", self.model, "text.txt", "--json")[0])
        self.check(done["perplexity"] > 1, f"perplexity {done}")
        batch = ["--input", "prompts.jsonl", "--output", "a.jsonl", "--json"]
        done = json.loads(self.run("generate", self.model, *batch, "--greedy")[0])
        self.equal([done[x] for x in ("lines", "kept_lines", "failed_lines", "output")], [2, 0, 0, "a.jsonl"], "totals")
        done = json.loads(self.run("generate", self.model, *batch, "--greedy", "--resume")[0])
        self.equal([done[x] for x in ("lines", "kept_lines", "tokens")], [2, 2, 0], "totals of a resumed run")
        # Errors.
        for status, words, name in [
            (1, ["generate", "missing", "text"], "XVERSE_E_NOTFOUND"),
            (2, ["generate", self.model, "text", "--top-p", "2"], "XVERSE_E_INVALID"),
            (2, ["generate", self.model, "--temprature", "2"], "XVERSE_E_INVALID"),
            (1, ["perplexity", self.model, "missing"], "XVERSE_E_NOTFOUND"),
            (2, ["score", self.model, "--input", "texts.jsonl", "--output", "-"], "XVERSE_E_INVALID"),
        ]:
            output, error = self.run(*words, "--json", status=status)
            self.equal(output, "", f"standard output of {words}")
            error = json.loads(error.split("\n")[-2])["error"]
            self.equal((error["status"], error["exit_status"]), (name, status), f"error of {words}: {error}")
            self.check(error["message"], "an empty message")
        (self.work / "bad.jsonl").write_text('nonsense\n{"text": "a b"}\n')
        output, error = self.run(
            "score", self.model, "--input", "bad.jsonl", "--output", "b.jsonl", "--json", "-q", status=1
        )
        self.equal(json.loads(output)["failed_lines"], 1, "failed lines")
        self.equal(json.loads(error)["error"]["exit_status"], 1, "exit status in the error")

    # ---- terminals ----

    def colors(self):
        """Escape sequences on a terminal that wants them, and nowhere else."""
        plain = self.run("help")[0]
        self.check("\x1b" not in plain, "escape sequences in a pipe")
        shown = self.show("help")
        self.check("\x1b[1mCommands\x1b[0m:" in shown, f"no bold title: {shown[:200]!r}")
        for variables in ({"NO_COLOR": "1"}, {"TERM": "dumb"}, {"TERM": ""}):
            self.equal(self.show("help", **variables).replace("\r\n", "\n"), plain, f"help with {variables}")
        self.check("\x1b[1m" in self.show("help", NO_COLOR=""), "an empty NO_COLOR counts")
        for variables, colored in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
            with self.terminal(self.tool, "chatt", **variables) as (process, master):
                shown = self.read(master)
                self.equal(process.wait(PATIENCE), 2, "exit status")
                self.equal(b"\x1b" in shown, colored, f"escape sequences of an error with {variables}: {shown}")

    def progress(self):
        """A line that is written again on a terminal, totals at the end, and nothing with --quiet."""
        batch = [self.model, "--input", "prompts.jsonl", "--output", "out.jsonl", "--force", "--greedy"]
        score = ["score", self.model, "--input", "texts.jsonl", "--output", "out.jsonl", "--force"]
        convert = ["convert", self.model, "new", "--quantize", "int4"]
        for words, totals in [
            (["generate", *batch], r"generate: 2 lines, \d+ tokens in [\d.]+ s, [\d.]+ tokens/s"),
            (score, r"score: 2 lines, \d+ tokens in [\d.]+ s, [\d.]+ tokens/s"),
            (convert, r"write: [\d.]+ MiB in [\d.]+ s, [\d.]+ [KMG]iB/s"),
        ]:
            for run in ("terminal", "dumb", "pipe", "quiet"):
                shutil.rmtree(self.work / "new", ignore_errors=True)
                if run == "terminal":
                    shown = self.show(*words)
                    self.check(re.search(r"\r\x1b\[K\w+: \d+ %, ", shown), f"no progress of {words}: {shown!r}")
                    self.check(re.search(rf"\r\x1b\[K{totals}\r\n$", shown), f"no totals of {words}: {shown!r}")
                elif run == "dumb":
                    shown = self.show(*words, TERM="dumb")
                    self.check(re.fullmatch(rf"{totals}\r\n", shown), f"on a dumb terminal {words} shows {shown!r}")
                elif run == "pipe":
                    output, error = self.run(*words)
                    self.equal(output, "", f"standard output of {words}")
                    self.check(re.fullmatch(rf"{totals}\n", error), f"totals of {words}: {error!r}")
                else:
                    self.equal(self.show(*words, "-q"), "", f"what a quiet {words} shows")
        shown = self.show("generate", self.model, "Once", "--greedy", "--max-new-tokens", "4", "--quiet")
        self.check("\x1b" not in shown, f"a quiet answer shows {shown!r}")

    # ---- ends ----

    def statuses(self):
        """The exit statuses of the manual."""
        self.run("generate", self.model, "Once", "--greedy", "--max-new-tokens", "2")
        self.run("generate", "missing", "Once", status=1)
        for words in (["nonsense"], ["info", "a", "b"], ["chat"], ["info", "--jsn"], ["convert", self.model],
                      ["chat", self.model, "--memory-limit", "5XB"], ["chat", self.model, "--top-k"]):  # fmt: skip
            _, error = self.run(*words, status=2)
            self.check(error.startswith("xverse: ") and error.count("\n") == 1, f"{words} says {error!r}")
        self.run("generate", self.model, "Once", "--memory-limit", "1KB", status=1)
        self.run("generate", self.model, "Once", "--memory-limit", "4GiB", "--max-new-tokens", "1")
        # A reader that goes away.
        with subprocess.Popen([self.tool, "help", "--man"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tool:
            tool.stdout.close()
            self.equal((tool.wait(PATIENCE), tool.stderr.read()), (141, b""), "after a closed pipe")
        with open("/dev/full", "w") as full:
            done = subprocess.run([self.tool, "help"], stdout=full, stderr=subprocess.PIPE, check=False)
            self.equal(done.returncode, 1, "exit status with a full disk")
            self.check(b"standard output" in done.stderr, f"with a full disk: {done.stderr}")
        # Ctrl-C in an endless answer.
        endless = [self.tool, "generate", self.model, "Once", "--overflow", "shift", "--ignore-eos"]
        with subprocess.Popen(endless, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tool:
            tool.stdout.read(1)
            tool.send_signal(signal.SIGINT)
            _, error = tool.communicate(timeout=PATIENCE)
            self.equal((tool.returncode, error), (130, b""), "after Ctrl-C")
        with subprocess.Popen([*endless, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tool:
            while not self.catches_interrupts(tool.pid):
                time.sleep(0.01)
            tool.send_signal(signal.SIGINT)
            output, error = tool.communicate(timeout=PATIENCE)
            self.equal((tool.returncode, error), (130, b""), "after Ctrl-C with --json")
            # Nothing when the model was not loaded yet.
            if output:
                self.equal(json.loads(output)["finish_reason"], "cancelled", "finish_reason")

    def catches_interrupts(self, process):
        mask = re.search(r"^SigCgt:\s*(\w+)", Path(f"/proc/{process}/status").read_text(), re.MULTILINE)
        return int(mask.group(1), 16) >> (signal.SIGINT - 1) & 1


# Completes without a terminal: compopt works only while a line is completed.
BASH_OFFERS = 'compopt() { :; }; _xverse; printf "%s\\n" "${COMPREPLY[@]}"'
PARTS = ["help", "manual", "completions", "json", "colors", "progress", "statuses"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prefix")
    parser.add_argument("--model", default=ROOT / "examples/demo-model")
    parser.add_argument("parts", nargs="*", metavar="PART")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        checker = Checker(arguments, work)
        for part in arguments.parts or PARTS:
            start = time.monotonic()
            getattr(checker, part)()
            print(f"check-tool: {part}: {time.monotonic() - start:.1f} s", flush=True)
    print(f"check-tool: {checker.checked} facts, all good")


if __name__ == "__main__":
    main()
