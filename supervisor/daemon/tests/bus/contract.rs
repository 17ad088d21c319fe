//! The introspection files that are shipped say what the daemon says of itself.

use std::path::PathBuf;

use hedgerow_api::zbus::fdo::IntrospectableProxy;
use hedgerow_api::{BUS_NAME, ROOT_PATH, path};

use crate::simulated::functions;
use crate::support::World;

/// Set this variable to write the files anew after an interface has changed.
const WRITE: &str = "HEDGEROW_WRITE_INTROSPECTION";

#[tokio::test]
async fn the_shipped_introspection_is_what_the_daemon_answers() {
    let world = World::new().await;
    let job = world.deploy("a").await;
    let deployment = world.deployment_of(&job).await;
    world.control.snapshot.send_modify(|now| {
        now.functions.insert("f".into(), functions::view("f"));
    });
    let function = world.manager().await.get_function("f").await.unwrap();
    for (object, interfaces) in [
        (ROOT_PATH.to_owned(), &["Manager", "Messaging"][..]),
        (path::component("a").to_string(), &["Component"]),
        (function.to_string(), &["Function"]),
        (job.to_string(), &["Job"]),
        (deployment.to_string(), &["Deployment"]),
    ] {
        let introspectable = IntrospectableProxy::builder(&world.client)
            .destination(BUS_NAME)
            .path(object)
            .build()
            .await
            .unwrap();
        let answer = introspectable.introspect().await.unwrap();
        for interface in interfaces {
            let file = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
                .join(format!("../../packaging/dbus/io.hedgerow.Edge1.{interface}.xml"));
            let said = document(&answer, interface);
            if std::env::var_os(WRITE).is_some() {
                std::fs::write(&file, &said).unwrap();
            }
            let shipped = std::fs::read_to_string(&file).unwrap_or_default();
            assert_eq!(said, shipped, "{} differs; set {WRITE}=1 to write it", file.display());
        }
    }
}

/// A document with this one interface.
fn document(answer: &str, interface: &str) -> String {
    let start =
        answer.find(&format!("<interface name=\"io.hedgerow.Edge1.{interface}\">")).unwrap();
    let end = start + answer[start..].find("</interface>").unwrap();
    format!(
        "<!DOCTYPE node PUBLIC \"-//freedesktop//DTD D-BUS Object Introspection 1.0//EN\"\n \
         \"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd\">\n\
         <node>\n  {}</interface>\n</node>\n",
        &answer[start..end]
    )
}
