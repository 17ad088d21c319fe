# The power is cut while one version after the other is deployed. What runs after it is the version that was last
# reported done, or the one that was being deployed; both components, whole, and nothing else is left. Meanwhile events are
# queued for a function: whatever was acknowledged is delivered.
cuts=2
versions=/var/lib/power-versions

recipe() { # NAME VERSION, more lines
    mkdir -p "$versions/artifacts/$1/$2"
    # Too large to be on disk by chance.
    yes "data of $2" 2> /dev/null | head -c 2000000 > "$versions/artifacts/$1/$2/data"
    cat > "$versions/recipes/$1-$2.yaml"  <<END
RecipeFormatVersion: "2020-01-25"
ComponentName: $1
ComponentVersion: $2
ComponentConfiguration: { DefaultConfiguration: { of${2%%.*}: $2 } }
${3:-}
Manifests:
  - Platform: { os: linux }
    Artifacts: [{ Uri: s3://bucket/data }]
    Lifecycle:
      install: head -n 1 {artifacts:path}/data | sudo tee /opt/installed
      run: |
        echo "runs $2, installed \$(cat /opt/installed), configured {configuration:/of${2%%.*}}"
        exec sleep 100000
END
}

deploy() {
    hedgerow deploy --recipe-dir "$versions/recipes" --artifact-dir "$versions/artifacts" \
        --add "test.powerback=$1" --add "test.powerfront=$1"
}

known() {
    found=$(property test.powerback Version 2> /dev/null)
    [ -n "$found" ]
}

# Both run what they should, or: both are on their way.
settled() {
    for name in test.powerback test.powerfront; do
        state_is "$name" RUNNING || return 1
        [ "$(property "$name" Version)" = "$1" ] || return 1
        hedgerow logs -n 1 "$name" | grep -F "runs $1, installed data of $1, configured $1" || return 1
    done
}

idle() {
    ! hedgerow --json deployment list | grep -E 'QUEUED|IN_PROGRESS'
}

# Nothing is kept that no deployed version needs: the fences are those of both, and the prepared one of the function.
nothing_is_left() {
    state=/var/lib/hedgerow
    ls "$state"/* "$state/packages/.blobs" > "$TEST_LOGS/power-state"
    [ "$(ls "$state/work" | wc -l)" = 3 ] && [ "$(ls "$state/layers" | wc -l)" = 2 ] &&
        [ "$(pgrep -c -x hedgerow-init)" = 3 ]
}

blobs_are_whole() {
    for blob in /var/lib/hedgerow/packages/.blobs/*; do
        sum=$(sha256sum "$blob" | cut -d' ' -f1)
        case $(basename "$blob") in
            "$sum"*) ;;
            *) fail "$blob has other content" ;;
        esac
    done
}

# Events that were acknowledged in earlier boots and did not reach the function.
lost() {
    cat /var/lib/hedgerow/work/*/notes > "$TEST_LOGS/power-notes" 2> /dev/null
    said "queued .*" | sed 's/queued //' | grep -v -x -F -f "$TEST_LOGS/power-notes"
}
none_is_lost() { ! lost > /dev/null; }

queue_event() {
    event=$(cut -d' ' -f1 /proc/uptime)-$(cat /proc/sys/kernel/random/boot_id)
    hedgerow invoke --async test.powerqueue -p "{\"note\": \"$event\"}" && say "queued $event"
}

if ! done=$(said "done .*"); then
    deploy_only
    mkdir -p "$versions/recipes"
    for version in 1.0.0 2.0.0; do
        recipe test.powerback "$version"
        recipe test.powerfront "$version" \
            "ComponentDependencies: { test.powerback: { VersionRequirement: =$version } }"
    done
    function_recipe "$versions" test.powerqueue "maxIdleTimeInSeconds: 2"
    sync
    deploy 1.0.0
    hedgerow deploy --recipe-dir "$versions/recipes" --artifact-dir "$versions/artifacts" \
        --add test.powerqueue=1.0.0
    done="done 1.0.0"
    say "$done"
else
    done=$(echo "$done" | tail -n 1)
    asked=$(said "deploys .*" | tail -n 1)
    eventually 60 known
    say "after the cut: $done, $asked, found $found"
    [ "$found" = "${done#done }" ] || [ "$found" = "${asked#deploys }" ] || fail "another version"
    eventually 60 settled "$found"
    eventually 60 idle
    eventually 60 nothing_is_left || { cat "$TEST_LOGS/power-state"; fail "something is left"; }
    blobs_are_whole
    eventually 60 none_is_lost || fail "acknowledged and not delivered: $(lost)"
    echo "$(said "queued .*" | wc -l) events were delivered"
    hedgerow status
    done="done $found"
    say "$done"
fi

if [ "$(said "cut" | wc -l)" -lt "$cuts" ]; then
    say cut
    for _ in 1 2 3; do queue_event; done
    ask_host "cut the power in $(shuf -i 0-5000 -n 1) ms"
    while :; do queue_event; done &
    while :; do
        case $done in
            *1.0.0) version=2.0.0 ;;
            *) version=1.0.0 ;;
        esac
        say "deploys $version"
        deploy "$version"
        done="done $version"
        say "$done"
    done
fi
deploy_only
