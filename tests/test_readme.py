"""What README.md shows runs, and its figures are those of the manifest."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("code", BLOCKS, ids=[f"block{i}" for i in range(len(BLOCKS))])
def test_examples(code, capsys):
    namespace: dict = {}
    exec(compile(code, "README.md", "exec"), namespace)
    if "predictions" in namespace:
        assert (namespace["predictions"] == namespace["labels"]).mean() > 0.95


def test_table_is_up_to_date():
    from training import write_readme

    assert write_readme.main(["--check"]) == 0
    assert write_readme.PICTURE.is_file()
