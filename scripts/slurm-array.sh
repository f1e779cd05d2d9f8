#!/bin/bash
# Train studies as a Slurm array, each task its share of the runs:
#   sbatch --array=1-8 scripts/slurm-array.sh table1 table3
# The array is contiguous from 1. To submit single tasks of it again, give the number of shards:
#   SHARDS=8 sbatch --array=3 scripts/slurm-array.sh table1 table3
# Five minutes before a task's time is over, or when it is preempted, its trainings save their state and end with 75; the
# task is put into the queue again and goes on from there. What is finished is drawn by: snapshot report table1 table3
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
    echo "slurm-array.sh: task '$task' is none of the shards 1 to '$SHARDS'; give --array=1-N, or SHARDS=N for some of N" >&2
    exit 2
fi

trap 'kill -TERM $!' TERM
snapshot reproduce "$@" --shard "$task/$SHARDS" &
process=$!
while kill -0 "$process" 2>/dev/null; do
    wait "$process"    # a signal ends this, but not the process
done
wait "$process"    # the status of the process, also where a signal ended the wait above
code=$?

if [ "$code" -eq 75 ]; then
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
fi
exit "$code"
