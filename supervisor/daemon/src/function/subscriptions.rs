//! `subscriptions` of `aws.greengrass.LegacySubscriptionRouter`'s configuration: who gets what functions publish.

use hedgerow_function::v1::Destination;
use hedgerow_function::{FunctionSpec, Target};
use hedgerow_ipc::pubsub::{Filter, MalformedTopic};
use serde::Deserialize;
use serde_json::Value;

/// Before the name of a component, in the place of an ARN.
const COMPONENT: &str = "component:";

#[derive(Deserialize)]
struct Subscription {
    /// The function that publishes: `component:<name>`, or its ARN with its version.
    source: String,
    /// A filter of topics.
    subject: String,
    /// `cloud`, or as `source`.
    target: String,
}

/// A subscription that leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum MalformedSubscription {
    #[error("/subscriptions: expected an object of subscriptions")]
    NoObject,
    #[error("/subscriptions/{id}: {source}; it has a source, a subject and a target")]
    Form { id: String, source: serde_json::Error },
    #[error("/subscriptions/{id}/subject: {source}")]
    Subject { id: String, source: MalformedTopic },
}

/// Each place once.
///
/// # Errors
/// It leads nowhere, and there are subscriptions that nobody can read.
pub fn destinations(
    subscriptions: &Value,
    source: &FunctionSpec,
    topic: &str,
) -> Result<Vec<Destination>, MalformedSubscription> {
    let all = match subscriptions {
        Value::Null => return Ok(vec![]),
        Value::Object(all) => all,
        _ => return Err(MalformedSubscription::NoObject),
    };
    let mut found = Vec::new();
    let mut malformed = None;
    for (id, subscription) in all {
        match read(id, subscription) {
            Ok((Subscription { source: from, target, .. }, filter)) => {
                if is_meant(&from, source) && filter.matches(topic) {
                    let destination = destination(&target);
                    if !found.contains(&destination) {
                        found.push(destination);
                    }
                }
            }
            Err(error) => malformed = malformed.or(Some(error)),
        }
    }
    match malformed {
        Some(error) if found.is_empty() => Err(error),
        _ => Ok(found),
    }
}

fn read(id: &str, subscription: &Value) -> Result<(Subscription, Filter), MalformedSubscription> {
    let subscription = Subscription::deserialize(subscription)
        .map_err(|source| MalformedSubscription::Form { id: id.to_owned(), source })?;
    // As long as it likes: it matches no topic that is too long.
    let filter = Filter::parse(&subscription.subject, usize::MAX)
        .map_err(|source| MalformedSubscription::Subject { id: id.to_owned(), source })?;
    Ok((subscription, filter))
}

fn is_meant(source: &str, function: &FunctionSpec) -> bool {
    match source.strip_prefix(COMPONENT) {
        Some(name) => name == function.name,
        None => {
            let Target { function: arn, qualifier } = Target::from(source);
            arn == function.arn && function.answers_to(qualifier.as_deref())
        }
    }
}

fn destination(target: &str) -> Destination {
    match (target, target.strip_prefix(COMPONENT)) {
        ("cloud", _) => Destination::Cloud,
        (_, Some(name)) => Destination::Component(name.to_owned()),
        (_, None) => Destination::Function(Target::from(target)),
    }
}

#[cfg(test)]
mod tests {
    use hedgerow_function::Runtime;
    use serde_json::json;

    use super::*;
    use crate::function::tests;

    fn spec() -> FunctionSpec {
        tests::spec(Runtime::Provided { name: "provided".to_owned() })
    }

    #[test]
    fn a_publication_goes_where_subscriptions_of_its_source_lead() {
        let source = spec();
        let (name, arn, version) = (&source.name, &source.arn, &source.version);
        let own = format!("component:{name}");
        let other = "arn:aws:lambda:eu-west-1:123456789012:function:Other:3";
        let subscription = |source: &str, subject: &str, target: &str| json!({ "id": "any", "source": source, "subject": subject, "target": target });
        let to = |target: &str| subscription(&own, "a/+", target);
        let component = |name: &str| Destination::Component(name.to_owned());
        let function = Destination::Function(Target::from(other));
        let table = [
            (vec![to("cloud")], "a/b", vec![Destination::Cloud]),
            (vec![to("component:x"), to("component:x")], "a/b", vec![component("x")]),
            (vec![to(other), to("cloud")], "a/b", vec![function.clone(), Destination::Cloud]),
            (vec![to(other)], "a/b/c", vec![]),
            (vec![subscription(&own, "#", other)], "a/b/c", vec![function.clone()]),
            (vec![subscription(&format!("{arn}:{version}"), "t", other)], "t", vec![function]),
            (vec![subscription(&format!("{arn}:{version}9"), "t", other)], "t", vec![]),
            (vec![subscription("component:else", "t", other)], "t", vec![]),
            // One that cannot be read does not keep what is meant from its way.
            (vec![json!({ "source": own }), to("cloud")], "a/b", vec![Destination::Cloud]),
        ];
        for (subscriptions, topic, expected) in table {
            let ids = ["1", "2"].map(str::to_owned);
            let all: Value = ids.into_iter().zip(subscriptions).collect();
            assert_eq!(destinations(&all, &source, topic).unwrap(), expected, "{all} {topic}");
        }
        assert_eq!(destinations(&Value::Null, &source, "t").unwrap(), []);
    }

    #[test]
    fn a_publication_that_goes_nowhere_is_told_which_subscription_is_broken() {
        let table = [
            (json!([]), "/subscriptions: expected an object of subscriptions"),
            (
                json!({ "s": { "source": "component:x", "subject": "t" } }),
                "/subscriptions/s: missing field `target`; it has a source, a subject and a target",
            ),
            (
                json!({ "s": { "source": "x", "subject": "a/#/b", "target": "cloud" } }),
                "/subscriptions/s/subject: `#` must be the last level of a topic filter, and a level by itself",
            ),
        ];
        for (subscriptions, expected) in table {
            let error = destinations(&subscriptions, &spec(), "t").unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }
}
