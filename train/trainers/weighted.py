"""C-RLFT on TRL: supervised fine-tuning whose loss is one weighted mean over the whole optimizer step.

    loss = sum(w * cross_entropy) / sum(w)

with both sums over every micro-batch and every rank (OpenChat, section 3.2). Normalised per
micro-batch instead, a batch that holds a single class would cancel its weight. With all weights 1 it is
plain fine-tuning, and so SFT, RSFT and preference models are trained here too.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from trl import SFTConfig, SFTTrainer, pack_dataset

from store.errors import BadSettings
from train.running.run_settings import RunFiles, RunSettings
from train.supervise import IGNORED
from train.trainers import child

COLUMNS = ["input_ids", "labels", "loss_weights"]
SMALLEST_SUM = 1e-12
"""Keeps a step without any weight at a loss of 0 rather than 0/0."""


@dataclass(frozen=True)
class WeightedCollator:
    """TRL's collator for tokens and labels, and the weights laid out beside them."""

    collate: Any

    def __call__(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """A batch; weights are 0 wherever the label is ignored, the first token of a packed row included."""
        batch: dict[str, Any] = self.collate(examples)
        rows = [torch.tensor(example["loss_weights"], dtype=torch.float32) for example in examples]
        if self.collate.padding_free:
            rows = [torch.cat(rows)]
        weights = torch.zeros(batch["labels"].shape, dtype=torch.float32)
        for row, values in zip(weights, rows, strict=True):
            row[: len(values)] = values
        batch["loss_weights"] = weights.masked_fill(batch["labels"] == IGNORED, 0.0)
        return batch


class WeightedSFTTrainer(SFTTrainer):  # type: ignore[misc]  # trl ships no types
    """SFTTrainer with a weight on every token and a global denominator.

    Rows hold `input_ids`, `labels` and `loss_weights`, already cut to length; args carry
    `dataset_kwargs={"skip_prepare_dataset": True}` and `max_length=None`.
    """

    loss_is_scaled_for_ga = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        parallelism = self.accelerator.parallelism_config
        if parallelism is not None and (parallelism.cp_enabled or parallelism.sp_enabled):
            raise BadSettings(
                "C-RLFT weights tokens by position, so context and sequence parallelism are out"
            )
        # TRL refuses a custom collator together with padding_free, so it is put in afterwards.
        self.data_collator: Any = WeightedCollator(self.data_collator)
        self._sums: torch.Tensor | None = None

    def _set_signature_columns_if_needed(self) -> None:
        self._signature_columns = [*COLUMNS, "seq_lengths"]

    def _get_num_items_in_batch(self, batch_samples: list[dict[str, Any]], device: torch.device) -> Any:
        """The sum of weights over all micro-batches of the step, on all ranks."""
        if not batch_samples:
            return None
        total = torch.stack([batch["loss_weights"][:, 1:].sum() for batch in batch_samples]).sum().to(device)
        if self.args.world_size > 1:
            total = self.accelerator.gather(total).sum()
        return total / self.get_tp_size()

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,  # noqa: FBT001  # transformers calls it so
        num_items_in_batch: torch.Tensor | None = None,
    ) -> Any:
        """The weighted sum of cross-entropies over the step's sum of weights."""
        weights = inputs["loss_weights"][:, 1:]
        rest = {name: value for name, value in inputs.items() if name != "loss_weights"}
        outputs = model(**rest, use_cache=False, fused_lm_head=True)
        total = weights.sum() if num_items_in_batch is None else num_items_in_batch
        loss = -(outputs.log_probs * weights).sum() / total.clamp(min=SMALLEST_SUM)
        if num_items_in_batch is not None:
            # The sum covers every rank, while gradients are averaged over them.
            loss = loss * (self.accelerator.num_processes // self.get_tp_size())
        self._count(outputs, weights)
        return (loss, outputs) if return_outputs else loss

    def _count(self, outputs: Any, weights: torch.Tensor) -> None:
        """Add to the sums that the next log line reports, without waiting for the device."""
        with torch.no_grad():
            trained = outputs.label_mask.sum()
            sums = torch.stack([outputs.is_top1.sum().float(), trained.float(), weights.sum()])
        self._sums = sums if self._sums is None else self._sums + sums

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Report accuracy, trained tokens and weight since the last line."""
        if self._sums is not None:
            sums = self.accelerator.gather(self._sums[None]).sum(0).tolist()
            logs = {**logs, "token_accuracy": sums[0] / max(sums[1], 1.0)}
            logs |= {"trained_tokens": sums[1], "weight_sum": sums[2]}
            self._sums = None
        super().log(logs, start_time)


def pack(rows: Dataset, max_length: int) -> Dataset:
    """Rows put together to MAX_LENGTH tokens, best fit first, with the lengths that keep them apart."""
    return pack_dataset(rows.select_columns(COLUMNS), max_length, "bfd")


def arguments(settings: RunSettings, folder: Path) -> SFTConfig:
    """The trainer's arguments for these settings."""
    return SFTConfig(
        **child.arguments(settings, folder),
        packing=False,
        padding_free=settings.packing,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
    )


def make_trainer(
    model: Any, tokenizer: Any, rows: Dataset, settings: RunSettings, folder: Path
) -> WeightedSFTTrainer:
    """A trainer over rows of `input_ids`, `labels` and `loss_weights`."""
    args = arguments(settings, folder)
    if settings.packing:
        with args.main_process_first(desc="packing"):
            rows = pack(rows, settings.max_length)
    return WeightedSFTTrainer(model=model, args=args, train_dataset=rows, processing_class=tokenizer)


def make(settings: RunSettings, files: RunFiles, rows: Dataset) -> WeightedSFTTrainer:
    """The trainer of a run."""
    model, tokenizer = child.prepare(settings)
    return make_trainer(model, tokenizer, rows, settings, files.checkpoints)


if __name__ == "__main__":
    child.train_run(Path(sys.argv[1]), make)
