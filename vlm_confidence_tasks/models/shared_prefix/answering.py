"""Answers questions about the same images behind the prefix that they share."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from loguru import logger

from vlm_confidence_tasks import probe
from vlm_confidence_tasks.models.shared_prefix.check import difference
from vlm_confidence_tasks.models.shared_prefix.decoding import (
    AnswerRecorder,
    decode,
    read_prompts,
    score_options,
)
from vlm_confidence_tasks.models.shared_prefix.greedy import CannotShare, GreedySettings
from vlm_confidence_tasks.models.shared_prefix.prefix import Prefix, read_prefix
from vlm_confidence_tasks.models.shared_prefix.prompts import (
    Prompt,
    common_prefix,
    first_tokens,
    portions,
    shapes,
    stacked,
)
from vlm_confidence_tasks.models.shared_prefix.shared_rows import (
    Layout,
    SharedRows,
    attention,
    layer_kinds,
)
from vlm_confidence_tasks.models.shared_prefix.source import SharedPrefixSource
from vlm_confidence_tasks.probe.description import is_exact

LAYOUTS: tuple[Layout, ...] = ("packed", "padded")
# Questions of the first block that are answered by generate() too.
CHECKED = 4


@dataclass(frozen=True, eq=False)
class DecodedAnswer:
    """The token ids of one answer, up to the end token, and its measurements."""

    tokens: tuple[int, ...]
    reading: probe.Reading


class SharedPrefix:
    """Answers the questions about an image on one pass over what their prompts share.

    On the first block of each kind some questions are answered by generate() too. Where texts and
    numbers agree, questions are packed from then on; where they do not, rows are padded; where
    that does not agree either, generate() answers all.
    """

    def __init__(self, source: SharedPrefixSource, max_packed_tokens: int) -> None:
        """Prepare; the model is asked nothing yet.

        `max_packed_tokens`: most tokens, prefixes left out, of one pass over prompts.
        """
        self._source = source
        self._model = source.model
        self._max_packed_tokens = max_packed_tokens
        self._chosen: dict[tuple[Any, ...], Layout | None] = {}
        self._settings: dict[str, GreedySettings] = {}
        self._structure: probe.Structure | None
        try:
            self._structure = probe.find_structure(self._model)
        except probe.ProbeError:
            self._structure = None

    def answer(
        self,
        blocks: Sequence[Sequence[Prompt]],
        rows: Sequence[Sequence[probe.Row]],
        arguments: Mapping[str, Any],
    ) -> list[list[DecodedAnswer]] | None:
        """Answer blocks of questions, each about its own images; None: generate() has to.

        Prefixes of several blocks must have equal shapes. `rows` tell what to measure in each
        answer, `arguments` are those of generate() besides the model's inputs.
        """
        kind = (
            repr(sorted(arguments.items())),
            any(row.options for own in rows for row in own),
            any(row.representations for own in rows for row in own),
        )
        if self._structure is None or self._chosen.get(kind, "packed") is None:
            if kind not in self._chosen:
                self._choose(kind, None, "its language model's parts are not found")
            return None
        lengths = {self.prefix_length(block) for block in blocks}
        if len(lengths) != 1 or 0 in lengths:
            return None
        if kind not in self._chosen:
            return self._checked(kind, blocks, rows, arguments)
        layout = self._chosen[kind]
        assert layout is not None
        return self._in_memory(blocks, rows, arguments, layout)

    @property
    def gave_up(self) -> bool:
        """Whether generate() has to answer questions of every kind so far."""
        return bool(self._chosen) and not any(self._chosen.values())

    @property
    def possible(self) -> bool:
        """Whether prefixes can be shared at all, as far as the model's configuration says."""
        known = self._structure is not None
        return known and any(self._excluded(layout) is None for layout in LAYOUTS)

    def prefix_length(self, block: Sequence[Prompt]) -> int:
        """Return how many tokens a block's prompts share; 0 if they share no image."""
        if self._structure is None:
            return 0
        return common_prefix([prompt.tokens for prompt in block], self._structure.image_token)

    def shape(self, block: Sequence[Prompt]) -> tuple[Any, ...]:
        """Return what must be equal for blocks to be answered at once."""
        return shapes(first_tokens(block[0].inputs, self.prefix_length(block)))

    def _checked(
        self,
        kind: tuple[Any, ...],
        blocks: Sequence[Sequence[Prompt]],
        rows: Sequence[Sequence[probe.Row]],
        arguments: Mapping[str, Any],
    ) -> list[list[DecodedAnswer]] | None:
        """Answer the first blocks of a kind, and choose how to answer all others."""
        sample = _spread(blocks[0])
        with self._source.aside([rows[0][index] for index in sample]) as plain:
            for index in sample:
                self._model.generate(**blocks[0][index].inputs, **arguments)
        exact = is_exact(self._model)
        reasons: list[str] = []
        for layout in LAYOUTS:
            why = self._excluded(layout)
            try:
                if why is None:
                    answers = self._in_memory(blocks, rows, arguments, layout)
                    shared = [answers[0][i].reading for i in sample]
                    largest, why = difference(plain, shared, exact=exact)
            except CannotShare as error:
                why = str(error)
            except Exception as error:
                if probe.out_of_memory(error):
                    raise
                why = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            if why is None:
                checked = f"{len(sample)} answers agree with generate() to {largest:.1g}"
                self._choose(kind, layout, "; ".join([*reasons, checked]))
                return answers
            reasons.append(f"{layout} rows do not work here: {why}")
        self._choose(kind, None, "; ".join(reasons))
        return None

    def _choose(self, kind: tuple[Any, ...], layout: Layout | None, why: str) -> None:
        self._chosen[kind] = layout
        how = "each question pays for its image" if layout is None else f"{layout} rows"
        measured = " with options" * kind[1] + " with hidden states" * kind[2]
        logger.info(f"shared prefix{measured}: {how} ({why})")

    def _excluded(self, layout: Layout) -> str | None:
        """Return why a layout cannot be right for this model, whatever a check says."""
        kinds = layer_kinds(self._model.config.get_text_config())
        if unknown := kinds - {"full_attention", "sliding_attention"}:
            return f"it has layers of {', '.join(sorted(unknown))}"
        if layout == "packed" and attention(self._model) not in ("sdpa", "eager"):
            return f"{attention(self._model)} takes no mask"
        if layout == "padded" and "sliding_attention" in kinds:
            return "padding would count in its sliding windows"
        return None

    def _in_memory(
        self,
        blocks: Sequence[Sequence[Prompt]],
        rows: Sequence[Sequence[probe.Row]],
        arguments: Mapping[str, Any],
        layout: Layout,
    ) -> list[list[DecodedAnswer]]:
        """Answer blocks, in smaller portions where memory runs out."""
        while True:
            try:
                return self._answer(blocks, rows, arguments, layout)
            except Exception as error:
                length = self.prefix_length(blocks[0])
                most = max(sum(len(p.tokens) - length for p in block) for block in blocks)
                limit = min(self._max_packed_tokens, most) // 2
                if not probe.out_of_memory(error) or limit < 1 or max(map(len, blocks)) == 1:
                    raise
            # Outside of the handler, since the exception references what filled the memory.
            self._max_packed_tokens = limit
            probe.free_memory()
            logger.warning(f"out of memory: max_packed_tokens is {limit} from here on")

    def _answer(
        self,
        blocks: Sequence[Sequence[Prompt]],
        rows: Sequence[Sequence[probe.Row]],
        arguments: Mapping[str, Any],
        layout: Layout,
    ) -> list[list[DecodedAnswer]]:
        assert self._structure is not None
        example = blocks[0][0]
        name = repr(sorted(arguments.items()))
        if name not in self._settings:
            self._settings[name] = GreedySettings(self._model, arguments, example)
        length = self.prefix_length(blocks[0])
        inside = any(row.representations for own in rows for row in own)
        inputs = stacked([first_tokens(block[0].inputs, length) for block in blocks])
        prefix = read_prefix(self._model, self._structure, inputs, vision=inside)
        answers: list[list[DecodedAnswer]] = [[] for _ in blocks]
        # Of each block as many questions at once: the longest block has the most portions.
        most = self._max_packed_tokens // len(blocks)
        split = [
            list(portions([len(prompt.tokens) - length for prompt in block], most))
            for block in blocks
        ]
        for turn in range(max(map(len, split))):
            chosen = [
                (image, index)
                for image, parts in enumerate(split)
                if turn < len(parts)
                for index in parts[turn]
            ]
            found = self._portion(
                prefix,
                [image for image, _ in chosen],
                [blocks[image][index] for image, index in chosen],
                [rows[image][index] for image, index in chosen],
                self._settings[name],
                layout,
            )
            for (image, _), answer in zip(chosen, found, strict=True):
                answers[image].append(answer)
        return answers

    def _portion(
        self,
        prefix: Prefix,
        images: Sequence[int],
        prompts: Sequence[Prompt],
        rows: Sequence[probe.Row],
        settings: GreedySettings,
        layout: Layout,
    ) -> list[DecodedAnswer]:
        """Answer questions at once."""
        assert self._structure is not None
        batch = SharedRows(self._model, prefix, prompts, images, layout)
        labels = [self._source.label_tokens(row.labels) for row in rows]
        states = None
        if prefix.vision is not None:
            states = probe.StateRecorder(self._structure, labels, batch.pick)
        with nullcontext() if states is None else states.hooked():
            logits = read_prompts(batch)
            recorder = AnswerRecorder(labels, logits.device, states)
            after_prompts = batch.state()
            decode(batch, logits, settings, recorder)
        vision = None if prefix.vision is None else [prefix.vision[image] for image in images]
        readings = recorder.readings(settings.ends, vision)
        options = [
            probe.options_of(self._source.tokenizer, row.options, prompt.tokens)
            for row, prompt in zip(rows, prompts, strict=True)
        ]
        if any(options):
            batch.rewind(after_prompts)
            at_once = len(max(options, key=len)) if layout == "packed" else 1
            scores = score_options(batch, logits, options, at_once)
            readings = [
                replace(reading, option_logprob=score)
                for reading, score in zip(readings, scores, strict=True)
            ]
        return [
            DecodedAnswer(tuple(tokens), reading)
            for tokens, reading in zip(recorder.tokens, readings, strict=True)
        ]


def _spread(block: Sequence[Prompt]) -> list[int]:
    """Return the indices of a few questions, the shortest and the longest among them."""
    order = sorted(range(len(block)), key=lambda index: len(block[index].tokens))
    chosen = {order[0], order[-1], 0, len(block) - 1, *range(1, CHECKED)}
    return sorted(index for index in chosen if index < len(block))[: CHECKED + 2]
