"""What a fit says while it runs and when it is done, and what a notebook shows of it."""

import io
import logging
import re
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.preprocessing import StandardScaler
from walking import LABELS, WATCHED, X

from skvae import Autoencoder, CanonicalCorrelatedAutoencoder, VariationalAutoencoder
from skvae._sklearn.compat import HAS_CALLBACKS
from skvae.callbacks import TimeLimit
from skvae.watching import _line

DIGITS = load_digits().data / 16
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
every = pytest.mark.parametrize("cls", WATCHED)


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    """A second passes at each look."""

    now = 0.0

    def monotonic(self):
        self.now += 1.0
        return self.now


@pytest.fixture
def terminal(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr(_line, "sys", SimpleNamespace(stdout=stream))
    monkeypatch.setattr(_line, "time", Clock())
    monkeypatch.setenv("COLUMNS", "200")
    return stream


def make(cls=VariationalAutoencoder, **params):
    return cls(2, **{"max_iter": 5, "tol": 0, "random_state": 0, **params})


def fit(estimator, rows=DIGITS[:400]):
    y = (rows[:, 20:24] > 0.5).astype(int)
    return estimator.fit(rows, y if isinstance(estimator, CanonicalCorrelatedAutoencoder) else None)


# ------------------------------------------------------------------ the live line


@every
@pytest.mark.parametrize("verbose", [0, False])
def test_silence(cls, verbose, terminal, capfd, caplog):
    fit(make(cls, verbose=verbose))
    assert terminal.getvalue() == ""
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


@pytest.mark.parametrize("cls", [VariationalAutoencoder, Autoencoder])
def test_a_terminal_sees_one_line_that_changes(cls, terminal):
    estimator = fit(make(cls, verbose=1))
    text = terminal.getvalue()
    assert text.count("\n") == 1
    *states, last = [part.strip() for part in text.split("\r") if part.strip()]
    assert len(states) == 5
    start, *scores = estimator.validation_scores_
    for number, (state, score) in enumerate(zip(states, scores, strict=True), 1):
        assert f"epoch {number} of at most 5" in state
        assert f"held-out {score:.4f}, {score - start:+.4f} over PCA" in state
        assert re.search(r"at most \d+ s left$", state)
    kept = estimator.best_epoch_
    assert last == (
        f"{cls.__name__}: 5 epochs done; kept epoch {kept}, {scores[kept - 1] - start:+.4f} nats "
        f"per row over PCA on held-out rows."
    )


def test_a_shorter_text_covers_a_longer_one(terminal):
    line = _line.Line()
    line.show("long text")
    line.show("short")
    line.clear()
    assert terminal.getvalue() == "\rlong text\rshort    \r     \r"


def test_line_fits_the_terminal_and_is_not_written_all_the_time(terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", "10")
    line = _line.Line()
    line.show("x" * 50)
    assert terminal.getvalue() == "\r" + "x" * 9
    monkeypatch.setattr(_line.time, "monotonic", lambda: _line.time.now)
    line.show("y")
    assert "y" not in terminal.getvalue()


@every
def test_elsewhere_there_is_the_last_line_alone(cls, capsys):
    fit(make(cls, verbose=1))
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1
    assert "\r" not in out
    assert err == ""


def test_a_failed_fit_leaves_no_line_behind(terminal):
    class Failing(TimeLimit):
        def on_fit_task_end(self, estimator, context):
            raise LookupError

    if not HAS_CALLBACKS:
        pytest.skip("scikit-learn has no callbacks")
    with pytest.raises(LookupError):
        fit(make(verbose=1).set_callbacks(Failing(0)))
    assert terminal.getvalue().endswith("\r")


def test_what_can_be_overwritten():
    class OutStream(io.StringIO):
        __module__ = "ipykernel.iostream"

    assert _line.is_live(Terminal())
    assert _line.is_live(OutStream())
    assert not _line.is_live(io.StringIO())
    assert not _line.is_live(object())


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59.6, "1 min 0 s"), (75, "1 min 15 s"), (3661, "1 h 1 min")],
)
def test_durations_in_words(seconds, words):
    assert _line.duration(seconds) == words


# ------------------------------------------------------------------ why it ended


def last_line(estimator, capsys, rows=DIGITS[:400]):
    fit(estimator, rows)
    return capsys.readouterr().out.rstrip("\n")


def test_last_line_says_why(capsys):
    noise = np.random.RandomState(1).randn(60, 5)
    line = last_line(make(verbose=1, max_iter=100, n_iter_no_change=3), capsys, noise)
    assert "3 of them without a gain and 3 at a falling learning rate; kept PCA" in line
    assert "as none was proved better" in line
    line = last_line(make(verbose=1, max_iter=0), capsys)
    assert line.endswith("0 epochs done; kept PCA.")
    line = last_line(make(verbose=1, early_stopping=False), capsys)
    assert line.endswith("5 epochs done; kept the last.")
    line = last_line(make(verbose=1, init="random"), capsys)
    assert "over the start on held-out rows" in line


@pytest.mark.skipif(not HAS_CALLBACKS, reason="scikit-learn has no callbacks")
@every
def test_last_line_names_a_callback(cls, capsys):
    line = last_line(make(cls, verbose=1, max_iter=50).set_callbacks(TimeLimit(0)), capsys)
    assert "a callback ended it after 1 epochs" in line


# ------------------------------------------------------------------ the log


@every
def test_log_has_a_line_an_epoch(cls, caplog, capfd):
    caplog.set_level("INFO", logger="skvae")
    once = {"n_folds": 1, "init": "random"} if cls is CanonicalCorrelatedAutoencoder else {}
    fit(make(cls, verbose=2, **once))
    lines = [record.getMessage() for record in caplog.records if record.name == "skvae"]
    assert len(lines) == 6
    assert all(f"epoch {k} of" in line for k, line in enumerate(lines[:-1], 1))
    assert capfd.readouterr() == ("", "")


def test_where_nobody_has_set_logging_up_it_is_heard_all_the_same(capsys, monkeypatch):
    monkeypatch.setattr(logging.getLogger("skvae"), "propagate", False)
    fit(make(verbose=2))
    assert len(capsys.readouterr().err.splitlines()) == 6


@pytest.mark.parametrize("cls", [VariationalAutoencoder, Autoencoder])
def test_a_stream_has_a_line_a_call(cls, capsys):
    estimator = make(cls, verbose=1)
    for _ in range(2):
        estimator.partial_fit(X)
    lines = capsys.readouterr().out.splitlines()
    assert [re.sub(r"loss .*", "", line) for line in lines] == [
        f"{cls.__name__}: pass 1, ",
        f"{cls.__name__}: pass 2, ",
    ]


# ------------------------------------------------------------------ in a notebook


def top(estimator):
    """The line above scikit-learn's representation, of both ways to ask for it."""
    pages = [estimator._repr_html_(), estimator._repr_mimebundle_()["text/html"]]
    lines = {re.match(r"(?:<div>([^<]*)</div>)?<style>", page)[1] for page in pages}
    (line,) = lines
    return line


@every
def test_unfitted_has_nothing_to_say(cls):
    assert top(make(cls)) is None


@pytest.mark.parametrize("cls", [VariationalAutoencoder, Autoencoder])
def test_notebook_says_lead_latents_and_epoch(cls):
    estimator = fit(make(cls))
    lead = estimator.best_validation_score_ - estimator.validation_scores_[0]
    assert top(estimator) == (
        f"{lead:+.2f} nats per row over PCA on held-out rows · "
        f"{estimator.n_active_components_} of 2 latents active · "
        f"epoch {estimator.best_epoch_} of 5 kept"
    )
    assert top(make(cls, max_iter=0).fit(DIGITS)).endswith("PCA kept after 0 epochs")
    assert "over" not in top(make(cls).partial_fit(DIGITS))


def test_notebook_says_a_classifier_s_f1():
    estimator = make(CanonicalCorrelatedAutoencoder).fit(StandardScaler().fit_transform(X), LABELS)
    assert re.match(r"F1 0\.\d{3} on held-out rows, the mean of micro and macro · ", top(estimator))
    estimator = make(CanonicalCorrelatedAutoencoder, early_stopping=False, threshold=0.5)
    assert top(estimator.fit(X, LABELS)) == "2 latents · trained for 5 epochs"


def test_what_a_notebook_shows_is_escaped(monkeypatch):
    monkeypatch.setattr(VariationalAutoencoder, "_facts", lambda self: ["a < b", "<script>"])
    assert make()._repr_html_().startswith("<div>a &lt; b · &lt;script&gt;</div>")
