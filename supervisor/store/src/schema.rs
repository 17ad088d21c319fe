//! The tables, and how each version of them became the next.

use redb::{Database, ReadableDatabase, TableDefinition, WriteTransaction};

use crate::error::StoreError;

/// A table of rows by one key. What a row is, is its writer's matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows(&'static str);

/// Deployment → what it is about and how far it is.
pub const DEPLOYMENTS: Rows = Rows("deployments");
/// Component → what was asked for.
pub const DESIRED: Rows = Rows("desired");
/// Group of deployments → what its last one asked for.
pub const GROUPS: Rows = Rows("groups");
/// Component → what its last successful installation was made of.
pub const INSTALLS: Rows = Rows("installs");
/// Job → its state and, when it is done, since when.
pub const JOBS: Rows = Rows("jobs");
/// Facts of which there is one each.
pub const META: Rows = Rows("meta");
/// `name@version` → recipe and artifacts.
pub const PACKAGES: Rows = Rows("packages");
/// Deployment at work → what was desired before it.
pub const SNAPSHOTS: Rows = Rows("snapshots");

pub(crate) type RowTable = TableDefinition<'static, &'static str, &'static [u8]>;

impl Rows {
    pub fn name(self) -> &'static str {
        self.0
    }

    pub(crate) const fn table(self) -> RowTable {
        TableDefinition::new(self.0)
    }
}

/// (component, key of the leaf) → row.
pub(crate) const CONFIG: TableDefinition<(&str, &str), &[u8]> = TableDefinition::new("config");
/// Component → first id of its range.
pub(crate) const IDS: TableDefinition<&str, u32> = TableDefinition::new("ids");
/// The store's own numbers.
pub(crate) const COUNTERS: TableDefinition<&str, u32> = TableDefinition::new("counters");

pub(crate) const NEXT_SLOT: &str = "next_slot";
const SCHEMA: &str = "schema";

pub(crate) type Migration = fn(&WriteTransaction) -> Result<(), StoreError>;

/// The migration at index `n` brings schema `n` to `n + 1`; an empty file has schema 0.
pub(crate) const MIGRATIONS: &[Migration] = &[first_tables, deployment_tables];

/// Brings a database to the schema of this program, in one transaction.
pub(crate) fn migrate(database: &Database, migrations: &[Migration]) -> Result<(), StoreError> {
    let found = version(database)?;
    let known = u32::try_from(migrations.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(StoreError::TooNew { found, known });
    }
    if found == known {
        return Ok(());
    }
    let mut transaction = database.begin_write()?;
    transaction.set_two_phase_commit(true);
    for migration in migrations.iter().skip(found as usize) {
        migration(&transaction)?;
    }
    transaction.open_table(COUNTERS)?.insert(SCHEMA, known)?;
    transaction.commit()?;
    Ok(())
}

fn version(database: &Database) -> Result<u32, StoreError> {
    let transaction = database.begin_read()?;
    match transaction.open_table(COUNTERS) {
        Ok(table) => Ok(table.get(SCHEMA)?.map_or(0, |version| version.value())),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

fn first_tables(transaction: &WriteTransaction) -> Result<(), StoreError> {
    // A table exists once it was opened for writing.
    for rows in [DESIRED, INSTALLS, JOBS, META, PACKAGES] {
        transaction.open_table(rows.table())?;
    }
    transaction.open_table(CONFIG)?;
    transaction.open_table(IDS)?;
    transaction.open_table(COUNTERS)?;
    Ok(())
}

fn deployment_tables(transaction: &WriteTransaction) -> Result<(), StoreError> {
    for rows in [DEPLOYMENTS, GROUPS, SNAPSHOTS] {
        transaction.open_table(rows.table())?;
    }
    Ok(())
}
