"""`idp user invite`: an account whose owner sets the password by a link in a mail."""

from pathlib import Path

import click

from idp.cli.db import ACTOR, opened
from idp.cli.output import clean, document, json_option, say


@click.command("invite")
@click.argument("name")
@click.option("--email", help="Where the link goes. Without it: a new link for a known account.")
@click.option("--locale", help="Language of the mail, such as `ja`.")
@json_option
@click.pass_obj
def invite(
    config_file: Path | None, name: str, email: str | None, locale: str | None, as_json: bool
) -> None:
    """Invite somebody. The link works for `registration.invitation_ttl`, once.

    \b
    Example:
      idp user invite ana --email ana@example.com
      idp user invite ana            # another link, in place of the first
    """
    from idp.cli.admin import user_admin

    with opened(config_file) as core:
        if email:
            user = core.invitations.invite(name, email, actor=ACTOR, locale=locale)
        else:
            user = user_admin(core).get(name)
            core.invitations.again(user)
    if as_json:
        document({"username": user.username, "sub": user.id, "email": user.email})
        return
    say(f"invited {clean(user.username)}: a link is on its way to {clean(user.email or '')}")
