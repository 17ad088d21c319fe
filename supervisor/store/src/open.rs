//! Opening the file, and bringing what is in it up to date.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError};

use crate::error::StoreError;
use crate::schema::{self, Migration};

type Open = dyn Fn(&Builder) -> Result<Database, DatabaseError> + Send + Sync;

/// Where the database is and how it is opened, as often as it takes.
pub(crate) struct Source {
    name: String,
    cache_bytes: usize,
    migrations: &'static [Migration],
    open: Box<Open>,
}

impl Source {
    pub fn file(path: &Path, cache_bytes: usize, migrations: &'static [Migration]) -> Self {
        let name = path.display().to_string();
        let path = path.to_owned();
        let open = move |builder: &Builder| {
            if !path.try_exists()? {
                create(builder, &path)?;
            }
            open_file(builder, &path, OpenOptions::new().read(true).write(true))
        };
        Self { name, cache_bytes, migrations, open: Box::new(open) }
    }

    #[cfg(any(test, feature = "disk"))]
    pub fn on(disk: &crate::disk::Disk, migrations: &'static [Migration]) -> Self {
        let disk = disk.clone();
        let open = move |builder: &Builder| builder.create_with_backend(disk.clone());
        let cache_bytes = crate::DEFAULT_CACHE_BYTES;
        Self { name: "test".to_owned(), cache_bytes, migrations, open: Box::new(open) }
    }

    pub fn open(&self) -> Result<Database, StoreError> {
        let mut builder = Builder::new();
        builder.set_cache_size(self.cache_bytes);
        // Without it the library may panic on a file that was altered. The files are small.
        builder.set_check_integrity_on_open(true);
        let database = (self.open)(&builder)?;
        schema::migrate(&database, self.migrations)?;
        Ok(database)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Makes the file under another name first: one that a power cut left half made could not be
/// told from one that is damaged.
fn create(builder: &Builder, path: &Path) -> Result<(), DatabaseError> {
    let mut half_made = path.as_os_str().to_owned();
    half_made.push(".new");
    let half_made = Path::new(&half_made);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true).mode(0o600);
    open_file(builder, half_made, &options)?.close()?;
    fs::rename(half_made, path)?;
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(())
}

fn open_file(
    builder: &Builder,
    path: &Path,
    options: &OpenOptions,
) -> Result<Database, DatabaseError> {
    builder.create_with_backend(FileBackend::new(options.open(path)?)?)
}
