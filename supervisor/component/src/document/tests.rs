use super::*;
use proptest::prelude::*;
use serde_json::json;

fn value(format: Format, text: &str) -> Value {
    read(format, text).unwrap_or_else(|e| panic!("{text}: {e:?}")).root.to_value()
}

fn error(format: Format, text: &str) -> Remark {
    match read(format, text) {
        Err(remark) => remark,
        Ok(document) => panic!("{text} was read as {document:?}"),
    }
}

#[test]
fn yaml_scalars_keep_their_types() {
    let text = "[1, -2, +3, 0x1F, 0o17, 1.5, 1e3, .5, true, False, null, ~, '1', \"true\", !!str 7,\n\
                yes, 1.0.0, 2020-01-25, 1_000, 0123, .inf, 18446744073709551615, a b]";
    let expected = json!([
        1,
        -2,
        3,
        31,
        15,
        1.5,
        1000.0,
        0.5,
        true,
        false,
        null,
        null,
        "1",
        "true",
        "7",
        "yes",
        "1.0.0",
        "2020-01-25",
        "1_000",
        123,
        ".inf",
        18_446_744_073_709_551_615_u64,
        "a b"
    ]);
    assert_eq!(value(Format::Yaml, text), expected);
}

#[test]
fn numbers_keep_their_text() {
    let list = read(Format::Yaml, "[1.10, 010]").unwrap().root;
    let Content::List(items) = list.content else { panic!("a list") };
    let texts: Vec<_> = items.iter().map(|item| item.text().unwrap().into_owned()).collect();
    assert_eq!(texts, ["1.10", "010"]);
}

#[test]
fn yaml_blocks_and_aliases_are_read() {
    let text = "a: &x {k: [1]}\nb: *x\nc: |\n  line 1\n  line 2\nd: >-\n  folded\n  text\n";
    let expected =
        json!({"a": {"k": [1]}, "b": {"k": [1]}, "c": "line 1\nline 2\n", "d": "folded text"});
    assert_eq!(value(Format::Yaml, text), expected);
}

#[test]
fn json_is_read_as_serde_json_reads_it() {
    for text in [
        r#"{"a":[1,-2.5,1e3,true,false,null,"x\n\u00e9\ud83d\ude00\/"],"b":{},"c":[]}"#,
        "\t[ ]\r\n",
        "\"\\\\\"",
        "{\"tab\":\t1}",
    ] {
        assert_eq!(value(Format::Json, text), serde_json::from_str::<Value>(text).unwrap());
    }
}

#[test]
fn json_comments_are_read_over_with_a_remark() {
    let document = read(Format::Json, "{ // why\n \"a\": /* what */ 1 }").unwrap();
    assert_eq!(document.root.to_value(), json!({"a": 1}));
    assert_eq!(document.remarks.len(), 1);
    assert_eq!(document.remarks[0].at, Position { line: 1, column: 3 });
}

#[test]
fn errors_say_where() {
    let cases = [
        (Format::Json, "{\n  \"a\": 1,\n  \"b\" 2\n}", 3, 7),
        (Format::Json, "{\"a\": 1", 1, 8),
        (Format::Json, "{\"a\": nope}", 1, 7),
        (Format::Json, "[1,]", 1, 4),
        (Format::Json, "[01]", 1, 2),
        (Format::Json, "\"open", 1, 1),
        (Format::Json, "[\"\\x\"]", 1, 2),
        (Format::Json, "1 2", 1, 3),
        (Format::Json, "/* open", 1, 1),
        (Format::Json, "/*/", 1, 1),
        (Format::Json, "", 1, 1),
        (Format::Yaml, "a: 1\nb: [1, 2\nc: 3\n", 3, 2),
        (Format::Yaml, "a: b: c", 1, 5),
        (Format::Yaml, "a: *nowhere", 1, 4),
        (Format::Yaml, "a: &x [*x]", 1, 8),
        (Format::Yaml, "a:\n  <<: text", 2, 7),
        (Format::Yaml, "a:\n\tb: 1", 2, 2),
        (Format::Yaml, "[1]: 2", 1, 1),
        (Format::Yaml, "", 1, 1),
        (Format::Yaml, "# nothing\n", 1, 1),
    ];
    for (format, text, line, column) in cases {
        let found = error(format, text);
        assert_eq!((found.at.line, found.at.column), (line, column), "{text:?}: {found:?}");
        assert!(!found.message.is_empty());
    }
}

#[test]
fn repeated_keys_are_remarked_and_the_last_counts() {
    for (format, text) in [(Format::Json, "{\"a\": 1,\n\"a\": 2}"), (Format::Yaml, "a: 1\na: 2\n")]
    {
        match read(format, text) {
            Ok(document) => {
                assert_eq!(document.root.to_value(), json!({"a": 2}));
                assert_eq!(document.remarks[0].at.line, 2);
            }
            Err(refused) => panic!("{format:?}: {refused:?}"),
        }
    }
}

#[test]
fn merge_keys_are_written_out_behind_a_maps_own() {
    let text = "base: &base {a: 1, b: 2}\nmore: &more {b: 3, c: 4}\n\
                x:\n  <<: *base\n  a: own\ny: {<<: [*more, *base]}\n";
    let document = read(Format::Yaml, text).unwrap();
    let value = document.root.to_value();
    assert_eq!(value["x"], json!({"a": "own", "b": 2}));
    assert_eq!(value["y"], json!({"b": 3, "c": 4, "a": 1}));
    let lines: Vec<_> = document.remarks.iter().map(|remark| remark.at.line).collect();
    assert_eq!(lines, [4, 6]);
    // In JSON it is a key like any other.
    assert_eq!(value_of_json(), json!({"<<": {"a": 1}}));
}

fn value_of_json() -> Value {
    value(Format::Json, r#"{"<<": {"a": 1}}"#)
}

#[test]
fn a_second_document_is_remarked_and_not_read() {
    let document = read(Format::Yaml, "---\na: 1\n---\nb: [2\n").unwrap();
    assert_eq!(document.root.to_value(), json!({"a": 1}));
    assert_eq!(document.remarks[0].at.line, 3);
    assert!(read(Format::Yaml, "a: 1\n...\n").unwrap().remarks.is_empty());
}

#[test]
fn line_ends_of_windows_are_line_ends() {
    let json = read(Format::Json, "{\r\n// x\r\n\"a\":\t1}\r\n").unwrap();
    assert_eq!((json.root.to_value(), json.remarks[0].at.line), (json!({"a": 1}), 2));
    let yaml = value(Format::Yaml, "a: |\r\n  one\r\n  two\r\nb:\t1\r\n");
    assert_eq!(yaml, json!({"a": "one\ntwo\n", "b": 1}));
}

#[test]
fn tags_without_meaning_are_remarked() {
    let document = read(Format::Yaml, "a: !Sub text\n").unwrap();
    assert_eq!(document.root.to_value(), json!({"a": "text"}));
    assert!(document.remarks[0].message.contains("!Sub"));
}

#[test]
fn nesting_is_bounded() {
    let deep = "[".repeat(100_000);
    for format in [Format::Json, Format::Yaml] {
        let found = error(format, &deep);
        assert!(found.message.contains("nest"), "{format:?}: {found:?}");
    }
    let fits = format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
    for format in [Format::Json, Format::Yaml] {
        value(format, &fits);
    }
    // Each alias adds one level to what it stands for.
    let mut chain = "a0: &a0 [x]\n".to_owned();
    for n in 1..200 {
        chain += &format!("a{n}: &a{n} [*a{}]\n", n - 1);
    }
    assert_eq!(error(Format::Yaml, &chain).message, too_deep());
}

#[test]
fn aliases_cannot_blow_a_document_up() {
    let mut laughs = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for n in 1..12 {
        let ten = vec![format!("*a{}", n - 1); 10].join(", ");
        laughs += &format!("a{n}: &a{n} [{ten}]\n");
    }
    assert_eq!(error(Format::Yaml, &laughs).message, too_large());
    let text = format!("a: &a {}\nb: [{}]\n", "x".repeat(500_000), vec!["*a"; 100].join(", "));
    assert_eq!(error(Format::Yaml, &text).message, too_large());
}

proptest! {
    #[test]
    fn no_text_makes_a_reader_panic(
        any in any::<String>(),
        like in r##"([\[\]{},:&*|>'"\\#?!%@ \n-]|[a-c0-9]|null|// |/\*|\*/|: |- ){0,60}"##,
    ) {
        for text in [&any, &like] {
            let _ = read(Format::Json, text);
            let _ = read(Format::Yaml, text);
        }
    }

    #[test]
    fn what_serde_json_writes_is_read_back_by_both(
        value in prop::collection::btree_map("[a-z\"\\\\\u{e9}\n ]{0,6}", prop::collection::vec(
            prop_oneof![
                any::<i64>().prop_map(Value::from),
                any::<bool>().prop_map(Value::from),
                "[ -~\u{e9}\u{1f600}]{0,12}".prop_map(Value::from),
                Just(Value::Null),
            ], 0..5), 0..5)
    ) {
        let value = serde_json::to_value(value).unwrap();
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            prop_assert_eq!(super::tests::value(Format::Json, &text), value.clone());
            prop_assert_eq!(super::tests::value(Format::Yaml, &text), value.clone());
        }
    }
}
