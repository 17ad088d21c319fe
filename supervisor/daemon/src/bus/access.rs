//! Who may call: root and a group, by the credentials of the bus; whom polkit allows, where it is.

use std::ffi::CString;

use hedgerow_api::{Act, Error, GROUP};
use nix::unistd::{Gid, Group, Uid, User, getgrouplist};
use zbus::Connection;
use zbus::fdo::ConnectionCredentials;
use zbus::message::Header;

use super::polkit::{self, Answer};

/// A process that may call, by the credentials the bus vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    pub uid: u32,
    /// For the log only: a pid proves nothing, it may have been reused.
    pub pid: Option<u32>,
}

/// Who may call: root, a group, and where the daemon is someone's own, that user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    pub group: Option<u32>,
    pub user: Option<u32>,
}

impl Access {
    /// On the system bus: root and group `hedgerow`, which is looked up now.
    pub fn system() -> Self {
        let group = Group::from_name(GROUP).ok().flatten();
        Self { group: group.map(|group| group.gid.as_raw()), user: None }
    }

    /// On a private bus: also the user who started the daemon.
    pub fn with_user(self, uid: u32) -> Self {
        Self { user: Some(uid), ..self }
    }

    /// The caller of `header`'s message, where it may do this.
    ///
    /// # Errors
    /// [`Error::NotAuthorized`]; [`Error::Bus`] where the bus does not answer.
    pub async fn check(
        &self,
        connection: &Connection,
        header: &Header<'_>,
        act: Act,
    ) -> Result<Caller, Error> {
        let unknown = || Error::NotAuthorized("the bus does not say who calls".to_owned());
        let sender = header.sender().ok_or_else(unknown)?;
        let reply = connection
            .call_method(
                Some("org.freedesktop.DBus"),
                "/org/freedesktop/DBus",
                Some("org.freedesktop.DBus"),
                "GetConnectionCredentials",
                sender,
            )
            .await?;
        let credentials: ConnectionCredentials = reply.body().deserialize()?;
        let uid = credentials.unix_user_id().ok_or_else(unknown)?;
        let caller = Caller { uid, pid: credentials.process_id() };
        let groups = match credentials.into_unix_group_ids() {
            Some(groups) => groups,
            None => groups_of(uid).await,
        };
        if self.allows(uid, &groups) {
            return Ok(caller);
        }
        let action = act.action_id();
        let why = match polkit::ask(connection, header, act).await? {
            Answer::Allowed => return Ok(caller),
            Answer::NeedsAuthentication => format!("polkit asks for authentication ({action})"),
            Answer::Refused => format!("polkit does not allow {action}"),
            Answer::Absent => "there is no polkit to ask".to_owned(),
        };
        tracing::warn!(uid, pid = caller.pid, member = ?header.member(), "refused a caller: {why}");
        Err(Error::NotAuthorized(format!(
            "user {uid} is neither root nor in group {GROUP}, and {why}"
        )))
    }

    /// Whether this user may call everything, for whom polkit cannot be asked.
    pub async fn allows_user(&self, uid: u32, gid: u32) -> bool {
        self.allows(uid, &[gid]) || self.allows(uid, &groups_of(uid).await)
    }

    fn allows(&self, uid: u32, groups: &[u32]) -> bool {
        uid == 0
            || self.user == Some(uid)
            || self.group.is_some_and(|group| groups.contains(&group))
    }
}

/// What the user database says, for a bus that does not pass the process's groups on (dbus-daemon before 1.13).
async fn groups_of(uid: u32) -> Vec<u32> {
    let look_up = move || {
        let user = User::from_uid(Uid::from_raw(uid)).ok()??;
        getgrouplist(&CString::new(user.name).ok()?, user.gid).ok()
    };
    let groups = tokio::task::spawn_blocking(look_up).await.ok().flatten().unwrap_or_default();
    groups.into_iter().map(Gid::as_raw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_the_group_and_the_owner_may_call_and_nobody_else() {
        let system = Access { group: Some(990), user: None };
        let private = Access { group: None, user: None }.with_user(1000);
        for (access, uid, groups, allowed) in [
            (system, 0, &[][..], true),
            (system, 1000, &[1000, 990], true),
            (system, 1000, &[1000, 27], false),
            (system, 990, &[1000], false),
            (private, 1000, &[1000], true),
            (private, 0, &[0], true),
            (private, 1001, &[1001], false),
        ] {
            assert_eq!(access.allows(uid, groups), allowed, "{access:?} {uid} {groups:?}");
        }
    }

    #[tokio::test]
    async fn the_user_database_knows_root() {
        assert!(groups_of(0).await.contains(&0));
        assert_eq!(groups_of(u32::MAX - 7).await, Vec::<u32>::new());
    }
}
