//! Opening the file, and bringing what is in it up to date.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError};

use crate::error::StoreError;
use crate::schema;

type Open = dyn Fn(&Builder) -> Result<Database, DatabaseError> + Send + Sync;

/// Where the database is and how it is opened, as often as it takes.
pub(crate) struct Source {
    name: String,
    cache_bytes: usize,
    open: Box<Open>,
}

impl Source {
    pub fn file(path: &Path, cache_bytes: usize) -> Self {
        let name = path.display().to_string();
        let path = path.to_owned();
        let open = move |builder: &Builder| {
            let file = open_file(&path)?;
            builder.create_with_backend(FileBackend::new(file)?)
        };
        Self { name, cache_bytes, open: Box::new(open) }
    }

    #[cfg(test)]
    pub fn backend<B: redb::StorageBackend>(make: impl Fn() -> B + Send + Sync + 'static) -> Self {
        let open = move |builder: &Builder| builder.create_with_backend(make());
        let cache_bytes = crate::DEFAULT_CACHE_BYTES;
        Self { name: "test".to_owned(), cache_bytes, open: Box::new(open) }
    }

    pub fn open(&self) -> Result<Database, StoreError> {
        let mut builder = Builder::new();
        builder.set_cache_size(self.cache_bytes);
        // Without it the library may panic on a file that was altered. The file is small.
        builder.set_check_integrity_on_open(true);
        let database = (self.open)(&builder)?;
        schema::migrate(&database)?;
        Ok(database)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

fn open_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let file = options.create_new(true).open(path)?;
            // A file is only durable when its name is.
            let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
            File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
            Ok(file)
        }
        opened => opened,
    }
}
