"""A tokenizer of each kind, and a tiny model of the first."""

from __future__ import annotations

import pytest

from .tiny import KINDS, make_model, make_tokenizer


@pytest.fixture(scope="session", params=KINDS)
def kind(request) -> str:
    return request.param


@pytest.fixture(scope="session")
def any_tokenizer(kind):
    return make_tokenizer(kind)


@pytest.fixture(scope="session")
def tokenizer():
    return make_tokenizer("byte_level")


@pytest.fixture
def model(tokenizer):
    return make_model(tokenizer)
