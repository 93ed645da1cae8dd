"""The loss and gradient of C-RLFT against a weighted mean written out by hand."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

from datasets import Dataset  # noqa: E402  # after the skip
from transformers import AutoConfig, AutoTokenizer, LlamaForCausalLM, TrainerCallback, set_seed  # noqa: E402
from trl import SFTTrainer  # noqa: E402

from train.running.run_settings import RunSettings  # noqa: E402
from train.trainers.weighted import WeightedSFTTrainer, arguments, make_trainer, pack  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
LENGTHS = [9, 21, 14, 30, 12, 25, 7, 18]
MAX_LENGTH = 40


def make_rows(lengths: list[int] = LENGTHS) -> Dataset:
    """Rows of two classes, weights 1.0 and 0.1, with context at the front and in the middle."""
    generator = torch.Generator().manual_seed(7)
    rows: dict[str, list[list[Any]]] = {"input_ids": [], "labels": [], "loss_weights": []}
    for number, length in enumerate(lengths):
        ids = torch.randint(3, 400, (length,), generator=generator).tolist()
        weight = 1.0 if number % 3 == 0 else 0.1
        trained = [position >= 3 and position % 5 != 0 for position in range(length)]
        rows["input_ids"].append(ids)
        rows["labels"].append([token if is_on else -100 for token, is_on in zip(ids, trained, strict=True)])
        rows["loss_weights"].append([weight if is_on else 0.0 for is_on in trained])
    return Dataset.from_dict(rows)


def make_model(model_dir: Path) -> Any:
    set_seed(1)
    return LlamaForCausalLM(AutoConfig.from_pretrained(model_dir))


def by_hand(model: Any, rows: Dataset) -> tuple[float, torch.Tensor]:
    """The weighted mean over all rows at once, from full logits, one row at a time, no padding."""
    total, weight_sum = torch.zeros(()), 0.0
    for row in rows:
        logits = model(input_ids=torch.tensor([row["input_ids"]])).logits[0, :-1]
        losses = torch.nn.functional.cross_entropy(
            logits, torch.tensor(row["labels"][1:]), reduction="none", ignore_index=-100
        )
        weights = torch.tensor(row["loss_weights"][1:])
        total, weight_sum = total + (losses * weights).sum(), weight_sum + float(weights.sum())
    loss = total / weight_sum
    model.zero_grad()
    loss.backward()
    return float(loss.detach()), torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


class KeepGradient(TrainerCallback):
    """Copies the gradient just before the optimizer uses it."""

    def __init__(self) -> None:
        self.gradient = torch.zeros(())

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        self.gradient = torch.cat([parameter.grad.flatten().clone() for parameter in model.parameters()])


def one_step(trainer: SFTTrainer) -> tuple[float, torch.Tensor]:
    keep = KeepGradient()
    trainer.add_callback(keep)
    trainer.train()
    return trainer.state.log_history[0]["loss"], keep.gradient


def settings_of(model_dir: Path, batch: int, accumulation: int, **changes: Any) -> RunSettings:
    settings = {"max_grad_norm": 0.0, "steps": 1, "max_length": MAX_LENGTH, "log_every": 1, **changes}
    return RunSettings("-", str(model_dir), batch_size=batch, accumulation=accumulation, **settings)


@pytest.mark.parametrize(("batch", "accumulation"), [(4, 1), (2, 2), (1, 4), (2, 4)])
def test_padded_batches_give_the_weighted_mean_of_the_whole_step(
    tmp_path: Path, model_dir: Path, batch: int, accumulation: int
) -> None:
    rows = make_rows(LENGTHS[: batch * accumulation])
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    expected_loss, expected = by_hand(make_model(model_dir), rows)
    settings = settings_of(model_dir, batch, accumulation)
    loss, gradient = one_step(make_trainer(make_model(model_dir), tokenizer, rows, settings, tmp_path))
    assert loss == pytest.approx(expected_loss, abs=1e-5)
    torch.testing.assert_close(gradient, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("batch", "accumulation"), [(4, 1), (2, 2), (1, 4)])
def test_packed_rows_give_the_same_loss_and_gradient(
    tmp_path: Path, model_dir: Path, batch: int, accumulation: int
) -> None:
    rows, tokenizer = make_rows(), AutoTokenizer.from_pretrained(model_dir)
    expected_loss, expected = by_hand(make_model(model_dir), rows)
    assert len(pack(rows, MAX_LENGTH)) == 4
    settings = settings_of(model_dir, batch, accumulation, packing=True)
    loss, gradient = one_step(make_trainer(make_model(model_dir), tokenizer, rows, settings, tmp_path))
    assert loss == pytest.approx(expected_loss, abs=1e-5)
    torch.testing.assert_close(gradient, expected, atol=1e-5, rtol=1e-5)


def test_with_equal_weights_the_loss_is_that_of_a_plain_sft_trainer(tmp_path: Path, model_dir: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    rows = make_rows().map(lambda row: {"loss_weights": [float(label != -100) for label in row["labels"]]})
    settings = settings_of(model_dir, 2, 4)
    ours = one_step(make_trainer(make_model(model_dir), tokenizer, rows, settings, tmp_path / "ours"))
    plain = SFTTrainer(
        model=make_model(model_dir),
        args=arguments(settings, tmp_path / "plain"),
        train_dataset=rows.select_columns(["input_ids", "labels"]),
        processing_class=tokenizer,
    )
    theirs = one_step(plain)
    assert ours[0] == pytest.approx(theirs[0], abs=1e-6)
    torch.testing.assert_close(ours[1], theirs[1], atol=1e-6, rtol=1e-5)


def test_a_micro_batch_of_one_class_keeps_its_weight(tmp_path: Path, model_dir: Path) -> None:
    """Normalised per micro-batch, both classes would count alike and the loss would be another one."""
    rows, tokenizer = make_rows([20, 20]), AutoTokenizer.from_pretrained(model_dir)
    expected, _ = by_hand(make_model(model_dir), rows)
    each = [by_hand(make_model(model_dir), rows.select([number]))[0] for number in (0, 1)]
    settings = settings_of(model_dir, 1, 2)
    loss, _ = one_step(make_trainer(make_model(model_dir), tokenizer, rows, settings, tmp_path))
    assert loss == pytest.approx(expected, abs=1e-5)
    assert abs(loss - sum(each) / 2) > 1e-4


def test_a_step_without_any_weight_is_a_loss_of_zero(tmp_path: Path, model_dir: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    rows = make_rows([10, 10]).map(lambda row: {"loss_weights": [0.0] * len(row["labels"])})
    settings = settings_of(model_dir, 2, 1)
    loss, gradient = one_step(make_trainer(make_model(model_dir), tokenizer, rows, settings, tmp_path))
    assert loss == 0
    assert not gradient.any()


RANK = """
import sys
from pathlib import Path
import torch
sys.path[:0] = sys.argv[2:4]
import test_crlft_loss as here
from transformers import AutoTokenizer
out, model = Path(sys.argv[1]), Path(sys.argv[4])
settings = here.settings_of(model, 2, 2, packing=False)
tokenizer = AutoTokenizer.from_pretrained(model)
trainer = here.make_trainer(here.make_model(model), tokenizer, here.make_rows(), settings, out / "run")
loss, gradient = here.one_step(trainer)
if trainer.is_world_process_zero():
    torch.save({"loss": loss, "gradient": gradient}, out / "rank0.pt")
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_give_the_loss_and_gradient_of_one(tmp_path: Path, model_dir: Path) -> None:
    expected_loss, expected = by_hand(make_model(model_dir), make_rows())
    script = tmp_path / "rank.py"
    script.write_text(RANK)
    places = [str(tmp_path), str(ROOT), str(Path(__file__).parent), str(model_dir)]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*command, str(script), *places], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = torch.load(tmp_path / "rank0.pt", weights_only=True)
    assert found["loss"] == pytest.approx(expected_loss, abs=1e-5)
    torch.testing.assert_close(found["gradient"], expected, atol=1e-5, rtol=1e-5)


def test_the_metrics_file_holds_what_was_logged(tmp_path: Path, model_dir: Path) -> None:
    from train.trainers.child import MetricsFile

    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    settings = settings_of(model_dir, 2, 1, steps=2, log_every=1)
    trainer = make_trainer(make_model(model_dir), tokenizer, make_rows(), settings, tmp_path)
    assert isinstance(trainer, WeightedSFTTrainer)
    trainer.add_callback(MetricsFile(tmp_path / "metrics.jsonl"))
    trainer.train()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 2]
    assert lines[0]["weight_sum"] > 0
    assert lines[0]["trained_tokens"] > 0
