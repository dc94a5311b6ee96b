"""Every statement we promise has a test that bears its number, and every number a statement."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parents[2]


def promised() -> set[int]:
    """Return the numbers of the rows of docs/trust.md."""
    rows = re.findall(r"^\| (\d+) \|", (PROJECT / "docs" / "trust.md").read_text(), re.MULTILINE)
    return set(map(int, rows))


def borne() -> dict[int, list[str]]:
    """Return the tests that bear each number."""
    tests: dict[int, list[str]] = defaultdict(list)
    for path in sorted((PROJECT / "tests").rglob("test_*.py")):
        for function in ast.parse(path.read_text()).body:
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for number in _numbers(function):
                    tests[number].append(f"{path.name}::{function.name}")
    return tests


def _numbers(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[int]:
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.trust":
            yield from (ast.literal_eval(argument) for argument in decorator.args)


def test_every_promise_has_a_test_that_bears_its_number() -> None:
    assert sorted(promised() - borne().keys()) == []


def test_no_test_bears_a_number_that_is_none() -> None:
    strange = {number: tests for number, tests in borne().items() if not 1 <= number <= 118}
    assert strange == {}
