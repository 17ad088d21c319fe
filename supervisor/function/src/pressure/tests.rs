use std::sync::Arc;
use std::sync::atomic::Ordering;

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
async fn what_is_kept_and_idle_instances_go_while_the_average_is_high() {
    let file = NamedTempFile::new().unwrap();
    let write = |average: &str| {
        std::fs::write(file.path(), format!("some avg10={average} total=0\n")).unwrap();
    };
    write("0.50");
    let (functions, fake) = with(spec("f", "echo")).await;
    fake.keeps.store(true, Ordering::Relaxed);
    let (watched, instances) = (functions.clone(), Arc::clone(&fake));
    let path = file.path().to_owned();
    let watch = tokio::spawn(async move {
        let watch = Watch { functions: &watched, instances: &*instances, path: &path };
        watch.reclaim_by_average().await
    });
    echo(&functions, "1").await;
    sleep(Duration::from_secs(20)).await;
    until(&functions, |overview| overview.instances.frozen == 1).await;
    assert!(fake.keeps.load(Ordering::Relaxed), "memory is not short");
    write("50.00");
    let wait = until(&functions, |overview| overview.instances.total() == 0);
    assert!(timeout(2 * READ_EVERY, wait).await.is_ok());
    assert!(!fake.keeps.load(Ordering::Relaxed), "it goes first");
    watch.abort();
}

#[tokio::test]
async fn a_kernel_without_figures_is_told_of() {
    let fake = Arc::new(Fake::default());
    let functions = Functions::new(Arc::clone(&fake));
    let watch = reclaim_under_pressure(&functions, &*fake, Path::new("/proc/pressure/nothing"));
    assert!(matches!(watch.await, PressureError::Missing(_)));
}

#[tokio::test]
async fn this_kernels_figures_can_be_watched_where_there_are_any() {
    let path = Path::new("/proc/pressure/memory");
    if Stalls::read(path).is_err() {
        return;
    }
    let fake = Arc::new(Fake::default());
    let functions = Functions::new(Arc::clone(&fake));
    let watch =
        timeout(Duration::from_millis(200), reclaim_under_pressure(&functions, &*fake, path));
    assert!(watch.await.is_err(), "it goes on for ever");
}
