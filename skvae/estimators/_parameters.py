"""A likelihood of columns as parameters: reached by name, whether it is a list or an object."""

from __future__ import annotations

from typing import Any, Self

from skvae._sklearn.compat import BaseEstimator
from skvae.likelihoods import Columns


class LikelihoodOfColumns(BaseEstimator):
    """Parameters of a list ``likelihood=[(name, likelihood, columns), ...]``, by their names."""

    likelihood: Any

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters, with those of the components that they hold.

        Parameters
        ----------
        deep : bool, default=True
            Whether to give the parameters of the components, too.

        Returns
        -------
        params : dict of str to object
            Values by name; those of a likelihood of columns by ``likelihood__<name>``.
        """
        params = super().get_params(deep)
        if deep and isinstance(self.likelihood, list):
            own = Columns(self.likelihood).get_params()
            del own["columns"]
            params |= {f"likelihood__{name}": value for name, value in own.items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters, also of the components, as ``<component>__<parameter>``.

        Parameters
        ----------
        **params : object
            Values by name; a likelihood of columns by ``likelihood__<name>``.

        Returns
        -------
        self : object
            The estimator.
        """
        if "likelihood" in params:
            self.likelihood = params.pop("likelihood")
        own = {name: value for name, value in params.items() if name.startswith("likelihood__")}
        if own and isinstance(self.likelihood, list):
            columns = Columns(self.likelihood)
            columns.set_params(**{name.partition("__")[2]: own[name] for name in own})
            self.likelihood = columns.columns
            params = {name: value for name, value in params.items() if name not in own}
        super().set_params(**params)
        return self
