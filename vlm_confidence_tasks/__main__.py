"""`python -m vlm_confidence_tasks` is the `lmms_eval` command, for launchers of modules."""

from vlm_confidence_tasks.harness.cli import main

if __name__ == "__main__":
    main()
