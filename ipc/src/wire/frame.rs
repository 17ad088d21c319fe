//! The event-stream frame:
//!
//! ```text
//! 0     u32  length of the whole frame, both CRCs included
//! 4     u32  length of the header block, H
//! 8     u32  CRC-32 of bytes 0..8
//! 12    H bytes of headers, then the payload
//! end-4 u32  CRC-32 of every byte before it
//! ```
//!
//! Integers are big-endian; the CRC is zlib's.

use super::header::{Header, HeaderError, Headers};
use bytes::{BufMut, BytesMut};

/// Length and header length and their CRC.
pub const PRELUDE: usize = 12;
/// The CRC at the end.
pub const TRAILER: usize = 4;
/// Largest header block that is accepted, in bytes.
pub const MAX_HEADERS: usize = 128 * 1024;

/// A frame that breaks the format. The stream cannot be read any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("the CRC of the frame's first eight bytes is wrong")]
    PreludeCrc,
    #[error("a frame of {length} bytes is larger than the {limit} allowed")]
    TooLarge { length: usize, limit: usize },
    #[error("a header block of {0} bytes does not fit its frame or the limit of {MAX_HEADERS}")]
    HeaderLength(usize),
    #[error("the CRC of the frame is wrong")]
    MessageCrc,
    #[error(transparent)]
    Header(#[from] HeaderError),
}

/// A whole frame, borrowed from the bytes received.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    pub headers: Headers<'a>,
    pub payload: &'a [u8],
}

/// What the received bytes begin with.
#[derive(Debug, Clone, Copy)]
pub enum Decoded<'a> {
    /// A frame and how many bytes it took.
    Frame(Frame<'a>, usize),
    /// Part of a frame; it is complete at this many bytes (the prelude's 12 while the length is
    /// not yet known).
    Partial(usize),
}

/// Decodes the frame at the start of `bytes`. A frame longer than `limit` is refused as soon as its
/// prelude is known.
///
/// # Errors
/// The bytes are no frame, whatever follows.
pub fn decode(bytes: &[u8], limit: usize) -> Result<Decoded<'_>, FrameError> {
    let Some((prelude, _)) = bytes.split_first_chunk::<PRELUDE>() else {
        return Ok(Decoded::Partial(PRELUDE));
    };
    if crc32fast::hash(&prelude[..8]) != be(&prelude[8..]) {
        return Err(FrameError::PreludeCrc);
    }
    let (length, headers) = (be(&prelude[..4]) as usize, be(&prelude[4..8]) as usize);
    if length > limit {
        return Err(FrameError::TooLarge { length, limit });
    }
    if headers > MAX_HEADERS || headers + PRELUDE + TRAILER > length {
        return Err(FrameError::HeaderLength(headers));
    }
    let Some(frame) = bytes.get(..length) else {
        return Ok(Decoded::Partial(length));
    };
    let (covered, crc) = frame.split_at(length - TRAILER);
    if crc32fast::hash(covered) != be(crc) {
        return Err(FrameError::MessageCrc);
    }
    let (headers, payload) = covered[PRELUDE..].split_at(headers);
    Ok(Decoded::Frame(Frame { headers: Headers(headers), payload }, length))
}

/// Appends a frame to `out`.
pub fn encode(out: &mut BytesMut, headers: &[Header<'_>], payload: &[u8]) {
    let start = out.len();
    let header_length = begin(out, headers);
    let length = out.len() - start + payload.len() + TRAILER;
    out.reserve(payload.len() + TRAILER);
    out[start..start + PRELUDE].copy_from_slice(&prelude(length, header_length));
    out.put_slice(payload);
    let crc = crc32fast::hash(&out[start..]);
    out.put_u32(crc);
}

/// Appends room for the prelude, then the headers; returns the length of the header block.
pub(super) fn begin(out: &mut BytesMut, headers: &[Header<'_>]) -> usize {
    out.put_bytes(0, PRELUDE);
    let start = out.len();
    for header in headers {
        header.write(out);
    }
    out.len() - start
}

/// The first twelve bytes of a frame with these lengths.
pub fn prelude(length: usize, header_length: usize) -> [u8; PRELUDE] {
    let mut prelude = [0; PRELUDE];
    prelude[..4].copy_from_slice(&(length as u32).to_be_bytes());
    prelude[4..8].copy_from_slice(&(header_length as u32).to_be_bytes());
    let crc = crc32fast::hash(&prelude[..8]);
    prelude[8..].copy_from_slice(&crc.to_be_bytes());
    prelude
}

/// A big-endian integer of the first four bytes; callers have checked that they are there.
fn be(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |value, byte| value << 8 | u32::from(*byte))
}
