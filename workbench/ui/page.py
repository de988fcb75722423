"""The HTML page around the app: Streamlit's own, mended (language, title, icon, our style; no inline script)."""

from __future__ import annotations

import re
from functools import cache
from html import escape
from pathlib import Path

from streamlit import file_util

from workbench.kernel.text import Lang, say

_HEAD = (
    '<script src="/workbench/assets/origin.js"></script>'
    '<link rel="icon" type="image/svg+xml" href="/workbench/assets/icon.svg">'
    '<link rel="stylesheet" href="/workbench/assets/style.css">'
    '<script defer src="/workbench/assets/chrome.js"></script>'
)


@cache
def page_html(lang: Lang) -> str:
    """Return the page in which Streamlit draws the app, in one language."""
    html = Path(file_util.get_static_dir(), "index.html").read_text(encoding="utf-8")
    html = re.sub(r"<!--.*?-->", "", html, flags=re.DOTALL)
    html = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    html = re.sub(r'<link rel="(shortcut icon|service-desc)"[^>]*>', "", html)
    html = re.sub(
        r"<noscript>.*?</noscript>", f"<noscript>{_said('needs_scripts', lang)}</noscript>", html, flags=re.DOTALL
    )
    html = re.sub(r"<title>.*?</title>", f"<title>{_said('app_name', lang)}</title>", html)
    html = html.replace('<html lang="en">', f'<html lang="{lang}">').replace('"./static', '"/static')
    return html.replace("<title>", f"{_HEAD}<title>")


@cache
def _font() -> str:
    """Return the style that names Streamlit's own font file, so that our own pages look like the others."""
    folder = Path(file_util.get_static_dir(), "static", "media")
    found = sorted(folder.glob("SourceSansVF-Upright*.woff2"))
    if not found:
        return ""
    source = f'url("/static/media/{found[0].name}") format("woff2")'
    return f'<style>@font-face {{ font-family: "Source Sans"; src: {source}; font-weight: 200 900; }}</style>'


def plain_page(title: str, body: str, lang: Lang) -> str:
    """Return a page of our own, outside Streamlit; `body` is HTML."""
    return (
        f'<!DOCTYPE html><html lang="{lang}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f'<title>{escape(title)}</title><link rel="icon" type="image/svg+xml" href="/workbench/assets/icon.svg">'
        f'<link rel="stylesheet" href="/workbench/assets/style.css">{_font()}</head>'
        f'<body class="wb-page"><main>{body}</main></body></html>'
    )


def _said(key: str, lang: Lang) -> str:
    return escape(say(f"ui.{key}", lang))
