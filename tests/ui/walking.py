"""A browser without a screen: it keeps each host's cookies and follows what it is told to, no further."""

from __future__ import annotations

import http.client
from dataclasses import dataclass, field
from urllib.parse import urlencode, urljoin, urlsplit

FORM = {"content-type": "application/x-www-form-urlencoded"}


@dataclass
class Answer:
    """A response, its headers by lower-case name; `cookies` are the lines that set them."""

    url: str
    status: int
    headers: dict[str, str]
    cookies: list[str]
    text: str

    @property
    def to(self) -> str:
        """Where it leads."""
        return urljoin(self.url, self.headers.get("location", ""))


@dataclass
class Walker:
    """Somebody's browser at one app."""

    app: str
    jar: dict[str, dict[str, str]] = field(default_factory=dict)
    addresses: list[str] = field(default_factory=list)

    def ask(self, url: str, form: dict[str, str] | None = None, **headers: str) -> Answer:
        """Send one request, to a path of the app or to a whole address."""
        url = urljoin(self.app, url)
        parts = urlsplit(url)
        self.addresses.append(url)
        mine = self.jar.setdefault(parts.netloc, {})
        sent = {"cookie": "; ".join(f"{name}={value}" for name, value in mine.items()), **(FORM if form else {})}
        connection = http.client.HTTPConnection(parts.netloc, timeout=20)
        body = urlencode(form) if form is not None else None
        place = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET" if body is None else "POST", place, body, {**sent, **named})
        response = connection.getresponse()
        lines = [value for name, value in response.getheaders() if name.lower() == "set-cookie"]
        for line in lines:
            name, _, value = line.partition(";")[0].partition("=")
            mine[name] = value.strip('"')
        answer = Answer(
            url, response.status, {name.lower(): value for name, value in response.getheaders()}, lines,
            response.read().decode("utf-8", "replace"),
        )  # fmt: skip
        connection.close()
        return answer
