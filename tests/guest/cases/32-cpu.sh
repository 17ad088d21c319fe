# A spinner stays within a quarter of one CPU, whatever it starts.
deploy_only test.spinner=1.0.0
used() {
    fence=$(cgroup_of "$(property test.spinner Pid)")
    while [ ! -e "$fence/cpu.stat" ]; do fence=$(dirname "$fence"); done
    sed -n 's/^usage_usec //p' "$fence/cpu.stat"
}
clock() { cut -d' ' -f1 /proc/uptime | tr -d .; } # hundredths of a second
t0=$(clock)
u0=$(used)
sleep 5
u1=$(used)
t1=$(clock)
# Microseconds of CPU in hundredths of a second: 10,000 is one CPU, wholly used.
percent=$(((u1 - u0) / (t1 - t0) / 100))
echo "$percent % of one CPU"
[ "$percent" -le 35 ] && [ "$percent" -ge 10 ] || fail "not a quarter"
