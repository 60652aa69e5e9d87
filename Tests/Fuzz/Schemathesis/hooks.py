"""Hooks that adapt Schemathesis to Tapster."""

import re

import schemathesis

# Short, since a device whose namespace or bridge is missing never becomes Ready, and a run lasts only minutes.
WAIT = "50ms"
DELETION_WAIT = "10s"
# Short, since most other changes are refused while one waits for confirmation.
CONFIRM_WITHIN = "1s"
ACCOUNT = re.compile("[!-9;-~]{1,32}")
# Of a target before percent-encoding, which triples its bytes; the library's limit is 32 KiB with the headers.
TARGET_BYTES_MAX = 8 << 10


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Removes the rules between fields of a spec, which a generator cannot satisfy; breaking one is answered with 422."""
    raw_schema["components"]["schemas"]["SpecRules"] = {}


@schemathesis.hook
def filter_case(context, case):
    """Skips long targets, which are refused with 414 before routing."""
    query = case.query if isinstance(case.query, dict) else {}
    parts = list(query.values()) + list((case.path_parameters or {}).values()) + list((case.headers or {}).values())
    return sum(len(str(part).encode()) for part in parts) < TARGET_BYTES_MAX


@schemathesis.hook
def before_call(context, case, kwargs):
    """Replaces valid values by shorter or more likely ones; invalid values stay."""
    query = case.query if isinstance(case.query, dict) else {}
    for name, short in (("wait", WAIT), ("confirmWithin", CONFIRM_WITHIN)):
        if re.fullmatch("[0-9]+(ms|s|m|h)", str(query.get(name))):
            query[name] = short
    # Without a long wait, a deleted device may still be found, marked as deleting.
    if case.operation.definition.raw.get("operationId") == "deleteDevice" and query.get("wait") in (None, WAIT):
        case.query = {**query, "wait": DELETION_WAIT}
    # A generated tag is never current, so that nearly every change would be refused: removes most of them.
    if case.headers and len(str(case.headers.get("If-Match"))) % 4:
        case.headers.pop("If-Match", None)
    name_accounts(case.body)


def name_accounts(value):
    """Replaces generated account names, which do not exist, by root."""
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
    """429 and 503 need Retry-After (RFC 9110, section 10.2.3), except from /readyz."""
    if response.status_code in (429, 503) and case.operation.path != "/readyz":
        assert "retry-after" in response.headers, f"{response.status_code} without Retry-After"
