"""A small OpenID Connect provider on this machine: real keys, real codes, pages to click; and lies, told on request.

It stands for the hospital's: discovery, authorization with PKCE, a form with a password and a second factor, a token
endpoint that knows its client, keys, and the end of its own session. `lies` change the next token.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.ui.served import App, free_port, serving

CLIENT, PASSWORD, FACTOR = "workbench", "correct horse", "123456"
SECRET = "c1ient-s3cret-of-the-tests"
SSO = "provider_session"
LOGOUT = "http://schemas.openid.net/event/backchannel-logout"


@dataclass
class Provider:
    """What the provider knows: its people (name → its own lasting subject), open codes, sessions, and what to lie."""

    url: str
    back: str
    people: dict[str, str]
    key: RSAKey | ECKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one", "use": "sig"}))
    lies: dict[str, Any] = field(default_factory=dict)
    codes: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    sessions: dict[str, tuple[str, int, str]] = field(default_factory=dict)

    def app(self) -> Starlette:
        """Return the provider as an application."""
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self.discovery),
                Route("/keys", self.keys),
                Route("/authorize", self.authorize, methods=["GET", "POST"]),
                Route("/token", self.token, methods=["POST"]),
                Route("/logout", self.logout),
            ]
        )

    def discovery(self, _: Request) -> Response:
        names = {"authorization": "authorize", "token": "token", "end_session": "logout"}
        return JSONResponse(
            {
                "issuer": self.lies.get("issuer", self.url),
                **{f"{name}_endpoint": f"{self.url}/{place}" for name, place in names.items()},
                "jwks_uri": f"{self.url}/keys",
                "response_types_supported": ["code"],
                "code_challenge_methods_supported": ["S256"],
                "id_token_signing_alg_values_supported": ["RS256", "ES256"],
                "authorization_response_iss_parameter_supported": True,
            }
        )

    def keys(self, _: Request) -> Response:
        other = RSAKey.generate_key(2048, {"kid": "enc", "use": "enc", "alg": "RSA-OAEP"})
        return JSONResponse(KeySet([self.key, other]).as_dict(private=False))

    async def authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        right = (asked.get("client_id"), asked.get("redirect_uri"), asked.get("response_type"))
        if right != (CLIENT, self.back, "code") or asked.get("code_challenge_method") != "S256":
            return Response("the client asks wrongly", status_code=400)
        if request.method == "GET":
            self.asked.append(asked)
            known = self.sessions.get(request.cookies.get(SSO, ""))
            fresh = known is not None and time.time() - known[1] <= int(asked.get("max_age", 10**6))
            if known and fresh and asked.get("prompt") != "login":
                return self._go_back(asked, *known)
            return HTMLResponse(_form(request.url.path, asked))
        form = await request.form()
        name, factor = str(form.get("name")), form.get("factor") == FACTOR
        if form.get("stop"):
            return RedirectResponse(
                f"{self.back}?{urlencode({'error': 'access_denied', 'state': asked['state'], 'iss': self.url})}", 303
            )
        if name not in self.people or form.get("password") != PASSWORD:
            return HTMLResponse(_form(request.url.path, asked), status_code=401)
        session = (name, int(time.time()), "2" if factor else "1")
        answer = self._go_back(asked, *session)
        mark = secrets.token_urlsafe(16)
        self.sessions[mark] = session
        answer.set_cookie(SSO, mark, httponly=True)
        return answer

    def _go_back(self, asked: dict[str, str], name: str, when: int, acr: str) -> Response:
        code = secrets.token_urlsafe(24)
        self.codes[code] = {
            "asked": asked,
            "name": name,
            "auth_time": when,
            "acr": acr,
            "sid": f"sid-{name}-{len(self.tokens)}",
        }
        said = {"code": code, "state": asked["state"], "iss": self.lies.get("answering", self.url)}
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(said)}", status_code=303)

    async def token(self, request: Request) -> Response:
        form = await request.form()
        kept = self.codes.pop(str(form.get("code")), None)
        given = base64.b64decode(request.headers.get("authorization", "Basic ").split(" ")[1]).decode()
        proof = hashlib.sha256(str(form.get("code_verifier")).encode()).digest()
        if unquote(given) != f"{CLIENT}:{SECRET}":
            return JSONResponse({"error": "invalid_client"}, status_code=401)
        challenge = _plain(proof)
        if kept is None or kept["asked"]["code_challenge"] != challenge or form.get("redirect_uri") != self.back:
            return JSONResponse({"error": "invalid_grant"}, status_code=400)
        token = self.sign(
            {
                "iss": self.url, "aud": CLIENT, "azp": CLIENT, "sub": self.people[kept["name"]],
                "preferred_username": kept["name"], "nonce": kept["asked"]["nonce"], "auth_time": kept["auth_time"],
                "acr": kept["acr"], "sid": kept["sid"], "iat": int(time.time()), "exp": int(time.time()) + 300,
            }
        )  # fmt: skip
        self.tokens.append(token)
        return JSONResponse({"id_token": token, "access_token": secrets.token_urlsafe(24), "token_type": "Bearer"})

    def logout_token(self, name: str | None, sid: str | None = None, **changes: Any) -> str:
        """Return a logout token about a person's sessions, or about one of them; `changes` are other claims."""
        now = int(time.time())
        return self.sign(
            {
                "iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 120, "jti": secrets.token_urlsafe(12),
                "sub": self.people[name] if name else None, "sid": sid, "events": {LOGOUT: {}}, **changes,
            }
        )  # fmt: skip

    def sign(self, claims: dict[str, Any]) -> str:
        """Return a token, with the claims, the key and the algorithm that the lies name."""
        claims = {name: value for name, value in {**claims, **self.lies.get("claims", {})}.items() if value is not None}
        if self.lies.get("alg") == "none":
            parts = ({"alg": "none", "typ": "JWT"}, claims)
            return ".".join(_text(part) for part in parts) + "."
        if self.lies.get("alg") == "HS256":
            head = ".".join(_text(part) for part in ({"alg": "HS256", "kid": self.key.kid}, claims))
            public = self.key.as_pem(private=False)
            return f"{head}.{_plain(hmac.digest(public, head.encode(), 'sha256'))}"
        key = self.lies.get("key", self.key)
        usual = "ES256" if isinstance(key, ECKey) else "RS256"
        algorithm = self.lies.get("alg", usual)
        return jwt.encode({"alg": algorithm, "kid": key.kid or "one"}, claims, key, algorithms=[algorithm])

    def logout(self, request: Request) -> Response:
        self.sessions.pop(request.cookies.get(SSO, ""), None)
        return RedirectResponse(request.query_params["post_logout_redirect_uri"], status_code=303)


def _text(part: dict[str, Any]) -> str:
    return _plain(json.dumps(part).encode())


def _plain(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _form(path: str, asked: dict[str, str]) -> str:
    fields = "".join(
        f'<p><label>{label} <input name="{name}" type="{kind}"></label></p>'
        for name, label, kind in (
            ("name", "Account", "text"),
            ("password", "Password", "password"),
            ("factor", "Code", "text"),
        )
    )
    return (
        f"<!DOCTYPE html><title>Provider</title><h1>Hospital sign-in</h1>"
        f'<form method="post" action="{path}?{escape(urlencode(asked))}">{fields}<button>Enter</button>'
        f'<button name="stop" value="1">Stop</button></form>'
    )


def environment(provider: Provider, app: str, secret: Path) -> dict[str, str]:
    """Return the settings of an app whose people sign in by a provider; the client's secret is written to its file."""
    secret.write_text(f"{SECRET}\n")
    secret.chmod(0o600)
    return {
        "WORKBENCH_OIDC_ISSUER": provider.url, "WORKBENCH_OIDC_CLIENT_ID": CLIENT,
        "WORKBENCH_OIDC_SECRET_FILE": str(secret), "WORKBENCH_OIDC_ACR": "2 card", "WORKBENCH_PUBLIC_URL": app,
    }  # fmt: skip


@contextmanager
def providing(app_url: str, people: dict[str, str]) -> Iterator[Provider]:
    """Run a provider for an app at this address."""
    port = free_port()
    provider = Provider(f"http://localhost:{port}", f"{app_url}/connexion/retour", people)
    server = uvicorn.Server(uvicorn.Config(provider.app(), host="localhost", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield provider
    finally:
        server.should_exit = True
        thread.join(10)


@contextmanager
def served_with(home: Path, people: dict[str, str], **prepared: str) -> Iterator[tuple[App, Provider]]:
    """Run a provider, and the app on a home whose people sign in by it."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with providing(url, people) as provider, serving(home, port, **environment(provider, url, home.parent / "secret")):
        yield App(url, home, **prepared), provider
