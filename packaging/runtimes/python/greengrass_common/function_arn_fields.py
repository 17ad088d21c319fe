"""The parts of a function's name."""

import re

_ARN = re.compile(
    r"(?P<unqualified>(?P<prefix>arn:[^:]*:lambda:(?P<region>[^:]*):(?P<account_id>[^:]*):function:)?(?P<name>[\w.-]+))"
    r"(:(?P<qualifier>[\w$-]+))?",
    re.ASCII,
)


class FunctionArnFields:
    """A function's ARN, qualified or not, or its name alone. Anything else is a ValueError."""

    def __init__(self, function_arn_string):
        fields = _ARN.fullmatch(function_arn_string)
        if fields is None:
            raise ValueError(
                f"{function_arn_string!r} is neither arn:aws:lambda:<region>:<account>:function:<name>[:<qualifier>] "
                "nor a function's name"
            )
        self.arn_string = function_arn_string
        self.unqualified_arn = fields["unqualified"]
        self.region = fields["region"]
        self.account_id = fields["account_id"]
        self.name = fields["name"]
        self.qualifier = fields["qualifier"]

    @staticmethod
    def build_function_arn(unqualified_arn, qualifier):
        return f"{unqualified_arn}:{qualifier}" if qualifier else unqualified_arn
