"""The `lmms_eval` command: the harness's own, with an exit code that can be trusted."""

from __future__ import annotations

import sys
from typing import Any


def main() -> None:
    """Run the harness's command line with the plugin loaded.

    The harness's own `lmms-eval` lists no plugin's tasks in `tasks list`, and exits with
    0 when an evaluation failed; this exits with 1 and says why in the last line.
    """
    from lmms_eval import __main__ as harness
    from lmms_eval.cli import dispatch

    from vlm_confidence_tasks.harness import plugin

    # The entry point has done this already, unless it failed, which the harness only
    # logs: here a misfit is an error.
    plugin.install_tasks()
    plugin.install_seam()
    failures: list[Exception] = []
    evaluate = harness.cli_evaluate_single

    def remembering(args: Any) -> Any:
        try:
            return evaluate(args)
        except Exception as error:
            failures.append(error)
            raise

    harness.cli_evaluate_single = remembering
    try:
        dispatch.main()
    except Exception as error:
        failures.append(error)
    if failures:
        sys.exit(f"lmms_eval: error: {failures[-1]}")


if __name__ == "__main__":
    main()
