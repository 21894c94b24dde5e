"""The registry of models that server and workers read, as a file that only Terraform changes."""

from __future__ import annotations

import json

from infra.lib.settings import House

FILE = "models.json"
WIRE_VERSION = 1  # core/wire.py


def registry(house: House) -> str:
    """`models.json` as vision/registry.py reads it, with the servers of the settings; the first one is the default."""
    models = [
        {
            "id": model.id,
            "label": f"{model.served_as or 'the model'} at {model.url}",
            "url": model.url,
            "server_model": model.served_as,
        }
        for model in house.all_models()
    ]
    return json.dumps({"v": WIRE_VERSION, "d": {"models": models}}, indent=1) + "\n"
