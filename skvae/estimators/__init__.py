"""The estimators: validate, fit, publish."""
