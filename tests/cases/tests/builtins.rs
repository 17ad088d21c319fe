//! Components that AWS provides and that Hedgerow answers for itself.

use anyhow::{Result, ensure};
use hedgerow_harness::{Draft, Hedgerow, PATIENCE, eventually};

#[test]
fn who_depends_on_a_built_in_runs_and_reads_its_configuration() -> Result<()> {
    let mut hedgerow = Hedgerow::start("")?;
    let draft = Draft::new()?;
    let more = "ComponentDependencies:\n  aws.greengrass.Nucleus: {VersionRequirement: '>=2.5.0 <3.0.0'}\n  \
                aws.greengrass.ShadowManager: {VersionRequirement: '^2.0.0'}";
    let run =
        "run: |\n  echo fips {aws.greengrass.Nucleus:configuration:/fipsMode}\n  exec sleep 1000";
    draft.component("test.reader", "1.0.0", more, run)?;
    hedgerow.deploy(&draft.source(), &["test.reader=1.0.0"])?;
    eventually("the value in its log", PATIENCE, || {
        Ok(hedgerow.log("test.reader")?.contains("fips false").then_some(()))
    })?;
    for restarted in [false, true] {
        if restarted {
            hedgerow.kill_daemon()?;
            hedgerow.start_daemon()?;
        }
        let nucleus =
            hedgerow.wait_for("aws.greengrass.Nucleus", "up", |it| it.state == "RUNNING")?;
        ensure!(nucleus.pid == 0 && nucleus.version.starts_with("2."), "{nucleus:?}");
        let shadows = hedgerow.component("aws.greengrass.ShadowManager")?;
        ensure!(shadows.state == "RUNNING" && shadows.last_error.contains("yet"), "{shadows:?}");
    }

    // A recipe of that name comes before the built-in, and nobody is left who asks for the other.
    let own = Draft::new()?;
    own.component("aws.greengrass.ShadowManager", "2.0.1", "", "run: exec sleep 1000")?;
    hedgerow.run(&["deploy", "--remove", "test.reader"])?;
    hedgerow.deploy(&own.source(), &["aws.greengrass.ShadowManager=2.0.1"])?;
    ensure!(hedgerow.component("aws.greengrass.ShadowManager")?.pid != 0);
    ensure!(hedgerow.component("aws.greengrass.Nucleus").is_err(), "nothing asks for it");
    hedgerow.finish()
}
