"""Says what it is asked, and answers with it or fails."""


def handler(event, context):
    client = context.client_context
    print("got", event, "on", client.custom["subject"] if client else None, flush=True)
    if event == "fail":
        raise ValueError("as you wish")
    return event
