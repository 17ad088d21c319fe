//! `hedgerow invoke`: the payload that the function answers on the standard output, and nothing else there.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use hedgerow_api::{AnswerLine, Completion, Error, InvokeOptions};

use crate::failure::Failure;
use crate::session::Session;

#[derive(Debug, Args)]
pub struct Invoke {
    /// A function's name or ARN; `NAME:QUALIFIER` asks for a version or an alias.
    pub function: String,
    /// The event: a text, `@FILE`, or `-` for the standard input.
    #[arg(long, short, value_name = "JSON|@FILE|-", default_value = "{}", value_parser = parse_payload)]
    pub payload: Payload,
    /// Queue the event durably and do not wait for the function; prints the request's id.
    #[arg(long = "async", conflicts_with_all = ["dry_run", "tail"])]
    pub event: bool,
    /// Run nothing: only see whether there is such a function.
    #[arg(long, conflicts_with = "tail")]
    pub dry_run: bool,
    /// A version or an alias.
    #[arg(long)]
    pub qualifier: Option<String>,
    /// A JSON object that the function finds in `context.client_context`.
    #[arg(long, value_name = "JSON")]
    pub client_context: Option<String>,
    /// Print the last 4 KiB that the function logged on the standard error stream.
    #[arg(long)]
    pub tail: bool,
}

/// Bytes: more than any function takes.
const ENOUGH: u64 = 8 << 20;

#[derive(Debug, Clone)]
pub enum Payload {
    Text(String),
    File(PathBuf),
    Input,
}

pub fn parse_payload(text: &str) -> Result<Payload, &'static str> {
    Ok(match text.strip_prefix('@') {
        Some("") => return Err("a file's name stands behind the @"),
        Some(path) => Payload::File(path.into()),
        None if text == "-" => Payload::Input,
        None => Payload::Text(text.to_owned()),
    })
}

/// A function's own error is printed as its payload is, and is a failure of this command.
pub async fn run(session: &Session, invoke: Invoke) -> Result<(), Failure> {
    let payload = invoke.payload.read()?;
    let (function, qualifier) = split(&invoke.function, invoke.qualifier);
    let options = InvokeOptions {
        invocation_type: match (invoke.event, invoke.dry_run) {
            (true, _) => Some("Event".to_owned()),
            (false, true) => Some("DryRun".to_owned()),
            (false, false) => None,
        },
        qualifier,
        client_context: invoke.client_context,
        trace_id: None,
        log_tail: invoke.tail.then_some(true),
    };
    let function = session.function(&function).await?;
    let (ours, theirs) = UnixStream::pair().map_err(Failure::Stream)?;
    let answer = function.invoke_fd(OwnedFd::from(theirs).into(), options).await?;
    send(ours, &payload)?;
    let end = print_answer(OwnedFd::from(answer).into())?;
    if invoke.event
        && let Some(id) = &end.request_id
    {
        println!("{id}");
    }
    eprint!("{}", end.log_tail.unwrap_or_default());
    match end.function_error {
        Some(_) => Err(Failure::Function { error_type: end.error_type.unwrap_or_default() }),
        None => Ok(()),
    }
}

impl Payload {
    fn read(self) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Text(text) => Ok(text.into_bytes()),
            Self::File(path) => {
                let read = File::open(&path).and_then(read);
                read.map_err(|error| Failure::Open { path, error })
            }
            Self::Input => read(io::stdin()).map_err(Failure::Input),
        }
    }
}

/// Not more than is enough to be refused for its size.
fn read(input: impl Read) -> io::Result<Vec<u8>> {
    let mut payload = vec![];
    input.take(ENOUGH).read_to_end(&mut payload)?;
    Ok(payload)
}

/// `NAME:QUALIFIER`, `ARN:QUALIFIER`; an option of its own wins.
fn split(function: &str, qualifier: Option<String>) -> (String, Option<String>) {
    let name = function.find(":function:").map_or(0, |start| start + ":function:".len());
    match function[name..].split_once(':') {
        Some((last, of_name)) => {
            let qualifier = qualifier.unwrap_or_else(|| of_name.to_owned());
            (function[..name + last.len()].to_owned(), Some(qualifier))
        }
        None => (function.to_owned(), qualifier),
    }
}

/// A daemon that reads no further says why in its answer.
fn send(mut socket: UnixStream, payload: &[u8]) -> Result<(), Failure> {
    match socket.write_all(payload) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Stream(error)),
        _ => Ok(()),
    }
}

fn print_answer(answer: UnixStream) -> Result<Completion, Failure> {
    let mut stdout = io::stdout().lock();
    let mut print =
        |part: &[u8]| stdout.write_all(part).and_then(|()| stdout.flush()).map_err(Failure::Output);
    for line in BufReader::new(answer).lines() {
        let line = line.map_err(Failure::Stream)?;
        match serde_json::from_str(&line).map_err(Failure::Record)? {
            AnswerLine::Payload(text) => print(text.as_bytes())?,
            AnswerLine::PayloadBase64(text) => {
                print(&STANDARD.decode(text).map_err(Failure::Base64)?)?;
            }
            AnswerLine::Complete(completion) => return Ok(completion),
            AnswerLine::Refused(error) => {
                let unnamed = || Error::Internal(error.message.clone());
                return Err(Error::from_job(&error).unwrap_or_else(unnamed).into());
            }
        }
    }
    Err(Failure::Gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_qualifier_stands_behind_the_name_or_alone() {
        let arn = "arn:aws:lambda:eu-west-1:1:function:f";
        for (function, option, name, qualifier) in [
            ("f", None, "f", None),
            ("f:prod", None, "f", Some("prod")),
            ("f:prod", Some("7"), "f", Some("7")),
            (arn, None, arn, None),
            (&format!("{arn}:7"), None, arn, Some("7")),
        ] {
            let (found, of) = split(function, option.map(str::to_owned));
            assert_eq!((found.as_str(), of.as_deref()), (name, qualifier), "{function}");
        }
    }
}
