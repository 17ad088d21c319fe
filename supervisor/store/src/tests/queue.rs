//! What waits: in order, all or nothing, and never in the way of what is known.

use proptest::prelude::*;

use crate::disk::Disk;
use crate::{Change, Queue, StoreError, Waiting};

fn append(line: &str, number: u64, event: &[u8]) -> Change {
    Change::Append { line: line.into(), number, event: event.into(), note: b"new".into() }
}

fn waiting(queue: &Queue) -> Vec<(String, u64)> {
    queue
        .waiting()
        .unwrap()
        .into_iter()
        .map(|Waiting { line, number, .. }| (line, number))
        .collect()
}

#[test]
fn lines_are_apart_and_in_order() {
    let queue = Queue::on(&Disk::default()).unwrap();
    let line = || "a".to_owned();
    let noted = Change::Note { line: line(), number: 2, note: b"tried".into() };
    let gone = Change::Note { line: line(), number: 9, note: b"tried".into() };
    let appended = [
        append("a", 2, b"two"),
        append("b", 1, b"one"),
        append("a", 1, b"first"),
        append("a.b", 7, b"x"),
        noted,
        gone,
    ];
    queue.commit("enqueue", &appended).unwrap();
    let all = queue.waiting().unwrap();
    assert_eq!(all[0], Waiting { line: line(), number: 1, note: b"new".into(), size: 5 });
    assert_eq!(all[1], Waiting { line: line(), number: 2, note: b"tried".into(), size: 3 });
    assert_eq!(all.len(), 4);
    assert_eq!(queue.event("a", 2).unwrap().as_deref(), Some(&b"two"[..]));
    assert_eq!(queue.event("a", 7).unwrap(), None);

    queue.commit("complete", &[Change::Remove { line: line(), number: 1 }]).unwrap();
    assert_eq!(queue.event("a", 1).unwrap(), None);
    let clear = Change::Clear { line: line(), before: 4 };
    queue.commit("complete", &[append("a", 3, b""), append("a", 4, b""), clear]).unwrap();
    assert_eq!(waiting(&queue), [("a".into(), 4), ("a.b".into(), 7), ("b".into(), 1)]);
}

#[test]
fn a_damaged_file_is_set_aside() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("queue.redb");
    let (queue, aside) = Queue::open(&path).unwrap();
    assert!(aside.is_none());
    queue.commit("enqueue", &[append("a", 1, b"event")]).unwrap();
    assert!(matches!(Queue::open(&path), Err(StoreError::Busy)));
    drop(queue);
    let (queue, aside) = Queue::open(&path).unwrap();
    assert!(aside.is_none());
    assert_eq!(waiting(&queue), [("a".into(), 1)]);
    drop(queue);

    for _ in 0..2 {
        std::fs::write(&path, [7; 9000]).unwrap();
        let (queue, aside) = Queue::open(&path).unwrap();
        let aside = aside.unwrap();
        assert_eq!((aside.path, aside.size), (directory.path().join("queue.redb.damaged"), 9000));
        assert!(matches!(aside.why, StoreError::Corrupt(_)));
        queue.commit("enqueue", &[append("a", 1, b"event")]).unwrap();
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    let disk = Disk::default();
    let queue = Queue::on(&disk).unwrap();
    queue.commit("enqueue", &[append("a", 1, b"event")]).unwrap();
    disk.set_room(Some(0));
    let refused = queue.commit("enqueue", &[append("a", 2, &vec![1; 1 << 20])]);
    assert!(matches!(refused, Err(StoreError::Full)), "{refused:?}");
    disk.set_room(None);
    assert_eq!(waiting(&queue), [("a".into(), 1)]);
    queue.commit("enqueue", &[append("a", 2, &vec![1; 1 << 20])]).unwrap();
    assert_eq!(queue.waiting().unwrap()[1].size, 1 << 20);
}

#[test]
fn what_is_gone_costs_no_room_for_ever() {
    let disk = Disk::default();
    let queue = Queue::on(&disk).unwrap();
    let turn = |numbers: std::ops::Range<u64>| {
        for number in numbers {
            queue.commit("enqueue", &[append("a", number, &vec![1; 100_000])]).unwrap();
            queue.commit("complete", &[Change::Remove { line: "a".into(), number }]).unwrap();
        }
        disk.image().len()
    };
    let after_some = turn(0..5);
    assert!(turn(5..40) <= after_some, "{after_some}");
    let operations = disk.operations();
    queue.commit("complete", &[Change::Remove { line: "a".into(), number: 1 }]).unwrap();
    assert_eq!(disk.operations(), operations, "what changes nothing writes nothing");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Batches: each appends one event more and removes the ones of two batches before.
    #[test]
    fn a_power_cut_leaves_whole_batches(
        sizes in prop::collection::vec(prop::collection::vec(0usize..5000, 1..6), 1..8),
        cut in 0usize..150,
        mut dice in any::<u64>(),
        always in prop::option::weighted(0.2, any::<bool>()),
    ) {
        let disk = Disk::default();
        // What may be found: before the first batch nothing, perhaps not even tables.
        let mut found_as = vec![vec![]];
        let mut acknowledged = 0;
        {
            let queue = Queue::on(&disk).unwrap();
            disk.cut_power_after(cut);
            for (batch, sizes) in sizes.iter().enumerate() {
                let key = |batch: usize, n: usize| (batch * 10 + n) as u64;
                let mut changes: Vec<Change> = sizes
                    .iter()
                    .enumerate()
                    .map(|(n, size)| append("f", key(batch, n), &vec![batch as u8; *size]))
                    .collect();
                let mut after: Vec<u64> = found_as[batch].clone();
                after.extend((0..sizes.len()).map(|n| key(batch, n)));
                if batch >= 2 {
                    after.retain(|number| {
                        let is_old = *number < key(batch - 1, 0);
                        if is_old {
                            changes.push(Change::Remove { line: "f".into(), number: *number });
                        }
                        !is_old
                    });
                }
                found_as.push(after);
                match queue.commit("enqueue", &changes) {
                    Ok(()) => acknowledged = batch + 1,
                    Err(_) => break,
                }
            }
        }
        let survivor = disk.after_power_cut(|| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            always.unwrap_or(dice >> 63 == 1)
        });
        let queue = Queue::on(&survivor).unwrap();
        let found: Vec<u64> = waiting(&queue).into_iter().map(|(_, number)| number).collect();
        let allowed = &found_as[acknowledged..];
        prop_assert!(allowed.contains(&found), "found {found:?}, allowed {allowed:?}");
        for number in found {
            let event = queue.event("f", number).unwrap().unwrap();
            let (batch, n) = ((number / 10) as usize, (number % 10) as usize);
            prop_assert_eq!(event, vec![batch as u8; sizes[batch][n]]);
        }
        queue.commit("enqueue", &[append("f", 1000, b"next")]).unwrap();
    }
}
