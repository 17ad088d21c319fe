//! Headers of a frame: `u8 name length, name, u8 type, value`, integers big-endian.

use bytes::{BufMut, BytesMut};

/// A header's value. Strings and buffers borrow from the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    Bool(bool),
    Int8(i8),
    Int16(i16),
    Int32(i32),
    Int64(i64),
    Bytes(&'a [u8]),
    String(&'a str),
    /// Milliseconds since the Unix epoch.
    Timestamp(i64),
    Uuid([u8; 16]),
}

/// A header: its name and value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    pub name: &'a str,
    pub value: Value<'a>,
}

/// A header block that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error("the header block ends inside a header")]
    Truncated,
    #[error("a header has no name")]
    Nameless,
    #[error("a header's name or string value is not UTF-8")]
    NotUtf8,
    #[error("header type {0} does not exist")]
    UnknownType(u8),
}

/// The headers of a frame, read one by one.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a>(pub(super) &'a [u8]);

impl<'a> Headers<'a> {
    /// The block as it stood in the frame.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Result<Header<'a>, HeaderError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let header = read(&mut self.0);
        if header.is_err() {
            self.0 = &[];
        }
        Some(header)
    }
}

fn read<'a>(block: &mut &'a [u8]) -> Result<Header<'a>, HeaderError> {
    let [length] = array(block)?;
    if length == 0 {
        return Err(HeaderError::Nameless);
    }
    let name = text(bytes(block, length.into())?)?;
    let [code] = array(block)?;
    let value = match code {
        0 => Value::Bool(true),
        1 => Value::Bool(false),
        2 => Value::Int8(i8::from_be_bytes(array(block)?)),
        3 => Value::Int16(i16::from_be_bytes(array(block)?)),
        4 => Value::Int32(i32::from_be_bytes(array(block)?)),
        5 => Value::Int64(i64::from_be_bytes(array(block)?)),
        6 => Value::Bytes(sized(block)?),
        7 => Value::String(text(sized(block)?)?),
        8 => Value::Timestamp(i64::from_be_bytes(array(block)?)),
        9 => Value::Uuid(array(block)?),
        code => return Err(HeaderError::UnknownType(code)),
    };
    Ok(Header { name, value })
}

fn array<const N: usize>(block: &mut &[u8]) -> Result<[u8; N], HeaderError> {
    let (head, rest) = block.split_first_chunk::<N>().ok_or(HeaderError::Truncated)?;
    *block = rest;
    Ok(*head)
}

fn bytes<'a>(block: &mut &'a [u8], length: usize) -> Result<&'a [u8], HeaderError> {
    let (head, rest) = block.split_at_checked(length).ok_or(HeaderError::Truncated)?;
    *block = rest;
    Ok(head)
}

fn sized<'a>(block: &mut &'a [u8]) -> Result<&'a [u8], HeaderError> {
    let length = u16::from_be_bytes(array(block)?);
    bytes(block, length.into())
}

fn text(bytes: &[u8]) -> Result<&str, HeaderError> {
    std::str::from_utf8(bytes).map_err(|_| HeaderError::NotUtf8)
}

impl Header<'_> {
    /// Appends the header's encoding. Names above 255 bytes and values above 65,535 are cut.
    pub fn write(&self, out: &mut BytesMut) {
        let name = cut(self.name, u8::MAX.into());
        out.put_u8(name.len() as u8);
        out.put_slice(name.as_bytes());
        match self.value {
            Value::Bool(true) => out.put_u8(0),
            Value::Bool(false) => out.put_u8(1),
            Value::Int8(value) => {
                out.put_u8(2);
                out.put_i8(value);
            }
            Value::Int16(value) => {
                out.put_u8(3);
                out.put_i16(value);
            }
            Value::Int32(value) => {
                out.put_u8(4);
                out.put_i32(value);
            }
            Value::Int64(value) => {
                out.put_u8(5);
                out.put_i64(value);
            }
            Value::Bytes(value) => {
                out.put_u8(6);
                put_sized(out, &value[..value.len().min(u16::MAX.into())]);
            }
            Value::String(value) => {
                out.put_u8(7);
                put_sized(out, cut(value, u16::MAX.into()).as_bytes());
            }
            Value::Timestamp(value) => {
                out.put_u8(8);
                out.put_i64(value);
            }
            Value::Uuid(value) => {
                out.put_u8(9);
                out.put_slice(&value);
            }
        }
    }
}

fn put_sized(out: &mut BytesMut, bytes: &[u8]) {
    out.put_u16(bytes.len() as u16);
    out.put_slice(bytes);
}

/// The longest prefix of at most `limit` bytes that ends between characters.
fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}
