"""Starts the `lmms_eval` command again and again without importing everything anew.

A process that has imported the harness, the plugin and the model's code, and indexed the
tasks, forks for every command that it is told on standard input, a JSON object a line:
`{"arguments": [...], "folder": ..., "log": ..., "environment": {...}}`. It answers with the
child's process id; to `{"wait": id}`, with the child's wait status once it has ended.
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
import resource
import sys
import traceback


def prepare() -> None:
    # Imported for what their imports take, which forked commands then need not.
    from lmms_eval import __main__, evaluator  # noqa: F401
    from lmms_eval.models import get_model
    from lmms_eval.tasks import TaskManager

    from vlm_confidence_tasks.harness import session  # noqa: F401

    get_model("tiny_llava")

    # Indexing takes longer than all else; the arguments decide what comes of it.
    @functools.lru_cache
    def index(verbosity: str, include_path: str | None, model_name: str) -> TaskManager:
        return TaskManager(verbosity, include_path=include_path, model_name=model_name)

    index("INFO", include_path=None, model_name="tiny_llava")
    __main__.TaskManager = index


def heed_permissions() -> None:
    """Give up root's right to write where permissions forbid it; others do not have it."""
    libc = ctypes.CDLL(None)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)()
    libc.capget(header, sets)
    for which in (0, 1):  # effective, permitted
        sets[which] &= ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert libc.capset(header, sets) == 0


def run(order: dict) -> None:
    """Become the command, in the child."""
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.chdir(order["folder"])
    os.environ.update(order.get("environment", {}))
    if "largest_file" in order:
        size = order["largest_file"]
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    if order.get("heed_permissions"):
        heed_permissions()
    sys.argv = ["lmms_eval", *order["arguments"]]
    from vlm_confidence_tasks.harness.cli import main

    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def serve() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    prepare()
    print("ready", file=answers)
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            print(os.waitpid(order["wait"], 0)[1], file=answers)
            continue
        child = os.fork()
        if child == 0:
            run(order)
        print(child, file=answers)


if __name__ == "__main__":
    serve()
