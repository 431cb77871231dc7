#!/usr/bin/env python3
"""Writes the Python package's declarations of the C interface from include/xverse.h.

    generate_python_ffi.py            writes bindings/python/src/xverse/_ffi.py
    generate_python_ffi.py --check    exit status 1 unless that file is what would be written, and a C compiler (CC, default
                                      cc) finds the same sizes, offsets and values as ctypes

The header has few forms, and anything that is none of them is an error: opaque types, enums, structs, function types, and
functions.
"""

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = ROOT / "include" / "xverse.h"
OUTPUT = ROOT / "bindings" / "python" / "src" / "xverse" / "_ffi.py"

NUMBERS = {
    "int32_t": "c_int32", "int64_t": "c_int64", "uint32_t": "c_uint32", "uint64_t": "c_uint64", "size_t": "c_size_t",
    "float": "c_float", "double": "c_double", "xverse_status": "c_int32",
}  # fmt: skip
IMPORTED = sorted({*NUMBERS.values(), "c_char_p", "c_void_p"})


class Interface:
    """What the header declares, in its order."""

    def __init__(self, text):
        text = re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)
        text = re.sub(r"^#if.*?__cplusplus\n.*?^#endif$", "", text, flags=re.DOTALL | re.MULTILINE)
        text = re.sub(r"^#.*$", "", text, flags=re.MULTILINE)
        self.opaque, self.constants, self.structs, self.callbacks, self.functions = set(), [], {}, {}, {}
        for declaration in re.findall(r"((?:[^;{}]|\{[^}]*\})+);", text):
            self.declare(" ".join(declaration.split()))

    def declare(self, text):
        if match := re.fullmatch(r"typedef struct (\w+) (\w+)", text):
            self.opaque.add(match[2])
        elif match := re.fullmatch(r"typedef int32_t xverse_status", text):
            pass
        elif match := re.fullmatch(r"enum \{(.*)\}", text):
            for constant in filter(None, (part.strip() for part in match[1].split(","))):
                name, value = re.fullmatch(r"(XVERSE_\w+) = (-?\d+)", constant).groups()
                self.constants.append((name, int(value)))
        elif match := re.fullmatch(r"typedef struct \{(.*)\} (\w+)", text):
            fields = [field.strip() for field in match[1].split(";") if field.strip()]
            pairs = [pair for field in fields for pair in self.fields(field)]
            # A text with its length may contain NUL: its address is needed, not what ctypes makes of it.
            counted = {name.removesuffix("_len") for name, _ in pairs if name.endswith("_len")}
            self.structs[match[2]] = [(name, "c_void_p" if name in counted else kind) for name, kind in pairs]
        elif match := re.fullmatch(r"typedef (.+?)\(\*(\w+)\)\((.*)\)", text):
            self.callbacks[match[2]] = self.function_type(match[1], match[3])
        elif match := re.fullmatch(r"(.+?)(xverse_\w+)\((.*)\)", text):
            self.functions[match[2]] = (self.result(match[1]), self.parameters(match[3]))
        else:
            raise SystemExit(f"{HEADER}: no form that this script knows: {text}")

    def fields(self, text):
        if match := re.fullmatch(r"(.+?)\(\*(\w+)\)\((.*)\)", text):
            return [(match[2], self.function_type(match[1], match[3]))]
        kind, names = re.fullmatch(r"(.*?[ *])((?:\w+, )*\w+)", text).groups()
        return [(name, self.type(kind)) for name in names.split(", ")]

    def function_type(self, result, parameters):
        return f"CFUNCTYPE({', '.join([self.result(result), *self.parameters(parameters)])})"

    def parameters(self, text):
        if text == "void":
            return []
        # Without the parameter's name.
        return [self.type(re.fullmatch(r"(.*[ *])\w+", part.strip())[1]) for part in text.split(",")]

    def result(self, text):
        return "None" if text.strip() == "void" else self.type(text)

    def type(self, text):
        """The ctypes type. A pointer to characters stays an address, so that texts may contain NUL, except where ctypes
        converts a parameter, a result or a member that only the library writes."""
        words = text.replace("*", " * ").split()
        base = next(word for word in words if word not in ("const", "*"))
        stars = words.count("*")
        if base in self.callbacks and stars == 0:
            return base
        if base in NUMBERS:
            return "POINTER(" * stars + NUMBERS[base] + ")" * stars
        if base == "char" and stars == 1:
            return "c_char_p"
        if base in ("char", "void") or base in self.opaque:
            inner = "c_void_p"
            return "POINTER(" * (stars - 1) + inner + ")" * (stars - 1)
        if base in self.structs and stars:
            return "POINTER(" * stars + base + ")" * stars
        raise SystemExit(f"{HEADER}: no type that this script knows: {text}")


def write(interface):
    lines = [
        '"""The C interface, as include/xverse.h declares it. Written by scripts/generate_python_ffi.py: do not edit."""',
        "",
        "from __future__ import annotations",
        "",
        "import ctypes",
        "from ctypes import (",
        *(f"    {name}," for name in ("CFUNCTYPE", "POINTER", *IMPORTED)),
        ")",
        "from typing import Any",
        "",
        "# fmt: off",
        "",
    ]
    lines += [f"{name.removeprefix('XVERSE_')} = {value}" for name, value in interface.constants]
    lines += ["", "# Function types and structs, each after those that it needs."]
    waiting = [*interface.callbacks.items(), *interface.structs.items()]
    written = set()
    while waiting:
        for item in list(waiting):
            name, body = item
            needed = {word for word in re.findall(r"xverse_\w+", str(body)) if word != name}
            if needed <= written:
                if isinstance(body, str):
                    lines += ["", f"{name} = {body}"]
                else:
                    lines += ["", "", f"class {name}(ctypes.Structure):", "    _fields_ = ("]
                    lines += [f'        ("{field}", {kind}),' for field, kind in body]
                    lines += ["    )", ""]
                written.add(name)
                waiting.remove(item)
    lines += [
        "",
        "",
        "# Result and parameters of each function.",
        "FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {",
    ]
    for name, (result, parameters) in interface.functions.items():
        listed = ", ".join(parameters) + ("," if len(parameters) == 1 else "")
        lines.append(f'    "{name}": ({result}, ({listed})),')
    lines.append("}")
    text = "\n".join(lines) + "\n"
    return re.sub(r"\n{4,}", "\n\n\n", text)


def compiler_says(interface):
    """Numbers by their names, from a C program that prints them."""
    rows = []
    for name, _ in interface.constants:
        rows.append((name, name))
    for name, fields in interface.structs.items():
        rows.append((f"sizeof {name}", f"sizeof({name})"))
        rows += [(f"{name}.{field}", f"offsetof({name}, {field})") for field, _ in fields]
        rows += [(f"sizeof {name}.{field}", f"sizeof((({name} *)0)->{field})") for field, _ in fields]
    prints = "\n".join(f'  printf("%s=%lld\\n", "{label}", (long long)({value}));' for label, value in rows)
    with tempfile.TemporaryDirectory() as work:
        source, program = Path(work, "say.c"), Path(work, "say")
        source.write_text(f"#include <stdio.h>\n#include <xverse.h>\nint main(void) {{\n{prints}\n  return 0;\n}}\n")
        compiler = os.environ.get("CC", "cc")
        subprocess.run([compiler, f"-I{HEADER.parent}", str(source), "-o", str(program)], check=True)
        said = subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout
    return {label: int(value) for label, value in (line.split("=") for line in said.splitlines())}


def ctypes_says(interface):
    """The same numbers, from the module."""
    specification = importlib.util.spec_from_file_location("_ffi", OUTPUT)
    ffi = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(ffi)
    numbers = {name: getattr(ffi, name.removeprefix("XVERSE_")) for name, _ in interface.constants}
    for name, fields in interface.structs.items():
        struct = getattr(ffi, name)
        numbers[f"sizeof {name}"] = ffi.ctypes.sizeof(struct)
        for field, _ in fields:
            numbers[f"{name}.{field}"] = getattr(struct, field).offset
            numbers[f"sizeof {name}.{field}"] = getattr(struct, field).size
    return numbers


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    text = HEADER.read_text(encoding="utf-8")
    interface = Interface(text)
    # Every name that a call could have must have been understood.
    called = set(re.findall(r"^\w[\w *]*?\b(xverse_\w+)\(", text, re.MULTILINE))
    if called != set(interface.functions):
        sys.exit(f"{HEADER}: functions not understood: {sorted(called ^ set(interface.functions))}")
    written = write(interface)
    if len(sys.argv) == 1:
        OUTPUT.write_text(written, encoding="utf-8")
        return
    if not OUTPUT.exists() or OUTPUT.read_text(encoding="utf-8") != written:
        sys.exit(f"{OUTPUT.relative_to(ROOT)} is not what {HEADER.name} declares: run scripts/generate_python_ffi.py")
    expected, found = compiler_says(interface), ctypes_says(interface)
    different = [f"{key}: C {expected[key]}, Python {found[key]}" for key in expected if found[key] != expected[key]]
    if different:
        sys.exit("\n".join(different))
    print(
        f"python declarations: {len(interface.functions)} functions, {len(interface.structs)} structs, "
        f"{len(interface.constants)} constants agree with {HEADER.name}"
    )


if __name__ == "__main__":
    main()
