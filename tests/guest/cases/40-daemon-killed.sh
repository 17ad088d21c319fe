# The daemon is killed and comes back: what has no session goes on, its log without a gap, its exit is reported.
deploy_only test.ticker=1.0.0 test.bell=1.0.0
ticker=$(property test.ticker Pid)
bell=$(property test.bell Pid)
old=$(systemctl show --value --property MainPID hedgerow.service)
kill -KILL "$old"
new_daemon() {
    now=$(systemctl show --value --property MainPID hedgerow.service)
    [ "$now" != 0 ] && [ "$now" != "$old" ] && daemon_answers && state_is test.bell RUNNING
}
eventually 30 new_daemon
[ "$(property test.ticker Pid)" = "$ticker" ] || fail "test.ticker was replaced"
[ "$(property test.bell Pid)" = "$bell" ] || fail "test.bell was replaced"

# One that ends while nobody watches.
ended() { property test.bell LastError | grep -w 7; }
kill -USR1 "$bell"
eventually 30 ended

ticked() { [ "$(hedgerow logs -n 1 test.ticker | grep -o 'tick [0-9]*' | cut -d' ' -f2)" -gt 100 ]; }
eventually 60 ticked
hedgerow logs test.ticker | grep -o 'tick [0-9]*' | cut -d' ' -f2 > "$TEST_LOGS/ticks"
# An earlier case may have left an earlier run in the log; its process is another, and each begins at 1.
awk '$1 == 1 { next_one = 1 }
    $1 != next_one++ { print "a gap before " $1; exit 1 }' "$TEST_LOGS/ticks"
