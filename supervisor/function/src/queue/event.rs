//! An event as it is stored: one line of JSON, then the payload as it came.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Invocation, RequestId};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// Version or alias that was asked for.
    pub qualifier: Option<String>,
    pub invocation: Invocation,
}

#[derive(Serialize, Deserialize)]
struct Head {
    request_id: RequestId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    qualifier: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_context: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
}

impl Event {
    pub fn to_row(&self) -> Vec<u8> {
        let head = Head {
            request_id: self.invocation.request_id.clone(),
            qualifier: self.qualifier.clone(),
            client_context: self.invocation.client_context.clone(),
            trace_id: self.invocation.trace_id.clone(),
        };
        let mut row = serde_json::to_vec(&head).unwrap_or_default();
        row.push(b'\n');
        row.extend_from_slice(&self.invocation.payload);
        row
    }

    /// `None` where another program wrote it.
    pub fn from_row(row: Vec<u8>) -> Option<Self> {
        let end = row.iter().position(|byte| *byte == b'\n')?;
        let head: Head = serde_json::from_slice(&row[..end]).ok()?;
        Some(Self {
            qualifier: head.qualifier,
            invocation: Invocation {
                request_id: head.request_id,
                payload: Bytes::from(row).slice(end + 1..),
                client_context: head.client_context,
                trace_id: head.trace_id,
                log_tail: false,
            },
        })
    }
}
