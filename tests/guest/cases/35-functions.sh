# Lambda functions in cgroup v2: frozen and thawed, out of memory, reclaimed when memory is short, and what the daemon's
# death leaves of them.
of_functions=/var/lib/functions
unit=$(systemctl show --value --property ControlGroup hedgerow-launch.service)
fences() {
    find "/sys/fs/cgroup$unit" -maxdepth 1 -name 'fence-f*'
}
# The cgroups of instances: in a fence that is prepared for the next one their runtime does not run yet.
instances() {
    for fence in $(fences); do
        for process in $(cat "$fence/cgroup.procs" "$fence"/*/cgroup.procs 2> /dev/null); do
            if grep -qs /var/task/bootstrap "/proc/$process/cmdline"; then
                echo "$fence"
                break
            fi
        done
    done
}
is_gone() { [ ! -d "$1" ]; }
frozen() { grep -qx "frozen $2" "$1/cgroup.events"; }
is_one_prepared() { [ "$(fences | wc -l)" -gt "$(instances | wc -l)" ]; }
is_none_prepared() { [ "$(fences | wc -l)" = "$(instances | wc -l)" ]; }
used() { sed -n 's/^usage_usec //p' "$1/cpu.stat"; }
got() { hedgerow logs "$1" | grep -F "got $2"; }

deploy_only
# Time must not do what memory pressure is to do.
common="maxIdleTimeInSeconds: 600, containerParams: { memorySize: 49152 }"
function_recipe "$of_functions" test.first "$common, pubsubTopics: { '0': { topic: test/in, type: PUB_SUB } },
    hedgerow: { schedules: { '0': { expression: cron(0 3 * * ? *), input: { by: cron } } } }"
function_recipe "$of_functions" test.second "$common"
hedgerow deploy --recipe-dir "$of_functions/recipes" --artifact-dir "$of_functions/artifacts" \
    --add test.first=1.0.0 --add test.second=1.0.0
state_is test.first RUNNING
[ -z "$(instances)" ] || fail "nobody has asked it anything yet"
[ "$(hedgerow invoke test.first -p '{"a": 1}')" = '{"a": 1}' ] || fail "not its answer"
first=$(instances)
eventually 10 frozen "$first" 1
before=$(used "$first")
sleep 1
[ "$(used "$first")" = "$before" ] || fail "it runs while it is frozen"

hedgerow topic pub --json-payload test/in '{"by": "topic"}'
eventually 10 got test.first "{'by': 'topic'}"
[ "$(instances)" = "$first" ] || fail "another instance"
eventually 10 frozen "$first" 1

echo "the clock is set"
boot=$(($(date +%s) - $(cut -d. -f1 /proc/uptime)))
date --utc --set 'tomorrow 02:59:58'
eventually 20 got test.first "{'by': 'cron'}"
date --set "@$((boot + $(cut -d. -f1 /proc/uptime)))"
[ "$(instances)" = "$first" ] || fail "another instance for the schedule"

echo "out of memory"
said=$(hedgerow invoke test.second -p '{"eat": 1}' 2>&1) && fail "it ate: $said"
echo "$said"
case $said in
    *Runtime.OutOfMemory*"signal: killed"*) ;;
    *) fail "not as Lambda says it" ;;
esac
hedgerow logs test.second | grep "REPORT"
only_first() { [ "$(instances)" = "$first" ]; }
eventually 10 only_first

echo "memory is short"
hedgerow invoke test.second
second=$(instances | grep -v -x "$first")
eventually 10 frozen "$second" 1
eventually 10 is_one_prepared
# Whoever takes more than its share has to wait, and counts as waiting for memory.
systemd-run --quiet --unit=shortage --property=MemoryHigh=16M --property=MemoryMax=256M \
    python3 -c 'kept = [bytearray(4096) for _ in iter(int, 1)]'
deadline=$(($(date +%s) + 40))
while [ -d "$first" ]; do
    [ -d "$second" ] || fail "the younger went first"
    [ "$(date +%s)" -lt "$deadline" ] || { cat /proc/pressure/memory; fail "none was reclaimed"; }
done
systemctl stop shortage.service
eventually 10 is_none_prepared
cat /proc/pressure/memory

echo "the daemon is killed"
hedgerow invoke --async test.first -p '{"hang": 1}'
eventually 20 got test.first "{'hang': 1}"
hanging=$(instances | grep -v -x "$second")
for n in 1 2 3; do hedgerow invoke --async test.first -p "{\"by\": $n}"; done
kill -KILL "$(systemctl show --value --property MainPID hedgerow.service)"
eventually 30 is_gone "$hanging"
for n in 1 2 3; do eventually 30 got test.first "{'by': $n}"; done
[ "$(hedgerow logs test.first | grep -cF "got {'hang': 1}")" = 2 ] || fail "what was cut off was not delivered again"
[ "$(instances | wc -l)" = 1 ] || fail "an instance is nobody's: $(instances)"
deploy_only
[ -z "$(fences)" ] || fail "an instance outlives its function"
