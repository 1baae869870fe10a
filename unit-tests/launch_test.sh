#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# launch_test.sh fiar-run|mpirun FIAR_RUN ALL_REDUCE_ONCE: the same program under a launcher; for fiar-run
# also its own promises. Nothing it started is left when it ends, however it ends.
set -u
which=$1 run=$2 program=$3
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
failed=0
wrong() {
  echo "wrong: $1"
  sed 's/^/    /' "$room/out" "$room/err"
  failed=1
}
# expect STATUS COMMAND...: runs it, with output in $room/out and $room/err.
expect() {
  wanted=$1
  shift
  timeout 60 "$@" >"$room/out" 2>"$room/err"
  got=$?
  [ $got = "$wanted" ] || wrong "status $got instead of $wanted of: $*"
}
has() { grep -qF -- "$2" "$room/$1" || wrong "no \"$2\" in std$1"; }
# Whether a process that has $1 on its command line is left, allowing it a moment to go.
left() {
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    grep -lsF -- "$1" /proc/[0-9]*/cmdline >/dev/null || return 1
    sleep 0.2
  done
}

mpi() {
  command -v mpirun >/dev/null || { echo "skipped: mpirun is not installed"; exit 77; }
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  expect 0 mpirun --oversubscribe -n 4 "$program"
  [ "$(grep -c 'sum 16' "$room/out")" = 4 ] || wrong "not four sums of 16"
}

# The program makes its communicator from MPI itself.
mpi_comm() {
  mpi
  expect 0 mpirun --oversubscribe -n 2 "$program" null
  [ "$(grep -c 'world is 0' "$room/out")" = 2 ] || wrong "MPI_COMM_NULL was taken"
  expect 0 mpirun --oversubscribe -n 2 "$program" early
  [ "$(grep -c 'world is 0' "$room/out")" = 2 ] || wrong "a communicator before MPI_Init was taken"
  expect 0 mpirun --oversubscribe -n 2 "$program" late
  [ "$(grep -c 'returned -1' "$room/out")" = 2 ] || wrong "a late rank was waited for"
}

fiar_run() {
  expect 0 "$run" -n 4 "$program"
  for rank in 0 1 2 3; do has out "[$rank] sum 16"; done

  # A log file for each process, silent otherwise.
  expect 0 env FIAR_DEBUG=info FIAR_DEBUG_FILE="$room/log.%h.%p" "$run" -n 2 "$program"
  [ "$(cat "$room"/log.* | grep -c 'info comm: rank . of 2, on the host')" = 2 ] || wrong "no logs"
  [ -s "$room/err" ] && wrong "the log went to stderr, too"

  # The rank's death is told, the others report it, and the status is the rank's.
  expect 137 "$run" -n 4 "$program" 2
  has err "fiar-run: rank 2"
  has err "was killed by signal 9"
  grep -q '^\[[013]\] .*rank . of 4 .* has' "$room/err" || wrong "nobody reports the lost rank"

  expect 3 "$run" -n 3 sh -c 'exit $((RANK == 1 ? 3 : 0))'
  has err "exited with status 3"
  # A rank that prints faster than it is read keeps nobody from being heard.
  expect 3 "$run" -n 2 --grace-ms 200 sh -c '[ "$RANK" = 0 ] && exec yes; sleep 1; exit 3'
  has err "exited with status 3"
  : >"$room/out"
  expect 127 "$run" -n 2 /no/such/program
  has err "/no/such/program: No such file"
  expect 2 "$run" -n 0 true
  has err '-n is "0", must be a whole number from 1 to 64'
  expect 2 "$run" true
  has err "-n is missing"
  expect 0 "$run" --no-prefix -n 1 sh -c 'printf "as it is"'
  has out "as it is"

  # As torchrun sets it: two jobs at once, which MASTER_PORT tells apart.
  for port in 29501 29502; do
    for rank in 0 1 2; do
      (unset FIAR_JOB_ID; MASTER_ADDR=127.0.0.1 MASTER_PORT=$port RANK=$rank WORLD_SIZE=3 exec "$program" >"$room/job.$port.$rank" 2>&1) &
    done
  done
  wait
  for port in 29501 29502; do
    [ "$(cat "$room"/job.$port.* | grep -c 'sum 12')" = 3 ] || { cat "$room"/job.$port.*; wrong "the job at port $port"; }
  done

  # Ranks that do not end by themselves are ended, and so is what they leave running.
  mark=31536$$
  expect 4 "$run" --grace-ms 100 -n 3 sh -c "sleep $mark & [ \$RANK = 0 ] && exit 4; trap '' TERM; while :; do sleep $mark; done"
  left "$mark" && wrong "a process is left after a failure"

  # A killed launcher leaves nothing either.
  mark=31537$$
  "$run" -n 3 sh -c "sleep $mark & sleep $mark" >"$room/out" 2>"$room/err" &
  launcher=$!
  sleep 0.5
  kill -9 $launcher
  wait $launcher 2>/dev/null
  left "$mark" && wrong "a process is left after the launcher was killed"

  # Signals reach the ranks.
  "$run" -n 2 sh -c 'trap "echo got it; exit 0" USR1; echo ready; while :; do sleep 0.05; done' >"$room/out" 2>"$room/err" &
  launcher=$!
  for _ in $(seq 100); do [ "$(grep -c ready "$room/out")" = 2 ] && break; sleep 0.1; done
  kill -USR1 $launcher
  wait $launcher || wrong "status of a job that a signal ended well"
  [ "$(grep -c 'got it' "$room/out")" = 2 ] || wrong "not every rank got the signal"
}

case $which in
  mpirun) mpi ;;
  mpi-comm) mpi_comm ;;
  fiar-run) fiar_run ;;
esac
exit $failed
