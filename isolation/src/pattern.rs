//! Component names by pattern, as every section of `hedgerow.toml` writes them.

/// `*` stands for any characters, none included; everything else for itself.
pub fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == name };
    let Some(rest) = name.strip_prefix(head) else { return false };
    (0..=rest.len()).filter_map(|at| rest.get(at..)).any(|rest| matches(tail, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_match_anything_and_nothing_else_does() {
        let cases = [
            ("com.example.A", "com.example.A", true),
            ("com.example.*", "com.example.A", true),
            ("com.example.*", "com.example.", true),
            ("*.A", "com.example.A", true),
            ("c*m*A", "com.example.A", true),
            ("*", "", true),
            ("*é", "aé", true),
            ("com.example.*", "com.exampleX", false),
            ("com?example.A", "com.example.A", false),
            ("", "a", false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
