"""Names of input fields in either case: `workflow_id` is read as `workflowId`, `fromPlaces` as `from_places`. And names
of input types in any: clients of the original system write `LlmchatCompletionInput`, as its server spelled it. And
subscriptions whose fields they select nothing of, since there these were strings: `llmStream` is then `llmStreamText`.

Only names of input types are looked at; what is inside a JSON scalar is the user's own.
"""

from collections.abc import Iterator
from typing import Any

from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    ListValueNode,
    NamedTypeNode,
    NameNode,
    ObjectFieldNode,
    ObjectValueNode,
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    ValueNode,
    VariableDefinitionNode,
    Visitor,
    type_from_ast,
    visit,
)
from strawberry.extensions import SchemaExtension


class EitherCase(SchemaExtension):
    """Respells a document and its variables before they are validated."""

    def on_validate(self) -> Iterator[None]:
        context = self.execution_context
        schema: GraphQLSchema = context.schema._schema
        document = context.graphql_document
        if document is not None and not context.pre_execution_errors:
            if document is not context.schema.documents.get(context.query):  # type: ignore[attr-defined]
                document = context.graphql_document = respelled(document, schema)
            if context.variables:
                context.variables = respelled_variables(document, context.variables, schema)
        yield


def respelled(document: DocumentNode, schema: GraphQLSchema) -> DocumentNode:
    """`document` with the names of input fields as the schema spells them."""
    info = TypeInfo(schema)

    class Respell(Visitor):
        def enter_field(self, node: FieldNode, *_: object) -> FieldNode | None:
            text = f"{node.name.value}Text"
            if node.selection_set is not None or info.get_parent_type() is not schema.subscription_type:
                return None
            if schema.subscription_type is None or text not in schema.subscription_type.fields:
                return None
            return FieldNode(
                alias=node.alias or node.name,
                name=NameNode(value=text, loc=node.name.loc),
                arguments=node.arguments,
                directives=node.directives,
                loc=node.loc,
            )

        def enter_variable_definition(self, node: VariableDefinitionNode, *_: object) -> VariableDefinitionNode | None:
            kind = _typed(node.type, schema)
            if kind is node.type:
                return None
            return VariableDefinitionNode(
                variable=node.variable,
                type=kind,
                default_value=node.default_value,
                directives=node.directives,
                loc=node.loc,
            )

        def enter_argument(self, node: ArgumentNode, *_: object) -> ArgumentNode | None:
            argument = info.get_argument()
            if argument is None:
                return None
            value = _value(node.value, argument.type)
            return None if value is node.value else ArgumentNode(name=node.name, value=value, loc=node.loc)

    found: DocumentNode = visit(document, TypeInfoVisitor(info, Respell()))
    return found


def respelled_variables(document: DocumentNode, variables: dict[str, Any], schema: GraphQLSchema) -> dict[str, Any]:
    """Variables with the names of input fields as the schema spells them."""
    types = {
        definition.variable.name.value: type_from_ast(schema, definition.type)
        for operation in document.definitions
        if isinstance(operation, OperationDefinitionNode)
        for definition in operation.variable_definitions or ()
    }
    return {name: _plain(value, types.get(name)) for name, value in variables.items()}


def _typed(node: Any, schema: GraphQLSchema) -> Any:
    """The type of a variable with its name as the schema spells it."""
    if isinstance(node, NamedTypeNode):
        name = node.name.value
        if name in schema.type_map:
            return node
        kinds = (kind for kind in schema.type_map.values() if isinstance(kind, GraphQLInputObjectType))
        known = next((kind.name for kind in kinds if kind.name.casefold() == name.casefold()), name)
        return node if known == name else NamedTypeNode(name=NameNode(value=known, loc=node.name.loc), loc=node.loc)
    inner = _typed(node.type, schema)
    return node if inner is node.type else type(node)(type=inner, loc=node.loc)


def _value(node: ValueNode, type_: Any) -> ValueNode:
    type_ = _bare(type_)
    if isinstance(type_, GraphQLList) and isinstance(node, ListValueNode):
        items = [_value(item, type_.of_type) for item in node.values]
        same = all(new is old for new, old in zip(items, node.values, strict=True))
        return node if same else ListValueNode(values=tuple(items), loc=node.loc)
    if isinstance(type_, GraphQLList):
        return _value(node, type_.of_type)
    if isinstance(type_, GraphQLInputObjectType) and isinstance(node, ObjectValueNode):
        fields = tuple(_fields(node, type_))
        same = all(new is old for new, old in zip(fields, node.fields, strict=True))
        return node if same else ObjectValueNode(fields=fields, loc=node.loc)
    return node


def _fields(node: ObjectValueNode, type_: GraphQLInputObjectType) -> Iterator[ObjectFieldNode]:
    for field in node.fields:
        name = spelled(field.name.value, type_)
        known = type_.fields.get(name)
        value = _value(field.value, known.type) if known else field.value
        if name == field.name.value and value is field.value:
            yield field
        else:
            yield ObjectFieldNode(name=NameNode(value=name, loc=field.name.loc), value=value, loc=field.loc)


def _plain(value: Any, type_: Any) -> Any:
    bare = _bare(type_)
    if isinstance(bare, GraphQLList):
        return (
            [_plain(item, bare.of_type) for item in value] if isinstance(value, list) else _plain(value, bare.of_type)
        )
    if isinstance(bare, GraphQLInputObjectType) and isinstance(value, dict):
        found = {}
        for key, item in value.items():
            name = spelled(key, bare)
            if name != key and (name in value or name in found):
                name = key  # it is there in another spelling: validation refuses this one
            known = bare.fields.get(name)
            found[name] = _plain(item, known.type) if known else item
        return found
    return value


def spelled(name: str, type_: GraphQLInputObjectType) -> str:
    """The field of `type_` that `name` means, however it is spelled; `name` itself when there is none."""
    if name in type_.fields:
        return name
    bare = name.replace("_", "").casefold()
    return next((known for known in type_.fields if known.replace("_", "").casefold() == bare), name)


def _bare(type_: Any) -> Any:
    return type_.of_type if isinstance(type_, GraphQLNonNull) else type_
