//! Runtimes that misbehave: the caller gets Lambda's error, and the function goes on.

use std::sync::atomic::Ordering;

use tokio::time::{Instant, sleep};

use super::*;

async fn fails_with(payload: &str, error_type: &str, message: &str) {
    let (functions, fake) = with(spec("f", "echo")).await;
    let asked = invocation(payload);
    let id = asked.request_id.clone();
    let error = failure(functions.invoke(&Target::from("f"), asked).await);
    assert_eq!(error.error_type, error_type);
    assert_eq!(
        String::from_utf8_lossy(&error.body),
        format!(
            r#"{{"errorType":"{error_type}","errorMessage":"RequestId: {id} Error: {message}"}}"#
        )
    );
    echo(&functions, "1").await;
    assert_eq!(fake.count("open"), 2, "the broken instance was replaced");
    let overview = until(&functions, |overview| overview.instances.ending == 0).await;
    assert_eq!((overview.metrics.invocations, overview.metrics.errors), (2, 1));
    assert_eq!(fake.alive(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_is_killed_at_its_deadline() {
    fails_with("\"hang\"", "Sandbox.Timedout", "Task timed out after 3.00 seconds").await;
}

#[tokio::test(start_paused = true)]
async fn one_that_exits_is_told_of() {
    let message = "Runtime exited with error: exit status 1";
    fails_with("\"exit\"", "Runtime.ExitError", message).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_crashes_is_told_of() {
    let message = "Runtime exited with error: signal: segmentation fault";
    fails_with("\"crash\"", "Runtime.ExitError", message).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_runs_out_of_memory_is_told_of() {
    let message = "Runtime exited with error: signal: killed";
    fails_with("\"oom\"", "Runtime.OutOfMemory", message).await;
}

#[tokio::test(start_paused = true)]
async fn the_log_tells_of_a_timeout() {
    let (functions, fake) = with(spec("f", "echo")).await;
    let asked = invocation("\"hang\"");
    let id = asked.request_id.clone();
    functions.invoke(&Target::from("f"), asked).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    let lines = fake.log_lines();
    let [_start, told, empty, end, report] = &lines[..] else {
        panic!("{lines:?}");
    };
    assert!(told.ends_with(&format!(" {id} Task timed out after 3.00 seconds")), "{told}");
    assert_eq!((&**empty, &**end), ("f: ", &*format!("f: END RequestId: {id}")));
    assert!(report.contains("\tDuration: 3000.00 ms\t"), "{report}");
    assert!(report.ends_with("\tStatus: timeout\t"), "{report}");
}

#[tokio::test(start_paused = true)]
async fn what_a_function_raises_is_its_answer() {
    let (functions, fake) = with(spec("f", "echo")).await;
    assert_eq!(failure(call(&functions, "\"raise\"").await).error_type, "ValueError");
    echo(&functions, "1").await;
    assert_eq!(fake.count("open"), 1);
    assert_eq!(until(&functions, |_| true).await.metrics.errors, 1);
}

#[tokio::test(start_paused = true)]
async fn wrong_answers_and_second_answers_reach_nobody() {
    let (functions, fake) = with(spec("f", "echo")).await;
    for _ in 0..3 {
        echo(&functions, "\"wrong id\"").await;
        echo(&functions, "\"twice\"").await;
        echo(&functions, "1").await;
    }
    assert_eq!(fake.count("open"), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_came_before_the_exit_counts() {
    let (functions, fake) = with(spec("f", "exits after its answer")).await;
    echo(&functions, "1").await;
    echo(&functions, "2").await;
    assert_eq!(fake.count("open"), 2);
    assert_eq!(until(&functions, |_| true).await.metrics.errors, 0);
}

#[tokio::test(start_paused = true)]
async fn one_that_polls_no_more_is_replaced() {
    let (functions, fake) = with(spec("f", "polls no more")).await;
    echo(&functions, "1").await;
    echo(&functions, "2").await;
    sleep(Duration::from_secs(5)).await;
    assert_eq!(fake.alive(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_failed_init_is_told_and_not_tried_again_at_once() {
    for (handler, error_type) in [
        ("exits in init", "Runtime.ExitError"),
        ("says init error", "Runtime.ImportModuleError"),
        ("hangs in init", "Sandbox.Timedout"),
    ] {
        let (functions, fake) = with(spec("f", handler)).await;
        assert_eq!(failure(call(&functions, "1").await).error_type, error_type);
        let began = Instant::now();
        for _ in 0..100 {
            assert_eq!(failure(call(&functions, "1").await).error_type, error_type);
        }
        assert_eq!(began.elapsed(), Duration::ZERO, "told at once");
        assert_eq!(fake.count("open"), 1);
        let line = &fake.log_lines()[0];
        assert!(line.starts_with("f: INIT_REPORT Init Duration: "), "{line}");

        // What is put right by a deployment is tried at once.
        functions.define(spec("f", "echo")).await;
        echo(&functions, "1").await;
        until_ready(&functions).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_pinned_function_that_fails_is_tried_ever_more_seldom() {
    let broken = FunctionSpec { pinned: true, init_timeout: None, ..spec("f", "exits in init") };
    let (functions, fake) = with(broken).await;
    sleep(Duration::from_secs(3600)).await;
    let starts = fake.count("open");
    assert!((10..=16).contains(&starts), "{starts}");
    assert!(fake.alive() <= 1);
    drop(functions);
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_fails_is_no_function_error() {
    let (functions, fake) = with(spec("f", "echo")).await;
    fake.is_launcher_away.store(true, Ordering::Relaxed);
    let error = refusal(call(&functions, "1").await);
    assert_eq!(error, InvokeError::Service("the launcher is away".into()));
    fake.is_launcher_away.store(false, Ordering::Relaxed);
    sleep(Duration::from_secs(2)).await;
    echo(&functions, "1").await;
    let error = refusal(call(&functions, "\"launcher dies\"").await);
    assert!(matches!(error, InvokeError::Service(_)), "{error}");
    echo(&functions, "1").await;
}
