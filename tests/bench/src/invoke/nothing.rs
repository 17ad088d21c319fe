//! The reference for runtimes: a Runtime API that does nothing. It gives the same event again as soon as the last one
//! is answered, with blocking reads and writes, and looks at nothing that it is sent.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result};

use super::EVENT;
use super::bare::Function;
use crate::process;

/// A runtime that works for nothing.
pub struct Nothing {
    child: Child,
    answers: mpsc::Receiver<Instant>,
}

impl Nothing {
    pub fn start(function: &Function) -> Result<Nothing> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let mut command: Command = function.command(listener.local_addr()?)?;
        let child = command.spawn().with_context(|| format!("{command:?}"))?;
        // A runtime that nobody counts any more waits: this is a queue of bounded length, too.
        let (tell, answers) = mpsc::sync_channel(1024);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let tell = tell.clone();
                // Connections end with the runtime.
                thread::spawn(move || serve(stream, &tell));
            }
        });
        Ok(Nothing { child, answers })
    }

    /// When the next event was answered.
    pub fn answered(&self) -> Result<Instant> {
        self.answers.recv().context("the runtime has ended")
    }

    /// Microseconds of CPU that the runtime has used.
    pub fn cpu_time(&self) -> Result<f64> {
        process::cpu_time(self.child.id().cast_signed())
    }
}

impl Drop for Nothing {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(stream: TcpStream, tell: &mpsc::SyncSender<Instant>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    let event = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nlambda-runtime-deadline-ms: 4102444800000\r\n\
         lambda-runtime-aws-request-id: 8c7f2b66-0000-4000-8000-000000000000\r\n\
         lambda-runtime-invoked-function-arn: arn:aws:lambda:eu-west-1:000000000000:function:bench\r\n\
         content-length: {}\r\n\r\n{EVENT}",
        EVENT.len()
    );
    let accepted = "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let is_next = line.starts_with("GET");
        let body = body_length(&mut reader)?;
        match body {
            Some(length) => {
                std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink())?;
            }
            None => skip_chunks(&mut reader)?,
        }
        match is_next {
            true => writer.write_all(event.as_bytes())?,
            false => {
                tell.send(Instant::now())?;
                writer.write_all(accepted.as_bytes())?;
            }
        }
    }
}

/// Reads the headers; `None`: the body comes in chunks.
fn body_length(reader: &mut impl BufRead) -> Result<Option<u64>> {
    let mut length = Some(0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end().to_ascii_lowercase();
        match line.split_once(':') {
            None => return Ok(length),
            Some(("content-length", value)) => length = Some(value.trim().parse()?),
            Some(("transfer-encoding", _)) => length = None,
            Some(_) => {}
        }
    }
}

fn skip_chunks(reader: &mut impl BufRead) -> Result<()> {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let length = u64::from_str_radix(line.trim(), 16)?;
        // With the end of its line.
        std::io::copy(&mut reader.by_ref().take(length + 2), &mut std::io::sink())?;
        if length == 0 {
            return Ok(());
        }
    }
}
