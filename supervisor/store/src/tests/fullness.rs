//! A full disk refuses a decision, and takes it when there is room again.

use super::store_on;
use crate::disk::Disk;
use crate::{META, Query, StoreError};

#[test]
fn a_full_disk_loses_nothing_and_the_decision_can_be_made_again() {
    let disk = Disk::default();
    let store = store_on(&disk);
    store.write("small", |tx| tx.put(META, "small", b"row")).unwrap();
    let bulky = vec![7; 8 * 1024 * 1024];
    let decide = || store.write("bulky", |tx| tx.put(META, "bulky", &bulky));
    for room in [disk.image().len(), 0] {
        disk.set_room(Some(room));
        for _ in 0..2 {
            let refused = decide();
            assert!(matches!(refused, Err(StoreError::Full)), "room for {room}: {refused:?}");
        }
        disk.set_room(None);
        let rows = store.read(|tx| tx.rows(META)).unwrap();
        assert_eq!(rows, [("small".to_owned(), b"row".to_vec())]);
    }
    assert!(decide().unwrap());
    assert_eq!(store.read(|tx| tx.get(META, "bulky")).unwrap().unwrap(), bulky);
}

#[test]
fn an_input_or_output_error_is_over_when_the_device_is_back() {
    let disk = Disk::default();
    let store = store_on(&disk);
    store.write("first", |tx| tx.put(META, "first", b"row")).unwrap();
    disk.cut_power_after(1);
    let refused = store.write("second", |tx| tx.put(META, "second", b"row"));
    assert!(matches!(refused, Err(StoreError::Device(_))), "{refused:?}");
    disk.cut_power_after(usize::MAX / 2);
    store.write("second", |tx| tx.put(META, "second", b"row")).unwrap();
    assert_eq!(store.read(|tx| tx.rows(META)).unwrap().len(), 2);
}
