//! The whole bus surface without a single fence: `simulated-daemon DIR` serves `hedgerow --root DIR`
//! until it is interrupted. For trying clients, and for the tests.

mod simulated;

use std::path::PathBuf;
use std::sync::Arc;

use hedgerow_api::Bus;
use hedgerow_daemon::bus::{Access, PrivateBus, serve};
use simulated::{Simulated, functions};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root =
        std::env::args_os().nth(1).map(PathBuf::from).ok_or("usage: simulated-daemon DIR")?;
    let socket = Bus::socket(&root);
    std::fs::create_dir_all(root.join("run"))?;
    let uid = nix::unistd::getuid().as_raw();
    let _bus = PrivateBus::start(&socket, &[uid]).await?;
    let connection = Bus::Root(root).connect().await?;
    let access = Access::system().with_user(uid);
    let control = Arc::new(Simulated::new());
    control.snapshot.send_modify(|now| {
        now.functions.insert("com.example.Echo".to_owned(), functions::view("com.example.Echo"));
    });
    let served = serve(connection, control, access).await?;
    println!("serving on {}", socket.display());
    tokio::select! {
        error = served.run() => Err(error.into()),
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}
