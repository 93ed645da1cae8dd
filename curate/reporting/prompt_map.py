"""A map of first questions: mean-pooled embeddings of an encoder in two dimensions, and topics among them.

After RLHF Workflow, Figure 5 (arXiv 2405.07863). Topics are k-means clusters of the embeddings, named by the words
that tell them from the others. The sample and the start of the clusters are the same in every run.
"""

import math
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curate.projection import project
from store.errors import BadInput, MissingExtra, RequestError

if TYPE_CHECKING:
    from store.db import Store

Floats = NDArray[np.float32]

BATCH = 32
MOST_TOKENS = 256
"""Of a question; the rest does not move it on the map."""
MOST_CHARACTERS = 4_000
FEWEST_FOR_UMAP = 100
"""Of fewer questions it would show noise, and it takes half a minute to compile itself."""
ROUNDS = 50
TERMS = 4
WORD = re.compile(r"[^\W\d_]{3,}")

SAMPLE = f"""
WITH firsts AS (
    SELECT conversation_id, source, class, unnest(message_ids[:3]) AS message_id,
        generate_subscripts(message_ids[:3], 1) AS position
    FROM current_conversations
),
questions AS (
    SELECT arg_min(firsts.message_id, position) AS message_id, any_value(source) AS source, any_value(class) AS class
    FROM firsts
    JOIN messages ON messages.message_id = firsts.message_id
    WHERE messages.role = 'user'
    GROUP BY conversation_id
),
once AS (
    SELECT message_id, min(source) AS source, min(class) AS class
    FROM questions
    GROUP BY message_id
),
chosen AS (
    SELECT *, count(*) OVER () AS n_prompts
    FROM once
    ORDER BY md5(CAST(message_id AS VARCHAR))
    LIMIT $sample
)
SELECT
    chosen.source AS source,
    chosen.class AS class,
    chosen.n_prompts AS n_prompts,
    left(messages.content, {MOST_CHARACTERS}) AS content
FROM chosen
JOIN messages ON messages.message_id = chosen.message_id
ORDER BY chosen.message_id
"""


@dataclass(frozen=True, slots=True)
class MapSettings:
    """What a user may ask of a map."""

    encoder: Path
    """A folder with a text encoder of transformers."""
    sample: int = 5000
    topics: int = 12


@dataclass(frozen=True)
class Topic:
    """One cluster of questions."""

    name: str
    prompts: int


@dataclass(frozen=True)
class PromptMap:
    """Where each question of the sample lies, and what it belongs to."""

    points: Floats
    """Shape (n, 2)."""
    sources: list[str]
    classes: list[str]
    topic_of: list[int]
    topics: list[Topic]
    method: str
    """How the points came to be, in a few words."""
    n_prompts: int
    """Different first questions in the store."""

    def labels(self, by: str) -> list[str]:
        """The source, class or topic of each question."""
        if by == "topic":
            return [self.topics[number].name for number in self.topic_of]
        return self.sources if by == "source" else self.classes

    def as_json(self) -> dict[str, Any]:
        """The topics and the method, without the points."""
        topics = [{"name": one.name, "prompts": one.prompts} for one in self.topics]
        return {
            "method": self.method,
            "prompts": len(self.sources),
            "of_prompts": self.n_prompts,
            "topics": topics,
        }


def map_prompts(store: "Store", settings: MapSettings) -> PromptMap:
    """The map of a sample of the store's first questions.

    Raises MissingExtra without transformers, BadInput if the folder holds no encoder, RequestError without questions.
    """
    with store.read() as reading:
        rows = reading.dicts(SAMPLE, {"sample": settings.sample})
    if len(rows) < 3:
        raise RequestError("a map needs three questions or more; leave --encoder out")
    texts = [row["content"] for row in rows]
    vectors = embed(settings.encoder, texts)
    points, method = project(vectors, "auto" if len(vectors) >= FEWEST_FOR_UMAP else "pca")
    topic_of = cluster(vectors, min(settings.topics, len(texts)))
    names = name_topics(texts, topic_of)
    topics = [Topic(name, topic_of.count(number)) for number, name in enumerate(names)]
    return PromptMap(
        points,
        [row["source"] for row in rows],
        [row["class"] for row in rows],
        topic_of,
        topics,
        method,
        rows[0]["n_prompts"],
    )


def embed(folder: Path, texts: list[str]) -> Floats:
    """Mean-pooled embeddings of length 1, one a text."""
    try:
        import torch
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils.logging import disable_progress_bar
    except ImportError as error:
        raise MissingExtra.of("transformers", "local") from error
    if not folder.is_dir():
        raise BadInput(f"there is no directory {folder}; name one that holds a text encoder")
    disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        model = AutoModel.from_pretrained(str(folder), local_files_only=True).eval()
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(f"no encoder can be read from {folder}: {str(error).splitlines()[0]}") from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    most = min(MOST_TOKENS, getattr(model.config, "max_position_embeddings", MOST_TOKENS))
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))  # little padding
    found: list[Floats | None] = [None] * len(texts)
    for first in range(0, len(order), BATCH):
        places = order[first : first + BATCH]
        batch = tokenizer(
            [texts[place] for place in places],
            padding=True,
            truncation=True,
            max_length=most,
            return_tensors="pt",
        )
        batch.pop("token_type_ids", None)
        with torch.inference_mode():
            hidden = model(**batch).last_hidden_state.float()
        mask = batch["attention_mask"].unsqueeze(-1)
        pooled = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)
        for place, vector in zip(places, torch.nn.functional.normalize(pooled).numpy(), strict=True):
            found[place] = vector
    return np.stack([vector for vector in found if vector is not None])


def cluster(vectors: Floats, count: int) -> list[int]:
    """The cluster of each vector by k-means, started far apart (k-means++), the same in every run."""
    draw = np.random.default_rng(0)
    centres = vectors[draw.integers(len(vectors), size=1)]
    nearest = ((vectors - centres[0]) ** 2).sum(1)
    while len(centres) < count and nearest.sum() > 0:
        chosen = draw.choice(len(vectors), p=nearest / nearest.sum())
        centres = np.vstack([centres, vectors[chosen]])
        nearest = np.minimum(nearest, ((vectors - vectors[chosen]) ** 2).sum(1))
    labels = np.zeros(len(vectors), dtype=np.int64)
    for _ in range(ROUNDS):
        distances = (centres**2).sum(1) - 2 * vectors @ centres.T
        new = distances.argmin(1)
        if (new == labels).all() and _ > 0:
            break
        labels = new
        centres = np.stack(
            [vectors[labels == k].mean(0) if (labels == k).any() else centres[k] for k in range(len(centres))]
        )
    used = {label: place for place, label in enumerate(sorted(set(labels.tolist())))}
    return [used[label] for label in labels.tolist()]


def name_topics(texts: list[str], topic_of: list[int]) -> list[str]:
    """Each topic's most distinctive words: frequent in it, rare elsewhere (class-based TF-IDF)."""
    counts: list[Counter[str]] = [Counter() for _ in range(max(topic_of) + 1)]
    for text, topic in zip(texts, topic_of, strict=True):
        counts[topic].update(set(WORD.findall(text.lower())))  # once a question: a long one is one voice
    overall: Counter[str] = sum(counts, Counter())
    mean = sum(overall.values()) / len(counts)
    names = []
    for number, held in enumerate(counts):
        n_prompts = topic_of.count(number)
        weighed = {
            word: count / n_prompts * math.log(1 + mean / overall[word]) * (count / overall[word])
            for word, count in held.items()
            if count > 1 or n_prompts == 1
        }
        best = sorted(weighed, key=lambda word: (-weighed[word], word))[:TERMS]
        names.append(f"{number + 1} {', '.join(best) or 'no common word'}")
    return names
