//! `host-dbus`: what of the host's system bus a component may have, in the words of xdg-dbus-proxy(1).

use serde::{Deserialize, Serialize};

/// Without any name: the bus itself, and nobody on it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct HostDbus {
    /// Names that may be seen to come and go.
    pub see: Vec<BusName>,
    /// Names whose every method may be called and every signal heard.
    pub talk: Vec<BusName>,
    /// Names that may be taken, as far as the bus's own policy allows.
    pub own: Vec<BusName>,
    /// `NAME=METHOD@PATH`: single methods of a name.
    pub call: Vec<BusRule>,
    /// `NAME=SIGNAL@PATH`: single signals of a name.
    pub broadcast: Vec<BusRule>,
}

/// A well-known name; with `.*` at its end all below it too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BusName(String);

/// A [`BusName`], `=`, and what of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BusRule(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBusName {
    #[error("{0:?} is not a name on a bus, such as \"org.freedesktop.NetworkManager\"")]
    Name(String),
    #[error("{0:?} is not NAME=METHOD@PATH, such as \"org.example.A=org.example.A.Get@/a/*\"")]
    Rule(String),
}

impl TryFrom<String> for BusName {
    type Error = BadBusName;

    fn try_from(name: String) -> Result<Self, BadBusName> {
        let plain = name.strip_suffix(".*").unwrap_or(&name);
        let good = |part: &str| {
            let usual = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            !part.is_empty() && part.chars().all(usual)
        };
        let is_name = name.len() <= 255 && plain.contains('.') && plain.split('.').all(good);
        if is_name { Ok(Self(name)) } else { Err(BadBusName::Name(name)) }
    }
}

impl TryFrom<String> for BusRule {
    type Error = BadBusName;

    fn try_from(rule: String) -> Result<Self, BadBusName> {
        let usual = |c: char| c.is_ascii_alphanumeric() || "_-.*@/".contains(c);
        match rule.split_once('=') {
            Some((name, what)) if !what.is_empty() && what.chars().all(usual) => {
                BusName::try_from(name.to_owned()).map(|_| Self(rule))
            }
            _ => Err(BadBusName::Rule(rule)),
        }
    }
}

impl From<BusName> for String {
    fn from(name: BusName) -> Self {
        name.0
    }
}

impl From<BusRule> for String {
    fn from(rule: BusRule) -> Self {
        rule.0
    }
}

impl HostDbus {
    /// What two grants say together.
    pub fn extend(&mut self, more: &Self) {
        self.see.extend_from_slice(&more.see);
        self.talk.extend_from_slice(&more.talk);
        self.own.extend_from_slice(&more.own);
        self.call.extend_from_slice(&more.call);
        self.broadcast.extend_from_slice(&more.broadcast);
    }

    /// Options of xdg-dbus-proxy(1).
    pub fn options(&self) -> Vec<String> {
        let names = [("see", &self.see), ("talk", &self.talk), ("own", &self.own)];
        let names = names.iter().flat_map(|(policy, names)| {
            names.iter().map(move |name| format!("--{policy}={}", name.0))
        });
        let rules = [("call", &self.call), ("broadcast", &self.broadcast)];
        let rules = rules.iter().flat_map(|(policy, rules)| {
            rules.iter().map(move |rule| format!("--{policy}={}", rule.0))
        });
        ["--filter".to_owned()].into_iter().chain(names).chain(rules).collect()
    }
}

/// `[host-dbus]`: where the host's system bus is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct HostDbusSettings {
    /// An address of the D-Bus specification.
    pub address: String,
}

impl Default for HostDbusSettings {
    fn default() -> Self {
        Self { address: "unix:path=/run/dbus/system_bus_socket".to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_becomes_the_filters_options() {
        let json = r#"{"talk": ["org.a.B", "org.c.*"], "call": ["org.d.E=org.d.E.Get@/e/*"]}"#;
        let grant: HostDbus = serde_json::from_str(json).unwrap();
        let expected =
            ["--filter", "--talk=org.a.B", "--talk=org.c.*", "--call=org.d.E=org.d.E.Get@/e/*"];
        assert_eq!(grant.options(), expected);
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for bad in ["", "a", "*", "org.*.b", "org.a b", "org..a", "org.a --log", ".a.b", "org.a=b"]
        {
            assert!(BusName::try_from(bad.to_owned()).is_err(), "{bad}");
        }
        for bad in ["org.a.B", "org.a.B=", "a=b", "org.a.B=x y"] {
            assert!(BusRule::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
