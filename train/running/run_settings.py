"""What a training run is told and where it keeps its files; both sides of the process boundary read it."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from store.errors import BadInput

FEW_SEQUENCES = 32
"""Below about this many sequences a step, a class's weight partly cancels (OpenChat's own batches hold hundreds)."""


@dataclass(frozen=True, slots=True)
class RunSettings:
    """Everything that decides the outcome of `train run`; the papers' own values are in `train.running.presets`."""

    data_sha256: str
    """The hash of the rows trained on."""
    model: str
    """The directory of the model, or of a configuration and a tokenizer with from_scratch."""
    recipe: str = "crlft"
    preset: str = "openchat-13b"
    template: str = "openchat"
    condition: str = "GPT4"
    """The condition the saved chat template falls back to at inference, where it takes one."""
    from_scratch: bool = False
    steps: int | None = None
    """Optimizer steps; None means epochs decide."""
    epochs: float = 5.0
    lr: float = 6.7e-5
    schedule: str = "cosine_with_min_lr"
    """`linear`, `cosine`, `cosine_with_min_lr` or `constant`."""
    min_lr_rate: float = 0.1
    """What of the learning rate `cosine_with_min_lr` ends at."""
    warmup: float = 0.05
    """Below 1 a share of all steps, else steps."""
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_epsilon: float = 1e-8
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    batch_size: int = 4
    """Rows a process takes at once."""
    accumulation: int = 16
    """Batches of an optimizer step."""
    max_length: int = 4096
    packing: bool = False
    beta: float = 0.1
    """How firmly DPO and KTO hold to the reference."""
    reference: str | None = None
    """The directory of the policy that DPO and KTO hold to; None means the model the run starts from."""
    lora_rank: int | None = None
    """None trains every parameter."""
    lora_alpha: int | None = None
    """None means twice the rank."""
    lora_dropout: float = 0.0
    processes: int = 1
    accelerate: str | None = None
    """A settings file of accelerate (several machines, DeepSpeed, FSDP)."""
    seed: int = 0
    log_every: int = 10
    save_every: int = 200
    gradient_checkpointing: bool = False

    @property
    def batch(self) -> int:
        """Rows of an optimizer step."""
        return self.batch_size * self.accumulation * self.processes

    def write(self, path: Path) -> None:
        """Keep these settings as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2, sort_keys=True) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "RunSettings":
        """The settings kept at PATH.

        Raises BadInput if they are none.
        """
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise BadInput(f"no settings of a run can be read from {path}: {error}") from error

    def differences(self, other: "RunSettings") -> list[str]:
        """The names of the fields in which two settings differ."""
        names = [field.name for field in fields(self)]
        return [name for name in names if getattr(self, name) != getattr(other, name)]


@dataclass(frozen=True, slots=True)
class RunFiles:
    """The files of a run, all in one directory."""

    folder: Path

    @property
    def settings(self) -> Path:
        """What the run was told."""
        return self.folder / "settings.json"

    @property
    def rows(self) -> Path:
        """The rows as the trainer takes them, in Arrow's stream format."""
        return self.folder / "rows.arrow"

    @property
    def prepared(self) -> Path:
        """How many rows there are and how many were left out."""
        return self.folder / "rows.json"

    @property
    def log(self) -> Path:
        """What the training process said."""
        return self.folder / "log.txt"

    @property
    def metrics(self) -> Path:
        """One JSON line for every log line."""
        return self.folder / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """The directory of checkpoints."""
        return self.folder / "checkpoints"

    @property
    def model(self) -> Path:
        """The directory of the finished model with its tokenizer and chat template."""
        return self.folder / "model"

    @property
    def result(self) -> Path:
        """Written last: what the run came to."""
        return self.folder / "result.json"

    def last_checkpoint(self) -> str | None:
        """The newest checkpoint that was written to its end, if any."""
        found = [
            (int(path.parent.name.rpartition("-")[2]), path.parent)
            for path in self.checkpoints.glob("checkpoint-*/trainer_state.json")
        ]
        return str(max(found)[1]) if found else None

    def write_result(self, result: dict[str, Any]) -> None:
        """Say what the run came to, all at once."""
        staging = self.result.with_suffix(".tmp")
        staging.write_text(json.dumps(result, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        staging.replace(self.result)

    def read_result(self) -> dict[str, Any] | None:
        """What the run came to, if it is finished."""
        if not self.result.exists():
            return None
        result: dict[str, Any] = json.loads(self.result.read_text(encoding="utf-8"))
        return result


def processes_of(accelerate: Path) -> int:
    """How many processes a settings file of accelerate starts: what a step's rows, and so the learning rate, depend on.

    Raises BadInput for a file that does not say.
    """
    import yaml

    try:
        told = yaml.safe_load(accelerate.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"{accelerate} is no settings file of accelerate: {error}") from error
    number = told.get("num_processes") if isinstance(told, dict) else None
    if not isinstance(number, int) or number < 1:
        raise BadInput(f"{accelerate} does not say how many processes there are; name them with --processes")
    return number
