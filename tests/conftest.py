"""What every test shares: the folder of public data, and how many examples a property test tries."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no bug: hypothesis would fail an example that took over 200 ms. `ci` is what every change runs, the
# same examples each time; `make test-all` asks for `all`.
settings.register_profile("ci", deadline=None, max_examples=25, derandomize=True)
settings.register_profile("all", deadline=None, max_examples=200)
settings.load_profile("ci")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public data (STEPWARD_SHARED_DATA, or ../shared/data); the test is skipped where it is absent."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("STEPWARD_SHARED_DATA") or beside)
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}; set STEPWARD_SHARED_DATA to the folder")
    return folder
