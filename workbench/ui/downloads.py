"""Files that people take away, each by a route of our own: signed in, allowed, and written to the audit log."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from workbench.governance.actors import Actor
from workbench.kernel.errors import UserError
from workbench.kernel.html import join, page, paragraph, tag
from workbench.kernel.text import Lang, say
from workbench.services import auditing, evidence, findings, outputs, register
from workbench.services.context import Workbench
from workbench.ui import session, state
from workbench.ui.answers import error_page, reader_language, refusal


def _head(wb: Workbench, actor: Actor, _: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "head.json"
        auditing.save_head(wb, actor, path)
        return path.read_bytes()


def _log_json(wb: Workbench, actor: Actor, _: str) -> bytes:
    return json.dumps(auditing.export_log(wb, actor), ensure_ascii=False, indent=1).encode()


def _log_csv(wb: Workbench, actor: Actor, _: str) -> bytes:
    return auditing.as_csv(auditing.export_log(wb, actor)).encode()


def _evidence(wb: Workbench, actor: Actor, ref: str) -> bytes:
    return evidence.pack(wb, actor, ref).content


def _register_html(lang: Lang) -> Callable[[Workbench, Actor, str], bytes]:
    return lambda wb, actor, _: register.as_html(register.public_register(wb, actor), lang).encode()


def _register_json(wb: Workbench, actor: Actor, _: str) -> bytes:
    return register.as_json(register.public_register(wb, actor)).encode()


FILES: Mapping[str, tuple[str, Callable[[Workbench, Actor, str], bytes]]] = {
    "audit-head.json": ("application/json", _head),
    "audit-log.json": ("application/json", _log_json),
    "audit-log.csv": ("text/csv; charset=utf-8", _log_csv),
    "evidence.zip": ("application/zip", _evidence),
    "register.json": ("application/json", _register_json),
    "register.html": ("text/html; charset=utf-8", _register_html("fr")),
    "register.en.html": ("text/html; charset=utf-8", _register_html("en")),
}
"""What can be taken: name → media type and the service that makes it (it checks the policy and writes the log), of the
thing that the address names as `id`."""


async def download(request: Request) -> Response:
    """Answer with a file, or with the reason why not."""
    name = request.path_params["name"]
    found = FILES.get(name)
    if found is None:
        return refusal("no_such_file", _lang(request), 404)
    kind, make = found
    about = request.query_params.get("id", "")
    return await _answer(request, kind, lambda wb, actor: (name, make(wb, actor, about)))


async def output(request: Request) -> Response:
    """Answer with a released output, the bytes that were decided on, or with the reason why not."""
    ref = request.path_params["id"]
    return await _answer(request, "application/octet-stream", lambda wb, actor: outputs.download(wb, actor, ref))


async def letter(request: Request) -> Response:
    """Answer with the letter of an accepted finding, for the clinician: a page to print, which names the person."""
    ref, lang = request.path_params["id"], _lang(request)

    def make(wb: Workbench, actor: Actor) -> tuple[str, bytes]:
        found = findings.deliver(wb, actor, ref)
        lines = ((say("ui.finding_letter_person", lang), str(found.person)), (say("ui.study", lang), found.study))
        named = [paragraph(join([f"{name} : ", tag("strong", value)])) for name, value in lines]
        title = say("ui.finding_letter_title", lang, finding=found.finding)
        written = page(title, [tag("h1", title), *named, tag("pre", found.text)], lang)
        return f"{found.finding}.html", written.encode()

    return await _answer(request, "text/html; charset=utf-8", make)


async def _answer(request: Request, kind: str, make: Callable[[Workbench, Actor], tuple[str, bytes]]) -> Response:
    actor = session.current_actor(request.cookies)
    if actor is None:
        return refusal("sign_in_first", _lang(request), 401)
    if request.headers.get("sec-fetch-site") not in {None, "same-origin", "none"}:
        return refusal("not_from_here", _lang(request))
    try:
        name, content = await run_in_threadpool(make, state.workbench(), actor)
    except UserError as error:
        return error_page(error, _lang(request), 403)
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}", "Cache-Control": "no-store"}
    return Response(content, media_type=kind, headers=headers)


def _lang(request: Request) -> Lang:
    return reader_language(request.query_params.get("lang"), request.headers)
