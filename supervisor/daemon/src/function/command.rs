//! What is run in an instance. What is there decides: the function, its layers, the runtime's component and the system may
//! each bring the runtime's client and an interpreter.

use std::future::Future;

use hedgerow_component::lambda;
use hedgerow_function::{FunctionSpec, Runtime};
use hedgerow_isolation::control::PATH;

use super::environment::BIN;
use super::making::{LAYERS, RUNTIME, TASK};

/// Why there is nothing to run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    #[error(
        "nothing brings {package}, which runs functions in {runtime}: deploy {component}, or add {package} to the \
         function's archive or a layer ({how})"
    )]
    Client { package: &'static str, runtime: String, component: String, how: &'static str },
    #[error(
        "there is no {program} in the fence: the system has none in {PATH}, and neither a layer nor the runtime's \
         component has one in its bin directory; deploy one, or the function for another version"
    )]
    Interpreter { program: String },
    #[error(
        "there is no bootstrap: a function with the runtime {0} brings an executable of that name at the top of its \
         archive or of a layer"
    )]
    Bootstrap(String),
}

/// Whether something is at a path inside the fence.
pub trait Look {
    type Error;

    fn exists(&self, path: &str) -> impl Future<Output = Result<bool, Self::Error>> + Send;
}

/// Program and arguments. `client`: of which runtime's component there is one at [`RUNTIME`].
pub async fn command<L: Look>(
    spec: &FunctionSpec,
    client: Option<&lambda::Runtime>,
    look: &L,
) -> Result<Result<Vec<String>, Missing>, L::Error> {
    let handler = spec.handler.clone();
    match &spec.runtime {
        Runtime::Python { version } => {
            let exact = format!("python{version}");
            let site = format!("{LAYERS}/python/lib/{exact}/site-packages");
            let places = [TASK, &site, &format!("{LAYERS}/python"), RUNTIME];
            let candidates = places.map(|place| format!("{place}/awslambdaric"));
            let Some(found) = first(look, &candidates).await? else {
                return Ok(Err(no_client(spec, "awslambdaric", "pip install --target DIRECTORY")));
            };
            let is_supplied = found.starts_with(RUNTIME);
            let program = match client.filter(|_| is_supplied) {
                Some(client) => client.to_string(),
                None => exact,
            };
            let interpreter = interpreter(look, &[&program]).await?;
            Ok(interpreter.map(|python| vec![python, "-m".into(), "awslambdaric".into(), handler]))
        }
        Runtime::Node { version } => {
            let major = version.split('.').next().unwrap_or_default();
            let layer = format!("{LAYERS}/nodejs/node{major}");
            let places = [TASK, &layer, &format!("{LAYERS}/nodejs"), RUNTIME];
            let candidates = places.iter().flat_map(|place| {
                let package = format!("{place}/node_modules/aws-lambda-ric/bin/index");
                [format!("{package}.mjs"), format!("{package}.js")]
            });
            let Some(client) = first(look, &candidates.collect::<Vec<_>>()).await? else {
                return Ok(Err(no_client(spec, "aws-lambda-ric", "npm install")));
            };
            let programs = [&format!("node{major}"), "node", "nodejs"];
            let interpreter = interpreter(look, &programs).await?;
            Ok(interpreter.map(|node| vec![node, client, handler]))
        }
        Runtime::Provided { name } => {
            let candidates = [TASK, LAYERS].map(|place| format!("{place}/bootstrap"));
            let found = first(look, &candidates).await?;
            Ok(found.map(|bootstrap| vec![bootstrap]).ok_or(Missing::Bootstrap(name.clone())))
        }
    }
}

async fn interpreter<L: Look>(
    look: &L,
    programs: &[&str],
) -> Result<Result<String, Missing>, L::Error> {
    let directories = || BIN.split(':').chain(PATH.split(':'));
    let candidates = programs
        .iter()
        .flat_map(|program| directories().map(move |directory| format!("{directory}/{program}")));
    let found = first(look, &candidates.collect::<Vec<_>>()).await?;
    let missing = || Missing::Interpreter { program: programs.join(" or ") };
    Ok(found.ok_or_else(missing))
}

async fn first<L: Look>(look: &L, candidates: &[String]) -> Result<Option<String>, L::Error> {
    for candidate in candidates {
        if look.exists(candidate).await? {
            return Ok(Some(candidate.clone()));
        }
    }
    Ok(None)
}

fn no_client(spec: &FunctionSpec, package: &'static str, how: &'static str) -> Missing {
    let runtime = spec.runtime.to_string();
    let component = runtime.parse::<lambda::Runtime>().ok().and_then(|r| r.component());
    let component = component.map_or_else(|| "its component".to_owned(), |name| name.to_string());
    Missing::Client { package, runtime, component, how }
}
