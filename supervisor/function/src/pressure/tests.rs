use std::sync::Arc;

use tempfile::NamedTempFile;
use tokio::time::timeout;

use super::*;
use crate::tests::fake::Fake;
use crate::tests::{echo, spec, until, with};

#[test]
fn the_kernels_figures_are_read() {
    let text = "some avg10=12.50 avg60=0.00 avg300=0.00 total=123\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
    let stalls = Stalls { average: 12.5, total: Duration::from_micros(123) };
    assert_eq!(Stalls::parse(text), Some(stalls));
    assert_eq!(Stalls::parse("some avg10=x total=1"), None);
    assert_eq!(Stalls::parse(""), None);
}

#[tokio::test(start_paused = true)]
async fn idle_instances_go_while_the_average_is_high() {
    let file = NamedTempFile::new().unwrap();
    let write = |average: &str| {
        std::fs::write(file.path(), format!("some avg10={average} total=0\n")).unwrap();
    };
    write("0.50");
    let (functions, _) = with(spec("f", "echo")).await;
    let watched = functions.clone();
    let path = file.path().to_owned();
    let watch = tokio::spawn(async move { reclaim_by_average(&watched, &path).await });
    echo(&functions, "1").await;
    sleep(Duration::from_secs(20)).await;
    until(&functions, |overview| overview.instances.frozen == 1).await;
    write("50.00");
    let wait = until(&functions, |overview| overview.instances.total() == 0);
    assert!(timeout(2 * READ_EVERY, wait).await.is_ok());
    watch.abort();
}

#[tokio::test]
async fn a_kernel_without_figures_is_told_of() {
    let functions = Functions::new(Arc::new(Fake::default()));
    let watch = reclaim_under_pressure(&functions, Path::new("/proc/pressure/nothing"));
    assert!(matches!(watch.await, PressureError::Missing(_)));
}

#[tokio::test]
async fn this_kernels_figures_can_be_watched_where_there_are_any() {
    let path = Path::new("/proc/pressure/memory");
    if Stalls::read(path).is_err() {
        return;
    }
    let functions = Functions::new(Arc::new(Fake::default()));
    let watch = timeout(Duration::from_millis(200), reclaim_under_pressure(&functions, path));
    assert!(watch.await.is_err(), "it goes on for ever");
}
