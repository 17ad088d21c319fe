use super::*;
use crate::Ended;

fn id() -> RequestId {
    RequestId::try_from("d88fc138-1756-4e8f-b887-d44851c12b84".to_string()).unwrap()
}

fn report() -> Report {
    Report {
        request_id: id(),
        duration: Duration::from_micros(2210),
        init: None,
        memory_size: 128 * MIB,
        max_memory_used: 33 * MIB + 1,
        status: None,
    }
}

#[test]
fn lines_are_lambdas() {
    assert_eq!(
        start(&id(), "$LATEST"),
        "START RequestId: d88fc138-1756-4e8f-b887-d44851c12b84 Version: $LATEST"
    );
    assert_eq!(end(&id()), "END RequestId: d88fc138-1756-4e8f-b887-d44851c12b84");
    assert_eq!(
        report().to_string(),
        "REPORT RequestId: d88fc138-1756-4e8f-b887-d44851c12b84\tDuration: 2.21 ms\tBilled Duration: 3 ms\t\
         Memory Size: 128 MB\tMax Memory Used: 34 MB\t"
    );
    assert_eq!(
        Report { init: Some(Duration::from_micros(110_510)), ..report() }.to_string(),
        "REPORT RequestId: d88fc138-1756-4e8f-b887-d44851c12b84\tDuration: 2.21 ms\tBilled Duration: 113 ms\t\
         Memory Size: 128 MB\tMax Memory Used: 34 MB\tInit Duration: 110.51 ms\t"
    );
    assert_eq!(
        Report {
            duration: Duration::from_secs(3),
            status: Some(Status::of(&Fault::Timeout(Duration::from_secs(3)))),
            ..report()
        }
        .to_string(),
        "REPORT RequestId: d88fc138-1756-4e8f-b887-d44851c12b84\tDuration: 3000.00 ms\tBilled Duration: 3000 ms\t\
         Memory Size: 128 MB\tMax Memory Used: 34 MB\tStatus: timeout\t"
    );
    assert_eq!(
        InitReport {
            duration: Duration::from_micros(10_170),
            fault: &Fault::InitExit(Ended::Exited(1))
        }
        .to_string(),
        "INIT_REPORT Init Duration: 10.17 ms\tPhase: init\tStatus: error\tError Type: Runtime.ExitError\t"
    );
}

#[test]
fn faults_are_worded_as_lambda_words_them() {
    let answers = [
        (
            Fault::Timeout(Duration::from_secs(3)),
            r#"{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: d88fc138-1756-4e8f-b887-d44851c12b84 Error: Task timed out after 3.00 seconds"}"#,
        ),
        (
            Fault::Exit(Ended::Exited(137)),
            r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: d88fc138-1756-4e8f-b887-d44851c12b84 Error: Runtime exited with error: exit status 137"}"#,
        ),
        (
            Fault::InitExit(Ended::Exited(0)),
            r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: d88fc138-1756-4e8f-b887-d44851c12b84 Error: Runtime exited without providing a reason"}"#,
        ),
        (
            Fault::Exit(Ended::Signalled(11)),
            r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: d88fc138-1756-4e8f-b887-d44851c12b84 Error: Runtime exited with error: signal: segmentation fault"}"#,
        ),
        (
            Fault::Exit(Ended::OutOfMemory),
            r#"{"errorType":"Runtime.OutOfMemory","errorMessage":"RequestId: d88fc138-1756-4e8f-b887-d44851c12b84 Error: Runtime exited with error: signal: killed"}"#,
        ),
    ];
    for (fault, body) in answers {
        let error = fault.answer(&id()).unwrap();
        assert_eq!(String::from_utf8_lossy(&error.body), body);
        assert!(body.contains(&error.error_type));
    }
    assert_eq!(
        Fault::Timeout(Duration::from_secs(3)).log_line(&id(), "2026-11-23T05:33:29.123Z"),
        "2026-11-23T05:33:29.123Z d88fc138-1756-4e8f-b887-d44851c12b84 Task timed out after 3.00 seconds\n"
    );
}
