"""Prediction of many images, and the metrics that training and evaluation share."""
