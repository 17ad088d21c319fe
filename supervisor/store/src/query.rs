//! Reading: the same from a decision and from a plain read.

use std::cell::Cell;

use redb::{Key, ReadTransaction, ReadableTable, TableDefinition, Value};
use serde::de::DeserializeOwned;

use crate::error::StoreError;
use crate::ids::Ids;
use crate::schema::{CONFIG, IDS, Rows};

/// Rows of a table with their keys.
pub type Keyed<T> = Vec<(String, T)>;

pub(crate) mod sealed {
    use super::{Key, ReadableTable, StoreError, TableDefinition, Value};

    pub trait Tables {
        fn table<K: Key + 'static, V: Value + 'static>(
            &self,
            definition: TableDefinition<'static, K, V>,
        ) -> Result<impl ReadableTable<K, V>, StoreError>;

        /// Notes an error that ends the use of the database.
        fn noted(&self, error: StoreError) -> StoreError;
    }
}

/// What can be asked of the store. Keys come in the order of their bytes.
pub trait Query: sealed::Tables {
    fn get(&self, rows: Rows, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let table = self.table(rows.table())?;
        let row = table.get(key).map_err(|e| self.noted(e.into()))?;
        Ok(row.map(|row| row.value().to_vec()))
    }

    fn rows(&self, rows: Rows) -> Result<Keyed<Vec<u8>>, StoreError> {
        let table = self.table(rows.table())?;
        let mut all = Vec::new();
        for row in table.iter().map_err(|e| self.noted(e.into()))? {
            let (key, row) = row.map_err(|e| self.noted(e.into()))?;
            all.push((key.value().to_owned(), row.value().to_vec()));
        }
        Ok(all)
    }

    /// A row that was stored by [`Write::put_json`](crate::Write::put_json).
    fn get_json<T: DeserializeOwned>(
        &self,
        rows: Rows,
        key: &str,
    ) -> Result<Option<T>, StoreError> {
        self.get(rows, key)?.map(|row| decode(rows, key, &row)).transpose()
    }

    fn rows_json<T: DeserializeOwned>(&self, rows: Rows) -> Result<Keyed<T>, StoreError> {
        let decoded = |(key, row): (String, Vec<u8>)| {
            let row = decode(rows, &key, &row)?;
            Ok((key, row))
        };
        self.rows(rows)?.into_iter().map(decoded).collect()
    }

    /// The configuration rows of one component, by their keys.
    fn config_of(&self, component: &str) -> Result<Keyed<Vec<u8>>, StoreError> {
        let table = self.table(CONFIG)?;
        let mut all = Vec::new();
        for row in table.range((component, "")..).map_err(|e| self.noted(e.into()))? {
            let (key, row) = row.map_err(|e| self.noted(e.into()))?;
            let (owner, key) = key.value();
            if owner != component {
                break;
            }
            all.push((key.to_owned(), row.value().to_vec()));
        }
        Ok(all)
    }

    fn ids_of(&self, component: &str) -> Result<Option<Ids>, StoreError> {
        let table = self.table(IDS)?;
        let first = table.get(component).map_err(|e| self.noted(e.into()))?;
        Ok(first.map(|first| Ids { first: first.value() }))
    }

    fn ids(&self) -> Result<Keyed<Ids>, StoreError> {
        let table = self.table(IDS)?;
        let mut all = Vec::new();
        for row in table.iter().map_err(|e| self.noted(e.into()))? {
            let (component, first) = row.map_err(|e| self.noted(e.into()))?;
            all.push((component.value().to_owned(), Ids { first: first.value() }));
        }
        Ok(all)
    }
}

fn decode<T: DeserializeOwned>(rows: Rows, key: &str, row: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(row).map_err(|source| StoreError::Row {
        table: rows.name(),
        key: key.to_owned(),
        source,
    })
}

/// One consistent state of the store.
pub struct Read {
    transaction: ReadTransaction,
    failed: Cell<bool>,
}

impl Read {
    pub(crate) fn new(transaction: ReadTransaction) -> Self {
        Self { transaction, failed: Cell::new(false) }
    }

    pub(crate) fn failed(&self) -> bool {
        self.failed.get()
    }
}

impl sealed::Tables for Read {
    fn table<K: Key + 'static, V: Value + 'static>(
        &self,
        definition: TableDefinition<'static, K, V>,
    ) -> Result<impl ReadableTable<K, V>, StoreError> {
        self.transaction.open_table(definition).map_err(|e| self.noted(e.into()))
    }

    fn noted(&self, error: StoreError) -> StoreError {
        self.failed.set(self.failed.get() || error.is_device());
        error
    }
}

impl Query for Read {}

impl std::fmt::Debug for Read {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Read")
    }
}
