//! Foreign bytes as frames: no panic, and what decodes encodes to the same bytes.

#![no_main]

use bytes::BytesMut;
use hedgerow_ipc::wire::frame::{self, Decoded, PRELUDE, TRAILER};
use hedgerow_ipc::wire::header::Header;
use hedgerow_ipc::wire::rpc::Message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    // The same bytes as headers of a frame that is otherwise right, to get past the CRCs.
    let length = PRELUDE + bytes.len() + TRAILER;
    let mut whole = frame::prelude(length, bytes.len()).to_vec();
    whole.extend_from_slice(bytes);
    let crc = crc32fast::hash(&whole);
    whole.extend_from_slice(&crc.to_be_bytes());
    check(&whole);
});

fn check(bytes: &[u8]) {
    let Ok(Decoded::Frame(decoded, length)) = frame::decode(bytes, 1 << 20) else { return };
    let _ = Message::read(decoded);
    let headers: Result<Vec<Header<'_>>, _> = decoded.headers.collect();
    if let Ok(headers) = headers {
        let mut again = BytesMut::new();
        frame::encode(&mut again, &headers, decoded.payload);
        assert_eq!(again, bytes[..length]);
    }
}
