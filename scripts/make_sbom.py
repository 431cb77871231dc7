#!/usr/bin/env python3
"""Writes a bill of materials in SPDX 2.3 (JSON): libxverse and what is in its packages, from the tables of
docs/licenses.md.

usage: scripts/make_sbom.py VERSION [--bundled] > xverse.spdx.json

--bundled: with the libraries that lie beside it in the wheel, whose versions dpkg-query knows.
SOURCE_DATE_EPOCH is the time in the document.
"""

import argparse
import datetime
import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def output(*command):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


def tables():
    """The rows of the tables of docs/licenses.md: those linked in, and those beside the library."""
    found = []
    for line in (ROOT / "docs/licenses.md").read_text().splitlines():
        if line.startswith("| component "):
            found.append([])
        elif line.startswith("| ") and not line.startswith("| ---"):
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
    linked, beside = found
    return linked, beside


def package(name, version, licence, **more):
    return {
        "SPDXID": "SPDXRef-" + re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-"),
        "name": name,
        "versionInfo": version,
        "licenseConcluded": licence,
        "licenseDeclared": licence,
        "copyrightText": "NOASSERTION",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
    } | more


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("version")
    parser.add_argument("--bundled", action="store_true", help="with the libraries of the wheel")
    arguments = parser.parse_args()

    linked, beside = tables()
    swift = re.search(r"Swift version ([0-9.]+)", output(os.environ.get("SWIFT", "swift"), "--version"))[1]
    library = package("libxverse", arguments.version, "Apache-2.0")
    parts = [package(name.split(",")[0], f"of Swift {swift}", licence) for name, licence, _ in linked]
    relations = ["STATIC_LINK"] * len(parts)
    if arguments.bundled:
        for name, licence, debian in beside:
            version = output("dpkg-query", "-W", "-f", "${Version}", debian)
            reference = {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": f"pkg:deb/debian/{debian}@{version.replace('+', '%2B')}",
            }
            parts.append(package(name, version, licence, externalRefs=[reference]))
            relations.append("DYNAMIC_LINK")

    epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or output("git", "-C", str(ROOT), "log", "-1", "--format=%ct"))
    created = datetime.datetime.fromtimestamp(epoch, datetime.UTC)
    name = f"libxverse-{arguments.version}" + ("-wheel" if arguments.bundled else "")
    document = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": f"https://spdx.org/spdxdocs/{name}-{epoch}",
        "creationInfo": {"created": f"{created:%Y-%m-%dT%H:%M:%SZ}", "creators": ["Tool: make_sbom.py"]},
        "packages": [library, *parts],
        "relationships": [relation("SPDXRef-DOCUMENT", "DESCRIBES", library["SPDXID"])]
        + [relation(library["SPDXID"], kind, part["SPDXID"]) for kind, part in zip(relations, parts, strict=True)],
    }
    json.dump(document, sys.stdout, indent=2)
    print()


def relation(element, kind, related):
    return {"spdxElementId": element, "relationshipType": kind, "relatedSpdxElement": related}


if __name__ == "__main__":
    main()
