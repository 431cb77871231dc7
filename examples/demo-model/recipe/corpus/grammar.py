"""Turns templates into sentences: choices, slots, articles and capitals."""

import re

_BRACES = re.compile(r"\{([^{}]*)\}")
_ARTICLE = re.compile(r"\b([Aa])\(n\) (?=(\W*\w))")
_SENTENCE_START = re.compile(r"(?:^|(?<=[.!?] )|(?<=\.\" ))([a-z])")


def expand(rng, template, **slots):
    """`{a|b|}` becomes one of the choices, `{name}` the slot of that name (a string or a list to draw from),
    innermost braces first, so both nest; `a(n)` becomes the right article."""

    def replace(match):
        body = match.group(1)
        if "|" in body:
            return rng.choice(body.split("|"))
        value = slots[body]
        return value if isinstance(value, str) else rng.choice(value)

    while "{" in template:
        template = _BRACES.sub(replace, template)
    return articles(template)


def articles(text):
    return _ARTICLE.sub(lambda m: m.group(1) + ("n " if m.group(2).lower() in "aeiou" else " "), text)


def capitalized(text):
    """Every sentence of an English text begins with a capital."""
    return _SENTENCE_START.sub(lambda m: m.group(1).upper(), text)


def article(noun):
    """ant -> an ant"""
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def listed(items, word="and"):
    """['a', 'b', 'c'] -> 'a, b and c'"""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + f" {word} " + items[-1]
