"""What tests of all instruments share."""

import pytest

from tests.earlier.calls import beside


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The small runs of version 0.1, for instruments of records."""
    with beside(tmp_path_factory.mktemp("beside")) as folder:
        yield folder
