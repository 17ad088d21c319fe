# All that stays resident, with two idle components: as systemd runs it, so without the respawner of --root.
deploy_only test.front=1.0.0 # and test.back, which it depends on
total=0
for process in $(pgrep hedgerow); do
    pss=$(sed -n 's/^Pss: *\([0-9]*\) kB$/\1/p' "/proc/$process/smaps_rollup")
    echo "$(cat "/proc/$process/comm"): $pss kB"
    total=$((total + pss))
done
echo "together: $total kB"
# Nearly all of it is the text of the programs, which this keeps from growing unseen: 10 MB are what is aimed at, and what
# runs Lambda functions is over it.
[ "$total" -le 10800 ] || fail "over 10.8 MB"
