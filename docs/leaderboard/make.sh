#!/usr/bin/env bash
# Makes example/ again, from any folder: runs.yaml, one leaderboard of the three runs, its
# figures and a comparison. OUTPUT names another folder; LIMIT and TASKS take less of the
# data.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
output="${OUTPUT:-$here/example}"
[[ $output == /* ]] || output="$PWD/$output"
export PATH="${BIN:-$here/../../.venv/bin}:$PATH" HF_HUB_OFFLINE=1
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

cd "$work"
lmms_eval --config "$here/runs.yaml" ${LIMIT:+--limit "$LIMIT"} ${TASKS:+--tasks "$TASKS"}
vlm-confidence leaderboard results --output board
vlm-confidence figures results --output board/figures
vlm-confidence compare results/float32 results/4bit > board/compare.txt
# What all of them show is in leaderboard.json too.
rm board/figures/figures.json
rm -rf "$output"
mv board "$output"
