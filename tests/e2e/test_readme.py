"""The README's walkthrough works as typed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def test_the_walkthrough_works_as_typed(tmp_path: Path) -> None:
    block = re.search(r"```sh\n(.*?)```", README.read_text(), re.DOTALL)
    assert block is not None
    # The walkthrough is typed in the checkout; here in a folder that has its .venv and nothing else.
    environment = Path(sys.executable).parent.parent
    (tmp_path / ".venv").symlink_to(environment)
    done = subprocess.run(
        [shutil.which("sh"), "-eu", "-c", block.group(1)],
        check=False,
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.startswith("PAPERLARK_")},
        capture_output=True,
        text=True,
        timeout=170,
    )

    assert done.returncode == 0, done.stderr
    assert "2 of 2 imported" in done.stdout
    assert '"due": 2,\n  "sent": 2,' in done.stdout
    assert "<h1" in (tmp_path / "digest.html").read_text()
