//! polkit, where it is: it decides for callers whom the bus's credentials alone do not let in.

use std::collections::HashMap;

use hedgerow_api::Act;
use zbus::message::{Flags, Header};
use zbus::{Connection, DBusError, Variant};

const SERVICE: &str = "org.freedesktop.PolicyKit1";
const AUTHORITY: &str = "/org/freedesktop/PolicyKit1/Authority";
const INTERFACE: &str = "org.freedesktop.PolicyKit1.Authority";

/// `AllowUserInteraction`: polkit may have the user asked for a password.
const ALLOW_INTERACTION: u32 = 1;

/// What polkit says of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Allowed,
    /// It would be, after the user had been asked, which the caller did not allow or did not get done.
    NeedsAuthentication,
    Refused,
    /// There is no polkit on this bus.
    Absent,
}

/// Asks whether the sender may do this. Its name on the bus is the subject, which unlike a pid is never reused.
///
/// # Errors
/// The bus, or polkit, failed.
pub async fn ask(connection: &Connection, header: &Header<'_>, act: Act) -> zbus::Result<Answer> {
    let Some(sender) = header.sender() else { return Ok(Answer::Refused) };
    let subject = ("system-bus-name", HashMap::from([("name", Variant::from(sender.as_str()))]));
    let is_interactive = header.primary().flags().contains(Flags::ALLOW_INTERACTIVE_AUTH);
    let flags = if is_interactive { ALLOW_INTERACTION } else { 0 };
    let details: HashMap<&str, &str> = HashMap::new();
    let reply = connection
        .call_method(
            Some(SERVICE),
            AUTHORITY,
            Some(INTERFACE),
            "CheckAuthorization",
            &(subject, act.action_id(), details, flags, ""),
        )
        .await;
    let reply = match reply {
        Err(error) if is_absent(&error) => return Ok(Answer::Absent),
        reply => reply?,
    };
    let (is_authorized, is_challenge, _details): (bool, bool, HashMap<String, String>) =
        reply.body().deserialize()?;
    Ok(match (is_authorized, is_challenge) {
        (true, _) => Answer::Allowed,
        (false, true) => Answer::NeedsAuthentication,
        (false, false) => Answer::Refused,
    })
}

fn is_absent(error: &zbus::Error) -> bool {
    let name = match error {
        zbus::Error::MethodError(name, ..) => name.to_string(),
        zbus::Error::FDO(error) => error.name().to_string(),
        _ => return false,
    };
    matches!(
        name.as_str(),
        "org.freedesktop.DBus.Error.ServiceUnknown" | "org.freedesktop.DBus.Error.NameHasNoOwner"
    )
}
