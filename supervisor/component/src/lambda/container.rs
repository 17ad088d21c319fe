//! `containerMode` and `containerParams`.

use std::path::Path;

use serde_json::Value;

use super::read::{items, path};
use super::reader::{Place, Reader};
use super::{Container, Device, Volume};

const KIB: u64 = 1024;

/// Bytes: what a fence needs before a runtime starts in it.
pub const LEAST_MEMORY: u64 = 16 << 20;

/// Where an instance has what is not a volume's to cover: the kernel's, the function's code, its layers and its runtime.
const TAKEN: [&str; 7] =
    ["/dev", "/opt", "/proc", "/sys", "/var/lang", "/var/runtime", "/var/task"];

pub(super) fn container(reader: &mut Reader, root: &Place<'_>) -> Container {
    let modes = [("GreengrassContainer", true), ("NoContainer", false)];
    let mode = root.get("containerMode");
    let isolated = mode.as_ref().and_then(|p| reader.word(p, &modes)).unwrap_or(true);
    let none = Place { value: &Value::Null, ..root.clone() };
    let parameters = root.get("containerParams").unwrap_or(none);
    if let (false, Some(mode)) = (isolated, &mode) {
        return without(reader, mode, &parameters);
    }
    Container {
        isolated,
        memory: Some(memory(reader, &parameters)),
        sysfs: parameters.get("mountROSysfs").and_then(|p| reader.flag(&p)).unwrap_or(false),
        volumes: items(reader, &parameters, "volumes")
            .into_iter()
            .filter_map(|item| volume(reader, &item))
            .collect(),
        devices: items(reader, &parameters, "devices")
            .into_iter()
            .filter_map(|item| device(reader, &item))
            .collect(),
    }
}

/// As Greengrass does, which has no container that parameters could be for.
fn without(reader: &mut Reader, mode: &Place<'_>, parameters: &Place<'_>) -> Container {
    reader.notice(
        mode,
        "NoContainer is a fence as any component has one: of the host it has what is granted to it",
    );
    for key in ["volumes", "devices"] {
        let Some(place) = parameters.get(key) else { continue };
        if !reader.items(&place).is_empty() {
            reader.notice(&place, "is for functions in a container: without one it has no effect");
        }
    }
    Container { isolated: false, memory: None, sysfs: false, volumes: vec![], devices: vec![] }
}

/// In bytes.
fn memory(reader: &mut Reader, parameters: &Place<'_>) -> u64 {
    let Some(place) = parameters.any(["memorySize", "memorySizeInKB"]) else {
        return LEAST_MEMORY;
    };
    let asked = reader.number(&place, 1, u64::MAX / KIB).unwrap_or(LEAST_MEMORY / KIB) * KIB;
    if asked < LEAST_MEMORY {
        let least = LEAST_MEMORY / KIB;
        reader.notice(&place, format!("an instance has {least} KB, the least that a fence has"));
    }
    asked.max(LEAST_MEMORY)
}

fn volume(reader: &mut Reader, item: &Place<'_>) -> Option<Volume> {
    if item.value.is_string() {
        let shape = r#"{"source": "/srv/data", "destination": "/data"}"#;
        reader.wrong(item, format!("expected a map, {shape} say, found text"));
        return None;
    }
    let source = path(reader, item, ["source", "sourcePath"]);
    let keys = ["destination", "destinationPath"];
    let destination = path(reader, item, keys);
    let (writable, add_group_owner) = rights(reader, item);
    let (source, destination) = (source?, destination?);
    let taken = TAKEN.into_iter().find(|taken| Path::new(&destination).starts_with(taken));
    if let (Some(taken), Some(place)) = (taken, item.any(keys)) {
        let message = format!("{destination:?}: no volume can be at {taken} or below it");
        reader.wrong(&place, message);
        return None;
    }
    for (found, key) in [(&source, ["source", "sourcePath"]), (&destination, keys)] {
        if let (true, Some(place)) = (found.split('/').all(str::is_empty), item.any(key)) {
            reader.wrong(&place, format!("{found:?} is the root: name what is below it"));
            return None;
        }
    }
    let target = match source == destination {
        true => String::new(),
        false => format!(", target = {destination:?}"),
    };
    let access = if writable { "rw" } else { "ro" };
    reader.need(
        item,
        format!("instances start only where {source} of the host is granted"),
        format!("host-paths = [{{ path = {source:?}, access = {access:?}{target} }}]"),
    );
    Some(Volume { source, destination, writable, add_group_owner })
}

fn device(reader: &mut Reader, item: &Place<'_>) -> Option<Device> {
    let path = path(reader, item, ["path", "path"]);
    let (writable, add_group_owner) = rights(reader, item);
    let path = path?;
    if !path.starts_with("/dev/") {
        reader.wrong(item, format!("the device {path:?} is not below /dev"));
        return None;
    }
    if !writable {
        reader.notice(item, format!("who is granted {path} may write to it as well"));
    }
    let message = format!("instances start only where {path} is granted");
    reader.need(item, message, format!("devices = [{path:?}]"));
    Some(Device { path, writable, add_group_owner })
}

/// Whether it may be written, and whether the owning group's rights are added.
fn rights(reader: &mut Reader, item: &Place<'_>) -> (bool, bool) {
    let words = [("ro", false), ("rw", true)];
    let writable = item.get("permission").and_then(|p| reader.word(&p, &words));
    let group = item.get("addGroupOwner").and_then(|p| reader.flag(&p));
    (writable.unwrap_or(false), group.unwrap_or(false))
}
