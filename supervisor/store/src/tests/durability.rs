//! The power is cut at any operation on the disk, and what was not synced is lost in part.

use proptest::prelude::*;

use super::store_on;
use crate::disk::Disk;
use crate::{DESIRED, META, Query, Store, StoreError};

/// Makes decision `number`: rows in several tables, all with that number, and some bulk.
fn decide(store: &Store, number: u32, bulk: usize, two_phase: bool) -> Result<(), StoreError> {
    let row = number.to_le_bytes();
    let decision = |tx: &mut crate::Write| {
        tx.put(META, "number", &row)?;
        for n in 0..8 {
            tx.put(DESIRED, &format!("component{n}"), &row)?;
            tx.put_config(&format!("component{n}"), "number", &row)?;
        }
        tx.put(META, &format!("bulk{}", number % 5), &vec![number as u8; bulk])?;
        tx.allocate_ids(&format!("component{number}"))?;
        if number % 3 == 2 {
            tx.release_ids(&format!("component{}", number - 2))?;
        }
        Ok(())
    };
    match two_phase {
        true => store.write_two_phase("decide", decision),
        false => store.write("decide", decision),
    }
}

/// The number that every row has; panics if they differ.
fn number(store: &Store) -> Option<u32> {
    store
        .read(|tx| {
            let row = tx.get(META, "number")?;
            for n in 0..8 {
                assert_eq!(tx.get(DESIRED, &format!("component{n}"))?, row);
                let config = tx.config_of(&format!("component{n}"))?;
                assert_eq!(config.first().map(|(_, value)| value.clone()), row);
            }
            let number = row.map(|row| u32::from_le_bytes(row.try_into().unwrap()));
            if let Some(number) = number {
                assert!(tx.ids_of(&format!("component{number}"))?.is_some());
                assert!(tx.ids_of(&format!("component{}", number + 1))?.is_none());
            }
            Ok::<_, StoreError>(number)
        })
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn what_was_acknowledged_is_there_and_nothing_by_halves(
        bulk in prop::collection::vec(0usize..20_000, 12),
        cut in 0usize..250,
        two_phase in any::<bool>(),
        mut dice in any::<u64>(),
        always in prop::option::weighted(0.2, any::<bool>()),
    ) {
        let disk = Disk::default();
        let mut acknowledged = None;
        let mut attempted = None;
        {
            let store = store_on(&disk);
            disk.cut_power_after(cut);
            for (number, &bulk) in (0..).zip(&bulk) {
                attempted = Some(number);
                match decide(&store, number, bulk, two_phase) {
                    Ok(()) => acknowledged = Some(number),
                    Err(_) => break,
                }
            }
        }
        let survivor = disk.after_power_cut(|| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            always.unwrap_or(dice >> 63 == 1)
        });
        let store = store_on(&survivor);
        let found = number(&store);
        prop_assert!(
            found == acknowledged || found == attempted,
            "acknowledged {acknowledged:?}, attempted {attempted:?}, found {found:?}"
        );
        // And it goes on from there.
        let next = found.map_or(0, |n| n + 1);
        decide(&store, next, 100, two_phase).unwrap();
        prop_assert_eq!(number(&store), Some(next));
    }
}
