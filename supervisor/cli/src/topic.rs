//! `hedgerow topic pub|sub`.

use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use hedgerow_api::{PublishOptions, SubscribeOptions};
use serde::Deserialize;

use crate::failure::Failure;
use crate::output::{Output, print};
use crate::session::Session;

pub async fn publish(
    session: &Session,
    topic: &str,
    payload: &str,
    json: bool,
) -> Result<(), Failure> {
    let options = PublishOptions { json: Some(json) };
    Ok(session.messaging().await?.publish(topic, payload.as_bytes(), options).await?)
}

pub async fn subscribe(
    session: &Session,
    output: &Output,
    filter: &str,
    count: Option<u64>,
) -> Result<(), Failure> {
    let stream = session.messaging().await?.subscribe(filter, SubscribeOptions::new()).await?;
    let mut lines = BufReader::new(UnixStream::from(OwnedFd::from(stream))).lines();
    let mut left = count.unwrap_or(u64::MAX);
    while left > 0 {
        let Some(line) = lines.next() else { return Err(Failure::Gone) };
        let line = line.map_err(Failure::Stream)?;
        match output.json {
            true => print(&line)?,
            false => show(&serde_json::from_str(&line).map_err(Failure::Record)?)?,
        }
        left -= 1;
    }
    Ok(())
}

/// What a person sees of a message.
#[derive(Deserialize)]
struct Record {
    topic: String,
    payload: Option<String>,
    payload_base64: Option<String>,
    lost: u64,
}

fn show(record: &Record) -> Result<(), Failure> {
    if record.lost > 0 {
        eprintln!("({} messages were lost: this reader was too slow)", record.lost);
    }
    let topic = &record.topic;
    match (&record.payload, &record.payload_base64) {
        (Some(text), _) => print(&format!("{topic}  {text}")),
        (None, Some(bytes)) => print(&format!("{topic}  base64:{bytes}")),
        (None, None) => print(topic),
    }
}
