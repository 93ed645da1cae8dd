"""A model that turns texts into vectors of length one; by the path of its folder, never from a network."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from store.errors import BadInput, MissingExtra

if TYPE_CHECKING:
    from numpy.typing import NDArray

BATCH_TEXTS = 32
MAX_TOKENS = 512
CHARS_PER_TOKEN = 12
"""Text beyond so many characters a token is not even tokenised."""


@dataclass(frozen=True)
class Encoder:
    """An encoder as sentence-transformers or transformers save it: mean pooling, unless its folder says `cls`."""

    folder: Path

    @cached_property
    def digest(self) -> str:
        """Tells two encoders apart: a hash of everything that bears on the vectors.

        Raises BadInput if the folder holds no model.
        """
        names = sorted(self.folder.glob("*.safetensors"))
        if not names or not (self.folder / "config.json").is_file():
            raise BadInput(f"{self.folder} holds no model: config.json and a .safetensors file are needed")
        found = hashlib.blake2b(digest_size=8)
        others = ["config.json", "tokenizer.json", "1_Pooling/config.json", "sentence_bert_config.json"]
        for path in [*names, *(self.folder / name for name in others)]:
            if path.is_file():
                with path.open("rb") as file:
                    found.update(hashlib.file_digest(file, "sha256").digest())
        return found.hexdigest()

    def encode(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """A vector for each text; of a long one only the first tokens that the model takes."""
        import torch

        tokenizer, model, max_tokens = self._loaded
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        vectors = np.zeros((len(texts), model.config.hidden_size), dtype=np.float32)
        for start in range(0, len(order), BATCH_TEXTS):
            some = order[start : start + BATCH_TEXTS]
            cut = [texts[i][: CHARS_PER_TOKEN * max_tokens] for i in some]
            batch = tokenizer(cut, padding=True, truncation=True, max_length=max_tokens, return_tensors="pt")
            with torch.inference_mode():
                hidden = model(**batch).last_hidden_state.float()
            if self._takes_first_token:
                pooled = hidden[:, 0]
            else:
                mask = batch["attention_mask"].unsqueeze(-1).float()
                pooled = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)
            vectors[some] = torch.nn.functional.normalize(pooled, dim=1).numpy()
        return vectors

    @cached_property
    def _loaded(self) -> tuple[Any, Any, int]:
        try:
            from transformers import AutoModel, AutoTokenizer
            from transformers.utils import logging
        except ImportError as error:
            raise MissingExtra.of("transformers", "local") from error
        logging.disable_progress_bar()
        tokenizer = AutoTokenizer.from_pretrained(self.folder, local_files_only=True)
        model = AutoModel.from_pretrained(self.folder, local_files_only=True, use_safetensors=True).eval()
        told = self._said("sentence_bert_config.json").get("max_seq_length") or MAX_TOKENS
        room = getattr(model.config, "max_position_embeddings", MAX_TOKENS)
        return tokenizer, model, min(int(told), int(room), MAX_TOKENS)

    @cached_property
    def _takes_first_token(self) -> bool:
        return bool(self._said("1_Pooling/config.json").get("pooling_mode_cls_token"))

    def _said(self, name: str) -> dict[str, Any]:
        path = self.folder / name
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return found
