#!/usr/bin/env bash
# Makes docs/studies/sandbox-attacks.md, its figure and confidence-trap-audit.md beside it again, in
# the current folder: half an hour on two busy cores, a third of it the attacks, on every ninth question.
set -euo pipefail
root=$(realpath "$(dirname "$0")/../..")
export HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1
evaluate() { lmms_eval --model tiny_llava --log_samples "$@"; }

python - <<'PYTHON'
from pathlib import Path

import datasets

from vlm_confidence_tasks.sandbox import DATA_DIR

rows = datasets.Dataset.from_parquet(str(DATA_DIR / "pope" / "test.parquet"))
folder = Path("ninth/pope")
folder.mkdir(parents=True, exist_ok=True)
rows.select(range(0, len(rows), 9)).to_parquet(str(folder / "test.parquet"))
PYTHON
export VLM_CONFIDENCE_DATA=$PWD/ninth
evaluate --tasks pope_pgd --output_path attacks --use_cache kept
evaluate --tasks pope_drift --output_path attacks --batch_size 16
# Each image that was shown, asked about again, with four draws of weak noise on it.
python "$root/scripts/studies/attacked_data.py" attacks kept ninth again
cat > again/pope_redrawn.yaml <<YAML
include: $root/task_yamls/pope/_pope_yaml
task: pope_redrawn
perturbations:
  - {name: gaussian_noise, epsilon: 0.05, seed: [0, 1, 2, 3]}
YAML
export VLM_CONFIDENCE_DATA=$PWD/again
evaluate --include_path again --tasks pope_redrawn --output_path attacks --batch_size 16
export VLM_CONFIDENCE_DATA=sandbox
natural=pope_blur,pope_motionblur,pope_lowlight,pope_occlusion,pope_jpeg
frequencies=pope_lowpass,pope_highpass,pope_bandnoise,pope_bandphase
evaluate --tasks "pope_eps,$natural,$frequencies" --output_path natural --batch_size 16
evaluate --tasks "caption_trap*,caption_eps" --output_path trap

python "$root/scripts/studies/attack_tables.py" attacks natural
python "$root/scripts/studies/trap_audit.py" trap
