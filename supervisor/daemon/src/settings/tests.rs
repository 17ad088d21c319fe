use std::fs;

use hedgerow_isolation::plan::Network;

use super::*;

fn read(files: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::create_dir(directory.path().join("hedgerow.toml.d")).expect("made");
    for (name, text) in files {
        fs::write(directory.path().join(name), text).expect("written");
    }
    Settings::read(directory.path())
}

#[test]
fn later_rules_win_key_by_key() {
    let settings = read(&[
        ("hedgerow.toml", "[[component]]\nname = '*'\nmemory = 1000\ncpus = 0.5\n"),
        (
            "hedgerow.toml.d/10.toml",
            "[[component]]\nname = 'com.example.*'\nmemory = 2000\nnetwork = 'host'\n",
        ),
    ])
    .expect("valid");
    let limits = settings.limits("com.example.a");
    assert_eq!((limits.memory, limits.cpu, limits.pids), (Some(2000), Some(500), Some(512)));
    assert_eq!(settings.limits("org.other").memory, Some(1000));
    assert_eq!(settings.network("com.example.a"), Network::Host);
    assert_eq!(settings.network("org.other"), Network::Nat);
}

#[test]
fn an_error_names_file_and_line() {
    let error = read(&[("hedgerow.toml", "[log]\nmax-size = 'big'\n")]).expect_err("refused");
    let text = error.to_string();
    assert!(text.contains("hedgerow.toml") && text.contains("line 2"), "{text}");
    let error = read(&[("hedgerow.toml", "[lgo]\n")]).expect_err("refused");
    assert!(error.to_string().contains("lgo"), "{error}");
    read(&[("hedgerow.toml", "[[component]]\nname = 'x'\ncpus = 0.0\n")]).expect_err("refused");
}

#[test]
fn a_proxy_is_told_in_both_spellings() {
    let told = |text| {
        let settings = read(&[("hedgerow.toml", text)]).expect("valid");
        settings.device.proxy.environment().map(|(name, _)| name).collect::<Vec<_>>()
    };
    let names = told("[device.proxy]\nurl = 'http://192.0.2.1:3128'\nno-proxy = 'lan'\n");
    assert!(names.contains(&"https_proxy".to_owned()) && names.contains(&"NO_PROXY".to_owned()));
    assert_eq!(told("[device.proxy]\nno-proxy = 'lan'\n"), [""; 0]);
}

#[test]
fn nothing_configured_is_fine() {
    let settings = read(&[]).expect("valid");
    assert_eq!(settings.log.files, 4);
}

#[test]
fn restart_rules_add_up_by_name() {
    let settings = read(&[(
        "hedgerow.toml",
        "[[restart]]\ncomponent = '*'\nlimit = 5\ninitial-backoff = 0.5\n\
         [[restart]]\ncomponent = 'com.example.*'\nmax-backoff = 60\n",
    )])
    .expect("valid");
    let policy = settings.restart_policy("com.example.a");
    assert_eq!((policy.limit, policy.initial_backoff.as_millis()), (5, 500));
    assert_eq!(policy.max_backoff.as_secs(), 60);
    assert_eq!(settings.restart_policy("org.other").max_backoff.as_secs(), 600);
    for wrong in ["window = 0", "initial-backoff = -1", "max-backoff = inf", "max-backoff = 1e9"] {
        let text = format!("[[restart]]\ncomponent = 'a'\n{wrong}\n");
        let error = read(&[("hedgerow.toml", &text)]).expect_err(wrong).to_string();
        assert!(error.contains("\"a\""), "{error}");
    }
}
