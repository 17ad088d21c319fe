//! Many at once.

use std::sync::atomic::Ordering;

use super::*;

#[tokio::test(start_paused = true)]
async fn cold_starts_overlap_and_the_limit_holds() {
    let (functions, fake) = with(FunctionSpec { max_instances: 5, ..spec("f", "echo") }).await;
    let began = tokio::time::Instant::now();
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let functions = functions.clone();
            tokio::spawn(async move { call(&functions, "\"sleep\"").await })
        })
        .collect();
    for caller in callers {
        success(caller.await.unwrap());
    }
    assert_eq!(fake.most.load(Ordering::Relaxed), 5);
    // 20 times a second of work in five instances, which all started at once.
    assert!(began.elapsed() < Duration::from_millis(4400), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_thousand_functions_and_callers_get_each_its_own_answer() {
    let fake = Arc::new(Fake::default());
    let functions = Functions::new(Arc::clone(&fake));
    for number in 0..50 {
        functions.define(spec(&format!("f{number}"), "echo")).await;
    }
    let callers: Vec<_> = (0..5000)
        .map(|number| {
            let functions = functions.clone();
            tokio::spawn(async move {
                let target = Target::from(format!("f{}", number % 50).as_str());
                let answer = functions.invoke(&target, invocation(&number.to_string())).await;
                assert_eq!(success(answer), number.to_string());
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    let ran: u64 = (0..50)
        .map(|number| {
            let overview = functions.watch(&format!("f{number}"));
            overview.map_or(0, |overview| overview.borrow().metrics.invocations)
        })
        .sum();
    assert_eq!(ran, 5000, "none lost, none twice");
}

/// Has ten functions called at once, of which some have this handler; how long it takes until the others have answered.
async fn rush(starts: usize, handlers: &[&str]) -> Duration {
    let bounds = Bounds { starts, ..Bounds::default() };
    let functions = Functions::within(bounds, Arc::new(Fake::default()));
    let callers: Vec<_> = (0..10)
        .map(|number| {
            let functions = functions.clone();
            let handler = handlers.get(number).copied().unwrap_or("echo").to_owned();
            tokio::spawn(async move {
                let name = format!("f{number}");
                functions.define(spec(&name, &handler)).await;
                let answer = functions.invoke(&Target::from(name.as_str()), invocation("1")).await;
                (handler == "echo").then(|| assert_eq!(success(answer), "1"));
                handler
            })
        })
        .collect();
    let began = tokio::time::Instant::now();
    for caller in callers.into_iter().skip(handlers.len()) {
        caller.await.unwrap();
    }
    began.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_rush_starts_so_many_instances_at_once_as_the_device_may() {
    let (two, ten) = (rush(2, &[]).await, rush(10, &[]).await);
    assert!(two >= 5 * fake::INIT && two < 6 * fake::INIT, "{two:?}");
    assert!(ten < 2 * fake::INIT, "{ten:?}");
    // Who does not come up does not hold up the others for long.
    let behind = rush(1, &["hangs in init"]).await;
    assert!(behind < Duration::from_secs(3) + 10 * fake::INIT, "{behind:?}");
    let behind = rush(1, &["is opened slowly"]).await;
    assert!(behind < Duration::from_secs(3) + 10 * fake::INIT, "{behind:?}");
    let behind = rush(1, &["exits in init"]).await;
    assert!(behind < 11 * fake::INIT, "{behind:?}");
}

#[test]
fn an_idle_function_is_small() {
    // Two hundred of them shall cost next to nothing.
    let message = size_of::<crate::task::Message>();
    assert!(message <= 40, "{message} bytes, 32 of them in each function's channel");
    let task = size_of::<crate::task::Task<Fake>>();
    assert!(task <= 1024, "{task} bytes");
}
