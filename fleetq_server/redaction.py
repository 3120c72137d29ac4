"""What people may see of settings."""

import re


def shown(name: str, value: object) -> object:
    """A value as people may see it: without the password of a store URL."""
    if name != "store":
        return value
    url = re.sub(r"(://[^/:@\s]*):\S*@", r"\1:***@", str(value))
    return re.sub(r"((?:password|passfile|sslpassword)=)[^&\s]*", r"\1***", url)
