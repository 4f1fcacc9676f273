"""A call that the API refuses."""


class Refusal(Exception):  # noqa: N818 - the API's answer, no error of this program
    """HTTP status and the text of `error` in the body."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
