"""What a Parquet file says of itself in its footer: rows, and values that lack, without reading either."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq


def filled(path: Path) -> tuple[int, dict[str, int | None]]:
    """Return a file's rows, and per column those that have a value (None where the writer kept no count of it)."""
    footer = pq.read_metadata(path)
    lacking: dict[str, int | None] = dict.fromkeys(footer.schema.to_arrow_schema().names, 0)
    for group in range(footer.num_row_groups):
        for place in range(footer.num_columns):
            chunk = footer.row_group(group).column(place)
            found, before = chunk.statistics, lacking.get(chunk.path_in_schema)
            if found is None or not found.has_null_count or before is None:
                lacking[chunk.path_in_schema] = None
            else:
                lacking[chunk.path_in_schema] = before + found.null_count
    rows = footer.num_rows
    return rows, {name: None if count is None else rows - count for name, count in lacking.items()}
