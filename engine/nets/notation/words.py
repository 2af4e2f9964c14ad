"""The names of the fields of a workflow, in camel case. Each may also be written in snake case."""

WORKFLOW = (
    "id",
    "name",
    "description",
    "states",
    "places",
    "placeSettings",
    "initialState",
    "initialPlace",
    "initialMarking",
    "finalPlaces",
    "finalStates",
    "transitions",
    "indexes",
    "rules",
    "metadata",
    "strict",
)
PLACE = ("id", "name", "description", "metadata", "timeoutSeconds", "notify")
TRANSITION = (
    "id",
    "name",
    "description",
    "fromStates",
    "toState",
    "fromPlaces",
    "toPlace",
    "inputs",
    "outputs",
    "reads",
    "inhibitors",
    "resets",
    "conditions",
    "rule",
    "automatic",
    "priority",
    "timer",
    "subWorkflow",
    "metadata",
)
TIMER = ("afterSeconds", "at")
