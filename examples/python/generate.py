#!/usr/bin/env python3
"""Continues a text: generate.py MODEL "Once upon a time" """

import sys

from xverse import Model, XverseError


def main():
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} MODEL PROMPT")
    try:
        session = Model(sys.argv[1]).session()
        result = session.generate(sys.argv[2], max_new_tokens=100, temperature=0)
    except XverseError as error:
        sys.exit(f"{error.name}: {error}")
    print(sys.argv[2] + result.text)
    speed = result.stats.n_generated / max(result.stats.ns_decode, 1) * 1e9
    print(f"{len(result.tokens)} tokens, ended by {result.finish_reason}, {speed:.1f} tokens/s", file=sys.stderr)


if __name__ == "__main__":
    main()
