//! Callers, faults, updates and stops in any order.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use proptest::prelude::*;
use tokio::time::sleep;

use super::*;

#[derive(Debug, Clone)]
enum Turn {
    Call(Payload),
    /// A caller who goes away after so many milliseconds.
    Impatient(Payload, u64),
    Wait(u64),
    Update,
    Restart,
    Reclaim,
}

#[derive(Debug, Clone)]
enum Payload {
    Own,
    Does(&'static str),
}

const ODD: [&str; 9] =
    ["sleep", "hang", "exit", "crash", "oom", "raise", "twice", "wrong id", "stream"];

fn payload() -> impl Strategy<Value = Payload> {
    prop_oneof![3 => Just(Payload::Own), 2 => prop::sample::select(&ODD[..]).prop_map(Payload::Does)]
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        10 => payload().prop_map(Turn::Call),
        2 => (payload(), 0..2000_u64).prop_map(|(payload, wait)| Turn::Impatient(payload, wait)),
        4 => (0..3000_u64).prop_map(Turn::Wait),
        1 => Just(Turn::Update),
        1 => Just(Turn::Restart),
        1 => Just(Turn::Reclaim),
    ]
}

const LIMIT: u32 = 3;

fn version(number: u32) -> FunctionSpec {
    FunctionSpec {
        version: number.to_string(),
        digest: number.to_string(),
        max_instances: LIMIT,
        ..spec("f", "hangs up now and then")
    }
}

async fn weather(turns: Vec<Turn>) {
    let (functions, fake) = with(version(1)).await;
    let (mut callers, mut updates) = (vec![], 1);
    for (number, turn) in turns.into_iter().enumerate() {
        let text = |payload| match payload {
            Payload::Own => number.to_string(),
            Payload::Does(what) => format!("{what:?}"),
        };
        match turn {
            Turn::Call(payload) => {
                let (functions, payload) = (functions.clone(), text(payload));
                callers.push(tokio::spawn(async move {
                    let result = call(&functions, &payload).await;
                    if let Ok(Completed { answer: Answer::Success(body), .. }) = &result {
                        assert_eq!(body, payload.as_bytes(), "somebody else's answer");
                    }
                    if let Ok(Completed { answer: Answer::Stream(mut stream), .. }) = result {
                        while stream.body.recv().await.is_some() {}
                    }
                }));
            }
            Turn::Impatient(payload, wait) => {
                let (functions, payload) = (functions.clone(), text(payload));
                callers.push(tokio::spawn(async move {
                    let call = call(&functions, &payload);
                    // Whether it came in time does not matter here.
                    let _ = tokio::time::timeout(Duration::from_millis(wait), call).await;
                }));
            }
            Turn::Wait(milliseconds) => sleep(Duration::from_millis(milliseconds)).await,
            Turn::Update => {
                updates += 1;
                functions.define(version(updates)).await;
            }
            Turn::Restart => {
                functions.stop("f", Duration::from_millis(500)).await;
                assert_eq!(fake.alive(), 0);
                functions.start("f").await.unwrap();
            }
            Turn::Reclaim => {
                functions.reclaim().await;
            }
        }
    }
    for caller in callers {
        caller.await.unwrap();
    }
    assert!(fake.most.load(Ordering::Relaxed) <= LIMIT as usize);
    let begun = fake.begun.lock().unwrap().clone();
    assert_eq!(begun.iter().collect::<HashSet<_>>().len(), begun.len(), "run twice");
    sleep(Duration::from_secs(65)).await;
    assert_eq!(fake.alive(), 0);
    assert_eq!(fake.closed.load(Ordering::Relaxed), fake.opened.load(Ordering::Relaxed));
    let seen = until(&functions, |_| true).await;
    assert_eq!((seen.waiting, seen.instances.total()), (0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every caller gets an answer, and its own; nothing runs twice; nothing is left.
    #[test]
    fn no_weather_loses_an_invocation(turns in prop::collection::vec(turn(), 0..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(weather(turns));
    }
}
