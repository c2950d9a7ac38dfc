"""The embedded engine on a tiny random model."""

import pytest
import torch
from tiny_llama import save_llama

from stepward.generation.local import LocalGenerator

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def generator(tmp_path_factory: pytest.TempPathFactory) -> LocalGenerator:
    """The engine."""
    return LocalGenerator(save_llama(tmp_path_factory.mktemp("tiny")))
