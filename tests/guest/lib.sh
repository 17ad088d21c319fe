# What the cases share. Sourced; every case is a shell script under `set -eu`.

# Waits until a command succeeds, SECONDS at most.
eventually() {
    seconds=$1
    shift
    deadline=$(($(date +%s) + seconds))
    until "$@"; do
        if [ "$(date +%s)" -ge "$deadline" ]; then
            echo "not within $seconds s: $*"
            return 1
        fi
        sleep 0.2
    done
}

fail() {
    echo "$*"
    exit 1
}

# A property of a component: property NAME Pid
property() {
    # sd_bus_path_encode(3), as far as our names need it.
    object=/io/hedgerow/Edge1/component/$(echo "$1" | sed 's/\./_2e/g')
    busctl get-property io.hedgerow.Edge1 "$object" io.hedgerow.Edge1.Component "$2" | cut -d' ' -f2- | tr -d '"'
}

state_is() {
    [ "$(property "$1" State 2>/dev/null)" = "$2" ]
}

daemon_answers() {
    busctl get-property io.hedgerow.Edge1 /io/hedgerow/Edge1 io.hedgerow.Edge1.Manager Version > /dev/null 2>&1
}

# Makes NAME=VERSION... all that is deployed.
deploy_only() {
    remove=$(busctl call io.hedgerow.Edge1 /io/hedgerow/Edge1 io.hedgerow.Edge1.Manager ListComponents --json=short |
        python3 -c 'import json, sys; print(*(row[0] for row in json.load(sys.stdin)["data"][0]))')
    set -- $(for name in $remove; do echo --remove "$name"; done) -- "$@"
    changes=
    while [ "$1" != -- ]; do
        changes="$changes $1"
        shift
    done
    shift
    # Two deployments, so that nothing of an earlier case goes on under the same name.
    [ -z "$changes" ] || hedgerow deploy $changes
    [ $# -eq 0 ] || hedgerow deploy --recipe-dir /srv/recipes --artifact-dir /srv/artifacts \
        $(for addition; do echo --add "$addition"; done)
}

# The cgroup (v2) of a process, as a directory.
cgroup_of() {
    echo "/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$1/cgroup")"
}

# Tells the host at once; it is still known when the guest boots again.
say() {
    echo "$0: $*" >&3
}

# What this case said in earlier boots, the latest last: said PATTERN
said() {
    sed -n "s/^$0: //p" /tests/said | grep -x -e "$1"
}

# Asks the host for something, see machine.rs.
ask_host() {
    echo "guest: $*" >&3
}

# A recipe and an artifact in DIR/recipes and DIR/artifacts: function_recipe DIR NAME CONFIGURATION
function_recipe() {
    mkdir -p "$1/recipes" "$1/artifacts/$2/1.0.0"
    (cd /tests/components/functions/test.function &&
        python3 -m zipfile -c "$1/artifacts/$2/1.0.0/lambda-artifact.zip" .)
    cat > "$1/recipes/$2.yaml" << END
RecipeFormatVersion: "2020-01-25"
ComponentName: $2
ComponentVersion: 1.0.0
ComponentType: aws.greengrass.lambda
ComponentConfiguration:
  DefaultConfiguration: { pinned: false, timeoutInSeconds: 60, maxInstancesCount: 1, $3 }
Manifests:
  - Lifecycle:
      Setenv: { AWS_GREENGRASS_LAMBDA_FUNCTION_HANDLER: any, AWS_GREENGRASS_LAMBDA_RUNTIME: provided.al2023 }
    Artifacts: [{ Uri: greengrass:lambda-artifact.zip, Unarchive: ZIP }]
END
}
