//! The ordinary life of a function.

use tokio::time::sleep;

use super::*;

#[tokio::test(start_paused = true)]
async fn an_invocation_is_logged_as_lambda_logs_it() {
    let (functions, fake) = with(spec("f", "echo")).await;
    let (first, second) = (invocation("1"), invocation("2"));
    let (a, b) = (first.request_id.clone(), second.request_id.clone());
    let target = Target::from("f:prod");
    let completed = functions.invoke(&target, first).await.unwrap();
    assert_eq!(completed.executed_version, "7");
    functions.invoke(&target, second).await.unwrap();
    sleep(Duration::from_millis(50)).await;
    assert_eq!(
        fake.log_lines(),
        [
            format!("f: START RequestId: {a} Version: 7"),
            format!("f: END RequestId: {a}"),
            format!(
                "f: REPORT RequestId: {a}\tDuration: 0.00 ms\tBilled Duration: 300 ms\tMemory Size: 128 MB\t\
                 Max Memory Used: 34 MB\tInit Duration: 300.00 ms\t"
            ),
            format!("f: START RequestId: {b} Version: 7"),
            format!("f: END RequestId: {b}"),
            format!(
                "f: REPORT RequestId: {b}\tDuration: 0.00 ms\tBilled Duration: 0 ms\tMemory Size: 128 MB\t\
                 Max Memory Used: 34 MB\t"
            ),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_instance_is_reused_frozen_when_idle_thawed_for_work_and_closed_in_the_end() {
    let (functions, fake) = with(spec("f", "echo")).await;
    assert_eq!(until(&functions, |_| true).await.health, Health::Idle);
    echo(&functions, "1").await;
    echo(&functions, "2").await;
    until(&functions, |overview| overview.instances.frozen == 1).await;
    echo(&functions, "3").await;
    assert_eq!((fake.count("open"), fake.count("freeze"), fake.count("thaw")), (1, 1, 1));
    sleep(Duration::from_secs(61)).await;
    assert_eq!(fake.alive(), 0);
    let seen = until(&functions, |_| true).await;
    assert_eq!(seen.health, Health::Idle);
    assert_eq!(seen.metrics.invocations, 3);
    assert_eq!(seen.metrics.cold_starts, 1);
    assert_eq!(seen.metrics.durations.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn names_arns_versions_and_aliases_find_a_function() {
    let (functions, _) = with(FunctionSpec {
        arn: "arn:aws:lambda:eu-west-1:123456789012:function:Short".into(),
        ..spec("f", "echo")
    })
    .await;
    let arn = "arn:aws:lambda:eu-west-1:123456789012:function:Short";
    for (target, seen) in [
        ("f", arn.to_owned()),
        ("Short", arn.to_owned()),
        (arn, arn.to_owned()),
        (&format!("{arn}:prod"), format!("{arn}:prod")),
        ("f:7", format!("{arn}:7")),
        ("f:$LATEST", format!("{arn}:$LATEST")),
    ] {
        let answer = functions.invoke(&Target::from(target), invocation("\"arn\"")).await;
        assert_eq!(success(answer), seen, "{target}");
    }
    for target in ["g", "f:8", "f:test", "arn:aws:lambda:eu-west-1:123456789012:function:f"] {
        let answer = functions.invoke(&Target::from(target), invocation("1")).await;
        assert!(matches!(refusal(answer), InvokeError::ResourceNotFound(_)), "{target}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_may_have_the_log_with_the_answer() {
    let (functions, _) = with(spec("f", "echo")).await;
    let asked = Invocation { log_tail: true, ..invocation("\"print\"") };
    let id = asked.request_id.clone();
    let completed = functions.invoke(&Target::from("f"), asked).await.unwrap();
    let tail = String::from_utf8(completed.log_tail.unwrap().to_vec()).unwrap();
    let (start, rest) = tail.split_once('\n').unwrap();
    assert_eq!(start, format!("START RequestId: {id} Version: 7"));
    assert!(
        rest.starts_with(&format!("hello\nEND RequestId: {id}\nREPORT RequestId: {id}\t")),
        "{rest}"
    );
    assert!(rest.ends_with("\t\n"), "{rest:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_begins_before_it_ends() {
    let (functions, fake) = with(spec("f", "echo")).await;
    let completed = call(&functions, "\"stream\"").await.unwrap();
    let Answer::Stream(mut stream) = completed.answer else {
        panic!("{:?}", completed.answer);
    };
    assert_eq!(until(&functions, |_| true).await.metrics.invocations, 0, "it is not over");
    assert_eq!(stream.body.recv().await.unwrap().unwrap(), "one ");
    assert_eq!(stream.body.recv().await.unwrap().unwrap(), "two");
    assert_eq!(stream.body.recv().await, None);
    until(&functions, |overview| overview.metrics.invocations == 1).await;
    sleep(Duration::from_millis(1)).await;
    let report = fake.log_lines().pop().unwrap();
    assert!(report.contains("Duration: 200.00 ms"), "{report}");
}

#[tokio::test(start_paused = true)]
async fn an_update_drains_and_nothing_is_lost() {
    let (functions, fake) = with(FunctionSpec { max_instances: 2, ..spec("f", "echo") }).await;
    let callers: Vec<_> = (0..6)
        .map(|_| {
            let functions = functions.clone();
            tokio::spawn(async move { call(&functions, "\"sleep\"").await })
        })
        .collect();
    until(&functions, |overview| overview.instances.busy == 2).await;
    functions
        .define(FunctionSpec { version: "8".into(), digest: "8".into(), ..spec("f", "echo") })
        .await;
    assert_eq!(success(call(&functions, "\"version\"").await), "8");
    let mut versions = vec![];
    for caller in callers {
        versions.push(caller.await.unwrap().unwrap().executed_version);
    }
    versions.sort();
    assert_eq!(versions, ["7", "7", "8", "8", "8", "8"]);
    until(&functions, |overview| overview.instances.draining + overview.instances.ending == 0)
        .await;
    assert!(fake.most.load(std::sync::atomic::Ordering::Relaxed) <= 8);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_version_that_goes_is_told() {
    let (functions, _) = with(FunctionSpec { max_instances: 1, ..spec("f", "echo") }).await;
    let running = tokio::spawn({
        let functions = functions.clone();
        async move { call(&functions, "\"sleep\"").await }
    });
    until(&functions, |overview| overview.instances.busy == 1).await;
    let waiting = tokio::spawn({
        let functions = functions.clone();
        async move { functions.invoke(&Target::from("f:7"), invocation("1")).await }
    });
    until(&functions, |overview| overview.waiting == 1).await;
    functions
        .define(FunctionSpec { version: "8".into(), digest: "8".into(), ..spec("f", "echo") })
        .await;
    assert!(matches!(refusal(waiting.await.unwrap()), InvokeError::ResourceNotFound(_)));
    success(running.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_configuration_that_concerns_no_instance_restarts_none() {
    let (functions, fake) = with(spec("f", "echo")).await;
    echo(&functions, "1").await;
    functions.define(FunctionSpec { max_instances: 3, ..spec("f", "echo") }).await;
    echo(&functions, "2").await;
    assert_eq!(fake.count("open"), 1);
    assert_eq!(functions.find(&Target::from("f")).unwrap().max_instances, 3);
}

#[tokio::test(start_paused = true)]
async fn a_pinned_function_starts_by_itself_and_again_when_it_ends() {
    let (functions, fake) = with(FunctionSpec { pinned: true, ..spec("f", "echo") }).await;
    until_ready(&functions).await;
    sleep(Duration::from_secs(600)).await;
    assert_eq!((fake.count("open"), fake.count("freeze"), fake.alive()), (1, 0, 1));
    assert_eq!(failure(call(&functions, "\"exit\"").await).error_type, "Runtime.ExitError");
    until(&functions, |overview| matches!(overview.health, Health::Failing { .. })).await;
    until_ready(&functions).await;
    echo(&functions, "1").await;
}

#[tokio::test(start_paused = true)]
async fn one_that_begins_stopped_is_there_and_refuses_until_it_is_started() {
    let fake = Arc::new(Fake::default());
    let functions = Functions::new(Arc::clone(&fake));
    functions.define_stopped(FunctionSpec { pinned: true, ..spec("f", "echo") }).await;
    assert_eq!(until(&functions, |_| true).await.health, Health::Stopped);
    let refused = refusal(call(&functions, "1").await);
    assert!(matches!(refused, InvokeError::ResourceConflict(_)), "{refused}");
    assert_eq!(fake.alive(), 0);
    let mut standing = functions.watch_standing("f").unwrap();
    functions.start("f").await.unwrap();
    standing.wait_for(|now| now.health == Health::Ready).await.unwrap();
    standing.mark_unchanged();
    echo(&functions, "1").await;
    assert!(!standing.has_changed().unwrap(), "an invocation is no news of its health");
}

#[tokio::test(start_paused = true)]
async fn what_is_stopped_has_no_instances_and_refuses_until_it_is_started() {
    let (functions, fake) = with(FunctionSpec { max_instances: 1, ..spec("f", "echo") }).await;
    let callers: Vec<_> = (0..2)
        .map(|_| {
            let functions = functions.clone();
            tokio::spawn(async move { call(&functions, "\"sleep\"").await })
        })
        .collect();
    until(&functions, |overview| overview.waiting == 1 && overview.instances.busy == 1).await;
    functions.stop("f", Duration::from_secs(2)).await;
    assert_eq!(fake.alive(), 0, "it returns when nothing is left");
    let mut results = vec![];
    for caller in callers {
        results.push(caller.await.unwrap().is_ok());
    }
    assert_eq!(results, [true, false], "what ran finished, what waited was refused");
    let refused = refusal(call(&functions, "1").await);
    assert!(matches!(refused, InvokeError::ResourceConflict(_)), "{refused}");
    assert_eq!(until(&functions, |_| true).await.health, Health::Stopped);
    functions.start("f").await.unwrap();
    echo(&functions, "1").await;
    until(&functions, |overview| overview.instances.idle == 1).await;

    let hung = tokio::spawn({
        let functions = functions.clone();
        async move { call(&functions, "\"hang\"").await }
    });
    until(&functions, |overview| overview.instances.busy == 1).await;
    // What it does not run is told that there is nothing to wait for.
    let waiting = tokio::spawn({
        let functions = functions.clone();
        async move { call(&functions, "2").await }
    });
    until(&functions, |overview| overview.waiting == 1).await;
    functions.retire("f", Duration::from_millis(50)).await;
    for why in [refusal(waiting.await.unwrap()), refusal(call(&functions, "3").await)] {
        assert!(matches!(why, InvokeError::ResourceNotFound(_)), "{why}");
        assert!(why.to_string().contains("does not exist any more"), "{why}");
    }
    assert!(matches!(refusal(hung.await.unwrap()), InvokeError::ResourceConflict(_)));
    functions.remove("f", Duration::from_millis(100)).await;
    assert_eq!(fake.alive(), 0);
    assert!(functions.list().is_empty());
    assert!(matches!(refusal(call(&functions, "1").await), InvokeError::ResourceNotFound(_)));
}

#[tokio::test(start_paused = true)]
async fn the_longest_idle_instance_of_all_functions_goes_first() {
    let (functions, fake) = with(spec("f", "echo")).await;
    functions.define(spec("g", "echo")).await;
    assert!(!functions.reclaim().await);
    echo(&functions, "1").await;
    sleep(Duration::from_secs(1)).await;
    functions.invoke(&Target::from("g"), invocation("1")).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    echo(&functions, "2").await;
    sleep(Duration::from_secs(1)).await;
    functions.spare().await;
    assert!(functions.reclaim().await);
    let mut g = functions.watch("g").unwrap();
    g.wait_for(|overview| overview.instances.total() == 0).await.unwrap();
    assert_eq!(fake.alive(), 1);
    assert!(functions.reclaim().await);
    until(&functions, |overview| overview.instances.total() == 0).await;
    assert!(!functions.reclaim().await);
}

#[tokio::test(start_paused = true)]
async fn a_name_is_not_taken_for_the_end_of_another_functions_arn() {
    let arn = |name: &str| format!("arn:aws:lambda:eu-west-1:123456789012:function:{name}");
    let (functions, fake) = with(FunctionSpec { arn: arn("Hello"), ..spec("f", "echo") }).await;
    echo(&functions, "1").await;
    let invoke = async |name: &str| functions.invoke(&Target::from(name), invocation("2")).await;
    for name in ["Hello", "123456789012:function:Hello:7", &arn("Hello:prod")] {
        assert_eq!(success(invoke(name).await), "2", "{name}");
    }
    for name in ["", "ello", "function", "Hello:8"] {
        assert!(matches!(refusal(invoke(name).await), InvokeError::ResourceNotFound(_)), "{name}");
    }

    // A component `Hello` that is not defined is something else.
    functions.stop("Hello", Duration::ZERO).await;
    assert!(functions.start("Hello").await.is_err());
    assert!(functions.get("Hello").is_none());
    let delivered =
        functions.deliver(&Target::from("Hello"), invocation("3"), Duration::ZERO).await;
    assert!(matches!(refusal(delivered), InvokeError::ResourceNotFound(_)));
    echo(&functions, "4").await;
    assert_eq!(fake.count("open"), 1, "its instance is there");

    functions.define(FunctionSpec { arn: arn("Hello"), ..spec("g", "echo") }).await;
    let InvokeError::ResourceNotFound(why) = refusal(invoke("Hello").await) else {
        panic!("it may be either");
    };
    assert!(why.contains("f or g"), "{why}");
    functions.define(spec("Hello", "echo")).await;
    success(invoke("Hello").await);
    assert_eq!(fake.count("open"), 2, "a name counts more than an ARN");
}
