"""The records that the subpackages share.

A benchmark turns a document into a `Question`, a task evaluates it once for every `Variant`
of its images, and the model's answer and confidence are stored as a `Readout`. A document's
readouts are a `Sample`, from which metrics are computed. The records are immutable and depend
on neither the harness nor torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, get_args

import msgspec

Scalar = str | int | float | bool
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]

# What a task can measure besides its answers; `Metric.requires` is made of these.
Measure = Literal["verbal", "loglik", "representations", "same_question", "attacks", "object_noise"]
MEASURES: tuple[Measure, ...] = get_args(Measure)

# Vectors that are captured in the model.
CHANNELS = ("context", "answer", "vision")


class Question(msgspec.Struct, frozen=True):
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


class Variant(msgspec.Struct, frozen=True):
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


class Inside(msgspec.Struct, frozen=True, gc=False):
    """Measures of the model's hidden states in one answer, as in a samples file.

    Mappings by channel have the keys of `CHANNELS`; a channel without a vector is left out.

    Attributes:
        drift: Cosine distance to the vector of the clean image's answer, by channel; empty
            for the clean image itself.
        distance: Euclidean distance to it, by channel; empty for the clean image itself.
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
    prior_probs: Mapping[str, Share] | None
    dirichlet_energy: float | None
    layer_entropy: tuple[float, ...]
    spectrum: Mapping[str, float]
    control_same: Mapping[str, float] = {}

    def to_dict(self) -> dict[str, Any]:
        """Return the record as written to samples files, without an empty `control_same`."""
        record = msgspec.structs.asdict(self)
        if not self.control_same:
            del record["control_same"]
        return record


class Readout(msgspec.Struct, frozen=True, gc=False, rename={"perturbation": "variant"}):
    """The model's answer to one variant of one document, and its confidence.

    Its fields are the keys of an entry of `readouts` in a samples file, in their order; those
    from `verbal_text` on are left out of the files of tasks that do not measure them.

    Every number that needs logits is None on a backend without logits. Entropies
    and log-probabilities are in nats, probabilities in [0, 1].

    Attributes:
        perturbation: How the images were shown: that of the `variant`, as are `parameters`,
            `seed`, `family` and `control`.
        image_sha256: Digest of the RGB bytes and size of the image that was shown.
        text: The model's answer as the harness's adapter returned it.
        answer: The label parsed from `text`, None if there is none.
        correct: Whether `answer` is the right one; None without a right answer.
        entropy: Mean of `token_entropy`.
        token_entropy: Entropy over the whole vocabulary at each generated token
            before the end token (at the end token itself if it came first).
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
        entropy_answer: Entropy over the whole vocabulary at `answer_step`; None without that
            step. From top-k log-probabilities, the middle of its bounds as in `entropy`.
        position_unknown: Whether the answer position is unknown, since no generated token
            begins the parsed label where the text has it: the label is part of a longer
            token, the adapter changed the text, or a model's thinking was stripped from it.
            There are then no probabilities.
        verbal_text: The model's answer to the second turn, which asks how certain it is; None
            without a second turn.
        verbal_confidence: The number parsed from that, None if there is none.
        option_logprob: ln p of each label's option text after the prompt, summed over
            its tokens; None if the options were not scored.
        option_logprob_mean: The same, divided by the number of tokens.
        inside: Measures of the hidden states; None if they were not captured.
        entropy_low: Lower bound of the mean entropy, for engines that return only top-k
            log-probabilities. `token_entropy` is then None, and `entropy` is the middle of the
            bounds if they differ by less than 1e-3 nats, else None.
        entropy_high: Upper bound of the same; None where the size of the vocabulary is unknown.
        overlay_label: The label that a text overlay named; None for other variants and for
            the overlay's controls.
        refused: Whether the answer is a refusal: it names no label and says that it cannot or
            will not answer, or the server says so. None in the files of older versions.
        confidence_low: The least `confidence` that the tokens outside of the k likeliest allow;
            None without an answer, and where all tokens are known.
        confidence_high: The greatest. Where the two are further apart than
            `VLM_CONFIDENCE_MAX_WIDTH` there is no `confidence`, else it is that of the k
            likeliest tokens; `probs` are given only if these have every label.
        truncated: True if a serving engine says that the limit of tokens cut the answer off.
        filtered: True if a server's content filter withheld the answer or a part of it.
        other_model: The name of the model that answered, if the server was asked for another.
    """

    perturbation: str
    parameters: Mapping[str, Scalar]
    seed: int
    family: str
    control: bool
    image_sha256: str
    text: str
    answer: str | None
    correct: bool | None
    entropy: float | None
    token_entropy: tuple[float, ...] | None
    logprob: float | None
    probs: Mapping[str, Share] | None
    answer_mass: Share | None
    answer_step: int | None
    confidence: Share | None
    margin: float | None
    gold_margin: float | None
    # Absent from the files of older versions.
    entropy_answer: float | None = None
    position_unknown: bool = False
    verbal_text: str | None = None
    verbal_confidence: Share | None = None
    option_logprob: Mapping[str, float] | None = None
    option_logprob_mean: Mapping[str, float] | None = None
    inside: Inside | None = None
    entropy_low: float | None = None
    entropy_high: float | None = None
    overlay_label: str | None = None
    refused: bool | None = None
    confidence_low: Share | None = None
    confidence_high: Share | None = None
    truncated: bool | None = None
    filtered: bool | None = None
    other_model: str | None = None

    @classmethod
    def of(
        cls,
        variant: Variant,
        image_sha256: str,
        text: str,
        answer: str | None,
        correct: bool | None,
        **measured: Any,
    ) -> Readout:
        """Make the readout of a variant; measures that are not given are None."""
        shown = (variant.perturbation, _parameters(variant), variant.seed, variant.family)
        numbers: dict[str, Any] = {**dict.fromkeys(_NUMBERS), **measured}
        return cls(*shown, variant.control, image_sha256, text, answer, correct, **numbers)

    @property
    def variant(self) -> Variant:
        """How the images were shown."""
        parameters = tuple(sorted(self.parameters.items()))
        return Variant(self.perturbation, parameters, self.seed, self.family, self.control)

    @property
    def loglik_answer(self) -> str | None:
        """The label with the greatest `option_logprob`, the first of equals."""
        return _best(self.option_logprob)

    @property
    def loglik_mean_answer(self) -> str | None:
        """The label with the greatest `option_logprob_mean`, the first of equals."""
        return _best(self.option_logprob_mean)

    def to_dict(self) -> dict[str, Any]:
        """Return the record as written to samples files, with the mappings that it holds.

        Fields that only some tasks measure are left out of other tasks' records.
        """
        record = {
            name: getattr(self, name)
            for name in self.__struct_fields__[1:]
            if name not in _OPTIONAL or getattr(self, _OPTIONAL[name]) is not None
        }
        if self.inside is not None:
            record["inside"] = self.inside.to_dict()
        return {"variant": self.perturbation, **record}


# Required where a readout is read, so that none is taken for absent.
_NUMBERS = (
    *("entropy", "token_entropy", "logprob", "probs", "answer_mass", "answer_step"),
    *("confidence", "margin", "gold_margin"),
)
# Fields that are written only if the field given here is not None.
_OPTIONAL = {
    "verbal_text": "verbal_text",
    "verbal_confidence": "verbal_text",
    "option_logprob": "option_logprob",
    "option_logprob_mean": "option_logprob",
    "inside": "inside",
    "entropy_low": "entropy_low",
    "entropy_high": "entropy_low",
    "overlay_label": "overlay_label",
    "refused": "refused",
    "confidence_low": "confidence_low",
    "confidence_high": "confidence_low",
    "truncated": "truncated",
    "filtered": "filtered",
    "other_model": "other_model",
}


@cache
def _parameters(variant: Variant) -> Mapping[str, Scalar]:
    # One mapping for all answers to a variant, of which a run holds many.
    return dict(variant.parameters)


class Sample(msgspec.Struct, frozen=True, gc=False):
    """The answers to one document, clean and perturbed, and the right answer.

    Attributes:
        image_id: Name of the image: the cluster of every interval.
        gold: The right answer, None where there is none (captions).
        labels: The closed set of answers, empty for an open question.
        positive: The label that precision and recall count as positive, or None.
        clean: The answer to the clean image.
        variants: The answers to its variants.
        upstream_clean: Upstream's own score of the clean text, if it was computed.
        question_id: The document's id in the data set.
        category: The benchmark's sub-category; question ids may begin anew in each.
        prompt: The text put to the model, in a sample that was read from a file; "" where it was
            no plain text.

    Raises:
        ValueError: `gold` is not one of the `labels`, or an answer to a document with
            `gold` was not marked right or wrong.
    """

    image_id: str
    gold: str | None
    labels: tuple[str, ...]
    positive: str | None
    clean: Readout
    variants: tuple[Readout, ...]
    upstream_clean: float | None = None
    question_id: str = ""
    category: str = ""
    prompt: str = ""

    def __post_init__(self) -> None:
        """Check what every metric relies on."""
        if self.gold is None:
            return
        if self.labels and self.gold not in self.labels:
            raise ValueError(f"gold {self.gold!r} is not one of the labels {self.labels}")
        for readout in (self.clean, *self.variants):
            if readout.correct is None:
                raise ValueError(f"{readout.variant}: gold is {self.gold!r} but correct is None")

    @property
    def image_sha256(self) -> str:
        """Digest of the clean image as it was shown."""
        return self.clean.image_sha256

    @property
    def identity(self) -> tuple[str, str, str]:
        """Question, category and image, which name a document of a data set.

        POPE counts its questions anew in each category, about the same images.
        """
        return self.question_id, self.category, self.image_sha256

    def to_dict(self) -> dict[str, Any]:
        """Return the document's row of a samples file, without what the harness adds."""
        return {
            "question_id": self.question_id,
            "category": self.category,
            "image_sha256": self.image_sha256,
            "readouts": [readout.to_dict() for readout in (self.clean, *self.variants)],
            "image_id": self.image_id,
            "gold": self.gold,
            "labels": self.labels,
            "positive": self.positive,
            "upstream_clean": self.upstream_clean,
        }


def _best(scores: Mapping[str, float] | None) -> str | None:
    return max(scores, key=scores.__getitem__) if scores else None
