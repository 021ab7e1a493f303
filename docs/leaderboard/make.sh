#!/usr/bin/env bash
# Makes this example again: one model in three precisions on the shapes data, from any
# folder. MODEL_ARGS names another checkpoint, LIMIT takes fewer questions.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
bin="${BIN:-$here/../../.venv/bin}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
export VLM_CONFIDENCE_DATA=sandbox HF_HUB_OFFLINE=1

cd "$work"
for precision in "" load_in_8bit=True load_in_4bit=True; do
    args="$(printf '%s\n' "${MODEL_ARGS:-}" "$precision" | grep . | paste -sd, || true)"
    "$bin/lmms_eval" --model tiny_llava ${args:+--model_args "$args"} \
        --tasks pope_eps,pope_rotation --output_path "results/${precision:-float32}" \
        --log_samples ${LIMIT:+--limit "$LIMIT"}
done
rm -rf example
"$bin/vlm-confidence" leaderboard results --output example
"$bin/vlm-confidence" figures results --output example/figures
"$bin/vlm-confidence" compare results/float32 results/load_in_4bit=True > example/compare.txt
rm -f example/figures/*.svg example/figures/figures.json
rm -rf "$here/example"
mv example "$here/example"
