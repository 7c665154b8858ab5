#!/usr/bin/env bash
# Start Slurm on this one machine: slurmctld, munge, and a slurmd for each of NODES invented nodes.
#
#   SLURM_DIRECTORY=/tmp/slurm tests/slurm/start.sh    # a new directory
#   SLURM_DIRECTORY=/tmp/slurm tests/slurm/stop.sh
#
# It needs root, and the Debian packages slurmctld slurmd slurm-client munge. With ACCOUNTING=yes
# there is sacct too, and the account "physics"; that needs slurmdbd mariadb-server slurm-wlm-mysql-plugin.
# Limits of memory and time are kept, without cgroups, so that it also works in a container.
set -euo pipefail
directory=${SLURM_DIRECTORY:?is the directory to put everything in}
nodes=${NODES:-2} cpus=${CPUS:-4} memory=${MEMORY:-4000} accounting=${ACCOUNTING:-no}
host=$(hostname -s)

# The plugin of Snakemake takes SLURM_CONF out of the environment of a job, which then looks here.
standard=/etc/slurm/slurm.conf
if [ -e "$standard" ] || [ -L "$standard" ]; then
    echo "$standard exists: there is a Slurm here already, which is left alone" >&2
    exit 1
fi
umask 022
mkdir -p "$directory"/{state,log,pid,spool}
mkdir -m 700 "$directory/munge"

start() { # name command...: in the background, and note its process
    local name=$1
    shift
    setsid "$@" >"$directory/log/$name.out" 2>&1 </dev/null &
    echo $! >"$directory/pid/$name"
}

wait_for() { # what command...: until the command succeeds
    local what=$1
    shift
    local end=$((SECONDS + 30))
    while [ $SECONDS -lt $end ]; do
        "$@" >/dev/null 2>&1 && return
        sleep 0.1
    done
    echo "$what did not start, see $directory/log" >&2
    exit 1
}

(umask 077 && head -c 1024 /dev/urandom >"$directory/munge/key")
# --force, because /tmp may be written to by all.
start munged munged --foreground --force --key-file="$directory/munge/key" --socket="$directory/munge.socket" \
    --pid-file="$directory/munge/pid" --log-file="$directory/log/munged.log" --seed-file="$directory/munge/seed"
wait_for munged munge --no-input --socket="$directory/munge.socket"

cat >"$directory/slurm.conf" <<CONF
ClusterName=jetmill
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A job whose node was lost starts again when its credential has expired.
AuthInfo=socket=$directory/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation=$directory/state
SlurmdSpoolDir=$directory/spool/%n
SlurmctldPidFile=$directory/pid/slurmctld.file
SlurmdPidFile=$directory/pid/slurmd-%n.file
SlurmctldLogFile=$directory/log/slurmctld.log
SlurmdLogFile=$directory/log/%n.log
MpiDefault=none
SwitchType=switch/none
# No cgroups: processes are found by their parents, and memory is looked at every second.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
KillWait=2
# A node that does not answer for so many seconds is lost.
SlurmdTimeout=10
ReturnToService=2
SelectType=select/cons_tres
# Each job to the node that has least to do.
SelectTypeParameters=CR_Core_Memory,CR_LLN
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000,bf_interval=2
# squeue shows a job for so many seconds after its end.
MinJobAge=300
# Believe the lines below about processors and memory rather than what is there.
SlurmdParameters=config_overrides
NodeName=DEFAULT CPUs=$cpus RealMemory=$memory
NodeName=node[1-$nodes] NodeHostname=$host NodeAddr=127.0.0.1 Port=[16821-$((16820 + nodes))]
PartitionName=batch Nodes=ALL Default=YES MaxTime=01:00:00
CONF

if [ "$accounting" = yes ]; then
    cat >>"$directory/slurm.conf" <<CONF
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort=16819
AccountingStoragePass=$directory/munge.socket
CONF
    (umask 077 && cat >"$directory/slurmdbd.conf") <<CONF
AuthType=auth/munge
AuthInfo=socket=$directory/munge.socket
DbdHost=localhost
DbdPort=16819
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=13306
StorageUser=slurm
StoragePass=slurm
PidFile=$directory/pid/slurmdbd.file
LogFile=$directory/log/slurmdbd.log
CONF
    mariadb-install-db --no-defaults --user=root --datadir="$directory/database" --skip-test-db \
        --auth-root-authentication-method=normal >"$directory/log/mariadb-install-db.out" 2>&1
    start mariadbd mariadbd --no-defaults --user=root --datadir="$directory/database" \
        --socket="$directory/mariadb.socket" --bind-address=127.0.0.1 --port=13306
    database=(--no-defaults --socket="$directory/mariadb.socket" --user=root)
    wait_for mariadbd mariadb-admin "${database[@]}" ping
    mariadb "${database[@]}" --execute "CREATE DATABASE slurm_acct_db;
        CREATE USER slurm@'127.0.0.1' IDENTIFIED BY 'slurm', slurm@localhost IDENTIFIED BY 'slurm';
        GRANT ALL ON slurm_acct_db.* TO slurm@'127.0.0.1', slurm@localhost;"
fi

mkdir -p /etc/slurm
ln -s "$directory/slurm.conf" "$standard"
export SLURM_CONF=$directory/slurm.conf

if [ "$accounting" = yes ]; then
    start slurmdbd slurmdbd -D
    wait_for slurmdbd sacctmgr --noheader show cluster
    for what in "cluster jetmill" "account physics Cluster=jetmill" "user $(id -un) Account=physics"; do
        # shellcheck disable=SC2086 # several words
        sacctmgr --immediate --quiet add $what >/dev/null
    done
fi
start slurmctld slurmctld -D
wait_for slurmctld scontrol ping
for number in $(seq "$nodes"); do
    mkdir "$directory/spool/node$number"
    start "node$number" slurmd -D -N "node$number"
done
all_idle() { [ "$(sinfo --noheader --Node --states=idle | wc -l)" = "$nodes" ]; }
wait_for "a slurmd" all_idle
# Jobs before that would be missing in sacct.
registered() { sacctmgr --noheader show cluster format=controlport | grep -q 16817; }
[ "$accounting" = no ] || wait_for "slurmctld at slurmdbd" registered
sinfo
