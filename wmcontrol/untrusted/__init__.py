"""Reading files that may come from anywhere: nothing in them is run, and no number in them is believed unchecked."""

from .arrays import check_claim, read_arrays
from .links import check_links
from .schema import (
    AnyJson,
    Boolean,
    Choice,
    Integer,
    ListOf,
    MapOf,
    Nullable,
    Number,
    Record,
    Schema,
    Text,
    parse_json,
    read_json,
)

__all__ = [
    "AnyJson",
    "Boolean",
    "Choice",
    "Integer",
    "ListOf",
    "MapOf",
    "Nullable",
    "Number",
    "Record",
    "Schema",
    "Text",
    "check_claim",
    "check_links",
    "parse_json",
    "read_arrays",
    "read_json",
]
