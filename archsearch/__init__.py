"""Experiments with small convolutional architectures."""
