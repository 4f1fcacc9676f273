"""Form fields whose values are JSON of a given type, or lines of text."""

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from pydantic import TypeAdapter
from pydantic import ValidationError as TypeMismatch
from pydantic.errors import PydanticSchemaGenerationError
from unfold.widgets import UnfoldAdminTextareaWidget


class _OmittedType:
    """What an empty field means; None is a JSON value and cannot mean it."""

    def __repr__(self) -> str:
        return "(left out)"


Omitted = _OmittedType()


class JsonField(forms.Field):
    """JSON that fits a Python type; empty means `Omitted`, and `null` means None."""

    def __init__(self, hint: Any, **options: Any) -> None:
        initial = options.pop("initial", None)
        text = None if initial is None else json.dumps(initial, ensure_ascii=False)
        widget = UnfoldAdminTextareaWidget(attrs={"rows": 3, "spellcheck": "false"})
        super().__init__(initial=text, widget=widget, **options)
        self._adapter = _adapter(hint)

    def to_python(self, value: Any) -> Any:
        """The value; raises ValidationError with the place where it does not fit."""
        text = str(value or "").strip()
        if not text:
            return Omitted
        try:
            json.loads(text)
            return self._adapter.validate_json(text)
        except TypeMismatch as error:
            raise ValidationError([_sentence(item) for item in error.errors()]) from None
        except (ValueError, RecursionError) as error:
            raise ValidationError(f"This is not JSON: {error}") from None

    def validate(self, value: Any) -> None:
        """Empty lists and objects are values like any other."""
        if self.required and value is Omitted:
            raise ValidationError(self.error_messages["required"], code="required")


class LinesField(forms.Field):
    """A list of texts, one a line; or a JSON list, for texts that have line breaks."""

    def __init__(self, **options: Any) -> None:
        initial = options.pop("initial", None)
        super().__init__(
            initial="\n".join(initial) if initial else None,
            widget=UnfoldAdminTextareaWidget(attrs={"rows": 4, "spellcheck": "false"}),
            help_text="One item a line; or a JSON list of texts",
            **options,
        )
        self._json = JsonField(list[str], required=False)

    def to_python(self, value: Any) -> Any:
        """The items, or `Omitted`."""
        text = str(value or "")
        if text.lstrip().startswith("["):
            return self._json.to_python(text)
        lines = [line for line in text.splitlines() if line.strip()]
        return lines or Omitted

    def validate(self, value: Any) -> None:
        """A JSON `[]` is an empty list and enough where a list is required."""
        self._json.required = self.required
        self._json.validate(value)


def _adapter(hint: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(hint)
    except PydanticSchemaGenerationError:
        return TypeAdapter(Any)


def _sentence(item: Any) -> str:
    place = "".join(f"[{step!r}]" for step in item["loc"])
    return f"{place} {item['msg']}".strip()
