#!/bin/bash
# Train studies as a Slurm array; every task trains one shard of the runs:
#   sbatch --array=1-8 scripts/slurm-array.sh table1 table3
# The array must be 1-N. To submit a single task again, give the number of shards:
#   SHARDS=8 sbatch --array=3 scripts/slurm-array.sh table1 table3
# Five minutes before its time limit, or when it is preempted, a task saves checkpoints and exits with code 75. It is then
# requeued and resumes. To draw the finished results: snapshot report table1 table3
#SBATCH --job-name=snapshot
#SBATCH --ntasks=1
#SBATCH --gpus-per-task=1
#SBATCH --cpus-per-task=2
#SBATCH --time=08:00:00
#SBATCH --signal=B:TERM@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=slurm-%A-%a.txt

SHARDS=${SHARDS:-$SLURM_ARRAY_TASK_COUNT}
task=$SLURM_ARRAY_TASK_ID
if ! [[ $SHARDS =~ ^[1-9][0-9]*$ && $task =~ ^[1-9][0-9]*$ ]] || ((task > SHARDS)); then
    echo "slurm-array.sh: task '$task' is not a shard from 1 to '$SHARDS'; give --array=1-N, or SHARDS=N to submit only some tasks" >&2
    exit 2
fi

trap 'kill -TERM $!' TERM
snapshot reproduce "$@" --shard "$task/$SHARDS" &
process=$!
while kill -0 "$process" 2>/dev/null; do
    wait "$process"    # a signal interrupts this wait, not the process
done
wait "$process"    # sets $? to the exit code of the process
code=$?

if [ "$code" -eq 75 ]; then
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
fi
exit "$code"
