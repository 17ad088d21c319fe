//! What a caller can be allowed to do.

/// A kind of act, which polkit can allow for itself: `io.hedgerow.Edge1.<kind>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// `deploy`: deploy, plan, cancel.
    Deploy,
    /// `control`: start, stop, restart, observe, pause, resume, reset.
    Control,
    /// `configure`: change the configuration of a component.
    Configure,
    /// `read-configuration`: it may hold secrets, as the defaults in a recipe may.
    ReadConfiguration,
    /// `read-logs`
    ReadLogs,
    /// `messages`: publish and subscribe.
    Messages,
    /// `invoke`: run functions.
    Invoke,
    /// `inspect`: see what there is, and how it is.
    Inspect,
}

impl Act {
    pub const ALL: [Self; 8] = [
        Self::Deploy,
        Self::Control,
        Self::Configure,
        Self::ReadConfiguration,
        Self::ReadLogs,
        Self::Messages,
        Self::Invoke,
        Self::Inspect,
    ];

    /// polkit's name of it.
    pub fn action_id(self) -> &'static str {
        match self {
            Self::Deploy => "io.hedgerow.Edge1.deploy",
            Self::Control => "io.hedgerow.Edge1.control",
            Self::Configure => "io.hedgerow.Edge1.configure",
            Self::ReadConfiguration => "io.hedgerow.Edge1.read-configuration",
            Self::ReadLogs => "io.hedgerow.Edge1.read-logs",
            Self::Messages => "io.hedgerow.Edge1.messages",
            Self::Invoke => "io.hedgerow.Edge1.invoke",
            Self::Inspect => "io.hedgerow.Edge1.inspect",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// polkit answers questions about others only to root and to the owner that the action names.
    #[test]
    fn the_shipped_policy_has_every_action_and_lets_the_daemon_ask() {
        let policy = include_str!("../../../packaging/polkit/io.hedgerow.Edge1.policy");
        for act in Act::ALL {
            let action = format!("<action id=\"{}\">", act.action_id());
            let (_, rest) = policy.split_once(&action).expect(&action);
            let (body, _) = rest.split_once("</action>").expect("an end");
            let owner = "<annotate key=\"org.freedesktop.policykit.owner\">unix-user:hedgerow<";
            assert!(body.contains(owner), "{body}");
        }
        assert_eq!(policy.matches("<action ").count(), Act::ALL.len());
    }
}
