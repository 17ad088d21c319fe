//! `greengrass-cli pubsub pub|sub`.

use crate::deploy::text_or_file;
use crate::failure::Failure;
use crate::output::Output;
use crate::session::Session;
use crate::topic;

pub async fn publish(session: &Session, topic: &str, message: String) -> Result<(), Failure> {
    // A message need not be JSON; one that names no file is itself.
    let payload = match std::path::Path::new(&message).is_file() {
        true => text_or_file(message)?,
        false => message,
    };
    topic::publish(session, topic, &payload, false).await
}

pub async fn subscribe(session: &Session, topic: &str) -> Result<(), Failure> {
    topic::subscribe(session, &Output { json: false }, topic, None).await
}
