# Who is neither root nor in group hedgerow does what a polkit rule lets them do, and nothing else.
as_nobody() {
    setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
}

deploy_only test.ticker=1.0.0
! as_nobody hedgerow restart test.ticker || fail "anybody restarts a component"

cat > /etc/polkit-1/rules.d/50-operator.rules << 'END'
polkit.addRule(function (action, subject) {
    var allowed = ["io.hedgerow.Edge1.inspect", "io.hedgerow.Edge1.control"];
    if (subject.user == "nobody" && allowed.indexOf(action.id) >= 0) {
        return polkit.Result.YES;
    }
});
END
before=$(property test.ticker Pid)
# polkitd reads the rules when it sees them.
eventually 30 as_nobody hedgerow restart test.ticker
[ "$(property test.ticker Pid)" != "$before" ] || fail "it was not restarted"
if said=$(as_nobody hedgerow logs test.ticker 2>&1); then
    fail "polkit allowed what no rule allows"
fi
case $said in
    *io.hedgerow.Edge1.read-logs*) ;;
    *) fail "the refusal does not name the action: $said" ;;
esac
! as_nobody hedgerow status || fail "properties are for the group"
rm /etc/polkit-1/rules.d/50-operator.rules
deploy_only
