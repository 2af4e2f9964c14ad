"""Documents that were parsed, respelled and found valid, so that a client that sends the same text again pays for it
once. Variables and cost are looked at each time."""

from collections import OrderedDict
from collections.abc import Iterator

from graphql import DocumentNode
from strawberry.extensions import SchemaExtension

MOST_DOCUMENTS = 256
MOST_CHARACTERS = 20_000


class Documents:
    """The documents by their texts; the one that was not asked for the longest goes first."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, DocumentNode] = OrderedDict()

    def get(self, text: str | None) -> DocumentNode | None:
        if text is None or text not in self._known:
            return None
        self._known.move_to_end(text)
        return self._known[text]

    def put(self, text: str | None, document: DocumentNode) -> None:
        if text is not None and len(text) <= MOST_CHARACTERS:
            self._known[text] = document
            if len(self._known) > MOST_DOCUMENTS:
                self._known.popitem(last=False)


class Remembering(SchemaExtension):
    """Comes after those that change or refuse a document. The schema has `documents`."""

    def on_parse(self) -> Iterator[None]:
        context = self.execution_context
        if known := context.schema.documents.get(context.query):  # type: ignore[attr-defined]
            context.graphql_document = known
        yield

    def on_validate(self) -> Iterator[None]:
        context = self.execution_context
        documents: Documents = context.schema.documents  # type: ignore[attr-defined]
        document = context.graphql_document
        if document is not None and document is documents.get(context.query) and context.pre_execution_errors is None:
            context.pre_execution_errors = []  # it was validated before
        yield
        if document is not None and context.pre_execution_errors == []:
            documents.put(context.query, document)
