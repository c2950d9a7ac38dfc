"""What every test shares: where the public data lie, and property tests without a deadline."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no bug: hypothesis would fail an example that took over 200 ms.
settings.register_profile("stepward", deadline=None)
settings.load_profile("stepward")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public data (STEPWARD_SHARED_DATA, or ../shared/data); the test is skipped where it is absent."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("STEPWARD_SHARED_DATA") or beside)
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}; set STEPWARD_SHARED_DATA to the folder")
    return folder
