//! What functions hear, and where their files are.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use hedgerow_function::{Broker, Feeds, FunctionSpec, Occurrence, Place, SourceFault, message};
use hedgerow_ipc::{Delivery, Message, Principal, ReceiveMode};
use hedgerow_isolation::grants::granted;
use tokio::sync::mpsc;

use crate::driver::Surroundings;
use crate::layout::{inside, work_directory};
use crate::settings::Settings;

#[derive(Debug)]
pub struct DaemonFeeds {
    pub around: Arc<Surroundings>,
}

impl Feeds for DaemonFeeds {
    async fn messages(
        &self,
        function: &FunctionSpec,
        broker: Broker,
        filter: &str,
        heard: mpsc::Sender<Occurrence>,
    ) -> SourceFault {
        match broker {
            Broker::Local => self.local_messages(function, filter, heard).await,
            Broker::IotCore => SourceFault::Unusable(
                "there is no cloud link yet; subscribe to a local topic (type PUB_SUB)".to_owned(),
            ),
        }
    }

    fn place(&self, function: &FunctionSpec, path: &Path) -> Result<Place, SourceFault> {
        let work = inside::work(&function.name);
        let path = Path::new(&work).join(path);
        let mut parts = path.components().skip(1);
        if !parts.all(|part| matches!(part, Component::Normal(_))) {
            return Err(SourceFault::Unusable("the path must be without \"..\"".to_owned()));
        }
        if let Ok(below) = path.strip_prefix(&work) {
            return Ok(Place { base: self.work(function)?, below: below.to_owned() });
        }
        // As they are now: what is granted later is there at the next try.
        let config = &self.around.layout.config;
        let now =
            Settings::read(config).map_err(|error| SourceFault::Failing(error.to_string()))?;
        let grant = granted(&now.grant, &function.name);
        let place = grant.host_paths.iter().find_map(|granted| {
            let below = path.strip_prefix(granted.target()).ok()?.to_owned();
            Some(Place { base: granted.path.as_path().to_owned(), below })
        });
        place.ok_or_else(|| {
            SourceFault::Failing(format!(
                "it is neither below {work} nor granted; grant it in {}: [[grant]] component = {:?}, \
                 host-paths = [{{ path = {path:?} }}]",
                config.join("hedgerow.toml").display(),
                function.name
            ))
        })
    }

    fn tell(&self, function: &str, what: &str) {
        tracing::warn!(component = function, "{what}");
        self.around.instances.warn(function, what);
    }
}

impl DaemonFeeds {
    async fn local_messages(
        &self,
        function: &FunctionSpec,
        filter: &str,
        heard: mpsc::Sender<Occurrence>,
    ) -> SourceFault {
        let hub = &self.around.hub;
        let who = Principal::Component(function.name.as_str().into());
        // As where Greengrass's Lambda manager subscribes for the function.
        let mode = Some(ReceiveMode::ReceiveAllMessages);
        let mut subscription = match hub.subscribe(&who, filter, mode) {
            Ok(subscription) => subscription,
            Err(error) => return SourceFault::Failing(error.to_string()),
        };
        while let Some(Delivery { topic, message: content, lost, .. }) = subscription.next().await {
            if lost > 0 {
                let what = format!(
                    "{lost} messages on topics {filter:?} came faster than they could be queued, and are lost"
                );
                // Its own log takes so many lines and no more.
                self.around.instances.warn(&function.name, &what);
            }
            let payload = match content {
                Message::Json(text) => Bytes::copy_from_slice(text.as_str().as_bytes()),
                Message::Binary(bytes) => bytes,
            };
            if heard.send(message(&topic, payload)).await.is_err() {
                break;
            }
        }
        SourceFault::Failing("the deployed version may not hear them".to_owned())
    }

    /// The function's work directory on the host.
    fn work(&self, function: &FunctionSpec) -> Result<PathBuf, SourceFault> {
        let slots = self.around.records.slots();
        let slots = slots.map_err(|error| SourceFault::Failing(error.to_string()))?;
        match slots.get(&function.name) {
            Some(slot) => Ok(self.around.layout.state.join(work_directory(*slot))),
            None => Err(SourceFault::Failing("it has no work directory yet".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use hedgerow_function::Runtime;

    use super::*;
    use crate::fixture::Fixture;
    use crate::function::tests::spec;

    #[tokio::test]
    async fn a_file_that_is_granted_later_is_watched_without_a_restart() {
        let device = Fixture::new();
        let around = Arc::clone(&device.around);
        let config = around.layout.config.clone();
        fs::create_dir_all(&config).expect("made");
        let feeds = DaemonFeeds { around };
        let function = spec(Runtime::Provided { name: "provided".to_owned() });
        let place = || feeds.place(&function, Path::new("/data/in"));
        let refused = place().expect_err("nothing is granted");
        let named = config.join("hedgerow.toml").display().to_string();
        assert!(matches!(&refused, SourceFault::Failing(why) if why.contains(&named)), "{refused}");
        let grant = format!(
            "[[grant]]\ncomponent = '{}'\nhost-paths = [{{ path = '/mnt', target = '/data' }}]\n",
            function.name
        );
        fs::write(config.join("hedgerow.toml"), grant).expect("written");
        let place = place().expect("it is granted");
        assert_eq!((place.base.to_str(), place.below.to_str()), (Some("/mnt"), Some("in")));
    }
}
