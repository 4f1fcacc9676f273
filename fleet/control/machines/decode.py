"""From the Machines API's JSON to values; what is not as documented is refused."""

import json
from typing import Any

import httpx
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from fleet.control.machines.errors import MachinesAnswerError
from fleet.control.machines.protocol import MachineInfo, MachineLease


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Machine(_Answer):
    id: str
    name: str = ""
    state: str
    region: str = ""
    instance_id: str = ""
    private_ip: str = ""
    updated_at: str = ""


class _Lease(_Answer):
    nonce: str
    expires_at: int
    owner: str = ""
    description: str = ""


class _LeaseAnswer(_Answer):
    data: _Lease


class _Started(_Answer):
    previous_state: str = ""


_ONE = TypeAdapter(_Machine)
_MANY = TypeAdapter(list[_Machine])
_LEASE = TypeAdapter(_LeaseAnswer)
_STARTED = TypeAdapter(_Started)


def json_of(body: bytes) -> Any:
    """The value of a body; an empty body (204) is an empty object."""
    try:
        return json.loads(body) if body else {}
    except ValueError as error:
        raise MachinesAnswerError("the Machines API answered something that is no JSON") from error


def reason(answer: httpx.Response) -> str:
    """Why a call was refused, in the API's words."""
    try:
        return str(json.loads(answer.content)["error"])
    except (ValueError, LookupError, TypeError):
        return answer.text


def machine(value: Any) -> MachineInfo:
    """A machine; raises MachinesAnswerError."""
    return _info(_checked(_ONE, value))


def machines(value: Any) -> tuple[MachineInfo, ...]:
    """A list of machines; raises MachinesAnswerError."""
    return tuple(map(_info, _checked(_MANY, value)))


def lease(value: Any) -> MachineLease:
    """A lease; raises MachinesAnswerError."""
    found = _checked(_LEASE, value).data
    return MachineLease(
        nonce=found.nonce,
        expires_at_s=found.expires_at,
        owner=found.owner,
        description=found.description,
    )


def previous_state(value: Any) -> str:
    """What a machine was before it was told to start."""
    return str(_checked(_STARTED, value).previous_state)


def _info(found: _Machine) -> MachineInfo:
    return MachineInfo(**found.model_dump())


def _checked(adapter: TypeAdapter[Any], value: Any) -> Any:
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        where = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise MachinesAnswerError(
            f"the Machines API's answer is not as documented: {where}"[:400]
        ) from error
