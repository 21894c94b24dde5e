"""The stacks are synthesized once for all tests; each test gets a copy to spoil."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.gcp.settings import Gcp
from infra.lib.reading import read
from infra.local.settings import Local
from infra.main import EXAMPLE, LOCAL
from infra.synth import Plans, synth

# vidprocme is not installed beside the bindings; what it reads of the plan needs none of its packages.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-snapshots", action="store_true", help="write what is as what should be")


@pytest.fixture(scope="session")
def _synthesized(tmp_path_factory: pytest.TempPathFactory) -> Plans:
    """From the settings that lie in the repository: they are examples, and must be good ones."""
    out: Path = tmp_path_factory.mktemp("cdktf.out")
    return synth(out, local=read(Local, LOCAL), gcp=read(Gcp, EXAMPLE))


@pytest.fixture
def plans(_synthesized: Plans) -> Iterator[Plans]:
    yield copy.deepcopy(_synthesized)
