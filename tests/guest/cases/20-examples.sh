# The examples on the unmodified SDK: deployed, talking, alarms coming.
deploy_only com.example.sensor=1.0.0 com.example.alarm=1.0.0
state_is com.example.sensor RUNNING
state_is com.example.alarm RUNNING
timeout 60 hedgerow --json topic sub --count 2 alarms/host > "$TEST_LOGS/alarms.json"
cat "$TEST_LOGS/alarms.json"
python3 - "$TEST_LOGS/alarms.json" <<'PYTHON'
import json, sys
for line in open(sys.argv[1]):
    alarm = json.loads(json.loads(line)["payload"])
    assert alarm["quantity"] == "memory_used_mb" and alarm["value"] > alarm["threshold"], alarm
PYTHON
hedgerow logs com.example.sensor | grep "this machine measures"
