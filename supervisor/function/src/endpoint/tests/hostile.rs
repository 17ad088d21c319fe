use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::PAYLOAD_LIMIT;
use crate::endpoint::CONNECTIONS;

const INVOKE: &str = "POST /2015-03-31/functions/f/invocations";

/// Longer than all deadlines together.
const PATIENCE: Duration = Duration::from_secs(3600);

async fn works(endpoint: &Endpoint) {
    let answer = ask(endpoint, request(INVOKE, &[], b"[1]")).await;
    assert!(answer.ends_with("\r\n\r\n[1]"), "{answer}");
}

/// Status of the one answer before it hung up; 0: none.
async fn status(endpoint: &Endpoint, request: impl AsRef<[u8]>) -> u16 {
    let answer = timeout(PATIENCE, ask(endpoint, request)).await.expect("an end");
    assert!(answer.matches("HTTP/1.1 ").count() <= 1, "{answer}");
    refusal(&answer).0
}

#[tokio::test(start_paused = true)]
async fn what_is_not_http_is_refused_and_others_are_served() {
    let (endpoint, _) = endpoint(Access::Socket).await;
    let head = |headers: &str| format!("{INVOKE} HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
    let many: String = (0..200).map(|number| format!("X-{number}: y\r\n")).collect();
    for (what, sent, expected) in [
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(), 400),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), 0),
        ("no version", b"GET /\r\n\r\n".to_vec(), 400),
        ("a long head", head(&format!("X: {}\r\n", "y".repeat(100_000))).into(), 431),
        ("many headers", head(&many).into(), 431),
        ("two lengths", head("Content-Length: 2\r\nContent-Length: 3\r\n").into(), 400),
        ("a negative length", head("Content-Length: -1\r\n").into(), 400),
        ("a length that is none", head("Content-Length: 0x2\r\n").into(), 400),
        ("a long length", head("Content-Length: 99999999999999999999\r\n").into(), 400),
        ("chunks and something", head("Transfer-Encoding: chunked, gzip\r\n").into(), 400),
        (
            "a chunk that is none",
            (head("Transfer-Encoding: chunked\r\n") + "xyz\r\n{}\r\n0\r\n\r\n").into(),
            400,
        ),
        (
            "a long chunk",
            (head("Transfer-Encoding: chunked\r\n") + "fffffffffffffffff\r\n{}").into(),
            400,
        ),
        ("a space before a colon", head("Host : x\r\n").into(), 400),
        ("a folded header", head("X: y\r\n z\r\n").into(), 400),
    ] {
        assert_eq!(status(&endpoint, sent).await, expected, "{what}");
    }
    works(&endpoint).await;
}

#[tokio::test(start_paused = true)]
async fn bodies_are_bounded_however_they_come() {
    let (endpoint, _) = endpoint(Access::Socket).await;
    let most = vec![b' '; PAYLOAD_LIMIT - 2];
    let fits = [&most[..], b"{}"].concat();
    assert_eq!(status(&endpoint, request(INVOKE, &[], &fits)).await, 200);
    let one_more = [&most[..], b" {}"].concat();
    let answer = ask(&endpoint, request(INVOKE, &[], &one_more)).await;
    assert_eq!(refusal(&answer), (413, "RequestTooLargeException"));

    let head = format!("{INVOKE} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
    let mut chunks = chunked.clone().into_bytes();
    for _ in 0..=PAYLOAD_LIMIT >> 20 {
        chunks.extend_from_slice(b"100000\r\n");
        chunks.resize(chunks.len() + (1 << 20), b' ');
        chunks.extend_from_slice(b"\r\n");
    }
    chunks.extend_from_slice(b"0\r\n\r\n");
    assert_eq!(status(&endpoint, chunks).await, 413);
    let small = format!("{chunked}3\r\n[1,\r\n2;x=y\r\n2]\r\n0\r\nTrailer: x\r\n\r\n");
    assert_eq!(status(&endpoint, small).await, 200);

    // Of 1 GiB not all is read to say so.
    let mut client = connect(&endpoint);
    let huge = format!("{head}Content-Length: 1073741824\r\n\r\n");
    client.write_all(huge.as_bytes()).await.unwrap();
    let piece = vec![0; 1 << 20];
    let mut sent = 0;
    while client.write_all(&piece).await.is_ok() {
        sent += 1;
    }
    assert!(sent < 64, "{sent} MiB were read");
    // Who asks first is told at once.
    let expecting = format!("{head}Expect: 100-continue\r\nContent-Length: 1073741824\r\n\r\n");
    assert_eq!(status(&endpoint, expecting).await, 413);
    works(&endpoint).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_its_time_is_hung_up_on() {
    let (endpoint, _) = endpoint(Access::Socket).await;
    let body = b"[1, 2, 3, 4]";
    let request = request(INVOKE, &[], body);
    let head = request.len() - body.len();
    for (what, at_once, seconds) in
        [("nothing", 0, 5), ("a byte of the head", 1, 10), ("a byte of the body", head, 30)]
    {
        let (mut reading, mut writing) = tokio::io::split(connect(&endpoint));
        let begun = Instant::now();
        let speak = async {
            writing.write_all(&request[..at_once]).await.unwrap();
            for byte in &request[at_once..] {
                sleep(Duration::from_secs(7)).await;
                if at_once > 0 && writing.write_all(&[*byte]).await.is_err() {
                    break;
                }
            }
        };
        let mut heard = vec![];
        let hear = async {
            reading.read_to_end(&mut heard).await.unwrap();
            begun.elapsed().as_secs()
        };
        let ((), after) = tokio::join!(speak, hear);
        assert_eq!((heard.len(), after), (0, seconds), "{what}");
    }
    works(&endpoint).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_takes_is_not_kept() {
    let (endpoint, _) = endpoint(Access::Socket).await;
    let payload = [b"\"", &vec![b'x'; 1 << 20][..], b"\""].concat();
    let mut client = connect(&endpoint);
    client.write_all(&request(INVOKE, &[], &payload)).await.unwrap();
    let begun = Instant::now();
    let mut some = [0; 100];
    client.read_exact(&mut some).await.unwrap();
    // It has all places back.
    let mut places = vec![];
    for _ in 0..CONNECTIONS {
        places.push(timeout(PATIENCE, endpoint.vacancy()).await.expect("a place"));
    }
    assert!(begun.elapsed() < Duration::from_secs(120));
}

#[tokio::test]
async fn requests_that_come_at_once_are_answered_one_after_the_other() {
    let (endpoint, _) = endpoint(Access::Socket).await;
    let keep = |body: &str| {
        let size = body.len();
        format!("{INVOKE} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n{body}")
    };
    let last = request(INVOKE, &[], b"[3]");
    let all = [keep("[1]").as_bytes(), keep("\"sleep\"").as_bytes(), &last].concat();
    let answers = ask(&endpoint, all).await;
    let bodies: Vec<_> = answers.split("HTTP/1.1 200 OK\r\n").skip(1).collect();
    assert_eq!(bodies.len(), 3, "{answers}");
    for (answer, body) in bodies.iter().zip(["[1]", "\"sleep\"", "[3]"]) {
        assert!(answer.ends_with(body), "{answers}");
    }
}

#[tokio::test(start_paused = true)]
async fn more_connections_than_there_are_places_wait() {
    let (endpoint, _) = endpoint(Access::Socket).await;
    let silent: Vec<_> = (0..CONNECTIONS).map(|_| connect(&endpoint)).collect();
    tokio::task::yield_now().await;
    let begun = Instant::now();
    let mut client = connect(&endpoint);
    client.write_all(&request(INVOKE, &[], b"[1]")).await.unwrap();
    assert!(timeout(Duration::from_secs(3), client.read_u8()).await.is_err());
    assert!(hear(&mut client).await.ends_with("[1]"));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    drop(silent);
}

#[tokio::test(start_paused = true)]
async fn callers_keep_their_connections_and_others_do_not() {
    let size = 3;
    let ask = format!("{INVOKE} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n[1]");
    for (access, seconds) in [(Access::Socket, 60), (Access::Keys(BTreeMap::new()), 0)] {
        let (endpoint, _) = endpoint(access).await;
        let mut client = connect(&endpoint);
        client.write_all(ask.as_bytes()).await.unwrap();
        let begun = Instant::now();
        hear(&mut client).await;
        assert_eq!(begun.elapsed().as_secs(), seconds);
    }
}
