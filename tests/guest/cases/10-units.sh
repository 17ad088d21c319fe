# The units run as they say: the launcher as root in a delegated subtree, the daemon as nobody in particular.
systemctl is-active hedgerow.service hedgerow-launch.service
daemon=$(systemctl show --value --property MainPID hedgerow.service)
launcher=$(systemctl show --value --property MainPID hedgerow-launch.service)

[ "$(stat -c %U "/proc/$daemon")" = hedgerow ] || fail "the daemon does not run as user hedgerow"
for set in CapInh CapPrm CapEff CapBnd CapAmb; do
    grep -qx "$set:[[:space:]]*0000000000000000" "/proc/$daemon/status" || fail "the daemon has capabilities: $set"
done
[ "$(stat -c %U "/proc/$launcher")" = root ] || fail "the launcher does not run as root"
[ "$(systemctl show --value --property Delegate hedgerow-launch.service)" = yes ] || fail "not delegated"
# Processes may stand in leaves only.
unit=$(systemctl show --value --property ControlGroup hedgerow-launch.service)
[ -z "$(cat "/sys/fs/cgroup$unit/cgroup.procs")" ] || fail "the launcher sits in the delegated cgroup itself"

owner=$(busctl call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus \
    GetConnectionUnixUser s io.hedgerow.Edge1)
[ "$owner" = "u $(id -u hedgerow)" ] || fail "the bus name belongs to $owner"
if setpriv --reuid=65534 --regid=65534 --clear-groups hedgerow status; then
    fail "anybody may ask the daemon"
fi
[ "$(systemctl list-units --failed --no-legend | wc -l)" = 0 ] || fail "$(systemctl list-units --failed)"
