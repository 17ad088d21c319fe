//! The last that a function wrote, for callers that want it (`LogType: Tail`).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of it, as in Lambda.
pub const LOG_TAIL: usize = 4096;

/// Shared by whoever reads what an instance writes and by the pool; costs nothing while nobody wants it.
#[derive(Debug, Clone, Default)]
pub struct LogTail(Arc<Mutex<Option<VecDeque<u8>>>>);

impl LogTail {
    /// What the instance wrote.
    pub fn write(&self, output: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(kept) = kept.as_mut() else {
            return;
        };
        let fresh = &output[output.len().saturating_sub(LOG_TAIL)..];
        let excess = (kept.len() + fresh.len()).saturating_sub(LOG_TAIL);
        kept.drain(..excess);
        kept.extend(fresh);
    }

    /// From here on it is wanted; what was kept is forgotten.
    pub(crate) fn begin(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(VecDeque::new());
    }

    /// What was written since [`Self::begin`], and nothing any more from here on.
    pub(crate) fn end(&self) -> Vec<u8> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        kept.map(Vec::from).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_4_kib_since_the_beginning_are_kept() {
        let tail = LogTail::default();
        tail.write(b"nobody listens");
        tail.begin();
        tail.write(&[b'a'; 3000]);
        tail.write(&[b'b'; 3000]);
        let kept = tail.end();
        assert_eq!(kept.len(), LOG_TAIL);
        assert_eq!(kept.iter().filter(|byte| **byte == b'b').count(), 3000);

        tail.begin();
        tail.write(&[b'c'; 10_000]);
        assert_eq!(tail.end(), vec![b'c'; LOG_TAIL]);
        tail.write(b"nobody listens");
        assert_eq!(tail.end(), b"");
    }
}
