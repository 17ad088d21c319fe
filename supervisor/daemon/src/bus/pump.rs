//! From a subscription to the socket of a reader, one line of JSON per message.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use super::{Delivery, Subscription};

/// One line; the names are the contract's.
#[derive(Serialize)]
struct Record<'a> {
    topic: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
    json: bool,
    source: &'a str,
    lost: u64,
}

/// Runs until the reader closes its end or writes to it, or the subscription ends.
///
/// It holds one message at a time: while the socket is full, the subscription's own bounded queue
/// fills, and drops and counts.
pub async fn pump(mut subscription: impl Subscription, mut socket: UnixStream) {
    loop {
        let delivery = tokio::select! {
            delivery = subscription.next() => delivery,
            // A reader has nothing to say: readable is the end, or a breach that ends it as well.
            _ = socket.readable() => return,
        };
        let Some(delivery) = delivery else { return };
        if socket.write_all(&line(&delivery)).await.is_err() {
            return;
        }
    }
}

fn line(delivery: &Delivery) -> Vec<u8> {
    let text = std::str::from_utf8(&delivery.payload).ok();
    let record = Record {
        topic: &delivery.topic,
        payload: text,
        payload_base64: text.is_none().then(|| STANDARD.encode(&delivery.payload)),
        json: delivery.json,
        source: &delivery.source,
        lost: delivery.lost,
    };
    // Strings and numbers always serialize; an empty line would be skipped by a reader.
    let mut line = serde_json::to_vec(&record).unwrap_or_default();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(payload: &[u8]) -> Delivery {
        Delivery {
            topic: "a/b".into(),
            payload: payload.into(),
            json: false,
            source: "user:0".into(),
            lost: 2,
        }
    }

    #[test]
    fn a_record_is_one_line_whatever_the_payload() {
        for (payload, expected) in [
            (
                &b"two\nlines \"quoted\""[..],
                r#"{"topic":"a/b","payload":"two\nlines \"quoted\"","json":false,"source":"user:0","lost":2}"#,
            ),
            (
                b"\xff\n",
                r#"{"topic":"a/b","payload_base64":"/wo=","json":false,"source":"user:0","lost":2}"#,
            ),
        ] {
            assert_eq!(
                String::from_utf8(line(&delivery(payload))).unwrap(),
                format!("{expected}\n")
            );
        }
    }
}
