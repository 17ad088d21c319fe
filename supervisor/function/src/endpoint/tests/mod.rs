//! The endpoint as clients have it, good and bad ones; the real boto3 speaks to it in the cases.

mod access;
mod answers;
mod hostile;
mod route;
mod sigv4;

use std::time::SystemTime;

use hmac::Mac;
use hyper::HeaderMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::sigv4::{Request, Signature};
use super::{Access, Endpoint, canonical};
use crate::tests::{spec, with};
use crate::{Events, FunctionSpec, Functions};

/// With the function `f`, which echoes.
async fn endpoint(access: Access) -> (Endpoint, Functions) {
    endpoint_of(access, spec("f", "x")).await
}

async fn endpoint_of(access: Access, spec: FunctionSpec) -> (Endpoint, Functions) {
    let (functions, _) = with(spec).await;
    let (events, _) = Events::new(functions.clone());
    (Endpoint::new(functions.clone(), events, access), functions)
}

/// A connection; whoever gets no place waits.
fn connect(endpoint: &Endpoint) -> DuplexStream {
    let (client, server) = duplex(64 * 1024);
    let endpoint = endpoint.clone();
    tokio::spawn(async move {
        let place = endpoint.vacancy().await;
        endpoint.serve_connection(server, place).await;
    });
    client
}

/// All that is said to it, until it hangs up.
async fn hear(client: &mut DuplexStream) -> String {
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).await.unwrap();
    String::from_utf8_lossy(&heard).into_owned()
}

/// What is answered to this, over a connection of its own.
async fn ask(endpoint: &Endpoint, request: impl AsRef<[u8]>) -> String {
    let mut client = connect(endpoint);
    let (mut reading, mut writing) = tokio::io::split(&mut client);
    let mut heard = Vec::new();
    let (_, read) =
        tokio::join!(writing.write_all(request.as_ref()), reading.read_to_end(&mut heard));
    read.unwrap();
    String::from_utf8_lossy(&heard).into_owned()
}

/// A request that is the last one of its connection.
fn request(line: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let headers: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let size = body.len();
    let head = format!(
        "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {size}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// The same, signed.
fn signed(
    (key, secret): (&str, &str),
    time: SystemTime,
    line: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Vec<u8> {
    let time: String = humantime::format_rfc3339_seconds(time)
        .to_string()
        .chars()
        .filter(|character| !"-:".contains(*character))
        .collect();
    let mut all = vec![("host", "x"), ("x-amz-date", &time)];
    all.extend_from_slice(headers);
    let mut names: Vec<_> = all.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    let scope = format!("{key}/{}/eu-west-1/lambda/aws4_request", &time[..8]);
    let authorization = |signature: &str| {
        let names = names.join(";");
        format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={names}, Signature={signature}")
    };
    let mut map: HeaderMap =
        all.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    map.insert("authorization", authorization(&"0".repeat(64)).parse().unwrap());
    let (method, uri) = line.split_once(' ').unwrap();
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let what = Request { method, path, query, headers: &map, body };
    let mac = Signature::of(&map).unwrap().made_by(secret, &what).unwrap();
    let authorization = authorization(&canonical::hex(&mac.finalize().into_bytes()));
    let mut headers = headers.to_vec();
    headers.extend([("x-amz-date", &*time), ("authorization", &*authorization)]);
    request(line, &headers, body)
}

/// Status and `x-amzn-errortype` of an answer.
fn refusal(answer: &str) -> (u16, &str) {
    let status = answer.get(9..12).and_then(|status| status.parse().ok()).unwrap_or_default();
    let name = answer.lines().find_map(|line| line.strip_prefix("x-amzn-errortype: "));
    (status, name.unwrap_or_default())
}
