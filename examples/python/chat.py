#!/usr/bin/env python3
"""A conversation on the terminal: chat.py MODEL. Ctrl-C stops an answer, Ctrl-D leaves."""

import sys

from xverse import Model, XverseError


def main():
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} MODEL")
    try:
        session = Model(sys.argv[1]).session()
    except XverseError as error:
        sys.exit(f"{error.name}: {error}")
    messages = []
    while True:
        try:
            messages.append(("user", input("> ")))
        except EOFError:
            return
        answer = ""
        try:
            for piece in session.chat(messages):
                print(piece, end="", flush=True)
                answer += piece
        except KeyboardInterrupt:
            pass  # leaving the loop has stopped the answer; what was said so far stays in the conversation
        except XverseError as error:
            sys.exit(f"{error.name}: {error}")
        print()
        messages.append(("assistant", answer))


if __name__ == "__main__":
    main()
