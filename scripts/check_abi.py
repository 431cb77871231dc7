#!/usr/bin/env python3
"""Compares the ABI of the library and its header with the recorded one (docs/abi.md): nothing recorded may vanish or
change, and what is new must be recorded.

usage: scripts/check_abi.py [--update] [LIBRARY]

The record is packaging/abi/xverse.txt, with functions, types, constants, struct layouts (64-bit) and option keys, and
debian/libxverse1.symbols, with exported symbols and the release that brought each. --update adds what is new to both; a
change of what is recorded stays an error.
"""

import argparse
import ctypes
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = ROOT / "include/xverse.h"
RECORD = ROOT / "packaging/abi/xverse.txt"
SYMBOLS = ROOT / "debian/libxverse1.symbols"
OPTION_TYPES = {1: "int", 2: "float", 3: "string", 4: "JSON"}


def compiler(*arguments, **more):
    command = [os.environ.get("CC", "cc"), *arguments]
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, **more).stdout


# ---- the header ----


def declarations():
    """What xverse.h declares at the top level, without comments and included files, on one line each."""
    lines, is_ours = [], False
    for line in compiler("-E", str(HEADER)).splitlines():
        if marker := re.match(r'# \d+ "(.*?)"', line):
            is_ours = marker[1] == str(HEADER)
        elif is_ours:
            lines.append(line)
    text, start, depth = " ".join(" ".join(lines).split()), 0, 0
    for i, character in enumerate(text):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if character == ";" and depth == 0:
            yield text[start:i].strip()
            start = i + 1


def macros():
    """The macros of xverse.h that have a value."""
    text = compiler("-E", "-dM", str(HEADER))
    return re.findall(r"^#define (XVERSE_\w+) \S", text, re.MULTILINE)


def without_names(parameters):
    """The types of a list of parameters."""
    return ", ".join(re.sub(r"(?<=[\w*] |.\*)\w+$", "", part.strip()).strip() for part in parameters.split(","))


def members(body):
    """(name, type) of the members of a struct."""
    for text in filter(None, (part.strip() for part in body.split(";"))):
        if function := re.fullmatch(r"(.*?)\(\*(\w+)\)\((.*)\)", text):
            yield function[2], f"{function[1].strip()} (*)({without_names(function[3])})"
            continue
        first, *others = (part.strip() for part in text.split(","))
        kind, stars, only, length = re.fullmatch(r"(.*?)\s*(\**)\s*(\w+)(\[.*\])?", first).groups()
        for name in [only, *others]:
            yield name, f"{kind} {stars}{length or ''}".strip()


def read_header():
    """Facts by name, and the expressions whose values complete them."""
    facts, numbers = {}, {name: f"(long long){name}" for name in macros()}
    for text in declarations():
        if text.startswith("enum {"):
            for part in filter(None, text[6:-1].split(",")):
                name = part.split("=")[0].strip()
                numbers[name] = f"(long long){name}"
        elif struct := re.fullmatch(r"typedef struct \{(.*)\} (\w+)", text):
            numbers[f"{struct[2]} size"] = f"sizeof({struct[2]})"
            for name, kind in members(struct[1]):
                facts[f"{struct[2]}.{name}"] = kind
                numbers[f"{struct[2]}.{name} offset"] = f"offsetof({struct[2]}, {name})"
                numbers[f"{struct[2]}.{name} size"] = f"sizeof((({struct[2]} *)0)->{name})"
        elif callback := re.fullmatch(r"typedef (.*?)\(\*(\w+)\)\((.*)\)", text):
            facts[f"callback {callback[2]}"] = f"{callback[1].strip()} (*)({without_names(callback[3])})"
        elif alias := re.fullmatch(r"typedef (.*?)(\w+)", text):
            facts[f"type {alias[2]}"] = alias[1].strip()
        elif function := re.fullmatch(r"(.*?)(xverse_\w+) ?\((.*)\)", text):
            facts[f"function {function[2]}"] = f"{function[1].strip()} ({without_names(function[3])})"
        else:
            sys.exit(f"check_abi: include/xverse.h declares something this script does not know: {text}")
    return facts, numbers


def evaluate(numbers):
    """The values of expressions about xverse.h, computed by a C program."""
    prints = "".join(f'  printf("%lld\\n", (long long)({text}));\n' for text in numbers.values())
    source = f"#include <stddef.h>\n#include <stdio.h>\n#include <xverse.h>\nint main(void) {{\n{prints}}}\n"
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "numbers"
        compiler("-x", "c", "-", "-I", str(HEADER.parent), "-o", str(program), input=source)
        values = subprocess.run([program], check=True, text=True, stdout=subprocess.PIPE).stdout.split()
    return dict(zip(numbers, map(int, values), strict=True))


def header_facts():
    facts, numbers = read_header()
    values = evaluate(numbers)
    result = {}
    for name, value in values.items():
        if " " not in name:
            result[f"constant {name}"] = str(value)
        elif "." not in name:
            result[f"struct {name}"] = str(value)
    for name, fact in facts.items():
        if "." in name:
            offset, size = values[f"{name} offset"], values[f"{name} size"]
            result[f"member {name}"] = f"at {offset}, {size} bytes, {fact}"
        else:
            result[name] = fact
    return result


# ---- the library ----


class OptionInfo(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_uint32), ("type", ctypes.c_int32), ("key", ctypes.c_char_p), ("doc", ctypes.c_char_p),
        ("choices", ctypes.c_char_p), ("min", ctypes.c_double), ("max", ctypes.c_double), ("def", ctypes.c_double),
        ("unit", ctypes.c_char_p), ("def_choice", ctypes.c_char_p),
    ]  # fmt: skip


def option_facts(library, constants):
    """The keys of all kinds of options, with type, unit and choices."""
    describe = ctypes.CDLL(str(library)).xverse_options_describe
    describe.argtypes = [ctypes.c_int32, ctypes.c_int32, ctypes.POINTER(OptionInfo)]
    result = {}
    for name, kind in constants.items():
        if not name.startswith("constant XVERSE_OPTIONS_"):
            continue
        index, info = 0, OptionInfo(size=ctypes.sizeof(OptionInfo))
        while describe(int(kind), index, ctypes.byref(info)) == 0:
            key = f"option {name.removeprefix('constant XVERSE_OPTIONS_')} {info.key.decode()}"
            result[key] = " ".join(filter(None, [OPTION_TYPES[info.type], info.unit.decode()]))
            for choice in filter(None, (info.choices or b"").decode().split("|")):
                result[f"{key} choice {choice}"] = "accepted"
            index += 1
        if index == 0:
            sys.exit(f"check_abi: {library} describes no option of kind {kind}")
    return result


def exported(library):
    """Exported symbols as dpkg-gensymbols spells them, NAME@VERSION."""
    text = subprocess.run(
        ["nm", "-D", "--defined-only", "--extern-only", library], check=True, text=True, stdout=subprocess.PIPE
    ).stdout
    names = (line.split()[-1].replace("@@", "@") for line in text.splitlines())
    return {name if "@" in name else f"{name}@{name}" for name in names}


# ---- the record ----


def read_record(path):
    if not path.exists():
        return {}
    lines = (line for line in path.read_text().splitlines() if line and not line.startswith("#"))
    return dict(line.split(": ", 1) for line in lines)


def read_symbols(path):
    """NAME@VERSION -> the release that brought it; and the lines before them."""
    lines = path.read_text().splitlines()
    head = [line for line in lines if not line.startswith(" ")]
    return head, dict(line.split() for line in lines if line.startswith(" "))


def is_kept(name, recorded, now):
    """Structs grow at the end; all else stays as it is."""
    if now is None:
        return False
    return int(now) >= int(recorded) if name.startswith("struct ") else now == recorded


def version():
    """The version of the library, from its one home."""
    text = (ROOT / "Sources/XverseCAPI/Library.swift").read_text()
    return ".".join(
        re.search(rf"^private let {part} = (\d+)$", text, re.MULTILINE)[1] for part in ("major", "minor", "patch")
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--update", action="store_true", help="record what is new")
    parser.add_argument("library", nargs="?", type=Path, default=ROOT / ".build-lib/release/libxverse.so")
    arguments = parser.parse_args()

    facts = header_facts()
    facts |= option_facts(arguments.library.resolve(), facts)
    recorded = read_record(RECORD)
    head, symbols = read_symbols(SYMBOLS)
    names = exported(arguments.library)

    broken = [
        f"{name} was '{value}' and is {'gone' if facts.get(name) is None else repr(facts[name])}"
        for name, value in recorded.items()
        if not is_kept(name, value, facts.get(name))
    ]
    broken += [f"symbol {name} of release {symbols[name]} is no longer exported" for name in symbols.keys() - names]
    if broken:
        sys.exit("check_abi: the ABI is broken:\n  " + "\n  ".join(sorted(broken)))

    new = [name for name, value in facts.items() if recorded.get(name) != value]
    new += [f"symbol {name}" for name in sorted(names - symbols.keys())]
    if arguments.update:
        comments = [line for line in RECORD.read_text().splitlines() if line.startswith("#")] if RECORD.exists() else []
        RECORD.write_text("\n".join([*comments, *(f"{name}: {facts[name]}" for name in facts)]) + "\n")
        symbols |= {name: version() for name in names - symbols.keys()}
        SYMBOLS.write_text("\n".join([*head, *(f" {name} {symbols[name]}" for name in sorted(symbols))]) + "\n")
        print(f"check_abi: {len(new)} additions recorded")
    elif new:
        sys.exit("check_abi: not recorded yet; run scripts/check_abi.py --update:\n  " + "\n  ".join(new))
    else:
        print(f"check_abi: {len(symbols)} symbols and {len(facts)} facts, as recorded")


if __name__ == "__main__":
    main()
