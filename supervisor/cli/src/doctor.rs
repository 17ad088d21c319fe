//! `hedgerow doctor`: what this machine offers, why a component sees and may do what it does, and what goes wrong.

mod problems;

use std::collections::BTreeMap;

use hedgerow_api::{FunctionProperties, Objects};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::failure::Failure;
use crate::output::{Output, bytes, table};
use crate::session::{Session, is_access_denied};
use problems::{Problem, problems};

pub async fn run(session: &Session, output: &Output, name: Option<&str>) -> Result<(), Failure> {
    let mut explained = explain(session, name.unwrap_or_default()).await?;
    let Objects { components, functions, .. } = match Objects::of(&session.connection).await {
        // Whom polkit lets ask, but the bus not read.
        Err(error) if is_access_denied(&error) => Objects::default(),
        objects => objects?,
    };
    explained.function = functions.iter().find(|one| Some(one.name.as_str()) == name).cloned();
    explained.problems = problems(&components, &functions, name);
    output.print(&explained, Explained::people)
}

/// The limits that a component's fence has, in words.
pub async fn limits(session: &Session, name: &str) -> Result<Option<String>, Failure> {
    let explained = explain(session, name).await?;
    Ok(explained.fence.map(|fence| fence.plan.limits.people()))
}

async fn explain(session: &Session, name: &str) -> Result<Explained, Failure> {
    let text = session.manager().await?.explain(name).await?;
    serde_json::from_str(&text).map_err(Failure::Record)
}

/// The answer of `Manager.Explain`; what else there is stays in `more`.
#[derive(Debug, Serialize, Deserialize)]
struct Explained {
    machine: Machine,
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<Component>,
    fence: Option<Fence>,
    /// Where the component is one.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    function: Option<FunctionProperties>,
    /// What goes wrong, of the component or of all.
    #[serde(skip_deserializing)]
    problems: Vec<Problem>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Machine {
    unified_cgroups: bool,
    range: Option<String>,
    lacks: Vec<String>,
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Component {
    name: String,
    version: String,
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Fence {
    plan: Plan,
    grant: BTreeMap<String, Value>,
    address: Option<String>,
    #[serde(default)]
    notes: Vec<String>,
    ended: Option<String>,
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Plan {
    ids: Ids,
    network: String,
    limits: Limits,
    mounts: Vec<Mount>,
    layer: Option<Layer>,
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Ids {
    first: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Limits {
    memory: Option<u64>,
    cpu: Option<u64>,
    pids: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Layer {
    quota: Option<u64>,
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Mount {
    target: String,
    access: String,
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
}

type Row = [String; 2];

fn row(key: &str, value: impl Into<String>) -> Row {
    [key.to_owned(), value.into()]
}

impl Explained {
    fn people(&self) -> String {
        let mut rows = self.machine.rows();
        if let Some(component) = &self.component {
            rows.push(row("component", format!("{} {}", component.name, component.version)));
            match &self.fence {
                Some(fence) => rows.extend(fence.rows(&component.name)),
                None if self.function.is_some() => {
                    rows.push(row("fence", "one for each instance, while there is one"));
                }
                None => rows.push(row("fence", "none: the component does not run")),
            }
        }
        rows.extend(self.problems.iter().map(|problem| row("problem", problem.to_string())));
        table(["", ""], rows).trim_start().to_owned()
    }
}

impl Machine {
    fn rows(&self) -> Vec<Row> {
        let cgroups = match self.unified_cgroups {
            true => "unified (v2)",
            false => "v1: limits hold; pressure is not told",
        };
        let nat = match &self.range {
            Some(range) => format!("by NAT, fences have addresses in {range}; IPv4 only"),
            None => "none: no NAT on this machine".to_owned(),
        };
        let mut rows = vec![row("cgroups", cgroups), row("network", nat)];
        rows.extend(self.lacks.iter().map(|lack| row("missing", lack)));
        rows
    }
}

impl Fence {
    fn rows(&self, name: &str) -> Vec<Row> {
        let mut rows = vec![row("user", self.user()), row("network", self.network(name))];
        if self.plan.network == "nat" {
            let out_of_reach = "the host's loopback and services, other components but for the ports of its \
                                dependencies, 169.254.0.0/16, what [network] denies, IPv6";
            rows.push(row("out of reach", out_of_reach));
        }
        rows.extend(self.notes.iter().map(|note| row("note", note)));
        rows.extend(self.granted().into_iter().map(|line| row("granted", line)));
        rows.push(row("limits", self.plan.limits.people()));
        let layer = self.plan.layer.as_ref().map(|layer| match layer.quota {
            Some(quota) => format!("to a layer of the component's own, {} at most", bytes(quota)),
            None => "to a layer of the component's own".to_owned(),
        });
        rows.push(row("writes", layer.unwrap_or_else(|| "to its mounts only".to_owned())));
        rows.extend(self.plan.mounts.iter().map(|mount| {
            let access = match mount.access.as_str() {
                "readonly" => "read only",
                "readwrite" => "read and write",
                "layered" => "writes go to the layer",
                other => other,
            };
            row("mount", format!("{} ({access})", mount.target))
        }));
        rows.extend(self.ended.iter().map(|cause| row("ended", cause)));
        rows
    }

    fn user(&self) -> String {
        let first = self.plan.ids.first;
        match self.grant.get("real-root") {
            None | Some(Value::Null | Value::Bool(false)) => format!(
                "ggc_user, {} on the host, without capabilities; privileged steps and sudo: root of the fence alone, \
                 {first}",
                first + 1000
            ),
            Some(_) => "ggc_user, 1000 on the host, without capabilities; privileged steps and sudo: the host's own \
                 root, as a grant allows: whoever gets hold of this component gets hold of the device"
                .to_owned(),
        }
    }

    fn network(&self, name: &str) -> String {
        match (self.plan.network.as_str(), &self.address) {
            ("nat", Some(address)) => format!("by NAT, as {address}"),
            ("host", _) => "the host's, as a grant allows: ports below 1024, ping and the host's \
                 abstract sockets as for any user"
                .to_owned(),
            _ => format!(
                "loopback only; [[component]] name = {name:?} network = \"nat\" would join it"
            ),
        }
    }

    /// Keys of `[[grant]]` that say something.
    fn granted(&self) -> Vec<String> {
        let says = |value: &Value| match value {
            Value::Null | Value::Bool(false) => false,
            Value::Array(values) => !values.is_empty(),
            Value::Object(keys) => !keys.is_empty(),
            Value::Bool(true) | Value::Number(_) | Value::String(_) => true,
        };
        let keys = self.grant.iter().filter(|(key, value)| *key != "component" && says(value));
        let lines: Vec<_> = keys.map(|(key, value)| format!("{key} = {value}")).collect();
        if lines.is_empty() { vec!["nothing beyond the ordinary".to_owned()] } else { lines }
    }
}

impl Limits {
    fn people(&self) -> String {
        let memory = self.memory.map(|memory| format!("memory {}", bytes(memory)));
        let cpu = self.cpu.map(|cpu| format!("{}.{:03} CPUs", cpu / 1000, cpu % 1000));
        let pids = self.pids.map(|pids| format!("{pids} processes and threads"));
        let limits: Vec<_> = [memory, cpu, pids].into_iter().flatten().collect();
        if limits.is_empty() { "none".to_owned() } else { limits.join(", ") }
    }
}
