"""The floor plan and the vocabulary: folders and files that fit on a screen, and no word of the old private ones."""

import ast
import io
import tokenize
from collections import Counter
from pathlib import Path

import stepward

PACKAGE = Path(stepward.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
MOST_MODULES = 12
STILL = {"cli": 17}
"""Folders that are not yet divided: verbs go to groups."""
MOST_LINES = 400


def test_a_folder_has_at_most_twelve_modules() -> None:
    counts = Counter(path.parent for path in MODULES if path.name != "__init__.py")
    names = {str(folder.relative_to(PACKAGE)): count for folder, count in counts.items()}
    assert {name: count for name, count in names.items() if count > STILL.get(name, MOST_MODULES)} == {}


def test_a_file_has_at_most_400_lines() -> None:
    lines = {path.name: path.read_text().count("\n") for path in MODULES}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_every_package_says_what_it_holds() -> None:
    for path in MODULES:
        if path.name == "__init__.py":
            assert ast.get_docstring(ast.parse(path.read_text())), path


def test_no_word_of_the_old_vocabulary_is_left() -> None:
    words = set((Path(__file__).parent / "old_words.txt").read_text().split())
    found = {}
    for path in MODULES:
        for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
            if token.type == tokenize.NAME and token.string in words:
                found[token.string] = f"{path.relative_to(PACKAGE)}:{token.start[0]}"
    assert found == {}
