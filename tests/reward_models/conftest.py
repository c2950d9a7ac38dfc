"""One thread, and one tiny base model for all tests of reward models."""

from pathlib import Path

import pytest
import torch
from tiny_world import save_base

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny base model."""
    return save_base(tmp_path_factory.mktemp("base"))
