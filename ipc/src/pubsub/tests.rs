use super::message::MalformedJson;
use super::topic::check;
use super::*;
use crate::{Hub, Limits, Principal, PublishError, SubscribeError};
use proptest::prelude::*;
use serde_json::json;

const HOST: Principal = Principal::HostUser(0);

fn filter(text: &str) -> Filter {
    Filter::parse(text, 100).unwrap()
}

#[test]
fn filters() {
    let table = [
        ("a/b", &["a/b"][..], &["a", "a/b/", "a/b/c", "/a/b"][..]),
        ("a/+", &["a/b", "a/"], &["a", "a/b/c"]),
        ("+", &["a"], &["a/b", "/a"]),
        ("+/+", &["a/b", "/"], &["a"]),
        ("a/+/c", &["a/b/c", "a//c"], &["a/c"]),
        ("a/#", &["a", "a/", "a/b", "a/b/c"], &["ab", "b"]),
        ("#", &["a", "a/b", "$aws/x"], &[]),
        ("+/#", &["a", "a/b"], &[]),
        ("a*", &["a*"], &["ab"]),
    ];
    for (text, yes, no) in table {
        for topic in yes {
            assert!(filter(text).matches(topic), "{text} must match {topic}");
        }
        for topic in no {
            assert!(!filter(text).matches(topic), "{text} must not match {topic}");
        }
    }
}

#[test]
fn what_is_no_filter_and_what_is_no_topic() {
    use MalformedTopic::{Empty, MisplacedHash, MisplacedPlus, TooLong, Wildcard};
    let too_long = TooLong { length: 5, limit: 4 };
    let table = [
        ("", Empty),
        ("a/b/c", too_long),
        ("#/a", MisplacedHash),
        ("a#", MisplacedHash),
        ("##", MisplacedHash),
        ("a+", MisplacedPlus),
        ("++", MisplacedPlus),
    ];
    for (text, error) in table {
        assert_eq!(Filter::parse(text, 4), Err(error), "{text}");
    }
    assert_eq!(check("a/b", 4), Ok(()));
    assert_eq!(check("a/b/c", 4), Err(too_long));
    assert_eq!(check("", 4), Err(Empty));
    for topic in ["+", "a/#", "a*"] {
        assert_eq!(check(topic, 4), Err(Wildcard), "{topic}");
    }
}

proptest! {
    #[test]
    fn a_filter_matches_what_its_levels_say(
        wanted in prop::collection::vec("a|b|\\+||ab", 1..5), rest in any::<bool>(),
        topic in prop::collection::vec("a|b||ab", 1..6),
    ) {
        let text = wanted.join("/") + if rest { "/#" } else { "" };
        prop_assume!(!text.is_empty());
        let levels = topic.iter().zip(&wanted).all(|(is, want)| want == "+" || want == is);
        let length = if rest { topic.len() >= wanted.len() } else { topic.len() == wanted.len() };
        prop_assert_eq!(filter(&text).matches(&topic.join("/")), levels && length);
    }

    #[test]
    fn a_message_arrives_as_it_was_published(
        topic in "[^+#*]{1,20}", text in ".{0,50}", bytes in prop::collection::vec(0u8.., 0..50),
    ) {
        let hub = Hub::new(Limits::default());
        let mut subscription = hub.subscribe(&HOST, "#", Some(ReceiveMode::ReceiveAllMessages))?;
        for message in [Message::json(&json!({ "text": text })), Message::binary(bytes)] {
            hub.publish(&HOST, &topic, &message).unwrap();
            let delivery = poll(&mut subscription).unwrap();
            prop_assert_eq!(delivery.topic.as_ref(), &topic);
            prop_assert_eq!(delivery.message, message);
            prop_assert_eq!(delivery.source, HOST);
        }
    }
}

/// What is there now.
fn poll(subscription: &mut Subscription) -> Option<Delivery> {
    use std::future::Future;
    use std::task::{Context, Poll, Waker};
    let next = std::pin::pin!(subscription.next());
    match next.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(delivery) => delivery,
        Poll::Pending => None,
    }
}

fn number(hub: &Hub, who: &Principal, topic: &str, number: usize) -> Delivered {
    hub.publish(who, topic, &Message::json(&json!(number))).unwrap()
}

fn numbers(subscription: &mut Subscription) -> Vec<(u64, String)> {
    std::iter::from_fn(|| poll(subscription))
        .map(|delivery| match delivery.message {
            Message::Json(text) => (delivery.lost, text.as_str().to_owned()),
            Message::Binary(_) => panic!("a number is JSON"),
        })
        .collect()
}

#[test]
fn the_receive_mode_decides_about_ones_own_messages() {
    let hub = Hub::new(Limits::default());
    let other = Principal::HostUser(7);
    let all = Some(ReceiveMode::ReceiveAllMessages);
    let others = Some(ReceiveMode::ReceiveMessagesFromOthers);
    for (filter, mode, own) in
        [("a/b", None, true), ("a/+", None, false), ("a/b", others, false), ("a/#", all, true)]
    {
        let mut subscription = hub.subscribe(&HOST, filter, mode).unwrap();
        assert_eq!(number(&hub, &HOST, "a/b", 1).subscribers, usize::from(own), "{filter}");
        assert_eq!(number(&hub, &other, "a/b", 2).subscribers, 1);
        assert_eq!(numbers(&mut subscription).len(), 1 + usize::from(own), "{filter} {mode:?}");
    }
    assert_eq!(number(&hub, &HOST, "a/b", 3).subscribers, 0, "dropping unsubscribes");
}

#[test]
fn a_slow_subscriber_loses_its_oldest_messages_and_knows_how_many() {
    let limits = Limits { queue_messages: 3, ..Limits::default() };
    let hub = Hub::new(limits);
    let mut slow = hub.subscribe(&HOST, "n", None).unwrap();
    let mut quick = hub.subscribe(&HOST, "n", None).unwrap();
    for n in 0..5 {
        let delivered = number(&hub, &HOST, "n", n);
        assert_eq!(delivered, Delivered { subscribers: 2, dropped: u64::from(n > 2) });
        assert_eq!(numbers(&mut quick), [(0, n.to_string())]);
    }
    let expected = [(2, "2".to_owned()), (0, "3".to_owned()), (0, "4".to_owned())];
    assert_eq!(numbers(&mut slow), expected);
    assert_eq!(hub.lost_by(&HOST), 2);
}

#[test]
fn a_large_message_displaces_small_ones_and_may_be_alone() {
    let limits = Limits { queue_bytes: 1000, ..Limits::default() };
    let hub = Hub::new(limits);
    let mut subscription = hub.subscribe(&HOST, "n", None).unwrap();
    number(&hub, &HOST, "n", 1);
    hub.publish(&HOST, "n", &Message::binary(vec![0; 5000])).unwrap();
    assert_eq!(poll(&mut subscription).unwrap().lost, 1);
    number(&hub, &HOST, "n", 2);
    assert_eq!(numbers(&mut subscription), [(0, "2".to_owned())]);
}

#[test]
fn memory_for_messages_is_taken_from_the_longest_queue() {
    let limits = Limits { queued_bytes: 100_000, ..Limits::default() };
    let hub = Hub::new(limits);
    let mut hog = hub.subscribe(&HOST, "hog", None).unwrap();
    let mut modest = hub.subscribe(&Principal::HostUser(7), "modest", None).unwrap();
    number(&hub, &HOST, "modest", 1);
    for _ in 0..10 {
        hub.publish(&HOST, "hog", &Message::binary(vec![0; 15_000])).unwrap();
    }
    number(&hub, &HOST, "modest", 2);
    assert_eq!(numbers(&mut modest), [(0, "1".to_owned()), (0, "2".to_owned())]);
    assert!(poll(&mut hog).unwrap().lost > 0);
    let error = hub.publish(&HOST, "hog", &Message::binary(vec![0; 100_000])).unwrap_err();
    assert!(matches!(error, PublishError::NoMemory), "{error}");
}

#[test]
fn limits_of_topics_messages_and_subscriptions() {
    let limits = Limits { frame_bytes: 1000, subscriptions: 1, ..Limits::default() };
    let hub = Hub::new(limits);
    let error = hub.publish(&HOST, "a/+", &Message::json(&json!(1))).unwrap_err();
    assert!(matches!(error, PublishError::Topic(MalformedTopic::Wildcard)));
    let error = hub.publish(&HOST, "a", &Message::binary(vec![0; 1000])).unwrap_err();
    assert!(matches!(error, PublishError::TooLarge { limit: 1000, .. }), "{error}");
    let first = hub.subscribe(&HOST, "a", None).unwrap();
    let error = hub.subscribe(&HOST, "a", None).unwrap_err();
    assert!(matches!(error, SubscribeError::TooMany { limit: 1, .. }), "{error}");
    drop(first);
    hub.subscribe(&HOST, "a", None).unwrap();
    let error = hub.subscribe(&Principal::Cloud, "a", None).unwrap_err();
    assert!(matches!(error, SubscribeError::Denied(_)), "{error}");
}

#[test]
fn json_text_is_one_value_of_bounded_depth() {
    let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
    let deepest = JsonText::parse(&nested(127)).unwrap();
    assert!(deepest.to_value().is_ok());
    assert!(matches!(JsonText::parse(&nested(128)), Err(MalformedJson::TooDeep)));
    assert!(JsonText::parse(&format!("{{\"a\":\"\\\"{}\"}}", "[".repeat(200))).is_ok());
    for text in ["", "1 2", "{", "nope"] {
        assert!(matches!(JsonText::parse(text), Err(MalformedJson::Syntax(_))), "{text}");
    }
    assert_eq!(JsonText::parse(" {\"b\": 1.50} ").unwrap().as_str(), "{\"b\": 1.50}");
}
