use super::*;
use crate::version::VersionReq;
use proptest::prelude::*;

/// Recipes written as `name version: dependency range, …`, each for every device.
fn recipes(lines: &[&str]) -> Vec<Recipe> {
    lines.iter().map(|line| recipe(line, "{}")).collect()
}

fn recipe(line: &str, manifest: &str) -> Recipe {
    let (head, dependencies) = line.split_once(':').unwrap_or((line, ""));
    let (name, version) = head.trim().split_once(' ').unwrap();
    let mut text = format!(
        "RecipeFormatVersion: '2020-01-25'\nComponentName: {name}\nComponentVersion: {version}\n\
         Manifests: [{manifest}]\nComponentDependencies:\n"
    );
    for dependency in dependencies.split(',').map(str::trim).filter(|d| !d.is_empty()) {
        let (name, range) = dependency.split_once(' ').unwrap();
        text += &format!("  {name}: {{VersionRequirement: '{range}'}}\n");
    }
    Recipe::parse(&format!("{name}.yaml"), text.as_bytes()).unwrap().recipe
}

fn named<V: std::str::FromStr<Err: std::fmt::Debug>>(
    pairs: &[(&str, &str)],
) -> BTreeMap<ComponentName, V> {
    pairs.iter().map(|(name, v)| (name.parse().unwrap(), v.parse().unwrap())).collect()
}

fn try_resolve<'r>(
    recipes: &'r [Recipe],
    roots: &[(&str, &str)],
    running: &[(&str, &str)],
) -> Result<Resolution<'r>, Conflict> {
    let available = |name: &ComponentName| recipes.iter().filter(|r| r.name == *name).collect();
    let platform = Platform::from_uname("Linux", "x86_64");
    let roots: Vec<_> = named::<VersionReq>(roots)
        .into_iter()
        .map(|(component, range)| Requirement { component, range, by: group() })
        .collect();
    resolve(&roots, &available, &named(running), &platform)
}

fn group() -> Requirer {
    Requirer::Group("LOCAL_DEPLOYMENTS".to_owned())
}

fn resolved(lines: &[&str], roots: &[(&str, &str)], running: &[(&str, &str)]) -> String {
    let recipes = recipes(lines);
    let resolution = try_resolve(&recipes, roots, running).unwrap_or_else(|e| panic!("{e}"));
    let shown = |c: &Resolved<'_>| format!("{} {}", c.recipe.name, c.recipe.version);
    resolution.components.iter().map(shown).collect::<Vec<_>>().join(", ")
}

fn conflict(lines: &[&str], roots: &[(&str, &str)]) -> Conflict {
    let recipes = recipes(lines);
    try_resolve(&recipes, roots, &[]).map(|r| r.components.len()).expect_err("a conflict")
}

#[test]
fn the_newest_that_satisfies_is_taken_dependencies_first() {
    let lines =
        ["a 1.0.0: b ^1.0.0, c *", "b 1.0.0", "b 1.5.0: c *", "b 2.0.0", "c 1.0.0", "c 3.0.0-beta"];
    assert_eq!(resolved(&lines, &[("a", "1.0.0")], &[]), "c 1.0.0, b 1.5.0, a 1.0.0");
}

#[test]
fn every_range_has_to_hold() {
    let lines = ["a 1.0.0: c >=1.0.0", "b 1.0.0: c <2.0.0", "c 1.0.0", "c 1.9.0", "c 2.0.0"];
    assert_eq!(resolved(&lines, &[("a", "*"), ("b", "*")], &[]), "c 1.9.0, a 1.0.0, b 1.0.0");
}

#[test]
fn a_running_version_is_kept_where_it_satisfies() {
    let lines = ["a 1.0.0: b *", "b 1.0.0", "b 2.0.0"];
    assert_eq!(resolved(&lines, &[("a", "*")], &[("b", "1.0.0")]), "b 1.0.0, a 1.0.0");
    assert_eq!(
        resolved(&lines, &[("a", "*"), ("b", "^2.0.0")], &[("b", "1.0.0")]),
        "b 2.0.0, a 1.0.0"
    );
}

#[test]
fn an_older_version_is_taken_where_the_newest_leads_nowhere() {
    let lines =
        ["a 1.0.0: c ^1.0.0", "a 2.0.0: c ^2.0.0", "b 1.0.0: c ^1.0.0", "c 1.0.0", "c 2.0.0"];
    assert_eq!(resolved(&lines, &[("a", "*"), ("b", "*")], &[]), "c 1.0.0, a 1.0.0, b 1.0.0");
    let lines = ["a 1.0.0", "a 2.0.0: missing *"];
    assert_eq!(resolved(&lines, &[("a", "*")], &[]), "a 1.0.0");
}

#[test]
fn what_no_one_asks_for_is_left_out_and_roots_are_marked() {
    let recipes = recipes(&["a 1.0.0: b *", "b 1.0.0", "c 1.0.0"]);
    let resolution = try_resolve(&recipes, &[("a", "*")], &[]).unwrap();
    let roots: Vec<_> =
        resolution.components.iter().map(|c| (c.recipe.name.as_str(), c.root)).collect();
    assert_eq!(roots, [("b", false), ("a", true)]);
    assert_eq!(
        resolution.get("a").unwrap().dependencies.values().next(),
        Some(&DependencyKind::Hard)
    );
}

#[test]
fn a_missing_component_is_named_with_who_wants_it() {
    let found = conflict(&["a 1.0.0: b ^1.0.0"], &[("a", "*")]);
    assert_eq!(found.to_string(), "there is no recipe of b; a 1.0.0 requires b ^1.0.0");
    let found = conflict(&[], &[("a", "^1.0.0")]);
    assert_eq!(
        found.to_string(),
        "there is no recipe of a; group LOCAL_DEPLOYMENTS requires a ^1.0.0"
    );
}

#[test]
fn a_conflict_names_every_requirement_and_who_made_it() {
    let lines = ["a 1.0.0: c ^1.0.0", "b 1.0.0: c ^2.0.0", "c 1.0.0", "c 2.0.0"];
    let found = conflict(&lines, &[("a", "*"), ("b", "*"), ("c", "<9.0.0")]);
    let Conflict::NoVersion { component, available, requirements } = &found else {
        panic!("{found}")
    };
    assert_eq!((component.as_str(), available.len(), requirements.len()), ("c", 2, 3));
    assert_eq!(
        found.to_string(),
        "no version of c satisfies every requirement; group LOCAL_DEPLOYMENTS requires c <9.0.0; \
         a 1.0.0 requires c ^1.0.0; b 1.0.0 requires c ^2.0.0; there is 1.0.0; 2.0.0"
    );
}

#[test]
fn a_cycle_is_named() {
    let found =
        conflict(&["a 1.0.0: b *", "b 1.0.0: c *, d *", "c 1.0.0: b *", "d 1.0.0"], &[("a", "*")]);
    assert_eq!(found.to_string(), "these components depend on each other in a circle: b -> c -> b");
    let found = conflict(&["a 1.0.0: a *"], &[("a", "*")]);
    assert_eq!(found.to_string(), "these components depend on each other in a circle: a -> a");
}

#[test]
fn a_component_for_other_devices_says_so() {
    let recipes = [recipe("a 1.0.0", "{Platform: {os: windows}}")];
    let found = try_resolve(&recipes, &[("a", "*")], &[]).unwrap_err();
    assert_eq!(
        found.to_string(),
        "a.yaml: no manifest of a 1.0.0 is for this device (architecture=amd64 os=linux): \
         wants os=windows, this device has linux"
    );
    let recipes = [recipe("a 1.0.0", "{}"), recipe("a 2.0.0", "{Platform: {os: windows}}")];
    let resolution = try_resolve(&recipes, &[("a", "*")], &[]).unwrap();
    assert_eq!(resolution.components[0].recipe.version.to_string(), "1.0.0");
}

#[test]
fn a_faulty_manifest_is_refused_if_it_is_the_one_for_this_device() {
    let faulty = "{Platform: {os: OS}, Artifacts: [{Uri: 'https://example.com/x'}]}";
    let recipes = [recipe("a 1.0.0", &faulty.replace("OS", "linux"))];
    let found = try_resolve(&recipes, &[("a", "*")], &[]).unwrap_err();
    assert!(matches!(&found, Conflict::Refused { findings, .. } if findings.len() == 1), "{found}");
    assert!(found.to_string().contains("schemes"), "{found}");
    let recipes = [recipe("a 1.0.0", &format!("{}, {{}}", faulty.replace("OS", "windows")))];
    assert!(try_resolve(&recipes, &[("a", "*")], &[]).is_ok());
}

#[test]
fn what_only_the_java_nucleus_runs_is_refused() {
    let text = "RecipeFormatVersion: '2020-01-25'\nComponentName: a\nComponentVersion: 1.0.0\n\
                ComponentType: AWS.Greengrass.Plugin\nManifests: [{}]";
    let recipes = [Recipe::parse("a.yaml", text.as_bytes()).unwrap().recipe];
    let found = try_resolve(&recipes, &[("a", "*")], &[]).unwrap_err();
    assert!(found.to_string().contains("of the type aws.greengrass.plugin"), "{found}");
}

#[test]
fn groups_add_their_requirements() {
    let recipes = recipes(&["a 1.0.0", "a 1.5.0", "a 2.0.0"]);
    let available = |name: &ComponentName| recipes.iter().filter(|r| r.name == *name).collect();
    let require = |group: &str, range: &str| Requirement {
        component: "a".parse().unwrap(),
        range: range.parse().unwrap(),
        by: Requirer::Group(group.to_owned()),
    };
    let platform = Platform::default();
    let both = [require("thinggroup/x", "^1.0.0"), require("LOCAL_DEPLOYMENTS", ">=1.2.0")];
    let resolution = resolve(&both, &available, &BTreeMap::new(), &platform).unwrap();
    assert_eq!(resolution.components[0].recipe.version.to_string(), "1.5.0");
    let apart = [require("thinggroup/x", "^1.0.0"), require("LOCAL_DEPLOYMENTS", "^2.0.0")];
    let conflict = resolve(&apart, &available, &BTreeMap::new(), &platform).unwrap_err();
    let text = conflict.to_string();
    assert!(text.contains("group thinggroup/x requires a ^1.0.0"), "{text}");
    assert!(text.contains("group LOCAL_DEPLOYMENTS requires a ^2.0.0"), "{text}");
}

#[test]
fn built_ins_satisfy_where_there_is_no_recipe_of_their_name() {
    let lines = [
        "a 1.0.0: aws.greengrass.Nucleus ^2.0.0, aws.greengrass.TokenExchangeService ^2.0.0, b *",
        "b 1.0.0: aws.greengrass.Nucleus <2.6.0",
        "b 0.9.0",
    ];
    let recipes = recipes(&lines);
    let resolution =
        try_resolve(&recipes, &[("a", "*"), ("aws.greengrass.Cli", "*")], &[]).unwrap();
    let built_in: Vec<_> = resolution
        .builtins
        .iter()
        .map(|b| (b.builtin.name, b.version.to_string(), b.root))
        .collect();
    assert_eq!(
        built_in,
        [
            ("aws.greengrass.Cli", "2.18.0".to_owned(), true),
            ("aws.greengrass.Nucleus", "2.5.6".to_owned(), false),
            ("aws.greengrass.TokenExchangeService", "2.0.3".to_owned(), false)
        ]
    );
    let a = resolution.get("a").unwrap();
    assert_eq!(a.dependencies.len(), 1);
    assert_eq!(resolution.components.len(), 2);

    let kept = [("aws.greengrass.Nucleus", "2.4.0")];
    let resolution = try_resolve(&recipes, &[("a", "*")], &kept).unwrap();
    assert_eq!(resolution.builtins[0].version.to_string(), "2.4.0");
}

#[test]
fn a_recipe_of_its_own_takes_a_built_ins_place_unless_only_java_runs_it() {
    let lines = ["a 1.0.0: aws.greengrass.Cli ^9.0.0", "aws.greengrass.Cli 9.0.0"];
    assert_eq!(resolved(&lines, &[("a", "*")], &[]), "aws.greengrass.Cli 9.0.0, a 1.0.0");
    let plugin = "RecipeFormatVersion: '2020-01-25'\nComponentName: aws.greengrass.Cli\n\
                  ComponentVersion: 2.4.0\nComponentType: aws.greengrass.plugin\nManifests: [{}]";
    let plugin = Recipe::parse("cli.yaml", plugin.as_bytes()).unwrap().recipe;
    let recipes = [recipe("a 1.0.0: aws.greengrass.Cli ^2.0.0", "{}"), plugin];
    let resolution = try_resolve(&recipes, &[("a", "*")], &[]).unwrap();
    assert_eq!(resolution.builtins.len(), 1);
}

#[test]
fn a_version_that_is_not_built_in_is_a_conflict() {
    let found = conflict(&["a 1.0.0: aws.greengrass.Cli ^3.0.0"], &[("a", "*")]);
    assert_eq!(
        found.to_string(),
        "no version of aws.greengrass.Cli that is built in satisfies every requirement; \
         a 1.0.0 requires aws.greengrass.Cli ^3.0.0; built in are 2.0.5 to 2.18.0"
    );
}

#[test]
fn many_components_are_resolved_and_a_hopeless_search_ends() {
    let mut lines: Vec<String> = (1..1000).map(|n| format!("c{n} 1.0.0: c{} *", n - 1)).collect();
    lines.push("c0 1.0.0".into());
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert!(resolved(&lines, &[("c999", "*")], &[]).starts_with("c0 1.0.0, c1 1.0.0"));

    // 20 components of 4 versions each, and one that none of them can change.
    let mut lines: Vec<String> =
        (0..20).flat_map(|n| (1..5).map(move |v| format!("c{n} {v}.0.0"))).collect();
    lines.push("z 1.0.0: missing *".into());
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut roots: Vec<(String, &str)> = (0..20).map(|n| (format!("c{n}"), "*")).collect();
    roots.push(("z".into(), "*"));
    let roots: Vec<(&str, &str)> = roots.iter().map(|(n, r)| (n.as_str(), *r)).collect();
    assert!(matches!(
        conflict(&lines, &roots),
        Conflict::Missing { .. } | Conflict::TooComplex { .. }
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_resolution_satisfies_every_requirement_in_order(
        edges in prop::collection::vec((0..6u8, 1..4u8, 0..6u8, prop::sample::select(vec!["*", "^1.0.0", ">=2.0.0", "<3.0.0", "3.0.0"])), 0..12),
        roots in prop::collection::btree_set(0..6u8, 1..4),
    ) {
        let lines: Vec<String> = (0..6u8).flat_map(|n| (1..4u8).map(move |v| (n, v))).map(|(n, v)| {
            let mut wanted = BTreeMap::new();
            for (_, _, to, range) in edges.iter().filter(|(from, version, ..)| (*from, *version) == (n, v)) {
                wanted.insert(to, range);
            }
            let wanted: Vec<_> = wanted.iter().map(|(to, range)| format!("c{to} {range}")).collect();
            format!("c{n} {v}.0.0: {}", wanted.join(", "))
        }).collect();
        let recipes = recipes(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        let names: Vec<String> = roots.iter().map(|n| format!("c{n}")).collect();
        let roots: Vec<(&str, &str)> = names.iter().map(|n| (n.as_str(), "*")).collect();
        if let Ok(resolution) = try_resolve(&recipes, &roots, &[]) {
            let mut seen: BTreeMap<&str, &Version> = BTreeMap::new();
            for component in &resolution.components {
                for (name, dependency) in &component.recipe.dependencies {
                    let version = seen.get(name.as_str());
                    prop_assert!(version.is_some_and(|v| dependency.requirement.matches(v)));
                }
                seen.insert(component.recipe.name.as_str(), &component.recipe.version);
            }
            prop_assert!(names.iter().all(|n| seen.contains_key(n.as_str())));
        }
    }
}
