use hyper::Method;

use crate::Target;
use crate::endpoint::route::{Page, Route};

fn route(method: &str, uri: &str) -> Result<Route, &'static str> {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    Route::of(&method, &uri.parse().unwrap()).map_err(|refusal| refusal.name)
}

fn target(function: &str, qualifier: Option<&str>) -> Target {
    Target { function: function.to_owned(), qualifier: qualifier.map(str::to_owned) }
}

#[test]
fn paths_lead_to_operations() {
    let whole = Page { after: None, limit: 50 };
    for (method, path, operation) in [
        ("POST", "/f/invocations", Route::Invoke(target("f", None))),
        ("POST", "/f%3Aprod/invocations", Route::Invoke(target("f", Some("prod")))),
        ("POST", "/f:prod/invocations?Qualifier=prod", Route::Invoke(target("f", Some("prod")))),
        ("GET", "/f?Qualifier=%248", Route::GetFunction(target("f", Some("$8")))),
        ("GET", "/f/configuration", Route::GetFunctionConfiguration(target("f", None))),
        ("GET", "/f/versions", Route::ListVersionsByFunction(target("f", None), whole.clone())),
        ("GET", "/f/aliases", Route::ListAliases(target("f", None), whole.clone())),
        ("GET", "/f/aliases/a%2Fb", Route::GetAlias(target("f", None), "a/b".into())),
        ("GET", "/", Route::ListFunctions(whole.clone())),
        (
            "GET",
            "?MaxItems=2&Marker=g",
            Route::ListFunctions(Page { after: Some("g".into()), limit: 2 }),
        ),
        ("GET", "/?MaxItems=9999", Route::ListFunctions(whole)),
    ] {
        let uri = format!("/2015-03-31/functions{path}");
        assert_eq!(route(method, &uri), Ok(operation), "{uri}");
    }
    let streamed = "/2021-11-15/functions/f/response-streaming-invocations";
    assert_eq!(route("POST", streamed), Ok(Route::InvokeWithResponseStream(target("f", None))));
}

#[test]
fn a_function_goes_by_its_name_or_its_arn_or_the_end_of_that() {
    let arn = "arn:aws:lambda:eu-west-1:123456789012:function:f";
    for (segment, function) in [
        ("f", "f"),
        ("123456789012%3Afunction%3Af", "123456789012:function:f"),
        ("arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Af", arn),
        (arn, arn),
    ] {
        for (suffix, qualifier) in
            [("", None), (":7", Some("7")), ("%3A%24LATEST", Some("$LATEST"))]
        {
            let uri = format!("/2015-03-31/functions/{segment}{suffix}/invocations");
            assert_eq!(route("POST", &uri), Ok(Route::Invoke(target(function, qualifier))));
        }
    }
}

#[test]
fn what_is_asked_wrongly_is_refused_by_name() {
    for (method, uri, name) in [
        ("GET", "/", "UnknownOperationException"),
        ("PUT", "/2015-03-31/functions", "UnknownOperationException"),
        ("DELETE", "/2015-03-31/functions/f", "UnknownOperationException"),
        ("GET", "/%ff/functions", "UnknownOperationException"),
        ("GET", "/2015-03-31/functions/f?Qualifier=%ff", "InvalidParameterValueException"),
        ("GET", "/2015-03-31/functions/f:1?Qualifier=2", "InvalidParameterValueException"),
        ("GET", "/2015-03-31/functions?MaxItems=0", "InvalidParameterValueException"),
        ("GET", "/2015-03-31/functions?MaxItems=-1", "InvalidParameterValueException"),
        ("GET", "/2015-03-31/functions/f/aliases?MaxItems=x", "InvalidParameterValueException"),
    ] {
        assert_eq!(route(method, uri), Err(name), "{method} {uri}");
    }
    let message =
        Route::of(&Method::GET, &"/2018-10-31/layers".parse().unwrap()).unwrap_err().message;
    assert!(message.contains("GET /2018-10-31/layers") && message.contains("ListFunctions"));
}
