"""Which contents belong to the test: decided by a hash of the content alone, before any text exists.

The content of a question is its task and its operands, written without language or wording: ("sum", 17, 25) is the content
of "What is 17 + 25?", of "25 加 17 等于多少？" and of the follow-up "And 25 + 17?". One in ten contents is held out; the
generator of training text draws again when it meets one, the generator of the test keeps nothing else. So no question of
the test, in any wording, order of operands or language, has been seen in training.
"""

import hashlib

TEST_SHARE = 10


def held_out(content):
    """content: a tuple of strings and numbers, in a canonical order."""
    digest = hashlib.sha256(repr(content).encode()).digest()
    return int.from_bytes(digest[:8], "big") % TEST_SHARE == 0
