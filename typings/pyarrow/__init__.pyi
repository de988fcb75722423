# What we use of pyarrow, which ships no types. Its values are Any: Arrow checks types itself, at run time.
from typing import Any, TypeAlias

Array: TypeAlias = Any
ArrowException: type[Exception]
ArrowInvalid: type[Exception]
ChunkedArray: TypeAlias = Any
DataType: TypeAlias = Any
RecordBatch: TypeAlias = Any
RecordBatchReader: TypeAlias = Any
Schema: TypeAlias = Any
Table: TypeAlias = Any
types: Any
compute: Any

def __getattr__(name: str) -> Any: ...
