"""The table of answers: its columns, its views, and what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from vlm_confidence_tasks.metrics import Answers
from vlm_confidence_tasks.metrics.answers import COLUMNS, first_of_group

from .everything import counted, documents, table
from .making import (
    EMPTY,
    NOISE,
    NOISE_1,
    TEXT,
    inside,
    open_document,
    scored,
    stated,
    values,
    yes_no_document,
)


def document(*variants, image="image", question=""):
    """A document whose variants are told apart by their entropies: 1, 2, ..."""
    made = [(variant, "No", float(n)) for n, variant in enumerate(variants, start=1)]
    sample = yes_no_document("Yes", ("Yes", 0.0), made)
    return replace(sample, image_id=image, question_id=question)


def pixels(sample, *digests):
    """The sample with these digests of its variants' images."""
    shown = zip(sample.variants, digests, strict=True)
    return replace(sample, variants=tuple(replace(r, image_sha256=d) for r, d in shown))


def perturbed(*samples):
    return Answers.of(samples).perturbed.entropy.tolist()


def family(name, *samples):
    return Answers.of(samples).of_family(name).entropy.tolist()


def test_a_view_holds_the_rows_that_loops_over_documents_find():
    rows = list(counted(documents()))
    for view, expected in (
        (table().perturbed, [r.entropy for _, r in rows]),
        (table().clean, [sample.clean.entropy for sample, _ in rows]),
        (table().documents, [sample.clean.entropy for sample in documents()]),
        (table().variants, [r.entropy for s in documents() for r in s.variants]),
        (table().perturbed.clean_once, [sample.clean.entropy for sample in documents()]),
    ):
        assert sorted(view.entropy) == sorted(expected)
    shown = [sample.clean.entropy for sample in documents()] + [r.entropy for _, r in rows]
    assert sorted(table().shown.entropy) == sorted(shown)
    assert len(table()) == sum(1 + len(sample.variants) for sample in documents())


def test_each_row_stands_beside_the_other_answer_of_its_pair():
    view = table().perturbed
    clean = {s.image_id + s.question_id: s.clean.entropy for s in documents()}
    pairs = {(clean[s.image_id + s.question_id], r.entropy) for s, r in counted(documents())}
    assert set(zip(view.counterpart.entropy, view.entropy, strict=True)) == pairs
    assert (view.counterpart.counterpart.row == view.row).all()
    assert (table().clean.row == view.counterpart.row).all()
    some = view.where(view.correct == 1)
    assert (some.counterpart.row == view.counterpart.row[view.correct == 1]).all()


def test_controls_are_pooled_only_where_nothing_else_is():
    assert perturbed(document(NOISE, EMPTY, TEXT)) == [1, 3]
    assert perturbed(document(EMPTY)) == [1]
    assert perturbed(document()) == []


def test_families_hold_their_variants_and_the_controls():
    sample = document(NOISE, EMPTY, NOISE_1, TEXT)
    assert Answers.of([sample]).families == ("noise", "textoverlay", "textoverlay_empty")
    assert family("noise", sample) == [1, 3] and family("textoverlay_empty", sample) == [2]
    assert family("fog", sample) == []


def test_variants_with_the_same_pixels_count_once():
    second, third = (replace(EMPTY, parameters=(("index", n),)) for n in (1, 2))
    same = pixels(document(NOISE, TEXT, NOISE_1, EMPTY, second, third), *"aaabbb")
    assert perturbed(same) == [1]
    found = {name: family(name, same) for name in Answers.of([same]).families}
    assert found == {"noise": [1], "textoverlay": [2], "textoverlay_empty": [4]}
    assert perturbed(pixels(document(EMPTY, second, third), *"aba")) == [1, 2]
    # A control with the pixels of another variant takes nothing from it.
    both = pixels(document(EMPTY, TEXT), "a", "a")
    assert perturbed(both) == [2] and family("textoverlay_empty", both) == [1]
    # The pixels of the clean image are a variant too.
    clean = pixels(document(NOISE), "a")
    assert perturbed(replace(clean, clean=replace(clean.clean, image_sha256="a"))) == [1]


@given(st.lists(st.sampled_from(["", "a", "b", "c"]), max_size=6))
def test_each_digest_counts_once_and_each_readout_without_one(digests):
    sample = pixels(document(*[replace(NOISE, seed=n) for n in range(len(digests))]), *digests)
    expected = [n for n, d in enumerate(digests, start=1) if not d or d not in digests[: n - 1]]
    assert perturbed(sample) == family("noise", sample) == expected


def test_one_flip_that_is_shown_three_times_is_one_flip():
    noises = [(replace(NOISE, seed=n), "No") for n in range(3)]
    sample = pixels(yes_no_document("Yes", ("Yes",), [*noises, (TEXT, "Yes")]), *"aaab")
    numbers = values([sample])
    assert (numbers["ifr"], numbers["ifr_noise"], numbers["accuracy"]) == (0.5, 1.0, 0.5)
    assert numbers["visual_entropy"] == pytest.approx(math.log(3) - math.log(4) / 3)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_order_of_documents_changes_nothing_but_their_places(seed):
    order = np.random.default_rng(seed).permutation(len(documents()))
    shuffled = Answers.of([documents()[n] for n in order])
    whole = Answers.of(documents())
    assert shuffled.families == whole.families
    for name in COLUMNS.keys() - {"position"}:
        assert np.array_equal(getattr(shuffled, name), getattr(whole, name), equal_nan=True), name
    assert (order[shuffled.position] == whole.position).all()


def test_images_are_numbered_in_the_order_of_all_names_of_a_comparison():
    samples = [document(NOISE, image=name) for name in ("cat", "ant")]
    assert Answers.of(samples).documents.image.tolist() == [0, 1]
    assert Answers.of(samples, ["ant", "bee", "cat"]).documents.image.tolist() == [0, 2]


def test_what_an_answer_does_not_have_is_nan_or_no_label():
    caption = open_document(None, ("a cat", None, 1.0), [("a dog", None, 2.0)])
    held = Answers.of([caption])
    assert held.entropy.tolist() == [1.0, 2.0]
    assert (held.answer == -1).all() and (held.gold == -1).all() and not held.labelled.any()
    for name in ("correct", "confidence", "probs", "stated", "option_scores", "drift", "said"):
        assert np.isnan(getattr(held, name)).all(), name


def test_of_few_labels_there_are_probabilities_of_these_alone():
    two = document(NOISE)
    four = replace(two, labels=tuple("ABCD"), gold="C", positive=None)
    answers = [
        replace(
            r, answer="C", confidence=0.4, probs=dict(zip("ABCD", p, strict=True)), correct=True
        )
        for r, p in zip(
            (four.clean, *four.variants), ((0.1, 0.2, 0.4, 0.3), (0.3, 0.1, 0.4, 0.2)), strict=True
        )
    ]
    four = replace(four, clean=answers[0], variants=tuple(answers[1:]), image_id="later")
    two = replace(two, clean=replace(two.clean, probs={"Yes": 0.75, "No": 0.25}, confidence=0.75))
    held = Answers.of([four, two])
    assert held.probs[2].tolist() == [0.1, 0.2, 0.4, 0.3]
    assert held.probs[0, :2].tolist() == [0.75, 0.25] and np.isnan(held.probs[0, 2:]).all()
    assert held.label_prob(held.gold)[[0, 2]].tolist() == [0.75, 0.4]
    assert np.isnan(held.label_prob(np.full(4, -1))).all()


def test_a_confidence_may_be_read_from_what_was_stated_or_from_options():
    sample = yes_no_document("Yes", ("Yes", 0.5, 0.9), [(NOISE, None, 0.5, 0.6)])
    sample = scored(stated(sample, 0.8, 0.3), ((-1, -1), (-2, -2)), ((-4, -4), (-1, -1)))
    held = Answers.of([sample])
    token, said, options = (held.read_from(s) for s in ("generated", "stated", "options"))
    assert token is held and token.confidence[0] == 0.9 and np.isnan(token.confidence[1])
    # An answer that could not be read is in no calibration.
    assert said.confidence[0] == 0.8 and np.isnan(said.confidence[1])
    assert np.isnan(said.probs).all()
    share = [1 / (1 + math.exp(-1)), 1 / (1 + math.exp(-3))]
    assert options.confidence == pytest.approx(share)
    assert options.answer.tolist() == [0, 1] and options.correct.tolist() == [1, 0]
    assert options.probs[:, 0] == pytest.approx([share[0], 1 - share[1]])


@given(st.lists(st.tuples(st.integers(0, 3), st.one_of(st.none(), st.integers(0, 3))), max_size=9))
def test_a_group_has_its_greatest_number_on_its_first_row(rows):
    group = np.array([g for g, _ in rows], dtype=np.intp)
    numbers = np.array([np.nan if x is None else x for _, x in rows], dtype=np.float64)
    found = first_of_group(group, numbers)
    for one in set(group.tolist()):
        own = [n for n in range(len(rows)) if group[n] == one and rows[n][1] is not None]
        kept = {n: found[n] for n in range(len(rows)) if group[n] == one and found[n] >= 0}
        assert kept == ({own[0]: max(rows[n][1] for n in own)} if own else {})


def broken(**fields):
    sample = document(NOISE, image="a.png")
    return replace(sample, variants=(replace(sample.variants[0], **fields),))


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        (broken(entropy=math.nan), "image a.png: entropy is nan, expected a finite number"),
        (broken(entropy_answer=-math.inf), "image a.png: entropy_answer is -inf"),
        (broken(confidence=math.inf), "image a.png: confidence is inf"),
        (broken(verbal_confidence=math.nan), "image a.png: verbal_confidence is nan"),
        (broken(probs={"Yes": math.nan, "No": 0.5}), "image a.png: probs is nan"),
        (
            broken(option_logprob={"Yes": -1.0, "No": -math.inf}),
            "image a.png: option_logprob is -inf",
        ),
        (
            inside(broken(), {}, {"drift": {"context": math.nan}}),
            "image a.png: drift is nan",
        ),
        (
            inside(broken(), {}, {"layer_entropy": (1.0, math.inf)}),
            "image a.png: layer_entropy is inf",
        ),
        (
            inside(broken(), {"prior_probs": {"Yes": math.nan, "No": 0.5}}, {}),
            "image a.png: prior_probs is nan",
        ),
        (broken(answer="Maybe"), "answer 'Maybe' is none of the labels"),
    ],
)
def test_what_would_be_scored_silently_is_refused(sample, said):
    with pytest.raises(ValueError, match=said):
        Answers.of([document(NOISE, image="b.png"), sample])


def test_a_sample_that_would_be_scored_silently_cannot_be_made():
    good = document(NOISE)
    with pytest.raises(ValueError, match="'Maybe' is not one of the labels"):
        replace(good, gold="Maybe")
    unmarked = replace(good.variants[0], correct=None)
    with pytest.raises(ValueError, match=r"gaussian_noise\(epsilon=0.3, seed=0\): gold is 'Yes'"):
        replace(good, variants=(unmarked,))


def test_a_refusal_names_the_document_whose_number_it_is():
    held = [replace(document(NOISE, TEXT), image_id=f"image{n}") for n in range(3)]
    held[2] = replace(held[2], upstream_clean=float("nan"))
    with pytest.raises(ValueError, match="image image2: upstream_clean is nan"):
        Answers.of(held)


def test_a_view_of_a_view_and_an_image_without_a_number_are_refused():
    table = Answers.of([document(NOISE, TEXT)])
    for make in (
        lambda: table.variants.perturbed,
        lambda: table.perturbed.read_from("stated"),
        lambda: table.perturbed.of_channel("context"),
    ):
        with pytest.raises(ValueError, match="views are made of a whole table"):
            make()
    with pytest.raises(ValueError, match="is not among the images"):
        Answers.of([document(NOISE)], images=["another"])
