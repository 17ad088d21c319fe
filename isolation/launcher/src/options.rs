//! The command line of the resident launcher.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

pub const USAGE: &str = "\
Usage: hedgerow-launch --state DIR --runtime DIR --config DIR --daemon-uid UID
                       [--image DIR] [--linger SECONDS] [--socket PATH] [--init PATH]

Opens fences for hedgerowd. Runs as root and stays in the foreground.

  --state DIR        where plans with base 'state' find their directories
  --runtime DIR      the same for base 'runtime'; the socket and the launcher's own files lie in DIR/launch
  --config DIR       where hedgerow.toml and hedgerow.toml.d/*.toml grant what components may ask for
  --daemon-uid UID   the user, beside root, who may connect
  --image DIR        the same for base 'image' (default: /usr/lib/hedgerow/components/artifacts)
  --linger SECONDS   end every fence and exit after so long without a connection, or when the daemon says that
                     it stops (default: never)
  --socket PATH      listen here (default: DIR/launch/launch.sock)
  --init PATH        the init of fences (default: hedgerow-init beside this program)
";

const IMAGE: &str = "/usr/lib/hedgerow/components/artifacts";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub state: PathBuf,
    pub runtime: PathBuf,
    pub config: PathBuf,
    pub daemon_uid: u32,
    pub image: PathBuf,
    pub linger: Option<Duration>,
    pub socket: Option<PathBuf>,
    pub init: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0} takes a value")]
    NoValue(String),
    #[error("{0} is not a number: {1:?}")]
    NoNumber(&'static str, OsString),
    #[error("unknown option {0:?}")]
    Unknown(OsString),
    #[error("{0} must be an absolute path")]
    Relative(&'static str),
}

impl Options {
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, Misuse> {
        let (mut state, mut runtime, mut config, mut uid) = (None, None, None, None);
        let (mut image, mut linger, mut socket, mut init) = (None, None, None, None);
        let mut arguments = arguments.into_iter();
        while let Some(name) = arguments.next() {
            let slot = match name.to_str() {
                Some("--state") => &mut state,
                Some("--runtime") => &mut runtime,
                Some("--config") => &mut config,
                Some("--daemon-uid") => &mut uid,
                Some("--image") => &mut image,
                Some("--linger") => &mut linger,
                Some("--socket") => &mut socket,
                Some("--init") => &mut init,
                _ => return Err(Misuse::Unknown(name)),
            };
            let value = arguments.next();
            *slot = Some(value.ok_or_else(|| Misuse::NoValue(name.to_string_lossy().into()))?);
        }
        Ok(Self {
            state: required("--state", state)?,
            runtime: required("--runtime", runtime)?,
            config: required("--config", config)?,
            daemon_uid: number("--daemon-uid", uid.ok_or(Misuse::Missing("--daemon-uid"))?)?,
            image: image.map_or(Ok(IMAGE.into()), |path| absolute("--image", path))?,
            linger: linger
                .map(|text| number("--linger", text).map(|s: u32| Duration::from_secs(s.into())))
                .transpose()?,
            socket: socket.map(|p| absolute("--socket", p)).transpose()?,
            init: init.map(|p| absolute("--init", p)).transpose()?,
        })
    }
}

fn required(name: &'static str, value: Option<OsString>) -> Result<PathBuf, Misuse> {
    absolute(name, value.ok_or(Misuse::Missing(name))?)
}

fn absolute(name: &'static str, value: OsString) -> Result<PathBuf, Misuse> {
    let path = PathBuf::from(value);
    if path.is_absolute() { Ok(path) } else { Err(Misuse::Relative(name)) }
}

fn number(name: &'static str, value: OsString) -> Result<u32, Misuse> {
    value.to_str().and_then(|t| t.parse().ok()).ok_or(Misuse::NoNumber(name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, Misuse> {
        Options::parse(line.split_whitespace().map(OsString::from))
    }

    const LEAST: &str = "--state /s --runtime /r --config /c --daemon-uid 990";

    #[test]
    fn the_rest_has_defaults() {
        let options = parse(LEAST).unwrap();
        assert_eq!((options.daemon_uid, options.linger, options.socket), (990, None, None));
        let options = parse(&format!("{LEAST} --linger 60 --socket /x --init /y")).unwrap();
        assert_eq!(options.linger, Some(Duration::from_secs(60)));
    }

    #[test]
    fn misuse_is_named() {
        assert_eq!(parse("--state /s"), Err(Misuse::Missing("--runtime")));
        assert_eq!(parse("--state"), Err(Misuse::NoValue("--state".into())));
        assert_eq!(parse("--what 1"), Err(Misuse::Unknown("--what".into())));
        assert_eq!(
            parse(&format!("{LEAST} --linger x")),
            Err(Misuse::NoNumber("--linger", "x".into()))
        );
        assert_eq!(parse(&format!("{LEAST} --socket x")), Err(Misuse::Relative("--socket")));
    }
}
