# A bootstrap step that ends with 101 reboots the device, through logind, and its deployment goes on after that.
boot=$(cat /proc/sys/kernel/random/boot_id)
if ! before=$(said "deploys in .*"); then
    deploy_only
    say "deploys in $boot"
    ask_host reboots
    hedgerow deploy --no-wait --recipe-dir /srv/recipes --add test.rebooter=1.0.0
    eventually 100 false
fi
before=${before##* }
[ "$before" != "$boot" ] || fail "no reboot"
succeeded() { hedgerow --json deployment list | grep -q SUCCEEDED; }
eventually 60 state_is test.rebooter RUNNING
log=$(hedgerow logs test.rebooter)
echo "$log"
[ "$(echo "$log" | grep -c "bootstrap in")" = 1 ] || fail "bootstrap ran again"
echo "$log" | grep -q "bootstrap in $before" || fail "bootstrap ran in another boot"
echo "$log" | grep -q "run in $boot" || fail "it does not run in this boot"
hedgerow deployment list
journalctl --boot=-1 --unit=systemd-logind --no-pager | grep -i reboot
deploy_only
