"""What is sent in. Every name is also taken in snake case (`server.graphql.spelling`).

A workflow's input has the fields of its file format; `source` gives it back as such, so that it is read in one place.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

import strawberry
from strawberry.scalars import JSON
from strawberry.types.arguments import InputContext
from strawberry.utils.str_converters import to_camel_case

from engine.kernel.errors import InvalidInput
from engine.workflows.service import Fire

T = TypeVar("T")


def plain(kind: type[T]) -> type[T]:
    """An input type whose fields are scalars under their usual names: made of them as they come. Strawberry would work
    out the type of each field anew for each value, which takes longer than to fire a transition."""
    definition = kind.__strawberry_definition__  # type: ignore[attr-defined]
    names = {to_camel_case(field.python_name): field.python_name for field in definition.fields}

    def made(_: type, given: Mapping[str, Any], __: InputContext) -> T:
        return kind(**{names[name]: value for name, value in given.items()})

    definition.from_input = made
    return kind


@strawberry.input(description="How many tokens of a place.")
class ArcInput:
    place: str = strawberry.field(description="The id of the place.")
    weight: int | None = strawberry.field(default=1, description="How many tokens.")


@strawberry.input(description="How many tokens a place holds.")
class PlaceTokensInput:
    place: str = strawberry.field(description="The id of the place.")
    tokens: int = strawberry.field(description="How many tokens.")


@strawberry.input(description="When a transition fires by itself: one of the two.")
class TimerInput:
    after_seconds: float | None = strawberry.field(
        default=None, description="So long after the places began to let it fire."
    )
    at: str | None = strawberry.field(
        default=None, description="At the moment (ISO 8601) that stands in this field of the data."
    )


@strawberry.input(
    description="A place with settings, where its name alone is not enough. Give these in `placeSettings`."
)
class PlaceInput:
    id: str = strawberry.field(description="Unique within the workflow.")
    name: str | None = strawberry.field(default=None, description="For people.")
    description: str | None = strawberry.field(default=None, description="For people.")
    metadata: JSON | None = strawberry.field(default=None, description="Your own.")
    timeout_seconds: float | None = strawberry.field(
        default=None, description="A token that stays longer is marked as overdue."
    )
    notify: bool | None = strawberry.field(default=None, description="Announce tokens that come here.")


@strawberry.input(
    description="What moves tokens. From any of `fromStates` to `toState`, or from all `inputs` to all `outputs`."
)
class TransitionInput:
    id: str = strawberry.field(description="Unique within the workflow.")
    name: str | None = strawberry.field(default=None, description="For people.")
    description: str | None = strawberry.field(default=None, description="For people.")
    from_states: list[str] | None = strawberry.field(default=None, description="Takes one token from any of them.")
    to_state: str | None = strawberry.field(default=None, description="Puts one token there.")
    from_places: list[str] | None = strawberry.field(
        default=None, name="from_places", description="The same as fromStates."
    )
    to_place: str | None = strawberry.field(default=None, name="to_place", description="The same as toState.")
    inputs: list[ArcInput] | None = strawberry.field(default=None, description="Takes from all of them.")
    outputs: list[ArcInput] | None = strawberry.field(default=None, description="Puts on all of them.")
    reads: list[ArcInput] | None = strawberry.field(default=None, description="Must be there, and stays.")
    inhibitors: list[ArcInput] | None = strawberry.field(
        default=None, description="Each place must have fewer tokens than the weight."
    )
    resets: list[str] | None = strawberry.field(default=None, description="Places that are emptied.")
    conditions: list[str] | None = strawberry.field(
        default=None,
        description='All must hold of the data: `score >= 80 && status == "ok"`, `has(title)`, `approved`.',
    )
    rule: JSON | None = strawberry.field(
        default=None, description='A condition as JSON: {"type": "FieldGreaterThan", "field": "score", "value": 80}.'
    )
    automatic: bool | None = strawberry.field(default=None, description="Fires as soon as it can.")
    priority: int | None = strawberry.field(
        default=None, description="Which one goes first, where several fire by themselves; the highest."
    )
    timer: TimerInput | None = strawberry.field(default=None, description="When it fires by itself.")
    sub_workflow: str | None = strawberry.field(
        default=None, description="The id of a workflow that runs inside; it fires when that one has ended."
    )
    metadata: JSON | None = strawberry.field(default=None, description="Your own.")


@strawberry.input(description="A workflow. Places are named in `states` or in `places`.")
class WorkflowInput:
    name: str = strawberry.field(description="For people; its slug and the version make the id.")
    transitions: list[TransitionInput] = strawberry.field(description="What moves tokens.")
    id: str | None = strawberry.field(default=None, description="An id of your own.")
    description: str | None = strawberry.field(default=None, description="For people.")
    states: list[str] | None = strawberry.field(default=None, description="The places.")
    places: list[str] | None = strawberry.field(default=None, description="The same as states.")
    place_settings: list[PlaceInput] | None = strawberry.field(
        default=None, description="Settings of places that are named above, or of further ones."
    )
    indexes: list[str] | None = strawberry.field(
        default=None, description="Fields of the data that tokens are looked up by: `customer`, `metadata.team`."
    )
    rules: JSON | None = strawberry.field(
        default=None, description="Conditions with a name, an expression each: `conditions` may say the name."
    )
    initial_state: str | None = strawberry.field(
        default=None, description="Where a token starts; the first place when it is not given."
    )
    initial_marking: list[PlaceTokensInput] | None = strawberry.field(
        default=None, description="Where tokens start, when there are several."
    )
    final_places: list[str] | None = strawberry.field(
        default=None, description="Where it ends: places without a way out when not given; [] when it runs for ever."
    )
    metadata: JSON | None = strawberry.field(default=None, description="Your own.")
    strict: bool | None = strawberry.field(
        default=False, description="Refuse a workflow in which the analysis finds an error."
    )


@plain
@strawberry.input(description="A new token.")
class CreateTokenInput:
    workflow_id: str = strawberry.field(description="The workflow to run in.")
    data: JSON | None = strawberry.field(default=None, description="What it carries.")
    metadata: JSON | None = strawberry.field(default=None, description="What is known about it.")
    initial_state: str | None = strawberry.field(default=None, description="Another place to start on.")
    idempotency_key: str | None = strawberry.field(default=None, description="Repeating it gives the same token.")


@plain
@strawberry.input(description="A firing.")
class FireTransitionInput:
    token_id: str = strawberry.field(description="The token to move.")
    transition_id: str = strawberry.field(description="The transition to fire.")
    data: JSON | None = strawberry.field(default=None, description="Merged into the token's data (RFC 7396).")
    expected_version: int | None = strawberry.field(default=None, description="Refuse when the token has moved on.")
    idempotency_key: str | None = strawberry.field(default=None, description="Repeating it fires once.")
    mode: str | None = strawberry.field(
        default=None, description="The place to take from, for a transition with several."
    )
    reason: str | None = strawberry.field(default=None, description="Why; it stands in the history.")

    def wanted(self) -> Fire:
        return Fire(
            self.token_id,
            self.transition_id,
            self.data,
            self.mode,
            self.expected_version,
            self.idempotency_key,
            self.reason or "",
        )


@strawberry.input(description="One step that is only tried.")
class WhatIfStepInput:
    transition_id: str = strawberry.field(description="The transition to fire.")
    data: JSON | None = strawberry.field(default=None, description="Merged into the data (RFC 7396).")
    mode: str | None = strawberry.field(
        default=None, description="The place to take from, for a transition with several."
    )


@strawberry.input(description="A way back.")
class RollbackTokenInput:
    token_id: str = strawberry.field(description="The token.")
    to_version: int = strawberry.field(description="The version whose marking and data it gets again.")
    reason: str | None = strawberry.field(default=None, description="Why; it stands in the history.")
    expected_version: int | None = strawberry.field(default=None, description="Refuse when the token has moved on.")


@strawberry.input(description="An end before the end.")
class CancelTokenInput:
    token_id: str = strawberry.field(description="The token.")
    reason: str | None = strawberry.field(default=None, description="Why; it stands in the history.")
    expected_version: int | None = strawberry.field(default=None, description="Refuse when the token has moved on.")


@strawberry.input(description="A second token like the first.")
class ForkTokenInput:
    token_id: str = strawberry.field(description="The token to begin from.")
    reason: str | None = strawberry.field(default=None, description="Why; it stands in the history.")
    idempotency_key: str | None = strawberry.field(default=None, description="Repeating it gives the same token.")


@strawberry.input(description="Where the tokens of a place go.")
class PlaceMapInput:
    from_place: str = strawberry.field(description="A place of the old workflow.")
    to_place: str = strawberry.field(description="A place of the new one.")


@strawberry.input(description="A migration of live tokens.")
class MigrateTokensInput:
    from_workflow: str = strawberry.field(description="The workflow they are in.")
    to_workflow: str = strawberry.field(description="The workflow they go to.")
    places: list[PlaceMapInput] | None = strawberry.field(
        default=None, description="Where places go that have another name; all others keep theirs."
    )
    dry_run: bool | None = strawberry.field(default=True, description="Only plan it. False carries it out.")
    reason: str | None = strawberry.field(default=None, description="Why; it stands in the histories.")


@strawberry.input(description="Which tokens: all that is given must hold.")
class TokenFilter:
    workflow_id: str | None = strawberry.field(default=None, description="Of this workflow.")
    state: str | None = strawberry.field(default=None, description="In this state.")
    status: str | None = strawberry.field(default=None, description="active, completed or cancelled.")
    data: JSON | None = strawberry.field(
        default=None, description="Values that must stand in the data. Fields in the workflow's `indexes` are fast."
    )
    metadata: JSON | None = strawberry.field(default=None, description="Values that must stand in the metadata.")
    created_after: str | None = strawberry.field(default=None, description="ISO 8601; that moment or later.")
    created_before: str | None = strawberry.field(default=None, description="ISO 8601; before that moment.")
    updated_after: str | None = strawberry.field(default=None, description="ISO 8601; that moment or later.")
    updated_before: str | None = strawberry.field(default=None, description="ISO 8601; before that moment.")


@strawberry.input(description="The model of an agent.")
class AgentLlmProviderInput:
    provider_type: str = strawberry.field(description="ollama, openai, anthropic, google, azure, custom or embedded.")
    model: str = strawberry.field(description="The model's name.")
    api_key: str | None = strawberry.field(default=None, description="Kept in the keyring; never given back.")
    base_url: str | None = strawberry.field(default=None, description="Another address than the provider's own.")


@strawberry.input(description="What an agent is told.")
class AgentPromptsInput:
    system: str = strawberry.field(description="Said before everything else.")


@strawberry.input(description="An agent.")
class AgentInput:
    name: str = strawberry.field(description="For people.")
    llm_provider: AgentLlmProviderInput = strawberry.field(description="Its model.")
    description: str | None = strawberry.field(default=None, description="For people.")
    prompts: AgentPromptsInput | None = strawberry.field(default=None, description="What it is told.")


def source(given: object) -> Any:
    """An input as plain data, for `engine.nets.notation`, which reads names in either case; what was not given is left
    out."""
    if isinstance(given, list):
        return [source(item) for item in given]
    if not hasattr(given, "__strawberry_definition__"):
        return given
    values = {one.name: getattr(given, one.name) for one in fields(given)}  # type: ignore[arg-type]
    return {name: source(value) for name, value in values.items() if value is not None}


def check_page(first: int) -> None:
    """Raises InvalidInput unless `first` is a size that a page may have."""
    if not 1 <= first <= 500:
        raise InvalidInput(f"{first} is no size for a page.", fix="Ask for 1 to 500.", details={"path": "first"})
