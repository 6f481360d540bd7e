"""What a reader must know of a fault in their data or settings: what was found, what was wanted, and the cure."""


class UserError(Exception):
    """A fault the reader can mend. Commands print it without a traceback and exit with 2.

    where: the file (and line, column or key) it concerns; found, wanted: facts; cure: the next step, in the reader's words.
    """

    def __init__(self, where: str, *, found: str, wanted: str, cure: str) -> None:
        self.where, self.found, self.wanted, self.cure = where, found, wanted, cure
        super().__init__(f"{where}\n  found:  {found}\n  wanted: {wanted}\n  cure:   {cure}")

    @property
    def in_one_line(self) -> str:
        """All of it, where one lack among others is told and the command goes on."""
        return f"{self.where}: found {self.found}; wanted: {self.wanted}; cure: {self.cure}"


class NotEnoughHistory(UserError):
    """There is too little to learn from: too short a history, too few clients, or no one who left."""
