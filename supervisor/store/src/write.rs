//! One decision: reads and writes that become durable together.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;

use redb::{Key, ReadableTable, Table, TableDefinition, Value, WriteTransaction};
use serde::Serialize;

use crate::error::StoreError;
use crate::ids::{self, Ids};
use crate::query::{Query, sealed};
use crate::schema::{CONFIG, COUNTERS, IDS, NEXT_SLOT, Rows};

/// The store as a decision sees and changes it.
pub struct Write {
    transaction: WriteTransaction,
    changed: bool,
    failed: Cell<bool>,
}

impl Write {
    pub(crate) fn new(transaction: WriteTransaction) -> Self {
        Self { transaction, changed: false, failed: Cell::new(false) }
    }

    /// Stores a row. Returns whether that changed anything: an equal row is left alone.
    pub fn put(&mut self, rows: Rows, key: &str, row: &[u8]) -> Result<bool, StoreError> {
        self.insert(rows.table(), key, row)
    }

    pub fn put_json<T: Serialize>(
        &mut self,
        rows: Rows,
        key: &str,
        row: &T,
    ) -> Result<bool, StoreError> {
        let row = serde_json::to_vec(row).map_err(|source| StoreError::Row {
            table: rows.name(),
            key: key.to_owned(),
            source,
        })?;
        self.put(rows, key, &row)
    }

    /// Returns whether there was a row.
    pub fn remove(&mut self, rows: Rows, key: &str) -> Result<bool, StoreError> {
        self.delete(rows.table(), key)
    }

    /// Removes the rows that `keep` refuses. Returns how many.
    pub fn retain(
        &mut self,
        rows: Rows,
        mut keep: impl FnMut(&str, &[u8]) -> bool,
    ) -> Result<usize, StoreError> {
        let refused: Vec<String> = self
            .rows(rows)?
            .into_iter()
            .filter(|(key, row)| !keep(key, row))
            .map(|(key, _)| key)
            .collect();
        for key in &refused {
            self.remove(rows, key)?;
        }
        Ok(refused.len())
    }

    /// Stores one row of a component's configuration; `key` is unique among its rows.
    pub fn put_config(
        &mut self,
        component: &str,
        key: &str,
        row: &[u8],
    ) -> Result<bool, StoreError> {
        self.insert(CONFIG, (component, key), row)
    }

    pub fn remove_config(&mut self, component: &str, key: &str) -> Result<bool, StoreError> {
        self.delete(CONFIG, (component, key))
    }

    /// Returns how many rows there were.
    pub fn remove_all_config(&mut self, component: &str) -> Result<usize, StoreError> {
        let rows = self.config_of(component)?;
        for (key, _) in &rows {
            self.remove_config(component, key)?;
        }
        Ok(rows.len())
    }

    /// The component's range of ids: the one it has, or else one that no component has.
    pub fn allocate_ids(&mut self, component: &str) -> Result<Ids, StoreError> {
        if let Some(ids) = self.ids_of(component)? {
            return Ok(ids);
        }
        let in_use: BTreeSet<u32> = self.ids()?.into_iter().map(|(_, ids)| ids.first).collect();
        let next = self.counter(NEXT_SLOT)?;
        let ids = ids::free(next, &in_use).ok_or(StoreError::NoIdsLeft)?;
        self.insert(IDS, component, ids.first)?;
        self.insert(COUNTERS, NEXT_SLOT, ids.slot() + 1)?;
        Ok(ids)
    }

    /// Gives a component's range back. Only after everything that has its ids is gone.
    pub fn release_ids(&mut self, component: &str) -> Result<bool, StoreError> {
        self.delete(IDS, component)
    }

    #[cfg(test)]
    pub(crate) fn fill_ids(&mut self, component: &str, slot: u32) -> Result<Ids, StoreError> {
        let ids =
            Ids { first: ids::free(slot, &BTreeSet::new()).ok_or(StoreError::NoIdsLeft)?.first };
        self.insert(IDS, component, ids.first)?;
        self.insert(COUNTERS, NEXT_SLOT, slot + 1)?;
        Ok(ids)
    }

    pub(crate) fn changed(&self) -> bool {
        self.changed
    }

    pub(crate) fn failed(&self) -> bool {
        self.failed.get()
    }

    pub(crate) fn commit(self) -> Result<(), StoreError> {
        Ok(self.transaction.commit()?)
    }

    pub(crate) fn abort(self) -> Result<(), StoreError> {
        Ok(self.transaction.abort()?)
    }

    pub(crate) fn insert<'k, 'v, K: Key + 'static, V: Value + 'static>(
        &mut self,
        definition: TableDefinition<'static, K, V>,
        key: K::SelfType<'k>,
        value: V::SelfType<'v>,
    ) -> Result<bool, StoreError> {
        let result = (|| {
            let mut table = self.transaction.open_table(definition)?;
            let before = table.get(&key)?;
            let same = |row: redb::AccessGuard<'_, V>| {
                V::as_bytes(&row.value()).as_ref() == V::as_bytes(&value).as_ref()
            };
            if before.is_some_and(same) {
                return Ok(false);
            }
            table.insert(&key, &value)?;
            Ok(true)
        })();
        self.note(result)
    }

    pub(crate) fn delete<'k, K: Key + 'static, V: Value + 'static>(
        &mut self,
        definition: TableDefinition<'static, K, V>,
        key: K::SelfType<'k>,
    ) -> Result<bool, StoreError> {
        let result = (|| {
            let mut table = self.transaction.open_table(definition)?;
            let removed = table.remove(&key)?.is_some();
            Ok(removed)
        })();
        self.note(result)
    }

    fn note(&mut self, result: Result<bool, StoreError>) -> Result<bool, StoreError> {
        let changed = result.map_err(|error| sealed::Tables::noted(self, error))?;
        self.changed |= changed;
        Ok(changed)
    }

    fn counter(&self, name: &str) -> Result<u32, StoreError> {
        let table = self.open(COUNTERS)?;
        let number = table.get(name).map_err(|error| sealed::Tables::noted(self, error.into()))?;
        Ok(number.map_or(0, |number| number.value()))
    }

    fn open<K: Key + 'static, V: Value + 'static>(
        &self,
        definition: TableDefinition<'static, K, V>,
    ) -> Result<Table<'_, K, V>, StoreError> {
        let opened = self.transaction.open_table(definition);
        opened.map_err(|error| sealed::Tables::noted(self, error.into()))
    }
}

impl sealed::Tables for Write {
    fn table<K: Key + 'static, V: Value + 'static>(
        &self,
        definition: TableDefinition<'static, K, V>,
    ) -> Result<impl ReadableTable<K, V>, StoreError> {
        self.open(definition)
    }

    fn noted(&self, error: StoreError) -> StoreError {
        self.failed.set(self.failed.get() || error.is_device());
        error
    }
}

impl Query for Write {}

impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write").field("changed", &self.changed).finish_non_exhaustive()
    }
}
