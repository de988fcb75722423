"""How a label and what people type become words: without accents, case, or punctuation, the same way on both sides.

The two functions must agree letter for letter: one runs in DuckDB over millions of labels, the other on a query.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

LIGATURES: Mapping[str, str] = {"œ": "oe", "æ": "ae", "ß": "ss", "ı": "i", "ø": "o", "ł": "l", "đ": "d", "ς": "σ"}
"""Letters that no accent explains, as people type them."""

BETWEEN = r"[^\p{L}\p{N}]+"
"""What stands between two words (RE2)."""


def folded_sql(text: str) -> str:
    """Return the DuckDB expression of a text without accents and case; `text` is an expression."""
    folded = f"lower({text})"
    for letter, letters in LIGATURES.items():
        folded = f"replace({folded}, '{letter}', '{letters}')"
    return f"lower(strip_accents({folded}))"


def folded(text: str) -> str:
    """Return a text without accents and case."""
    lowered = text.lower()
    for letter, letters in LIGATURES.items():
        lowered = lowered.replace(letter, letters)
    plain = unicodedata.normalize("NFD", lowered)
    return unicodedata.normalize(
        "NFC", "".join(each for each in plain if unicodedata.category(each) not in {"Mn", "Me"})
    ).lower()


def words(text: str) -> list[str]:
    """Return the words of a text, in order."""
    kept = (letter if unicodedata.category(letter)[0] in "LN" else " " for letter in folded(text))
    return "".join(kept).split()
