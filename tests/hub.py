"""A hub of data sets on this machine, which answers what the real one is asked.

`write_hub` lays folders out as the benchmarks' repositories are: ids, configurations,
splits and columns of the real ones, the sandbox's rows. `serve` puts them behind the few
addresses that `datasets` and `huggingface_hub` ask (`HF_ENDPOINT` is where).
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import datasets
import yaml

from vlm_confidence_tasks.sandbox import DATA_DIR

COMMIT = "0123456789" * 4
ADDRESS = re.compile(
    r"/(?:api/)?datasets/(?P<id>[^/]+/[^/]+)/(?P<verb>resolve|tree|revision)/(?P<revision>[^/]+)"
    r"/?(?P<path>.*)"
)
TEXT, IMAGE = ("dtype", "string"), ("dtype", "image")
POPE = {
    **dict.fromkeys(("id", "question_id", "question", "answer", "image_source"), TEXT),
    "image": IMAGE,
    "category": TEXT,
}
AMBER = {
    "image": IMAGE,
    "id": ("dtype", "int64"),
    **dict.fromkeys(("query", "type", "truth"), TEXT),
}
SEED = {
    **dict.fromkeys(("answer", "choice_a", "choice_b", "choice_c", "choice_d", "data_id"), TEXT),
    **dict.fromkeys(("data_type", "question", "question_id"), TEXT),
    "question_type_id": ("dtype", "int16"),
    "image": ("list", "image"),
    "segment": ("list", "int64"),
}
MMMU = {
    **dict.fromkeys(("id", "question", "options", "explanation"), TEXT),
    **dict.fromkeys((f"image_{n}" for n in range(1, 8)), IMAGE),
    **dict.fromkeys(("img_type", "answer", "topic_difficulty", "question_type", "subfield"), TEXT),
}


@dataclass(frozen=True)
class Split:
    """Where a split lies in its repository, and which rows of the sandbox stand for it."""

    folder: str
    rows: str
    first: int | None = None
    shards: int = 1


@dataclass(frozen=True)
class Config:
    """A configuration: its columns, and its splits by name."""

    columns: Mapping[str, tuple[str, str]]
    splits: Mapping[str, Split]


# id -> configuration -> what is in it. Splits that no task reads hold other numbers of rows.
REPOSITORIES = {
    "lmms-lab-encoder/POPE": {
        "Full": Config(
            POPE,
            {name: Split("Full", f"pope/{name}") for name in ("adversarial", "popular", "random")},
        ),
        "default": Config(POPE, {"test": Split("data", "pope/test")}),
    },
    "qgallouedec/amber": {
        "discriminative": Config(AMBER, {"train": Split("discriminative", "amber/train")}),
        "generative": Config(
            {name: AMBER[name] for name in ("image", "id", "query")},
            {"train": Split("generative", "amber/train", first=3)},
        ),
    },
    "lmms-lab-encoder/SEED-Bench": {
        "default": Config(SEED, {"test": Split("data", "seed/test", shards=2)}),
    },
    "lmms-lab-encoder/MMMU": {
        "default": Config(
            MMMU,
            {
                "dev": Split("data", "mmmu/validation", first=5),
                "validation": Split("data", "mmmu/validation"),
                "test": Split("data", "mmmu/validation", first=7),
            },
        ),
    },
}


def write_hub(root: Path) -> None:
    """Write every repository as a folder, with its README."""
    for repository, configs in REPOSITORIES.items():
        folder = root / repository
        for config in configs.values():
            for name, split in config.splits.items():
                _write_split(folder, name, split, list(config.columns))
        (folder / "README.md").write_text(f"---\n{yaml.safe_dump(_card(configs))}---\n")


def _write_split(folder: Path, name: str, split: Split, columns: list[str]) -> None:
    rows = datasets.Dataset.from_parquet(str(DATA_DIR / f"{split.rows}.parquet"))
    rows = rows.select_columns(columns).select(range(split.first or len(rows)))
    for n in range(split.shards):
        file = folder / split.folder / f"{name}-{n:05}-of-{split.shards:05}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        rows.shard(split.shards, n, contiguous=True).to_parquet(str(file))


def _card(configs: Mapping[str, Config]) -> dict:
    """Return the head of the README, as the hub's data sets have it."""
    infos, files = [], []
    for config_name, config in configs.items():
        features = [{"name": name, key: kind} for name, (key, kind) in config.columns.items()]
        infos.append({"config_name": config_name, "features": features})
        paths = [
            {"split": name, "path": f"{split.folder}/{name}-*"}
            for name, split in config.splits.items()
        ]
        files.append({"config_name": config_name, "data_files": paths})
    return {"dataset_info": infos, "configs": files}


@dataclass
class Hub:
    """A hub that is being served, and what it was asked for."""

    root: Path
    url: str = ""
    downloaded: set[str] = field(default_factory=set)

    def environment(self, home: Path) -> dict[str, str]:
        """Return the variables that lead a process here and nowhere else."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(home),
            "HF_HUB_OFFLINE": "0",
            "NO_PROXY": "127.0.0.1",
        }


@contextmanager
def serve(root: Path) -> Iterator[Hub]:
    """Serve the repositories under a folder, `<owner>/<name>/...`, in a thread."""
    hub = Hub(root)

    class Handler(_Handler):
        served = hub

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hub.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    """Answers requests; anything that the real hub does not have is 404 there as here."""

    served: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        asked = ADDRESS.fullmatch(unquote(urlsplit(self.path).path))
        repository = self.served.root / asked["id"] if asked else None
        if asked is None or repository is None or not repository.is_dir():
            self._send_missing("RepoNotFound")
        elif asked["revision"] not in ("main", COMMIT):
            self._send_missing("RevisionNotFound")
        elif asked["verb"] == "resolve":
            self._send_file(repository / asked["path"])
        elif asked["verb"] == "tree":
            self._send_json(
                [_entry(repository, path) for path in (repository / asked["path"]).iterdir()]
            )
        else:
            files = [path for path in repository.rglob("*") if path.is_file()]
            siblings = [{"rfilename": str(path.relative_to(repository))} for path in files]
            self._send_json({"id": asked["id"], "sha": COMMIT, "siblings": siblings})

    def _send_file(self, file: Path) -> None:
        if not file.is_file():
            self._send_missing("EntryNotFound")
            return
        data = file.read_bytes()
        if self.command == "GET":
            self.served.downloaded.add(str(file.relative_to(self.served.root)))
        self._send(200, data, {"ETag": f'"{sha1(data).hexdigest()}"', "X-Repo-Commit": COMMIT})

    def _send_json(self, answer: object) -> None:
        self._send(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _send_missing(self, why: str) -> None:
        self._send(404, b"", {"X-Error-Code": why})

    def _send(self, code: int, data: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _entry(repository: Path, path: Path) -> dict:
    name = str(path.relative_to(repository))
    kind, size = ("directory", 0) if path.is_dir() else ("file", path.stat().st_size)
    return {"type": kind, "path": name, "size": size, "oid": sha1(name.encode()).hexdigest()}
