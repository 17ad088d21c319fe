use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::source::{Occurrence, Place, SourceFault, file};

struct Watched {
    directory: TempDir,
    heard: mpsc::Receiver<Occurrence>,
    watching: JoinHandle<SourceFault>,
}

/// Watches `below` in a directory which has what `prepare` makes.
async fn watch(below: &str, prepare: impl FnOnce(&Path)) -> Watched {
    let directory = tempfile::tempdir().unwrap();
    prepare(directory.path());
    let place = Place { base: directory.path().to_owned(), below: below.into() };
    let (sender, heard) = mpsc::channel(100);
    let shown = Path::new("/work").join(below);
    let watching = tokio::spawn(async move { file::watch(&place, &shown, sender).await });
    // It watches once it has run.
    tokio::task::yield_now().await;
    Watched { directory, heard, watching }
}

impl Watched {
    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    /// The next event: kind and path.
    async fn next(&mut self) -> String {
        let event = timeout(Duration::from_secs(10), self.heard.recv()).await.unwrap().unwrap();
        let event: Value = serde_json::from_slice(&event.payload).unwrap();
        format!("{} {}", event["kind"].as_str().unwrap(), event["path"].as_str().unwrap())
    }
}

#[tokio::test]
async fn files_of_a_directory_come_change_and_go() {
    let mut watched = watch("in", |base| fs::create_dir(base.join("in")).unwrap()).await;
    for _ in 0..10 {
        fs::write(watched.path("in/a"), "text").unwrap();
    }
    assert_eq!(watched.next().await, "created /work/in/a");
    fs::write(watched.path("in/a"), "more").unwrap();
    assert_eq!(watched.next().await, "modified /work/in/a");
    fs::write(watched.path("b"), "text").unwrap();
    fs::rename(watched.path("b"), watched.path("in/b")).unwrap();
    assert_eq!(watched.next().await, "created /work/in/b");
    fs::remove_file(watched.path("in/a")).unwrap();
    fs::create_dir(watched.path("in/c")).unwrap();
    assert_eq!(watched.next().await, "deleted /work/in/a");
    assert_eq!(watched.next().await, "created /work/in/c");
    // What is not closed yet is not there yet.
    let open = File::create(watched.path("in/d")).unwrap();
    fs::write(watched.path("in/e"), "text").unwrap();
    assert_eq!(watched.next().await, "created /work/in/e");
    drop(open);
    assert_eq!(watched.next().await, "created /work/in/d");
}

#[tokio::test]
async fn a_directory_may_come_later_go_and_come_again() {
    let mut watched = watch("a/b", |_| {}).await;
    for _ in 0..2 {
        fs::create_dir_all(watched.path("a/b")).unwrap();
        fs::write(watched.path("a/b/c"), "text").unwrap();
        assert_eq!(watched.next().await, "created /work/a/b/c");
        fs::remove_dir_all(watched.path("a")).unwrap();
        let mut gone = [watched.next().await, watched.next().await];
        gone.sort();
        assert_eq!(gone, ["deleted /work/a/b", "deleted /work/a/b/c"]);
    }
}

#[tokio::test]
async fn a_file_may_come_later_and_be_replaced() {
    let mut watched = watch("in/file", |_| {}).await;
    fs::create_dir(watched.path("in")).unwrap();
    fs::write(watched.path("in/other"), "text").unwrap();
    fs::write(watched.path("in/file"), "text").unwrap();
    assert_eq!(watched.next().await, "created /work/in/file");
    fs::write(watched.path("in/file"), "more").unwrap();
    assert_eq!(watched.next().await, "modified /work/in/file");
    fs::rename(watched.path("in/other"), watched.path("in/file")).unwrap();
    assert_eq!(watched.next().await, "created /work/in/file");
    fs::remove_file(watched.path("in/file")).unwrap();
    assert_eq!(watched.next().await, "deleted /work/in/file");
}

#[tokio::test]
async fn a_symbolic_link_leads_nowhere() {
    for link in ["in", "deep/in"] {
        let watched = watch("deep/in", |base| {
            fs::create_dir(base.join("elsewhere")).unwrap();
            fs::create_dir(base.join("elsewhere/in")).unwrap();
            match link {
                "in" => symlink(base.join("elsewhere"), base.join("deep")).unwrap(),
                _ => {
                    fs::create_dir(base.join("deep")).unwrap();
                    symlink(base.join("elsewhere"), base.join("deep/in")).unwrap();
                }
            }
        })
        .await;
        let fault = timeout(Duration::from_secs(10), watched.watching).await.unwrap().unwrap();
        assert!(fault.to_string().contains("symbolic link"), "{fault}");
    }
}

#[tokio::test]
async fn more_than_can_be_told_is_told() {
    let mut watched = watch("in", |base| fs::create_dir(base.join("in")).unwrap()).await;
    for n in 0..2000 {
        fs::write(watched.path(&format!("in/{n}")), "").unwrap();
    }
    assert_eq!(watched.next().await, "overflow /work/in");
}
