#!/usr/bin/env bash
# Stop what start.sh started in SLURM_DIRECTORY, and nothing else. Logs stay there.
set -uo pipefail
directory=${SLURM_DIRECTORY:?is the directory given to start.sh}
export SLURM_CONF=$directory/slurm.conf

# A slurmd leaves the processes of its jobs running.
scancel --state=PENDING --quiet --user="$(id -un)" 2>/dev/null
scancel --state=RUNNING --quiet --user="$(id -un)" 2>/dev/null
for _ in $(seq 50); do
    [ -z "$(squeue --noheader --states=RUNNING,COMPLETING 2>/dev/null)" ] && break
    sleep 0.1
done

stop() { # name: end it and wait until it has
    local process
    process=$(cat "$directory/pid/$1" 2>/dev/null) || return
    kill -TERM "$process" 2>/dev/null
    for _ in $(seq 150); do
        kill -0 "$process" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL "$process" 2>/dev/null && echo "$1 had to be killed" >&2
    rm "$directory/pid/$1"
}

# The nodes last but for munge, or slurmctld would wait for their answers.
for name in slurmctld slurmdbd mariadbd $(cd "$directory/pid" && echo node*) munged; do
    stop "$name"
done
if [ "$(readlink /etc/slurm/slurm.conf)" = "$directory/slurm.conf" ]; then
    rm /etc/slurm/slurm.conf
fi
