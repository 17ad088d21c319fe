//! The recipe of a function, in the shape in which Greengrass makes one of an imported function.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Create;

/// The artifact with the code.
pub const ARCHIVE: &str = "lambda-artifact.zip";

pub struct Draft<'c> {
    pub function: &'c Create,
    pub version: &'c str,
}

impl Draft<'_> {
    pub fn recipe(&self) -> Value {
        let Create { name, handler, runtime, layer, .. } = self.function;
        let dependencies: BTreeMap<&str, Value> = layer
            .iter()
            .map(|name| {
                let any = json!({"VersionRequirement": "*", "DependencyType": "HARD"});
                (name.as_str(), any)
            })
            .collect();
        json!({
            "RecipeFormatVersion": "2020-01-25",
            "ComponentName": name,
            "ComponentVersion": self.version,
            "ComponentType": "aws.greengrass.lambda",
            "ComponentConfiguration": {"DefaultConfiguration": self.configuration()},
            "ComponentDependencies": dependencies,
            "Lifecycle": {
                "setenv": {
                    "AWS_GREENGRASS_LAMBDA_FUNCTION_HANDLER": handler,
                    "AWS_GREENGRASS_LAMBDA_RUNTIME": runtime,
                },
            },
            "Manifests": [{
                "Platform": {},
                "Lifecycle": {},
                "Artifacts": [{"Uri": format!("greengrass:{ARCHIVE}"), "Unarchive": "ZIP"}],
            }],
        })
    }

    /// What the command says, whatever an earlier version of the function was made with; what else was configured stays.
    pub fn update(&self) -> Value {
        let mut pointers = vec![];
        for (key, value) in self.configuration().as_object().into_iter().flatten() {
            match (key.as_str(), value) {
                // Here the command says only a part.
                ("containerParams" | "hedgerow", Value::Object(parts)) => {
                    pointers.extend(parts.keys().map(|part| format!("/{key}/{part}")));
                }
                _ => pointers.push(format!("/{key}")),
            }
        }
        json!({ self.function.name.as_str(): {"RESET": pointers} })
    }

    fn configuration(&self) -> Value {
        let Create {
            timeout,
            memory,
            env,
            pinned,
            max_instances,
            topic,
            iot_topic,
            schedule,
            layer,
            binary,
            ..
        } = self.function;
        let environment: BTreeMap<_, _> = env.iter().cloned().collect();
        let sources = |topics: &[String], kind: &'static str| -> Vec<Value> {
            topics.iter().map(|topic| json!({"topic": topic, "type": kind})).collect()
        };
        let topics = [sources(topic, "PUB_SUB"), sources(iot_topic, "IOT_CORE")].concat();
        let schedules: Vec<Value> =
            schedule.iter().map(|expression| json!({"expression": expression})).collect();
        let layers = layer.iter().map(|name| json!(name)).collect();
        json!({
            "lambdaExecutionParameters": {"EnvironmentVariables": environment},
            "containerMode": "GreengrassContainer",
            "containerParams": {"memorySize": u64::from(*memory) * 1024},
            "timeoutInSeconds": timeout,
            "maxInstancesCount": max_instances,
            "inputPayloadEncodingType": if *binary { "binary" } else { "json" },
            "pinned": pinned,
            "pubsubTopics": numbered(topics),
            "hedgerow": {"schedules": numbered(schedules), "layers": numbered(layers)},
        })
    }
}

/// Each item under its number, so that a deployment can change one of them.
fn numbered(items: Vec<Value>) -> Value {
    let items = items.into_iter().enumerate();
    Value::Object(items.map(|(i, item)| (i.to_string(), item)).collect::<Map<_, _>>())
}

/// The next patch.
pub fn after(version: &str) -> Option<String> {
    let (rest, patch) = version.split(['-', '+']).next()?.rsplit_once('.')?;
    Some(format!("{rest}.{}", patch.parse::<u64>().ok()?.checked_add(1)?))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use hedgerow_component::check::check;
    use hedgerow_component::{Lambda, Platform, Recipe, lambda};

    use super::super::FunctionCommand;
    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        command: FunctionCommand,
    }

    fn recipe(line: &str) -> Recipe {
        let line = Line::try_parse_from(line.split(' ')).unwrap();
        let FunctionCommand::Create(function) = line.command else { panic!("create") };
        let text = Draft { function: &function, version: "1.2.3" }.recipe().to_string();
        let report =
            check("function.json", text.as_bytes(), &Platform::of_this_machine(), |_| Ok(()));
        assert!(report.is_sound(), "{:?}", report.findings);
        Recipe::parse("function.json", text.as_bytes()).unwrap().recipe
    }

    fn lambda(recipe: &Recipe) -> Lambda {
        let manifest = &recipe.manifests[0];
        let configuration = Value::Object(recipe.default_configuration.clone());
        Lambda::read(recipe, manifest, manifest.lifecycle.setenv.clone(), &configuration).unwrap()
    }

    #[test]
    fn what_is_asked_for_is_what_the_recipe_says() {
        let recipe = recipe(
            "function create com.example.F --zip f.zip --handler app.handler --runtime python3.11 \
             --timeout 30 --memory 256 --env A=1=2 --env B= --topic a/+ --iot-topic c/# \
             --schedule cron(0,12,*,*,?,*) --layer com.example.L --max-instances 4",
        );
        let lambda = lambda(&recipe);
        assert_eq!(recipe.version.to_string(), "1.2.3");
        assert_eq!((lambda.handler.as_str(), lambda.version.as_str()), ("app.handler", "1.2.3"));
        assert_eq!((lambda.timeout.as_secs(), lambda.container.memory), (30, Some(256 << 20)));
        assert_eq!(lambda.environment["A"], "1=2");
        assert_eq!(lambda.environment["B"], "");
        let sources = [
            lambda::Source::Topic("a/+".into()),
            lambda::Source::IotCore("c/#".into()),
            lambda::Source::Schedule {
                expression: "cron(0,12,*,*,?,*)".into(),
                input: None,
                pointer: "/hedgerow/schedules/0/expression".into(),
            },
        ];
        assert_eq!(lambda.sources, sources);
        assert_eq!(
            (lambda.layers.as_slice(), lambda.max_instances),
            (&["com.example.L".to_owned()][..], 4)
        );
        assert!(lambda.json && !lambda.pinned);
        assert!(recipe.dependencies.keys().any(|name| name.as_str() == "com.example.L"));
    }

    #[test]
    fn what_is_not_asked_for_is_as_in_lambda() {
        let recipe = recipe(
            "function create f --directory d --handler h --runtime provided.al2023 --pinned --binary",
        );
        let lambda = lambda(&recipe);
        assert!(lambda.pinned && !lambda.json && lambda.sources.is_empty());
        assert_eq!((lambda.timeout.as_secs(), lambda.container.memory), (3, Some(128 << 20)));
    }

    #[test]
    fn the_next_version_is_the_next_patch() {
        for (version, next) in
            [("1.0.0", Some("1.0.1")), ("2.3.9-rc.1", Some("2.3.10")), ("x", None)]
        {
            assert_eq!(after(version).as_deref(), next);
        }
    }
}
