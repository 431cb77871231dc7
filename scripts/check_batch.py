#!/usr/bin/env python3
"""Checks `xverse generate --input` and `xverse score`: the order of the answers, bad lines, and that a run which was killed
and resumed writes what an undisturbed one writes.

    check_batch.py [--model MODEL] [--kills N] PREFIX [PART...]

PREFIX is where libxverse is installed; N is how many runs of each command are killed, each as often as it takes to end.
"""

import argparse
import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Far more than anything takes, on a machine that is busy with other things too.
PATIENCE = 120
LONGEST_LINE = 16 << 20
# Prompts with common beginnings, in two scripts, and answers of very different lengths.
PROMPTS = [
    "Once upon a time",
    "Once upon a time, a",
    "法国的首都是",
    'He said "no" and',
    "\t\u2028🦔 tab\x7f",
    "What is 27 + 48?",
]


class Checker:
    def __init__(self, arguments, work):
        self.tool, self.model = Path(arguments.prefix).resolve() / "bin/xverse", Path(arguments.model).resolve()
        self.work, self.kills = Path(work), arguments.kills
        self.input, self.output = self.work / "input.jsonl", self.work / "output.jsonl"
        self.random = random.Random(1)
        self.checked = 0

    def command(self, command, *options, source=None, output=None):
        files = ["--input", source or self.input, "--output", output or self.output]
        return [str(word) for word in [self.tool, command, self.model, *files, *options]]

    def run(self, command, *options, status=0, says=None, source=None, output=None, **others):
        """Runs the tool, which must end with `status` and say `says` on standard error."""
        words = self.command(command, *options, source=source, output=output)
        others.setdefault("stdin", subprocess.DEVNULL)
        done = subprocess.run(words, check=False, capture_output=True, timeout=PATIENCE, **others)
        error = done.stderr.decode()
        self.check(done.returncode == status, f"exit status {done.returncode}, expected {status}: {words}\n{error}")
        if says is not None:
            self.check(says in error, f"said {error!r}, expected {says!r}: {words}")
        return done

    def check(self, holds, message):
        self.checked += 1
        if not holds:
            sys.exit(f"check-batch: {message}")

    def equal(self, found, expected, what):
        self.check(found == expected, f"{what}: found {found!r:.2000}, expected {expected!r:.2000}")

    def write(self, lines):
        """Writes the input: JSON values, or bytes as they are."""
        self.input.write_bytes(b"".join(x if isinstance(x, bytes) else json.dumps(x).encode() + b"\n" for x in lines))

    def answers(self):
        """The lines of the output, which must all be whole."""
        text = self.output.read_text(encoding="utf-8")
        self.check(text == "" or text.endswith("\n"), "the output does not end with a line feed")
        return [json.loads(line) for line in text.split("\n")[:-1]]

    # ---- what is in the answers ----

    def generating(self):
        """Every answer is that of a run alone, in the order of the input."""
        lines = [
            {"prompt": PROMPTS[i % len(PROMPTS)], "id": f"{i} ü", "max_new_tokens": 1 + 37 * i % 60} for i in range(40)
        ]
        for i in range(0, 40, 3):
            lines[i] = {
                "messages": [{"role": "user", "content": lines[i]["prompt"]}],
                "custom_id": i,
                "max_new_tokens": 5,
            }
        for i in range(0, 40, 4):
            lines[i] |= {"do_sample": 1, "temperature": 1.5, "seed": 7}
        self.write(lines)
        for options in (["--max-num-seqs", "5"], ["--max-num-seqs", "1", "--max-queued-requests", "0", "--force"]):
            self.run("generate", "--greedy", *options)
            answers = self.answers()
            self.equal([x["index"] for x in answers], list(range(1, 41)), "index")
            names = [(x.get("id"), x.get("custom_id")) for x in answers]
            self.equal(names, [(x.get("id"), x.get("custom_id")) for x in lines], "id and custom_id")
            for line, answer in zip(lines[:12], answers):
                self.equal(answer["text"], self.alone(line), f"answer to {line}")
                self.equal(answer["n_generated"] <= line["max_new_tokens"], True, f"length of {answer}")
        self.run("generate", "--greedy", "--logprobs", "--max-new-tokens", "3", "--force", "--stats", says="cached")
        for answer in self.answers():
            self.equal(len(answer["tokens"]), answer["n_generated"], "tokens")
            self.equal(len(answer["logprobs"]), answer["n_generated"], "logprobs")

    def alone(self, line):
        options = [f"--{key.replace('_', '-')}={line[key]}" for key in ("temperature", "seed") if key in line]
        options += ["--max-new-tokens", str(line["max_new_tokens"]), "--json"]
        options += ["--do-sample" if "seed" in line else "--greedy"]
        if "messages" in line:
            options.append("--chat")
        prompt = line["messages"][0]["content"] if "messages" in line else line["prompt"]
        done = subprocess.run([self.tool, "generate", self.model, "-", *options], input=prompt.encode(), check=True,
                              capture_output=True, timeout=PATIENCE)  # fmt: skip
        return json.loads(done.stdout)["text"]

    def scoring(self):
        """Sums fit to the logarithms that they are made of, and a completion's to that of the whole."""
        self.write([{"text": "A spider has eight legs."}, {"prompt": "A spider has", "completion": " eight legs."},
                    {"prompt": "A spider has", "completion": " two legs."}, {"text": ""},
                    {"prompt": "", "completion": "法国"}, {"text": "A spider has"}])  # fmt: skip
        self.run("score", "--bos", "--logprobs")
        whole, right, wrong, empty, _, beginning = self.answers()
        for answer in self.answers():
            self.equal(answer["n_tokens"], len(answer["logprobs"]), "n_tokens")
            self.check(abs(sum(answer["logprobs"]) - answer["sum"]) < 1e-9, f"sum of {answer}")
        self.equal(whole["logprobs"], beginning["logprobs"] + right["logprobs"], "logprobs of a whole")
        self.check(right["perplexity"] < wrong["perplexity"], "two legs are more probable than eight")
        self.equal((empty["n_tokens"], empty["sum"], empty["perplexity"]), (0, 0, None), "no text")

    def bad_lines(self):
        """A bad line is reported with its number and does not end the rest."""
        bad = [
            (b'{"prompt": \n', "XVERSE_E_PARSE"), (b"[1]\n", "XVERSE_E_INVALID"), (b"nonsense\n", "XVERSE_E_PARSE"),
            (b'{"prompt": "\xff"}\n', "XVERSE_E_PARSE"), (b"[" * 100000 + b"\n", "XVERSE_E_PARSE"),
            (b'{"prompt": "a", "top_k": 01}\n', "XVERSE_E_PARSE"), (b'{"prompt": "a\tb"}\n', "XVERSE_E_PARSE"),
            (b'{"prompt": "' + b"a" * LONGEST_LINE + b'"}\n', "XVERSE_E_LIMIT"), (b"\0\n", "XVERSE_E_PARSE"),
            ({"prompt": 1}, "XVERSE_E_INVALID"), ({"prompt": "a", "temprature": 1}, "XVERSE_E_INVALID"),
            ({"prompt": "a", "top_p": 7}, "XVERSE_E_RANGE"), ({"prompt": "a", "n": 2}, "XVERSE_E_INVALID"),
            ({"prompt": "a", "messages": []}, "XVERSE_E_INVALID"), ({"messages": ["a"]}, "XVERSE_E_INVALID"),
            ({"messages": [{"role": "robot", "content": "a"}]}, "XVERSE_E_INVALID"), ({}, "XVERSE_E_INVALID"),
            ({"messages": [{"role": "user", "content": 1}]}, "XVERSE_E_INVALID"), ({"prompt": ""}, "XVERSE_E_INVALID"),
            ({"prompt": "a", "id": "x" * 2000}, "XVERSE_E_LIMIT"), ({"prompt": "a", "id": {}}, "XVERSE_E_INVALID"),
            (b'{"prompt": "a", "prompt": "b"}\n', "XVERSE_E_INVALID"), (b'{"prompt": "a"} {}\n', "XVERSE_E_PARSE"),
            ({"prompt": "word " * 5000}, "XVERSE_E_CONTEXT_FULL"),
        ]  # fmt: skip
        good = {"prompt": "Once", "id": "good"}
        self.write([x for line, _ in bad for x in (line, good)])
        options = ["--greedy", "--max-new-tokens", "4"]
        self.run("generate", *options, "--force", status=1, says=f"{len(bad)} of {2 * len(bad)} lines failed: 1, 3, 5")
        answers = self.answers()
        self.equal([x["index"] for x in answers], list(range(1, 2 * len(bad) + 1)), "index")
        self.equal([x["error"]["status"] for x in answers[::2]], [status for _, status in bad], "status")
        self.check(all(x["error"]["message"] for x in answers[::2]), "a message is empty")
        self.equal({x["text"] for x in answers[1::2]}, {answers[1]["text"]}, "text between bad lines")
        self.run("generate", *options, "--resume", status=1, says=f"{len(bad)} of {2 * len(bad)} lines failed")
        # More of them than answers are held.
        self.write([b"nonsense\n"] * 3000 + [good])
        self.run("generate", *options, "--force", status=1, says="3000 of 3001 lines failed: 1, 2, 3, 4")
        self.equal(self.answers()[-1]["text"], answers[1]["text"], "text after bad lines")
        self.write(
            [{"text": "a"}, {"txt": "a"}, {"text": 1}, {"prompt": "a"}, {"text": "word " * 5000}, {"text": "a b"}]
        )
        self.run("score", "--force", status=1, says="4 of 6 lines failed: 2, 3, 4, 5")
        self.equal("sum" in self.answers()[-1], True, "the line after bad ones")

    def layouts(self):
        """Blank lines count and have no answer; CRLF and a missing final line feed change nothing."""
        self.write(
            [
                b"\n",
                b'{"prompt": "Once"}\r\n',
                b" \t\r\n",
                b"\n",
                b' { "prompt" : "\\u004fnce" } \n',
                b'{"prompt":"Once"}',
            ]
        )
        options = ["--greedy", "--max-new-tokens", "4", "--force"]
        self.run("generate", *options)
        answers = self.answers()
        self.equal([x["index"] for x in answers], [2, 5, 6], "index")
        self.equal(len({x["text"] for x in answers}), 1, "different texts")
        for content in (b"", b"\n\n"):
            self.write([content])
            self.run("generate", *options)
            self.equal(self.answers(), [], "answers to nothing")

    def streams(self):
        """Standard input and output; an answer is there before the next line is."""
        words = self.command("generate", "--greedy", "--max-new-tokens", "4", source="-", output="-")
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as tool:
            for i in range(3):
                tool.stdin.write(b'{"prompt": "Once"}\n')
                tool.stdin.flush()
                self.equal(json.loads(tool.stdout.readline())["index"], i + 1, "index")
            tool.stdin.close()
            self.equal(tool.wait(PATIENCE), 0, "exit status")

    # ---- files ----

    def refusals(self):
        """Nothing is overwritten that was not meant to be."""
        self.write([{"prompt": "Once"}] * 3)
        options = ["--greedy", "--max-new-tokens", "4"]
        self.run("generate", *options, "--force")
        content = self.output.read_bytes()
        other = self.work / "other.jsonl"
        other.write_text('{"prompt": "Once", "id": 1}\n' * 3)
        short = self.work / "short.jsonl"
        short.write_text('{"prompt": "Once"}\n')
        for command, source, words, says in [
            ("generate", None, [], "--resume to continue"), ("score", None, [], "--force to overwrite"),
            ("generate", other, ["--resume"], "line 1 of"), ("generate", short, ["--resume"], "more lines than the input"),
            ("generate", self.output, ["--force"], "the same file"), ("generate", self.output, ["--resume"], "the same file"),
            ("generate", None, ["--resume", "--force"], "cannot be used together"), ("generate", None, ["--chat", "--force"], "--chat"),
            ("generate", None, ["--force", "--top-p", "2"], "top_p"), ("score", None, ["--force", "--context", "0"], "context"),
        ]:  # fmt: skip
            self.run(command, *words, status=2, says=says, source=source)
            self.equal(self.output.read_bytes(), content, f"output after {words}")
        link = self.work / "link.jsonl"
        link.symlink_to(self.input)
        self.run("generate", "--force", status=2, says="the same file", output=link)
        self.run("generate", status=1, says="No such file", source=self.work / "missing")
        self.run("generate", status=1, says="No space left", output="/dev/full")
        notes = self.work / "notes.txt"
        for text in (b"some notes", b"some notes\n", b'{"index": 2, "te', b'{"index": 1, "text": "a"}\n{"index": 3,'):
            notes.write_bytes(text)
            self.run("generate", "--resume", status=2, says="cannot be resumed", output=notes)
            self.equal(notes.read_bytes(), text, "notes")
        with self.output.open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            self.run("generate", "--resume", status=2, says="another process")
        self.run("generate", *options, "--resume")
        self.equal(self.output.read_bytes(), content, "output after a resumed run that was at its end")
        for words in (
            ["--input", self.input],
            ["--output", self.output],
            ["text", "--resume"],
            ["text", "--max-num-seqs=2"],
        ):
            done = subprocess.run([self.tool, "generate", self.model, *words], check=False, capture_output=True)
            self.equal(done.returncode, 2, f"exit status with {words}")

    def many(self):
        """A thousand short lines, more than are held."""
        self.write([{"prompt": PROMPTS[i % len(PROMPTS)], "id": i, "max_new_tokens": i % 5} for i in range(1500)])
        done = self.run("generate", "--greedy", "--force")
        self.equal([x["id"] for x in self.answers()], list(range(1500)), "id")
        self.check(b"generate: 1500 lines, " in done.stderr, f"progress: {done.stderr}")
        done = self.run("generate", "--greedy", "--force", "--quiet")
        self.equal(done.stderr, b"", "what a quiet run said")

    # ---- ends ----

    def resuming(self):
        """Wherever a run ended, the next one goes on."""
        lines = [{"prompt": PROMPTS[i % len(PROMPTS)], "id": i} for i in range(100)]
        lines[30] = b"nonsense\n"
        lines[60] = b"\n"
        generate = ["generate", "--do-sample", "--seed", "3", "--temperature", "1.2", "--max-new-tokens", "40"]
        texts = [{"text": " ".join(self.random.choices(PROMPTS, k=10)), "id": i} for i in range(150)]
        for words, content in ((generate, lines), (["score", "--logprobs"], [*texts, b"nonsense\n"])):
            self.write(content)
            start = time.monotonic()
            self.run(*words, "--force", status=1)
            span = time.monotonic() - start
            whole = self.output.read_bytes()
            for _ in range(self.kills):
                self.output.unlink()
                kills = self.killed(words, span)
                self.equal(self.output.read_bytes(), whole, f"output after {kills} kills")
            ends = [len(whole), len(whole) - 1, 0, 1, whole.index(b"\n"), whole.index(b"\n") + 1]
            for end in ends + [self.random.randrange(len(whole)) for _ in range(6)]:
                self.output.write_bytes(whole[:end])
                self.run(*words, "--resume", status=1)
                self.equal(self.output.read_bytes(), whole, f"output that was cut after {end} bytes")

    def killed(self, words, span):
        """Kills and resumes a run until it ends by itself; returns how often."""
        kills = 0
        while True:
            with subprocess.Popen(self.command(*words, "--resume"), stderr=subprocess.DEVNULL) as tool:
                try:
                    # Later each time, so that it comes to its end.
                    self.equal(tool.wait(span * (self.random.random() / 2 + kills / 20)), 1, "exit status")
                    return kills
                except subprocess.TimeoutExpired:
                    # Every fourth time as Ctrl-C does it.
                    tool.send_signal(signal.SIGINT if kills % 4 == 3 else signal.SIGKILL)
                    kills += 1
                    tool.wait(PATIENCE)


PARTS = ["generating", "scoring", "bad_lines", "layouts", "streams", "refusals", "many", "resuming"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prefix")
    parser.add_argument("--model", default=ROOT / "examples/demo-model")
    parser.add_argument("--kills", type=int, default=4)
    parser.add_argument("parts", nargs="*", metavar="PART")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        checker = Checker(arguments, work)
        for part in arguments.parts or PARTS:
            if checker.output.exists():
                os.unlink(checker.output)
            start = time.monotonic()
            getattr(checker, part)()
            print(f"check-batch: {part}: {time.monotonic() - start:.1f} s", flush=True)
    print(f"check-batch: {checker.checked} facts, all good")


if __name__ == "__main__":
    main()
