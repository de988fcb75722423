"""The part of ADBC's PostgreSQL driver that the engine uses."""

from typing import Any

from adbc_driver_manager import Error as Error

def connect(uri: str, *, autocommit: bool = ...) -> Any: ...
