"""Names of models: short, and never shared."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlm_confidence_tasks.report.inputs.model_names import Model, name_models, slugs
from vlm_confidence_tasks.report.inputs.problems import Problems


@pytest.mark.parametrize(
    ("adapter", "args", "name"),
    [
        ("llava", "pretrained=llava-hf/llava-1.5-7b-hf", "llava-hf/llava-1.5-7b-hf"),
        ("llava", "pretrained=/models/mine/", "mine"),
        ("llava", "pretrained=a/b,device_map=auto,batch_size=4", "a/b"),
        ("llava", {"pretrained": "a/b", "revision": "r1"}, "a/b (revision=r1)"),
        ("tiny_llava", "", "tiny_llava"),
        ("tiny_llava", None, "tiny_llava"),
        ("tiny_llava", "load_in_8bit=True", "tiny_llava (load_in_8bit=True)"),
        ("openai", "model_version=gpt-x", "gpt-x"),
    ],
)
def test_short_names(adapter: str, args: str | dict | None, name: str) -> None:
    assert Model.of(adapter, args).short_name == name


def test_the_order_of_arguments_and_the_device_do_not_make_another_model() -> None:
    one = Model.of("llava", "pretrained=a/b,dtype=float16,device=cuda:1")
    assert one == Model.of("llava", "dtype=float16, pretrained=a/b,device=cpu")


def test_two_models_with_one_name_are_a_problem_and_stay_apart() -> None:
    seen = [
        (Model.of("llava", "pretrained=/x/m"), Path("r1")),
        (Model.of("llava", "pretrained=/y/m"), Path("r2")),
        (Model.of("llava", "pretrained=a/b"), Path("r3")),
    ]
    problems = Problems()
    names = name_models(seen, problems)
    assert sorted(names.values()) == [
        "a/b",
        "llava: pretrained=/x/m",
        "llava: pretrained=/y/m",
    ]
    (line,) = problems.lines
    assert line.startswith("r1: two models with one name, 'm'") and "r2" in line


def test_slugs_are_safe_and_differ_in_more_than_case() -> None:
    made = slugs(["../../etc/passwd", "A/b", "a/B", "", "é<>"])
    assert len({slug.lower() for slug in made.values()}) == 5
    assert not any(set(slug) & set("/\\<> ") or slug.startswith(".") for slug in made.values())
