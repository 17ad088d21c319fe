mod durability;
mod fullness;
mod queue;

use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::*;
use crate::disk::Disk;

fn source_on(disk: &Disk) -> Source {
    Source::on(disk, schema::MIGRATIONS)
}

fn store_on(disk: &Disk) -> Store {
    Store::on(disk).unwrap()
}

fn temporary() -> (TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("state.redb")).unwrap();
    (directory, store)
}

#[test]
fn a_decision_is_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.redb");
    let ids = {
        let store = Store::open(&path).unwrap();
        store
            .write_two_phase("deploy", |tx| {
                tx.put(DESIRED, "a", b"row")?;
                tx.put_json(META, "boot", &vec![1, 2])?;
                tx.put_config("a", "[\"x\"]", b"1")?;
                tx.allocate_ids("a")
            })
            .unwrap()
    };
    let store = Store::open(&path).unwrap();
    store
        .read(|tx| {
            assert_eq!(tx.get(DESIRED, "a")?.as_deref(), Some(&b"row"[..]));
            assert_eq!(tx.get(JOBS, "a")?, None);
            assert_eq!(tx.get_json::<Vec<u8>>(META, "boot")?, Some(vec![1, 2]));
            assert_eq!(tx.config_of("a")?, vec![("[\"x\"]".to_owned(), b"1".to_vec())]);
            assert_eq!(tx.ids_of("a")?, Some(ids));
            Ok::<_, StoreError>(())
        })
        .unwrap();
}

#[test]
fn an_error_in_a_decision_leaves_the_store_as_it_was() {
    let (_directory, store) = temporary();
    let refused: Result<(), StoreError> = store.write("deploy", |tx| {
        tx.put(DESIRED, "a", b"row")?;
        tx.allocate_ids("a")?;
        Err(StoreError::NoIdsLeft)
    });
    assert!(matches!(refused, Err(StoreError::NoIdsLeft)));
    let rows = store.read(|tx| Ok::<_, StoreError>((tx.rows(DESIRED)?, tx.ids()?))).unwrap();
    assert_eq!(rows, (vec![], vec![]));
}

#[test]
fn configuration_belongs_to_one_component() {
    let (_directory, store) = temporary();
    store
        .write("configure", |tx| {
            for component in ["a", "a.b", "ab", "b"] {
                for key in ["", "[\"x\"]", "[\"y\"]"] {
                    tx.put_config(component, key, component.as_bytes())?;
                }
            }
            assert_eq!(tx.remove_all_config("a")?, 3);
            assert!(tx.remove_config("a.b", "")?);
            assert!(!tx.remove_config("a.b", "")?);
            Ok::<_, StoreError>(())
        })
        .unwrap();
    let keys = |component| store.read(|tx| tx.config_of(component)).unwrap().len();
    assert_eq!(["a", "a.b", "ab", "b", "c"].map(keys), [0, 2, 3, 3, 0]);
}

#[test]
fn jobs_are_pruned_by_their_writer() {
    let (_directory, store) = temporary();
    let pruned = store
        .write("prune", |tx| {
            for (job, finished) in [("1", 10), ("2", 20), ("3", 30)] {
                tx.put_json(JOBS, job, &finished)?;
            }
            tx.retain(JOBS, |_, row| row != b"10")
        })
        .unwrap();
    assert_eq!(pruned, 1);
    let left = store.read(|tx| tx.rows_json::<u32>(JOBS)).unwrap();
    assert_eq!(left, [("2".to_owned(), 20), ("3".to_owned(), 30)]);
}

#[test]
fn a_row_of_another_shape_is_named() {
    let (_directory, store) = temporary();
    store.write("meta", |tx| tx.put(META, "version", b"not json")).unwrap();
    let error = store.read(|tx| tx.get_json::<u32>(META, "version")).unwrap_err();
    assert!(matches!(&error, StoreError::Row { table: "meta", key, .. } if key == "version"));
}

#[test]
fn id_ranges_are_apart_and_not_reused_at_once() {
    let (_directory, store) = temporary();
    store
        .write("deploy", |tx| {
            let a = tx.allocate_ids("a")?;
            let b = tx.allocate_ids("b")?;
            assert_eq!((a.first, a.slot()), (1_879_048_192, 0));
            assert_eq!((b.first, b.slot()), (1_879_048_192 + 65_536, 1));
            assert_eq!(tx.allocate_ids("a")?, a);
            assert!(tx.release_ids("a")?);
            assert_eq!(tx.allocate_ids("c")?.slot(), 2);
            assert_eq!(tx.allocate_ids("a")?.slot(), 3);
            Ok::<_, StoreError>(())
        })
        .unwrap();
}

#[test]
fn id_ranges_run_out_and_come_back() {
    let (_directory, store) = temporary();
    let all: Vec<Ids> = store
        .write("deploy", |tx| {
            // By hand: allocating reads all that are in use, 4096 times that many.
            (0..4095).map(|n| tx.fill_ids(&format!("c{n}"), n)).collect::<Result<Vec<_>, _>>()
        })
        .unwrap();
    assert_eq!(all.len(), 4095);
    store
        .write("deploy", |tx| {
            let last = tx.allocate_ids("last")?;
            assert_eq!((last.first, last.slot()), (2_147_418_112, 4095));
            assert!(matches!(tx.allocate_ids("one more"), Err(StoreError::NoIdsLeft)));
            tx.release_ids("c7")?;
            assert_eq!(tx.allocate_ids("one more")?.slot(), 7);
            Ok::<_, StoreError>(())
        })
        .unwrap();
}

#[test]
fn a_decision_without_change_writes_nothing() {
    let disk = Disk::default();
    let store = store_on(&disk);
    let decide = |row: &'static [u8]| {
        store
            .write("deploy", |tx| {
                tx.put(DESIRED, "a", row)?;
                tx.put_config("a", "k", row)?;
                tx.allocate_ids("a")?;
                tx.remove(JOBS, "none")?;
                tx.release_ids("none")?;
                tx.retain(JOBS, |_, _| false)?;
                Ok::<_, StoreError>(())
            })
            .unwrap();
    };
    decide(b"one");
    let after_first = disk.operations();
    decide(b"one");
    store.read(|tx| tx.rows(DESIRED)).unwrap();
    assert_eq!(disk.operations(), after_first);
    decide(b"two");
    assert!(disk.operations() > after_first);
}

#[test]
fn commits_are_observed_with_their_label() {
    let (_directory, store) = temporary();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let store = {
        let seen = Arc::clone(&seen);
        store.with_commit_observer(move |label, point| seen.lock().unwrap().push((label, point)))
    };
    for _ in 0..2 {
        store.write("deploy", |tx| tx.put(META, "a", b"1")).unwrap();
    }
    store.write_two_phase("remove", |tx| tx.remove(META, "a")).unwrap();
    let expected = ["deploy", "remove"]
        .map(|label| [(label, CommitPoint::Before), (label, CommitPoint::After)])
        .concat();
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[test]
fn a_second_process_is_told_that_the_file_is_in_use() {
    let (directory, _store) = temporary();
    let second = Store::open(&directory.path().join("state.redb"));
    assert!(matches!(second, Err(StoreError::Busy)), "{second:?}");
}

#[test]
fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (directory, _store) = temporary();
    let mode = directory.path().join("state.redb").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_file_that_is_something_else_is_corrupt() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.redb");
    for content in [&b"not a database"[..], &[0; 4096], &[0xff; 65_536]] {
        std::fs::write(&path, content).unwrap();
        let opened = Store::open(&path);
        assert!(matches!(opened, Err(StoreError::Corrupt(_))), "{opened:?}");
    }
}

#[test]
fn every_damaged_page_is_found_or_harmless() {
    let disk = Disk::default();
    {
        let store = store_on(&disk);
        for n in 0..50 {
            store.write("put", |tx| tx.put(META, &format!("key{n}"), &[n; 200])).unwrap();
        }
    }
    let sound = disk.image();
    for page in 0..sound.len() / 4096 {
        let mut image = sound.clone();
        for byte in &mut image[page * 4096 + 100..page * 4096 + 164] {
            *byte ^= 0x5a;
        }
        let damaged = Disk::of(image);
        let opened = Store::from_source(source_on(&damaged));
        match opened {
            Err(StoreError::Corrupt(_)) => {}
            Err(other) => panic!("page {page}: {other}"),
            Ok(store) => {
                let rows = store.read(|tx| tx.rows(META)).unwrap();
                assert!(rows.iter().all(|(_, row)| row.len() == 200), "page {page}");
            }
        }
    }
}

#[test]
fn a_newer_schema_is_refused_and_an_older_one_migrated() {
    let disk = Disk::default();
    let open = |migrations: &[schema::Migration]| {
        let database = redb::Builder::new().create_with_backend(disk.clone()).unwrap();
        schema::migrate(&database, migrations)
    };
    let add_table = |tx: &redb::WriteTransaction| {
        tx.open_table(JOBS.table())?.insert("migrated", &b"yes"[..])?;
        Ok(())
    };
    drop(store_on(&disk));
    let known = u32::try_from(schema::MIGRATIONS.len()).unwrap();
    let applied: schema::Migration = |_| panic!("it is there already");
    let mut newer = vec![applied; schema::MIGRATIONS.len()];
    newer.push(add_table);
    open(&newer).unwrap();
    for (refused, known) in
        [(open(&newer[..1]), 1), (Store::from_source(source_on(&disk)).map(drop), known)]
    {
        let refused = refused.unwrap_err();
        assert!(
            matches!(refused, StoreError::TooNew { found, known: k } if k == known && found > k),
            "{refused}"
        );
    }
}

#[test]
fn a_power_cut_while_the_file_is_made_is_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    // As far as it came: a file that is not a database yet.
    std::fs::write(directory.path().join("state.redb.new"), [0; 8192]).unwrap();
    let store = Store::open(&directory.path().join("state.redb")).unwrap();
    store.write("put", |tx| tx.put(META, "a", b"1")).unwrap();
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}
