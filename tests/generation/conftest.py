"""The embedded engine on a tiny random model."""

from pathlib import Path

import pytest
import torch
from tiny_llama import save_llama

from stepward.generation.local.engine import LocalGenerator

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model's folder."""
    return save_llama(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def generator(folder: Path) -> LocalGenerator:
    """The engine."""
    return LocalGenerator(folder)
