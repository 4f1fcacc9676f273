"""The filter of the list of runs."""

from functools import lru_cache
from typing import Any

from django import forms

from fleet.api.selection import RunFilters
from fleet.policy.states import RunStatus
from fleet.views.facts.runs import WORDS
from fleet.views.words import site_label
from tasks import app
from tasks.call import task_contracts
from tasks.settings import settings

#: Rows of one page.
PAGE = 50


class RunFilterForm(forms.Form):
    """What the list shows; every field may stay empty."""

    status = forms.ChoiceField(required=False)
    task = forms.CharField(required=False, max_length=100)
    site = forms.ChoiceField(required=False)
    q = forms.CharField(required=False, max_length=200, label="text")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        self.use_required_attribute = False
        statuses = [(status.value, WORDS[status]) for status in RunStatus]
        sites = [(name, site_label(name)) for name in settings().sites]
        self._choose("status", [("", "any status"), *statuses])
        self._choose("site", [("", "any site"), *sites])
        self.fields["task"].widget.attrs.update(list="task-names", placeholder="any task")
        self.fields["q"].widget.attrs.update(placeholder="id, arguments, error")

    def filters(self, cursor: str | None) -> RunFilters:
        """The checked fields for the query; call it on a valid form only."""
        chosen = {name: value for name, value in self.cleaned_data.items() if value}
        if "status" in chosen:
            chosen["status"] = [chosen["status"]]
        return RunFilters(**chosen, cursor=cursor, limit=PAGE)

    def _choose(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101  # declared above
        field.choices = choices


@lru_cache(maxsize=1)
def task_names() -> tuple[str, ...]:
    """The names of all tasks that this version knows."""
    return tuple(sorted(task_contracts(app)))
