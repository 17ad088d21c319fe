# An exit that happens while there is no daemon is told to the next one.
deploy_only test.bell=1.0.0
bell=$(property test.bell Pid)
old=$(systemctl show --value --property MainPID hedgerow.service)
kill -STOP "$old"
kill -USR1 "$bell"
gone() { [ ! -e "/proc/$bell" ]; }
eventually 20 gone
kill -KILL "$old"
told() { property test.bell LastError 2>/dev/null | grep -w 7; }
eventually 40 told
