"""The field names of the installed trl.GRPOConfig, read from its source without loading trl or torch."""

import ast
import importlib.util
from functools import lru_cache
from pathlib import Path

# GRPOConfig and the classes it inherits from, each with the file that defines it.
_SOURCES = (
    ("trl", "trainer/grpo_config.py", "GRPOConfig"),
    ("trl", "trainer/base_config.py", "_BaseConfig"),
    ("transformers", "training_args.py", "TrainingArguments"),
)


@lru_cache(maxsize=1)
def known_fields() -> frozenset[str] | None:
    """All fields that GRPOConfig takes; None if trl is not installed or its layout is unknown."""
    names: set[str] = set()
    for package, file, class_name in _SOURCES:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            return None
        try:
            found = class_fields((Path(spec.origin).parent / file).read_text(encoding="utf-8"), class_name)
        except (OSError, SyntaxError, ValueError):
            return None
        if not found:
            return None
        names |= found
    return frozenset(names)


def class_fields(source: str, class_name: str) -> set[str]:
    """The annotated public names in the body of one class of a module's source. Raises SyntaxError."""
    return {
        statement.target.id
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef) and node.name == class_name
        for statement in node.body
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
        if not statement.target.id.startswith("_")
    }
