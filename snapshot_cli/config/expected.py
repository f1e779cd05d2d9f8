"""The words of error messages: what was expected, by pydantic's error types; and synonyms of keys."""

from __future__ import annotations

SYNONYMS = {
    "M": "cycles", "snapshots": "cycles", "B": "budget", "epochs": "budget", "lr": "alpha0", "learning_rate": "alpha0",
    "data": "dataset", "model": "network", "arch": "network", "net": "network", "wd": "weight_decay",
    "bs": "batch_size",
}  # fmt: skip
EXPECTED = {
    "int_type": "a whole number", "int_from_float": "a whole number", "float_type": "a number",
    "finite_number": "a finite number", "bool_type": "true or false", "string_type": "text",
    "dict_type": "a mapping (key: value)", "model_type": "a mapping (key: value)", "list_type": "a list",
    "tuple_type": "a list of numbers", "too_short": "at least one value", "literal_error": "{expected}",
    "string_too_long": "at most {max_length} characters",
    "greater_than": "a number above {gt:g}", "greater_than_equal": "a number of at least {ge:g}",
    "less_than": "a number below {lt:g}", "less_than_equal": "a number of at most {le:g}",
}  # fmt: skip
