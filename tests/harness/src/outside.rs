//! Somebody else's machine: a network namespace with an address, joined to the host. Needs root, `ip`, `unshare`,
//! `nsenter` and `python3`.

use std::io::{self, Read};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Ends with this.
#[derive(Debug)]
pub struct Outside {
    /// Keeps the namespace.
    process: Child,
    pub address: Ipv4Addr,
    /// The host's address on the link.
    pub host: Ipv4Addr,
}

/// A program that serves, until dropped.
#[derive(Debug)]
pub struct Server(Child);

/// Answers each connection with the address that it comes from.
const ECHO_ADDRESS: &str = r#"
import socket, sys
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("ready", flush=True)
while True:
    connection, peer = listener.accept()
    connection.sendall(peer[0].encode())
    connection.close()
"#;

/// Answers each question for an IPv4 address with its own, and any other with nothing.
const NAME_SERVER: &str = r#"
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((sys.argv[1], 53))
print("ready", flush=True)
while True:
    query, peer = server.recvfrom(512)
    end = query.index(b"\0", 12) + 5
    question, wants_address = query[12:end], query[end - 4:end - 2] == b"\0\x01"
    header = query[:2] + b"\x81\x80\0\x01" + (b"\0\x01" if wants_address else b"\0\0") + b"\0\0\0\0"
    answer = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04" + socket.inet_aton(sys.argv[1])
    server.sendto(header + question + (answer if wants_address else b""), peer)
"#;

/// Serves the files of a directory.
const FILES: &str = r#"
import functools, http.server, sys
class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass
handler = functools.partial(Quiet, directory=sys.argv[3])
server = http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), handler)
print("ready", flush=True)
server.serve_forever()
"#;

impl Outside {
    /// `block` (0 to 63) tells those apart that are there at the same time.
    pub fn new(block: u8) -> io::Result<Self> {
        let mut process = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        // A word of it says that it is in its namespace.
        process.stdout.as_mut().map_or(Ok(()), |said| said.read_exact(&mut [0]))?;
        let pid = process.id();
        let [host, address] =
            [1, 2].map(|last| Ipv4Addr::new(198, 51, 100, (block & 63) * 4 + last));
        let outside = Self { process, address, host };
        let link = format!("outside{pid}");
        run(Command::new("sh").arg("-ec").arg(format!(
            "ip link add {link} type veth peer name eth0 netns {pid}
             ip address add {host}/30 dev {link}
             ip link set {link} up"
        )))?;
        outside.run(&format!("ip address add {address}/30 dev eth0; ip link set eth0 up"))?;
        Ok(outside)
    }

    /// Runs a shell script there; what it prints.
    pub fn run(&self, script: &str) -> io::Result<String> {
        run(self.enter().args(["sh", "-ec", script]))
    }

    /// A server that answers each connection to `port` with the address that it comes from.
    pub fn serve(&self, port: u16) -> io::Result<Server> {
        self.start(ECHO_ADDRESS, &[&self.address.to_string(), &port.to_string()])
    }

    /// A web server of the directory's files.
    pub fn serve_files(&self, directory: &Path, port: u16) -> io::Result<Server> {
        let directory = directory.to_string_lossy();
        self.start(FILES, &[&self.address.to_string(), &port.to_string(), &directory])
    }

    /// A name server to which every name is this machine.
    pub fn serve_names(&self) -> io::Result<Server> {
        self.start(NAME_SERVER, &[&self.address.to_string()])
    }

    fn start(&self, program: &str, arguments: &[&str]) -> io::Result<Server> {
        let mut command = self.enter();
        command.args(["python3", "-c", program]).args(arguments).stdout(Stdio::piped());
        let mut server = Server(command.spawn()?);
        server.0.stdout.as_mut().map_or(Ok(()), |said| said.read_exact(&mut [0; 6]))?;
        Ok(server)
    }

    fn enter(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--target", &self.process.id().to_string()]);
        command
    }
}

fn run(command: &mut Command) -> io::Result<String> {
    let output = command.output()?;
    let complaint = || format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(io::Error::other(complaint())),
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.0);
    }
}

fn end(child: &mut Child) {
    // Gone already is as good.
    let _ = child.kill();
    let _ = child.wait();
}
