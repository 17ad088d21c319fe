//! The shipped daemon's functions, invoked over D-Bus: what fences add.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hedgerow_api::zbus::Connection;
use hedgerow_api::zbus::proxy::CacheProperties;
use hedgerow_api::{Bus, ComponentProxy, FunctionProxy, InvokeOptions, ManagerProxy};
use hedgerow_harness::{Draft, Hedgerow, PATIENCE, eventually};
use tokio::runtime::Runtime;

use super::EVENT;
use super::bare::{Function, Language};
use super::fence;
use super::nothing::Nothing;
use crate::figure::{Figure, Target};
use crate::sample::{Spread, percentile};
use crate::start::launcher::Launcher;

/// Milliseconds.
const THAW: f64 = 1.0;
const ABOVE_FENCE: f64 = 5.0;
/// Times the same runtime, started bare.
const PYTHON: f64 = 1.15;

/// Longer than the pool waits before it freezes what is idle.
const IDLE: Duration = Duration::from_millis(300);

/// What is left of a fence that is closed, its network above all, the kernel tidies up meanwhile. It would hold up the
/// next one, which comes as soon in a benchmark only. The next one is prepared meanwhile as well, where it is.
const LEFTOVERS: Duration = Duration::from_millis(300);

/// Warm invocations of each round.
const WARM: usize = 5;

/// A device that makes no fence before an instance wants one.
const NONE_PREPARED: &str = "[function]\nprepared-fences = 0\n";

pub fn measure(rounds: usize) -> Result<Vec<Figure>> {
    let hedgerow = Hedgerow::start(NONE_PREPARED)?;
    let (rust, python) = (deploy_rust(&hedgerow)?, deploy_python(&hedgerow)?);
    let caller = Caller::connect(hedgerow.root())?;
    let mut figures = thaw(&caller, &rust, rounds)?;
    figures.extend(cold_rust(&hedgerow, &caller, &rust, rounds)?);
    let (cold, _) = cold_python(&hedgerow, &caller, &python, rounds, "in-new-fence")?;
    figures.extend(cold);
    hedgerow.finish()?;
    figures.extend(prepared(rounds)?);
    Ok(figures)
}

/// The same on a device as it is shipped.
fn prepared(rounds: usize) -> Result<Vec<Figure>> {
    let hedgerow = Hedgerow::start("")?;
    let (rust, python) = (deploy_rust(&hedgerow)?, deploy_python(&hedgerow)?);
    let caller = Caller::connect(hedgerow.root())?;
    let mut cold = Vec::new();
    for _ in 0..rounds {
        cold.push(milliseconds(caller.cold(&hedgerow, &rust)?));
    }
    let mut figures = vec![Figure::of("invoke.cold.rust.prepared", Spread::of(cold), "ms")];
    let (cold, ratio) = cold_python(&hedgerow, &caller, &python, rounds, "prepared")?;
    figures.extend(cold);
    let ratio = Figure::new("invoke.cold.python.ratio", ratio, "x bare");
    figures.push(ratio.held_to(Target::AtMost(PYTHON)));
    hedgerow.finish()?;
    Ok(figures)
}

/// An invocation right after another one, and one of an instance that was frozen meanwhile.
fn thaw(caller: &Caller, name: &str, rounds: usize) -> Result<Vec<Figure>> {
    let function = caller.function(name)?;
    let (mut warm, mut thawed) = (Vec::new(), Vec::new());
    caller.invoke(&function)?;
    for _ in 0..rounds {
        thread::sleep(IDLE);
        eventually("its instance is frozen", PATIENCE, || {
            let instances = caller.block_on(function.instances())?;
            Ok((instances.frozen == 1).then_some(()))
        })?;
        thawed.push(milliseconds(caller.invoke(&function)?));
        let mut times: Vec<f64> = Vec::new();
        for _ in 0..WARM {
            times.push(milliseconds(caller.invoke(&function)?));
        }
        warm.push(percentile(&mut times, 50.0));
    }
    let (warm, thawed) = (Spread::of(warm), Spread::of(thawed));
    let added = Figure::new("invoke.thaw.added", thawed.median - warm.median, "ms");
    Ok(vec![
        Figure::of("invoke.bus.warm", warm, "ms"),
        Figure::of("invoke.bus.thawed", thawed, "ms"),
        added.held_to(Target::Under(THAW)),
    ])
}

/// The first invocation of a function, beside an instance's fence with a step in it that does nothing.
fn cold_rust(
    hedgerow: &Hedgerow,
    caller: &Caller,
    name: &str,
    rounds: usize,
) -> Result<Vec<Figure>> {
    let mut launcher = Launcher::start()?;
    let plan = fence::plan(&launcher)?;
    launcher.cold(&plan)?;
    caller.cold(hedgerow, name)?;
    let (mut cold, mut fence) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        cold.push(milliseconds(caller.cold(hedgerow, name)?));
        thread::sleep(LEFTOVERS);
        fence.push(milliseconds(launcher.cold(&plan)?.started));
    }
    launcher.stop()?;
    let (cold, fence) = (Spread::of(cold), Spread::of(fence));
    let above = Figure::new("invoke.cold.rust.above-fence", cold.median - fence.median, "ms");
    Ok(vec![
        Figure::of("invoke.cold.rust", cold, "ms"),
        Figure::of("invoke.cold.fence", fence, "ms"),
        above.held_to(Target::AtMost(ABOVE_FENCE)),
    ])
}

/// The first invocation of a function, beside the same interpreter and client to its first answer. The CPU time of
/// both is what other work on the machine does not lengthen; the fence's builder is in the one.
fn cold_python(
    hedgerow: &Hedgerow,
    caller: &Caller,
    name: &str,
    rounds: usize,
    fence: &str,
) -> Result<(Vec<Figure>, f64)> {
    let (mut cold, mut bare) = (Vec::new(), Vec::new());
    let (mut cpu, mut bare_cpu) = (Vec::new(), Vec::new());
    caller.cold(hedgerow, name)?;
    for _ in 0..rounds {
        cold.push(milliseconds(caller.cold(hedgerow, name)?));
        cpu.push(caller.cpu_time(name)? / 1e3);
        thread::sleep(LEFTOVERS);
        let start = Instant::now();
        let function = Function { language: Language::Python, function_cpu: None };
        let nothing = Nothing::start(&function)?;
        bare.push(milliseconds(nothing.answered()? - start));
        bare_cpu.push(nothing.cpu_time()? / 1e3);
    }
    let (cold, bare) = (Spread::of(cold), Spread::of(bare));
    let ratio = cold.median / bare.median;
    let name = format!("invoke.cold.python.{fence}");
    let figures = vec![
        Figure::of(name.clone(), cold, "ms"),
        Figure::of(format!("{name}.bare"), bare, "ms"),
        Figure::new(format!("{name}.times-bare"), ratio, "x"),
        Figure::of(format!("{name}.cpu"), Spread::of(cpu), "ms"),
        Figure::of(format!("{name}.bare.cpu"), Spread::of(bare_cpu), "ms"),
    ];
    Ok((figures, ratio))
}

fn deploy_rust(hedgerow: &Hedgerow) -> Result<String> {
    let name = "bench.rust";
    create(hedgerow, name, Language::Rust, "provided.al2023")?;
    Ok(name.to_owned())
}

fn deploy_python(hedgerow: &Hedgerow) -> Result<String> {
    let source = hedgerow_harness::runtimes();
    let recipes = fs::read_dir(&source.recipes)
        .with_context(|| format!("{}: run `cargo xtask runtimes`", source.recipes.display()))?;
    let mut version = None;
    for recipe in recipes {
        let file = recipe?.file_name().to_string_lossy().into_owned();
        let component = file.strip_suffix(".yaml").and_then(|file| file.rsplit_once('-'));
        let (component, of) = component.with_context(|| file.clone())?;
        if let Some(python) = component.strip_prefix("io.hedgerow.runtime.python") {
            hedgerow.deploy(&source, &[&format!("{component}={of}")])?;
            version = Some(python.to_owned());
        }
    }
    let name = "bench.python";
    let version = version.context("no runtime for Python is laid out")?;
    create(hedgerow, name, Language::Python, &format!("python{version}"))?;
    Ok(name.to_owned())
}

fn create(hedgerow: &Hedgerow, name: &str, language: Language, runtime: &str) -> Result<()> {
    let code = language.code();
    let code = code.to_string_lossy();
    let words = ["function", "create", name, "--directory", &code, "--runtime", runtime];
    hedgerow.run(&[&words[..], &["--handler", language.handler(), "--timeout", "30"]].concat())?;
    Ok(())
}

/// So many functions in Rust, deployed at once; their names.
pub fn deploy_many(hedgerow: &Hedgerow, count: usize) -> Result<Vec<String>> {
    let draft = Draft::new()?;
    let archive = archive(&draft.artifacts().join("code.zip"))?;
    let names: Vec<String> = (0..count).map(|number| format!("bench.many{number:03}")).collect();
    for name in &names {
        draft.recipe(&format!("{name}-1.0.0.json"), recipe(name))?;
        let directory = draft.artifacts().join(name).join("1.0.0");
        fs::create_dir_all(&directory)?;
        fs::hard_link(&archive, directory.join("code.zip"))?;
    }
    let additions: Vec<String> = names.iter().map(|name| format!("{name}=1.0.0")).collect();
    let additions: Vec<&str> = additions.iter().map(String::as_str).collect();
    hedgerow.deploy(&draft.source(), &additions)?;
    Ok(names)
}

fn archive(path: &Path) -> Result<PathBuf> {
    let program = Language::Rust.code().join("bootstrap");
    let mut command = Command::new("python3");
    command.args(["-m", "zipfile", "--create"]).arg(path).arg(program);
    ensure!(command.status()?.success(), "{command:?} fails");
    Ok(path.to_owned())
}

fn recipe(name: &str) -> String {
    serde_json::json!({
        "RecipeFormatVersion": "2020-01-25",
        "ComponentName": name,
        "ComponentVersion": "1.0.0",
        "ComponentType": "aws.greengrass.lambda",
        "ComponentConfiguration": { "DefaultConfiguration": {
            "containerMode": "GreengrassContainer",
            "containerParams": { "memorySize": 65536 },
            "timeoutInSeconds": 30,
            "maxInstancesCount": 1,
            "maxIdleTimeInSeconds": 600,
            "inputPayloadEncodingType": "json",
            "pinned": false,
        } },
        "Lifecycle": { "setenv": {
            "AWS_GREENGRASS_LAMBDA_FUNCTION_HANDLER": "bootstrap",
            "AWS_GREENGRASS_LAMBDA_RUNTIME": "provided.al2023",
        } },
        "Manifests": [{
            "Platform": {},
            "Lifecycle": {},
            "Artifacts": [{ "Uri": "greengrass:code.zip", "Unarchive": "ZIP" }],
        }],
    })
    .to_string()
}

/// Who invokes over D-Bus.
pub struct Caller {
    runtime: Runtime,
    connection: Connection,
}

impl Caller {
    pub fn connect(root: &Path) -> Result<Caller> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let connection = runtime.block_on(Bus::Root(root.to_owned()).connect())?;
        Ok(Caller { runtime, connection })
    }

    pub fn block_on<T, E: Into<anyhow::Error>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T> {
        self.runtime.block_on(work).map_err(Into::into)
    }

    pub fn function(&self, name: &str) -> Result<FunctionProxy<'static>> {
        self.block_on(async {
            let manager = ManagerProxy::new(&self.connection).await?;
            let path = manager.get_function(name).await?;
            let builder = FunctionProxy::builder(&self.connection).path(path);
            anyhow::Ok(builder.cache_properties(CacheProperties::No).build().await?)
        })
    }

    /// How long it takes.
    pub fn invoke(&self, function: &FunctionProxy<'_>) -> Result<Duration> {
        let start = Instant::now();
        self.block_on(echo(function, EVENT))?;
        Ok(start.elapsed())
    }

    /// Microseconds of CPU of a function's instances.
    fn cpu_time(&self, name: &str) -> Result<f64> {
        self.block_on(async {
            let manager = ManagerProxy::new(&self.connection).await?;
            let path = manager.get_component(name).await?;
            let component = ComponentProxy::builder(&self.connection).path(path);
            let component = component.cache_properties(CacheProperties::No).build().await?;
            anyhow::Ok(component.cpu_time().await? as f64)
        })
    }

    /// How long the first invocation takes after all instances have ended.
    fn cold(&self, hedgerow: &Hedgerow, name: &str) -> Result<Duration> {
        hedgerow.run(&["stop", name])?;
        hedgerow.run(&["start", name])?;
        let function = self.function(name)?;
        thread::sleep(LEFTOVERS);
        self.invoke(&function)
    }
}

/// Fails unless the function answers the event.
pub async fn echo(function: &FunctionProxy<'_>, event: &str) -> Result<()> {
    let (answer, result) = function.invoke(event.as_bytes(), InvokeOptions::default()).await?;
    let answer = String::from_utf8_lossy(&answer);
    ensure!(answer == event, "it answers {answer} ({:?})", result.error_type);
    Ok(())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
