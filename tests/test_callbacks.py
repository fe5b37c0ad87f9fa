"""scikit-learn 1.9's callbacks see every epoch, may end a fit, and leave nothing behind."""

import json
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from walking import CLASSES, LABELS, WATCHED, X

from skvae import (
    Autoencoder,
    CanonicalCorrelatedAutoencoder,
    VAEImputer,
    VAEOutlierDetector,
    VariationalAutoencoder,
    callbacks,
)
from skvae._sklearn.compat import HAS_CALLBACKS
from skvae.callbacks import Prune, Pruned, TimeLimit
from skvae.fitting import TERMS
from skvae.starts import _principal

DIGITS = load_digits().data / 16
with_callbacks = pytest.mark.skipif(not HAS_CALLBACKS, reason="scikit-learn has no callbacks")
autoencoders = pytest.mark.parametrize("cls", [VariationalAutoencoder, Autoencoder])
every = pytest.mark.parametrize("cls", WATCHED)


class Idle:
    """Looks on."""

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        pass


class Log(Idle):
    """Keeps what it hears, and answers by ``ask``."""

    def __init__(self, ask=lambda metadata: None):
        self.ask, self.begun, self.ended, self.n_teardowns = ask, [], [], 0

    def teardown(self, estimator, context):
        self.n_teardowns += 1

    def on_fit_task_begin(self, estimator, context):
        self.begun.append(context.task_name)

    def on_fit_task_end(self, estimator, context, *, metadata=None):
        self.ended.append((context.task_name, metadata))
        return context.task_name == "epoch" and self.ask(metadata)

    @property
    def epochs(self):
        return [metadata for name, metadata in self.ended if name == "epoch"]


class Snapshots(Idle):
    """Keeps the estimator as it would be after each epoch."""

    def __init__(self):
        self.fitted = []

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.fitted.append(fitted_estimator)


def make(cls=VariationalAutoencoder, **params):
    return cls(**{"n_components": 2, "max_iter": 5, "tol": 0, "random_state": 0, **params})


def fit(estimator, rows=DIGITS[:400]):
    y = (rows[:, 20:24] > 0.5).astype(int)
    return estimator.fit(rows, y if isinstance(estimator, CanonicalCorrelatedAutoencoder) else None)


pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


# ------------------------------------------------------------------ what is told


@with_callbacks
@autoencoders
def test_metadata_are_what_the_fit_publishes(cls):
    log = Log()
    estimator = fit(make(cls).set_callbacks(log))
    epochs = log.epochs
    assert log.begun == ["fit"] + ["epoch"] * 5
    assert [name for name, _ in log.ended] == ["epoch"] * 5 + ["fit"]
    assert [epoch["epoch"] for epoch in epochs] == [1, 2, 3, 4, 5]
    for name in TERMS:
        assert [epoch[name] for epoch in epochs] == estimator.history_[name]
    start, *scores = estimator.validation_scores_
    assert [epoch["held_out"] for epoch in epochs] == scores
    assert {epoch["start"] for epoch in epochs} == {start}
    assert epochs[-1]["best_epoch"] == estimator.best_epoch_
    rates = [epoch["learning_rate"] for epoch in epochs]
    assert rates[0] == estimator.learning_rate_init
    assert rates == sorted(rates, reverse=True)
    assert log.n_teardowns == 1


@with_callbacks
@pytest.mark.parametrize(("n_folds", "parts"), [(3, ["folds", "all rows"]), (1, ["folds"])])
def test_folds_are_a_task_and_so_are_all_rows(n_folds, parts):
    log = Log()
    estimator = make(CanonicalCorrelatedAutoencoder, n_folds=n_folds, init="random")
    fit(estimator.set_callbacks(log))
    assert [name for name, _ in log.ended if name != "epoch"] == [*parts, "fit"]
    held_out = [epoch["held_out"] for epoch in log.epochs if epoch["stage"] == "folds"]
    assert held_out == estimator.validation_scores_[1:]
    last = [epoch["loss"] for epoch in log.epochs if epoch["stage"] == parts[-1]]
    assert last == estimator.loss_curve_


@with_callbacks
def test_race_s_fits_are_tasks_and_the_lead_is_that_over_pca(monkeypatch):
    monkeypatch.setattr(_principal, "_RACE_ROWS", 300)
    log = Log()
    estimator = make(n_components=16, max_iter=3).set_callbacks(log)
    fit(estimator)
    names = [name for name, _ in log.ended if name != "epoch"]
    assert names == ["start 1 of 3", "start 2 of 3", "start 3 of 3", "race", "fit"]
    race = [epoch for epoch in log.epochs if epoch["stage"] == "race"]
    assert len(race) == 3
    training = [epoch for epoch in log.epochs if epoch["stage"] == "training"]
    assert len(training) == estimator.n_iter_
    assert len({epoch["start"] for epoch in log.epochs}) == 1


@with_callbacks
@every
def test_looking_on_changes_no_bit(cls):
    y = None if cls is not CanonicalCorrelatedAutoencoder else LABELS
    alone = make(cls).fit(X, y)
    watched = make(cls).set_callbacks(Log(), Snapshots()).fit(X, y)
    np.testing.assert_array_equal(alone.transform(X), watched.transform(X))
    assert vars(watched).keys() - vars(alone).keys() == {"_skl_callbacks"}


@with_callbacks
@autoencoders
def test_a_snapshot_is_the_estimator_after_that_epoch(cls):
    snapshots = Snapshots()
    estimator = fit(make(cls, early_stopping=False).set_callbacks(snapshots))
    *epochs, whole = snapshots.fitted
    fewer = fit(make(cls, early_stopping=False))
    assert [model.n_iter_ for model in epochs] == [1, 2, 3, 4, 5]
    latents = [model.transform(DIGITS) for model in epochs]
    np.testing.assert_array_equal(latents[-1], fewer.transform(DIGITS))
    np.testing.assert_array_equal(whole.transform(DIGITS), estimator.transform(DIGITS))
    assert not np.array_equal(latents[0], latents[1])
    assert all(
        np.isfinite(model.inverse_transform(Z)).all()
        for model, Z in zip(epochs, latents, strict=True)
    )


@with_callbacks
def test_snapshots_are_made_for_those_who_ask(monkeypatch):
    from skvae.estimators import _base

    monkeypatch.setattr(_base, "as_of", None)
    fit(make().set_callbacks(Log()))


# ------------------------------------------------------------------ who fits another estimator

GAPS = np.where(np.random.RandomState(0).rand(*X.shape) < 0.1, np.nan, X)
AROUND = {
    "imputer": VAEImputer(random_state=0),
    "imputer of one's own": VAEImputer(make(n_components=1, max_iter=3), n_components=None),
    "detector": VAEOutlierDetector(2, random_state=0),
}
around = pytest.mark.parametrize("name", AROUND)


@with_callbacks
def test_imputer_s_trials_and_training_are_tasks():
    log = Log()
    imputer = clone(AROUND["imputer"]).set_callbacks(log).fit(GAPS)
    trials = [f"trial {i} of 3" for i in (1, 2, 3)]
    names = [name for name, _ in log.ended if name != "epoch"]
    assert names == [*trials, "hidden cells", "training", "fit"]
    stages = [epoch["stage"] for epoch in log.epochs]
    assert stages == ["hidden cells"] * 300 + ["training"] * imputer.estimator_.n_iter_
    assert log.n_teardowns == 1
    log = Log()
    imputer = clone(AROUND["imputer of one's own"]).set_callbacks(log).fit(GAPS)
    assert [name for name, _ in log.ended] == ["epoch"] * 3 + ["training", "fit"]
    assert [epoch["loss"] for epoch in log.epochs] == imputer.estimator_.loss_curve_


@with_callbacks
def test_detector_s_passes_are_epochs():
    log = Log()
    detector = clone(AROUND["detector"]).set_callbacks(log).fit(GAPS)
    assert [name for name, _ in log.ended] == ["start", *["epoch"] * 5, "fit"]
    assert [epoch["epoch"] for epoch in log.epochs] == [1, 2, 3, 4, 5]
    assert [epoch["kl"] for epoch in log.epochs] == detector.estimator_.history_["kl"]
    log = Log(lambda metadata: metadata["epoch"] == 2)
    assert clone(AROUND["detector"]).set_callbacks(log).fit(GAPS).n_iter_ == 2
    stopped = VAEOutlierDetector(2, max_iter=2, random_state=0).fit(GAPS)
    ended = clone(AROUND["detector"]).set_callbacks(log).fit(GAPS)
    np.testing.assert_array_equal(ended.score_samples(GAPS), stopped.score_samples(GAPS))


@with_callbacks
@around
def test_looking_on_from_around_changes_no_bit(name):
    alone, snapshots = clone(AROUND[name]).fit(GAPS), Snapshots()
    watched = clone(AROUND[name]).set_callbacks(Log(), snapshots).fit(GAPS)
    read = "transform" if "imputer" in name else "score_samples"
    expected = getattr(alone, read)(GAPS)
    np.testing.assert_array_equal(getattr(watched, read)(GAPS), expected)
    np.testing.assert_array_equal(getattr(snapshots.fitted[-1], read)(GAPS), expected)
    assert vars(watched).keys() - vars(alone).keys() == {"_skl_callbacks"}
    assert vars(watched.estimator_).keys() == vars(alone.estimator_).keys()


@with_callbacks
@around
def test_a_failure_around_leaves_the_former_state(name):
    estimator = clone(AROUND[name]).fit(GAPS)
    before = vars(estimator).copy()

    def fail(metadata):
        raise LookupError("no more")

    log = Log(fail)
    with pytest.raises(LookupError, match="no more"):
        estimator.set_callbacks(log).fit(GAPS)
    after = vars(estimator)
    assert after.keys() - before.keys() == {"_skl_callbacks"}
    assert all(after[key] is value for key, value in before.items())
    assert log.n_teardowns == 1


@with_callbacks
def test_time_counts_from_the_fit_around():
    assert clone(AROUND["detector"]).set_callbacks(TimeLimit(0)).fit(GAPS).n_iter_ == 0
    own = clone(AROUND["imputer of one's own"]).set_callbacks(TimeLimit(0)).fit(GAPS)
    assert own.estimator_.n_iter_ == 1


@with_callbacks
def test_a_trial_hears_of_the_imputer_s_training():
    vae = VariationalAutoencoder(2, max_iter=30, tol=0, random_state=0)
    imputer = VAEImputer(vae, n_components=None)
    with pytest.raises(Pruned, match="after epoch 3"):
        imputer.set_callbacks(Prune(Trial(3))).fit(DIGITS[:400])


@with_callbacks
@pytest.mark.parametrize("kind", [VAEImputer, VAEOutlierDetector])
def test_callbacks_within_are_refused(kind):
    with pytest.raises(ValueError, match=f"Got TimeLimit. Set them on {kind.__name__}"):
        kind(estimator=make().set_callbacks(TimeLimit(1))).fit(X)


# ------------------------------------------------------------------ the end of a fit


@with_callbacks
@every
def test_a_callback_ends_the_fit_and_its_best_epoch_is_kept(cls):
    log = Log(lambda metadata: metadata["epoch"] == 3)
    estimator = fit(make(cls, max_iter=50).set_callbacks(log))
    assert len(estimator.validation_scores_) == 4
    best = int(np.argmax(estimator.validation_scores_))
    if cls is CanonicalCorrelatedAutoencoder:
        assert estimator.n_iter_ == max(best, 1)
    else:
        assert estimator.n_iter_ == 3
        assert estimator.best_epoch_ == best > 0


@with_callbacks
def test_a_callback_ends_the_race_and_the_fit(monkeypatch):
    monkeypatch.setattr(_principal, "_RACE_ROWS", 300)
    log = Log(lambda metadata: True)
    estimator = fit(make(n_components=16, max_iter=40).set_callbacks(log))
    assert len(log.epochs) == 1
    assert estimator.n_iter_ == 0
    assert np.isfinite(estimator.score(DIGITS))


@with_callbacks
@every
def test_an_exception_passes_and_what_was_fitted_stays(cls):
    estimator = fit(make(cls))
    before = estimator.transform(DIGITS)

    def fail(metadata):
        raise LookupError("no more")

    log = Log(fail)
    with pytest.raises(LookupError, match="no more"):
        fit(estimator.set_params(max_iter=9).set_callbacks(log))
    np.testing.assert_array_equal(estimator.transform(DIGITS), before)
    assert log.n_teardowns == 1
    assert [name for name in vars(estimator) if "callback" in name] == ["_skl_callbacks"]


@with_callbacks
@every
def test_a_failing_fit_is_torn_down(cls):
    log = Log()
    with pytest.raises(ValueError, match="infinity"):
        fit(make(cls).set_callbacks(log), np.full((5, 64), np.inf))
    assert log.n_teardowns == 1


@with_callbacks
def test_user_s_interrupt_is_kept_as_without_callbacks():
    def interrupt(metadata):
        if metadata["epoch"] == 3:
            raise KeyboardInterrupt

    log = Log(interrupt)
    with pytest.warns(ConvergenceWarning, match="interrupted; epoch 3 is kept"):
        fit(make().set_callbacks(log))
    assert log.ended[-1][0] == "fit"


# ------------------------------------------------------------------ an estimator like any other


@with_callbacks
@every
def test_callbacks_go_along_with_clones_and_pickles(cls):
    estimator = make(cls).set_callbacks(TimeLimit(60))
    assert clone(estimator)._skl_callbacks == estimator._skl_callbacks
    loaded = pickle.loads(pickle.dumps(fit(estimator)))
    assert loaded._skl_callbacks[0].seconds == 60
    np.testing.assert_array_equal(loaded.transform(DIGITS), estimator.transform(DIGITS))


@with_callbacks
def test_a_callback_within_a_search_and_a_pipeline():
    """A time limit counts from the beginning of the estimator's own fit."""
    pipe = make_pipeline(StandardScaler(), make(max_iter=50).set_callbacks(TimeLimit(0)))
    search = GridSearchCV(pipe, {"variationalautoencoder__beta": [0.5, 1.0]}, cv=2).fit(DIGITS)
    assert search.best_estimator_[-1].n_iter_ == 1
    pipe = make_pipeline(StandardScaler(), make(max_iter=5).set_callbacks(TimeLimit(600)))
    assert pipe.fit(DIGITS)[-1].n_iter_ == 5


# ------------------------------------------------------------------ ours


class Trial:
    def __init__(self, last):
        self.values, self.last = {}, last

    def report(self, value, step):
        self.values[step] = value

    def should_prune(self):
        return len(self.values) == self.last


@with_callbacks
@every
def test_a_trial_hears_held_out_values_until_it_is_given_up(cls):
    trial = Trial(3)
    with pytest.raises(Pruned, match="after epoch 3"):
        fit(make(cls).set_callbacks(Prune(trial)))
    whole = fit(make(cls))
    assert list(trial.values) == [1, 2, 3]
    np.testing.assert_array_equal(list(trial.values.values()), whole.validation_scores_[1:4])


@with_callbacks
def test_a_trial_s_library_has_its_own_exception():
    class TrialPruned(Exception):
        pass

    with pytest.raises(TrialPruned):
        fit(make().set_callbacks(Prune(Trial(1), TrialPruned)))


@with_callbacks
def test_pruning_needs_rows_held_out():
    with pytest.raises(ValueError, match="early_stopping=True"):
        fit(make(early_stopping=False).set_callbacks(Prune(Trial(1))))


@with_callbacks
def test_time_is_not_negative():
    with pytest.raises(ValueError, match=r"'seconds' must be at least 0. Got -1"):
        TimeLimit(-1)


@pytest.mark.parametrize("make_one", [lambda: TimeLimit(1), lambda: Prune(Trial(1))])
def test_older_scikit_learn_is_named(make_one, monkeypatch):
    monkeypatch.setattr(callbacks, "HAS_CALLBACKS", False)
    with pytest.raises(ImportError, match=r"needs scikit-learn 1.9 or later"):
        make_one()


def test_a_scikit_learn_without_callbacks_will_do(tmp_path):
    """Below 1.9 ``sklearn.callback`` is not there; a module that is None cannot be imported."""
    program = """
import sys
import numpy as np, sklearn.decomposition, sklearn.pipeline
sys.modules["sklearn.callback"] = None
from skvae import VariationalAutoencoder
from skvae.callbacks import Checkpoint
X = np.random.RandomState(0).randn(90, 4)
vae = VariationalAutoencoder(2, max_iter=2, random_state=0)
Z = vae.fit_transform(X)
vae.set_callbacks(Checkpoint(sys.argv[1])).fit(X)
assert (vae.fit_transform(X) == Z).all()
try:
    vae.set_callbacks("another")
except ImportError as error:
    print("fitted")
"""
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, tmp_path / "fit.npz"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.stdout.strip() == "fitted", result.stderr


# ------------------------------------------------------------------ under a progress bar

# Imports once, for all endings: each runs in a fork that ends as any interpreter does, and in two
# minutes. Programs come as lines of JSON, and their exit codes and what they said go back so.
BAR = """
import json, os, signal, sys
import numpy as np
from sklearn.callback import ProgressBar
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skvae import (
    CanonicalCorrelatedAutoencoder, VAEImputer, VAEOutlierDetector, VariationalAutoencoder
)
from skvae.callbacks import Prune

X = np.random.RandomState(0).randn(300, 6)

class At:
    def __init__(self, act): self.act = act
    def setup(self, estimator, context): pass
    def teardown(self, estimator, context): pass
    def on_fit_task_begin(self, estimator, context): pass
    def on_fit_task_end(self, estimator, context, *, metadata=None):
        if context.task_name == "epoch" and metadata["epoch"] == 2: self.act()

def fail(): raise ValueError("failed here")
def interrupt(): os.kill(os.getpid(), signal.SIGINT)

class Trial:
    def report(self, value, step): self.step = step
    def should_prune(self): return self.step == 2

vae = VariationalAutoencoder(2, max_iter=30, random_state=0)
bar = ProgressBar(max_propagation_depth=None)

while line := sys.stdin.readline():
    said, saying = os.pipe()
    if (pid := os.fork()) == 0:
        break
    os.close(saying)
    with open(said) as file:
        output = file.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    print(json.dumps([code, output]), flush=True)
else:
    sys.exit()
signal.alarm(120)
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
os.dup2(saying, 1)
os.dup2(saying, 2)
os.close(saying)
exec(json.loads(line))
"""

ENDINGS = {
    "alone": ("vae.set_callbacks(bar).fit(X); print('done')", 0, "done"),
    "classifier": (
        "CanonicalCorrelatedAutoencoder(max_iter=3).set_callbacks(bar).fit(X, X[:, 0] > 0)\n"
        "print('done')",
        0,
        "done",
    ),
    "pipeline": (
        "make_pipeline(StandardScaler(), vae).set_callbacks(bar).fit(X); print('done')",
        0,
        "done",
    ),
    "search": (
        "GridSearchCV(vae, {'beta': [0.5, 1]}, cv=2, n_jobs=2).set_callbacks(bar).fit(X)\n"
        "print('done')",
        0,
        "done",
    ),
    "imputer": (
        "make_pipeline(StandardScaler(), VAEImputer(vae, n_components=None))"
        ".set_callbacks(bar).fit(X); print('done')",
        0,
        "done",
    ),
    "detector": ("VAEOutlierDetector(2).set_callbacks(bar).fit(X); print('done')", 0, "done"),
    "failing imputer": ("VAEImputer().set_callbacks(bar, At(fail)).fit(X)", 1, "failed here"),
    "failing": ("vae.set_callbacks(bar, At(fail)).fit(X)", 1, "failed here"),
    "interrupted": ("vae.set_callbacks(bar, At(interrupt)).fit(X); print('kept')", 0, "kept"),
    "interrupted in a pipeline": (
        "make_pipeline(StandardScaler(), vae.set_callbacks(At(interrupt)))"
        ".set_callbacks(bar).fit(X)",
        -2,
        "KeyboardInterrupt",
    ),
    "pruned": ("vae.set_callbacks(bar, Prune(Trial())).fit(X)", 1, "Pruned: given up"),
    "invalid": ("vae.set_callbacks(bar).fit(X[:1])", 1, "minimum of 2"),
}


@pytest.fixture(scope="module")
def interpreter():
    pytest.importorskip("rich")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-W", "ignore", "-c", BAR], **pipes) as process:
        yield process


@with_callbacks
@pytest.mark.parametrize("ending", ENDINGS)
def test_process_ends_under_a_progress_bar(ending, interpreter):
    """Whatever a fit comes to, the bar's thread ends with it, and so does the interpreter."""
    action, expected, word = ENDINGS[ending]
    print(json.dumps(action), file=interpreter.stdin, flush=True)
    code, said = json.loads(interpreter.stdout.readline())
    assert word in said
    assert code in (expected, 130 if expected == -2 else expected), said


@with_callbacks
def test_no_thread_is_left():
    before = threading.active_count()
    with pytest.raises(Pruned):
        make().set_callbacks(Prune(Trial(1))).fit(X, CLASSES)
    assert threading.active_count() == before
