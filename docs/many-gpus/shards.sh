#!/usr/bin/env bash
# One matrix in 16 parts, a Slurm job each, without an engine: parts of one model stay together.
#
#   sbatch --array=0-15 docs/many-gpus/shards.sh cifar10-v2 --all --device cuda
#
# A part that runs out of time is submitted again by its number: sbatch --array=3 ...
#SBATCH --job-name=oodbench
#SBATCH --gpus=1
#SBATCH --cpus-per-task=4
#SBATCH --time=24:00:00
set -euo pipefail

# shellcheck source=/dev/null
source "${OODBENCH_VENV:-.venv}/bin/activate"
parts=${OODBENCH_PARTS:-$SLURM_ARRAY_TASK_COUNT}
exec oodbench run "$@" --workers 1 --shard "$SLURM_ARRAY_TASK_ID/$parts"
