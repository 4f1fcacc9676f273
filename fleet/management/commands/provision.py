"""`manage.py provision FILE`: sites, tokens, keys of homes and the operator, from one file."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Self

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError, transaction
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fleet.api.credentials import digest_of
from fleet.models import CONTROL_HOME, ApiToken, Scope, Site
from fleet.policy.errors import FleetError
from tasks.settings import Capability, Name, read_secret

#: Shorter secrets than this could be guessed; `openssl rand -hex 32` makes a good one.
SHORTEST_TOKEN = 32


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SitePlan(_Part):
    """A site as it shall be."""

    name: Name
    number: int = Field(ge=1, le=255)
    title: str = Field(min_length=1, max_length=60)
    note: str = Field("", max_length=200)
    capabilities: tuple[Capability, ...] = ()


class TokenPlan(_Part):
    """A token whose secret is the content of `file`; `site` for agents only."""

    name: str = Field(min_length=1, max_length=60)
    scope: Scope
    site: Name | None = None
    file: Path

    @model_validator(mode="after")
    def _site_fits_scope(self) -> Self:
        if (self.site is not None) != (self.scope is Scope.AGENT):
            raise ValueError("an agent's token needs a site, the others must have none")
        return self


class AdminPlan(_Part):
    """The operator who may do everything."""

    username: str = Field(min_length=1, max_length=150)
    password_file: Path


class HomePlan(_Part):
    """The public key of a home, base64, and the number in its tokens."""

    public_key: str = Field(min_length=1, max_length=64)
    number: int = Field(ge=0, le=255)


class Plan(_Part):
    """The whole file. What it does not name stays in the ledger as it is."""

    sites: tuple[SitePlan, ...] = ()
    tokens: tuple[TokenPlan, ...] = ()
    admin: AdminPlan | None = None
    homes: dict[str, HomePlan] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _homes_are_sites_of_the_same_number(self) -> Self:
        numbers = {CONTROL_HOME: 0} | {site.name: site.number for site in self.sites}
        for name, home in self.homes.items():
            if numbers.get(name, home.number) != home.number:
                raise ValueError(f"home {name} has number {home.number}, not {numbers[name]}")
        return self


class Command(BaseCommand):
    """All or nothing, and the same again when nothing has changed."""

    help = "Write sites, tokens and the operator of FILE into the ledger; may be run again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="JSON with sites, tokens, homes, admin")

    def handle(self, *args: Any, **options: Any) -> None:
        plan = _read(options["file"])
        try:
            with transaction.atomic():
                _write_sites(plan)
                for token in plan.tokens:
                    _write_token(token)
                if plan.admin is not None:
                    _write_admin(plan.admin)
        except IntegrityError as error:
            raise CommandError(
                f"the ledger has another row with the same name, number or token: {error}"
            ) from error
        except FleetError as error:
            raise CommandError(str(error)) from error
        count = f"{len(plan.sites)} sites, {len(plan.tokens)} tokens"
        self.stdout.write(f"The ledger has {count} of {options['file']}.")


def _read(path: Path) -> Plan:
    try:
        return Plan.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from error
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors()]
        raise CommandError("\n".join([f"{path}:", *lines])) from error
    except ValueError as error:
        raise CommandError(f"{path} is not text in UTF-8") from error


def _write_sites(plan: Plan) -> None:
    for site in plan.sites:
        values: dict[str, Any] = {
            **site.model_dump(exclude={"name", "capabilities"}),
            "capabilities": list(site.capabilities),
        }
        if site.name in plan.homes:
            values["public_key"] = plan.homes[site.name].public_key
        Site.objects.update_or_create(name=site.name, defaults=values)
    for name in plan.homes.keys() - {site.name for site in plan.sites} - {CONTROL_HOME}:
        home = plan.homes[name]
        if not Site.objects.filter(name=name, number=home.number).update(
            public_key=home.public_key
        ):
            raise CommandError(f"homes.{name}: there is no site {name} of number {home.number}")


def _write_token(plan: TokenPlan) -> None:
    """A revoked token stays revoked; a new secret under its name is a new token."""
    secret = read_secret(plan.file)
    if len(secret) < SHORTEST_TOKEN:
        raise CommandError(
            f"{plan.file}: the token has {len(secret)} characters; use {SHORTEST_TOKEN} or more, "
            "for example from: openssl rand -hex 32"
        )
    site = _site(plan) if plan.site else None
    values = {"digest": digest_of(secret), "scope": plan.scope, "site": site}
    found = ApiToken.objects.filter(name=plan.name).first()
    if found is not None and found.digest != values["digest"]:
        values["revoked_at"] = None
    ApiToken.objects.update_or_create(name=plan.name, defaults=values)


def _site(plan: TokenPlan) -> Site:
    try:
        return Site.objects.get(name=plan.site)
    except Site.DoesNotExist:
        raise CommandError(f"token {plan.name}: there is no site {plan.site!r}") from None


def _write_admin(plan: AdminPlan) -> None:
    """The same password is not set again: that would end the operator's sessions."""
    password = read_secret(plan.password_file)
    if not password:
        raise CommandError(f"{plan.password_file} is empty")
    user, _ = User.objects.get_or_create(username=plan.username)
    user.is_staff = user.is_superuser = user.is_active = True
    if not user.check_password(password):
        user.set_password(password)
    user.save()
