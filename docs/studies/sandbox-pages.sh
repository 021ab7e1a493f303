#!/usr/bin/env bash
# Makes again, in the current folder, what shows numbers of the embedded model, as after new weights.
# Start in an empty folder: what is there of other weights would be taken for theirs.
#
#     docs/studies/sandbox-pages.sh tables     # pages of single runs, the example of a leaderboard
#     docs/studies/sandbox-pages.sh attacks    # sandbox-attacks.sh
#     docs/studies/sandbox-pages.sh stored     # what README and notebook show
#     docs/studies/sandbox-pages.sh csp        # csp.md
#     docs/studies/sandbox-pages.sh scale      # scale.md; trains the other sizes, which takes hours
#     docs/studies/sandbox-pages.sh claims     # claims-sandbox.md, after csp and, if it is there, scale
#
# Then read what the pages say in words, and what README.md, docs/measured.md, docs/drift.md,
# docs/footguns.md, docs/engines.md and docs/throughput.md quote.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(realpath "$here/../..")
export HF_HUB_OFFLINE=1 PATH="$root/.venv/bin:$PATH"
evaluate() {
    lmms_eval --model tiny_llava --batch_size 16 --log_samples --tasks "$1" --output_path "$2"
}

tables() {
    [[ ! -e eps ]] || { echo "$PWD: has tables' runs already; start in an empty folder" >&2; exit 2; }
    export VLM_CONFIDENCE_DATA=sandbox
    evaluate pope_eps eps
    python "$root/scripts/studies/sandbox_table.py" eps
    evaluate pope_invariance invariance
    python "$root/scripts/studies/drift_table.py" invariance
    evaluate pope_objectnoise,pope_objectnoise_outside,pope_objectnoise_global masks
    python "$root/scripts/studies/mask_table.py" masks
    python "$root/scripts/sandbox/generate_sandbox_data.py" more_scenes --images 100
    VLM_CONFIDENCE_DATA=more_scenes evaluate amber_eps,seed_eps,seed_invariance,amber_verbal3 trust
    python "$root/scripts/studies/trust_table.py" trust
    # For the tables of docs/measured.md and docs/engines.md.
    python "$root/scripts/studies/noise_floor.py" --model tiny_llava
    python "$root/scripts/studies/bound_widths.py"
    unset VLM_CONFIDENCE_DATA
    "$root/docs/leaderboard/make.sh"
}

stored() {
    cd "$root"
    VLM_CONFIDENCE_WRITE_README=1 pytest -q tests/integration/test_docs.py -k demo
    VLM_CONFIDENCE_WRITE_NOTEBOOK=1 pytest -q tests/integration/test_notebook.py
}

case "${1:-}" in
tables | stored) "$1" ;;
attacks) "$here/sandbox-attacks.sh" ;;
csp) python "$root/scripts/studies/csp_study.py" csp_study ;;
scale) python "$root/scripts/studies/scale_study.py" scale_study ;;
claims)
    scale=()
    [[ -d scale_study ]] && scale=(scale_study)
    "$here/claims-sandbox.sh" csp_study "${scale[@]}"
    ;;
*)
    sed -n '2,/^set/{/^set/!p}' "$0" >&2
    exit 2
    ;;
esac
