"""Runs the package's commands in forks of one process that has imported everything.

A fresh process needs ten seconds to import torch, transformers and the harness and to index
the harness's tasks; a fork needs none of that and can be killed like any other process.
Pytest's main process starts one server, all of its workers share it. It listens on a Unix
socket, a connection a command:

- the client sends one line of JSON, {"name", "arguments", "folder", "environment", ...}, and
  with it the three file descriptors that become the command's stdin, stdout and stderr;
- the server answers with the process id of the command, a line, and once the command has
  ended with its wait status, a line;
- a command whose client goes away is killed.

Only the standard library is imported at the top: `become` runs in the commands on PATH.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import sys
import traceback
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

# In the environment of pytest's processes: the server's socket, and a folder for PATH.
ADDRESS = "VLM_CONFIDENCE_TEST_SERVER"
COMMANDS = "VLM_CONFIDENCE_TEST_COMMANDS"
PROGRAMS = ("lmms_eval", "lmms-eval", "vlm-confidence")
# Libraries read these while they are imported: a fork would still have the server's.
READ_AT_IMPORT = ("HF_", "LMMS_EVAL_", "OMP_", "PYTHONHASHSEED", "TOKENIZERS_", "TRANSFORMERS_")


def call(order: dict[str, Any], descriptors: tuple[int, int, int]) -> socket.socket:
    """Tell the server to run a command; the answers come on the connection returned."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(os.environ[ADDRESS])
    socket.send_fds(connection, [json.dumps(order).encode() + b"\n"], descriptors)
    return connection


def become(name: str) -> NoReturn:
    """Be the command that stands on PATH: run it in a fork and end as it ends."""
    order = {"name": name, "arguments": sys.argv[1:], "folder": os.getcwd()}
    with call(order | {"environment": dict(os.environ)}, (0, 1, 2)).makefile() as answers:
        answers.readline()
        code = os.waitstatus_to_exitcode(int(answers.readline()))
    if code < 0:
        os.kill(os.getpid(), -code)
    sys.exit(code)


def write_commands(folder: Path) -> None:
    """Write a folder for PATH in which the package's commands are those of the server."""
    for name in PROGRAMS:
        file = folder / name
        file.write_text(
            f"#!{sys.executable} -IS\nimport sys\nsys.path.append({str(Path(__file__).parent)!r})\n"
            f"import forking\nforking.become({name!r})\n"
        )
        file.chmod(0o755)


# Whether the server has done what `import_harness` does.
imported = False


class Server:
    """Forks a process for each command that clients send."""

    def __init__(self, listener: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(fileno=listener)
        self._selector.register(self._listener, selectors.EVENT_READ)
        # The process that started the server holds the other end for as long as it lives.
        self._selector.register(0, selectors.EVENT_READ)
        self._own = dict(os.environ)
        self._children: dict[socket.socket, int] = {}

    def serve(self) -> None:
        """Serve until standard input ends."""
        while True:
            for key, _ in self._selector.select():
                if key.fd == 0:
                    for child in self._children.values():
                        os.kill(child, signal.SIGKILL)
                    return
                if key.fileobj is self._listener:
                    self._start(self._listener.accept()[0])
                elif key.data is None:
                    self._client_left(key.fileobj)
                else:
                    self._command_ended(key.fileobj, key.data)

    def _start(self, connection: socket.socket) -> None:
        text, descriptors, *_ = socket.recv_fds(connection, 1 << 16, 3)
        while text and not text.endswith(b"\n"):
            more = connection.recv(1 << 16)
            text = text + more if more else b""
        if not text:
            # The client went before it had said what it wants.
            connection.close()
            return
        order = json.loads(text)
        if needs_harness(order):
            # The command does it again and says what is wrong.
            with suppress(Exception):
                import_harness()
        child = os.fork()
        if child == 0:
            for held in (connection, self._listener, *self._children):
                held.close()
            self._selector.close()
            run(order, descriptors, self._own)
        for descriptor in descriptors:
            os.close(descriptor)
        answer(connection, child)
        self._children[connection] = child
        self._selector.register(connection, selectors.EVENT_READ)
        self._selector.register(os.pidfd_open(child), selectors.EVENT_READ, connection)

    def _client_left(self, connection: Any) -> None:
        # There is nothing that a client says after its order; its command may have ended just now.
        if connection in self._children:
            self._selector.unregister(connection)
            os.kill(self._children[connection], signal.SIGKILL)

    def _command_ended(self, descriptor: Any, connection: socket.socket) -> None:
        self._selector.unregister(descriptor)
        os.close(descriptor)
        status = os.waitpid(self._children.pop(connection), 0)[1]
        if connection in self._selector.get_map():
            self._selector.unregister(connection)
            answer(connection, status)
        connection.close()


def answer(connection: socket.socket, number: int) -> None:
    """Tell a client a number, if it is still there."""
    with suppress(OSError):
        connection.sendall(f"{number}\n".encode())


def needs_harness(order: dict[str, Any]) -> bool:
    """Whether a command imports the harness."""
    return order["name"] != "vlm-confidence" or order["arguments"][:1] == ["plan"]


def import_harness() -> None:
    """Import and index, at the first command, what commands take seconds to do at their start."""
    global imported
    if imported:
        return
    import gc
    import pkgutil

    from lmms_eval import __main__, evaluator  # noqa: F401
    from lmms_eval.models import get_model
    from lmms_eval.tasks import TaskManager

    import vlm_confidence_tasks

    for module in pkgutil.walk_packages(vlm_confidence_tasks.__path__, "vlm_confidence_tasks."):
        if not module.name.endswith("__main__"):
            __import__(module.name)
    for name in ("tiny_llava", "llava_hf"):
        get_model(name)
    index_once()
    TaskManager("WARNING")
    # The pages of what is there stay shared with the forks.
    gc.collect()
    gc.freeze()
    imported = True


def index_once() -> None:
    """Let the harness index its own tasks once a process."""
    from copy import deepcopy

    from lmms_eval import tasks

    index = tasks.TaskManager._get_task_and_group
    installed = f"{Path(tasks.__file__).parent}/"
    found: dict[str, dict] = {}

    def index_folder(self: tasks.TaskManager, folder: str) -> dict:
        if folder != installed:
            return index(self, folder)
        if not found:
            found.update(index(self, folder))
        return deepcopy(found)

    tasks.TaskManager._get_task_and_group = index_folder


def run(order: dict[str, Any], descriptors: list[int], own: dict[str, str]) -> NoReturn:
    """Become the command, in the child."""
    code = 1
    try:
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.chdir(order["folder"])
        os.environ.clear()
        os.environ.update(order["environment"])
        limit(order)
        # A shell that starts pytest in the background has SIGINT ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        name, arguments = order["name"], order["arguments"]
        if read_at_import(own) != read_at_import(order["environment"]):
            os.execv(Path(sys.executable).with_name(name), [name, *arguments])
        if needs_harness(order):
            import_harness()
            import_installed(order["environment"].get("PYTHONPATH", ""))
        sys.argv = [name, *arguments]
        (command,) = metadata.entry_points(group="console_scripts", name=name)
        code = 0
        command.load()()
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


def read_at_import(environment: dict[str, str]) -> dict[str, str]:
    """Return the variables of which a fork would not notice a change."""
    return {name: text for name, text in environment.items() if name.startswith(READ_AT_IMPORT)}


def import_installed(path: str) -> None:
    """Find what PYTHONPATH adds, packages with models for the harness among it."""
    more = [folder for folder in path.split(os.pathsep) if folder and folder not in sys.path]
    if more:
        from lmms_eval.models import MODEL_REGISTRY_V2

        sys.path[1:1] = more
        MODEL_REGISTRY_V2.load_entrypoint_manifests(overwrite=True)


def limit(order: dict[str, Any]) -> None:
    """Limit what the command may do, as the order says."""
    if "largest_file" in order:
        import resource

        sizes = (order["largest_file"], resource.RLIM_INFINITY)
        resource.setrlimit(resource.RLIMIT_FSIZE, sizes)
    if order.get("heed_permissions"):
        heed_permissions()


def heed_permissions() -> None:
    """Give up root's right to write where permissions forbid it; others do not have it."""
    import ctypes

    libc = ctypes.CDLL(None)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)()
    libc.capget(header, sets)
    for which in (0, 1):  # effective, permitted
        sets[which] &= ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert libc.capset(header, sets) == 0


if __name__ == "__main__":
    Server(int(sys.argv[1])).serve()
