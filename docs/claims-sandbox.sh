#!/usr/bin/env bash
# Makes docs/claims-sandbox.md again, from runs of the embedded model in the current folder: some
# four minutes of processor time.
set -euo pipefail
scripts=$(cd "$(dirname "$0")/../scripts" && pwd)
export HF_HUB_OFFLINE=1 VLM_CONFIDENCE_DATA=sandbox
invariance=pope_invariance,amber_invariance,seed_invariance,mmmu_invariance
lmms_eval --model tiny_llava --tasks "caption_eps,caption_trap_clamponly,$invariance,pope_verbal1,pope_verbal3" \
    --batch_size 16 --output_path claims --log_samples

vlm-confidence claims claims --output verdicts
python "$scripts/claims_table.py" verdicts
