#!/usr/bin/env bash
# Makes docs/studies/claims-sandbox.md again, in the current folder, from the folders of two
# studies, which scripts/studies/csp_study.py and scale_study.py fill: some five minutes of
# processor time.
# Without the second, claim 6 is not measured.
#
#     docs/studies/claims-sandbox.sh csp_study [scale_study]
set -euo pipefail
root=$(realpath "$(dirname "$0")/../..")
csp=$(realpath "${1:?folder of scripts/studies/csp_study.py}") scale=${2:+$(realpath "$2")}
export HF_HUB_OFFLINE=1
evaluate() { lmms_eval --model tiny_llava --batch_size 16 --output_path claims --log_samples "$@"; }
invariance=pope_invariance,amber_invariance,seed_invariance,mmmu_invariance
export VLM_CONFIDENCE_DATA=sandbox
evaluate --tasks "caption_eps,caption_trap_clamponly,$invariance,pope_verbal1,pope_verbal3"
# Before and after calibration, of the first seed, on images that it was not trained on.
export VLM_CONFIDENCE_DATA=$csp/held_out
packaged=$(python -c "from vlm_confidence_tasks.sandbox import MODEL_DIR; print(MODEL_DIR)")
ln -sfn "$packaged" tiny_llava-before
ln -sfn "$csp/csp-0/trained/model" tiny_llava-csp
for model in tiny_llava-before tiny_llava-csp; do
    evaluate --model_args "pretrained=./$model" \
        --tasks pope_verbal3,pope_blur_verbal3,pope_lowlight_verbal3
done
family=()
runs=(claims)
if [[ -n $scale ]]; then
    sizes=$(python "$root/scripts/studies/scale_study.py" "$scale" --sizes)
    # m-0 is the packaged model, which ran above as tiny_llava: twice, it would count twice.
    mapfile -t given <<< "$sizes"
    family=(--sizes "${given[@]/#m-0=/tiny_llava=}")
    for run in "$scale"/runs/*; do
        [[ ${run##*/} == m-0 ]] || runs+=("$run")
    done
fi
vlm-confidence claims "${runs[@]}" "${family[@]}" --output verdicts \
    --before tiny_llava-before --after tiny_llava-csp
python "$root/scripts/studies/claims_table.py" verdicts
