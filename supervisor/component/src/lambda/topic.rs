//! Topics and their filters as MQTT writes them: the broker's grammar, which is a room of its own, for recipes that are read
//! where there is no broker.

/// Bytes that the broker takes.
const LONGEST: usize = 4096;

/// Why a text is no topic or no filter of topics, and what to do.
#[derive(Debug)]
pub(super) struct MalformedTopic {
    pub message: String,
    pub advice: &'static str,
}

/// A topic to publish to.
pub(super) fn check(topic: &str) -> Result<(), MalformedTopic> {
    check_length(topic)?;
    if topic.contains(['+', '#', '*']) {
        let message = format!("{topic:?}: a topic to publish to must not contain +, # or *");
        return Err(MalformedTopic { message, advice: "name a single topic" });
    }
    Ok(())
}

pub(super) fn check_filter(filter: &str) -> Result<(), MalformedTopic> {
    check_length(filter)?;
    let malformed = |message, advice| {
        let message = format!("{filter:?}: {message}");
        Err(MalformedTopic { message, advice })
    };
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        if level.contains('#') && (level != "#" || levels.peek().is_some()) {
            return malformed(
                "# must be the last level of a topic filter, and a level by itself",
                "write a/# for a and all below it",
            );
        }
        if level.contains('+') && level != "+" {
            return malformed(
                "+ must be a level of a topic filter by itself",
                "write a/+/b for any one level between a and b",
            );
        }
    }
    Ok(())
}

fn check_length(topic: &str) -> Result<(), MalformedTopic> {
    let malformed = |message, advice| Err(MalformedTopic { message, advice });
    match topic.len() {
        0 => malformed("a topic must not be empty".to_owned(), "name one, or leave the key out"),
        length if length > LONGEST => malformed(
            format!("a topic of {length} bytes is longer than the {LONGEST} allowed"),
            "choose a shorter one",
        ),
        _ => Ok(()),
    }
}
