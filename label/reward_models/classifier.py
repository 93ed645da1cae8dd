"""A sequence-classification model with one output: reading its number, while training and after.

The number is read at the last real token, wherever padding stands and whatever token it is: transformers' own
pooling takes the rightmost token that is not the padding token, which is one too early where an answer ends
in that very token (pad = eos). The head works in float32: in bfloat16 one in twenty of the best of 64 tie.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from label.exchange_tokens import ExchangeTokens, load_exchange_tokens
from label.model_folder import load_weights, model_positions
from label.reward_model import RewardChoice
from store.errors import BadInput

HEADS = ("score", "classifier", "pooler")
"""What a model has that is not in the weights it is trained from."""


def values_of(model: Any, batch: Sequence[Sequence[int]]) -> list[float]:
    """The model's numbers for rows of token ids."""
    import torch

    with torch.inference_mode():
        return [float(value) for value in read_values(model, batch).cpu()]


def read_values(model: Any, batch: Sequence[Sequence[int]]) -> Any:
    """The model's numbers for rows of token ids, a float32 tensor that gradients flow through."""
    import torch

    longest = max(len(ids) for ids in batch)
    pad = model.config.pad_token_id or 0  # any token does: nothing is read where it stands
    where = next(model.parameters()).device
    input_ids = torch.tensor([[*ids, *[pad] * (longest - len(ids))] for ids in batch], device=where)
    lengths = torch.tensor([len(ids) for ids in batch], device=where)
    mask = (torch.arange(longest, device=where)[None, :] < lengths[:, None]).long()
    if not has_token_head(model):
        return model(input_ids=input_ids, attention_mask=mask).logits[:, 0].float()
    states = model.base_model(input_ids=input_ids, attention_mask=mask, use_cache=False).last_hidden_state
    last = states[torch.arange(len(batch), device=where), lengths - 1]
    return model.score(last.float())[:, 0]


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
