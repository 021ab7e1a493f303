"""The shipped tasks: their names and keys, known to the harness, built on the sandbox's data."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest
import yaml
from lmms_eval import tasks as upstream_tasks
from lmms_eval.tasks import TaskManager
from lmms_eval.utils import load_yaml_config

from vlm_confidence_tasks import perturbations
from vlm_confidence_tasks.benchmarks.dataset import INDEX_COLUMN, LOCAL_DATA
from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.harness import plugin
from vlm_confidence_tasks.harness.task import IMAGES
from vlm_confidence_tasks.harness.task_names import FOLDER, TaskNames, shipped

CLOSED = ["pope", "pope_adv", "pope_pop", "pope_random", "seed", "mmmu"] + [
    f"amber{part}" for part in ("", "_existence", "_attribute", "_relation")
]
EPSILONS = ["_eps0.1", "_eps0.2", "_eps0.3", "_eps0.5"]
# suffix -> variants for a question with two labels, and with four
VARIANTS = {
    **dict.fromkeys(EPSILONS, (1, 1)),
    "_translation": (8, 8),
    "_padcrop": (8, 8),
    "_scale": (1, 1),
    "_scalepad": (2, 2),
    "_rotation": (2, 2),
    "_textoverlay": (1, 3),
    "_textoverlay_random": (1, 3),
    "_textoverlay_empty": (1, 3),
    "_invariance": (22 + 2, 24 + 6),
    **dict.fromkeys(("_blur", "_motionblur", "_lowlight", "_occlusion", "_jpeg"), (5, 5)),
    **dict.fromkeys(("_lowpass", "_highpass"), (8, 8)),
    "_bandnoise": (9, 9),
    "_bandphase": (3, 3),
    **dict.fromkeys(("_pgd_flip", "_pgd_sure", "_pgd_unsure", "_pgd_hidden"), (12, 12)),
    "_pgd": (48, 48),
    "_pgd_hi": (8, 8),
}
INSIDE = ("_invariance", "_drift", "_pgd_hidden", "_pgd")
VARIANTS["_invariance_loglik"] = VARIANTS["_invariance"]
VARIANTS["_loglik"] = VARIANTS["_drift"] = (4, 4)
CARRIED = tuple(f"_{family}_verbal3" for family in ("blur", "lowlight", "occlusion"))
STATED = dict.fromkeys(("_verbal3", "_verbal1"), (4, 4)) | dict.fromkeys(CARRIED, (5, 5))
TASKS = [prefix + suffix for prefix in CLOSED for suffix in VARIANTS]
TASKS += [prefix + suffix for prefix in CLOSED[:4] + CLOSED[6:] for suffix in STATED]
NOISED = dict.fromkeys(("_objectnoise", "_objectnoise_outside", "_objectnoise_global"), (9, 9))
MASKED = [prefix for prefix in CLOSED[:4] + CLOSED[6:] if prefix != "amber_existence"]
TASKS += [prefix + suffix for prefix in MASKED for suffix in NOISED]
VARIANTS |= STATED | NOISED
TASKS += [f"caption{suffix}" for suffix in (*EPSILONS, "_drift")]
TRAPS = ["caption_trap_clamponly"] + [
    f"caption_trap{epsilon}{control}"
    for epsilon in EPSILONS
    for control in ("", "_noclamp", "_generated")
]
GROUPS = {
    **{f"{prefix}_eps": [prefix + suffix for suffix in EPSILONS] for prefix in CLOSED},
    "caption_eps": [f"caption{suffix}" for suffix in EPSILONS],
    "confidence_trap": [f"{prefix}_eps" for prefix in (*CLOSED, "caption")],
    "hidden_instability": [f"{prefix}_invariance" for prefix in CLOSED],
}


@pytest.fixture(scope="module")
def manager():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(LOCAL_DATA, "sandbox")
        plugin.install_tasks()
        yield TaskManager(include_defaults=False)


@pytest.fixture(scope="module")
def built(manager):
    """Every task, on sandbox data."""
    return manager.load_task_or_group(TASKS)


def test_the_harness_lists_every_task_and_group(manager):
    pinned = {*TASKS, *TRAPS, *GROUPS}
    assert pinned <= set(manager.all_tasks) and len(pinned) == 402
    assert set(GROUPS) <= set(manager.all_groups)
    # A new suffix or prefix is a file, and its tasks' names are listed by it.
    new = {file.stem for file in FOLDER.glob("suffixes/*.yaml")} - {s[1:] for s in VARIANTS}
    new = new - {"eps"} | shipped().templates.keys() - {*CLOSED, "caption", "caption_trap"}
    more = set(manager.all_tasks) - pinned
    assert not {name for name in more if not any(one in name for one in new)}


# Task -> its template and all that its suffixes add, the perturbations in order.
ADDED = {
    "pope_adv_eps0.3": """
        perturbations: [{name: gaussian_noise, epsilon: 0.3}]
    """,
    "caption_drift": """
        representations: true
        metrics: [drift_context, drift_ratio_context, drift_unflipped_context]
        perturbations: [{name: gaussian_noise, epsilon: [0.1, 0.2, 0.3, 0.5]}]
    """,
    "amber_relation_blur_verbal3": """
        verbal: third
        metrics: [verbal_confidence, verbal_ece, verbal_invalid_rate]
        perturbations: [{name: gaussian_blur, severity: [1, 2, 3, 4, 5]}]
    """,
    "amber_objectnoise_outside": """
        verbal: third
        metrics:
          - objectnoise_alignment
          - mask_missing_rate
          - verbal_confidence
          - verbal_ece
          - verbal_invalid_rate
        perturbations:
          - name: object_noise
            confidence: [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
            where: outside
    """,
    "mmmu_pgd": """
        representations: true
        metrics: [attack_success, attack_over_control]
        perturbations:
          - name: pgd
            goal: [flip, sure, unsure, hidden]
            epsilon: [0.00784313725490196, 0.01568627450980392, 0.03137254901960784, 0.1]
            delta: [own, signs, other]
    """,
    "caption_trap_eps0.3_noclamp": "{epsilon: 0.3, condition: noclamp}",
    "caption_trap_clamponly": "{epsilon: 0.0, condition: clamponly}",
}
ALL_FAMILIES = """
    max_side: 1024
    perturbations:
      - {name: translate, dx: [-16, -12, -8, -4, 4, 8, 12, 16]}
      - {name: pad_crop, n: [-16, -12, -8, -4, 4, 8, 12, 16]}
      - {name: scale, factor: 0.9}
      - {name: scale_pad, factor: 0.9, fill: [black, white]}
      - {name: rotate, degrees: [-30, 30]}
      - {name: text_overlay, content: semantic, index: [0, 1, 2]}
      - {name: text_overlay, content: random, index: [0, 1, 2]}
      - {name: text_overlay, content: empty, index: [0, 1, 2]}
"""
ADDED["pope_invariance"] = f"""
    representations: true
    metrics: [drift_context, drift_ratio_context, drift_unflipped_context]{ALL_FAMILIES}"""
ADDED["seed_invariance_loglik"] = f"""
    loglik: true
    metrics: [loglik_accuracy, loglik_ifr]{ALL_FAMILIES}"""


@pytest.mark.parametrize("name", ADDED)
def test_what_suffixes_add_to_a_template(manager, name):
    prefix = max(
        (prefix for prefix in shipped().templates if name.startswith(f"{prefix}_")), key=len
    )
    template = load_yaml_config(str(shipped().templates[prefix]))
    expected = template | {"task": name} | yaml.safe_load(ADDED[name])
    assert manager._get_config(name) == shipped().config(name) == expected
    # What is written last varies fastest.
    orders = (
        [list(p) for p in c.get("perturbations", ())] for c in (shipped().config(name), expected)
    )
    assert next(orders) == next(orders)


def test_a_suffix_is_a_file_and_a_prefix_a_template(tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(FOLDER, folder)
    (folder / "suffixes" / "turned.yaml").write_text(
        "group: all_turned\nlisted_with: [verbal1]\nperturbations: [{name: rotate, degrees: 90}]\n"
    )
    (folder / "pope" / "_half_yaml").write_text("include: _pope_yaml\ntest_split: half\n")
    before, names = shipped().index(), TaskNames(folder)
    # Every prefix that has blur, which needs no more of its questions either.
    closed, asked = (
        {name.removesuffix(end) for name in before if name.endswith(end)}
        for end in ("_blur", "_blur_verbal3")
    )
    assert {*CLOSED} <= closed and not asked & {"seed", "mmmu"}
    turned = {f"{prefix}_turned" for prefix in (*closed, "half")}
    stated = {f"{prefix}_turned_verbal1" for prefix in (*asked, "half")}
    categories = ("pope_adv_", "pope_pop_", "pope_random_")
    of_pope = {n for n in before if n.startswith("pope_") and not n.startswith(categories)}
    half = {f"half{name[4:]}" for name in of_pope}
    assert names.index().keys() - before.keys() == turned | stated | half | {"all_turned"}
    assert set(names.config("all_turned")["task"]) == turned
    made = names.config("half_turned_verbal1")
    assert (made["test_split"], made["verbal"]) == ("half", "first")
    assert made["perturbations"] == [{"name": "rotate", "degrees": 90}]


@pytest.mark.parametrize("group", GROUPS)
def test_groups(manager, group):
    # A new prefix is in the groups too; its data need not be embedded.
    new = tuple(f"{p}_" for p in shipped().templates.keys() - {*CLOSED, "caption", "caption_trap"})
    members = [name for name in shipped().groups[group] if not name.startswith(new)]
    assert sorted(members) == sorted(GROUPS[group])
    if len(members) < len(shipped().groups[group]):
        return
    (loaded,) = manager.load_task_or_group(group).values()
    names = [name if isinstance(name, str) else name.group for name in loaded]
    assert sorted(names) == sorted(GROUPS[group])


@pytest.mark.parametrize("name", TASKS)
def test_every_task_builds(built, name):
    task = built[name]
    suffix = max((suffix for suffix in VARIANTS if name.endswith(suffix)), key=len)
    few, many = VARIANTS[suffix]
    assert len(task.plan.variants) == many
    assert task.plan.settings.max_side == (1024 if "_invariance" in suffix else None)
    assert task.plan.settings.loglik == ("_loglik" in suffix or suffix == "_pgd_hi")
    assert task.plan.settings.representations == (suffix in INSIDE)
    stated = {"_verbal3": "third", "_verbal1": "first"}.get(suffix[-8:])
    assert task.plan.settings.verbal == ("third" if suffix in NOISED else stated)
    assert task.config.cluster_key == "image_id"
    counts = {
        sum(perturbations.applies(variant, answers) for variant in task.plan.variants)
        for answers in {task.question(index).labels for index in range(8)}
    }
    assert max(counts) == (many if name.startswith(("seed", "mmmu", "caption")) else few)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("pope/_pope_yaml", "pope/pope.yaml"),
        ("pope/_pope_adv_yaml", "pope/pope_adv.yaml"),
        ("pope/_pope_pop_yaml", "pope/pope_pop.yaml"),
        ("pope/_pope_random_yaml", "pope/pope_random.yaml"),
        ("seed/_seed_yaml", "seedbench/seedbench.yaml"),
        ("mmmu/_mmmu_yaml", "mmmu/mmmu_val.yaml"),
    ],
)
def test_templates_read_upstreams_data_and_generate_as_upstream_does(ours, theirs):
    mine = load_yaml_config(str(FOLDER / ours), mode="simple")
    upstream = load_yaml_config(str(Path(upstream_tasks.__file__).parent / theirs), mode="simple")
    for key in ("dataset_path", "dataset_name", "output_type"):
        assert mine.get(key) == upstream.get(key)
    split = mine.get("test_split") or mine.get("validation_split")
    assert split == upstream["test_split"].strip()
    generation = dict(upstream["generation_kwargs"])
    # Upstream's three POPE categories say 0, which without sampling means nothing.
    generation.pop("top_p", None)
    assert generation.items() <= mine["generation_kwargs"].items()
    greedy = {"temperature": 0, "num_beams": 1, "do_sample": False}
    assert greedy.items() <= mine["generation_kwargs"].items()


def test_amber_reads_the_discriminative_part():
    template = load_yaml_config(str(FOLDER / "amber/_amber_yaml"), mode="simple")
    keys = ("dataset_path", "dataset_name", "test_split")
    assert [template[key] for key in keys] == ["qgallouedec/amber", "discriminative", "train"]


def test_each_folder_explains_its_tasks():
    for prefix, template in shipped().templates.items():
        text = (template.parent / "README.md").read_text()
        group = "_eps" if f"{prefix}_eps" in GROUPS else ""
        assert f"`{prefix}`" in text and f"`{prefix}{group}`" in text
    text = (FOLDER / "suffixes" / "README.md").read_text()
    assert "`confidence_trap`" in text and "`hidden_instability`" in text


@pytest.fixture
def document(built):
    """A document of MMMU with words before each of its two images, and its images."""
    task = built["mmmu_eps0.3"]
    index = next(
        index
        for index, text in enumerate(task.documents.text["question"])
        if "Second picture: <image 2>" in text and "<image 3>" not in text
    )
    return {INDEX_COLUMN: index, IMAGES: ["first", "second"]}


def test_images_stand_between_the_words(built, document):
    task = built["mmmu_eps0.3"]
    (message,) = task.doc_to_messages(document)
    *parts, last = [part.get("text", part.get("url")) for part in message["content"]]
    assert parts == ["First picture:", "first", "Second picture:", "second"]
    assert last == task.doc_to_text(document).partition("<image 2> ")[2]
    assert task.doc_to_visual(document) == ["first", "second"]


def test_images_come_first_where_the_words_name_none(built):
    task = built["pope_eps0.3"]
    document = {INDEX_COLUMN: 3, IMAGES: ["shown"]}
    assert task.doc_to_messages(document) == [
        {
            "role": "user",
            "content": [
                {"type": "image", "url": "shown"},
                {"type": "text", "text": task.doc_to_text(document)},
            ],
        }
    ]
    assert task.doc_to_visual(document) == ["shown"]


def test_an_image_that_is_missing_is_named(built, document):
    message = r"task mmmu_eps0.3, document \d+: its text names image 2, but it has 1"
    with pytest.raises(TaskError, match=message):
        built["mmmu_eps0.3"].doc_to_messages(document | {IMAGES: ["first"]})


def test_questions_of_one_image_are_one_cluster(built):
    whole, relation = built["amber_scale"], built["amber_relation_scale"]
    names = {
        task: {
            task.question(index).question_id: task.question(index).image_id
            for index in range(len(task.documents.text))
        }
        for task in (whole, relation)
    }
    assert len(set(names[whole].values())) == 24
    assert min(Counter(names[whole].values()).values()) > 1
    assert names[relation].items() <= names[whole].items()
