use std::sync::Arc;

use super::*;
use serde_json::json;

/// Never waited for: a test that does fails.
const LONG: Duration = Duration::from_secs(3600);
/// Waited for.
const SHORT: Duration = Duration::from_millis(20);

fn one() -> Vec<String> {
    vec!["a".to_owned()]
}

/// Starts to ask, and lets it come as far as waiting.
async fn asking(consent: &Arc<Consent>, limit: Duration) -> tokio::task::JoinHandle<Answer> {
    let consent = Arc::clone(consent);
    let asking = tokio::spawn(async move { consent.ask_update("d", &one(), limit).await });
    tokio::task::yield_now().await;
    asking
}

#[tokio::test]
async fn without_subscribers_nothing_is_waited_for() {
    let consent = Consent::default();
    assert_eq!(consent.ask_update("d", &one(), LONG).await, Answer::Proceed);
    assert_eq!(consent.validate("d", "a", json!({}), LONG).await, Ok(()));
}

#[tokio::test]
async fn the_longest_deferral_counts() {
    let consent = Arc::new(Consent::default());
    let mut a = consent.subscribe_updates("a").expect("room");
    let _b = consent.subscribe_updates("b").expect("room");
    let answer = asking(&consent, LONG).await;
    let event = a.recv().await.expect("asked");
    assert_eq!(serde_json::to_value(&event).expect("JSON")["preUpdateEvent"]["deploymentId"], "d");
    let second = Some(Duration::from_secs(1));
    consent.defer("a", "d", second, Some("busy")).expect("taken");
    consent.defer("b", "d", None, None).expect("taken");
    assert_eq!(answer.await.expect("no panic"), Answer::Wait(Duration::from_secs(1)));
    let too_late = DeferError::TooLate { deployment: "d".to_owned() };
    assert_eq!(consent.defer("a", "d", second, None), Err(too_late));
    consent.announce_done("d");
    let event = a.recv().await.expect("told");
    assert_eq!(serde_json::to_value(&event).expect("JSON")["postUpdateEvent"]["deploymentId"], "d");
}

#[tokio::test]
async fn only_who_was_asked_is_told_of_the_end() {
    let consent = Arc::new(Consent::default());
    let mut a = consent.subscribe_updates("a").expect("room");
    let answer = asking(&consent, LONG).await;
    let mut late = consent.subscribe_updates("b").expect("room");
    a.recv().await.expect("asked");
    consent.defer("a", "d", None, None).expect("taken");
    answer.await.expect("no panic");
    consent.announce_done("nobody was asked about this one");
    consent.announce_done("d");
    consent.announce_done("d");
    let event = a.recv().await.expect("told");
    assert_eq!(serde_json::to_value(&event).expect("JSON")["postUpdateEvent"]["deploymentId"], "d");
    assert!(a.try_recv().is_err(), "it is told once");
    assert!(late.try_recv().is_err(), "it was not asked");
}

#[tokio::test]
async fn silence_and_hanging_up_are_consent() {
    let consent = Arc::new(Consent::default());
    let silent = consent.subscribe_updates("a").expect("room");
    assert_eq!(asking(&consent, SHORT).await.await.expect("no panic"), Answer::Proceed);
    let answer = asking(&consent, LONG).await;
    drop(silent);
    assert_eq!(answer.await.expect("no panic"), Answer::Proceed);
}

#[tokio::test]
async fn an_answer_needs_a_question() {
    let consent = Arc::new(Consent::default());
    let not_subscribed = DeferError::NotSubscribed { component: "a".to_owned() };
    assert_eq!(consent.defer("a", "d", None, None), Err(not_subscribed));
    let _a = consent.subscribe_updates("a").expect("room");
    let answer = asking(&consent, LONG).await;
    let other = DeferError::TooLate { deployment: "other".to_owned() };
    assert_eq!(consent.defer("a", "other", None, None), Err(other));
    consent.defer("a", "d", None, None).expect("taken");
    answer.await.expect("no panic");
    let accepted = ConfigurationValidityStatus::Accepted;
    consent.report_validity("a", "d", accepted, None).expect_err("nobody asked");
}

#[tokio::test]
async fn a_configuration_is_valid_when_its_component_says_so() {
    let consent = Arc::new(Consent::default());
    let mut events = consent.subscribe_validation("a").expect("room");
    let _other = consent.subscribe_validation("b").expect("room");
    let ask = || {
        let consent = Arc::clone(&consent);
        tokio::spawn(async move { consent.validate("d", "a", json!({"k": 1}), LONG).await })
    };
    let verdicts = [
        (ConfigurationValidityStatus::Accepted, Ok(())),
        (
            ConfigurationValidityStatus::Rejected,
            Err(Invalid::Rejected { component: "a".to_owned(), message: "no".to_owned() }),
        ),
    ];
    for (status, expected) in verdicts {
        let asked = ask();
        let event = serde_json::to_value(events.recv().await.expect("asked")).expect("JSON");
        assert_eq!(event["validateConfigurationUpdateEvent"]["configuration"], json!({"k": 1}));
        let answer =
            |component| consent.report_validity(component, "d", status, Some("no".to_owned()));
        answer("b").expect_err("it was not asked");
        answer("a").expect("taken");
        assert_eq!(asked.await.expect("no panic"), expected);
    }
    let timed_out = Err(Invalid::TimedOut { component: "a".to_owned(), timeout: SHORT });
    assert_eq!(consent.validate("d", "a", json!({}), SHORT).await, timed_out);
    let asked = ask();
    tokio::task::yield_now().await;
    drop(events);
    let gone = Err(Invalid::Gone { component: "a".to_owned() });
    assert_eq!(asked.await.expect("no panic"), gone);
}

#[tokio::test]
async fn who_does_not_read_is_not_asked_for_ever() {
    let consent = Consent::default();
    let _unread = consent.subscribe_updates("a").expect("room");
    for _ in 0..=UNREAD / 2 {
        assert_eq!(consent.ask_update("d", &one(), SHORT).await, Answer::Proceed);
        consent.announce_done("d");
    }
    assert_eq!(consent.ask_update("d", &one(), LONG).await, Answer::Proceed);
}

#[test]
fn room_for_subscriptions_is_limited_and_comes_back() {
    let consent = Consent::default();
    let own: Vec<_> = (0..SUBSCRIPTIONS).map(|_| consent.subscribe_updates("a")).collect();
    consent.subscribe_updates("a").expect_err("one too many");
    consent.subscribe_updates("b").expect("another has its own room");
    drop(own);
    consent.subscribe_updates("a").expect("room");
}
