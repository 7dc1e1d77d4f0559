"""A signal that comes while a compiled module loads is a stop, though the module makes an ImportError of it."""

from __future__ import annotations

import pytest

from nbedex.cli import main, phases


@pytest.mark.parametrize(
    ("cause", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "nbedex: stopped\n"),
        (ValueError("no"), 1, "nbedex: internal error: ImportError: initialization failed; run again with --verbose"),
    ],
)
def test_what_is_behind_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], cause: BaseException, code: int, said: str
) -> None:
    def load(args: object) -> int:
        try:
            raise cause
        except BaseException as error:
            raise ImportError("initialization failed") from error

    monkeypatch.setattr(phases, "run", load)
    assert main(["phases"]) == code
    assert capsys.readouterr().err.startswith(said)
