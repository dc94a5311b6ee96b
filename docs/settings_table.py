"""Writes the table of settings into docs/settings.md: ``python docs/settings_table.py``."""

from enum import Enum
from pathlib import Path

from pydantic_core import PydanticUndefined

from service.config import Settings

PAGE = Path(__file__).with_name("settings.md")
BEGIN, END = "<!-- table of settings -->", "<!-- end of table -->"


def table() -> str:
    """Return the table in Markdown: each setting's variable, default and meaning."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = _default(field.get_default(call_default_factory=True))
        rows.append(f"| `PAPERLARK_{name.upper()}` | {default} | {field.description} |")
    return "\n".join(rows)


def _default(value: object) -> str:
    if value is None or value is PydanticUndefined or value == ():
        return ""
    if isinstance(value, Enum):
        value = value.value
    return f"`{','.join(map(str, value)) if isinstance(value, tuple) else value}`"


def page(text: str) -> str:
    """Return the page's text with the present table between its marks."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{table()}\n{END}{tail}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
