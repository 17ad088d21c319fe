//! Installs what is missing, says what, and does nothing where all is there.

use std::collections::HashSet;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::command::{as_root, output, quietly};
use crate::examples;
use crate::javascript;
use crate::needs::{Need, Needs, Purpose};
use crate::parts::{Part, Parts};
use crate::runtimes::Language;

/// Installs what `purposes` need. Building is always one of them.
pub fn install(parts: &mut Parts, purposes: &[Purpose]) -> Result<()> {
    let needs = Needs::read()?;
    let wanted = |need: &&Need| need.purpose == Purpose::Build || purposes.contains(&need.purpose);
    parts.run("set up", |part| {
        let is_missing = |need: &&Need| !need.program.as_ref().is_some_and(|path| path.exists());
        let packages: Vec<&Need> = needs.apt.iter().filter(wanted).filter(is_missing).collect();
        install_packages(part, &packages)?;
        for tool in needs.cargo.iter().filter(wanted) {
            install_cargo_tool(part, tool)?;
        }
        if purposes.contains(&Purpose::Demo) {
            examples::fetch(part, &needs)?;
            Language::Python.client(part, &needs)?;
        }
        if purposes.contains(&Purpose::Runtimes) {
            Language::Node.client(part, &needs)?;
        }
        if purposes.contains(&Purpose::Test) {
            javascript::sdk(part, &needs)?;
        }
        Ok(())
    })
}

fn install_packages(part: &Part, wanted: &[&Need]) -> Result<()> {
    let installed = installed_packages(wanted)?;
    let missing: Vec<&Need> =
        wanted.iter().copied().filter(|need| !installed.contains(need.package.as_str())).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for need in &missing {
        part.say(&format!("apt: {}: {}", need.package, need.why));
    }
    let mut names: Vec<String> = missing.iter().map(|need| need.package.clone()).collect();
    quietly(part, "apt-update", apt(&["update"]))?;
    names.extend(kept_packages(part, &names)?);
    let mut install = apt(&["install", "-y", "--no-install-recommends", "--allow-downgrades"]);
    install.args(&names);
    quietly(part, "apt-install", install)
}

fn installed_packages(wanted: &[&Need]) -> Result<HashSet<String>> {
    // It complains about, and fails for, names that it never heard of: the very ones we look for.
    let output = Command::new("dpkg-query")
        .args(["-W", "-f", "${db:Status-Status} ${Package}\n"])
        .args(wanted.iter().map(|need| &need.package))
        .stderr(Stdio::null())
        .output()
        .context("dpkg-query: this is made for Debian; elsewhere install what needs.toml lists")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().filter_map(|line| line.strip_prefix("installed ")).map(str::to_owned).collect())
}

/// Packages that apt would remove to install `names`, at this release's own version instead, so that they
/// stay. (A qemu-utils from backports does not go together with the release's QEMU.)
fn kept_packages(part: &Part, names: &[String]) -> Result<Vec<String>> {
    let removed = removed_by(names)?;
    if removed.is_empty() {
        return Ok(removed);
    }
    let release = release()?;
    let kept: Vec<String> = removed.iter().map(|name| format!("{name}/{release}")).collect();
    let together: Vec<String> = names.iter().chain(&kept).cloned().collect();
    let still = removed_by(&together)?;
    if !still.is_empty() {
        bail!("apt would remove {} to install {}", still.join(" "), names.join(" "));
    }
    for name in &kept {
        part.say(&format!("apt: {name}: its other version would have to be removed"));
    }
    Ok(kept)
}

fn removed_by(names: &[String]) -> Result<Vec<String>> {
    let mut simulate = Command::new("apt-get");
    simulate.args(["install", "--simulate", "--no-install-recommends", "--allow-downgrades"]);
    let text = output({
        simulate.args(names);
        simulate
    })?;
    let removals = text.lines().filter_map(|line| line.strip_prefix("Remv "));
    Ok(removals.filter_map(|rest| rest.split(' ').next()).map(str::to_owned).collect())
}

/// The release's code name, as apt knows it (os-release(5)).
fn release() -> Result<String> {
    let text = std::fs::read_to_string("/etc/os-release").context("/etc/os-release")?;
    let name = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    Ok(name.context("no VERSION_CODENAME in /etc/os-release")?.trim_matches('"').to_owned())
}

fn apt(arguments: &[&str]) -> Command {
    let mut command = as_root("env");
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]).args(arguments);
    command
}

fn install_cargo_tool(part: &Part, tool: &Need) -> Result<()> {
    let subcommand = tool.package.trim_start_matches("cargo-");
    let there = Command::new("cargo").args([subcommand, "--version"]).output();
    if there.is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    part.say(&format!("cargo: {}: {}", tool.package, tool.why));
    let mut install = Command::new("cargo");
    install.args(["install", "--locked", &tool.package]);
    quietly(part, "cargo-install", install)
}
