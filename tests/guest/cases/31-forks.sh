# A fork bomb stays within its pids.
deploy_only test.forker=1.0.0
stopped() { hedgerow logs test.forker | grep -q "stopped at"; }
eventually 60 stopped
cgroup=$(cgroup_of "$(property test.forker Pid)")
[ "$(cat "$cgroup/pids.current" 2>/dev/null || echo 0)" -le 32 ] || fail "$(cat "$cgroup/pids.current") processes"
started=$(hedgerow logs test.forker | sed -n 's/.*stopped at \([0-9]*\).*/\1/p' | head -n 1)
echo "it started $started"
[ "$started" -le 31 ] && [ "$started" -ge 20 ] || fail "a limit of 32 let it start $started"
