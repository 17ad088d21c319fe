//! Properties of the codec.

use super::frame::{self, Decoded, FrameError};
use super::header::{Header, HeaderError, Value};
use super::rpc::{self, Kind, Message, RpcError, Template};
use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;

const LIMIT: usize = 24 * 1024 * 1024;

#[derive(Debug, Clone)]
enum Owned {
    Bool(bool),
    Int8(i8),
    Int16(i16),
    Int32(i32),
    Int64(i64),
    Bytes(Vec<u8>),
    String(String),
    Timestamp(i64),
    Uuid([u8; 16]),
}

impl Owned {
    fn borrow(&self) -> Value<'_> {
        match self {
            Owned::Bool(value) => Value::Bool(*value),
            Owned::Int8(value) => Value::Int8(*value),
            Owned::Int16(value) => Value::Int16(*value),
            Owned::Int32(value) => Value::Int32(*value),
            Owned::Int64(value) => Value::Int64(*value),
            Owned::Bytes(value) => Value::Bytes(value),
            Owned::String(value) => Value::String(value),
            Owned::Timestamp(value) => Value::Timestamp(*value),
            Owned::Uuid(value) => Value::Uuid(*value),
        }
    }
}

fn value() -> impl Strategy<Value = Owned> {
    prop_oneof![
        any::<bool>().prop_map(Owned::Bool),
        any::<i8>().prop_map(Owned::Int8),
        any::<i16>().prop_map(Owned::Int16),
        any::<i32>().prop_map(Owned::Int32),
        any::<i64>().prop_map(Owned::Int64),
        vec(any::<u8>(), 0..300).prop_map(Owned::Bytes),
        ".{0,100}".prop_map(Owned::String),
        any::<i64>().prop_map(Owned::Timestamp),
        any::<[u8; 16]>().prop_map(Owned::Uuid),
    ]
}

fn headers() -> impl Strategy<Value = Vec<(String, Owned)>> {
    vec((".{1,50}", value()), 0..8)
}

fn borrow(headers: &[(String, Owned)]) -> Vec<Header<'_>> {
    headers.iter().map(|(name, value)| Header { name, value: value.borrow() }).collect()
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(headers in headers(), payload in vec(any::<u8>(), 0..500)) {
        let headers = borrow(&headers);
        let mut bytes = BytesMut::from(&b"before"[..]);
        frame::encode(&mut bytes, &headers, &payload);
        let length = bytes.len() - 6;
        bytes.extend_from_slice(b"after");
        let Ok(Decoded::Frame(decoded, taken)) = frame::decode(&bytes[6..], LIMIT) else {
            return Err(TestCaseError::fail("no frame"));
        };
        prop_assert_eq!(taken, length);
        prop_assert_eq!(decoded.payload, &payload[..]);
        prop_assert_eq!(decoded.headers.collect::<Result<Vec<_>, _>>(), Ok(headers));
    }

    #[test]
    fn a_beginning_asks_for_more_and_never_too_much(
        payload in vec(any::<u8>(), 0..200), cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = BytesMut::new();
        frame::encode(&mut bytes, &[], &payload);
        let cut = cut.index(bytes.len());
        let needed = if cut < frame::PRELUDE { frame::PRELUDE } else { bytes.len() };
        match frame::decode(&bytes[..cut], LIMIT) {
            Ok(Decoded::Partial(more)) => prop_assert_eq!(more, needed),
            other => return Err(TestCaseError::fail(format!("{other:?}"))),
        }
    }

    #[test]
    fn a_changed_byte_is_noticed(
        payload in vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), flip in 1u8..,
    ) {
        let mut bytes = BytesMut::new();
        let header = Header { name: "name", value: Value::Int32(1) };
        frame::encode(&mut bytes, &[header], &payload);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let expected =
            if at < frame::PRELUDE { FrameError::PreludeCrc } else { FrameError::MessageCrc };
        prop_assert_eq!(frame::decode(&bytes, LIMIT).err(), Some(expected));
    }

    #[test]
    fn foreign_headers_never_panic(block in vec(any::<u8>(), 0..100)) {
        let mut bytes = BytesMut::new();
        let length = frame::PRELUDE + block.len() + frame::TRAILER;
        bytes.extend_from_slice(&frame::prelude(length, block.len()));
        bytes.extend_from_slice(&block);
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_be_bytes());
        if let Ok(Decoded::Frame(frame, _)) = frame::decode(&bytes, LIMIT) {
            let _ = Message::read(frame);
        }
    }

    #[test]
    fn a_template_is_the_frame_it_stands_for(
        length in 0usize..40_000, stream in 1i32..,
    ) {
        let payload = "x".repeat(length);
        let template = Template::build("shape", 0, |out| out.extend_from_slice(payload.as_bytes()));
        let (mut copied, mut whole) = (BytesMut::new(), BytesMut::new());
        template.write(&mut copied, stream);
        rpc::write_json(&mut whole, Kind::Application, 0, stream, "shape", payload.as_bytes());
        prop_assert_eq!(copied, whole);
    }
}

#[test]
fn lengths_are_checked_before_anything_is_read() {
    let huge = frame::prelude(u32::MAX as usize, 0);
    let limit = LIMIT;
    assert_eq!(
        frame::decode(&huge, limit).err(),
        Some(FrameError::TooLarge { length: u32::MAX as usize, limit })
    );
    for (length, headers) in
        [(16, 1), (0, 0), (15, 0), (1 << 20, 1 << 18), (100, u32::MAX as usize)]
    {
        let error = frame::decode(&frame::prelude(length, headers), limit).err();
        assert_eq!(error, Some(FrameError::HeaderLength(headers)), "{length} {headers}");
    }
}

/// Reads a message of these headers.
fn read(headers: &[Header<'_>]) -> Result<(Kind, i32), RpcError> {
    let mut bytes = BytesMut::new();
    frame::encode(&mut bytes, headers, b"");
    let Ok(Decoded::Frame(frame, _)) = frame::decode(&bytes, LIMIT) else { unreachable!() };
    Message::read(frame).map(|message| (message.kind, message.stream))
}

#[test]
fn every_message_needs_three_int32_headers_and_its_own_kind_of_stream() {
    let header = |name, value| Header { name, value: Value::Int32(value) };
    let three = |kind, stream| {
        [header(":stream-id", stream), header(":message-type", kind), header(":message-flags", 0)]
    };
    assert_eq!(read(&three(0, 1)), Ok((Kind::Application, 1)));
    assert_eq!(read(&three(2, 0)), Ok((Kind::Ping, 0)));
    assert_eq!(read(&three(8, 0)), Err(RpcError::UnknownType(8)));
    assert_eq!(read(&three(-1, 0)), Err(RpcError::UnknownType(-1)));
    for (kind, stream) in [(0, 0), (1, 0), (4, 1), (0, -1), (2, -1)] {
        let error = RpcError::WrongStream { kind, stream };
        assert_eq!(read(&three(kind, stream)), Err(error));
    }
    assert_eq!(read(&three(0, 1)[1..]), Err(RpcError::MissingHeader(":stream-id")));
    let mut wide = three(0, 1);
    wide[0].value = Value::Int64(1);
    assert_eq!(read(&wide), Err(RpcError::MissingHeader(":stream-id")));
    let nameless = [header("", 1)];
    assert_eq!(read(&nameless), Err(RpcError::Header(HeaderError::Nameless)));
}
