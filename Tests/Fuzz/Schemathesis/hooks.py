"""What Schemathesis cannot know of Tapster."""

import re

import schemathesis

# A device whose namespace or bridge is missing is never Ready, and a run has minutes.
WAIT = "50ms"
DELETION_WAIT = "10s"
# While a change waits to be confirmed, most others are refused.
CONFIRM_WITHIN = "1s"
ACCOUNT = re.compile("[!-9;-~]{1,32}")
# Of a target before its bytes become three each; the library's limit is 32 KiB with the headers.
TARGET_BYTES_MAX = 8 << 10


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Leaves out what fields of one spec say together: no generator can obey that, so it may be broken, with a 422."""
    raw_schema["components"]["schemas"]["SpecRules"] = {}


@schemathesis.hook
def filter_case(context, case):
    """A long target is refused before it has a route (414), as the document says of what breaks HTTP."""
    query = case.query if isinstance(case.query, dict) else {}
    parts = list(query.values()) + list((case.path_parameters or {}).values()) + list((case.headers or {}).values())
    return sum(len(str(part).encode()) for part in parts) < TARGET_BYTES_MAX


@schemathesis.hook
def before_call(context, case, kwargs):
    """Puts in the place of what is valid something that is also likely; what is invalid stays what it is."""
    query = case.query if isinstance(case.query, dict) else {}
    for name, short in (("wait", WAIT), ("confirmWithin", CONFIRM_WITHIN)):
        if re.fullmatch("[0-9]+(ms|s|m|h)", str(query.get(name))):
            query[name] = short
    # Gone is what one who waits is told is gone: who does not may still find it, marked.
    if case.operation.definition.raw.get("operationId") == "deleteDevice" and query.get("wait") in (None, WAIT):
        case.query = {**query, "wait": DELETION_WAIT}
    # No tag that is made up is current, so nearly every change would be refused.
    if case.headers and len(str(case.headers.get("If-Match"))) % 4:
        case.headers.pop("If-Match", None)
    name_accounts(case.body)


def name_accounts(value):
    """No account whose name is made up exists."""
    if isinstance(value, list):
        for element in value:
            name_accounts(element)
    elif isinstance(value, dict):
        for key, element in value.items():
            if key in ("owner", "group") and isinstance(element, str) and ACCOUNT.fullmatch(element):
                value[key] = "root"
            else:
                name_accounts(element)


@schemathesis.check
def says_when_to_try_again(context, response, case):
    """Who is told to come back is told when (RFC 9110, section 10.2.3); readiness is not a matter of asking."""
    if response.status_code in (429, 503) and case.operation.path != "/readyz":
        assert "retry-after" in response.headers, f"{response.status_code} without Retry-After"
