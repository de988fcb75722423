"""A page's open connection, ended when its session is: a page that is open asks nothing by itself, so it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.types import Message, Receive, Send

SECONDS = 1.0
"""How long a session that ended may go on in an open page: it may have ended in another process."""
ENDED = 1008
"""The code with which the connection is closed (RFC 6455, 7.4.1); the page then asks for itself again, and signs in."""


def watched(receive: Receive, send: Send, is_live: Callable[[], bool]) -> tuple[Receive, Send]:
    """Return a connection's two ends, which close once `is_live` answers no; it is asked every `SECONDS`."""
    over = False

    async def receiving() -> Message:
        nonlocal over
        coming = asyncio.ensure_future(receive())
        try:
            while not (await asyncio.wait({coming}, timeout=SECONDS))[0]:
                if not await run_in_threadpool(is_live):
                    over = True
                    await send({"type": "websocket.close", "code": ENDED})
                    return {"type": "websocket.disconnect", "code": ENDED}
            return coming.result()
        finally:
            coming.cancel()

    async def sending(message: Message) -> None:
        if not over:
            await send(message)

    return receiving, sending
