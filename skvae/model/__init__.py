"""The model: networks and distributions on one flat buffer."""
