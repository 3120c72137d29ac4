"""docs/security.md says what the code says; its commands are run with those of other pages."""

import re

from fleetq_server.rpc.security.rights import RIGHTS
from fleetq_server.rpc.security.tokens import Role
from tests.docs.pages import text_of


def test_the_roles_of_the_page_are_those_of_the_table() -> None:
    for role in (Role.SUBMIT, Role.WORK):
        (listed,) = re.findall(rf"^\| `{role}` \| (.*) \|$", text_of("security.md"), re.MULTILINE)
        allowed = [method.rpartition("/")[2] for method, roles in RIGHTS.items() if role in roles]
        assert listed.split(", ") == allowed
