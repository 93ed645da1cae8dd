"""C-RLFT on TRL: supervised fine-tuning whose loss is one weighted mean over the whole optimizer step.

    loss = sum(w * cross_entropy) / sum(w)

with both sums over every micro-batch and every rank (OpenChat, section 3.2). Normalised per
micro-batch instead, a batch that holds a single class would cancel its weight.

Run as `python -m train.trainers.crlft OUT`, where OUT holds settings and rows; `train run crlft` starts it.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoConfig, AutoModelForCausalLM, TrainerCallback, set_seed
from trl import SFTConfig, SFTTrainer, pack_dataset

from store.chat_format import add_end_of_turn, load_tokenizer
from store.chat_template import template_for
from store.errors import BadSettings
from train.run_settings import RunFiles, RunSettings
from train.supervise import IGNORED

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


class MetricsFile(TrainerCallback):  # type: ignore[misc]  # transformers is skipped by mypy
    """Appends every log line to a JSON Lines file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        """One line: the step and what was logged."""
        if state.is_world_process_zero and logs:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": state.global_step, **logs}) + "\n")


def pack(rows: Dataset, max_length: int) -> Dataset:
    """Rows put together to MAX_LENGTH tokens, best fit first, with the lengths that keep them apart."""
    return pack_dataset(rows.select_columns(COLUMNS), max_length, "bfd")


def arguments(settings: RunSettings, folder: Path) -> SFTConfig:
    """The trainer's arguments for these settings."""
    has_gpu = torch.cuda.is_available()
    return SFTConfig(
        output_dir=str(folder),
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.accumulation,
        num_train_epochs=settings.epochs,
        max_steps=settings.steps or -1,
        learning_rate=settings.lr,
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr_rate": settings.min_lr_rate},
        warmup_steps=settings.warmup,
        adam_beta1=0.9,
        adam_beta2=0.95,
        adam_epsilon=1e-5,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        seed=settings.seed,
        logging_steps=settings.log_every,
        save_steps=settings.save_every,
        save_total_limit=2,
        bf16=has_gpu,
        use_cpu=not has_gpu,
        activation_checkpointing=settings.gradient_checkpointing,
        gradient_checkpointing=None,  # the old name, which TRL switches on
        dataloader_pin_memory=has_gpu,
        packing=False,
        padding_free=settings.packing,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        report_to=[],
        disable_tqdm=True,
    )


def grow_for(model: Any, new_ids: Sequence[int]) -> None:
    """Give tokens that are new to the model the mean of the rows it has, in and out."""
    if not new_ids:
        return
    first, last = min(new_ids), max(new_ids)
    if last >= model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(last + 1, mean_resizing=False)
    with torch.no_grad():
        for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
            layer.weight[list(new_ids)] = layer.weight[:first].mean(dim=0)


def load_model(settings: RunSettings) -> Any:
    """The model at the path of the settings, or one of its shape with fresh weights."""
    if settings.from_scratch:
        set_seed(settings.seed)
        config = AutoConfig.from_pretrained(settings.model, trust_remote_code=False, local_files_only=True)
        return AutoModelForCausalLM.from_config(config)
    return AutoModelForCausalLM.from_pretrained(
        settings.model,
        trust_remote_code=False,
        use_safetensors=True,
        local_files_only=True,
        dtype=torch.float32,
    )


def prepare(settings: RunSettings) -> tuple[Any, Any]:
    """Model and tokenizer that know the end of turn and stop there."""
    tokenizer = load_tokenizer(settings.model)
    template = template_for(tokenizer, settings.template)
    new_ids = add_end_of_turn(tokenizer, template)
    model = load_model(settings)
    grow_for(model, new_ids)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or template.end_of_turn
    tokenizer.chat_template = template.with_default(settings.condition).text
    model.generation_config.eos_token_id = [tokenizer.convert_tokens_to_ids(template.end_of_turn)]
    return model, tokenizer


def make_trainer(
    model: Any, tokenizer: Any, rows: Dataset, settings: RunSettings, folder: Path
) -> WeightedSFTTrainer:
    """A trainer over rows of `input_ids`, `labels` and `loss_weights`."""
    args = arguments(settings, folder)
    if settings.packing:
        with args.main_process_first(desc="packing"):
            rows = pack(rows, settings.max_length)
    return WeightedSFTTrainer(model=model, args=args, train_dataset=rows, processing_class=tokenizer)


def train_run(folder: Path) -> None:
    """Do the run whose settings lie in FOLDER, from its last checkpoint if there is one."""
    files = RunFiles(folder)
    settings = RunSettings.read(files.settings)
    model, tokenizer = prepare(settings)
    rows = Dataset.from_file(str(files.rows))
    trainer = make_trainer(model, tokenizer, rows, settings, files.checkpoints)
    trainer.add_callback(MetricsFile(files.metrics))
    trainer.train(resume_from_checkpoint=files.last_checkpoint())
    trainer.save_model(str(files.model))
    if trainer.is_world_process_zero():
        # What train() returns is this rank's share of the loss; what was logged is gathered.
        losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
        files.write_result({"steps": trainer.state.global_step, "loss": losses[-1] if losses else None})


if __name__ == "__main__":
    train_run(Path(sys.argv[1]))
