"""The records that travel between the rooms of this package.

A benchmark turns a document into a `Question`; a task asks it once for every
`Variant` of its images; what the model answered, and how sure it was, comes back
as a `Readout`. The records are plain and immutable and know neither the harness
nor torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Scalar = str | int | float | bool

# Vectors that are read inside the model.
CHANNELS = ("context", "answer", "vision")


@dataclass(frozen=True, slots=True)
class Question:
    """One document of a benchmark, without its pixels.

    Attributes:
        question_id: The document's own id, as text.
        image_id: Name of the image or images asked about. Questions that share it
            are one cluster in every interval. Left "" by data sets that name no images:
            the harness then fills in the digest of what is stored.
        prompt: The text put to the model, upstream's own.
        labels: The closed set of answers, best written as the model should write
            them (`("Yes", "No")`, `("A", "B")`). Empty for an open question.
        gold: The right answer: one of `labels`, free text for an open question, or
            None where there is no right answer (captions).
        positive: The label that precision, recall, F1 and the yes ratio count as
            positive, or None where these are not used.
        category: The benchmark's own sub-category, "" if it has none.
        options: The text that each of `labels` stands for, where they are letters.
        content: The prompt with images between its words, for models that take chat
            messages: texts and positions of images. Empty: all images, then the prompt.
        asked: The question alone, without the words around it that say how to answer:
            what a second turn quotes. Empty: all of the prompt.
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
    """One way to show a document's images: untouched, or perturbed.

    Attributes:
        perturbation: Registered name of the perturbation, or "clean".
        parameters: Its parameters as sorted (name, value) pairs.
        seed: Seed of the draw; 0 where the perturbation draws nothing.
        family: The name under which flips are counted (`ifr_<family>`), "" for clean.
        control: True for a control condition (a text box without the semantic
            content), which pooled metrics leave out when other variants exist.
    """

    perturbation: str
    parameters: tuple[tuple[str, Scalar], ...] = ()
    seed: int = 0
    family: str = ""
    control: bool = False

    def __str__(self) -> str:
        """Name the variant as error messages and progress lines do.

        >>> str(Variant("gaussian_noise", (("epsilon", 0.3),), seed=1))
        'gaussian_noise(epsilon=0.3, seed=1)'
        >>> str(CLEAN)
        'clean'
        """
        if self.perturbation == CLEAN.perturbation:
            return self.perturbation
        given = [f"{name}={value}" for name, value in self.parameters]
        return f"{self.perturbation}({', '.join([*given, f'seed={self.seed}'])})"


CLEAN = Variant("clean")


@dataclass(frozen=True)
class Inside:
    """What happened inside the model in one answer, in numbers.

    Mappings by channel have the keys of `CHANNELS`; a channel without a vector is left out.

    Attributes:
        drift: 1 - cos with the vector of the clean image's answer, by channel; empty for
            the clean image itself.
        distance: Length of the difference to it, likewise.
        control: For the clean image: mean 1 - cos with the vectors of other images, by
            channel; empty for variants.
        prior_drift: 1 - cos of the context with that of a blank image of the clean size.
        prior_probs: For the clean image: the labels' probabilities on that blank image.
        dirichlet_energy: Of the vision tokens on their grid, None without a grid.
        layer_entropy: Entropy of each layer's own prediction at the answer, in nats.
        spectrum: Mean power of the image in each band, at the clean image's size.
    """

    drift: Mapping[str, float]
    distance: Mapping[str, float]
    control: Mapping[str, float]
    prior_drift: float | None
    prior_probs: Mapping[str, float] | None
    dirichlet_energy: float | None
    layer_entropy: tuple[float, ...]
    spectrum: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return the record as it stands in a samples file (JSON types only)."""
        record = {name: getattr(self, name) for name in self.__dataclass_fields__}
        for name, value in record.items():
            if isinstance(value, Mapping):
                record[name] = dict(value)
        return {**record, "layer_entropy": list(self.layer_entropy)}


@dataclass(frozen=True)
class Readout:
    """What the model answered to one variant of one document, and how sure it was.

    Every number that needs logits is None on a backend that gives none. Entropies
    and log-probabilities are in nats, probabilities in [0, 1].

    Attributes:
        variant: What was shown.
        image_sha256: Digest of the RGB bytes and size of the image that was shown.
        text: The model's answer as the harness's adapter returned it.
        answer: The label read from `text`, None if none could be read.
        correct: Whether `answer` is the right one; None without a right answer.
        entropy: Mean of `token_entropy`.
        token_entropy: Entropy over the whole vocabulary at each generated token
            before the end token (at the end token itself if it came first).
        entropy_low: Lower bound of the mean entropy, where an engine gives only the likeliest
            tokens' log-probabilities; `entropy` and `token_entropy` are then None, `entropy`
            unless the bounds are less than 1e-3 nats apart.
        entropy_high: Upper bound likewise.
        logprob: Mean log-probability of those tokens.
        probs: Probability of each label at the answer position, divided by their sum; None
            after a reasoning model's thinking, in which that position cannot be told.
        answer_mass: That sum before the division.
        answer_step: Index of the first generated token that begins a label; None if
            none did, and `probs` are then those of the first step.
        confidence: `probs[answer]`; None if the answer could not be read.
        margin: ln p(best label) - ln p(second).
        gold_margin: ln p(gold) - ln p(best other label).
        verbal_text: What the model said when asked how certain it is of the answer; None
            if it was not asked.
        verbal_confidence: The number read from that, None if there is none in it.
        option_logprob: ln p of each label's option text after the prompt, summed over
            its tokens; None if the options were not scored.
        option_logprob_mean: The same, divided by the number of tokens.
        inside: What happened inside the model; None if that was not measured.
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

    @property
    def loglik_answer(self) -> str | None:
        """The label with the greatest `option_logprob`, the first of equals."""
        return _best(self.option_logprob)

    @property
    def loglik_mean_answer(self) -> str | None:
        """The label with the greatest `option_logprob_mean`, the first of equals."""
        return _best(self.option_logprob_mean)

    def to_dict(self) -> dict[str, Any]:
        """Return the record as it stands in a samples file (JSON types only).

        What only some tasks measure stands in the records of these tasks alone.
        """
        record = {name: getattr(self, name) for name in self.__dataclass_fields__}
        for name, group in _OF_SOME_TASKS.items():
            value = record.pop(name)
            if getattr(self, group) is not None:
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


# Fields that are in a record only if the field that they are paired with here is not None.
_OF_SOME_TASKS = {
    "verbal_text": "verbal_text",
    "verbal_confidence": "verbal_text",
    "option_logprob": "option_logprob",
    "option_logprob_mean": "option_logprob",
    "inside": "inside",
    "entropy_low": "entropy_low",
    "entropy_high": "entropy_low",
}


def _best(scores: Mapping[str, float] | None) -> str | None:
    return max(scores, key=scores.__getitem__) if scores else None
