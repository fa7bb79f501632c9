from pathlib import Path

import pytest

from tests.broadcaster.configurations.written import Written


@pytest.fixture
def written(tmp_path: Path) -> Written:
    return Written(tmp_path)
