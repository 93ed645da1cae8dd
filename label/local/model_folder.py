"""A folder with a transformers model: what tells its weights apart, and how they are loaded.

No code from a folder is ever run, and only safetensors are read.
"""

import hashlib
from pathlib import Path
from typing import Any

from store.errors import BadInput, MissingExtra

SAMPLED_PIECES = 64
SAMPLED_BYTES = 1 << 16
"""Of each weight file so many pieces of so many bytes, evenly spread, go into the fingerprint."""

DESCRIBING_SUFFIXES = (".json", ".jinja", ".model", ".txt")


def fingerprint(folder: Path) -> str:
    """32 hex digits that change when any file of the model does, as far as samples of its weights can tell."""
    hasher = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in DESCRIBING_SUFFIXES:
            hasher.update(f"{path.name} {path.stat().st_size}\n".encode() + path.read_bytes())
        elif path.suffix == ".safetensors":
            _add_samples(hasher, path)
    return hasher.hexdigest()[:32]


def _add_samples(hasher: "hashlib._Hash", path: Path) -> None:
    size = path.stat().st_size
    hasher.update(f"{path.name} {size}\n".encode())
    with path.open("rb") as file:
        for piece in range(SAMPLED_PIECES):
            file.seek(max(0, size - SAMPLED_BYTES) * piece // (SAMPLED_PIECES - 1))
            hasher.update(file.read(SAMPLED_BYTES))


def model_folder(text: str) -> Path:
    """The folder a user named.

    Raises BadInput if it holds no model.
    """
    folder = Path(text).expanduser()
    if not (folder / "config.json").is_file():
        raise BadInput(f"{folder} holds no model; name a folder with config.json, weights and a tokenizer")
    return folder


def name_of(folder: Path) -> str:
    """What the model in FOLDER is called: the folder's name, or that of the run that left it in its `model`."""
    whole = folder.resolve()
    return whole.parent.name if whole.name == "model" and whole.parent.name else whole.name


def device() -> str:
    """Where models run: the GPU if there is one."""
    try:
        import torch
    except ImportError as error:
        raise MissingExtra.of("torch", "local") from error
    return "cuda" if torch.cuda.is_available() else "cpu"


def model_positions(folder: Path) -> int | None:
    """How many tokens the model in FOLDER holds, if its configuration says so."""
    try:
        from transformers import AutoConfig
    except ImportError as error:
        raise MissingExtra.of("transformers", "local") from error
    try:
        config = AutoConfig.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(f"no model can be read from {folder}: {str(error).splitlines()[0]}") from error
    return getattr(config.get_text_config(), "max_position_embeddings", None)


def load_weights(kind: str, folder: Path, dtype: str, **options: Any) -> tuple[Any, list[str]]:
    """The model that transformers' class KIND makes of FOLDER, and the names of weights the folder lacks.

    Raises MissingExtra without the libraries, BadInput for a folder that holds no such model.
    """
    try:
        import torch
        import transformers
        from transformers.utils import logging
    except ImportError as error:
        raise MissingExtra.of("transformers and torch", "local") from error
    logging.disable_progress_bar()
    try:
        model, loading = getattr(transformers, kind).from_pretrained(
            str(folder),
            dtype=getattr(torch, dtype),
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
            **options,
        )
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(f"no model can be read from {folder}: {str(error).splitlines()[0]}") from error
    return model.to(device()).eval(), sorted(loading["missing_keys"])
