"""Any vision-language model of the Hugging Face hub that has a chat template."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from lmms_eval.api.instance import GenerationResult, TokenCounts
from lmms_eval.api.model import lmms
from transformers import AutoModelForImageTextToText, AutoProcessor, BatchFeature

from vlm_confidence_tasks.models.loading import check, dtype_named, quantisation, truth, whole
from vlm_confidence_tasks.models.shared_prefix import (
    Prompt,
    SharedPrefix,
    SharedPrefixSource,
    prompts_of,
)
from vlm_confidence_tasks.models.turns import (
    ARGUMENTS,
    ProcessedOnce,
    Turn,
    Unprocessable,
    about_the_same_images,
    chat_turn,
    made_ahead,
    simple_turn,
)
from vlm_confidence_tasks.probe import check_length, replaced


@dataclass(frozen=True, eq=False)
class Block:
    """Requests that are answered together.

    Attributes:
        turns: The requests; of each image, where images are shared.
        prompts: Of each image, its processed prompts; None: generate() answers the requests.
    """

    turns: Sequence[Sequence[Turn]]
    prompts: Sequence[Sequence[Prompt]] | None = None


class HfMultimodalSimple(lmms):
    """A model that `AutoModelForImageTextToText` loads and whose processor has a chat template.

    The questions about one image are answered on one pass over the image and all that their
    prompts share, where this gives what generate() gives (see docs/throughput.md).

    Usage:
        lmms_eval --model hf_multimodal --model_args pretrained=Qwen/Qwen2.5-VL-3B-Instruct
    """

    generation_arguments = ARGUMENTS

    def __init__(
        self,
        pretrained: str = "",
        revision: str = "main",
        device: str | None = None,
        dtype: str = "auto",
        batch_size: int | str = 1,
        load_in_4bit: bool = False,
        load_in_8bit: bool = False,
        attn_implementation: str | None = None,
        device_map: str | None = None,
        chat_template: str | None = None,
        use_cache: bool = True,
        trust_remote_code: bool = False,
        shared_prefix: bool | str = True,
        max_packed_tokens: int = 1024,
        **unknown: Any,
    ) -> None:
        """Load the model and its processor.

        Args:
            pretrained: Hub id or folder.
            revision: Of the hub's repository.
            device: Default: the GPU of this process, or the CPU where there is none.
            dtype: "auto" is the checkpoint's dtype on a GPU and float32 on a CPU.
            batch_size: Requests in one generate(); images at once where prefixes are shared.
            load_in_4bit: Quantise with bitsandbytes.
            load_in_8bit: Quantise with bitsandbytes.
            attn_implementation: As in transformers.
            device_map: As in accelerate; "auto" spreads the model over all GPUs.
            chat_template: Replaces the checkpoint's own.
            use_cache: Use a key-value cache in generation.
            trust_remote_code: Run code of the checkpoint's repository.
            shared_prefix: Share the prefix of questions about the same images; false: each
                question is answered by a generate() of its own.
            max_packed_tokens: Most tokens of questions, prefixes left out, in one pass; halved
                when memory runs out.
            unknown: Refused.

        Raises:
            ValueError: An argument is unknown or invalid.
        """
        super().__init__()
        check(pretrained, load_in_4bit and load_in_8bit, unknown)
        self.batch_size_per_gpu = whole("batch_size", batch_size)
        most = whole("max_packed_tokens", max_packed_tokens)
        share = truth("shared_prefix", shared_prefix)
        self.accelerator = Accelerator()
        self._rank = self.accelerator.process_index
        self._world_size = self.accelerator.num_processes
        self.device = torch.device(device) if device else self.accelerator.device
        chosen = dtype_named(dtype, self.device)
        remote = {"revision": revision, "trust_remote_code": trust_remote_code}
        self._model = self._load(
            pretrained,
            dtype=chosen,
            device_map=device_map or str(self.device),
            quantization_config=quantisation(
                load_in_4bit, load_in_8bit, chosen, pretrained, **remote
            ),
            attn_implementation=attn_implementation,
            **remote,
        )
        self.processor = AutoProcessor.from_pretrained(pretrained, **remote)
        self.tokenizer = self.processor.tokenizer
        self.tokenizer.padding_side = "left"
        if chat_template is not None:
            self.processor.chat_template = chat_template
        if not self.processor.chat_template:
            raise ValueError(f"{pretrained} has no chat template: give one as chat_template=...")
        # Neither processors nor tokenizers can be used by two threads at once.
        self._processor_ahead = copy.deepcopy(self.processor)
        self.use_cache = use_cache
        self.logit_source = SharedPrefixSource(self._model, self.tokenizer, self.processor)
        self._shared = SharedPrefix(self.logit_source, most) if share else None

    def _load(self, pretrained: str, **options: Any) -> Any:
        """Return the model, with its weights."""
        return AutoModelForImageTextToText.from_pretrained(pretrained, **options).eval()

    @property
    def model(self) -> Any:
        """The transformers model."""
        return self._model

    def announce_rows(self, rows: Sequence[tuple[str, int]]) -> None:
        """Announce the requests that are answered next; replaced by an evaluation."""

    def generate_until(self, requests: list[Any]) -> list[Any]:
        """Answer requests, in their order."""
        answers: dict[int, GenerationResult] = {}
        try:
            for block in made_ahead(self._blocks(requests)):
                answers.update(self._answer(block))
        except Unprocessable as error:
            # Made ahead, in another thread: announced here, so that the right one is named.
            self._announce([error.turn])
            raise error.reason from None
        return [answers[index] for index in range(len(requests))]

    def loglikelihood(self, requests: list[Any]) -> list[Any]:
        """Refuse: options are scored by tasks with `loglik: true`."""
        raise NotImplementedError("hf_multimodal has no loglikelihood: use a generation task")

    def generate_until_multi_round(self, requests: list[Any]) -> list[Any]:
        """Refuse."""
        raise NotImplementedError("hf_multimodal has no conversations of several rounds")

    def _announce(self, turns: Sequence[Turn]) -> None:
        """Announce requests to the evaluation that measures them, if one does."""
        if self.logit_source.rows is not None:
            self.announce_rows([(turn.task, turn.document) for turn in turns])

    def _turns(self, requests: Sequence[Any]) -> Iterator[Turn]:
        read = simple_turn if self.is_simple else chat_turn
        for index, request in enumerate(requests):
            yield read(index, request, self.task_dict)

    def _blocks(self, requests: Sequence[Any]) -> Iterator[Block]:
        """Yield requests in blocks: of images whose prefixes stand in one batch, or plain."""
        alone: list[Turn] = []
        images: list[tuple[Any, list[Turn], list[Prompt]]] = []
        shared = self._shared
        for run in about_the_same_images(self._turns(requests)):
            prompts = self._prompts(run) if self._shares(run) else None
            if shared is None or prompts is None:
                yield from _together(images)
                images, alone = [], [*alone, *run]
                yield from self._batches(alone, self.batch_size_per_gpu)
                continue
            # Sorted by tokens, so that rounding does not depend on the order of the documents.
            pairs = sorted(zip(run, prompts, strict=True), key=lambda pair: pair[1].tokens)
            run, prompts = [turn for turn, _ in pairs], [prompt for _, prompt in pairs]
            kind = shared.shape(prompts), run[0].task, repr(run[0].arguments)
            if images and (images[0][0] != kind or len(images) == self.batch_size_per_gpu):
                yield from _together(images)
                images = []
            images.append((kind, run, prompts))
        yield from _together(images)
        yield from self._batches(alone, 1)

    def _batches(self, alone: list[Turn], least: int) -> Iterator[Block]:
        """Take batches out of the turns that stand alone, while there are so many."""
        while len(alone) >= least:
            batch = _alike(alone[: self.batch_size_per_gpu])
            del alone[: len(batch)]
            yield Block([batch])

    def _shares(self, run: Sequence[Turn]) -> bool:
        """Whether a run of requests may share its prefix: in a measured evaluation only."""
        return (
            self._shared is not None
            and self.logit_source.rows is not None
            and len(run) > 1
            and bool(run[0].images)
            and not self._shared.gave_up
        )

    def _answer(self, block: Block) -> Iterator[tuple[int, GenerationResult]]:
        if block.prompts is not None and (rows := self.logit_source.rows) is not None:
            turns = [turn for own in block.turns for turn in own]
            self._announce(turns)
            found = self._share(block, rows)
            if found is not None:
                return zip((turn.index for turn in turns), found, strict=True)
        return self._plainly(block)

    def _share(self, block: Block, rows: Any) -> list[GenerationResult] | None:
        """Answer a block behind shared prefixes; None where generate() has to."""
        assert self._shared is not None and block.prompts is not None
        try:
            measured = iter(rows.rows())
            wanted = [[next(measured) for _ in own] for own in block.turns]
            arguments = self._settings(block.turns[0][0].arguments)
            found = self._shared.answer(block.prompts, wanted, arguments)
            if found is None:
                return None
            answers = [answer for own in found for answer in own]
            rows.deliver([answer.reading for answer in answers])
        except Exception as error:
            rows.fail(error)
            raise
        texts = self.tokenizer.batch_decode(
            [answer.tokens for answer in answers], skip_special_tokens=True
        )
        return [
            _result(text, len(answer.reading.tokens))
            for text, answer in zip(texts, answers, strict=True)
        ]

    def _plainly(self, block: Block) -> Iterator[tuple[int, GenerationResult]]:
        turns = [turn for own in block.turns for turn in own]
        for start in range(0, len(turns), self.batch_size_per_gpu):
            batch = turns[start : start + self.batch_size_per_gpu]
            self._announce(batch)
            yield from zip((turn.index for turn in batch), self._generate(batch), strict=True)

    def _generate(self, turns: Sequence[Turn]) -> list[GenerationResult]:
        """Answer requests with the same generation arguments by one generate()."""
        inputs = self._moved(self._process(self.processor, turns))
        arguments = self._settings(turns[0].arguments)
        generated = self.model.generate(**inputs, **arguments)
        if not self.model.config.is_encoder_decoder:
            generated = generated[:, inputs["input_ids"].shape[1] :]
        texts = self.tokenizer.batch_decode(generated, skip_special_tokens=True)
        ends = _ends(arguments["eos_token_id"])
        counts = [sum(token not in ends for token in row) for row in generated.tolist()]
        return [_result(text, count) for text, count in zip(texts, counts, strict=True)]

    def _processed(self, processor: Any, turn: Turn) -> dict[str, Any]:
        try:
            inputs = dict(self._process(processor, [turn]))
            check_length(self.model, inputs["input_ids"].shape[-1])
            return inputs
        except Exception as error:
            raise Unprocessable(turn, error) from error

    def _process(self, processor: Any, turns: Sequence[Turn]) -> Any:
        """Return the model's inputs for requests."""
        texts = [
            processor.apply_chat_template(turn.messages, tokenize=False, add_generation_prompt=True)
            for turn in turns
        ]
        images = [list(turn.images) for turn in turns]
        begin = self.tokenizer.bos_token
        # Some templates write the token that begins a text, which tokenizers add too.
        spelled = begin is not None and texts[0].startswith(begin)
        return processor(
            images=images if any(images) else None,
            text=texts,
            padding=True,
            return_tensors="pt",
            **({"add_special_tokens": False} if spelled else {}),
        )

    def _moved(self, inputs: Any) -> Any:
        return inputs.to(self.device, self.model.dtype)

    def _prompts(self, run: Sequence[Turn]) -> list[Prompt] | None:
        """Process the prompts of requests that show the same images, and the images once.

        None if what the model gets of the images depends on the question.
        """
        processor = self._processor_ahead
        with replaced(processor, "image_processor", ProcessedOnce(processor.image_processor)):
            processed = [self._processed(processor, turn) for turn in run]
        return prompts_of(processed, lambda inputs: self._moved(BatchFeature(inputs)))

    def _settings(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the keyword arguments of generate(), with lmms-eval's defaults."""
        temperature = arguments.get("temperature", 0)
        sample = temperature > 0
        config = self.model.generation_config
        end = self.tokenizer.eos_token_id if config.eos_token_id is None else config.eos_token_id
        return {
            "do_sample": sample,
            "temperature": temperature if sample else None,
            "top_p": arguments.get("top_p"),
            "top_k": arguments.get("top_k"),
            "num_beams": arguments.get("num_beams", 1),
            "max_new_tokens": arguments.get("max_new_tokens", 1024),
            "use_cache": self.use_cache,
            "eos_token_id": end,
            "pad_token_id": next(
                token
                for token in (config.pad_token_id, self.tokenizer.pad_token_id, *_ends(end))
                if token is not None
            ),
        }


class HfMultimodal(HfMultimodalSimple):
    """The same for chat requests, in which texts and images may alternate."""

    is_simple = False


def _together(images: Sequence[tuple[Any, list[Turn], list[Prompt]]]) -> Iterator[Block]:
    if images:
        yield Block([turns for _, turns, _ in images], [prompts for *_, prompts in images])


def _alike(turns: Sequence[Turn]) -> list[Turn]:
    """Return the first requests of a task with the same generation arguments."""
    first = turns[0]
    same = [(turn.task, turn.arguments) == (first.task, first.arguments) for turn in turns]
    return list(turns[: same.index(False)] if False in same else turns)


def _result(text: str, tokens: int) -> GenerationResult:
    return GenerationResult(text=text, token_counts=TokenCounts(output_tokens=tokens))


def _ends(tokens: int | Sequence[int]) -> list[int]:
    return [tokens] if isinstance(tokens, int) else list(tokens)
