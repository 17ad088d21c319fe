//! What becomes of a component's output.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use anyhow::{Context, Result};
use hedgerow_harness::{Draft, Hedgerow, PATIENCE, eventually};

const TALKER: &str = "test.log-talker";

/// What a real program writes: a library's levels, JSON, and a stack trace line by line.
const SCRIPT: &str = r#"
run: |
  python3 -uc '
  import logging, sys
  logging.basicConfig(format="%(asctime)s - %(name)s - %(levelname)s - %(message)s")
  logging.getLogger("sensor").error("it broke")
  print("{\"level\": \"warn\", \"msg\": \"as json\"}")
  print("plain words")
  try:
      {}["absent"]
  except KeyError:
      import traceback; traceback.print_exc()
  '
  exec sleep 1000
"#;

/// The fields of an entry in the journal's native protocol.
fn field<'a>(entry: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut rest = entry;
    while let Some(end) = rest.iter().position(|byte| matches!(byte, b'=' | b'\n')) {
        let (key, value) = (rest.get(..end)?, rest.get(end + 1..)?);
        let (value, next) = match rest.get(end)? {
            b'=' => {
                let length = value.iter().position(|byte| *byte == b'\n')?;
                (value.get(..length)?, value.get(length + 1..)?)
            }
            _ => {
                let length = u64::from_le_bytes(value.get(..8)?.try_into().ok()?);
                let length = usize::try_from(length).ok()?;
                (value.get(8..8 + length)?, value.get(8 + length + 1..)?)
            }
        };
        if key == name.as_bytes() {
            return Some(value);
        }
        rest = next;
    }
    None
}

#[test]
fn levels_are_recognised_and_the_journal_has_fields() -> Result<()> {
    let (draft, hedgerow) = (Draft::new()?, Hedgerow::start("")?);
    draft.component(TALKER, "1.2.0", "", SCRIPT)?;
    let socket = hedgerow.root().join("run/journal.sock");
    let journal = UnixDatagram::bind(&socket).context("the journal's socket")?;
    set_permissions(&socket, Permissions::from_mode(0o666))?;
    journal.set_read_timeout(Some(PATIENCE))?;
    hedgerow.deploy(&draft.source(), &[&format!("{TALKER}=1.2.0")])?;

    let log = eventually("all is in the log", PATIENCE, || {
        let log = hedgerow.log(TALKER)?;
        Ok((log.contains("KeyError") && log.contains("plain words")).then_some(log))
    })?;
    for (level, words) in [
        ("[ERROR] run: ", "sensor - ERROR - it broke"),
        ("[WARN] run: ", "as json"),
        ("[INFO] run: ", "plain words"),
        ("[ERROR] run: ", "KeyError: 'absent'"),
    ] {
        let line = log.lines().find(|line| line.contains(words)).context(words)?;
        assert!(line.contains(level), "{line}");
    }

    let mut datagram = vec![0; 256 * 1024];
    let trace = loop {
        let length = journal.recv(&mut datagram).context("the trace is not in the journal")?;
        let entry = datagram.get(..length).unwrap_or_default();
        let message = String::from_utf8_lossy(field(entry, "MESSAGE").context("a message")?);
        if message.contains("Traceback") {
            break entry.to_vec();
        }
    };
    let text = |name| String::from_utf8_lossy(field(&trace, name).unwrap_or_default()).into_owned();
    assert!(text("MESSAGE").ends_with("KeyError: 'absent'"), "{:?}", text("MESSAGE"));
    assert_eq!(text("PRIORITY"), "3");
    assert_eq!(text("SYSLOG_IDENTIFIER"), TALKER);
    assert_eq!(text("HEDGEROW_COMPONENT"), TALKER);
    assert_eq!(text("HEDGEROW_VERSION"), "1.2.0");
    assert_eq!(text("HEDGEROW_STEP"), "run");
    hedgerow.finish()
}

#[test]
fn a_flood_is_held_back_and_counted() -> Result<()> {
    let (draft, hedgerow) = (Draft::new()?, Hedgerow::start("[log]\nrate = 10\n")?);
    draft.component(TALKER, "1.0.0", "", "run: seq 5000; echo end >&2; sleep 1; echo later")?;
    hedgerow.deploy(&draft.source(), &[&format!("{TALKER}=1.0.0")])?;
    let log = eventually("what was held back is told", PATIENCE + Duration::from_secs(1), || {
        let log = hedgerow.log(TALKER)?;
        Ok(log.contains("entries were held back").then_some(log))
    })?;
    let lines = log.lines().filter(|line| line.contains("[INFO] run: ")).count();
    assert!((100..200).contains(&lines), "{lines} lines passed");
    hedgerow.finish()
}
