//! The users and groups of the fence: its own /etc/passwd and /etc/group, which its packages and steps may have changed.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};

use hedgerow_isolation::plan::{IdRange, User};

use crate::regular;

/// Whom a program runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub user: User,
    /// Supplementary.
    pub groups: Vec<u32>,
    /// With the capabilities of a fence's root.
    pub privileged: bool,
}

impl Identity {
    pub fn root() -> Self {
        Self { user: User::ROOT, groups: Vec::new(), privileged: true }
    }
}

/// A line of passwd(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub name: String,
    pub user: User,
    pub home: String,
    pub shell: String,
}

#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    #[error("there is no user {0:?} in the fence")]
    User(String),
    #[error("there is no group {0:?} in the fence")]
    Group(String),
    #[error("{0:?} is neither the name nor the number of a user or group")]
    Malformed(String),
    #[error("cannot add {0:?} to the fence's users: {1}")]
    Unwritable(String, io::Error),
}

/// The two files as they were when they were read. What is malformed in them is not there.
#[derive(Debug, Default)]
pub struct Users {
    accounts: Vec<Account>,
    groups: Vec<Group>,
}

#[derive(Debug)]
struct Group {
    name: String,
    id: u32,
    members: Vec<String>,
}

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// Bytes of either that are read at most.
const MAX_FILE: u64 = 1 << 20;

/// Ids for users whom a deployment names and the fence does not know.
const FREE: std::ops::Range<u32> = 1001..60_000;

impl Users {
    pub fn read() -> Self {
        let read = |path| open(File::options().read(true), path).map(|(_, text)| text);
        let text = |path| String::from_utf8_lossy(&read(path).unwrap_or_default()).into_owned();
        Self::parse(&text(PASSWD), &text(GROUP))
    }

    fn parse(passwd: &str, group: &str) -> Self {
        Self {
            accounts: passwd.lines().filter_map(account).collect(),
            groups: group.lines().filter_map(group_line).collect(),
        }
    }

    pub fn by_id(&self, uid: u32) -> Option<&Account> {
        self.accounts.iter().find(|account| account.user.uid == uid)
    }

    /// A user by name, `#number` or number.
    pub fn user(&self, text: &str) -> Result<Account, Unknown> {
        if let Some(account) = self.accounts.iter().find(|account| account.name == text) {
            return Ok(account.clone());
        }
        let uid = id(text.strip_prefix('#').unwrap_or(text));
        let uid = uid.ok_or_else(|| Unknown::User(text.to_owned()))?;
        Ok(self.by_id(uid).cloned().unwrap_or_else(|| Account {
            name: uid.to_string(),
            user: User { uid, gid: uid },
            home: "/".to_owned(),
            shell: "/bin/sh".to_owned(),
        }))
    }

    pub fn group(&self, text: &str) -> Result<u32, Unknown> {
        let named = self.groups.iter().find(|group| group.name == text).map(|group| group.id);
        let number = || id(text.strip_prefix('#').unwrap_or(text));
        named.or_else(number).ok_or_else(|| Unknown::Group(text.to_owned()))
    }

    /// As whom a user's programs run; root's with its capabilities.
    pub fn identity(&self, user: User) -> Identity {
        if user.uid == 0 {
            return Identity::root();
        }
        let name = self.by_id(user.uid).map(|account| account.name.as_str());
        let of_user = |group: &&Group| name.is_some_and(|n| group.members.iter().any(|m| m == n));
        let groups = self.groups.iter().filter(of_user).map(|group| group.id).collect();
        Identity { user, groups, privileged: false }
    }

    /// `user` or `user:group` of a deployment. Names that the fence does not know are given ids, for good.
    pub fn posix_user(&mut self, text: &str) -> Result<User, Unknown> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let account = match self.user(user) {
            Err(Unknown::User(_)) => self.add_user(user)?,
            found => found?,
        };
        let gid = match group.map(|group| (group, self.group(group))) {
            None => account.user.gid,
            Some((name, Err(Unknown::Group(_)))) => self.add_group(name, self.free_id()?)?,
            Some((_, found)) => found?,
        };
        Ok(User { uid: account.user.uid, gid })
    }

    fn add_user(&mut self, name: &str) -> Result<Account, Unknown> {
        let id = self.free_id()?;
        is_name(name).then_some(()).ok_or_else(|| Unknown::Malformed(name.to_owned()))?;
        let gid = match self.group(name) {
            Ok(gid) => gid,
            Err(_) => self.add_group(name, id)?,
        };
        let line = format!("{name}:x:{id}:{gid}::/tmp:/bin/sh\n");
        append(PASSWD, &line).map_err(|e| Unknown::Unwritable(name.to_owned(), e))?;
        let added = account(line.trim_end()).ok_or_else(|| Unknown::Malformed(name.to_owned()))?;
        self.accounts.push(added.clone());
        Ok(added)
    }

    fn add_group(&mut self, name: &str, id: u32) -> Result<u32, Unknown> {
        is_name(name).then_some(()).ok_or_else(|| Unknown::Malformed(name.to_owned()))?;
        append(GROUP, &format!("{name}:x:{id}:\n"))
            .map_err(|e| Unknown::Unwritable(name.to_owned(), e))?;
        self.groups.push(Group { name: name.to_owned(), id, members: Vec::new() });
        Ok(id)
    }

    fn free_id(&self) -> Result<u32, Unknown> {
        let used = |id: &u32| {
            self.accounts.iter().any(|a| a.user.uid == *id)
                || self.groups.iter().any(|g| g.id == *id)
        };
        FREE.into_iter()
            .find(|id| !used(id))
            .ok_or_else(|| Unknown::Malformed("no id is free".into()))
    }
}

fn append(path: &str, line: &str) -> io::Result<()> {
    let (mut file, text) = open(File::options().read(true).append(true).create(true), path)?;
    let end = if text.is_empty() || text.ends_with(b"\n") { "" } else { "\n" };
    file.write_all(format!("{end}{line}").as_bytes())
}

/// A regular file and what is in it; what is larger than [`MAX_FILE`] is refused.
fn open(how: &mut OpenOptions, path: &str) -> io::Result<(File, Vec<u8>)> {
    let file = regular::open(how, path)?;
    let mut text = Vec::new();
    (&file).take(MAX_FILE + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is larger than 1 MiB"));
    }
    Ok((file, text))
}

fn id(text: &str) -> Option<u32> {
    text.parse().ok().filter(|id| *id < IdRange::COUNT)
}

/// useradd(8)'s rule, and capitals.
fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    (1..=32).contains(&text.len())
        && text.chars().all(allowed)
        && !text.starts_with(|c: char| c.is_ascii_digit() || c == '-')
}

fn account(line: &str) -> Option<Account> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?.to_owned();
    let (uid, gid) = (id(fields.nth(1)?)?, id(fields.next()?)?);
    let home = fields.nth(1)?.to_owned();
    let shell = fields.next().filter(|shell| !shell.is_empty()).unwrap_or("/bin/sh").to_owned();
    Some(Account { name, user: User { uid, gid }, home, shell })
}

fn group_line(line: &str) -> Option<Group> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?.to_owned();
    let id = id(fields.nth(1)?)?;
    let members = fields.next().unwrap_or("").split(',').filter(|m| !m.is_empty());
    Some(Group { name, id, members: members.map(str::to_owned).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users() -> Users {
        Users::parse(
            "root:x:0:0:root:/root:/bin/bash\nggc_user:x:1000:1000::/tmp:\nbad\nodd:x:-1:0::/:\nbig:x:70000:1::/:\n",
            "root:x:0:\nggc_group:x:1000:\nvideo:x:44:ggc_user,other\nbroken:x\n",
        )
    }

    #[test]
    fn names_and_numbers_are_found() {
        let users = users();
        assert_eq!(users.user("root").unwrap().user, User::ROOT);
        assert_eq!(users.user("ggc_user").unwrap().shell, "/bin/sh");
        assert_eq!(users.user("#1000").unwrap().name, "ggc_user");
        assert_eq!(users.user("77").unwrap().user, User { uid: 77, gid: 77 });
        for unknown in ["nobody", "odd", "big", "70000", "", "#x", "-1"] {
            users.user(unknown).unwrap_err();
        }
        assert_eq!(users.group("video").unwrap(), 44);
        assert_eq!(users.group("5").unwrap(), 5);
        users.group("broken").unwrap_err();
    }

    #[test]
    fn a_user_has_the_groups_that_name_it_and_only_root_has_privileges() {
        let users = users();
        let identity = users.identity(User::GGC);
        assert_eq!((identity.groups, identity.privileged), (vec![44], false));
        assert_eq!(users.identity(User { uid: 0, gid: 5 }), Identity::root());
    }

    #[test]
    fn what_a_component_put_in_place_of_the_files_neither_holds_up_nor_fills_the_init() {
        let home = std::env::temp_dir().join(format!("hedgerow-users-{}", std::process::id()));
        std::fs::create_dir(&home).unwrap();
        let at = |name: &str| home.join(name).to_str().unwrap().to_owned();
        let fifo = std::ffi::CString::new(at("fifo")).unwrap();
        // SAFETY: the kernel reads a string that outlives the call.
        assert_eq!(unsafe { libc::mkfifo(fifo.as_ptr(), 0o600) }, 0);
        std::os::unix::fs::symlink("/dev/zero", at("zero")).unwrap();
        std::fs::write(at("large"), vec![b'\n'; (1 << 20) + 1]).unwrap();
        std::fs::write(at("good"), "a:x:1:").unwrap();
        for name in ["fifo", "zero", "large"] {
            open(File::options().read(true), &at(name)).unwrap_err();
            append(&at(name), "b:x:2:\n").unwrap_err();
        }
        for name in ["good", "missing"] {
            append(&at(name), "b:x:2:\n").unwrap();
        }
        assert_eq!(std::fs::read(at("good")).unwrap(), b"a:x:1:\nb:x:2:\n");
        assert_eq!(std::fs::read(at("missing")).unwrap(), b"b:x:2:\n");
        std::fs::remove_dir_all(&home).unwrap();
    }

    #[test]
    fn only_a_proper_name_becomes_a_user() {
        for name in ["", "a:b", "a b", "-a", "1a", "a\nroot::0:0", &"a".repeat(33)] {
            assert!(!is_name(name), "{name:?}");
        }
        assert!(is_name("greengrass-user_2") && is_name("Admin"));
    }
}
