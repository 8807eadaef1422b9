#!/bin/bash
# Training by torchrun, where there is no SLURM, on one host or, with the same command on each, on several:
#
#   configs/cluster/torchrun.sh configs/alice_lstm.yaml --run_dir runs/alice [any option of fit]
#   NNODES=2 HEAD=node1 JOB=alice-7 configs/cluster/torchrun.sh configs/alice_lstm.yaml --run_dir runs/alice
#
# NNODES: the number of hosts. HEAD: the first one's name, known to all. PORT: a port of it that is free.
# JOB: a name for this training, the same on all hosts. NPROC: processes on each, by default one for each GPU.
# RESTARTS: see below. See docs/cluster.md.

set -euo pipefail
config=${1:?which config? configs/cluster/torchrun.sh CONFIG --run_dir DIR [options of fit]}
shift
export PYTHONUNBUFFERED=1  # the log shows each epoch as it ends
nodes=${NNODES:-1}
processes=${NPROC:-$(python -c 'import torch; print(max(1, torch.cuda.device_count()))')}

rendezvous=(--standalone)
if [ "$nodes" -gt 1 ]; then
  rendezvous=(
    --nnodes "$nodes" --rdzv_id "${JOB:?a name for this training, the same on all hosts}"
    --rdzv_backend c10d --rdzv_endpoint "${HEAD:?the name of the first host}:${PORT:-29400}"
  )
fi

# When a process dies, torchrun ends the others and starts all again, so many times; the run then goes on from its last
# checkpoint. It can only find that in a folder that stays the same: hence --run_dir.
# Its store still knows the addresses of processes that have ended, unless each start gets a store of its own:
# https://github.com/pytorch/pytorch/issues/135712
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
exec torchrun "${rendezvous[@]}" --nproc_per_node "$processes" --max_restarts "${RESTARTS:-3}" \
  -m zoo fit --config "$config" \
  --trainer.num_nodes "$nodes" --trainer.devices "$processes" --trainer.strategy ddp "$@"
