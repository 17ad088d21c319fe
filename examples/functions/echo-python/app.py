"""What a function gets and gives, in Python: `app.handler`."""

import sys


def handler(event, context):
    """Echoes the event; an object may ask for more: to fail, to exit, or to tell of the context."""
    match event:
        case {"raise": message}:
            raise ValueError(message)
        case {"exit": status}:
            sys.exit(status)
        case {"size": size}:
            return "x" * size
        case {"context": _}:
            custom = context.client_context.custom if context.client_context else None
            return {
                "request_id": context.aws_request_id,
                "arn": context.invoked_function_arn,
                "has_time": context.get_remaining_time_in_millis() > 0,
                "custom": custom,
            }
    return event
