//! What a request acts on, as `accessControl` names it.

use crate::model::Request;
use std::borrow::Cow;

/// The resource that a rule for `request` must match; `*` where the operation has none.
pub fn resource(request: &Request) -> Cow<'_, str> {
    match request {
        Request::PublishToTopic(request) => Cow::Borrowed(&request.topic),
        Request::SubscribeToTopic(request) => Cow::Borrowed(&request.topic),
        Request::PublishToIoTCore(request) => Cow::Borrowed(&request.topic_name),
        Request::SubscribeToIoTCore(request) => Cow::Borrowed(&request.topic_name),
        Request::PauseComponent(request) => Cow::Borrowed(&request.component_name),
        Request::ResumeComponent(request) => Cow::Borrowed(&request.component_name),
        Request::GetComponentDetails(request) => Cow::Borrowed(&request.component_name),
        Request::RestartComponent(request) => Cow::Borrowed(&request.component_name),
        Request::StopComponent(request) => Cow::Borrowed(&request.component_name),
        Request::GetLocalDeploymentStatus(request) => Cow::Borrowed(&request.deployment_id),
        Request::CancelLocalDeployment(request) => {
            request.deployment_id.as_deref().map_or(Cow::Borrowed("*"), Cow::Borrowed)
        }
        Request::GetSecretValue(request) => Cow::Borrowed(&request.secret_id),
        Request::ListNamedShadowsForThing(request) => Cow::Borrowed(&request.thing_name),
        Request::GetThingShadow(request) => {
            shadow(&request.thing_name, request.shadow_name.as_deref())
        }
        Request::UpdateThingShadow(request) => {
            shadow(&request.thing_name, request.shadow_name.as_deref())
        }
        Request::DeleteThingShadow(request) => {
            shadow(&request.thing_name, request.shadow_name.as_deref())
        }
        _ => Cow::Borrowed("*"),
    }
}

/// An absent and an empty name both mean the classic shadow.
fn shadow(thing: &str, name: Option<&str>) -> Cow<'static, str> {
    Cow::Owned(match name {
        None | Some("") => format!("$aws/things/{thing}/shadow"),
        Some(name) => format!("$aws/things/{thing}/shadow/name/{name}"),
    })
}
