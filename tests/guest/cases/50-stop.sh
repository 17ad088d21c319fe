# Stopping the service stops the components in order and runs their shutdown steps; nothing is left.
deploy_only test.front=1.0.0
state_is test.front RUNNING
state_is test.back RUNNING
systemctl stop hedgerow.service
log=/var/lib/hedgerow/logs
front=$(sed -n 's/.*test.front stops at \([0-9.]*\).*/\1/p' "$log/test.front.log" | tail -n 1)
back=$(sed -n 's/.*test.back stops at \([0-9.]*\).*/\1/p' "$log/test.back.log" | tail -n 1)
echo "front at $front, back at $back"
awk -v front="$front" -v back="$back" 'BEGIN { exit !(front != "" && back != "" && front < back) }' || fail "not in order"
if pgrep -x hedgerow-init; then fail "a fence was left"; fi
unit=$(systemctl show --value --property ControlGroup hedgerow-launch.service)
[ -z "$unit" ] || ! find "/sys/fs/cgroup$unit" -mindepth 2 -type d | grep . || fail "a cgroup was left"

# And it all comes back.
systemctl start hedgerow.service
back_again() { state_is test.front RUNNING; }
eventually 40 back_again
