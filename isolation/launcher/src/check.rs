//! Whether a plan or step may be carried out. The daemon may be subverted: nothing it says is taken for granted.

use std::path::{Component, Path, PathBuf};

use hedgerow_isolation::plan::{Access, Base, IdRange, Limits, Mount, Network, Plan, Step, User};
use hedgerow_isolation::protocol::{Error, ErrorKind, MAX_DIRECTORIES, MAX_NOTE, MAX_PLAN};

/// First ids of the ranges that Hedgerow gives out: systemd's "unused" part of the 32-bit space.
const FIRST_IDS: std::ops::RangeInclusive<u32> = 1_879_048_192..=2_147_418_112;

/// Directories inside a fence below which a plan may mount: those in which nothing is the host's.
const TARGETS: [&str; 4] = ["/greengrass", "/home", "/run", "/tmp"];

/// What a plan may put something in the place of: where Lambda functions look for their code, layers and runtime.
const PLACES: [&str; 4] = ["/opt", "/var/lang", "/var/runtime", "/var/task"];

const MAX_MOUNTS: usize = 64;

/// Mounts at one target: the kernel takes 255 bytes for the names of an overlay's layers.
const MAX_MERGED: usize = 10;

/// Each is asked about every port of its loopback that a fence looks for.
const MAX_DEPENDENCIES: usize = 64;

const MAX_LISTENERS: usize = 4;

/// Bytes of `/tmp`.
const LEAST_TMP: u64 = 64 << 10;

/// What a grant has to give.
const MAX_NEEDS: usize = 32;

/// Bytes of a user's and a group's name.
const MAX_ACCOUNT: usize = 256;

/// Below these the builder itself, which works within the limits, would be killed.
const LEAST: Limits = Limits { memory: Some(16 << 20), cpu: Some(10), pids: Some(8) };

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, message)
}

fn ensure(holds: bool, message: impl FnOnce() -> String) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(invalid(message())) }
}

/// Everything about a plan but its grants and what the file system says.
pub fn plan<'a>(plan: &Plan, others: impl IntoIterator<Item = &'a Plan>) -> Result<(), Error> {
    let size = serde_json::to_vec(plan).map_or(usize::MAX, |json| json.len());
    ensure(size <= MAX_PLAN, || format!("a plan of {size} bytes: {MAX_PLAN} at most"))?;
    let named = (1..=128).contains(&plan.name.len()) && !plan.name.chars().any(char::is_control);
    ensure(named, || {
        format!("component name {:?}: 1 to 128 bytes, no control characters", plan.name)
    })?;
    range(plan.ids)?;
    ids(plan, others)?;
    limits(plan.limits)?;
    listeners(plan)?;
    let tmp = plan.tmp.is_none_or(|bytes| bytes >= LEAST_TMP);
    ensure(tmp, || format!("/tmp of {:?} bytes: {LEAST_TMP} at least", plan.tmp))?;
    let needs = plan.needs.devices.len() + plan.needs.host_paths.len();
    ensure(needs <= MAX_NEEDS, || format!("{needs} needs of the host: {MAX_NEEDS} at most"))?;
    if let Some(layer) = &plan.layer {
        source("layer", &layer.source)?;
    }
    let dependencies = plan.dependencies.len();
    ensure(dependencies <= MAX_DEPENDENCIES, || {
        format!("{dependencies} dependencies: {MAX_DEPENDENCIES} at most")
    })?;
    for dependency in &plan.dependencies {
        range(dependency.ids)?;
        dependency.layer.iter().try_for_each(|layer| source("layer", layer))?;
        let runtime = dependency.mounts.iter().any(|mount| mount.base == Base::Runtime);
        ensure(!runtime, || "a dependency's mount with base \"runtime\"".to_owned())?;
    }
    mounts(plan)
}

/// Fences of one component may share its ids, unless there is a layer: the kernel lets only one write to it.
fn ids<'a>(plan: &Plan, others: impl IntoIterator<Item = &'a Plan>) -> Result<(), Error> {
    let may_share =
        |other: &Plan| other.name == plan.name && other.layer.is_none() && plan.layer.is_none();
    // Ranges are aligned: they overlap only where they are the same.
    let apart = |other: &Plan| other.ids != plan.ids || may_share(other);
    ensure(others.into_iter().all(apart), || {
        format!("ids from {} belong to another open fence", plan.ids.first)
    })
}

fn listeners(plan: &Plan) -> Result<(), Error> {
    ensure(plan.listeners.len() <= MAX_LISTENERS, || {
        format!("{} listeners: {MAX_LISTENERS} at most", plan.listeners.len())
    })?;
    let own = plan.network != Network::Host || plan.listeners.is_empty();
    ensure(own, || {
        "listeners at the host's own 127.0.0.1: they need a fence with a network of its own"
            .to_owned()
    })?;
    let mut ports = plan.listeners.iter().enumerate();
    let twice = ports.any(|(i, port)| *port == 0 || plan.listeners[..i].contains(port));
    ensure(!twice, || format!("listeners {:?}: distinct ports above 0", plan.listeners))
}

fn range(range: IdRange) -> Result<(), Error> {
    let first = range.first;
    ensure(FIRST_IDS.contains(&first) && first.is_multiple_of(IdRange::COUNT), || {
        format!(
            "ids from {first}: must begin in {}..={} at a multiple of {}",
            FIRST_IDS.start(),
            FIRST_IDS.end(),
            IdRange::COUNT
        )
    })
}

pub fn limits(limits: Limits) -> Result<(), Error> {
    let enough = |given: Option<u64>, least: Option<u64>| given.is_none() || given >= least;
    let checks = [
        ("memory", "bytes", limits.memory, LEAST.memory),
        ("cpu", "thousandths", limits.cpu.map(u64::from), LEAST.cpu.map(u64::from)),
        ("pids", "processes", limits.pids.map(u64::from), LEAST.pids.map(u64::from)),
    ];
    checks.into_iter().try_for_each(|(name, unit, given, least)| {
        ensure(enough(given, least), || {
            format!(
                "{name} limit of {} {unit}: {} at least",
                given.unwrap_or(0),
                least.unwrap_or(0)
            )
        })
    })
}

fn mounts(plan: &Plan) -> Result<(), Error> {
    let foreign = plan.dependencies.iter().flat_map(|dependency| &dependency.mounts);
    let count = plan.mounts.len() + foreign.clone().count();
    ensure(count <= MAX_MOUNTS, || format!("{count} mounts: {MAX_MOUNTS} at most"))?;
    plan.mounts.iter().chain(foreign.clone()).try_for_each(mount)?;
    plan.places().try_for_each(merged)?;
    let targets = plan.places().filter_map(<[Mount]>::first).chain(foreign);
    let targets: Vec<_> = targets.map(|mount| &mount.target).collect();
    for (index, target) in targets.iter().enumerate() {
        let nested = |other: &&&PathBuf| other.starts_with(target) || target.starts_with(other);
        let earlier = targets[..index].iter().find(nested);
        ensure(earlier.is_none(), || {
            format!("mount target {target:?} and {earlier:?} lie in one another")
        })?;
    }
    Ok(())
}

fn mount(mount: &Mount) -> Result<(), Error> {
    source("mount source", &mount.source)?;
    let plain = mount.target.strip_prefix("/").is_ok_and(is_plain);
    let below = |above: &&str| mount.target.starts_with(above) && mount.target != Path::new(above);
    let known =
        TARGETS.iter().any(below) || PLACES.iter().any(|place| mount.target == Path::new(place));
    ensure(plain && known, || {
        let (above, places) = (TARGETS.join(", "), PLACES.join(", "));
        format!("mount target {:?}: must lie below {above}, or be one of {places}", mount.target)
    })?;
    mount.owner.map_or(Ok(()), user)?;
    let alters = match mount.access {
        Access::ReadOnly => mount.owner.is_some(),
        Access::ReadWrite => true,
        Access::Layered => false,
    };
    ensure(mount.base != Base::Image || !alters, || {
        format!("mount source {:?}: the image is read-only", mount.source)
    })
}

/// Mounts at one target.
fn merged(mounts: &[Mount]) -> Result<(), Error> {
    let Some(first) = mounts.first().filter(|_| mounts.len() > 1) else { return Ok(()) };
    let fits = mounts.len() <= MAX_MERGED && mounts.iter().all(|m| m.access == Access::Layered);
    ensure(fits, || {
        format!(
            "mount target {:?}: {MAX_MERGED} layered mounts at most, and no other",
            first.target
        )
    })
}

fn source(what: &str, path: &Path) -> Result<(), Error> {
    ensure(is_plain(path) && path.is_relative(), || {
        format!("{what} {path:?}: a relative path without \"..\"")
    })
}

/// Names only, and at least one.
fn is_plain(path: &Path) -> bool {
    path.file_name().is_some()
        && path.components().all(|component| matches!(component, Component::Normal(_)))
        && !path.as_os_str().as_encoded_bytes().contains(&0)
}

/// The directories of a request to `act` on some, relative to the state directory.
pub fn directories(act: &str, sources: &[PathBuf]) -> Result<(), Error> {
    ensure(sources.len() <= MAX_DIRECTORIES, || {
        format!("{} directories to {act}: {MAX_DIRECTORIES} at most", sources.len())
    })?;
    sources.iter().try_for_each(|path| source(&format!("directory to {act}"), path))
}

/// A path to open inside a fence, and as whom.
pub fn opened(path: &Path, as_user: User) -> Result<(), Error> {
    let good = path.is_absolute() && !path.as_os_str().as_encoded_bytes().contains(&0);
    ensure(good, || format!("path {path:?} to open: must be absolute"))?;
    user(as_user)
}

fn user(user: User) -> Result<(), Error> {
    ensure(user.uid < IdRange::COUNT && user.gid < IdRange::COUNT, || {
        format!("user {}:{}: ids of a fence are below {}", user.uid, user.gid, IdRange::COUNT)
    })
}

pub fn note(note: &str) -> Result<(), Error> {
    ensure(note.len() <= MAX_NOTE, || format!("a note of {} bytes: {MAX_NOTE} at most", note.len()))
}

pub fn step(step: &Step) -> Result<(), Error> {
    let has_nul = |text: &str| text.contains('\0');
    ensure(step.argv.first().is_some_and(|p| !p.is_empty()), || {
        "a step without a program".to_owned()
    })?;
    ensure(!step.argv.iter().any(|a| has_nul(a)), || "a NUL character in an argument".to_owned())?;
    for (name, value) in &step.env {
        let ok = !name.is_empty() && !name.contains('=') && !has_nul(name) && !has_nul(value);
        ensure(ok, || {
            format!("environment variable {name:?}: no empty name, no '=' in it, no NUL")
        })?;
    }
    let cwd = step.cwd.is_absolute() && !step.cwd.as_os_str().as_encoded_bytes().contains(&0);
    ensure(cwd, || format!("working directory {:?}: must be absolute", step.cwd))?;
    if let Some(account) = &step.account {
        ensure(account.name.len() <= MAX_ACCOUNT && !has_nul(&account.name), || {
            format!("user {:?}: {MAX_ACCOUNT} bytes at most, and no NUL", account.name)
        })?;
        let absolute = account.directories.iter().all(|directory| directory.is_absolute());
        ensure(absolute, || "directories of a user: must be absolute".to_owned())?;
    }
    user(step.user)
}

pub fn signal(signal: i32) -> Result<(), Error> {
    ensure((1..=64).contains(&signal), || format!("signal {signal}: 1 to 64"))
}

#[cfg(test)]
mod tests {
    use hedgerow_isolation::plan::{Account, Dependency, Layer, Needs, StepId};

    use super::*;

    /// What the refusal must say, and what is wrong.
    type Case<T> = (&'static str, fn(&mut T));

    fn good() -> Plan {
        Plan {
            fence: "sensor-1".to_owned().try_into().unwrap(),
            name: "com.example.Sensor".to_owned(),
            ids: IdRange { first: 1_879_048_192 },
            network: Network::None,
            limits: Limits::default(),
            mounts: vec![mount("work/a", "/greengrass/v2/work/a"), mount("ipc/a", "/run/ipc")],
            layer: None,
            dependencies: Vec::new(),
            tmp: None,
            listeners: Vec::new(),
            needs: Needs::default(),
        }
    }

    fn mount(source: &str, target: &str) -> Mount {
        Mount {
            base: Base::State,
            source: source.into(),
            target: target.into(),
            access: Access::ReadOnly,
            owner: Some(User::GGC),
        }
    }

    fn refusal(change: impl FnOnce(&mut Plan)) -> String {
        let mut changed = good();
        change(&mut changed);
        let other = Plan { ids: IdRange { first: 1_879_113_728 }, ..good() };
        plan(&changed, [&Plan { name: "other".into(), ..other }]).unwrap_err().message
    }

    #[test]
    fn each_reason_to_refuse_a_plan_is_named() {
        plan(&good(), []).unwrap();
        let cases: [Case<Plan>; 25] = [
            ("component name", |p| p.name = String::new()),
            ("component name", |p| p.name = "a\nb".into()),
            ("must begin in", |p| p.ids.first = 0),
            ("must begin in", |p| p.ids.first += 1),
            ("must begin in", |p| p.ids.first = 2_147_418_112 + 65_536),
            ("another open fence", |p| p.ids.first += 65_536),
            ("memory limit of 1 bytes", |p| p.limits.memory = Some(1)),
            ("cpu limit", |p| p.limits.cpu = Some(9)),
            ("pids limit", |p| p.limits.pids = Some(2)),
            ("mount source", |p| p.mounts[0].source = "../x".into()),
            ("mount source", |p| p.mounts[0].source = "/etc".into()),
            ("mount source", |p| p.mounts[0].source = "".into()),
            ("mount target", |p| p.mounts[0].target = "/etc/x".into()),
            ("mount target", |p| p.mounts[0].target = "/tmp/../etc".into()),
            ("in one another", |p| p.mounts[0].target = "/run/ipc/x".into()),
            ("ids of a fence", |p| p.mounts[0].owner = Some(User { uid: 65_536, gid: 0 })),
            ("mount target", |p| p.mounts[0].target = "/opt/x".into()),
            ("no other", |p| p.mounts[1].target = p.mounts[0].target.clone()),
            ("/tmp of", |p| p.tmp = Some(1)),
            ("above 0", |p| p.listeners = vec![9001, 9001]),
            ("above 0", |p| p.listeners = vec![0]),
            ("4 at most", |p| p.listeners = (1..6).collect()),
            ("of its own", |p| {
                p.listeners = vec![9001];
                p.network = Network::Host;
            }),
            ("64 at most", |p| {
                let one = Dependency { ids: p.ids, layer: None, mounts: Vec::new() };
                p.dependencies = vec![one; 65];
            }),
            ("32 at most", |p| p.needs.devices = vec!["/dev/null".into(); 33]),
        ];
        for (reason, change) in cases {
            let message = refusal(change);
            assert!(message.contains(reason), "{message:?} should say {reason:?}");
        }
        // An owner, or writing: either would alter what is not the fence's.
        let image = |p: &mut Plan| p.mounts[0].base = Base::Image;
        assert!(refusal(image).contains("the image is read-only"));
        let writable = |p: &mut Plan| {
            let access = Access::ReadWrite;
            p.mounts[0] = Mount { base: Base::Image, access, owner: None, ..p.mounts[0].clone() };
        };
        assert!(refusal(writable).contains("the image is read-only"));
        let many =
            |p: &mut Plan| p.mounts = (0..65).map(|i| mount("a", &format!("/run/{i}"))).collect();
        assert!(refusal(many).contains("64 at most"));
        let large = |p: &mut Plan| p.mounts[0].source = "a".repeat(MAX_PLAN).into();
        assert!(refusal(large).contains("a plan of"));
    }

    #[test]
    fn fences_of_one_component_share_its_ids_where_none_has_a_layer() {
        let layer = Some(Layer { source: "layers/a".into(), quota: None });
        let other = |name: &str| Plan { name: name.into(), ..good() };
        plan(&good(), [&good()]).unwrap();
        plan(&good(), [&other("other")]).unwrap_err();
        let layered = Plan { layer, ..good() };
        plan(&good(), [&layered]).unwrap_err();
        plan(&layered, [&good()]).unwrap_err();
    }

    #[test]
    fn layered_mounts_in_a_row_may_have_one_target() {
        let merged = |count: usize| {
            let layer = Mount { access: Access::Layered, ..mount("a", "/opt") };
            Plan { mounts: vec![layer; count], ..good() }
        };
        plan(&merged(10), []).unwrap();
        plan(&merged(11), []).unwrap_err();
        let mut apart = merged(2);
        apart.mounts.insert(1, mount("b", "/var/task"));
        plan(&apart, []).unwrap_err();
    }

    #[test]
    fn each_reason_to_refuse_a_step_is_named() {
        let good = Step {
            id: StepId(1),
            argv: vec!["true".into()],
            env: [("A".to_owned(), "=b".to_owned())].into(),
            cwd: "/".into(),
            user: User::GGC,
            account: None,
            privileged: false,
        };
        step(&good).unwrap();
        let account = |name: String, directory: &str| {
            Some(Account { name, directories: vec![directory.into()] })
        };
        let named = Step { account: account("a:b".into(), "/a"), ..good.clone() };
        step(&named).unwrap();
        for (name, directory) in [("a".repeat(257), "/a"), ("a\0".into(), "/a"), ("a".into(), "a")]
        {
            step(&Step { account: account(name, directory), ..good.clone() }).unwrap_err();
        }
        let cases: [Case<Step>; 6] = [
            ("without a program", |s| s.argv.clear()),
            ("NUL", |s| s.argv.push("\0".into())),
            ("environment variable", |s| s.env = [("A=B".into(), String::new())].into()),
            ("environment variable", |s| s.env = [(String::new(), String::new())].into()),
            ("absolute", |s| s.cwd = "tmp".into()),
            ("ids of a fence", |s| s.user.gid = u32::MAX),
        ];
        for (reason, change) in cases {
            let mut changed = good.clone();
            change(&mut changed);
            let message = step(&changed).unwrap_err().message;
            assert!(message.contains(reason), "{message:?} should say {reason:?}");
        }
        assert!(signal(15).is_ok() && signal(0).is_err() && signal(65).is_err());
        assert!(note(&"n".repeat(MAX_NOTE)).is_ok() && note(&"n".repeat(MAX_NOTE + 1)).is_err());
    }
}
