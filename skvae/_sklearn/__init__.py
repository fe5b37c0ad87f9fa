"""scikit-learn's side: what is private there, and what every estimator here does."""
