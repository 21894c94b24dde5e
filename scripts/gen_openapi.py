"""web/openapi.json: the API's own description, from which the dashboard takes its types.

python -m scripts.gen_openapi            write it anew
python -m scripts.gen_openapi --check    fail if it differs
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from pathlib import Path

from vidprocme.api.server import create_app
from vidprocme.config import Settings
from vidprocme.wiring import House

TARGET = Path(__file__).resolve().parent.parent / "web" / "openapi.json"


def described() -> str:
    """The description as JSON with sorted keys. No queue is asked: the routes alone make it."""
    with tempfile.TemporaryDirectory() as folder:
        house = House(Settings(data=Path(folder)))
        with contextlib.closing(house):
            schema = create_app(house).openapi()
    return json.dumps(schema, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def main(argv: list[str]) -> int:
    text = described()
    if "--check" not in argv:
        TARGET.write_text(text, encoding="utf-8")
    elif not TARGET.is_file() or TARGET.read_text(encoding="utf-8") != text:
        print("web/openapi.json is not what the API says of itself: python -m scripts.gen_openapi", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
