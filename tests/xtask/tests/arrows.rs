//! The arrows between rooms (docs/ARCHITECTURE.md), checked against what Cargo links.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::{env, fs};

use serde_json::Value;

/// A crate of ours.
struct Room {
    name: &'static str,
    /// Our own crates that it may use directly.
    uses: &'static [&'static str],
    /// Crates that may not be in what it links, however far down.
    never: &'static [&'static str],
    /// Whether its root says `forbid(unsafe_code)`.
    safe: bool,
}

const fn room(
    name: &'static str,
    uses: &'static [&'static str],
    never: &'static [&'static str],
) -> Room {
    Room { name, uses, never, safe: true }
}

const ROOMS: &[Room] = &[
    room("hedgerow-ipc", &[], &["libcontainer", "nix", "redb", "zbus"]),
    Room {
        safe: false,
        ..room("hedgerow-isolation", &[], &["libcontainer", "redb", "tokio", "zbus"])
    },
    Room {
        safe: false,
        ..room("hedgerow-init", &["hedgerow-isolation"], &["libcontainer", "redb", "tokio", "zbus"])
    },
    Room {
        safe: false,
        ..room("hedgerow-launcher", &["hedgerow-isolation"], &["redb", "tokio", "zbus"])
    },
    room("hedgerow-api", &[], &["libcontainer", "redb"]),
    room("hedgerow-component", &[], &["libcontainer", "redb", "tokio", "zbus"]),
    room("hedgerow-function", &[], &["libcontainer", "redb", "zbus"]),
    room("hedgerow-store", &[], &["libcontainer", "tokio", "zbus"]),
    room(
        "hedgerow-daemon",
        &[
            "hedgerow-api",
            "hedgerow-component",
            "hedgerow-function",
            "hedgerow-ipc",
            "hedgerow-isolation",
            "hedgerow-store",
        ],
        &["libcontainer", "libseccomp"],
    ),
    room(
        "hedgerow-cli",
        &["hedgerow-api", "hedgerow-component", "hedgerow-function"],
        &["libcontainer", "redb"],
    ),
    room("hedgerow-guest", &[], &[]),
    // A user's own program.
    room("echo-rust", &[], &[]),
    room("hedgerow-harness", &["hedgerow-api"], &["libcontainer", "redb"]),
    room(
        "hedgerow-cases",
        &["hedgerow-api", "hedgerow-harness", "hedgerow-ipc"],
        &["libcontainer", "redb"],
    ),
    // The fence measured is the fence shipped, so it links the launcher's library.
    room(
        "hedgerow-bench",
        &[
            "hedgerow-api",
            "hedgerow-function",
            "hedgerow-harness",
            "hedgerow-ipc",
            "hedgerow-isolation",
            "hedgerow-launcher",
        ],
        &["redb"],
    ),
    room(
        "xtask",
        &["hedgerow-api", "hedgerow-guest", "hedgerow-harness", "hedgerow-ipc"],
        &["libcontainer", "redb"],
    ),
];

/// What `cargo metadata` says, by package id.
struct Graph {
    names: BTreeMap<String, String>,
    roots: BTreeMap<String, Vec<String>>,
    edges: BTreeMap<String, Vec<String>>,
    members: BTreeSet<String>,
}

#[test]
fn every_crate_of_ours_is_in_the_table() {
    let graph = graph();
    let members: BTreeSet<&str> = graph.members.iter().map(|id| graph.names[id].as_str()).collect();
    let table: BTreeSet<&str> = ROOMS.iter().map(|room| room.name).collect();
    assert_eq!(members, table);
}

#[test]
fn rooms_use_only_the_rooms_they_may() {
    let graph = graph();
    for room in ROOMS {
        let ours = graph.edges[graph.id(room.name)].iter().filter(|id| graph.members.contains(*id));
        for used in ours.map(|id| graph.names[id].as_str()) {
            assert!(room.uses.contains(&used), "{} may not use {used}", room.name);
        }
    }
}

#[test]
fn rooms_link_nothing_that_they_must_not() {
    let graph = graph();
    for room in ROOMS {
        let paths = graph.reached_from(graph.id(room.name));
        for name in room.never {
            if let Some((_, path)) = paths.iter().find(|(id, _)| graph.names[id.as_str()] == *name)
            {
                panic!("{} links {name}: {}", room.name, path.join(" > "));
            }
        }
    }
}

#[test]
fn unsafe_code_is_forbidden_where_none_is_due() {
    let graph = graph();
    for room in ROOMS.iter().filter(|room| room.safe) {
        for root in &graph.roots[graph.id(room.name)] {
            let text = fs::read_to_string(root).unwrap();
            assert!(text.contains("#![forbid(unsafe_code)]"), "{root} does not forbid unsafe code");
        }
    }
}

impl Graph {
    fn id(&self, name: &str) -> &String {
        let mut ids = self.members.iter().filter(|id| self.names[*id] == name);
        ids.next().unwrap_or_else(|| panic!("{name} is no crate of the workspace"))
    }

    /// All that is linked into `from`, each with one way that leads there.
    fn reached_from(&self, from: &String) -> BTreeMap<&String, Vec<&str>> {
        let mut reached = BTreeMap::new();
        let mut open = vec![(from, Vec::new())];
        while let Some((id, way)) = open.pop() {
            for next in self.edges.get(id).into_iter().flatten() {
                if !reached.contains_key(next) {
                    let way = [way.as_slice(), &[self.names[next].as_str()]].concat();
                    reached.insert(next, way.clone());
                    open.push((next, way));
                }
            }
        }
        reached
    }
}

fn graph() -> Graph {
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--quiet"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut graph = Graph {
        names: BTreeMap::new(),
        roots: BTreeMap::new(),
        edges: BTreeMap::new(),
        members: array(&metadata["workspace_members"]).iter().map(text).collect(),
    };
    for package in array(&metadata["packages"]) {
        let id = text(&package["id"]);
        let targets = array(&package["targets"]).iter();
        let linked = targets.filter(|t| t["kind"][0] == "lib" || t["kind"][0] == "bin");
        graph.roots.insert(id.clone(), linked.map(|t| text(&t["src_path"])).collect());
        graph.names.insert(id, text(&package["name"]));
    }
    for node in array(&metadata["resolve"]["nodes"]) {
        let linked = array(&node["deps"]).iter().filter(|dep| {
            // Tests and build scripts may use what they like: it is not in the binary.
            array(&dep["dep_kinds"]).iter().any(|kind| kind["kind"].is_null())
        });
        graph.edges.insert(text(&node["id"]), linked.map(|dep| text(&dep["pkg"])).collect());
    }
    graph
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
