"""Puts libxverse.so.1 into the wheel, as xverse/_lib/libxverse.so.1.

`pip install .` in the repository takes the library that `make` built, or builds it where there is a Swift toolchain.
`make wheel` (scripts/make-wheel.sh) says in the environment what else belongs into the wheel and for which systems it is:

    XVERSE_WHEEL_LIBRARIES   folder of the libraries; default: the library alone, from the repository's build
    XVERSE_WHEEL_METADATA    folder whose contents go beside the wheel's metadata: licences, bill of materials
    XVERSE_WHEEL_PLATFORM    platform tag of the wheel; default: linux and the architecture
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SONAME = "libxverse.so.1"


class LibraryHook(BuildHookInterface):
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel" or version == "editable":
            return
        platform_tag = os.environ.get("XVERSE_WHEEL_PLATFORM") or f"linux_{platform.machine()}"
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform_tag}"
        included = build_data["force_include"]
        if folder := os.environ.get("XVERSE_WHEEL_LIBRARIES"):
            included.update((str(path), f"xverse/_lib/{path.name}") for path in sorted(Path(folder).iterdir()))
        else:
            included[str(built_library(Path(self.root)))] = f"xverse/_lib/{SONAME}"
        if folder := os.environ.get("XVERSE_WHEEL_METADATA"):
            metadata = f"{self.metadata.core.name}-{self.metadata.version}.dist-info"
            files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
            included.update((str(path), f"{metadata}/{path.relative_to(folder)}") for path in files)


def built_library(package: Path) -> Path:
    """The library of the repository that the package lies in, built when it is not there."""
    repository = package.parent.parent
    library = repository / ".build-lib/release/libxverse.so"
    if library.exists():
        return library
    if not (repository / "Sources/XverseCAPI/Library.swift").exists():
        raise SystemExit(
            f"libxverse: this source package has no library in it, and its sources are not in {repository}; "
            "install the wheel, or run pip install in bindings/python of a clone of the repository"
        )
    if shutil.which(os.environ.get("SWIFT", "swift")) is None:
        raise SystemExit(
            f"libxverse: {library} is not built and there is no Swift toolchain in PATH to build it with; install the "
            "wheel, or see README.md for how to get Swift, run make, and pip install again"
        )
    made = subprocess.run(["make", "-C", str(repository), "lib"], stdin=subprocess.DEVNULL, check=False)
    if made.returncode != 0:
        raise SystemExit(f"libxverse: `make lib` in {repository} failed with exit status {made.returncode}")
    return library
