#!/usr/bin/env bash
# A Ray cluster for one run under Slurm: the first node is its head and starts the run, all of them work.
#
#   sbatch --nodes=4 --gpus-per-node=8 docs/many-gpus/ray-on-slurm.sh cifar10-v2 --all --device cuda
#
# What follows the script's name are the words of `oodbench run`. OODBENCH_VENV names the virtual environment, the same
# on all nodes; --results and --cache must lie on storage that all nodes share (or name a --store).
#SBATCH --job-name=oodbench
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@120
set -euo pipefail

if [ "$#" -eq 0 ]; then
    echo "usage: sbatch [OPTIONS] $0 MATRIX [WORDS OF oodbench run ...]" >&2
    exit 2
fi
# shellcheck source=/dev/null
source "${OODBENCH_VENV:-.venv}/bin/activate"

# A token that this job alone knows: whoever has not got it cannot run code here. It travels by the environment, which
# other users cannot read, and never as a word of a command.
RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE

head_node=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
head_address=$(srun --nodes=1 --ntasks=1 --nodelist="$head_node" hostname --ip-address | awk '{print $1}')
port=$((20000 + SLURM_JOB_ID % 20000)) # two jobs on one node do not meet
cpus=${SLURM_CPUS_PER_TASK:-1}
gpus=${SLURM_GPUS_ON_NODE:-0}

start=(ray start --block --disable-usage-stats --num-cpus="$cpus" --num-gpus="$gpus")

srun --nodes=1 --ntasks=1 --nodelist="$head_node" --overlap \
    "${start[@]}" --head --node-ip-address="$head_address" --port="$port" --include-dashboard=false &
workers=$((SLURM_JOB_NUM_NODES - 1))
if [ "$workers" -gt 0 ]; then
    srun --nodes="$workers" --ntasks="$workers" --exclude="$head_node" --overlap --kill-on-bad-exit=0 \
        "${start[@]}" --address="$head_address:$port" &
fi

# The run waits for the head alone: nodes that join later get tasks as they come.
driver() {
    srun --nodes=1 --ntasks=1 --nodelist="$head_node" --overlap "$@"
}
for _ in $(seq 60); do
    if driver ray status --address="$head_address:$port" >/dev/null 2>&1; then break; fi
    sleep 5
done

# A job that runs out of time goes on from where it was, when it is submitted again.
trap 'kill -TERM "$run" 2>/dev/null || true; wait "$run" || true; exit 143' TERM
driver oodbench run "$@" --engine "ray:$head_address:$port" &
run=$!
code=0
wait "$run" || code=$?
kill %1 2>/dev/null || true
exit "$code"
