"""vLLM as a library in this process: started without a word on stdout, and without one over the network."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from store.errors import MissingExtra

QUIET = {
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
}
"""What the engine is started with unless the user says otherwise: no word on stdout, none over the network."""


def import_vllm() -> Any:
    """The library; raises MissingExtra without it."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import vllm
    except ImportError as error:
        raise MissingExtra.of("vllm", "vllm") from error
    return vllm


@contextmanager
def children_on_stderr() -> Iterator[None]:
    """Give processes started meanwhile stderr for their stdout, which is for results."""
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
