"""The files of monitoring/ as pods are given them: as they are, since a cluster's Services have the names that the services of
docker-compose.yml have."""

from __future__ import annotations

from pathlib import Path

from infra.lib.reading import WrongSettings

FOLDER = Path(__file__).resolve().parents[2] / "monitoring"


def texts(*paths: str, folder: Path = FOLDER) -> dict[str, str]:
    """Files by their names without folders.

    Raises:
        WrongSettings: one cannot be read.
    """
    try:
        return {Path(path).name: (folder / path).read_text(encoding="utf-8") for path in paths}
    except OSError as error:
        wrong = f"{error.filename} cannot be read: {error.strerror}. Leave monitoring out, or restore it."
        raise WrongSettings(wrong) from error
