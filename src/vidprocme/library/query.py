"""A person's words as an FTS5 query. Whatever they type is words, never syntax."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from vidprocme.core.errors import BadWish

LONGEST = 1000  # characters read of a query
MOST_TERMS = 32  # words and phrases used of it; the rest could only narrow further


def match_expression(words: str) -> str:
    """The FTS5 expression for what somebody typed: all words, in any order; the last one may be unfinished.

    "Words in quotes" must stand together, in that order. So must the parts of one word with signs in it (`3.5`,
    `red-haired`), as the index has cut those in the same places.

    Raises:
        BadWish: EMPTY_QUERY, there is no letter or digit in it.
    """
    terms = list(_terms(words[:LONGEST]))[:MOST_TERMS]
    if not terms:
        raise BadWish("EMPTY_QUERY", "There is no word to search for.", "Type a word that the captions may hold.")
    return " AND ".join(f'"{text}"{" *" if unfinished else ""}' for text, unfinished in terms)


def _terms(words: str) -> Iterator[tuple[str, bool]]:
    """Phrases of word characters and spaces, and whether the last word of each may go on."""
    parts = words.split('"')
    found: list[tuple[str, bool]] = []
    for number, part in enumerate(parts):
        quoted = number % 2 == 1
        closed = quoted and number < len(parts) - 1
        for group in [part] if quoted else part.split():
            phrase = " ".join("".join(sign if _in_word(sign) else " " for sign in group).split())
            if any(unicodedata.category(sign)[0] != "M" for sign in phrase if sign != " "):
                found.append((phrase, not closed))
    for place, (phrase, open_end) in enumerate(found):
        yield phrase, open_end and place == len(found) - 1


def _in_word(sign: str) -> bool:
    """What the tokenizer unicode61 keeps: letters, digits, private use, and the marks that ride on letters."""
    category = unicodedata.category(sign)
    return category[0] in "LNM" or category == "Co"
