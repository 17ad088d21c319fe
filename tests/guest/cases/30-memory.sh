# Over its memory limit a component is killed alone, and reported as out of memory.
deploy_only test.ticker=1.0.0
ticker=$(property test.ticker Pid)
# It may well be dead before the deployment is said to have worked.
deploy_failed=0
hedgerow deploy --recipe-dir /srv/recipes --artifact-dir /srv/artifacts --add test.hog=1.0.0 || deploy_failed=$?
echo "deploy: $deploy_failed"
killed() { property test.hog LastError | grep -i "memory"; }
eventually 60 killed
[ "$(property test.ticker Pid)" = "$ticker" ] || fail "the neighbour was hit"
journalctl --boot --dmesg --no-pager | grep -i "Memory cgroup out of memory" | tail -n 3
