"""What happens inside the model while generate() answers, pooled where it happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch

from vlm_confidence_tasks.probe.backend import ProbeError, prompt_ids
from vlm_confidence_tasks.probe.grids import Images, grids, patches, roughness
from vlm_confidence_tasks.probe.hooks import hooked
from vlm_confidence_tasks.probe.reading import Captured, FloatArray, Reading
from vlm_confidence_tasks.probe.recorder import LabelTokens
from vlm_confidence_tasks.probe.structure import Structure, find_structure


class InsideWatcher:
    """Decides for each generate() whether its inside is captured."""

    def __init__(self, model: Any, wanted: Callable[[], bool]) -> None:
        """Find the model's parts.

        Args:
            model: A transformers vision-language model.
            wanted: Called before each generate(): whether a row of its batch is of a task
                that measures representations. Where none is, no hook is placed.

        Raises:
            ProbeError: The model's parts cannot be told.
        """
        self.structure = find_structure(model)
        self._wanted = wanted

    def batch(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], rows: Sequence[LabelTokens]
    ) -> Capture | None:
        """Return what captures a call of generate(), None if nobody wants it.

        Args:
            args: The call's.
            kwargs: The call's.
            rows: For each row, the token ids that say each of its labels.

        Raises:
            ProbeError: The call has no token ids, by which vision tokens are found.
        """
        if not self._wanted():
            return None
        prompts = prompt_ids(args, kwargs)
        if prompts is None or len(prompts) != len(rows):
            raise ProbeError(
                "vision tokens are found in prompts that generate() is given as token ids, a row "
                "a document: this adapter gives it something else"
            )
        return Capture(self.structure, prompts, dict(kwargs), rows)


class Capture:
    """Captures the inside of one call of generate().

    Of each step the last position's hidden state is kept, and of the answer's step that of
    each layer, all on their device; of the prompt's images their mean and their energy. No
    step is waited for: numbers come to the CPU once, when the call is over.
    """

    def __init__(
        self,
        structure: Structure,
        prompts: torch.Tensor,
        given: Mapping[str, Any],
        rows: Sequence[LabelTokens],
    ) -> None:
        """Wait for the prompts to be run.

        Args:
            structure: The model's parts.
            prompts: Token ids, [rows, tokens], padded on the left.
            given: What generate() is called with.
            rows: For each row, the token ids that say each of its labels.
        """
        self._parts = structure
        self._prompts = prompts
        self._given = given
        says = [[token for spelled in labels for token in spelled] for labels in rows]
        width = max(map(len, says))
        # No token has the id -1.
        padded = [tokens + [-1] * (width - len(tokens)) for tokens in says]
        self._says = torch.tensor(padded, dtype=torch.long).reshape(len(rows), -1)
        self._running: list[torch.Tensor] = []
        self._last: torch.Tensor | None = None
        self._steps: list[torch.Tensor] = []
        self._layers: torch.Tensor | None = None
        self._found: torch.Tensor | None = None
        self._vision: list[torch.Tensor | None] | None = None
        self._energy: list[float | None] = []

    @contextmanager
    def hooked(self) -> Iterator[None]:
        """Place the hooks in the block."""
        decoder, layers = self._parts.decoder, self._parts.layers
        with ExitStack() as hooks:
            for layer in layers:
                hooks.enter_context(hooked(layer, self._on_layer))
            hooks.enter_context(hooked(decoder, self._on_decoder, with_kwargs=True))
            yield

    def _on_layer(self, module: torch.nn.Module, args: Any, output: Any) -> None:
        state = output[0] if isinstance(output, tuple) else output
        # A view would keep the whole prompt's states alive.
        self._running.append(state[:, -1].clone())

    def _on_decoder(
        self, module: torch.nn.Module, args: Any, kwargs: Mapping[str, Any], output: Any
    ) -> None:
        if self._vision is None:
            self._see(kwargs)
        self._last = output[0][:, -1].clone()

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        """Take down a step as a stopping criterion that never stops anything."""
        states, self._running = self._running, []
        if self._last is None or len(states) != len(self._parts.layers):
            raise ProbeError(
                f"one step of generate() ran {len(states)} of the {len(self._parts.layers)} layers "
                f"of {type(self._parts.decoder).__name__}: its inside cannot be read; run tasks "
                "without `representations: true`"
            )
        device = self._last.device
        layers = torch.stack([state.to(device) for state in states])
        chosen = input_ids[:, -1:].to(device)
        said = (chosen == self._says.to(device)).any(dim=1)
        if self._layers is None or self._found is None:
            self._layers, self._found = layers, said
        else:
            now = said & ~self._found
            self._layers = torch.where(now[None, :, None], layers, self._layers)
            self._found |= said
        self._steps.append(self._last)
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)

    def _see(self, kwargs: Mapping[str, Any]) -> None:
        """Pool the vision tokens that the prompts' pass gives to the language model."""
        across = kwargs.get("cross_attention_states")
        rows = self._spliced(kwargs) if across is None else self._attended(across)
        self._vision = [tokens.float().mean(dim=0) if len(tokens) else None for tokens, _ in rows]
        self._energy = [roughness(tokens, images) for tokens, images in rows]

    def _spliced(self, kwargs: Mapping[str, Any]) -> list[tuple[torch.Tensor, Images]]:
        """Return each row's vision tokens, which stand at its image tokens' positions."""
        embedded = kwargs.get("inputs_embeds")
        if embedded is None or embedded.shape[:2] != self._prompts.shape:
            raise ProbeError(
                f"the vision tokens of {type(self._parts.decoder).__name__} are not among its "
                "prompt's tokens: its inside cannot be read; run tasks without "
                "`representations: true`"
            )
        shown = (self._prompts == self._parts.image_token).to(embedded.device)
        images = grids(self._parts.config, shown.tolist(), self._given)
        return [(row[mask], on) for row, mask, on in zip(embedded, shown, images, strict=True)]

    def _attended(self, across: torch.Tensor) -> list[tuple[torch.Tensor, Images]]:
        """Return each row's vision tokens in a model whose layers attend to them (Llama 3.2).

        [rows * images * tiles, 1 + patches, width], tiles that are not there among them; each
        tile's first token is the class token, which is on no grid.
        """
        there = self._given["aspect_ratio_mask"].bool().to(across.device)
        side = patches(self._parts.config.vision_config)
        tiles = across.reshape(*there.shape, *across.shape[-2:])
        found: list[tuple[torch.Tensor, Images]] = []
        for row, mask in zip(tiles, there, strict=True):
            kept = row[mask]
            size, starts = kept.shape[1], iter(range(len(kept)))
            on_grid = size == 1 + side * side
            counts = mask.sum(dim=1).tolist()
            images = [[(next(starts) * size + 1, side, side) for _ in range(n)] for n in counts]
            found.append((kept.flatten(0, 1), images if on_grid else None))
        return found

    def added(self, readings: Sequence[Reading]) -> list[Reading]:
        """Return the readings with what was captured of their rows."""
        entropy = self._lens()
        steps = torch.stack(self._steps, dim=1)
        return [
            replace(
                reading,
                inside=Captured(
                    context=_numbers(steps[row, 0]),
                    answer=_answer(steps[row], len(reading.tokens)),
                    vision=None if pooled is None else _numbers(pooled),
                    dirichlet_energy=energy,
                    layer_entropy=entropy[:, row].copy(),
                ),
            )
            for row, (reading, pooled, energy) in enumerate(
                zip(readings, self._vision or (), self._energy, strict=True)
            )
        ]

    @torch.no_grad()
    def _lens(self) -> FloatArray:
        """Return the entropy of each layer's own prediction at the answer, [layers, rows]."""
        if self._layers is None:
            raise ProbeError("generate() returned without choosing a token")
        found = []
        for states in self._layers:
            logits = self._parts.head(self._parts.norm(states))
            logprob = torch.log_softmax(logits.float(), dim=-1)
            found.append(torch.special.entr(logprob.exp()).sum(dim=-1))
        entropy: FloatArray = torch.stack(found).cpu().numpy()
        return entropy


def _numbers(vector: torch.Tensor) -> FloatArray:
    numbers: FloatArray = vector.float().cpu().numpy()
    return numbers


def _answer(states: torch.Tensor, tokens: int) -> FloatArray | None:
    """Return the mean state of an answer's tokens.

    A token's state is computed by the step that follows it. The last one has none if the
    answer was cut off by its greatest length: it is then left out.

    Args:
        states: The last position's state before each choice, [steps, width]: first the
            prompt's, then that of each generated token but the last.
        tokens: Number of tokens before the end token.
    """
    kept = states[1 : 1 + tokens]
    return _numbers(kept.float().mean(dim=0)) if len(kept) else None
