//! Writes the Rust types of every operation and shape in `ipc_model.json`.
//!
//! The output is checked in under `src/model/`, so that building needs no generator and a change of
//! the model is seen in review; a test compares the two.

use serde_json::Value;
use std::fmt::Write as _;

/// One generated file: its name below `src/model/` and its text.
pub struct Generated {
    pub file: &'static str,
    pub text: String,
}

const NOTE: &str =
    "// Written by `cargo run -p hedgerow-ipc --example generate-model`; do not edit.\n\n";

/// Generates every file. Panics when the model is not of the expected form: it runs at a desk.
pub fn generate(model: &str) -> Vec<Generated> {
    let model: Value = serde_json::from_str(model).expect("the model is JSON");
    let file =
        |file, text: String| Generated { file, text: format!("{NOTE}{}\n", text.trim_end()) };
    vec![
        file("enums.rs", enums(&model)),
        file("shapes.rs", shapes(&model, |name, kind| kind != "error" && !is_message(name))),
        file("messages.rs", shapes(&model, |name, _| is_message(name))),
        file("error.rs", errors(&model)),
        file("operation.rs", operations(&model)),
    ]
}

fn is_message(name: &str) -> bool {
    name.ends_with("Request") || name.ends_with("Response")
}

fn enums(model: &Value) -> String {
    let mut out = String::from(
        "//! The enumerations: strings on the wire.\n\nuse serde::{Deserialize, Serialize};\n",
    );
    for (name, body) in members(&model["enums"]) {
        let derive = "#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]";
        writeln!(out, "\n{derive}\npub enum {} {{", type_name(name)).unwrap();
        for (symbol, wire) in members(&body["symbols"]) {
            writeln!(out, "    #[serde(rename = {wire})]\n    {},", camel(symbol)).unwrap();
        }
        out.push_str("}\n");
    }
    out
}

fn shapes(model: &Value, wanted: impl Fn(&str, &str) -> bool) -> String {
    let mut types = String::new();
    for (id, shape) in members(&model["shapes"]) {
        let kind = text(&shape["kind"]);
        if wanted(strip(id), kind) {
            types.push_str(&shape_type(strip(id), kind, shape));
        }
    }
    let mut out =
        String::from("//! Structures as the model names them; a union has exactly one member.\n\n");
    let mut uses = Vec::new();
    if types.contains("Blob") || types.contains("Timestamp") {
        uses.push("use super::scalar::{Blob, Timestamp};");
    }
    uses.push("use super::{enums::*, shapes::*};");
    uses.push("use serde::{Deserialize, Serialize};");
    uses.push("use serde_json::Value;");
    if types.contains("BTreeMap") {
        uses.push("use std::collections::BTreeMap;");
    }
    let mut header = uses.join("\n");
    if !types.contains("Timestamp") {
        header = header.replace("{Blob, Timestamp}", "Blob");
    }
    if !wanted("RunWithInfo", "structure") {
        // Messages are made of shapes; shapes are not made of messages.
        out.push_str(&header);
    } else {
        out.push_str(&header.replace("use super::{enums::*, shapes::*};", "use super::enums::*;"));
    }
    out.push('\n');
    out.push_str(&types);
    out
}

fn shape_type(name: &str, kind: &str, shape: &Value) -> String {
    let derive = "#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]";
    let mut out = String::new();
    let fields = list(&shape["fields"]);
    if kind == "union" {
        writeln!(out, "\n{derive}\npub enum {name} {{").unwrap();
        for field in fields {
            let wire = text(&field["name"]);
            let ty = rust_type(&field["type"]);
            writeln!(out, "    #[serde(rename = \"{wire}\")]\n    {}({ty}),", upper(wire)).unwrap();
        }
        out.push_str("}\n");
    } else if fields.is_empty() {
        // Braces, not a unit: an empty object on the wire is `{}`.
        writeln!(out, "\n{derive}\npub struct {name} {{}}").unwrap();
    } else {
        writeln!(out, "\n{derive}\npub struct {name} {{").unwrap();
        out.push_str(&struct_fields(fields));
        out.push_str("}\n");
    }
    out
}

fn struct_fields(fields: &[Value]) -> String {
    let mut out = String::new();
    for field in fields {
        let (wire, name) = (text(&field["name"]), text(&field["python_attr"]));
        let ty = rust_type(&field["type"]);
        let required = field["required"] == Value::Bool(true);
        let mut attributes = Vec::new();
        if wire != name {
            attributes.push(format!("rename = \"{wire}\""));
        }
        if !required {
            attributes.push("skip_serializing_if = \"Option::is_none\"".into());
        }
        if !attributes.is_empty() {
            writeln!(out, "    #[serde({})]", attributes.join(", ")).unwrap();
        }
        let ty = if required { ty } else { format!("Option<{ty}>") };
        writeln!(out, "    pub {name}: {ty},").unwrap();
    }
    out
}

fn errors(model: &Value) -> String {
    let errors: Vec<(&str, &Value)> = members(&model["shapes"])
        .filter(|(_, shape)| shape["kind"] == "error")
        .map(|(id, shape)| (strip(id).trim_end_matches("Error"), shape))
        .collect();
    let mut out = String::from("//! The errors that an operation may answer.\n\n");
    out.push_str("use serde::{Deserialize, Serialize};\nuse serde_json::Value;\n");
    for (name, shape) in &errors {
        out.push_str(&shape_type(&format!("{name}Error"), "structure", shape));
    }
    out.push_str("\n/// Which of the modelled errors it is.\n");
    out.push_str("#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]\npub enum ErrorKind {\n");
    for (name, _) in &errors {
        writeln!(out, "    {name},").unwrap();
    }
    out.push_str("}\n\nimpl ErrorKind {\n    /// Every kind, in the model's order.\n");
    out.push_str("    pub const ALL: &[ErrorKind] = &[\n");
    for (name, _) in &errors {
        writeln!(out, "        ErrorKind::{name},").unwrap();
    }
    out.push_str("    ];\n\n    /// Value of the `service-model-type` header.\n");
    out.push_str("    pub const fn model_type(self) -> &'static str {\n        match self {\n");
    for (name, _) in &errors {
        arm(&mut out, &format!("ErrorKind::{name}"), &format!("\"aws.greengrass#{name}Error\""));
    }
    out.push_str("        }\n    }\n}\n");
    out.push_str("\n/// A modelled error with its members.\n");
    out.push_str("#[derive(Debug, Clone, PartialEq, Serialize)]\n#[serde(untagged)]\n");
    out.push_str("pub enum OperationError {\n");
    for (name, _) in &errors {
        writeln!(out, "    {name}({name}Error),").unwrap();
    }
    out.push_str("}\n\nimpl OperationError {\n");
    out.push_str("    /// An error with a message and none of the other members.\n");
    out.push_str(
        "    pub fn new(kind: ErrorKind, message: impl Into<String>) -> OperationError {\n",
    );
    out.push_str("        let message = Some(message.into());\n        match kind {\n");
    for (name, shape) in &errors {
        let mut fields = vec!["message".to_owned()];
        for field in list(&shape["fields"]) {
            let name = text(&field["python_attr"]);
            if name != "message" {
                fields.push(format!("{name}: None"));
            }
        }
        let body = format!("{name}Error {{ {} }}", fields.join(", "));
        writeln!(out, "            ErrorKind::{name} => OperationError::{name}({body}),").unwrap();
    }
    out.push_str("        }\n    }\n\n    /// Which error it is.\n");
    out.push_str("    pub const fn kind(&self) -> ErrorKind {\n        match self {\n");
    for (name, _) in &errors {
        arm(&mut out, &format!("OperationError::{name}(_)"), &format!("ErrorKind::{name}"));
    }
    out.push_str("        }\n    }\n\n    /// The text meant for people.\n");
    out.push_str("    pub fn message(&self) -> Option<&str> {\n        match self {\n");
    for (name, _) in &errors {
        arm(&mut out, &format!("OperationError::{name}(error)"), "error.message.as_deref()");
    }
    out.push_str("        }\n    }\n}\n");
    out
}

fn operations(model: &Value) -> String {
    let operations = list(&model["operations"]);
    let names: Vec<&str> = operations.iter().map(|operation| text(&operation["name"])).collect();
    let mut out = String::from("//! The operations and what each takes, answers and sends.\n\n");
    out.push_str("use super::{error::ErrorKind, messages::*, shapes::*};\nuse serde::Serialize;\n");
    out.push_str("\n/// An operation of the Greengrass IPC service.\n");
    out.push_str("#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]\npub enum Operation {\n");
    for name in &names {
        writeln!(out, "    {name},").unwrap();
    }
    out.push_str("}\n\nimpl Operation {\n    /// Every operation, by name.\n");
    out.push_str("    pub const ALL: &[Operation] = &[\n");
    for name in &names {
        writeln!(out, "        Operation::{name},").unwrap();
    }
    out.push_str("    ];\n\n    /// Finds the operation that an `operation` header names.\n");
    out.push_str("    pub fn from_header(header: &str) -> Option<Operation> {\n");
    out.push_str("        Some(match header {\n");
    for name in &names {
        arm(&mut out, &format!("\"aws.greengrass#{name}\""), &format!("Operation::{name}"));
    }
    out.push_str("            _ => return None,\n        })\n    }\n");
    let table = |out: &mut String,
                 doc: &str,
                 function: &str,
                 ty: &str,
                 value: &dyn Fn(&Value) -> String| {
        writeln!(out, "\n    /// {doc}").unwrap();
        writeln!(out, "    pub const fn {function}(self) -> {ty} {{\n        match self {{")
            .unwrap();
        for operation in operations {
            let name = text(&operation["name"]);
            arm(out, &format!("Operation::{name}"), &value(operation));
        }
        out.push_str("        }\n    }\n");
    };
    let quoted = |value: &Value| format!("\"{}\"", text(value));
    table(&mut out, "Value of the `operation` header.", "header", "&'static str", &|o| {
        quoted(&o["operation_header"])
    });
    table(&mut out, "Shape of the request.", "request_type", "&'static str", &|o| {
        quoted(&o["request_shape"])
    });
    table(&mut out, "Shape of the response.", "response_type", "&'static str", &|o| {
        quoted(&o["response_shape"])
    });
    table(
        &mut out,
        "Shape of the events of a subscription.",
        "event_type",
        "Option<&'static str>",
        &|o| match o["streaming_output_shape"].as_str() {
            Some(shape) => format!("Some(\"{shape}\")"),
            None => "None".into(),
        },
    );
    table(
        &mut out,
        "The errors that the model lists for it.",
        "errors",
        "&'static [ErrorKind]",
        &|o| {
            // The model's source lacks one operation's list; these two every operation may answer.
            let unknown = [Value::from("ServiceError"), Value::from("UnauthorizedError")];
            let errors = o["errors"].as_array().map_or(&unknown[..], Vec::as_slice);
            let kinds: Vec<String> = errors
                .iter()
                .map(|id| format!("ErrorKind::{}", strip(text(id)).trim_end_matches("Error")))
                .collect();
            format!("&[{}]", kinds.join(", "))
        },
    );
    out.push_str("}\n");
    out.push_str(&message_enum("Request", "A decoded request.", &names));
    out.push_str("\nimpl Request {\n    /// Decodes the payload of a request.\n    ///\n");
    out.push_str("    /// # Errors\n    /// The payload is not JSON, a required member is missing or a member has the wrong type.\n");
    out.push_str("    pub fn decode(operation: Operation, payload: &[u8]) -> serde_json::Result<Request> {\n");
    out.push_str("        Ok(match operation {\n");
    for name in &names {
        arm(
            &mut out,
            &format!("Operation::{name}"),
            &format!("Request::{name}(serde_json::from_slice(payload)?)"),
        );
    }
    out.push_str("        })\n    }\n}\n");
    out.push_str(&message_enum("Response", "The answer to a request.", &names));
    out.push_str(&events(operations));
    out
}

fn message_enum(suffix: &str, doc: &str, names: &[&str]) -> String {
    let mut out =
        format!("\n/// {doc}\n#[derive(Debug, Clone, PartialEq, Serialize)]\n#[serde(untagged)]\n");
    out.push_str("#[allow(clippy::large_enum_variant)] // short-lived, one at a time\n");
    writeln!(out, "pub enum {suffix} {{").unwrap();
    for name in names {
        writeln!(out, "    {name}({name}{suffix}),").unwrap();
    }
    out.push_str("}\n");
    writeln!(out, "\nimpl {suffix} {{\n    /// The operation it belongs to.").unwrap();
    out.push_str("    pub const fn operation(&self) -> Operation {\n        match self {\n");
    for name in names {
        arm(&mut out, &format!("{suffix}::{name}(_)"), &format!("Operation::{name}"));
    }
    out.push_str("        }\n    }\n}\n");
    out
}

fn events(operations: &[Value]) -> String {
    let streaming: Vec<(&str, &str)> = operations
        .iter()
        .filter_map(|o| Some((text(&o["name"]), strip(o["streaming_output_shape"].as_str()?))))
        .collect();
    let mut out = String::from("\n/// A message of a subscription after its response.\n");
    out.push_str("#[derive(Debug, Clone, PartialEq, Serialize)]\n#[serde(untagged)]\n");
    out.push_str(
        "#[allow(clippy::large_enum_variant)] // short-lived, one at a time\npub enum Event {\n",
    );
    for (name, shape) in &streaming {
        writeln!(out, "    {name}({shape}),").unwrap();
    }
    out.push_str("}\n\nimpl Event {\n    /// Decodes the payload of an event; `None` where the operation has no events.\n    ///\n");
    out.push_str("    /// # Errors\n    /// The payload is not of the event's shape.\n");
    out.push_str("    pub fn decode(operation: Operation, payload: &[u8]) -> serde_json::Result<Option<Event>> {\n");
    out.push_str("        Ok(Some(match operation {\n");
    for (name, _) in &streaming {
        arm(
            &mut out,
            &format!("Operation::{name}"),
            &format!("Event::{name}(serde_json::from_slice(payload)?)"),
        );
    }
    out.push_str("            _ => return Ok(None),\n        }))\n    }\n}\n");
    out
}

fn arm(out: &mut String, pattern: &str, value: &str) {
    writeln!(out, "            {pattern} => {value},").unwrap();
}

fn rust_type(ty: &Value) -> String {
    match text(&ty["kind"]) {
        "string" => ty["enum"].as_str().map_or("String".into(), type_name),
        "integer" => "i64".into(),
        "double" => "f64".into(),
        "boolean" => "bool".into(),
        "blob" => "Blob".into(),
        "timestamp" => "Timestamp".into(),
        "document" => "Value".into(),
        "list" => format!("Vec<{}>", rust_type(&ty["member"])),
        "map" => format!("BTreeMap<String, {}>", rust_type(&ty["value"])),
        _ => strip(text(&ty["shape"])).to_owned(),
    }
}

/// Acronyms are words in Rust's type names.
fn type_name(name: &str) -> String {
    if name == "QOS" { "Qos".into() } else { name.to_owned() }
}

/// `AT_MOST_ONCE` to `AtMostOnce`.
fn camel(symbol: &str) -> String {
    symbol.split('_').map(|word| upper(&word.to_lowercase())).collect()
}

fn upper(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

fn strip(id: &str) -> &str {
    id.strip_prefix("aws.greengrass#").unwrap_or(id)
}

fn text(value: &Value) -> &str {
    value.as_str().expect("the model has a string here")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("the model has a list here")
}

fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value
        .as_object()
        .expect("the model has an object here")
        .iter()
        .map(|(name, value)| (name.as_str(), value))
}
