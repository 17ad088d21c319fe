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

#[test]
fn an_idle_function_is_small() {
    // Two hundred of them shall cost next to nothing.
    let message = size_of::<crate::task::Message>();
    assert!(message <= 40, "{message} bytes, 32 of them in each function's channel");
    let task = size_of::<crate::task::Task<Fake>>();
    assert!(task <= 1024, "{task} bytes");
}
