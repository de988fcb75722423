"""The app's words: every key that a page uses stands in both languages, with the same facts."""

from __future__ import annotations

import ast
from pathlib import Path
from string import Formatter

import pytest

from workbench.governance.deliverable import deliverable
from workbench.kernel.html import tag, typeset
from workbench.kernel.text import LANGS, catalogue, say
from workbench.ui.pages import PAGES
from workbench.ui.parts import words

SOURCES = sorted((Path(__file__).parents[2] / "workbench/ui").rglob("*.py"))
SPEAKERS = {"t", "_say", "_said"}


def _constants(node: ast.expr) -> list[str]:
    if isinstance(node, ast.IfExp):
        return [*_constants(node.body), *_constants(node.orelse)]
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def _used() -> set[str]:
    trees = [ast.parse(path.read_text("utf-8")) for path in SOURCES]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {
        key for call in calls if isinstance(call.func, ast.Name) and call.func.id in SPEAKERS and call.args
        for key in _constants(call.args[0])
    }  # fmt: skip


def test_every_key_that_pages_use_is_in_both_languages() -> None:
    used = _used()
    assert len(used) > 200
    for lang in LANGS:
        assert {key for key in used if f"ui.{key}" not in catalogue(lang)["text"]} == set()


@pytest.mark.parametrize("page", [page.key for page in PAGES])
def test_every_page_has_its_words(page: str) -> None:
    for lang in LANGS:
        assert {f"ui.{page}_{part}" for part in ("nav", "title", "help")} <= catalogue(lang)["text"].keys()


def _facts(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name}


def test_both_languages_hold_the_same_keys_and_facts() -> None:
    french, english = (
        {key: value for key, value in catalogue(lang)["text"].items() if key.startswith("ui.")} for lang in LANGS
    )
    assert french.keys() == english.keys()
    assert [key for key in french if _facts(french[key]) != _facts(english[key])] == []


def test_errors_of_the_app_have_all_parts_in_both_languages() -> None:
    french, english = (
        {key: value for key, value in catalogue(lang)["error"].items() if key.startswith("ui.")} for lang in LANGS
    )
    assert french.keys() == english.keys()
    for code, parts in french.items():
        assert parts.keys() == english[code].keys() == {"what", "not_done", "do"}
        assert _facts(" ".join(parts.values())) == _facts(" ".join(english[code].values()))


def test_columns_of_one_table_have_each_their_words(monkeypatch: pytest.MonkeyPatch) -> None:
    for lang in LANGS:
        monkeypatch.setattr(words, "lang", lambda lang=lang: lang)
        monkeypatch.setattr(words, "t", lambda key, lang=lang: say(f"ui.{key}", lang))
        for table, columns in deliverable().items():
            said = [words.column_name(column) for column in columns]
            assert len(set(said)) == len(said), table
            assert not set(said) & set(columns) - {"quantity", "observation", "refills"}, table


def test_french_signs_keep_their_word() -> None:
    said = typeset("« Oui » : 12 % ; non ? (fin !)")
    assert said == "«\u00a0Oui\u00a0»\u00a0: 12\u202f%\u202f; non\u202f? (fin\u202f!)"
    assert typeset("a: b; c? x=1 ?y :z 5%") == "a: b; c? x=1 ?y :z 5%"
    assert tag("code", "a : b") == "<code>a : b</code>"
    assert tag("p", "a : <b>") == "<p>a\u00a0: &lt;b&gt;</p>"


def test_moments_are_those_of_french_legal_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "lang", lambda: "fr")
    monkeypatch.setattr(words, "t", lambda key, **facts: say(f"ui.{key}", "fr", **facts))
    assert words.moment("2026-11-22T23:30:00.000000Z") == "23 novembre 2026, 00:30"
    assert words.moment("2026-06-30T22:30:00.000000Z") == "1er juillet 2026, 00:30"
    assert words.day("2026-07-01") == "1er juillet 2026"


def test_a_refusal_in_the_log_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "lang", lambda: "fr")
    assert words.log_reason("governance.not_allowed") == "…, en tant que …, n’a pas le droit de faire « … »."
    assert (words.log_reason("Fin de l’accord."), words.log_reason(None)) == ("Fin de l’accord.", "")
