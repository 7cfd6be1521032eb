"""Models and data sets of the Hugging Face Hub, which are read from its cache on this machine."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

_NAME = re.compile(r"hf:/+(datasets/)?([\w.-]+/[\w.-]+)(?:@([^/]+))?(?:/(.+))?")  # a Path makes one slash of two


def hub_library() -> Any:
    """Import huggingface_hub, or raise an ImportError that has the command."""
    try:
        import huggingface_hub
    except ImportError:
        raise ImportError('the Hugging Face Hub needs: pip install "wmcontrol[hub]"') from None
    return huggingface_hub


def is_on_hub(path: str | os.PathLike[str]) -> bool:
    """Say whether a path is one of the Hub, ``hf://…``."""
    return os.fspath(path).startswith("hf:/")


def local_folder(
    path: str | os.PathLike[str], files: Sequence[str], kind: Literal["model", "dataset"] = "model"
) -> Path:
    """Download files of a repository of the Hub, unless the cache has them, and return the folder that they are in.

    Nothing in them is run. Without a network, the cache's newest version of the revision is taken.

    Args:
        path: ``hf://owner/name`` for a model, ``hf://datasets/owner/name`` for a data set; ``@revision`` may follow, a
            branch, a tag or a commit, and ``/folder`` inside of it.
        files: patterns of the files in that folder, as of ``fnmatch``.
        kind: of repository that it must be.

    Raises:
        ValueError: it is no such path.
        OSError: there is no such repository or revision, or the Hub cannot be reached.
        ImportError: huggingface_hub is not installed.
    """
    found = _NAME.fullmatch(os.fspath(path).rstrip("/"))
    if found is None or (kind == "dataset") != bool(found[1]):
        raise ValueError(
            f"expected hf://{'datasets/' if kind == 'dataset' else ''}owner/name, with @revision and /folder after it "
            f"where need be; got {os.fspath(path)!r}"
        )
    _, repo, revision, folder = found.groups()
    where = hub_library().snapshot_download(
        repo,
        repo_type=kind,
        revision=revision,
        allow_patterns=[f"{folder}/{pattern}" if folder else pattern for pattern in files],
    )
    return Path(where, folder or "")
