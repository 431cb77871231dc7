#!/usr/bin/env python3
"""Compiles or runs every code block of README.md, docs/ and the pages in bindings/ and examples/. README.zh-CN.md must have
the code blocks and the sections of README.md.

    check_docs.py PREFIX [MODEL]

PREFIX is where libxverse is installed (with PC_RPATH=1); MODEL, the demonstration model when not given, stands in for the
name XVERSE-7B-Chat in the blocks. What a block's language means here:

    c, cpp         compiled with the flags of pkg-config; a complete program is also run
    swift          compiled against the package in bindings/swift
    python         run with bindings/python/src on the path
    sh             run line by line in a copy of the page's folder: `xverse` is the installed tool, `cc` and `c++` lines build
                   the program above, `make` lines are checked with `make -n`, for CI runs those targets themselves
    console        a transcript: the lines after `$ ` are run in the root of the repository and must print the lines that follow
    cmake          configured, built and run as a project of one C program, where cmake exists
    text           left alone (the tests of the Python package run the commands of docs/serving.md); a block without a language is an error
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
STAND_IN = re.compile(r"XVERSE-7B-Chat|\bMODEL\b(?!=)")


class Checker:
    def __init__(self, prefix, model, work):
        self.prefix, self.model, self.work = os.path.abspath(prefix), os.path.abspath(model), work
        self.environment = dict(
            os.environ,
            PATH=f"{self.prefix}/bin:{os.environ['PATH']}",
            PKG_CONFIG_PATH=f"{self.prefix}/lib/pkgconfig",
            LD_LIBRARY_PATH=f"{self.prefix}/lib",
            PYTHONPATH=os.path.join(ROOT, "bindings", "python", "src"),
            XVERSE_LIBRARY=f"{self.prefix}/lib/libxverse.so.1",
        )
        self.folder = work
        self.failures = self.checked = 0

    def page(self, path):
        text = Path(ROOT, path).read_text(encoding="utf-8")
        self.folder = self.work
        if path.startswith("examples/"):
            shutil.copytree(os.path.join(ROOT, "examples"), os.path.join(self.work, "examples"),
                            ignore=shutil.ignore_patterns(".build*"), dirs_exist_ok=True)  # fmt: skip
            self.folder = os.path.join(self.work, os.path.dirname(path))
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            language, body = match.group(2), match.group(3)
            if language == "text":
                continue
            check = getattr(self, "check_" + language, None)
            self.checked += 1
            problem = check(body) if check else f"language '{language}', expected c, cpp, python, sh, swift or text"
            if problem:
                self.failures += 1
                print(f"FAILED {path}:{line}: {problem}")

    def translation(self, path, original):
        """Checks that a translation has the blocks of the original, which need not run twice, and its sections."""
        page, model = (Path(ROOT, name).read_text(encoding="utf-8") for name in (path, original))
        blocks, expected = ([match.group() for match in BLOCK.finditer(text)] for text in (page, model))
        for i, (block, other) in enumerate(zip(blocks, expected)):
            if block != other:
                self.failures += 1
                print(f"FAILED {path}: block {i + 1} differs from that of {original}, which is\n{other}")
        levels, others = (re.findall(r"^#+ ", BLOCK.sub("", text), re.MULTILINE) for text in (page, model))
        for what, found, wanted in (("blocks", len(blocks), len(expected)), ("headings", levels, others)):
            if found != wanted:
                self.failures += 1
                print(f"FAILED {path}: {what} {found}, in {original} {wanted}")

    def check_c(self, body):
        with open(os.path.join(self.folder, "main.c"), "w") as file:
            file.write(body)
        if "int main" not in body:
            return self.shell("cc -std=c99 -Wall -Wextra -Werror -c main.c -o main.o $(pkg-config --cflags xverse)")
        return self.shell(
            "cc -std=c99 -Wall -Wextra -Werror main.c -o main $(pkg-config --cflags --libs xverse) && "
            "./main " + shlex.quote(self.model)
        )

    def check_cpp(self, body):
        with open(os.path.join(self.folder, "main.cpp"), "w") as file:
            file.write(self.with_model(body))
        return self.shell(
            "c++ -std=c++17 -Wall -Wextra -Werror main.cpp -o main $(pkg-config --cflags --libs xverse) && "
            "./main " + shlex.quote(self.model)
        )

    def check_python(self, body):
        with open(os.path.join(self.folder, "block.py"), "w") as file:
            file.write(self.with_model(body))
        return self.shell("python3 block.py")

    def check_swift(self, body):
        with open(os.path.join(self.folder, "block.swift"), "w") as file:
            file.write(body)
        package = os.path.join(ROOT, "bindings", "swift", "XVERSE", "Sources")
        flags = f"-swift-version 6 -I {shlex.quote(package)}/CXverse -I {shlex.quote(self.prefix)}/include"
        module = os.path.join(self.work, "XVERSE.swiftmodule")
        problem = None
        if not os.path.exists(module):
            problem = self.shell(
                f"swiftc -emit-module -module-name XVERSE -parse-as-library {flags} -o {shlex.quote(module)} "
                f"{shlex.quote(package)}/XVERSE/*.swift"
            )
        return problem or self.shell(f"swiftc -typecheck block.swift {flags} -I {shlex.quote(self.work)}")

    def check_sh(self, body):
        for line in body.splitlines():
            command = line.removeprefix("sudo ")
            if command.startswith("make"):
                problem = self.shell(f"make -n -C {shlex.quote(ROOT)} {command.removeprefix('make')}")
            elif not command.strip():
                problem = None
            elif command.startswith("cd swift "):
                # Where scripts/check-bindings.sh builds them, with its flags, so that both build once.
                scratch = os.path.join(ROOT, ".build", "examples")
                swift_run = f"swift run -q --manifest-cache none -Xswiftc -warnings-as-errors --scratch-path {shlex.quote(scratch)} "
                command = self.with_model(command).replace("swift run ", swift_run)
                problem = self.shell(f"cd {shlex.quote(ROOT)}/examples && {command}")
            else:
                problem = self.shell(self.with_model(command))
            if problem:
                return f"`{line}`: {problem}"
        return None

    def check_console(self, body):
        for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
            command, expected = part.split("\n", 1)
            done = subprocess.run(["bash", "-c", command], cwd=ROOT, env=self.environment, stdin=subprocess.DEVNULL,
                                  capture_output=True, timeout=300, text=True, check=False)  # fmt: skip
            if done.returncode or done.stdout != expected:
                return f"`{command}`: exit status {done.returncode}, printed\n{done.stdout}{done.stderr}expected\n{expected}"
        return None

    def with_model(self, text):
        return STAND_IN.sub(self.model, text)

    def check_cmake(self, body):
        if not shutil.which("cmake"):
            print("note: no cmake here, its block is not checked")
            return None
        folder = os.path.join(self.folder, "cmake")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "CMakeLists.txt"), "w") as file:
            file.write(
                "cmake_minimum_required(VERSION 3.16)\nproject(block C)\nadd_executable(program main.c)\n" + body
            )
        with open(os.path.join(folder, "main.c"), "w") as file:
            file.write("#include <xverse.h>\nint main(void) { return xverse_version()[0] == 0; }\n")
        return self.shell(
            f"cmake -S cmake -B cmake/build -DCMAKE_PREFIX_PATH={shlex.quote(self.prefix)} && "
            "cmake --build cmake/build && cmake/build/program"
        )

    def shell(self, command):
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, text=True, errors="replace", check=False,
        )  # fmt: skip
        return f"exit status {done.returncode}\n{done.stdout[-2000:]}" if done.returncode else None


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    catalogue = "bindings/swift/XVERSE/Sources/XVERSE/XVERSE.docc"
    pages = ["README.md", "bindings/python/README.md", "examples/README.md", "examples/demo-model/README.md"] + [
        f"{folder}/{name}" for folder in ("docs", catalogue) for name in sorted(os.listdir(f"{ROOT}/{folder}"))
    ]
    with tempfile.TemporaryDirectory() as work:
        checker = Checker(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else f"{ROOT}/examples/demo-model", work)
        for path in pages:
            checker.page(path)
        checker.translation("README.zh-CN.md", "README.md")
    print(f"check-docs: {checker.checked} blocks, {checker.failures} failed")
    sys.exit(1 if checker.failures else 0)


if __name__ == "__main__":
    main()
