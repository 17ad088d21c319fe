//! A disk that keeps what was synced, and of the rest what chance has it.

use std::io::{self, Error, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

/// What reaches a disk whole or not at all.
const SECTOR: usize = 512;

/// Clones share one disk.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// As the program sees it.
    seen: Vec<u8>,
    /// As it was at the last sync.
    synced: Vec<u8>,
    /// What came since.
    pending: Vec<Operation>,
    /// Writes, changes of length and syncs so far.
    operations: usize,
    /// The operation from which on the power is cut.
    cut_at: Option<usize>,
    /// Bytes there is room for.
    room: Option<usize>,
}

#[derive(Clone, Debug)]
enum Operation {
    Write(usize, Vec<u8>),
    SetLen(usize),
}

impl Disk {
    pub fn of(image: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State { seen: image.clone(), synced: image, ..State::default() })))
    }

    pub fn image(&self) -> Vec<u8> {
        self.state().seen.clone()
    }

    pub fn operations(&self) -> usize {
        self.state().operations
    }

    /// From the given operation on, counted from now, nothing reaches the disk.
    pub fn cut_power_after(&self, operations: usize) {
        let mut state = self.state();
        state.cut_at = Some(state.operations + operations);
    }

    pub fn set_room(&self, bytes: Option<usize>) {
        self.state().room = bytes;
    }

    /// The disk after the power cut: of what was not synced, each sector of each write is there or
    /// not, as `chance` says.
    pub fn after_power_cut(&self, mut chance: impl FnMut() -> bool) -> Self {
        let state = self.state();
        let mut image = state.synced.clone();
        for operation in &state.pending {
            match operation {
                Operation::SetLen(length) => {
                    if chance() {
                        image.resize(*length, 0);
                    }
                }
                Operation::Write(offset, data) => {
                    for (n, sector) in data.chunks(SECTOR).enumerate() {
                        if chance() {
                            write(&mut image, offset + n * SECTOR, sector);
                        }
                    }
                }
            }
        }
        Self::of(image)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write(image: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if image.len() < end {
        image.resize(end, 0);
    }
    image[offset..end].copy_from_slice(data);
}

impl State {
    fn begin(&mut self) -> io::Result<()> {
        self.operations += 1;
        match self.cut_at {
            Some(cut) if self.operations > cut => Err(Error::other("the power is cut")),
            _ => Ok(()),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        let from = usize::try_from(offset).unwrap();
        let bytes = state.seen.get(from..from + out.len());
        out.copy_from_slice(bytes.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut state = self.state();
        state.begin()?;
        let length = usize::try_from(length).unwrap();
        if state.room.is_some_and(|room| length > room) {
            return Err(ErrorKind::StorageFull.into());
        }
        state.seen.resize(length, 0);
        state.pending.push(Operation::SetLen(length));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        state.begin()?;
        state.synced = state.seen.clone();
        state.pending.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.begin()?;
        if state.room == Some(0) {
            return Err(ErrorKind::StorageFull.into());
        }
        let offset = usize::try_from(offset).unwrap();
        write(&mut state.seen, offset, data);
        state.pending.push(Operation::Write(offset, data.to_vec()));
        Ok(())
    }
}
