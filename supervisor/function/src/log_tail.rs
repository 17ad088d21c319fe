//! The last that a function wrote, for callers that want it (`LogType: Tail`).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Bytes of it, as in Lambda.
pub const LOG_TAIL: usize = 4096;

/// Shared by whoever reads what an instance writes and by the pool; costs nothing while nobody wants it.
#[derive(Debug, Clone, Default)]
pub struct LogTail(Arc<Mutex<Weak<Kept>>>);

type Kept = Mutex<VecDeque<u8>>;

/// What an instance writes from the beginning of one invocation to that of the next whose log is wanted.
#[derive(Debug)]
pub(crate) struct Capture(Arc<Kept>);

impl LogTail {
    /// What the instance wrote.
    pub fn write(&self, output: &[u8]) {
        let Some(kept) = self.0.lock().unwrap_or_else(PoisonError::into_inner).upgrade() else {
            return;
        };
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = &output[output.len().saturating_sub(LOG_TAIL)..];
        let excess = (kept.len() + fresh.len()).saturating_sub(LOG_TAIL);
        kept.drain(..excess);
        kept.extend(fresh);
    }

    /// Keeps what comes from here on until the capture is dropped or another one begins.
    pub(crate) fn capture(&self) -> Capture {
        let kept = Arc::default();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&kept);
        Capture(kept)
    }
}

impl Capture {
    pub fn take(self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_4_kib_since_the_beginning_are_kept() {
        let tail = LogTail::default();
        tail.write(b"nobody listens");
        let capture = tail.capture();
        tail.write(&[b'a'; 3000]);
        tail.write(&[b'b'; 3000]);
        let kept = capture.take();
        assert_eq!(kept.len(), LOG_TAIL);
        assert_eq!(kept.iter().filter(|byte| **byte == b'b').count(), 3000);
        tail.write(b"nobody listens");

        let capture = tail.capture();
        tail.write(&[b'c'; 10_000]);
        let next = tail.capture();
        tail.write(b"of the next");
        assert_eq!(capture.take(), vec![b'c'; LOG_TAIL]);
        assert_eq!(next.take(), b"of the next");
    }
}
