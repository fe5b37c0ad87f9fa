"""Sessions: tests on each supported scikit-learn, linters, doctests, the site, the packages."""

import re
from pathlib import Path

import nox

nox.options.sessions = ["tests", "lint", "doctests", "docs", "package"]
nox.options.reuse_existing_virtualenvs = True

ENVIRONMENT = {"SCIPY_ARRAY_API": "1", "MPLBACKEND": "Agg"}


def constraints_with(session: nox.Session, sklearn: str) -> str:
    """The file that pins this scikit-learn; else the newest set with scikit-learn exchanged."""
    for name in ("constraints-oldest.txt", "constraints.txt"):
        if f"scikit-learn=={sklearn}" in Path(name).read_text().splitlines():
            return name
    pins = Path("constraints.txt").read_text()
    path = Path(session.create_tmp()) / "constraints.txt"
    path.write_text(re.sub(r"(?m)^scikit-learn==.*$", f"scikit-learn=={sklearn}", pins))
    return str(path)


@nox.session
@nox.parametrize("sklearn", ["1.6.1", "1.7.2", "1.8.0", "1.9.1"], ids=["1.6", "1.7", "1.8", "1.9"])
def tests(session: nox.Session, sklearn: str) -> None:
    session.install("-c", constraints_with(session, sklearn), "-e", ".[test]")
    session.run("python", "-m", "pytest", *session.posargs, env=ENVIRONMENT)


@nox.session
def lint(session: nox.Session) -> None:
    session.install("-c", "constraints.txt", "-e", ".[dev]")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("codespell")
    session.run("mypy", "skvae")
    session.run("numpydoc", "lint", *map(str, sorted(Path("skvae").rglob("*.py"))))


@nox.session
def doctests(session: nox.Session) -> None:
    session.install("-c", "constraints.txt", "-e", ".[test]")
    session.run("python", "-m", "pytest", "--doctest-modules", "skvae", env=ENVIRONMENT)
    if ">>> " in Path("README.md").read_text():
        session.run(
            "python", "-m", "pytest", "--doctest-glob=README.md", "README.md", env=ENVIRONMENT
        )


@nox.session
def cluster(session: nox.Session) -> None:
    """Search on Dask and on Ray, and keep models in MLflow's registry."""
    session.install("-c", "constraints.txt", "-e", ".[test,cluster]")
    session.run("python", "-m", "pytest", "-n", "0", "tests/test_cluster.py", env=ENVIRONMENT)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site, the gallery's examples included, and check its links."""
    session.install("-c", "constraints.txt", "-e", ".[docs]")
    session.run("bash", ".ci/docs", *session.posargs, external=True, env=ENVIRONMENT)


@nox.session
def package(session: nox.Session) -> None:
    """Build sdist and wheel, and use both without the repository."""
    session.install("-c", "constraints.txt", "build", "twine")
    session.run("bash", ".ci/package", external=True, env=ENVIRONMENT)
