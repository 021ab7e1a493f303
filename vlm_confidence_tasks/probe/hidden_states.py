"""Captures hidden states and vision tokens during generate(), reduced on the device."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from vlm_confidence_tasks.probe.backend import ProbeError
from vlm_confidence_tasks.probe.distribution import entropies
from vlm_confidence_tasks.probe.grids import Images, grids, patches, roughness
from vlm_confidence_tasks.probe.reading import FloatArray, HiddenStates, Reading
from vlm_confidence_tasks.probe.recorder import LabelTokens, pad_label_tokens
from vlm_confidence_tasks.probe.structure import Structure
from vlm_confidence_tasks.probe.temporary import hooked

# Mean of a row's vision tokens, [width], and their Dirichlet energy; None where unknown.
Vision = tuple[torch.Tensor | None, float | None]
Pick = Callable[[torch.Tensor], torch.Tensor]


class StateRecorder:
    """Records the hidden states of a decoding loop's steps.

    Stores the last position's final hidden state of every step, and each layer's state at the
    steps that may be the answer position. All of it stays on the device until the loop is over,
    so that no step has to synchronise with the CPU.
    """

    def __init__(self, structure: Structure, rows: Sequence[LabelTokens], pick: Pick) -> None:
        """Prepare for one batch of answers, with the token ids of each label of each answer.

        `pick` takes a module's output, [rows, tokens, width], and returns the state of each
        answer's last position, [answers, width].
        """
        self._parts = structure
        self._pick = pick
        # No token has the id -1.
        self._label_ids = pad_label_tokens(rows, fill=-1)
        self._layer_states: list[torch.Tensor] = []
        self._final_state: torch.Tensor | None = None
        self._final_states: list[torch.Tensor] = []
        # Rows whose token of a step begins a label, all at the first, and their states.
        self._label_layers: list[tuple[int, list[int], torch.Tensor]] = []

    @contextmanager
    def hooked(self) -> Iterator[None]:
        """Register the hooks in the block."""
        decoder, layers = self._parts.decoder, self._parts.layers
        with ExitStack() as hooks:
            for layer in layers:
                hooks.enter_context(hooked(layer, self._on_layer))
            hooks.enter_context(hooked(decoder, self._on_decoder, with_kwargs=True))
            yield

    def _on_layer(self, module: torch.nn.Module, args: Any, output: Any) -> None:
        state = output[0] if isinstance(output, tuple) else output
        # A view would keep the whole prompt's states alive.
        self._layer_states.append(self._pick(state).clone())

    def _on_decoder(
        self, module: torch.nn.Module, args: Any, kwargs: Mapping[str, Any], output: Any
    ) -> None:
        self._final_state = self._pick(output[0]).clone()

    def step(self, chosen: torch.Tensor) -> None:
        """Store one step, once its tokens are chosen, [answers].

        Finished answers may have any token that begins no label.

        Raises:
            ProbeError: The step did not run each layer once.
        """
        states, self._layer_states = self._layer_states, []
        if self._final_state is None or len(states) != len(self._parts.layers):
            raise ProbeError(
                f"one step of generate() ran {len(states)} of the {len(self._parts.layers)} layers "
                f"of {type(self._parts.decoder).__name__}: its hidden states cannot be read; run "
                "tasks without `representations: true`"
            )
        device = self._final_state.device
        layers = torch.stack([state.to(device) for state in states])
        measured = (chosen[:, None].to(device) == self._label_ids.to(device)).any(dim=1)
        step = len(self._final_states)
        rows = (measured | (step == 0)).nonzero().flatten()
        if len(rows):
            self._label_layers.append((step, rows.tolist(), layers[:, rows]))
        self._final_states.append(self._final_state)

    def add_states(self, readings: Sequence[Reading], vision: Sequence[Vision]) -> list[Reading]:
        """Return the answers' readings with their hidden states and their prompts' vision."""
        entropy = self._logit_lens_entropy()
        steps = torch.stack(self._final_states, dim=1)
        return [
            replace(
                reading,
                inside=HiddenStates(
                    context=_to_numpy(steps[row, 0]),
                    answer=_answer_mean(steps[row], len(reading.tokens)),
                    vision=None if pooled is None else _to_numpy(pooled),
                    dirichlet_energy=energy,
                    layer_entropy=np.stack([entropy[at.step, row] for at in reading.label_steps]),
                ),
            )
            for row, (reading, (pooled, energy)) in enumerate(zip(readings, vision, strict=True))
        ]

    def _logit_lens_entropy(self) -> dict[tuple[int, int], FloatArray]:
        """Return the logit-lens entropy of each layer, [layers], by (step, row)."""
        if not self._label_layers:
            raise ProbeError("generate() returned without choosing a token")
        found = {}
        for step, rows, layers in self._label_layers:
            entropy = torch.stack([self._lens_entropy(states) for states in layers], dim=1)
            for row, numbers in zip(rows, entropy.cpu().numpy(), strict=True):
                found[step, row] = numbers
        return found

    @torch.no_grad()
    def _lens_entropy(self, states: torch.Tensor) -> torch.Tensor:
        """Return the entropy of one layer's prediction in each row, [rows]."""
        logits = self._parts.head(self._parts.norm(states))
        return entropies(logits)


class HiddenStatesBatch(StateRecorder):
    """Records the hidden states of one call of generate(), and its prompts' vision tokens."""

    def __init__(
        self,
        structure: Structure,
        prompts: torch.Tensor,
        call_kwargs: Mapping[str, Any],
        rows: Sequence[LabelTokens],
    ) -> None:
        """Prepare for one call, whose prompts are token ids, [rows, tokens], padded on the left."""
        super().__init__(structure, rows, lambda states: states[:, -1])
        self._prompts = prompts
        self._call_kwargs = call_kwargs
        self._vision: list[Vision] | None = None

    def _on_decoder(
        self, module: torch.nn.Module, args: Any, kwargs: Mapping[str, Any], output: Any
    ) -> None:
        if self._vision is None:
            self._vision = pool_vision(self._parts, self._prompts, self._call_kwargs, kwargs)
        super()._on_decoder(module, args, kwargs, output)

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        """Store one step: a stopping criterion, called once its token is chosen; never stops."""
        self.step(input_ids[:, -1])
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)

    def add_to(self, readings: Sequence[Reading]) -> list[Reading]:
        """Return the readings with the hidden states of their rows."""
        return self.add_states(readings, self._vision or ())


def pool_vision(
    structure: Structure,
    prompts: torch.Tensor,
    call_kwargs: Mapping[str, Any],
    decoder_kwargs: Mapping[str, Any],
) -> list[Vision]:
    """Pool the vision tokens that enter the language model in a prefill pass, row by row.

    Prompts are token ids, [rows, tokens], padded on the left; the model's inputs (`call_kwargs`)
    say how images lie in them.

    Raises:
        ProbeError: The vision tokens are not among the prompt's.
    """
    cross = decoder_kwargs.get("cross_attention_states")
    if cross is None:
        rows = _embedded_vision(structure, prompts, call_kwargs, decoder_kwargs)
    else:
        rows = _cross_attended(structure, call_kwargs, cross)
    return [
        (tokens.float().mean(dim=0) if len(tokens) else None, roughness(tokens, images))
        for tokens, images in rows
    ]


def _embedded_vision(
    structure: Structure,
    prompts: torch.Tensor,
    call_kwargs: Mapping[str, Any],
    decoder_kwargs: Mapping[str, Any],
) -> list[tuple[torch.Tensor, Images]]:
    """Return each row's vision tokens: the input embeddings at its image tokens."""
    embedded = decoder_kwargs.get("inputs_embeds")
    if embedded is None or embedded.shape[:2] != prompts.shape:
        raise ProbeError(
            f"the vision tokens of {type(structure.decoder).__name__} are not among its "
            "prompt's tokens: its hidden states cannot be read; run tasks without "
            "`representations: true`"
        )
    masks = (prompts == structure.image_token).to(embedded.device)
    images = grids(structure.config, masks.tolist(), call_kwargs)
    return [(row[mask], on) for row, mask, on in zip(embedded, masks, images, strict=True)]


def _cross_attended(
    structure: Structure, call_kwargs: Mapping[str, Any], states: torch.Tensor
) -> list[tuple[torch.Tensor, Images]]:
    """Return each row's vision tokens in a model with cross-attention layers (Llama 3.2).

    `states` are [rows * images * tiles, 1 + patches, width], padding tiles included; each tile
    begins with a class token, which is on no grid.
    """
    masks = call_kwargs["aspect_ratio_mask"].bool().to(states.device)
    side = patches(structure.config.vision_config)
    tiles = states.reshape(*masks.shape, *states.shape[-2:])
    found: list[tuple[torch.Tensor, Images]] = []
    for row, mask in zip(tiles, masks, strict=True):
        present = row[mask]
        size, starts = present.shape[1], iter(range(len(present)))
        on_grid = size == 1 + side * side
        counts = mask.sum(dim=1).tolist()
        images = [[(next(starts) * size + 1, side, side) for _ in range(n)] for n in counts]
        found.append((present.flatten(0, 1), images if on_grid else None))
    return found


def _to_numpy(vector: torch.Tensor) -> FloatArray:
    numbers: FloatArray = vector.float().cpu().numpy()
    return numbers


def _answer_mean(states: torch.Tensor, tokens: int) -> FloatArray | None:
    """Return the mean state of an answer's tokens.

    `states` are final states at the last position of each step, [steps, width]: first the
    prompt's, then that of each generated token but the last. A token's state is computed by the
    next step, so the last one has none if the answer reached max_new_tokens, and is left out.
    """
    answer = states[1 : 1 + tokens]
    return _to_numpy(answer.float().mean(dim=0)) if len(answer) else None
