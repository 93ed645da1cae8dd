"""A sequence-classification model with one output: reading its number, while training and after.

The number is read at the last real token, wherever padding stands and whatever token it is: transformers' own
pooling takes the rightmost token that is not the padding token, which is one too early where an answer ends
in that very token (pad = eos). The head works in float32: in bfloat16 one in twenty of the best of 64 tie.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from label.local.exchange_tokens import ExchangeTokens, load_exchange_tokens
from label.local.model_folder import load_weights, model_positions
from label.reward_model import RewardChoice
from store.errors import BadInput

HEADS = ("score", "classifier", "pooler")
"""What a model has that is not in the weights it is trained from."""


def values_of(model: Any, batch: Sequence[Sequence[int]], before: "Prefix | None" = None) -> list[float]:
    """The model's numbers for rows of token ids; BEFORE holds what they all begin with and is left out of them."""
    import torch

    with torch.inference_mode():
        return [float(value) for value in read_values(model, batch, before).cpu()]


def read_values(model: Any, batch: Sequence[Sequence[int]], before: "Prefix | None" = None) -> Any:
    """The model's numbers for rows of token ids, a float32 tensor that gradients flow through.

    Rows are padded on the right, where nothing that a causal model has read before can see the padding: it
    needs no mask, and the fastest attention there is can be used.
    """
    import torch

    longest = max(len(ids) for ids in batch)
    pad = model.config.pad_token_id or 0  # any token does: nothing is read where it stands
    where = next(model.parameters()).device
    input_ids = torch.tensor([[*ids, *[pad] * (longest - len(ids))] for ids in batch], device=where)
    lengths = torch.tensor([len(ids) for ids in batch], device=where)
    mask = (torch.arange(longest, device=where)[None, :] < lengths[:, None]).long()
    if not has_token_head(model):
        return model(input_ids=input_ids, attention_mask=mask).logits[:, 0].float()
    known = {} if before is None else before.for_rows(len(batch))
    if not _is_causal(model):
        known = {"attention_mask": mask}
    states = model.base_model(input_ids=input_ids, use_cache=before is not None, **known).last_hidden_state
    last = states[torch.arange(len(batch), device=where), lengths - 1]
    return model.score(last.float())[:, 0]


CHANGING_ROPE = ("dynamic", "longrope")
"""Position codes that differ with the length of what is read: a beginning read alone is not the same beginning."""


class Prefix:
    """The beginning that several rows share, read once: responses to one prompt share all of it."""

    def __init__(self, model: Any, ids: Sequence[int]) -> None:
        import torch

        self.n_tokens = len(ids)
        with torch.inference_mode():
            read = model.base_model(
                input_ids=torch.tensor([list(ids)], device=next(model.parameters()).device), use_cache=True
            )
        self._layers = [(layer.keys, layer.values) for layer in read.past_key_values.layers]

    def for_rows(self, count: int) -> dict[str, Any]:
        """What the model is given for COUNT rows that begin so."""
        from transformers import DynamicCache

        cache = DynamicCache()
        for place, (keys, values) in enumerate(self._layers):
            cache.update(keys.expand(count, -1, -1, -1), values.expand(count, -1, -1, -1), place)
        return {"past_key_values": cache}


def can_share_prefixes(model: Any) -> bool:
    """Whether every layer of the model sees all that was before, and keeps it as keys and values."""
    config = model.config.get_text_config()
    layers = getattr(config, "layer_types", None) or ()
    rope = getattr(config, "rope_parameters", None) or {}
    is_sliding = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
    return bool(
        has_token_head(model)
        and _is_causal(model)
        and all(layer == "full_attention" for layer in layers)
        and not (is_sliding and not layers)
        and not getattr(model, "_is_stateful", False)
        and hasattr(config, "num_key_value_heads")
        and rope.get("rope_type") not in CHANGING_ROPE
    )


def _is_causal(model: Any) -> bool:
    return bool(getattr(model.config.get_text_config(), "is_causal", True))


def has_token_head(model: Any) -> bool:
    """Whether the number comes from a linear map of one token's state (decoders), not from a pooled one (BERT)."""
    return hasattr(model, "score")


def load_classifier(folder: Path, dtype: str, *, has_new_head: bool = False) -> Any:
    """The reward model in FOLDER; HAS_NEW_HEAD allows a head that is yet to be trained.

    Raises BadInput for a model with another number of outputs, or without a trained head.
    """
    options = {"num_labels": 1} if has_new_head else {}
    model, missing = load_weights("AutoModelForSequenceClassification", folder, dtype, **options)
    lacking = [name for name in missing if not (has_new_head and name.split(".")[0] in HEADS)]
    if lacking:
        raise BadInput(
            f"{folder} holds no reward model: it has no weights for {', '.join(lacking[:3])}; name one that was"
            " trained to give one number"
        )
    if model.config.num_labels != 1:
        raise BadInput(
            f"the model in {folder} gives {model.config.num_labels} numbers; a reward model gives one"
        )
    if has_token_head(model):
        model.score.float()
    return model


def load_tokens(folder: Path, choice: RewardChoice) -> ExchangeTokens:
    """The tokens that the model in FOLDER reads, without its weights."""
    return load_exchange_tokens(
        Path(choice.tokenizer) if choice.tokenizer else folder,
        template=choice.template,
        max_length=choice.max_length,
        positions=model_positions(folder),
        truncation_side=choice.truncation_side,
    )
