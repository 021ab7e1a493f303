"""The records that the subpackages share.

A benchmark turns a document into a `Question`, a task evaluates it once for every `Variant`
of its images, and the model's answer and confidence are stored as a `Readout`. The records
are immutable and depend on neither the harness nor torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Scalar = str | int | float | bool

# What a task can measure besides its answers; `Metric.requires` is made of these.
Measure = Literal["verbal", "loglik", "representations", "same_question", "attacks", "object_noise"]
MEASURES: tuple[Measure, ...] = get_args(Measure)

# Vectors that are captured in the model.
CHANNELS = ("context", "answer", "vision")


@dataclass(frozen=True, slots=True)
class Question:
    """One document of a benchmark, without its pixels.

    Attributes:
        question_id: The document's own id, as text.
        image_id: Name of the question's image or images. Questions that share it
            are one cluster in every interval. "" in data sets without image names:
            the task then uses the digest of the stored images.
        prompt: The text prompt, identical to upstream's.
        labels: The closed set of answers, spelled as the model should write
            them (`("Yes", "No")`, `("A", "B")`). Empty for an open question.
        gold: The right answer: one of `labels`, free text for an open question, or
            None where there is no right answer (captions).
        positive: The positive label of precision, recall, F1 and the yes ratio, or None
            where these are not used.
        category: The benchmark's own sub-category, "" if it has none.
        options: The text of each option, if `labels` are letters.
        content: The prompt with interleaved images, for models that take chat messages:
            texts and indices of images. Empty: all images, then the prompt.
        asked: The question without answer instructions, quoted by a second turn. Empty: the
            whole prompt.
    """

    question_id: str
    image_id: str
    prompt: str
    labels: tuple[str, ...] = ()
    gold: str | None = None
    positive: str | None = None
    category: str = ""
    options: tuple[str, ...] = ()
    content: tuple[str | int, ...] = ()
    asked: str = ""


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to show a document's images: unchanged, or perturbed.

    Attributes:
        perturbation: Registered name of the perturbation, or "clean".
        parameters: Its parameters as sorted (name, value) pairs.
        seed: Random seed; 0 if the perturbation is deterministic.
        family: The name under which flips are counted (`ifr_<family>`), "" for clean.
        control: True for a control condition (a text box without semantic content), which
            pooled metrics exclude if there are other variants.
    """

    perturbation: str
    parameters: tuple[tuple[str, Scalar], ...] = ()
    seed: int = 0
    family: str = ""
    control: bool = False

    def __str__(self) -> str:
        """Return the variant as in error messages and progress lines.

        >>> str(Variant("gaussian_noise", (("epsilon", 0.3),), seed=1))
        'gaussian_noise(epsilon=0.3, seed=1)'
        >>> str(CLEAN)
        'clean'
        """
        if self.perturbation == CLEAN.perturbation:
            return self.perturbation
        parameters = [f"{name}={value}" for name, value in self.parameters]
        return f"{self.perturbation}({', '.join([*parameters, f'seed={self.seed}'])})"


CLEAN = Variant("clean")


@dataclass(frozen=True)
class Inside:
    """Measures of the model's hidden states in one answer.

    Mappings by channel have the keys of `CHANNELS`; a channel without a vector is left out.

    Attributes:
        drift: Cosine distance to the vector of the clean image's answer, by channel; empty
            for the clean image itself.
        distance: Euclidean distance to it, likewise.
        control: For the clean image: mean cosine distance to the vectors of other images, by
            channel; empty for variants.
        prior_drift: Cosine distance of the context to that of a blank image of the same size.
        prior_probs: For the clean image: the labels' probabilities on that blank image.
        dirichlet_energy: Of the vision tokens on their grid, None without a grid.
        layer_entropy: Logit-lens entropy of each layer at the answer position, in nats; empty
            if that is unknown.
        spectrum: Mean power of the image in each band, at the clean image's size.
        control_same: For the clean image: mean cosine distance to the vectors of the same
            question about other images, by channel; empty for variants, and where the task
            does not ask for it.
    """

    drift: Mapping[str, float]
    distance: Mapping[str, float]
    control: Mapping[str, float]
    prior_drift: float | None
    prior_probs: Mapping[str, float] | None
    dirichlet_energy: float | None
    layer_entropy: tuple[float, ...]
    spectrum: Mapping[str, float]
    control_same: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the record as written to samples files (JSON types only).

        `control_same` is left out where it is empty.
        """
        record = {name: getattr(self, name) for name in self.__dataclass_fields__}
        if not self.control_same:
            del record["control_same"]
        for name, value in record.items():
            if isinstance(value, Mapping):
                record[name] = dict(value)
        return {**record, "layer_entropy": list(self.layer_entropy)}


@dataclass(frozen=True)
class Readout:
    """The model's answer to one variant of one document, and its confidence.

    Every number that needs logits is None on a backend without logits. Entropies
    and log-probabilities are in nats, probabilities in [0, 1].

    Attributes:
        variant: How the images were shown.
        image_sha256: Digest of the RGB bytes and size of the image that was shown.
        text: The model's answer as the harness's adapter returned it.
        answer: The label parsed from `text`, None if there is none.
        correct: Whether `answer` is the right one; None without a right answer.
        entropy: Mean of `token_entropy`.
        token_entropy: Entropy over the whole vocabulary at each generated token
            before the end token (at the end token itself if it came first).
        entropy_low: Lower bound of the mean entropy, for engines that return only top-k
            log-probabilities. `token_entropy` is then None, and `entropy` is the middle of the
            bounds if they differ by less than 1e-3 nats, else None.
        entropy_high: Upper bound likewise; None where the size of the vocabulary is unknown.
        overlay_label: The label that a text overlay named; None for other variants and for
            the overlay's controls.
        entropy_answer: Entropy over the whole vocabulary at `answer_step`; None without that
            step. From top-k log-probabilities, the middle of its bounds as in `entropy`.
        position_unknown: Whether the answer position is unknown, since no generated token
            begins the parsed label where the text has it: the label is part of a longer
            token, the adapter changed the text, or a model's thinking was stripped from it.
            There are then no probabilities.
        logprob: Mean log-probability of those tokens.
        probs: Probability of each label at the answer position, divided by their sum; None
            where that position is unknown.
        answer_mass: That sum before the division.
        answer_step: Index of the generated token that begins the parsed label; without an
            answer, of the first that begins any label. None if the position is unknown, or if
            none begins a label: `probs` are then those of the first step.
        confidence: `probs[answer]`; None without an answer.
        margin: ln p(best label) - ln p(second).
        gold_margin: ln p(gold) - ln p(best other label).
        verbal_text: The model's answer to the second turn, which asks how certain it is; None
            without a second turn.
        verbal_confidence: The number parsed from that, None if there is none.
        option_logprob: ln p of each label's option text after the prompt, summed over
            its tokens; None if the options were not scored.
        option_logprob_mean: The same, divided by the number of tokens.
        inside: Measures of the hidden states; None if they were not captured.
    """

    variant: Variant
    image_sha256: str
    text: str
    answer: str | None
    correct: bool | None
    entropy: float | None = None
    token_entropy: tuple[float, ...] | None = None
    logprob: float | None = None
    probs: Mapping[str, float] | None = None
    answer_mass: float | None = None
    answer_step: int | None = None
    confidence: float | None = None
    margin: float | None = None
    gold_margin: float | None = None
    verbal_text: str | None = None
    verbal_confidence: float | None = None
    option_logprob: Mapping[str, float] | None = None
    option_logprob_mean: Mapping[str, float] | None = None
    inside: Inside | None = None
    entropy_low: float | None = None
    entropy_high: float | None = None
    overlay_label: str | None = None
    entropy_answer: float | None = None
    position_unknown: bool = False

    @property
    def loglik_answer(self) -> str | None:
        """The label with the greatest `option_logprob`, the first of equals."""
        return _best(self.option_logprob)

    @property
    def loglik_mean_answer(self) -> str | None:
        """The label with the greatest `option_logprob_mean`, the first of equals."""
        return _best(self.option_logprob_mean)

    def to_dict(self) -> dict[str, Any]:
        """Return the record as written to samples files (JSON types only).

        Fields that only some tasks measure are left out of other tasks' records.
        """
        record = {name: getattr(self, name) for name in self.__dataclass_fields__}
        for name, condition in _OPTIONAL_FIELDS.items():
            value = record.pop(name)
            if getattr(self, condition) is not None:
                record[name] = dict(value) if isinstance(value, Mapping) else value
        if self.inside is not None:
            record["inside"] = self.inside.to_dict()
        variant = record.pop("variant")
        return {
            "variant": variant.perturbation,
            "parameters": dict(variant.parameters),
            "seed": variant.seed,
            "family": variant.family,
            "control": variant.control,
            **record,
            "token_entropy": None if self.token_entropy is None else list(self.token_entropy),
            "probs": None if self.probs is None else dict(self.probs),
        }


# Fields that are written only if the field given here is not None.
_OPTIONAL_FIELDS = {
    "verbal_text": "verbal_text",
    "verbal_confidence": "verbal_text",
    "option_logprob": "option_logprob",
    "option_logprob_mean": "option_logprob",
    "inside": "inside",
    "entropy_low": "entropy_low",
    "entropy_high": "entropy_low",
    "overlay_label": "overlay_label",
}


def _best(scores: Mapping[str, float] | None) -> str | None:
    return max(scores, key=scores.__getitem__) if scores else None
