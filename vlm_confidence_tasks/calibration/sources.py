"""Where questions about images come from: a benchmark's data set, or a folder."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import yaml
from msgspec.structs import replace
from PIL import Image

from vlm_confidence_tasks import benchmarks
from vlm_confidence_tasks.benchmarks import DocumentError, dataset
from vlm_confidence_tasks.benchmarks.base import as_text, to_rgb
from vlm_confidence_tasks.benchmarks.decoding import Decoder
from vlm_confidence_tasks.errors import TaskError, one_line
from vlm_confidence_tasks.perturbations import image_digest, images_digest
from vlm_confidence_tasks.report.inputs.samples import filled
from vlm_confidence_tasks.types import Question

QUESTIONS = "questions.jsonl"
# Question id, category and image digest -> an answer.
QuotedAnswers = Mapping[tuple[str, str, str], str]

# Names of the shared templates in `task_yamls/`: _<prefix>_yaml.
_LEFT, _RIGHT = "_", "_yaml"


@dataclass(frozen=True)
class Asked:
    """A question about an image, with the answer that is quoted to the model.

    Attributes:
        answer: The model's or the data set's own.
        row: Its row in the documents that it is from; None without any.
    """

    question: Question
    image: Image.Image
    answer: str
    row: int | None = None


@dataclass(frozen=True)
class BenchmarkData:
    """The documents behind a benchmark's tasks, how they become questions, and their split."""

    benchmark: benchmarks.Benchmark
    documents: dataset.Documents
    split: str

    def questions(self) -> Iterator[tuple[int, Question]]:
        """Yield each row's question, without the text that says how to answer."""
        for row, document in enumerate(self.documents.text):
            yield row, self.benchmark.question(document, "", "")

    def asked(self, answers: QuotedAnswers | None = None) -> Iterator[Asked]:
        """Yield the questions on one image that have an answer, a model's or the data set's."""
        for row, question in self.questions():
            images = self._images(row)
            if len(images) != 1:
                continue
            (image,) = images
            answer = (
                question.gold
                if answers is None
                else answers.get((question.question_id, question.category, image_digest(image)))
            )
            if answer is not None:
                named = replace(question, image_id=question.image_id or image_digest(image))
                yield Asked(named, image, answer, row)

    def image_digests(self) -> set[str]:
        """Return the `images_digest` of the images of each row, each decoded once."""
        first = {stored: row for row, stored in enumerate(self.documents.digests())}
        return {images_digest(self._images(row)) for row in first.values()}

    def _images(self, row: int) -> list[Image.Image]:
        try:
            return self.documents.images(row)
        except Exception as error:
            # Decoders raise many types, such as SyntaxError for a broken PNG chunk.
            name = self.benchmark.name
            raise TaskError(f"benchmark {name}, document {row}: {_no_image(error)}") from error

    def write(self, rows: Sequence[int], folder: Path) -> None:
        """Write some rows as local data, as VLM_CONFIDENCE_DATA reads them."""
        file = folder / self.benchmark.folder / f"{self.split}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        self.documents.stored(rows).to_parquet(str(file))


def _no_image(error: Exception) -> str:
    return f"cannot read its image: {one_line(error)}"


def templates() -> dict[str, Path]:
    """Return the files that the tasks of a prefix ("pope", "amber_relation") share."""
    folder = Path(str(resources.files("vlm_confidence_tasks.task_yamls")))
    files = folder.glob(f"*/{_LEFT}*{_RIGHT}")
    return {file.name.removeprefix(_LEFT).removesuffix(_RIGHT): file for file in files}


def prefix_of(task: str) -> str:
    """Return the prefix of a task's name, or raise TaskError.

    >>> prefix_of("amber_relation_verbal3"), prefix_of("pope_blur")
    ('amber_relation', 'pope')
    """
    known = templates()
    fitting = [name for name in known if task == name or task.startswith(f"{name}_")]
    if not fitting:
        raise TaskError(
            f"task {task}: of no benchmark that is known here: {', '.join(sorted(known))}"
        )
    return max(fitting, key=len)


def benchmark_data(prefix: str, local: Path | None) -> BenchmarkData:
    """Load the documents behind the tasks of a prefix (`templates`), or raise TaskError."""
    known = templates()
    if prefix not in known:
        raise TaskError(f"no benchmark {prefix!r}: name one of {', '.join(sorted(known))}")
    config = _read(known[prefix])
    benchmark = benchmarks.get(config["benchmark"])
    documents = dataset.load(config, benchmark, local)
    return BenchmarkData(benchmark, documents, dataset.split_named(config))


def _read(file: Path) -> Mapping[str, Any]:
    """Read a task's file, after the one that it includes."""
    own = yaml.load(file.read_text(), _Loader)
    included = own.get("include")
    return {**(_read(file.parent / included) if included else {}), **own}


class _Loader(yaml.SafeLoader):
    """Reads task files, whose functions are the harness's."""


_Loader.add_constructor("!function", lambda loader, node: str(node.value))


class _Line(msgspec.Struct):
    image: str
    question: str
    answer: str


def folder_questions(folder: Path) -> Iterator[Asked]:
    """Yield the questions of a folder of images.

    It holds `questions.jsonl`, a JSON object in each line with `image` (a file's path in the
    folder, where the file must lie), `question` and `answer`.

    Raises:
        TaskError: A line or image cannot be used.
    """
    file, decoder = folder / QUESTIONS, Decoder(str(folder), folder)
    try:
        with file.open("rb") as stream:
            lines = list(filled(stream))
    except OSError as error:
        raise TaskError(f"{file}: cannot be read: {one_line(error)}") from error
    for number, text in lines:
        try:
            line = msgspec.json.decode(text, type=_Line)
            for name in line.__struct_fields__:
                as_text(getattr(line, name), name)
        except (msgspec.MsgspecError, DocumentError) as error:
            raise TaskError(f"{file}, line {number}: {one_line(error)}") from error
        try:
            image = to_rgb(decoder.image({"path": line.image}))
        except Exception as error:
            raise TaskError(f"{file}, line {number}: {_no_image(error)}") from error
        question = Question(str(number), line.image, line.question, asked=line.question)
        yield Asked(question, image, line.answer)


def is_folder(source: str) -> bool:
    """Whether a source is a folder of questions and no benchmark's prefix."""
    return (Path(source) / QUESTIONS).exists()
