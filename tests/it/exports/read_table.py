"""Reads evaluations as CSV and as Parquet; both must say the same."""

import csv
import json
import sys
from datetime import datetime, timezone

import pyarrow
import pyarrow.parquet

with open(sys.argv[1], newline="", encoding="utf-8") as file:
    rows = list(csv.DictReader(file, strict=True))
table = pyarrow.parquet.read_table(sys.argv[2])
assert table.schema.field("settled").type == pyarrow.timestamp("ms", tz="UTC")


def text(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return str(value)


found = table.to_pylist()
assert [{key: text(value) for key, value in row.items()} for row in found] == rows
print(json.dumps(found, default=text))
